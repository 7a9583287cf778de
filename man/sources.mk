# The manual pages and the completion for bash, zsh and fish come out of the program itself, so they are made after it and
# are not part of the distribution.
man/attnscope.1: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man && ./attnscope$(EXEEXT) help --man --output $@
man/completion/attnscope: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man/completion && ./attnscope$(EXEEXT) help --bash-completion --output $@
man/completion/_attnscope: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man/completion && ./attnscope$(EXEEXT) help --zsh-completion --output $@
man/completion/attnscope.fish: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man/completion && ./attnscope$(EXEEXT) help --fish-completion --output $@

# attnscope-VERB(1): which verbs there are the program knows.
man/verbs.stamp: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man && for verb in `./attnscope$(EXEEXT) list commands --tsv | sed 1d | cut -f 1`; do \
		./attnscope$(EXEEXT) help $$verb --man --output man/attnscope-$$verb.1 || exit 1; done && touch $@
all-local: man/verbs.stamp
install-data-local: man/verbs.stamp
	$(MKDIR_P) "$(DESTDIR)$(man1dir)"
	for page in man/attnscope-*.1; do $(INSTALL_DATA) "$$page" "$(DESTDIR)$(man1dir)" || exit 1; done
uninstall-local:
	for page in man/attnscope-*.1; do rm -f "$(DESTDIR)$(man1dir)/$${page#man/}"; done

man/attnscope-json.7: attnscope$(EXEEXT)
	$(AM_V_GEN)mkdir -p man && ./attnscope$(EXEEXT) help json --man --output $@

nodist_man_MANS = man/attnscope.1 man/attnscope-json.7
bashcompletiondir = $(datadir)/bash-completion/completions
nodist_bashcompletion_DATA = man/completion/attnscope
zshcompletiondir = $(datadir)/zsh/vendor-completions
nodist_zshcompletion_DATA = man/completion/_attnscope
fishcompletiondir = $(datadir)/fish/vendor_completions.d
nodist_fishcompletion_DATA = man/completion/attnscope.fish
CLEANFILES += man/attnscope.1 man/attnscope-*.1 man/verbs.stamp man/attnscope-json.7 man/completion/attnscope man/completion/_attnscope man/completion/attnscope.fish
