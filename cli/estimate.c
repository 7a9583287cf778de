#include "cli/estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"
#include "cli/estimate_rates.h"
#include "cli/experiment_parts.h"
#include "compute/kernels.h"

#define PLAIN_FLOPS 1e9         /* a second: less than any machine gives */
#define SIMD_FLOPS 2e10
#define MOST_WAITING (12 << 20) /* of values that the store keeps until a unit ends (db/store.h) */

/* A group of prompts that pass together, while it is added up. */
typedef struct sum {
    rate_book *b;
    prompt_estimate *to;
    bool products;           /* else attention */
    err *e;
    int rc;
} sum;

static void add_product(void *ud, const cost_product *p)
{
    sum *s = ud;
    const product_rate *r = s->rc ? NULL : rate_of_product(s->b, p->w, s->e);
    if (!r) {
        s->rc = ERR_RESOURCE;
        return;
    }
    s->to->product_flop += cost_product_flop(p);
    s->to->product_seconds += product_seconds(r, p);
}

static void add_attention(void *ud, const cost_attention *a)
{
    sum *s = ud;
    const attention_rate *r = s->rc ? NULL : rate_of_attention(s->b, a, s->e);
    const double heads = a->block->plan.n_head, n = (double)a->queries;
    if (!r) {
        s->rc = ERR_RESOURCE;
        return;
    }
    s->to->attention_flop += cost_attention_flop(a);
    s->to->attention_seconds += heads * (n * r->query + a->pairs * r->pair);
    s->to->metric_seconds += heads * (n * r->metric_query + a->pairs * r->metric_pair);
    s->to->values += heads * (r->values + n * r->values_query);
}

static int reason(const sum *s)
{
    return !s->rc ? 0 : s->e && s->e->code ? s->e->code : s->rc;
}

/* ---- a prompt ---- */

static bool wants_logits(const rate_book *b)
{
    bool any = false;
    for (int i = 0; b->request && i < b->request->n_metric; i++)
        any |= b->request->metrics[i]->scope == METRIC_LOGITS;
    return any && b->lm->m->head.unembedding.data;
}

static double positions(const input_lengths *n)
{
    return (double)(n->main + n->encoder + n->vision);
}

/* Rows of all stacks, each as often as it has layers. */
static double layer_rows(const model *m, const input_lengths *n)
{
    double rows = (double)n->main * m->main->n_run;
    rows += m->encoder ? (double)n->encoder * m->encoder->n_run : 0;
    return rows + (m->vision ? (double)n->vision * m->vision->n_run : 0);
}

/* What a prompt takes by itself: all but products. */
static int estimate_alone(prompt_estimate *out, rate_book *b, const input_lengths *n, err *e)
{
    const model *m = b->lm->m;
    const bool logits = wants_logits(b);
    sum s = {.b = b, .to = out, .e = e};
    *out = (prompt_estimate){.tokens = n->main + n->encoder + n->vision};
    forward_cost(m, n, logits, &(cost_visitor){NULL, add_attention, &s});
    if (s.rc)
        return reason(&s);
    out->other_seconds = b->other * layer_rows(m, n);
    if (logits) {
        out->metric_seconds += b->logits * (double)n->main;
        out->values += b->logit_values * (double)n->main;
    }
    out->store_seconds = b->rows.prompt + b->rows.token * (double)out->tokens + b->rows.value * out->values;
    out->bytes = forward_memory_parts(m, n, runtime_threads(b->lm->rt));
    const double all_logits = sizeof(float) * (double)n->main * (double)m->vocab; /* of short prompts: the buffer is not filled */
    out->bytes.logits = !logits ? 0 : all_logits < out->bytes.logits ? all_logits : out->bytes.logits;
    return cancel_check(e);
}

/* Products of prompts [n] that pass together; each has its share by its length. */
static int estimate_together(prompt_estimate *each, rate_book *b, const estimate_prompt *prompts, int64_t n, err *e)
{
    input_lengths all = {0};
    prompt_estimate whole = {0};
    sum s = {.b = b, .to = &whole, .e = e};
    for (int64_t i = 0; i < n; i++) {
        all.main += prompts[i].n.main;
        all.encoder += prompts[i].n.encoder;
        all.vision += prompts[i].n.vision;
    }
    forward_cost(b->lm->m, &all, wants_logits(b), &(cost_visitor){add_product, NULL, &s});
    for (int64_t i = 0; i < n; i++) {
        const double share = positions(&prompts[i].n) / positions(&all);
        each[i].product_flop = share * whole.product_flop;
        each[i].product_seconds = share * whole.product_seconds;
    }
    return reason(&s);
}

/* How many of prompts [n] pass together from the first on, as experiment_next_units takes them. */
static int64_t group_of(const rate_book *b, const estimate_prompt *prompts, int64_t n)
{
    int64_t rows = prompts[0].n.main, i = 1;
    const model_input first = {.n = rows};
    for (; i < n && i < UNIT_BATCH; i++) {
        const model_input next = {.n = prompts[i].n.main};
        const model_input *const pair[2] = {&first, &next};
        if (rows + next.n > batch_tokens() || !batch_fits(b->lm->rt, pair, 2))
            break;
        rows += next.n;
    }
    return i;
}

/* ---- all of them ---- */

double prompt_seconds(const prompt_estimate *p)
{
    return p->product_seconds + p->attention_seconds + p->other_seconds + (isnan(p->metric_seconds) ? 0 : p->metric_seconds) +
           (isnan(p->store_seconds) ? 0 : p->store_seconds);
}

static double prompt_bytes(const prompt_estimate *p)
{
    return p->bytes.activations + p->bytes.scratch + p->bytes.logits + (isnan(p->kept) ? 0 : p->kept);
}

static void add_up(run_estimate *r)
{
    prompt_estimate *all = &r->all;
    for (int64_t i = 0; i < r->n; i++) {
        const prompt_estimate *p = &r->each[i];
        all->tokens += p->tokens;
        all->product_flop += p->product_flop;
        all->attention_flop += p->attention_flop;
        all->product_seconds += p->product_seconds;
        all->attention_seconds += p->attention_seconds;
        all->other_seconds += p->other_seconds;
        all->metric_seconds += p->metric_seconds;
        all->store_seconds += p->store_seconds;
        all->values += p->values;
        const double wait = isnan(p->values) ? 0 : p->values * sizeof(result_value);
        r->waiting = wait > r->waiting ? wait : r->waiting;
        if (i == 0 || prompt_bytes(p) > prompt_bytes(all)) {
            all->bytes = p->bytes;
            all->kept = p->kept;
        }
    }
    r->stored = VALUE_BYTES * all->values + TOKEN_BYTES * (double)all->tokens + UNIT_BYTES * (double)r->n;
    r->waiting = r->waiting > MOST_WAITING ? MOST_WAITING : r->waiting;
    r->memory = r->held + prompt_bytes(all) + r->waiting + (r->rows_in_memory && !isnan(r->stored) ? r->stored : 0);
}

/* States of metrics, of the longest prompt; they grow with the length. */
static double states_of(const rate_book *b, const int32_t *ids)
{
    const bool source = b->lm->m->needs & NEEDS_SOURCE;
    const model_input in = {.ids = ids, .n = b->longest, .source = source ? ids : NULL, .n_source = source ? b->longest : 0};
    static const result_sink none;
    analysis *a;
    if (analysis_begin(&a, b->lm->rt, b->lm->m, &in, b->request, &none, NULL))
        return NAN;
    const double bytes = (double)analysis_memory(a);
    analysis_end(a);
    return bytes;
}

static int measure_states(run_estimate *r, const rate_book *b, const estimate_prompt *prompts, err *e)
{
    int32_t *ids = mem_array((size_t)b->longest, sizeof *ids, e);
    if (!ids)
        return ERR_RESOURCE;
    const double bytes = !b->request ? 0 : states_of(b, ids);
    for (int64_t i = 0; i < r->n; i++) {
        const input_lengths *n = &prompts[i].n;
        const int64_t longest = n->main > n->encoder ? n->main : n->encoder;
        r->each[i].kept = bytes * (double)longest / (double)b->longest;
    }
    free(ids);
    return 0;
}

/* Anonymous memory that the process holds. */
static double bytes_held(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long long kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return (double)kib * 1024;
}

static rate_book book_for(session *s, loaded_model *lm, const estimate_prompt *prompts, int64_t n)
{
    rate_book b = {.s = s, .lm = lm, .request = n > 0 ? prompts[0].request : NULL, .longest = 1};
    for (int64_t i = 0; i < n; i++) {
        const int64_t most[] = {prompts[i].n.main, prompts[i].n.encoder, prompts[i].n.vision};
        for (int k = 0; k < 3; k++)
            b.longest = most[k] > b.longest ? most[k] : b.longest;
    }
    return b;
}

/* The product that most is spent in; all: operations of everything. */
typedef struct heaviest { const weight *w; double flop, all; } heaviest;

static void weigh(void *ud, const cost_product *p)
{
    heaviest *h = ud;
    const double flop = cost_product_flop(p);
    h->all += flop;
    if (flop > h->flop) {
        h->flop = flop;
        h->w = p->w;
    }
}

static void weigh_attention(void *ud, const cost_attention *a)
{
    ((heaviest *)ud)->all += cost_attention_flop(a);
}

static heaviest heaviest_of(const model *m, const input_lengths *n, bool logits)
{
    heaviest h = {0};
    forward_cost(m, n, logits, &(cost_visitor){weigh, weigh_attention, &h});
    return h;
}

int estimate_run(run_estimate *out, session *s, loaded_model *lm, const estimate_prompt *prompts, int64_t n, err *e)
{
    rate_book *b = mem_array(1, sizeof *b, e);
    *out = (run_estimate){.n = n, .held = bytes_held(), .rows_in_memory = strcmp(s->store_path, ":memory:") == 0};
    out->each = b ? mem_array((size_t)n + 1, sizeof *out->each, e) : NULL;
    int rc = out->each ? 0 : ERR_RESOURCE;
    if (!rc) {
        *b = book_for(s, lm, prompts, n);
        rc = rate_of_rest(b, e);
    }
    if (!rc && wants_logits(b))
        rc = rate_of_logits(b, e);
    if (!rc)
        rc = rate_of_rows(&b->rows, e);
    for (int64_t i = 0; i < n && !rc; i++)
        rc = estimate_alone(&out->each[i], b, &prompts[i].n, e);
    for (int64_t i = 0, group = 0; i < n && !rc; i += group) {
        group = group_of(b, prompts + i, n - i);
        rc = estimate_together(out->each + i, b, prompts + i, group, e);
    }
    if (!rc)
        rc = measure_states(out, b, prompts, e);
    if (!rc) {
        const heaviest h = n > 0 ? heaviest_of(lm->m, &prompts[0].n, wants_logits(b)) : (heaviest){0};
        snprintf(out->type, sizeof out->type, "%s", h.w ? dtypes[h.w->type].name : "");
        for (int i = 0; i < lm->m->ckpt->n_file; i++)
            out->weights += lm->m->ckpt->files[i].size;
        add_up(out);
    }
    free(b);
    if (rc)
        run_estimate_free(out);
    return rc;
}

void run_estimate_free(run_estimate *r)
{
    free(r->each);
    r->each = NULL;
}

int estimate_least(double *seconds, session *s, loaded_model *lm, const estimate_prompt *prompts, int64_t n, double from, err *e)
{
    rate_book *b = mem_array(1, sizeof *b, e);
    heaviest all = {0}, largest = {0};
    *seconds = 0;
    if (!b)
        return ERR_RESOURCE;
    *b = book_for(s, lm, prompts, n);
    for (int64_t i = 0; i < n; i++) {
        const heaviest h = heaviest_of(lm->m, &prompts[i].n, wants_logits(b));
        all.all += h.all;
        largest = h.flop > largest.flop ? h : largest;
    }
    /* No machine needs long for so little: the rate need not be measured. */
    const bool some = largest.w && all.all > from * (strcmp(kernels_get()->isa, "c") == 0 ? PLAIN_FLOPS : SIMD_FLOPS);
    const product_rate *r = some ? rate_of_product(b, largest.w, e) : NULL;
    if (r) {
        const cost_product one = {largest.w, (double)b->longest, (double)batch_tokens()};
        *seconds = all.all / cost_product_flop(&one) * product_seconds(r, &one);
    }
    free(b);
    return r || !some ? 0 : e && e->code ? e->code : ERR_RESOURCE;
}
