# The manual page and the completion for bash come out of the program itself, so they are made after it and
# are not part of the distribution.
man/attnscope.1: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man && ./attnscope$(EXEEXT) help --man --output $@
man/completion/attnscope: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man/completion && ./attnscope$(EXEEXT) help --bash-completion --output $@

nodist_man_MANS = man/attnscope.1
bashcompletiondir = $(datadir)/bash-completion/completions
nodist_bashcompletion_DATA = man/completion/attnscope
CLEANFILES += man/attnscope.1 man/completion/attnscope
