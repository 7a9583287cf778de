#include "analysis/drift.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/lens.h"
#include "analysis/loss.h"
#include "base/cancel.h"
#include "base/mem.h"

/* ---- shapes ---- */

static int differ(const model *a, const model *b, const char *what, int64_t first, int64_t second, err *e)
{
    err_set(e, ERR_USAGE, "%s and %s do not compare: %" PRId64 " and %" PRId64 " %s", a->name, b->name, first, second, what);
    return err_hint(e, "take checkpoints of one architecture and size");
}

static int check_kind(const model *a, const model *b, attn_kind kind, err *e)
{
    const stack *s = model_stack(a, kind), *t = model_stack(b, kind);
    if (!s && !t)
        return 0;
    if (!s || !t)
        return differ(a, b, "stacks with such attention", s != NULL, t != NULL, e);
    if (s->n_run != t->n_run)
        return differ(a, b, "layers", s->n_run, t->n_run, e);
    for (int l = 0; l < s->n_run; l++) {
        const attention_block *x = model_attention(a, kind, l), *y = model_attention(b, kind, l);
        int first = x ? x->plan.n_head : 0, second = y ? y->plan.n_head : 0;
        if (first != second) {
            char what[48];
            snprintf(what, sizeof what, "heads in layer %d", l);
            return differ(a, b, what, first, second, e);
        }
    }
    return 0;
}

int drift_check(const model *a, const model *b, err *e)
{
    int rc = 0;
    if (a->needs != b->needs)
        return differ(a, b, "kinds of input", a->needs, b->needs, e);
    for (int kind = ATTN_SELF; kind <= ATTN_VISION && !rc; kind++)
        rc = check_kind(a, b, (attn_kind)kind, e);
    if (!rc && a->vocab != b->vocab)
        rc = differ(a, b, "entries in the vocabulary", a->vocab, b->vocab, e);
    return rc;
}

/* ---- divergence ---- */

double jsd_cell(double p, double q)
{
    double s = p + q;
    if (s <= 0)
        return 0;
    double d = (p - q) / s, d2 = d * d;
    /* ((1 + d) ln(1 + d) + (1 - d) ln(1 - d)) s / 4: by its series where the logarithms would cancel */
    if (d2 < 1e-4)
        return s / 4 * d2 * (1 + d2 * (1. / 6 + d2 * (1. / 15 + d2 * (1. / 28))));
    double up = 1 + d, down = 1 - d;
    return s / 4 * ((up > 0 ? up * log(up) : 0) + (down > 0 ? down * log(down) : 0));
}

/* What is kept of the first model's attention. */
typedef struct kept {
    struct kept *next;
    attn_args a;            /* q, k, key_bias, rel_bias point to copies */
    float *copy;
} kept;

typedef struct drift {
    const model *ma, *mb;
    runtime *ra, *rb;
    const result_sink *out;
    kept *list;
    size_t room, used;      /* bytes of copies in this pass */
    int64_t from, to, seen; /* attentions of this pass, in the order they run; all that were met */
    bool first;             /* this is the first pass: residual streams are kept */
    float *xa, *xb;         /* [n, C] after the last layer of the main stack */
    int64_t n;
    /* of the attention at hand */
    int n_head;
    bool sinks;
    double *sum;            /* [chunks, n_head] */
    int64_t *count;         /* [chunks] queries that see a key */
} drift;

static void drop_kept(drift *d)
{
    while (d->list) {
        kept *next = d->list->next;
        mem_free_large(d->list->copy);
        free(d->list);
        d->list = next;
    }
    d->used = 0;
}

static void add_rows(drift *d, const attn_panels *p, int head, int query, double *sum)
{
    int64_t lo = p->visible_lo[0][query], hi = p->visible_hi[0][query];
    int64_t lo2 = p->visible_lo[1][query], hi2 = p->visible_hi[1][query];
    const float *a = p->probs + head * p->h_stride + query, *b = a + d->n_head * p->h_stride;
    double total = 0, left_a = 1, left_b = 1;
    lo = lo < lo2 ? lo : lo2;
    hi = hi > hi2 ? hi : hi2;
    for (int64_t k = lo; k < hi; k++) {
        double x = (double)a[k * p->k_stride], y = (double)b[k * p->k_stride];
        if (x != y)
            total += jsd_cell(x, y);
        left_a -= x;
        left_b -= y;
    }
    if (d->sinks)
        total += jsd_cell(left_a > 0 ? left_a : 0, left_b > 0 ? left_b : 0);
    sum[head] += total;
}

static void take_block(void *ud, const attn_panels *p)
{
    drift *d = ud;
    double *sum = d->sum + (int64_t)p->chunk * d->n_head;
    for (int i = 0; i < p->n_query; i++) {
        if (p->visible_lo[0][i] >= p->visible_hi[0][i] && p->visible_lo[1][i] >= p->visible_hi[1][i])
            continue;
        d->count[p->chunk]++;
        for (int h = 0; h < d->n_head; h++)
            add_rows(d, p, h, i, sum);
    }
}

static int emit(const drift *d, const char *name, attn_kind kind, int layer, int head, int64_t position, double value, err *e)
{
    const result_value v = {kind, name, layer, head, position, value};
    if (!isfinite(value))
        return err_set(e, ERR_FAILED, "%s is not finite: the numbers of a model are not", name);
    return d->out->value(d->out->ud, &v, e);
}

static int emit_heads(drift *d, const attn_args *a, err *e)
{
    int chunks = attn_chunks(a->n_query), rc = 0;
    int64_t n = 0;
    for (int c = 0; c < chunks; c++)
        n += d->count[c];
    for (int h = 0; h < d->n_head && !rc && n; h++) {
        double sum = 0;
        for (int c = 0; c < chunks; c++)
            sum += d->sum[(int64_t)c * d->n_head + h];
        rc = emit(d, "map_jsd", a->kind, a->layer, h, NO_INDEX, sum / (double)n, e);
    }
    return rc;
}

/* ---- the first model ---- */

static const float *copy_rows(float **at, const float *x, int64_t rows, int64_t ld, int64_t width)
{
    float *to = *at;
    if (!x)
        return NULL;
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * width, x + i * ld, (size_t)width * sizeof *to);
    *at += rows * width;
    return to;
}

static int keep_inputs(void *ud, const model *m, const attn_args *a, err *e)
{
    drift *d = ud;
    int64_t wq = (int64_t)a->n_head * a->d_qk, wk = (int64_t)a->n_kv_head * a->d_qk, far = a->n_query + a->n_key - 1;
    (void)m;
    int64_t index = d->seen++;
    if (index < d->from || index >= d->to)
        return 0;
    double bytes = 4 * ((double)a->n_query * (double)wq + (double)a->n_key * (double)wk +
                        (a->key_bias ? (double)a->n_head * (double)a->n_key : 0) + (a->rel_bias ? (double)a->n_head * (double)far
                                                                                    : 0));
    if (d->list && (double)d->used + bytes > (double)d->room) { /* the rest is for the next pass */
        d->to = index;
        return 0;
    }
    kept *k = mem_array(1, sizeof *k, e);
    if (!k)
        return ERR_RESOURCE;
    *k = (kept){.next = d->list, .a = *a, .copy = bytes < (double)SIZE_MAX / 2 ? mem_large((size_t)bytes, e) : NULL};
    if (!k->copy) {
        free(k);
        return err_nomem(e, "queries and keys of a layer");
    }
    d->list = k;
    d->used += (size_t)bytes;
    float *at = k->copy;
    k->a.q = copy_rows(&at, a->q, a->n_query, a->ldq, wq);
    k->a.k = copy_rows(&at, a->k, a->n_key, a->ldk, wk);
    k->a.key_bias = copy_rows(&at, a->key_bias, a->n_head, a->n_key, a->n_key);
    k->a.rel_bias = copy_rows(&at, a->rel_bias, a->n_head, far, far);
    k->a.ldq = wq;
    k->a.ldk = wk;
    k->a.v = NULL;
    k->a.out = NULL;
    k->a.edit = NULL;
    return 0;
}

static int keep_stream(drift *d, float **to, const model *m, attn_kind kind, int layer, const float *x, int64_t n,
                       int64_t width, err *e)
{
    size_t bytes;
    if (!d->first || kind != m->main->kind || layer != m->main->n_run || !m->head.unembedding.data)
        return 0;
    if (!size_mul(&bytes, (size_t)n, (size_t)width) || !size_mul(&bytes, bytes, sizeof *x) || !(*to = mem_large(bytes, e)))
        return err_nomem(e, "a residual stream");
    memcpy(*to, x, bytes);
    d->n = n;
    return 0;
}

static int first_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    drift *d = ud;
    return keep_stream(d, &d->xa, d->ma, kind, layer, x, n, width, e);
}

/* ---- the second ---- */

static int second_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    drift *d = ud;
    return keep_stream(d, &d->xb, d->mb, kind, layer, x, n, width, e);
}

static int compare_inputs(void *ud, const model *m, const attn_args *b, err *e)
{
    drift *d = ud;
    const kept *k = d->list;
    size_t sums;
    (void)m;
    while (k && (k->a.kind != b->kind || k->a.layer != b->layer))
        k = k->next;
    if (!k)
        return 0;
    if (k->a.n_query != b->n_query || k->a.n_key != b->n_key || k->a.n_head != b->n_head)
        return err_set(e, ERR_USAGE, "layer %d of the two models sees %" PRId64 " and %" PRId64 " tokens", b->layer,
                       k->a.n_key, b->n_key);
    int chunks = attn_chunks(b->n_query);
    d->n_head = b->n_head;
    d->sinks = k->a.sinks || b->sinks;
    d->sum = size_mul(&sums, (size_t)chunks, (size_t)b->n_head) ? mem_array(sums, sizeof *d->sum, e) : NULL;
    d->count = mem_array((size_t)chunks, sizeof *d->count, e);
    const attn_args both[2] = {k->a, *b};
    int rc = d->sum && d->count ? runtime_attention_panels(d->rb, both, 2, take_block, d, e) : ERR_RESOURCE;
    if (!rc)
        rc = emit_heads(d, b, e);
    free(d->sum);
    free(d->count);
    d->sum = NULL;
    d->count = NULL;
    return rc;
}

/* ---- predictions ---- */

static int compare_logits(const drift *d, int64_t position, const float *a, const float *b, err *e)
{
    int64_t vocab = d->ma->vocab;
    double lse_a = log_sum_exp(a, vocab), lse_b = log_sum_exp(b, vocab), kl = 0;
    for (int64_t i = 0; i < vocab; i++) {
        double ln_a = (double)a[i] - lse_a, ln_b = (double)b[i] - lse_b;
        kl += exp(ln_a) * (ln_a - ln_b);
    }
    attn_kind kind = d->ma->main->kind;
    int rc = emit(d, "logit_kl", kind, NO_INDEX, NO_INDEX, position, kl < 0 ? 0 : kl, e);
    return rc ? rc : emit(d, "top1_agree", kind, NO_INDEX, NO_INDEX, position,
                          largest_logit(a, vocab) == largest_logit(b, vocab), e);
}

static int compare_predictions(const drift *d, const progress *p, err *e)
{
    enum { ROWS = 16 };
    int64_t vocab = d->ma->vocab, wa = d->ma->main->width, wb = d->mb->main->width;
    size_t cells;
    if (!d->xa || !d->xb)
        return 0;
    float *a = size_mul(&cells, (size_t)vocab, ROWS) ? mem_array(cells, sizeof *a, e) : NULL;
    float *b = a ? mem_array(cells, sizeof *b, e) : NULL;
    int rc = a && b ? 0 : ERR_RESOURCE;
    for (int64_t row = 0; row < d->n && !rc; row += ROWS) {
        int64_t rows = d->n - row < ROWS ? d->n - row : ROWS;
        progress_step(p, "logits", (double)row, (double)d->n);
        rc = runtime_unembed(d->ra, d->xa + row * wa, rows, a, e);
        if (!rc)
            rc = runtime_unembed(d->rb, d->xb + row * wb, rows, b, e);
        for (int64_t i = 0; i < rows && !rc; i++)
            rc = compare_logits(d, row + i, a + i * vocab, b + i * vocab, e);
    }
    free(a);
    free(b);
    return rc;
}

int drift_run(runtime *a, const model *ma, runtime *b, const model *mb, const model_input *in, size_t room,
              const result_sink *out, const progress *p, err *e)
{
    drift d = {.ma = ma, .mb = mb, .ra = a, .rb = b, .out = out, .first = true};
    const observer first = {.inputs = keep_inputs, .hidden = first_hidden, .ud = &d};
    const observer second = {.inputs = compare_inputs, .hidden = second_hidden, .ud = &d};
    int rc = drift_check(ma, mb, e);
    while (!rc && (d.first || d.from < d.seen)) {
        d.to = INT64_MAX;
        d.seen = 0;
        d.room = room ? room : memory_available() / 4;
        rc = forward(a, in, &first, p, e);
        if (!rc)
            rc = forward(b, in, &second, p, e);
        drop_kept(&d);
        d.from = d.to < d.seen ? d.to : d.seen;
        d.first = false;
    }
    if (!rc)
        rc = compare_predictions(&d, p, e);
    drop_kept(&d);
    mem_free_large(d.xa);
    mem_free_large(d.xb);
    return rc;
}
