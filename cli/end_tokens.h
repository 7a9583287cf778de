/* Tokens that end a text. */
#ifndef ATTNSCOPE_CLI_END_TOKENS_H
#define ATTNSCOPE_CLI_END_TOKENS_H

#include "cli/session.h"

enum { MAX_END_TOKENS = 64 };

/* Each once. */
typedef struct end_tokens {
    int32_t id[MAX_END_TOKENS];
    int n;
} end_tokens;

/* Any token that the tokenizer or the configuration says ends a text: eos_token_id of generation_config.json where it
 * names any, else of config.json; of GGUF the end of sequence and of turn. */
int end_tokens_find(end_tokens *set, const loaded_model *lm, err *e);
bool is_end_token(const end_tokens *set, int32_t id);

#endif
