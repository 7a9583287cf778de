# Commands: one file and one line each.
command_sources = \
	cli/commands/help.c \
	cli/commands/history.c \
	cli/commands/list.c \
	cli/commands/quit.c \
	cli/commands/set.c \
	cli/commands/source.c
libattnscope_a_SOURCES += $(command_sources) \
	cli/command.c \
	cli/complete.c \
	cli/complete_sources.c \
	cli/dispatch.c \
	cli/help.c \
	cli/help_bash.c \
	cli/help_man.c \
	cli/help_text.c \
	cli/line_context.c \
	cli/output.c \
	cli/output_aligned.c \
	cli/parse.c \
	cli/progress_bar.c \
	cli/report.c \
	cli/script.c \
	cli/session.c \
	cli/settings.c \
	cli/shell.c \
	cli/shell_history.c \
	cli/signals.c \
	cli/standard_out.c \
	cli/terminal.c \
	cli/text_width.c
libattnscope_a_SOURCES += cli/command.h cli/complete.h cli/dispatch.h cli/help.h cli/line_context.h \
	cli/output.h cli/parse.h cli/progress_bar.h cli/session.h cli/settings.h cli/shell.h \
	cli/signals.h cli/standard_out.h cli/terminal.h cli/text_width.h

registry/commands.inc: Makefile build-aux/registry.sh
	$(REGISTRY) COMMAND $(command_sources) > $@
BUILT_SOURCES += registry/commands.inc
CLEANFILES += registry/commands.inc
