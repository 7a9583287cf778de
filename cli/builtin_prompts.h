/* The prompts that come with the program, written for it: 61 short texts, each of at least 64 tokens of the bundled
 * model and of SmolLM2, labelled by domain (prose, dialogue, code, lists, numbers, languages). */
#ifndef ATTNSCOPE_CLI_BUILTIN_PROMPTS_H
#define ATTNSCOPE_CLI_BUILTIN_PROMPTS_H

#include "cli/prompt_request.h"

/* --builtin */
extern const param builtin_params[];
int builtin_prompts(prompt_request **out, int64_t *n, err *e);
/* Those of --prompts FILE, of --builtin, or the one of the prompt options; none of them given: the built-in set, or
 * (otherwise_builtin false) one request that names nothing.  p describes prompt_params, prompts_params, builtin_params.
 * Release with prompt_requests_free. */
int prompt_requests_chosen(prompt_request **out, int64_t *n, const params *p, bool otherwise_builtin, err *e);

#endif
