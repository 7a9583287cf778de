#include "analysis/experiments/task_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

void task_free(task *t)
{
    free(t->ids);
    free(t->target);
    for (int i = 0; i < t->n_route; i++)
        free(t->route[i].key);
    *t = (task){0};
}

int task_new(task *out, int64_t n, int32_t bos, const char *const *routes, err *e)
{
    *out = (task){.n = n};
    out->ids = mem_array((size_t)n, sizeof *out->ids, e);
    out->target = mem_array((size_t)n, sizeof *out->target, e);
    bool failed = !out->ids || !out->target;
    for (int i = 0; routes[i] && !failed; i++) {
        out->route[i] = (task_route){routes[i], mem_array((size_t)n, sizeof(int64_t), e)};
        out->n_route = i + 1;
        failed = !out->route[i].key;
        for (int64_t q = 0; !failed && q < n; q++)
            out->route[i].key[q] = NO_INDEX;
    }
    if (failed) {
        task_free(out);
        return ERR_RESOURCE;
    }
    for (int64_t q = 0; q < n; q++)
        out->target[q] = -1;
    if (bos >= 0)
        out->ids[0] = bos;
    return 0;
}

static void put_pairs(strbuf *b, int64_t n, const int32_t *value, const int64_t *key)
{
    bool first = true;
    strbuf_putc(b, '[');
    for (int64_t i = 0; i < n; i++) {
        int64_t v = value ? value[i] : key[i];
        if (v < 0)
            continue;
        strbuf_printf(b, "%s[%" PRId64 ", %" PRId64 "]", first ? "" : ", ", i, v);
        first = false;
    }
    strbuf_putc(b, ']');
}

void task_put_json(strbuf *b, const task *t)
{
    strbuf_puts(b, "{\"ids\": [");
    for (int64_t i = 0; i < t->n; i++)
        strbuf_printf(b, i ? ", %" PRId32 : "%" PRId32, t->ids[i]);
    strbuf_puts(b, "], \"targets\": ");
    put_pairs(b, t->n, t->target, NULL);
    strbuf_puts(b, ", \"routes\": {");
    for (int i = 0; i < t->n_route; i++) {
        strbuf_printf(b, "%s\"%s\": ", i ? ", " : "", t->route[i].name);
        put_pairs(b, t->n, NULL, t->route[i].key);
    }
    strbuf_puts(b, "}}\n");
}

/* ---- tokens ---- */

int task_vocabulary_new(task_vocabulary *out, const model *m, const tokenizer *tok, int64_t lo, int64_t hi, err *e)
{
    int64_t end = hi > 0 && hi < m->vocab ? hi : m->vocab;
    *out = (task_vocabulary){0};
    if (m->main->embed.tokens.n_out > 0 && end > m->main->embed.tokens.n_out)
        end = m->main->embed.tokens.n_out;
    if (lo < 0 || lo >= end) {
        err_set(e, ERR_USAGE, "no token has an id from %" PRId64 " to %" PRId64 ": the vocabulary has %" PRId64, lo,
                hi > 0 ? hi - 1 : end - 1, m->vocab);
        return err_hint(e, "widen the range of ids");
    }
    out->id = mem_array((size_t)(end - lo), sizeof *out->id, e);
    if (!out->id)
        return ERR_RESOURCE;
    for (int64_t i = lo; i < end; i++)
        if (!tok || (!tokenizer_is_special(tok, (int32_t)i) && tokenizer_text(tok, (int32_t)i).len > 0))
            out->id[out->n++] = (int32_t)i;
    if (out->n >= 2)
        return 0;
    task_vocabulary_free(out);
    err_set(e, ERR_USAGE, "fewer than two ordinary tokens have ids from %" PRId64 " to %" PRId64, lo, end - 1);
    return err_hint(e, "widen the range of ids");
}

void task_vocabulary_free(task_vocabulary *v)
{
    free(v->id);
    *v = (task_vocabulary){0};
}

int task_random_tokens(int32_t *out, const task_vocabulary *v, int64_t n, bool distinct, rng *r, err *e)
{
    if (!distinct) {
        for (int64_t i = 0; i < n; i++)
            out[i] = v->id[rng_below(r, v->n)];
        return 0;
    }
    if (n > v->n) {
        err_set(e, ERR_USAGE, "%" PRId64 " distinct tokens: there are only %" PRId64 " to choose from", n, v->n);
        return err_hint(e, "take fewer, or allow tokens to come twice");
    }
    int64_t *order = mem_array((size_t)v->n, sizeof *order, e);
    if (!order)
        return ERR_RESOURCE;
    for (int64_t i = 0; i < v->n; i++)
        order[i] = i;
    for (int64_t i = 0; i < n; i++) { /* the first n of a random order */
        int64_t k = i + rng_below(r, v->n - i), keep = order[i];
        order[i] = order[k];
        order[k] = keep;
        out[i] = v->id[order[i]];
    }
    free(order);
    return 0;
}

/* ---- running ---- */

typedef struct head_sum {
    double weight[TASK_MAX_ROUTES];
    int64_t top[TASK_MAX_ROUTES];
} head_sum;

typedef struct task_watch {
    const task *t;
    attn_tap tap;
    int n_head;
    head_sum *sum;          /* [n_layer, n_head, chunk] */
    int64_t *top_key;       /* [n_head, n] of the layer that runs */
    float *top_weight;      /* likewise */
    double nll;
    int64_t right;
} task_watch;

static void take_tile(void *ud, const attn_tile *t)
{
    task_watch *w = ud;
    const task *k = w->t;
    head_sum *s = &w->sum[((int64_t)t->layer * w->n_head + t->head) * ATTN_MAX_CHUNK + t->chunk];
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        int64_t at = (int64_t)t->head * k->n + q;
        float best = w->top_weight[at];
        int64_t best_key = w->top_key[at], end = t->k0 + t->n_key;
        int64_t hi = t->visible_hi[q - t->q0] < end ? t->visible_hi[q - t->q0] : end;
        for (int64_t j = t->k0 > t->visible_lo[q - t->q0] ? t->k0 : t->visible_lo[q - t->q0]; j < hi; j++) {
            float p = attn_tile_at(t, q, j);
            if (p > best) {
                best = p;
                best_key = j;
            }
        }
        w->top_weight[at] = best;
        w->top_key[at] = best_key;
        for (int i = 0; i < k->n_route; i++) {
            int64_t j = k->route[i].key[q];
            if (j >= t->k0 && j < hi && j >= t->visible_lo[q - t->q0])
                s->weight[i] += (double)attn_tile_at(t, q, j);
        }
    }
}

/* The tops of a layer are complete. */
static int take_heads(void *ud, int layer, int head0, int head1, err *e)
{
    task_watch *w = ud;
    (void)e;
    for (int h = head0; h < head1; h++)
        for (int i = 0; i < w->t->n_route; i++)
            for (int64_t q = 0; q < w->t->n; q++) {
                int64_t j = w->t->route[i].key[q];
                w->sum[((int64_t)layer * w->n_head + h) * ATTN_MAX_CHUNK].top[i] +=
                    j >= 0 && w->top_key[(int64_t)h * w->t->n + q] == j;
            }
    return 0;
}

static int watch_attention(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e)
{
    task_watch *w = ud;
    (void)m;
    (void)e;
    if (site->kind != ATTN_SELF)
        return 0;
    for (int64_t i = 0; i < w->n_head * w->t->n; i++)
        w->top_weight[i] = -1;
    *tap = &w->tap;
    return 0;
}

static int take_logits(void *ud, int64_t pos0, const float *logits, int64_t n, int64_t vocab, err *e)
{
    task_watch *w = ud;
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        int32_t want = w->t->target[pos0 + i];
        const float *x = logits + i * vocab;
        int64_t best = 0;
        double sum = 0;
        if (want < 0)
            continue;
        for (int64_t k = 1; k < vocab; k++)
            if (x[k] > x[best])
                best = k;
        for (int64_t k = 0; k < vocab; k++)
            sum += exp((double)x[k] - (double)x[best]);
        w->nll += log(sum) + (double)x[best] - (double)x[want];
        w->right += best == want;
    }
    return 0;
}

static int new_result(task_result *out, const model *m, const task *t, err *e)
{
    const stack *s = m->main;
    *out = (task_result){.n_layer = s->n_layer};
    out->heads_ = mem_array((size_t)s->n_layer, sizeof *out->heads_, e);
    if (!out->heads_)
        return ERR_RESOURCE;
    out->layer_heads = out->heads_;
    for (int l = 0; l < s->n_layer; l++) {
        const attention_block *b = model_attention(m, ATTN_SELF, l);
        out->heads_[l] = b ? b->plan.n_head : 0;
        if (out->heads_[l] > out->n_head)
            out->n_head = out->heads_[l];
    }
    for (int i = 0; i < t->n_route; i++) {
        size_t sites = (size_t)s->n_layer * (size_t)out->n_head;
        out->weight[i] = mem_array(sites, sizeof(double), e);
        out->top[i] = out->weight[i] ? mem_array(sites, sizeof(double), e) : NULL;
        if (!out->top[i])
            return ERR_RESOURCE;
        for (int64_t q = 0; q < t->n; q++)
            out->counted[i] += t->route[i].key[q] >= 0;
    }
    return 0;
}

void task_result_free(task_result *s)
{
    free(s->heads_);
    for (int i = 0; i < TASK_MAX_ROUTES; i++) {
        free(s->weight[i]);
        free(s->top[i]);
    }
    *s = (task_result){0};
}

static void gather(task_result *out, const task_watch *w)
{
    for (int64_t k = 0; k < (int64_t)out->n_layer * out->n_head; k++)
        for (int i = 0; i < w->t->n_route; i++) {
            double n = out->counted[i] > 0 ? (double)out->counted[i] : 1, sum = 0;
            for (int c = 0; c < ATTN_MAX_CHUNK; c++)
                sum += w->sum[k * ATTN_MAX_CHUNK + c].weight[i];
            out->weight[i][k] = sum / n;
            out->top[i][k] = (double)w->sum[k * ATTN_MAX_CHUNK].top[i] / n;
        }
    out->accuracy = (double)w->right / (double)w->t->n_target;
    out->nll = w->nll / (double)w->t->n_target;
}

int task_run(task_result *out, runtime *r, const model *m, const task *t, const progress *p, err *e)
{
    task_watch w = {.t = t};
    *out = (task_result){0};
    if (m->main->kind != ATTN_SELF || m->vocab == 0 || m->needs != NEEDS_TOKENS) {
        err_set(e, ERR_USAGE, "%s is no model that goes on with tokens alone", m->name);
        return err_hint(e, "take a decoder-only language model");
    }
    int rc = new_result(out, m, t, e);
    size_t sites = (size_t)out->n_layer * (size_t)out->n_head, cells;
    if (!rc && !size_mul(&cells, (size_t)t->n, (size_t)out->n_head))
        rc = err_nomem(e, "the task");
    if (!rc && (!(w.sum = mem_array(sites, ATTN_MAX_CHUNK * sizeof *w.sum, e)) ||
                !(w.top_key = mem_array(cells, sizeof *w.top_key, e)) ||
                !(w.top_weight = mem_array(cells, sizeof *w.top_weight, e))))
        rc = ERR_RESOURCE;
    if (!rc) {
        w.n_head = out->n_head;
        w.tap = (attn_tap){.need = ATTN_NEED_PROBS, .tile = take_tile, .heads_done = take_heads, .ud = &w};
        const observer o = {.attention = watch_attention, .logits = take_logits, .ud = &w};
        const model_input in = {.ids = t->ids, .n = t->n};
        rc = forward(r, &in, &o, p, e);
    }
    if (!rc)
        gather(out, &w);
    free(w.sum);
    free(w.top_key);
    free(w.top_weight);
    if (rc)
        task_result_free(out);
    return rc;
}
