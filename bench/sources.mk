# Benchmarks: built by `make bench`, never by the tests.
EXTRA_PROGRAMS = bench/bench_kernels
bench_bench_kernels_SOURCES = bench/bench_kernels.c
bench_bench_kernels_LDADD = $(LIBS_ALL)

bench: bench/bench_kernels$(EXEEXT)
	bench/bench_kernels$(EXEEXT)
.PHONY: bench
CLEANFILES += $(EXTRA_PROGRAMS)
