/* --dry-run of every command whose units run on cli/experiment.h: it is run as the part of a sweep is (cli/run_part.h), up
 * to its units, and what they will take is printed in their place. */
#ifndef ATTNSCOPE_CLI_DRY_RUN_H
#define ATTNSCOPE_CLI_DRY_RUN_H

#include "cli/command.h"

bool dry_run_wanted(const command *c, const command_args *a);
int dry_run(session *s, const command *c, const command_args *a, err *e);

#endif
