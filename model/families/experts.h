/* What families with experts share: reading their numbers, putting them into layers, binding them. */
#ifndef ATTNSCOPE_MODEL_FAMILIES_EXPERTS_H
#define ATTNSCOPE_MODEL_FAMILIES_EXPERTS_H

#include "model/families/decoder.h"

typedef struct expert_shape {
    int64_t n_expert, n_used;
    int64_t inner;           /* MLP width of an expert */
    int64_t shared_inner;    /* of the shared expert; 0: none */
} expert_shape;

/* Read into *s, which holds the family's defaults, the numbers of experts under all their spellings, and their
 * widths: moe_intermediate_size, shared_expert_intermediate_size; in GGUF the feed_forward_length keys of
 * experts, else the shapes of the stacked tensors.  The keys are in the lists below. */
int experts_read(model *m, expert_shape *s, const char *arch, err *e);
extern const char *const experts_meta_keys[];

/* Give a layer experts like `like` (the rule of choice; the numbers come from s), with the activation of the
 * MLP that they replace. */
int experts_add(model *m, int layer, const moe *like, const expert_shape *s, err *e);
/* All layers but those that config.json says keep an MLP: mlp_only_layers, and with decoder_sparse_step n
 * every n-th (the last of each group) has experts.  GGUF: all layers. */
int experts_add_sparse(model *m, const moe *like, const expert_shape *s, err *e);
/* After the last of them: the stack's widest MLP. */
void experts_measure(model *m);

/* Names; %d is the layer, %e the expert.  Experts are stored one by one or stacked along a first dimension:
 * bound is what the checkpoint has. */
typedef struct expert_names {
    const char *router;              /* without ".weight" and ".bias" */
    const char *choice_bias;         /* the whole name; NULL: none */
    const char *gate, *up, *down;    /* one by one, without ".weight" */
    const char *gate_up_stack;       /* whole names: [E, 2 F, C], gate rows, then up rows */
    const char *gate_stack, *up_stack, *down_stack; /* [E, F, C], [E, F, C], [E, C, F] */
    const char *gate_bias, *up_bias, *down_bias;    /* of stacks: [E, F], [E, F], [E, C]; NULL: none */
    const char *shared_gate, *shared_up, *shared_down; /* without ".weight" */
    const char *shared_switch;       /* [1, C] or [C], without ".weight": sigmoid gate on the shared expert */
} expert_names;

/* The names of Qwen's models, which others took over, and those of GGUF. */
extern const expert_names expert_names_qwen, expert_names_gguf;

/* Bind one layer's experts; nothing where the layer has none. */
int experts_bind_layer(model *m, int layer, const expert_names *n, err *e);
int experts_bind(model *m, const expert_names *n, err *e);
/* Router, choice bias and shared expert only. */
int experts_bind_router(model *m, int layer, const expert_names *n, err *e);

/* Rows first .. first + n_out - 1 of a map that is stored row by row. */
weight experts_rows(const weight *all, int64_t first, int64_t n_out);

#endif
