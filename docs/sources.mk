# Pages for people, beside README.md.  Those of reference/ are written by build-aux/reference, those of all are run by
# tests/docs_run.sh.
pagedir = $(docdir)/docs
dist_page_DATA = docs/README.md docs/first-token.png docs/tutorial.md
howtodir = $(docdir)/docs/howto
dist_howto_DATA = \
	docs/howto/README.md \
	docs/howto/add-a-family.md \
	docs/howto/add-a-metric.md \
	docs/howto/batch-report.md \
	docs/howto/compare-quantised.md \
	docs/howto/paper-figure.md \
	docs/howto/prove-exact.md \
	docs/howto/prune-kv-cache.md \
	docs/howto/retrieval-heads.md
referencedir = $(docdir)/docs/reference
dist_reference_DATA = \
	docs/reference/README.md \
	docs/reference/commands.md \
	docs/reference/edits.md \
	docs/reference/families.md \
	docs/reference/figures.md \
	docs/reference/json.md \
	docs/reference/metrics.md \
	docs/reference/settings.md \
	docs/reference/topics.md
EXTRA_DIST += build-aux/reference
