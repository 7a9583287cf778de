/* Settings of a session (`set`, and the options before the verb). */
#ifndef ATTNSCOPE_CLI_SETTINGS_H
#define ATTNSCOPE_CLI_SETTINGS_H

#include "base/table.h"
#include "cli/session.h"

/* threads, precision, isa, store, color, format, hints, pager, plain, quiet and others. */
extern const param settings_params[];

/* All settings as a table: setting, value, from (default, config, session), meaning. */
int settings_table(table **out, const session *s, err *e);
/* The value in effect as text. */
const char *settings_value(const session *s, const char *name);
/* Where it comes from: "default", "config" or "session". */
const char *settings_origin(const session *s, const char *name);
/* Do commands and scripts take it from the configuration file?  Those that change no results. */
bool settings_for_batch(const char *name);
/* The default again, for what the session or the configuration said.  ERR_USAGE: no such setting. */
int session_unset(session *s, const char *name, err *e);

#endif
