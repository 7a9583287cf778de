# Benchmarks: built by `make bench`, never by the tests.
EXTRA_PROGRAMS = bench/bench_kernels bench/bench_pairs
bench_bench_kernels_SOURCES = bench/bench_kernels.c
bench_bench_kernels_LDADD = $(LIBS_ALL)
bench_bench_pairs_SOURCES = bench/bench_pairs.c
bench_bench_pairs_LDADD = $(LIBS_ALL)

bench: bench/bench_kernels$(EXEEXT) bench/bench_pairs$(EXEEXT)
	bench/bench_kernels$(EXEEXT)
	bench/bench_pairs$(EXEEXT)
.PHONY: bench
CLEANFILES += $(EXTRA_PROGRAMS)
