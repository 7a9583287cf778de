/* Checkpoints beside the one of the session, for what holds several against each other. */
#ifndef ATTNSCOPE_CLI_SECOND_MODEL_H
#define ATTNSCOPE_CLI_SECOND_MODEL_H

#include "cli/command_util.h"
#include "cli/prompt_input.h"

/* Open path with its own runtime, by the options of the command but --quantize, which stands in quantize (NULL: as
 * stored).  Refused unless it has the shape of `like` (drift_check).  loaded_model_free() it. */
int second_model_open(loaded_model **out, session *s, const command_args *a, const char *path, const char *quantize,
                      const loaded_model *like, err *e);
/* Does its tokenizer make the same tokens of a prompt as the first model's did?  ERR_USAGE otherwise; models without a
 * tokenizer, and prompts that came as ids, pass. */
int second_model_tokens(const loaded_model *second, const loaded_model *first, const prompt_request *q, const prompt_rules *rules,
                        const prompt_input *in, err *e);

/* The rules of the options, of the built-in prompts the first 64 tokens unless --truncate says otherwise: each has as many,
 * and values of different lengths do not compare. */
prompt_rules comparing_rules(const params *p);

#endif
