#include "analysis/logit_weights.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/activation.h"
#include "analysis/spectral.h"
#include "analysis/weight_gram.h"
#include "base/mem.h"

bool logits_bilinear(const attention_block *b)
{
    return !b->mla && b->q_norm.kind == NORM_NONE && b->k_norm.kind == NORM_NONE && !(b->clip > 0);
}

typedef struct norm_job {
    const attn_plan *p;
    logit_norm_options o;
    double *q, *k;          /* [n_head, d, d], [n_kv_head, d, d] */
    double *norms;
    err *errors;            /* [n_head] */
} norm_job;

static void norm_of_head(void *ud, int64_t head, int thread)
{
    const norm_job *j = ud;
    int64_t d = j->p->d_qk, kv = head / (j->p->n_head / j->p->n_kv_head);
    const double *q = j->q + head * d * d, *k = j->k + kv * d * d;
    double top = 0, top_k = 1;
    (void)thread;
    if (spectral_top_of(&top, q, j->o.apart ? NULL : k, d, &j->errors[head]) == 0 && j->o.apart)
        spectral_top_of(&top_k, k, NULL, d, &j->errors[head]);
    j->norms[head] = (double)j->p->scale * sqrt(top) * sqrt(top_k);
}

int logit_norms(double *norms, runtime *r, const attention_block *b, logit_norm_options o, err *e)
{
    const attn_plan *p = &b->plan;
    norm_job j = {.p = p, .o = o, .norms = norms};
    int rc;
    if (!(j.errors = mem_array((size_t)p->n_head, sizeof *j.errors, e)))
        return ERR_RESOURCE;
    if (!(rc = gram_of_outputs(&j.q, r, &b->q, p->n_head, p->d_qk, o.with_bias, e)) &&
        !(rc = gram_of_outputs(&j.k, r, &b->k, p->n_kv_head, p->d_qk, o.with_bias, e)))
        rc = share_out(r, p->n_head, norm_of_head, &j, e);
    for (int h = 0; h < p->n_head && !rc; h++)
        if (j.errors[h].code) {
            *e = j.errors[h];
            rc = e->code;
        }
    free(j.errors);
    free(j.q);
    free(j.k);
    return rc;
}
