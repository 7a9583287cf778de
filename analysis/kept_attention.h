/* The attentions of all layers of a stack, kept while a prompt passes by: queries and keys, from which any block of
 * weights can be formed again.  For what must go through the layers in another order than the run does. */
#ifndef ATTNSCOPE_ANALYSIS_KEPT_ATTENTION_H
#define ATTNSCOPE_ANALYSIS_KEPT_ATTENTION_H

#include "analysis/metric.h"

/* Memory: [n, H d_qk] and [n, Hkv d_qk] floats a layer. */
typedef struct kept_attention {
    int n_layer;
    attn_args *layer;   /* [n_layer] for runtime_attention; q NULL: none was kept */
    float **data;       /* [n_layer] what they point into */
} kept_attention;

int kept_attention_new(kept_attention **out, int n_layer, err *e);
void kept_attention_free(kept_attention *k);
/* The callback `inputs` of a metric.  ERR_USAGE where weights are edited: formed again, they would not be those of the
 * run. */
int kept_attention_add(kept_attention *k, const attn_args *a, const char *who, err *e);
/* Why a stack cannot be followed from top to bottom by its attention: see metric.unfit. */
const char *kept_attention_unfit(const model *m, attn_kind kind);

#endif
