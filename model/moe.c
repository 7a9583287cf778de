/* Mixture of experts over a block of rows: router, choice, and each expert over the rows that chose it.
 *
 * Sources: Mixtral (Jiang et al., arXiv 2401.04088), Qwen-MoE, OLMoE: softmax over all experts, the best
 * n_used, renormalised or not; DeepSeek-V2 and V3 (2405.04434, 2412.19437): choice within groups, sigmoid
 * scores with a bias for the choice alone; GPT-OSS: softmax over the chosen.
 *
 * What a row gets depends on that row alone: its experts add to it in the order of their numbers. */
#include <math.h>
#include <string.h>

#include "compute/kernels.h"
#include "model/runtime.h"

enum { SLICE = 16 };

static void softmax(float *x, int n)
{
    float max = x[0], sum = 0;
    for (int i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int i = 0; i < n; i++)
        sum += x[i] = expf(x[i] - max);
    for (int i = 0; i < n; i++)
        x[i] /= sum;
}

/* The expert of the largest score that is not taken yet; the first among equals, also where all are NaN. */
static int best(const float *score, const bool *taken, int n)
{
    int at = -1;
    for (int i = 0; i < n; i++)
        if (!taken[i] && (at < 0 || score[i] > score[at]))
            at = i;
    return at;
}

/* Experts outside the best groups are out of the question. */
static void keep_groups(const moe *m, float *score)
{
    int size = m->n_expert / m->n_group;
    float value[MOE_MAX_EXPERTS];
    bool taken[MOE_MAX_EXPERTS] = {false};
    for (int g = 0; g < m->n_group; g++) {
        const float *s = score + (size_t)g * (size_t)size;
        float first = s[0], second = -INFINITY;
        for (int i = 1; i < size; i++) {
            if (s[i] > first) {
                second = first;
                first = s[i];
            } else if (s[i] > second) {
                second = s[i];
            }
        }
        value[g] = m->group_rule == MOE_GROUP_TOP2 && size > 1 ? first + second : first;
    }
    for (int i = 0; i < m->n_group_used; i++)
        taken[best(value, taken, m->n_group)] = true;
    for (int g = 0; g < m->n_group; g++)
        for (int i = 0; i < size && !taken[g]; i++)
            score[(size_t)g * (size_t)size + (size_t)i] = -INFINITY;
}

/* Choose for one row: scores [n_expert] become shares of the chosen ones, in the order of choice. */
static void choose(const moe *m, float *score, int *chosen, float *share)
{
    float wish[MOE_MAX_EXPERTS];
    bool taken[MOE_MAX_EXPERTS] = {false};
    int n = m->n_expert;
    if (m->score == MOE_SOFTMAX)
        softmax(score, n);
    else if (m->score == MOE_SIGMOID)
        for (int i = 0; i < n; i++)
            score[i] = 1 / (1 + expf(-score[i]));
    for (int i = 0; i < n; i++)
        wish[i] = m->choice_bias ? score[i] + m->choice_bias[i] : score[i];
    if (m->group_rule != MOE_GROUP_NONE)
        keep_groups(m, wish);
    float sum = 0;
    for (int i = 0; i < m->n_used; i++) {
        chosen[i] = best(wish, taken, n);
        taken[chosen[i]] = true;
        share[i] = score[chosen[i]];
        sum += share[i];
    }
    if (m->score == MOE_SOFTMAX_OF_CHOSEN)
        softmax(share, m->n_used);
    for (int i = 0; i < m->n_used; i++) {
        if (m->normalise)
            share[i] /= sum + m->normalise_eps;
        share[i] *= m->scale;
    }
}

/* Work on a block of rows that is shared out to the threads, SLICE rows an item. */
typedef struct moe_job {
    const moe *m;
    const kernels *k;
    int64_t n, width;
    const float *in;        /* [.., width] */
    float *out;             /* [.., width] */
    const int *row;         /* [n] rows of the larger side; NULL: all of them in order */
    const float *share;     /* [n] */
    float *scores, *shares; /* [n, n_expert], [n, n_used] */
    int *chosen;            /* [n, n_used] */
} moe_job;

static void over_slices(runtime *r, moe_job *j, pool_fn fn)
{
    pool_run(r->pool, (j->n + SLICE - 1) / SLICE, fn, j);
}

#define EACH_ROW(j, item, i)                                                                                 \
    (void)thread;                                                                                            \
    for (int64_t i = (item)*SLICE; i < (j)->n && i < ((item) + 1) * SLICE; i++)

static void choose_slice(void *ud, int64_t item, int thread)
{
    const moe_job *j = ud;
    EACH_ROW(j, item, i)
    choose(j->m, j->scores + i * j->m->n_expert, j->chosen + i * j->m->n_used, j->shares + i * j->m->n_used);
}

static void gather_slice(void *ud, int64_t item, int thread)
{
    const moe_job *j = ud;
    EACH_ROW(j, item, i)
    memcpy(j->out + i * j->width, j->in + j->row[i] * j->width, (size_t)j->width * sizeof *j->in);
}

static void add_slice(void *ud, int64_t item, int thread)
{
    const moe_job *j = ud;
    EACH_ROW(j, item, i)
    j->k->add_scaled(j->out + (j->row ? j->row[i] : i) * j->width, j->in + i * j->width, j->share[i],
                     j->width);
}

/* The rows that chose expert e, one after another, through it, and back with their shares. */
static void expert_rows(pass *a, const moe *m, int e, const float *shares, const float *in, float *out,
                        int64_t rows)
{
    runtime *r = a->r;
    int row[RUNTIME_ROWS];
    float share[RUNTIME_ROWS];
    moe_job j = {.k = kernels_get(), .width = a->s->width, .row = row, .share = share};
    for (int64_t i = 0; i < rows; i++)
        for (int u = 0; u < m->n_used; u++)
            if (r->chosen[i * m->n_used + u] == e) {
                row[j.n] = (int)i;
                share[j.n++] = shares[i * m->n_used + u];
                break; /* once a row, also where a cancelled choice left anything */
            }
    if (!j.n)
        return;
    const float *read = in;
    if (j.n < rows) {
        j.in = in;
        j.out = r->buf[BUF_EXPERT];
        read = j.out;
        over_slices(r, &j, gather_slice);
    }
    mlp_rows(a, &m->experts[e], read, j.width, r->buf[BUF_EXPERT_2], j.n);
    j.in = r->buf[BUF_EXPERT_2];
    j.out = out;
    over_slices(r, &j, add_slice);
}

static void shared_rows(pass *a, const moe *m, const float *in, float *out, int64_t rows)
{
    runtime *r = a->r;
    int64_t width = a->s->width;
    float *made = r->buf[BUF_EXPERT], *share = r->buf[BUF_ROUTER];
    mlp_rows(a, &m->shared, in, width, made, rows);
    if (!m->shared_gate.data) {
        rows_add(r, out, width, made, width, rows, width);
        return;
    }
    rows_linear(r, share, 1, in, width, rows, &m->shared_gate, a->decoding);
    rows_activate(r, ACT_SIGMOID, share, 1, NULL, 0, rows, 1);
    moe_job j = {.k = kernels_get(), .n = rows, .width = width, .in = made, .out = out, .share = share};
    over_slices(r, &j, add_slice);
}

void moe_rows(pass *a, const moe *m, const float *in, float *out, int64_t rows)
{
    runtime *r = a->r;
    int64_t width = a->s->width;
    float *scores = r->buf[BUF_ROUTER], *shares = scores + rows * m->n_expert;
    moe_job j = {.m = m, .n = rows, .scores = scores, .shares = shares, .chosen = r->chosen};
    rows_linear(r, scores, m->n_expert, in, width, rows, &m->router, a->decoding);
    over_slices(r, &j, choose_slice);
    memset(out, 0, (size_t)rows * (size_t)width * sizeof *out);
    for (int e = 0; e < m->n_expert; e++)
        expert_rows(a, m, e, shares, in, out, rows);
    if (m->has_shared)
        shared_rows(a, m, in, out, rows);
}
