#include "analysis/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/activation.h"
#include "base/mem.h"

typedef struct step {
    const attn_args *a;
    int slots, n_chunk;
    double *states;     /* [slots, n_chunk, n] sums over the queries of a chunk; row sums: [slots, n] of all chunks */
    const double *from; /* [n] weight of each query, its row's division done */
    double *to;         /* [n] */
} step;

static int begin(step *s, runtime *run, const attn_args *a, int copies, err *e)
{
    size_t cells;
    *s = (step){.a = a, .slots = attn_heads_in_flight(runtime_threads(run), a->n_head, a->n_query),
                .n_chunk = attn_chunks(a->n_query)};
    if (!size_mul(&cells, (size_t)s->slots * (size_t)(copies ? s->n_chunk : 1), (size_t)a->n_key)) {
        err_nomem(e, "rollout");
        return ERR_RESOURCE;
    }
    s->states = mem_array(cells, sizeof *s->states, e);
    return s->states ? 0 : ERR_RESOURCE;
}

/* ---- sums of rows, where a learned sink takes a part of them ---- */

static void add_row_sums(void *ud, const attn_rows *r)
{
    const step *s = ud;
    double *sum = s->states + (int64_t)(r->head % s->slots) * s->a->n_key;
    for (int64_t i = 0; i < r->n_query; i++)
        sum[r->q0 + i] = r->visible_lo[i] < r->visible_hi[i] ? 1 - (r->sink ? (double)r->sink[i] : 0) : 0;
}

static int row_sums_done(void *ud, int layer, int head0, int head1, err *e)
{
    const step *s = ud;
    (void)layer;
    (void)e;
    for (int h = head0; h < head1; h++)
        for (int64_t i = 0; i < s->a->n_query; i++)
            s->to[i] += s->states[(int64_t)(h % s->slots) * s->a->n_key + i] / s->a->n_head;
    return 0;
}

/* sum [n]: of the rows of M. */
static int row_sums(runtime *run, const attn_args *a, double *sum, err *e)
{
    step s;
    int64_t lo, hi;
    memset(sum, 0, (size_t)a->n_query * sizeof *sum);
    for (int64_t i = 0; i < a->n_query && !a->sinks; i++) {
        attn_visible(a, i, &lo, &hi);
        sum[i] = lo < hi;
    }
    if (!a->sinks)
        return 0;
    int rc = begin(&s, run, a, 0, e);
    s.to = sum;
    const attn_tap tap = {.need = ATTN_NEED_LSE, .rows = add_row_sums, .heads_done = row_sums_done, .ud = &s};
    if (!rc)
        rc = runtime_attention(run, a, &tap, e);
    free(s.states);
    return rc;
}

/* ---- one layer down ---- */

static void add_tile(void *ud, const attn_tile *t)
{
    const step *s = ud;
    double *to = s->states + ((int64_t)(t->head % s->slots) * s->n_chunk + t->chunk) * s->a->n_key;
    const double *from = s->from + t->q0;
    for (int64_t k = 0; k < t->n_key; k++) {
        const float *p = t->probs + k * t->k_stride;
        double sum = 0;
        for (int64_t q = 0; q < t->n_query; q++)
            sum += from[q] * (double)p[q * t->q_stride];
        to[t->k0 + k] += sum;
    }
}

static int tiles_done(void *ud, int layer, int head0, int head1, err *e)
{
    const step *s = ud;
    int64_t n = s->a->n_key;
    (void)layer;
    (void)e;
    for (int h = head0; h < head1; h++)
        for (int chunk = 0; chunk < s->n_chunk; chunk++) {
            double *state = s->states + ((int64_t)(h % s->slots) * s->n_chunk + chunk) * n;
            for (int64_t k = 0; k < n; k++)
                s->to[k] += state[k];
            memset(state, 0, (size_t)n * sizeof *state);
        }
    return 0;
}

/* What a row of M_l is divided by. */
static double divisor(double sum, bool residual)
{
    return residual ? sum + 1 : sum > 0 ? sum : 1;
}

int rollout_step(runtime *run, const attn_args *a, bool residual, double *r, err *e)
{
    int64_t n = a->n_query;
    step s = {0};
    double *from = mem_array((size_t)n, sizeof *from, e), *to = mem_array((size_t)n, sizeof *to, e);
    double *sum = mem_array((size_t)n, sizeof *sum, e);
    int rc = from && to && sum ? row_sums(run, a, sum, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++)
        from[i] = r[i] / divisor(sum[i], residual) / a->n_head;
    if (!rc)
        rc = begin(&s, run, a, 1, e);
    s.from = from;
    s.to = to;
    const attn_tap tap = {.need = ATTN_NEED_PROBS, .tile = add_tile, .heads_done = tiles_done, .ud = &s};
    if (!rc)
        rc = runtime_attention(run, a, &tap, e);
    for (int64_t i = 0; i < n && !rc; i++)
        r[i] = to[i] + (residual ? r[i] / divisor(sum[i], true) : 0);
    free(s.states);
    free(from);
    free(to);
    free(sum);
    return rc;
}

int rollout_uniform_step(const attn_args *a, bool residual, double *r, err *e)
{
    int64_t n = a->n_query, lo, hi, rows = 0;
    double *change = mem_array((size_t)n + 1, sizeof *change, e), sum = 0;
    int64_t *opened = mem_array((size_t)n + 1, sizeof *opened, e);
    int rc = change && opened ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++) {
        attn_visible(a, i, &lo, &hi);
        if (lo >= hi || r[i] == 0)
            continue;
        double part = r[i] / (residual ? 2 : 1) / (double)(hi - lo);
        change[lo] += part;
        change[hi] -= part;
        opened[lo]++;
        opened[hi]--;
    }
    for (int64_t i = 0; i < n && !rc; i++) {
        attn_visible(a, i, &lo, &hi);
        rows += opened[i];
        sum = rows ? sum + change[i] : 0; /* a key that no row sees gets nothing, not what rounding leaves */
        r[i] = sum + (residual ? r[i] / (lo < hi ? 2 : 1) : 0);
    }
    free(change);
    free(opened);
    return rc;
}

/* ---- the matrix ---- */

/* By panels: they bring all heads of a query at once, so that no two threads write one row. */
typedef struct matrix_job { float *b; int64_t n; int n_head; } matrix_job;

static void add_panels(void *ud, const attn_panels *p)
{
    const matrix_job *j = ud;
    for (int i = 0; i < p->n_query; i++)
        for (int64_t k = 0; k < p->n_key; k++) {
            double sum = 0;
            for (int h = 0; h < p->n_head; h++)
                sum += (double)p->probs[h * p->h_stride + k * p->k_stride + i];
            j->b[(p->q0 + i) * j->n + k] = (float)(sum / p->n_head);
        }
}

int rollout_matrix(runtime *run, const attn_args *a, bool residual, float *b, err *e)
{
    int64_t n = a->n_query;
    const matrix_job j = {b, n, a->n_head};
    memset(b, 0, (size_t)(n * n) * sizeof *b);
    int rc = runtime_attention_panels(run, a, 1, add_panels, (void *)(uintptr_t)&j, e);
    for (int64_t i = 0; i < n && !rc; i++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++)
            sum += (double)b[i * n + k];
        double by = divisor(sum, residual);
        for (int64_t k = 0; k < n; k++)
            b[i * n + k] = (float)(((double)b[i * n + k] + (residual && k == i)) / by);
    }
    return rc;
}

/* ---- output positions ---- */

static int add_position(double *out, const char *word, size_t len, const metric_ctx *c, const char *option, err *e)
{
    char text[24];
    int64_t at;
    snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : 0), word);
    if (!parse_int(&at, text)) {
        err_set(e, ERR_USAGE, "%s: '%.*s' is not a position", option, (int)(len < 40 ? len : 40), word);
        return err_hint(e, "give whole numbers separated by commas, \"all\" or \"auto\"");
    }
    if (at < -c->n || at >= c->n) {
        err_set(e, ERR_USAGE, "%s: position %s is outside the prompt (%lld token%s)", option, text, (long long)c->n,
                c->n == 1 ? "" : "s");
        return err_hint(e, "positions go from 0 to %lld, or from -1 (the last) to -%lld", (long long)(c->n - 1),
                        (long long)c->n);
    }
    out[at < 0 ? at + c->n : at] = 1;
    return 0;
}

int rollout_outputs(double *out, const metric_ctx *c, const char *option, err *e)
{
    const char *list = params_str(c->p, option);
    double sum = 0;
    int rc = 0;
    memset(out, 0, (size_t)c->n * sizeof *out);
    if (strcmp(list, "auto") == 0)
        out[c->kind == ATTN_SELF ? c->n - 1 : 0] = 1;
    else if (strcmp(list, "all") == 0)
        for (int64_t i = 0; i < c->n; i++)
            out[i] = 1;
    else
        for (const char *word = list; !rc;) {
            size_t len = strcspn(word, ",");
            rc = add_position(out, word, len, c, option, e);
            if (word[len] == '\0')
                break;
            word += len + 1;
        }
    for (int64_t i = 0; i < c->n; i++)
        sum += out[i];
    for (int64_t i = 0; i < c->n && !rc; i++)
        out[i] /= sum;
    return rc;
}
