libattnscope_a_SOURCES += \
	base/arena.c \
	base/cancel.c \
	base/err.c \
	base/gzip.c \
	base/hash.c \
	base/hash_cache.c \
	base/json.c \
	base/json_lines.c \
	base/mapfile.c \
	base/mem.c \
	base/near_file.c \
	base/near_word.c \
	base/npy.c \
	base/npz_read.c \
	base/npz_write.c \
	base/outdir.c \
	base/outfile.c \
	base/param.c \
	base/pool.c \
	base/ranks.c \
	base/result.c \
	base/result_list.c \
	base/rng.c \
	base/stats.c \
	base/strbuf.c \
	base/table.c \
	base/text_width.c \
	base/utf8.c \
	base/zip.c
libattnscope_a_SOURCES += base/cancel.h base/clock.h base/err.h base/gzip.h base/hash.h base/hash_cache.h base/json.h base/json_lines.h base/mapfile.h base/mem.h \
	base/near_file.h base/near_word.h base/npy_format.h base/npz.h base/outdir.h base/outfile.h base/param.h base/pool.h base/progress.h base/ranks.h base/result.h base/result_list.h \
	base/rng.h base/stats.h base/strbuf.h base/table.h base/text_width.h base/zip.h
