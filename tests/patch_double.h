/* What the tests of patching share: lists of places, and a small decoder with a second implementation in double, in which
 * every array can be changed by hand.  Uses cmocka's asserts. */
#ifndef ATTNSCOPE_TESTS_PATCH_DOUBLE_H
#define ATTNSCOPE_TESTS_PATCH_DOUBLE_H

#include "tests/model_run.h"
#include "analysis/experiments/path_patch.h"
#include "tests/tiny_model.h"

typedef struct site_list { int n; patch_site at[512]; } site_list;

static inline int take_site(void *ud, const patch_site *at, err *e)
{
    site_list *s = ud;
    (void)e;
    assert_in_range(s->n, 0, 511);
    s->at[s->n++] = *at;
    return 0;
}

static inline void near(double ours, double want, double gate, const char *what)
{
    if (!(fabs(ours - want) <= gate * (1 + fabs(want))))
        fail_msg("%s: %.12g, wanted %.12g", what, ours, want);
}

/* ---- a decoder of three layers, and the same in double ---- */

enum { C = TINY_WIDTH, H = TINY_HEADS, D = C / H, V = TINY_VOCAB, L = 3, N = 7 };

typedef struct decoder_case { tiny_model t; runtime *r; } decoder_case;

static inline void case_new(decoder_case *c)
{
    err e = {0};
    tiny_new(&c->t, TINY_DECODER);
    c->t.m.main = tiny_stack(&c->t, 0, ATTN_SELF, EMBED_TOKENS, L, false);
    for (int l = 0; l < L; l++) {
        c->t.layers[0][l].self.plan.scale = 0.5f;
        c->t.layers[0][l].at_self.pre.w = tiny_numbers(&c->t, C, 1);
    }
    assert_int_equal(runtime_new(&c->r, &c->t.m, 2, PRECISION_F32, &e), 0);
}

static inline void case_free(decoder_case *c)
{
    runtime_free(c->r);
    tiny_free(&c->t);
}

/* One run; members are what a replacement may change. */
typedef struct run_double {
    double x[L + 1][N][C], attn[L][N][C], mlp[L][N][C], z[L][N][C], q[L][N][C], k[L][N][C], v[L][N][C], p[L][H][N][N];
    double scale[L + 1][N];  /* what the norm divides by */
    double logits[N][V];
} run_double;

/* Called when an array is complete: changes it. */
typedef void (*change_fn)(void *ud, run_double *r, patch_what what, int layer);

static inline double cell_of(const weight *w, int64_t row, int64_t col)
{
    return (double)((const float *)w->data)[row * w->ld + col];
}

static inline void product(double *y, const weight *w, const double *x)
{
    for (int64_t i = 0; i < w->n_out; i++) {
        y[i] = 0;
        for (int64_t k = 0; k < w->n_in; k++)
            y[i] += cell_of(w, i, k) * x[k];
    }
}

static inline double rms(double *y, const norm *n, const double *x)
{
    double sum = 0;
    for (int i = 0; i < C; i++)
        sum += x[i] * x[i];
    double s = sqrt(sum / C + (double)n->eps);
    for (int i = 0; i < C; i++)
        y[i] = x[i] / s * (n->w ? (double)n->w[i] : 1);
    return s;
}

static inline void attend_double(run_double *r, const model_layer *y, int l, change_fn change, void *ud)
{
    double in[C];
    for (int t = 0; t < N; t++) {
        r->scale[l][t] = rms(in, &y->at_self.pre, r->x[l][t]);
        product(r->q[l][t], &y->self.q, in);
        product(r->k[l][t], &y->self.k, in);
        product(r->v[l][t], &y->self.v, in);
    }
    change(ud, r, PATCH_Q, l);
    change(ud, r, PATCH_K, l);
    change(ud, r, PATCH_V, l);
    for (int h = 0; h < H; h++)
        for (int t = 0; t < N; t++) {
            double sum = 0;
            for (int s = 0; s < N; s++) {
                double score = 0;
                for (int d = 0; d < D; d++)
                    score += r->q[l][t][h * D + d] * r->k[l][s][h * D + d];
                r->p[l][h][t][s] = s <= t ? exp((double)y->self.plan.scale * score) : 0;
                sum += r->p[l][h][t][s];
            }
            for (int s = 0; s < N; s++)
                r->p[l][h][t][s] /= sum;
        }
    change(ud, r, PATCH_PATTERN, l);
    for (int t = 0; t < N; t++)
        for (int i = 0; i < C; i++) {
            r->z[l][t][i] = 0;
            for (int s = 0; s <= t; s++)
                r->z[l][t][i] += r->p[l][i / D][t][s] * r->v[l][s][i];
        }
    change(ud, r, PATCH_Z, l);
    for (int t = 0; t < N; t++)
        product(r->attn[l][t], &y->self.out, r->z[l][t]);
    change(ud, r, PATCH_ATTN_OUT, l);
}

static inline void run_in_double(run_double *r, const decoder_case *c, const int32_t *ids, change_fn change, void *ud)
{
    const stack *s = c->t.m.main;
    double in[C], mid[C];
    for (int t = 0; t < N; t++)
        for (int i = 0; i < C; i++)
            r->x[0][t][i] = cell_of(&s->embed.tokens, ids[t], i) + cell_of(&s->embed.positions, t, i);
    for (int l = 0; l < L; l++) {
        const model_layer *y = &s->layers[l];
        change(ud, r, PATCH_RESID, l);
        attend_double(r, y, l, change, ud);
        for (int t = 0; t < N; t++) {
            double x[C];
            for (int i = 0; i < C; i++)
                x[i] = r->x[l][t][i] + r->attn[l][t][i];
            rms(in, &y->at_mlp.pre, x);
            product(mid, &y->mlp.up, in);
            for (int i = 0; i < C; i++)
                mid[i] = mid[i] > 0 ? mid[i] : 0;
            product(r->mlp[l][t], &y->mlp.down, mid);
        }
        change(ud, r, PATCH_MLP_OUT, l);
        for (int t = 0; t < N; t++)
            for (int i = 0; i < C; i++)
                r->x[l + 1][t][i] = r->x[l][t][i] + r->attn[l][t][i] + r->mlp[l][t][i];
    }
    for (int t = 0; t < N; t++) {
        r->scale[L][t] = rms(in, &s->final_norm, r->x[L][t]);
        product(r->logits[t], &c->t.m.head.unembedding, in);
    }
}

static inline void no_change(void *ud, run_double *r, patch_what what, int layer)
{
    (void)ud;
    (void)r;
    (void)what;
    (void)layer;
}

static inline double (*array_of(run_double *r, patch_what what, int l))[C]
{
    switch (what) {
    case PATCH_RESID: return r->x[l];
    case PATCH_ATTN_OUT: return r->attn[l];
    case PATCH_MLP_OUT: return r->mlp[l];
    case PATCH_Z: return r->z[l];
    case PATCH_Q: return r->q[l];
    case PATCH_K: return r->k[l];
    case PATCH_V: return r->v[l];
    case PATCH_PATTERN: case PATCH_WHATS: break;
    }
    return NULL;
}

static const int32_t clean_ids[N] = {1, 5, 9, 5, 3, 11, 7}, corrupted_ids[N] = {1, 8, 9, 2, 3, 11, 7};
static const int32_t wrong_ids[2] = {4, 13};
static const patch_pair tiny_pair = {.clean = clean_ids, .corrupted = corrupted_ids, .n = N, .position = N - 1, .answer = 6,
                                     .wrong = wrong_ids, .n_wrong = 2};

static inline double difference(const run_double *r, const patch_pair *p)
{
    double sum = 0;
    for (int i = 0; i < p->n_wrong; i++)
        sum += r->logits[p->position][p->wrong[i]];
    return r->logits[p->position][p->answer] - sum / p->n_wrong;
}

#endif
