libattnscope_a_SOURCES += \
	db/map.c \
	db/migrate.c \
	db/open.c \
	db/prompt.c \
	db/query.c \
	db/run.c \
	db/schema.c \
	db/stage.c \
	db/statement.c \
	db/unit.c \
	db/user_sql.c
libattnscope_a_SOURCES += db/internal.h db/store.h
