# Metrics: one file and one line each.
metric_sources = \
	analysis/metrics/distance.c \
	analysis/metrics/duplicate_token.c \
	analysis/metrics/entropy.c \
	analysis/metrics/induction.c \
	analysis/metrics/max.c \
	analysis/metrics/nll.c \
	analysis/metrics/prev_token.c \
	analysis/metrics/self.c \
	analysis/metrics/sink.c
libattnscope_a_SOURCES += $(metric_sources) \
	analysis/analyse.c \
	analysis/dump.c \
	analysis/map.c \
	analysis/metric.c \
	analysis/query_mean.c \
	analysis/reference.c \
	analysis/repeats.c \
	analysis/verify.c
libattnscope_a_SOURCES += analysis/analyse.h analysis/map.h analysis/metric.h analysis/query_mean.h \
	analysis/reference.h analysis/repeats.h

registry/metrics.inc: Makefile build-aux/registry.sh
	$(REGISTRY) METRIC $(metric_sources) > $@
BUILT_SOURCES += registry/metrics.inc
CLEANFILES += registry/metrics.inc
