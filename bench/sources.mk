# Benchmarks: built by `make bench`, never by the tests.  make_checkpoint makes what they race on; tests/cli_bench.sh takes it, too.
EXTRA_PROGRAMS = bench/bench_pairs bench/bench_ring bench/bench_store
bench_bench_pairs_SOURCES = bench/bench_pairs.c
bench_bench_pairs_LDADD = $(LIBS_ALL)
bench_bench_store_SOURCES = bench/bench_store.c
bench_bench_store_LDADD = $(LIBS_ALL)
bench_make_checkpoint_SOURCES = bench/make_checkpoint.c
bench_make_checkpoint_LDADD = $(LIBS_ALL)

EXTRA_DIST += bench/ggml_attention.c bench/growth bench/race bench/race_attention bench/race_eager.py bench/race_lib.sh bench/ring_model.awk
bench_bench_ring_SOURCES = bench/bench_ring.c
bench_bench_ring_LDADD = $(LIBS_ALL)

bench: attnscope$(EXEEXT) bench/bench_pairs$(EXEEXT) bench/bench_store$(EXEEXT)
	./attnscope$(EXEEXT) bench kernels
	./attnscope$(EXEEXT) bench gemm
	./attnscope$(EXEEXT) bench attention
	bench/bench_pairs$(EXEEXT)
	bench/bench_store$(EXEEXT) bench/bench_store.db
.PHONY: bench
CLEANFILES += $(EXTRA_PROGRAMS) bench/bench_store.db
