/* What DeepSeek's families share: latent attention and experts chosen within groups. */
#ifndef ATTNSCOPE_MODEL_FAMILIES_DEEPSEEK_H
#define ATTNSCOPE_MODEL_FAMILIES_DEEPSEEK_H

#include "model/families/experts.h"

typedef struct deepseek_shape {
    int64_t q_rank;          /* 0: queries come from x directly */
    int64_t kv_rank, nope, rope, value;
    rope_kind kind;
    int64_t first_sparse;    /* layers before it keep an MLP */
    int64_t every;           /* of the others, those whose number it divides have experts */
    moe rule;
} deepseek_shape;

/* Keys of config.json that both families read, NULL-terminated. */
extern const char *const deepseek_keys[];

/* Read config.json: d holds the family's defaults, and rule.score; the family has read the rule of groups. */
int deepseek_configure(model *m, deepseek_shape *d, err *e);
/* GGUF architecture "deepseek2", which is both V2 and V3. */
int deepseek_configure_gguf(model *m, err *e);
int deepseek_bind(model *m, err *e);
/* n_group and topk_group. */
int deepseek_read_groups(const model *m, moe *rule, err *e);
/* A key that may hold nothing but this word. */
int deepseek_expect(const model *m, const char *key, const char *word, err *e);

#endif
