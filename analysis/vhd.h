/* How much each head's output depends on a part of the context: vision-aware head divergence (He et al., ACL 2025,
 * arXiv 2412.13949), for any span.
 *
 * VHD = | a(with) - a(without) | of the outputs a = A V of a head, before the output projection, at one position of two
 * runs: of the whole prompt, and of the prompt without the span.  The official code was not read; that a is the output
 * before the projection, k and the sum over layers are as third parties have them. */
#ifndef ATTNSCOPE_ANALYSIS_VHD_H
#define ATTNSCOPE_ANALYSIS_VHD_H

#include <stdbool.h>
#include "model/forward.h"

typedef struct vhd_head {
    double divergence;        /* | a(with) - a(without) |, Euclidean */
    double with, without;     /* | a | */
    bool outlier;             /* divergence and |a(without)| both above mean + standard deviation (of n) of the layer */
    bool above_median;        /* divergence above the layer's median, outliers counting as 0: heads to reinforce */
} vhd_head;

typedef struct vhd {
    attn_kind kind;
    int n_layer, most_head;
    int *n_head;              /* [n_layer]; 0: the layer has no heads (delta rule) */
    int64_t n_at;
    vhd_head *heads;          /* [n_at][n_layer][most_head] */
    double *total;            /* [n_at] T-VHD: sum over layers of the top_k largest divergences, outliers 0 */
} vhd;

/* Self attention of the main stack at positions at_with [n_at] of one input and at_without [n_at] of the other, both
 * increasing.  top_k >= 1.  vhd_free() it, also after an error. */
int vhd_measure(vhd *out, runtime *r, const model *m, const model_input *with, const model_input *without,
                const int64_t *at_with, const int64_t *at_without, int64_t n_at, int top_k, const progress *p, err *e);
void vhd_free(vhd *v);

static inline const vhd_head *vhd_at(const vhd *v, int64_t at, int layer, int head)
{
    return &v->heads[(at * v->n_layer + layer) * v->most_head + head];
}

#endif
