/* Queries, keys and values of latent attention (DeepSeek-V2, Liu et al., arXiv 2405.04434, section 2.1): the
 * keys' and values' heads are made from one short vector, and one rotated key part is shared by all heads.
 * They are spelled out here: the attention that follows is the ordinary one, with d_v != d_qk. */
#include <string.h>

#include "model/runtime.h"

/* Rows of k: [d_nope of head 0, shared part, d_nope of head 1, shared part, ...]. */
static void assemble_keys(const attention_block *b, const float *nope, const float *shared, int64_t ld_shared, float *k,
                          int64_t rows)
{
    const latent *l = b->mla;
    int64_t heads = b->plan.n_head;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t h = 0; h < heads; h++) {
            float *key = k + (i * heads + h) * b->plan.d_qk;
            memcpy(key, nope + (i * heads + h) * l->d_nope, (size_t)l->d_nope * sizeof *key);
            memcpy(key + l->d_nope, shared + i * ld_shared, (size_t)l->d_rope * sizeof *key);
        }
}

void project_latent(pass *a, const attention_block *b, const float *in, int64_t row, int64_t rows, float *k, float *v)
{
    const latent *l = b->mla;
    const attn_plan *p = &b->plan;
    runtime *r = a->r;
    int64_t width = a->s->width, ldq = (int64_t)p->n_head * p->d_qk, ldv = (int64_t)p->n_head * p->d_v;
    int64_t low = l->kv_rank + l->d_rope;
    float *short_q = r->buf[BUF_LOW], *short_kv = r->buf[BUF_LOW], *nope = r->buf[BUF_LOW_2];
    float *q = r->buf[BUF_Q] + row * ldq;

    if (l->q_down.data) {
        int64_t rank = l->q_down.n_out;
        rows_linear(r, short_q, rank, in, width, rows, &l->q_down, a->decoding);
        rows_norm(r, &l->q_norm, short_q, rank, short_q, rank, rows, rank);
        rows_linear(r, q, ldq, short_q, rank, rows, &b->q, a->decoding);
        rows_linear(r, short_kv, low, in, width, rows, &l->kv_down, a->decoding);
    } else {
        rows_maps(r, (gemm_map[]){{&b->q, q, ldq}, {&l->kv_down, short_kv, low}}, 2, in, width, rows, a->decoding);
    }
    rows_norm(r, &l->kv_norm, short_kv, low, short_kv, low, rows, l->kv_rank);
    rows_maps(r, (gemm_map[]){{&l->k_up, nope, (int64_t)p->n_head * l->d_nope}, {&l->v_up, v + row * ldv, ldv}}, 2, short_kv, low,
              rows, a->decoding);
    assemble_keys(b, nope, short_kv + l->kv_rank, low, k + row * ldq, rows);
}
