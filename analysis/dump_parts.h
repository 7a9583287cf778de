/* Between dump.c and dump_hooks.c: a run that is written as it passes. */
#ifndef ATTNSCOPE_ANALYSIS_DUMP_PARTS_H
#define ATTNSCOPE_ANALYSIS_DUMP_PARTS_H

#include "analysis/analyse.h"
#include "base/npz.h"

enum { DUMP_PARTS = PART_MLP + 1, DUMP_MAX_NAMES = 64 };

typedef struct dump {
    const model *m;
    npz_writer *w;
    const model_input *in;
    const dump_choice *choice;
    input_lengths n;
    float *probs;      /* [in_flight, n_query, n_key]: heads that are worked on; zero outside the visible keys */
    int in_flight[ATTN_VISION + 1];
    attn_site site;    /* the attention that runs */
    attn_tap tap;
    /* Names of TransformerLens: what the sublayers of a layer add [n, C], until the layer is done. */
    float *stream;     /* [n, C] what the layer reads */
    float *part[DUMP_PARTS];
    bool there[DUMP_PARTS];
    uint64_t met;      /* bits of the words of choice->hooks that named an array */
} dump;

/* Is an array of this name asked for? */
bool dump_wants(dump *d, const char *name);
/* "blocks.3." and what follows. */
void dump_hook_name(char out[64], int layer, const char *rest);

/* Refused: models of several stacks, or without tokens.  Room for the parts. */
int dump_hooks_begin(dump *d, err *e);
/* Members of an observer. */
int dump_hooks_inputs(void *ud, const model *m, const attn_args *a, err *e);
int dump_hooks_heads(void *ud, const head_outputs *h, err *e);
int dump_hooks_added(void *ud, const part_rows *p, err *e);
int dump_hooks_inner(void *ud, const part_rows *p, err *e);
int dump_hooks_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e);
/* WHICH.hook_scale [1, n, 1] and WHICH.hook_normalized [1, n, C] of a norm that reads x [n, C]; none of a norm that is none. */
int dump_hooks_norm(dump *d, const char *which, const norm *by, const float *x, int64_t n, int64_t width, err *e);
/* hook_embed and, with learned positions, hook_pos_embed, whose sum x [n, C] is; none where x is more than that sum. */
int dump_hooks_embed(dump *d, const float *x, int64_t width, err *e);
/* Every word of choice->hooks must have named an array. */
int dump_hooks_end(const dump *d, err *e);
void dump_hooks_free(dump *d);

#endif
