/* Calibration: products, attention with and without what metrics see, and a layer as a whole, some milliseconds each. */
#include "cli/estimate_rates.h"

#include <math.h>
#include <stdlib.h>
#include "base/cancel.h"
#include "base/clock.h"
#include "base/mem.h"

#define LEAST_SECONDS 1e-3
#define PRODUCT_FLOP 6e8      /* of one product that is tried */
#define ATTENTION_FLOP 2e9
#define LAYER_FLOP 1.5e10
enum { TRIES = 3, LAYER_TRIES = 6, MOST_LENGTH = 2048, LEAST_LENGTH = 8, LEAST_OUTPUTS = 256 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- products ---- */

typedef struct product_trial {
    runtime *r;
    weight w;
    const float *x;
    float *y;
    int64_t rows;
    int rc;
} product_trial;

static void multiply(void *ud, int64_t item, int thread)
{
    product_trial *t = ud;
    (void)item, (void)thread;
    if (!t->rc)
        t->rc = runtime_linear(t->r, t->y, t->w.n_out, t->x, t->w.n_in, t->rows, &t->w, NULL);
}

static int time_product(double *seconds, const rate_book *b, product_trial *t, int64_t rows, err *e)
{
    bench_clock c = {.s = b->s, .p = runtime_pool(b->lm->rt), .repeat = TRIES, .least = LEAST_SECONDS};
    t->rows = rows;
    int rc = bench_seconds(seconds, &c, false, multiply, t, e);
    return !rc && t->rc ? err_nomem(e, "matrix panels") : rc;
}

/* Rows in a stretch of outputs: enough for all threads, few enough to be quick. */
static int measure_product(const rate_book *b, product_rate *out, const weight *w, err *e)
{
    const int64_t rows = most(LEAST_LENGTH, least(b->longest, batch_tokens())), few = most(LEAST_LENGTH / 2, rows / 8);
    const int64_t quick = (int64_t)(PRODUCT_FLOP / 2 / (double)rows / (double)w->n_in) / 64 * 64;
    product_trial t = {.r = b->lm->rt, .w = *w};
    double slow, fast;
    t.w.n_out = least(w->n_out, most(quick, LEAST_OUTPUTS));
    float *x = bench_floats(rows * w->n_in, e), *y = x ? bench_floats(rows * t.w.n_out, e) : NULL;
    int rc = y ? 0 : ERR_RESOURCE;
    t.x = x;
    t.y = y;
    if (!rc)
        rc = time_product(&slow, b, &t, rows, e);
    if (!rc)
        rc = time_product(&fast, b, &t, few, e);
    mem_free_large(x);
    mem_free_large(y);
    if (rc)
        return rc;
    double row = (slow - fast) / (double)(rows - few), fixed = fast - row * (double)few;
    if (row <= 0 || fixed < 0) { /* too quick to tell one from the other */
        row = slow / (double)rows;
        fixed = 0;
    }
    *out = (product_rate){*w, fixed / (double)t.w.n_out, row / (double)t.w.n_out};
    return 0;
}

static bool same_product(const weight *a, const weight *b)
{
    return a->type == b->type && a->n_in == b->n_in && a->transposed == b->transposed && a->scale_kind == b->scale_kind;
}

const product_rate *rate_of_product(rate_book *b, const weight *w, err *e)
{
    for (int i = 0; i < b->n_product; i++)
        if (same_product(&b->product[i].like, w))
            return &b->product[i];
    if (b->n_product == MOST_RATES)
        return &b->product[MOST_RATES - 1];
    product_rate *r = &b->product[b->n_product];
    if (measure_product(b, r, w, e))
        return NULL;
    b->n_product++;
    return r;
}

double product_seconds(const product_rate *r, const cost_product *p)
{
    const double whole = floor(p->rows / p->block), left = p->rows - whole * p->block;
    const double calls = whole + (left > 0);
    return (double)p->w->n_out * (calls * r->fixed + p->rows * r->row);
}

/* ---- attention ---- */

typedef struct attention_trial {
    attn_scratch *scratch;
    attn_args args;
    float *q, *k, *v, *out;
    int32_t *ids;
} attention_trial;

typedef struct counted { int64_t n; } counted;

static int count_value(void *ud, const result_value *v, err *e)
{
    (void)v, (void)e;
    ((counted *)ud)->n++;
    return 0;
}

static void set_length(attention_trial *t, const attn_plan *p, int64_t n)
{
    attn_args *a = &t->args;
    a->n_query = a->n_key = n;
    a->q = t->q;
    a->k = t->k;
    a->v = t->v;
    a->out = t->out;
    a->ldq = (int64_t)p->n_head * p->d_qk;
    a->ldk = (int64_t)p->n_kv_head * p->d_qk;
    a->ldv = (int64_t)p->n_kv_head * p->d_v;
    a->ldo = (int64_t)p->n_head * p->d_v;
}

static void free_trial(attention_trial *t)
{
    mem_free_large(t->q);
    mem_free_large(t->k);
    mem_free_large(t->v);
    mem_free_large(t->out);
    free(t->ids);
    attn_scratch_free(t->scratch);
}

/* Tokens whose second half is as the first, for metrics that look for repeats. */
static int32_t *some_ids(const model *m, int64_t n, err *e)
{
    int64_t vocabulary = most(1, m->main->embed.tokens.n_out); /* 1: it reads no tokens */
    if (m->encoder)
        vocabulary = least(vocabulary, most(1, m->encoder->embed.tokens.n_out));
    int32_t *ids = mem_array((size_t)n, sizeof *ids, e);
    for (int64_t i = 0; ids && i < n; i++)
        ids[i] = (int32_t)((uint32_t)(i % (n / 2 + 1)) * 2654435761u % (uint32_t)vocabulary);
    return ids;
}

static int make_trial(attention_trial *t, const rate_book *b, const attention_block *block, int layer, int64_t n, err *e)
{
    const attn_plan *p = &block->plan;
    *t = (attention_trial){.args = {
        .kind = p->kind, .layer = layer, .n_head = p->n_head, .n_kv_head = p->n_kv_head, .d_qk = p->d_qk, .d_v = p->d_v,
        .scale = p->scale, .causal = p->causal, .window = p->window, .softcap = p->softcap, .sinks = block->sinks,
        .prec = b->lm->rt_precision,
    }};
    bool made = (t->q = bench_floats(n * p->n_head * p->d_qk, e)) && (t->k = bench_floats(n * p->n_kv_head * p->d_qk, e)) &&
                (t->v = bench_floats(n * p->n_kv_head * p->d_v, e)) && (t->out = bench_floats(n * p->n_head * p->d_v, e)) &&
                (t->ids = some_ids(b->lm->m, n, e));
    return made ? attn_scratch_new(&t->scratch, runtime_pool(b->lm->rt), e) : ERR_RESOURCE;
}

/* Can tokens alone stand for a prompt? */
static bool reads_text(const model *m)
{
    return (m->needs & ~(unsigned)NEEDS_SOURCE) == NEEDS_TOKENS;
}

static model_input input_of(const rate_book *b, const int32_t *ids, int64_t n)
{
    const bool source = b->lm->m->needs & NEEDS_SOURCE;
    return (model_input){.ids = ids, .n = n, .source = source ? ids : NULL, .n_source = source ? n : 0};
}

static int attend_plain(double *seconds, attention_trial *t, err *e)
{
    int rc = 0;
    for (int i = 0; i < TRIES && !rc; i++) {
        const double begun = clock_seconds();
        rc = attention(t->scratch, &t->args, NULL, e);
        const double now = clock_seconds() - begun;
        *seconds = i == 0 || now < *seconds ? now : *seconds;
    }
    return rc;
}

/* The same under the taps of all metrics; an analysis of its own each time, for its states expect a layer once. */
static int attend_measured(double *seconds, int64_t *values, const rate_book *b, attention_trial *t, const attn_plan *p, err *e)
{
    const model_input in = input_of(b, t->ids, t->args.n_query);
    int rc = 0;
    for (int i = 0; i < TRIES && !rc; i++) {
        counted c = {0};
        const result_sink sink = {count_value, NULL, &c};
        const attn_site site = {t->args.kind, t->args.layer, p, t->args.n_query, t->args.n_key};
        const attn_tap *tap = NULL;
        analysis *a;
        rc = analysis_begin(&a, b->lm->rt, b->lm->m, &in, b->request, &sink, e);
        if (rc)
            return rc;
        const observer *o = analysis_observer(a);
        const double begun = clock_seconds();
        if (o->inputs)
            rc = o->inputs(o->ud, b->lm->m, &t->args, e);
        if (!rc)
            rc = o->attention(o->ud, b->lm->m, &site, &tap, e);
        if (!rc)
            rc = attention(t->scratch, &t->args, tap, e);
        const double now = clock_seconds() - begun;
        *seconds = i == 0 || now < *seconds ? now : *seconds;
        *values = c.n;
        analysis_end(a);
    }
    return rc;
}

/* t = n query + pairs pair at two lengths, for both. */
static void solve(double *query, double *pair, const double n[2], const double pairs[2], const double t[2])
{
    const double more = pairs[1] - pairs[0] * n[1] / n[0];
    *pair = more > 0 ? (t[1] - t[0] * n[1] / n[0]) / more : 0;
    *query = (t[1] - *pair * pairs[1]) / n[1];
    if (*pair < 0 || *query < 0) {
        *query = 0;
        *pair = pairs[1] > 0 ? t[1] / pairs[1] : 0;
    }
}

static int64_t trial_length(const rate_book *b, const attn_plan *p)
{
    const model *m = b->lm->m;
    int64_t n = least(b->longest, MOST_LENGTH);
    n = least(n, m->main->context > 0 ? m->main->context : n);
    if (m->encoder && m->encoder->context > 0)
        n = least(n, m->encoder->context);
    while (n > 128 && 2 * cost_visible_pairs(p, (double)n) * p->n_head * (p->d_qk + p->d_v) > ATTENTION_FLOP)
        n = n * 3 / 4;
    return most(n, 1);
}

static int measure_attention(const rate_book *b, attention_rate *out, const attention_block *block, int layer, err *e)
{
    const attn_plan *p = &block->plan;
    const double heads = p->n_head;
    const int64_t longest = trial_length(b, p), length[2] = {most(longest / 4, 1), longest};
    double plain[2], measured[2], n[2], pairs[2], values[2] = {0, 0};
    bool known = b->request && reads_text(b->lm->m);
    attention_trial t;
    int rc = make_trial(&t, b, block, layer, longest, e);
    for (int i = 0; i < 2 && !rc; i++) {
        int64_t rows = 0;
        set_length(&t, p, length[i]);
        n[i] = (double)length[i];
        pairs[i] = p->kind == ATTN_CROSS ? n[i] * n[i] : cost_visible_pairs(p, n[i]);
        rc = attend_plain(&plain[i], &t, e);
        int failed = !rc && known ? attend_measured(&measured[i], &rows, b, &t, p, NULL) : 0;
        if (failed && (rc = cancel_check(e)) == 0)
            known = false; /* refuses such a prompt: what it adds to the others is not known */
        measured[i] = known && !rc && measured[i] > plain[i] ? measured[i] - plain[i] : 0;
        values[i] = (double)rows / heads;
        plain[i] /= heads;
        measured[i] /= heads;
    }
    free_trial(&t);
    if (rc)
        return rc;
    *out = (attention_rate){.like = *p, .metric_query = NAN, .metric_pair = NAN, .values = NAN, .values_query = NAN};
    solve(&out->query, &out->pair, n, pairs, plain);
    if (known) {
        solve(&out->metric_query, &out->metric_pair, n, pairs, measured);
        out->values_query = n[1] > n[0] ? (values[1] - values[0]) / (n[1] - n[0]) : 0;
        out->values = values[1] - out->values_query * n[1];
    } else if (!b->request) {
        out->metric_query = out->metric_pair = out->values = out->values_query = 0;
    }
    return 0;
}

static bool same_attention(const attn_plan *a, const attn_plan *b)
{
    return a->kind == b->kind && a->n_head == b->n_head && a->n_kv_head == b->n_kv_head && a->d_qk == b->d_qk &&
           a->d_v == b->d_v && a->causal == b->causal && a->window == b->window && (a->softcap > 0) == (b->softcap > 0);
}

const attention_rate *rate_of_attention(rate_book *b, const cost_attention *a, err *e)
{
    for (int i = 0; i < b->n_attention; i++)
        if (same_attention(&b->attention[i].like, &a->block->plan))
            return &b->attention[i];
    if (b->n_attention == MOST_RATES)
        return &b->attention[MOST_RATES - 1];
    attention_rate *r = &b->attention[b->n_attention];
    if (measure_attention(b, r, a->block, a->layer, e))
        return NULL;
    b->n_attention++;
    return r;
}

/* ---- what else a layer takes ---- */

typedef struct rest {
    rate_book *b;
    double known;
    err *e;
    int rc;
} rest;

static void known_product(void *ud, const cost_product *p)
{
    rest *k = ud;
    const product_rate *r = k->rc ? NULL : rate_of_product(k->b, p->w, k->e);
    if (r)
        k->known += product_seconds(r, p);
    else
        k->rc = ERR_RESOURCE;
}

static void known_attention(void *ud, const cost_attention *a)
{
    rest *k = ud;
    const attention_rate *r = k->rc ? NULL : rate_of_attention(k->b, a, k->e);
    if (r)
        k->known += a->block->plan.n_head * ((double)a->queries * r->query + a->pairs * r->pair);
    else
        k->rc = ERR_RESOURCE;
}

static void layer_flop(void *ud, const cost_product *p)
{
    *(double *)ud += cost_product_flop(p);
}

/* A model of its last layer alone, which is of the kind that most are of. */
static void one_layer(stack *out, const stack *s)
{
    *out = *s;
    out->layers = &s->layers[s->n_run - 1];
    out->n_layer = out->n_run = 1;
}

int rate_of_rest(rate_book *b, err *e)
{
    model m = *b->lm->m;
    stack main, encoder;
    double flop = 0, seconds = 0;
    runtime *r = NULL;
    if (!reads_text(&m))
        return 0;
    one_layer(&main, m.main);
    m.main = &main;
    if (m.encoder) {
        one_layer(&encoder, m.encoder);
        m.encoder = &encoder;
    }
    const input_lengths one = {.main = 1, .encoder = m.encoder ? 1 : 0};
    forward_cost(&m, &one, false, &(cost_visitor){.product = layer_flop, .ud = &flop});
    int64_t n = least(trial_length(b, &main.layers->self.plan), batch_tokens() / 2);
    n = most(1, least(n, (int64_t)(LAYER_FLOP / (flop + 1))));
    const input_lengths lengths = {.main = n, .encoder = m.encoder ? n : 0};
    rest known = {.b = b, .e = e};
    forward_cost(&m, &lengths, false, &(cost_visitor){known_product, known_attention, &known});
    if (known.rc)
        return e && e->code ? e->code : known.rc;
    int32_t *ids = some_ids(&m, n, e);
    const model_input in = input_of(b, ids, n);
    int rc = ids ? runtime_new(&r, &m, runtime_threads(b->lm->rt), b->lm->rt_precision, e) : ERR_RESOURCE;
    for (int i = 0; i < LAYER_TRIES && !rc; i++) {
        const double begun = clock_seconds();
        rc = forward(r, &in, NULL, NULL, e);
        const double now = clock_seconds() - begun;
        seconds = i == 0 || now < seconds ? now : seconds;
    }
    const double rows = (double)(lengths.main + lengths.encoder);
    b->other = seconds > known.known ? (seconds - known.known) / rows : 0;
    runtime_free(r);
    free(ids);
    return rc;
}

int rate_of_logits(rate_book *b, err *e)
{
    enum { ROWS = 16 };
    const model *m = b->lm->m;
    analysis *a = NULL;
    counted c = {0};
    const result_sink sink = {count_value, NULL, &c};
    const int64_t n = most(1, least(b->longest, ROWS));
    b->logits = b->logit_values = NAN;
    if (!reads_text(m))
        return 0;
    int32_t *ids = some_ids(m, n, e);
    float *logits = ids ? bench_floats(n * m->vocab, e) : NULL;
    const model_input in = input_of(b, ids, n);
    int rc = logits ? 0 : ERR_RESOURCE;
    if (!rc && analysis_begin(&a, b->lm->rt, m, &in, b->request, &sink, NULL) == 0) {
        const observer *o = analysis_observer(a);
        const double begun = clock_seconds();
        if (!o->logits || o->logits(o->ud, 0, logits, n, m->vocab, NULL) == 0) {
            b->logits = (clock_seconds() - begun) / (double)n;
            b->logit_values = (double)c.n / (double)n;
        }
        analysis_end(a);
    }
    mem_free_large(logits);
    free(ids);
    return rc ? rc : cancel_check(e);
}
