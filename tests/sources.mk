# cmocka programs print TAP; shell tests print TAP themselves.
LDADD = $(LIBS_ALL) $(CMOCKA_LIBS)

cmocka_tests = \
	tests/test_attention \
	tests/test_kernels

shell_tests = \
	tests/layers.sh

dist_check_SCRIPTS += $(shell_tests)
if HAVE_CMOCKA
check_PROGRAMS += $(cmocka_tests)
TESTS += $(cmocka_tests)
endif
TESTS += $(shell_tests)

TEST_EXTENSIONS = .sh
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = \
	ATTNSCOPE='$(abs_top_builddir)/attnscope'; export ATTNSCOPE; \
	CC='$(CC)'; export CC;
EXTRA_DIST += tests/tap.sh
