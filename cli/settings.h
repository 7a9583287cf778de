/* Settings of a session (`set`, and the options before the verb). */
#ifndef ATTNSCOPE_CLI_SETTINGS_H
#define ATTNSCOPE_CLI_SETTINGS_H

#include "base/table.h"
#include "cli/session.h"

/* threads, precision, isa, store, color, format, quiet. */
extern const param settings_params[];

/* All settings as a table: setting, value, set, meaning. */
int settings_table(table **out, const session *s, err *e);
/* The value in effect as text. */
const char *settings_value(const session *s, const char *name);

#endif
