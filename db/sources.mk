libattnscope_a_SOURCES += \
	db/check.c \
	db/check_rows.c \
	db/functions.c \
	db/gc.c \
	db/head_set.c \
	db/map.c \
	db/merge.c \
	db/merge_rows.c \
	db/merge_unit.c \
	db/migrate.c \
	db/open.c \
	db/prompt.c \
	db/query.c \
	db/run.c \
	db/schema.c \
	db/schema_4.c \
	db/stage.c \
	db/statement.c \
	db/summary.c \
	db/unit.c \
	db/user_sql.c
libattnscope_a_SOURCES += db/check_internal.h db/internal.h db/merge_internal.h db/store.h
