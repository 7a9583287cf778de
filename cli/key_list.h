/* The metadata of a checkpoint, key by key: GGUF key/value pairs, or the members of config.json. */
#ifndef ATTNSCOPE_CLI_KEY_LIST_H
#define ATTNSCOPE_CLI_KEY_LIST_H

#include "cli/command.h"
#include "model/checkpoint.h"

/* Print them: a table with long values shortened, or with --json all of them (schema attnscope.key/1). */
int key_list(session *s, const command_args *a, const checkpoint *c, err *e);

#endif
