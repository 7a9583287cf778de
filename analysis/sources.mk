# Metrics: one file and one line each.
metric_sources = \
	analysis/metrics/entropy.c
libattnscope_a_SOURCES += $(metric_sources) \
	analysis/analyse.c \
	analysis/metric.c
libattnscope_a_SOURCES += analysis/analyse.h analysis/metric.h

registry/metrics.inc: Makefile build-aux/registry.sh
	$(REGISTRY) METRIC $(metric_sources) > $@
BUILT_SOURCES += registry/metrics.inc
CLEANFILES += registry/metrics.inc
