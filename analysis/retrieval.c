#include "analysis/retrieval.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/loss.h"
#include "analysis/rouge.h"
#include "base/cancel.h"
#include "base/mem.h"

const char *const success_rule_names[] = {"tokens", "rouge1", NULL};

/* Largest weight of the last query so far. */
typedef struct top_key { float weight; int64_t key; } top_key;

typedef struct capture {
    attn_tap tap;
    attn_kind kind;
    int n_head;
    int64_t n_query;         /* of the attention that runs */
    top_key *top;            /* [n_layer, n_head]; key -1: the head was not run */
} capture;

static void take_tile(void *ud, const attn_tile *t)
{
    capture *c = ud;
    int64_t q = c->n_query - 1;
    if (t->q0 + t->n_query - 1 != q)
        return;
    top_key *top = &c->top[(int64_t)t->layer * c->n_head + t->head];
    int64_t lo = t->visible_lo[q - t->q0], hi = t->visible_hi[q - t->q0];
    int64_t from = lo > t->k0 ? lo : t->k0, to = hi < t->k0 + t->n_key ? hi : t->k0 + t->n_key;
    for (int64_t k = from; k < to; k++) {
        float w = attn_tile_at(t, q, k);
        if (w > top->weight)
            *top = (top_key){w, k};
    }
}

static int watch(void *ud, const model *m, const attn_site *site, const attn_tap **tap, err *e)
{
    capture *c = ud;
    (void)m;
    (void)e;
    if (site->kind != c->kind)
        return 0;
    c->n_query = site->n_query;
    for (int h = 0; h < site->plan->n_head; h++)
        c->top[(int64_t)site->layer * c->n_head + h] = (top_key){-1, -1};
    *tap = &c->tap;
    return 0;
}

int retrieval_check_model(const model *m, err *e)
{
    if (m->needs & (NEEDS_PIXELS | NEEDS_FEATURES)) {
        err_set(e, ERR_USAGE, "%s reads %s: a needle is looked for in text alone", m->name,
                m->needs & NEEDS_PIXELS ? "images" : "sound");
        return err_hint(e, "take a language model, or one of text to text");
    }
    if (m->main->kind != ATTN_SELF || m->vocab == 0) {
        err_set(e, ERR_USAGE, "%s is no language model that goes on with a text: it can give no answer", m->name);
        return err_hint(e, "`run` measures its attention");
    }
    return 0;
}

static int new_result(retrieval *out, const model *m, const retrieval_rules *rules, err *e)
{
    const stack *s = m->main;
    *out = (retrieval){.kind = m->encoder ? ATTN_CROSS : ATTN_SELF, .n_layer = s->n_layer, .stopped = "steps"};
    out->layer_heads = mem_array((size_t)s->n_layer, sizeof *out->layer_heads, e);
    if (!out->layer_heads)
        return ERR_RESOURCE;
    for (int l = 0; l < s->n_layer; l++) {
        const attention_block *b = model_attention(m, out->kind, l);
        out->layer_heads[l] = b ? b->plan.n_head : 0;
        if (out->layer_heads[l] > out->n_head)
            out->n_head = out->layer_heads[l];
    }
    out->heads = mem_array((size_t)s->n_layer * (size_t)out->n_head, sizeof *out->heads, e);
    out->generated = mem_array((size_t)rules->steps, sizeof *out->generated, e);
    return out->heads && out->generated ? 0 : ERR_RESOURCE;
}

void retrieval_free(retrieval *s)
{
    free(s->heads);
    free(s->layer_heads);
    free(s->generated);
    free(s->text);
    free(s->hits);
    *s = (retrieval){0};
}

static int add_hit(retrieval *s, retrieval_hit hit, err *e)
{
    if (s->n_hits == s->hits_cap) {
        int64_t cap = s->hits_cap ? 2 * s->hits_cap : 64;
        retrieval_hit *more = mem_grow(s->hits, (size_t)cap, sizeof *more, e);
        if (!more)
            return ERR_RESOURCE;
        s->hits = more;
        s->hits_cap = cap;
    }
    s->hits[s->n_hits++] = hit;
    return 0;
}

/* The heads that look at a copy of token w in this step. */
static int score_step(retrieval *s, const capture *c, const trial *t, int64_t step, int32_t w, err *e)
{
    for (int l = 0; l < s->n_layer; l++)
        for (int h = 0; h < s->layer_heads[l]; h++) {
            int64_t j = c->top[(int64_t)l * c->n_head + h].key;
            bool hit = j >= t->needle_begin && j < t->needle_end && t->ids[j] == w;
            if (hit && add_hit(s, (retrieval_hit){l, h, step, j}, e))
                return ERR_RESOURCE;
        }
    return 0;
}

/* Does decoding end behind this token? */
static const char *stops(const retrieval_rules *rules, int32_t id)
{
    for (int64_t i = 0; i < rules->n_end; i++)
        if (rules->end_ids[i] == id)
            return "end";
    if (!rules->stop_at_newline || !rules->tok)
        return NULL;
    token_text text = tokenizer_text(rules->tok, id);
    return text.len && memchr(text.s, '\n', text.len) ? "newline" : NULL;
}

static int by_id(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static int64_t distinct_ids(int32_t *sorted, int64_t n)
{
    int64_t k = 0;
    qsort(sorted, (size_t)n, sizeof *sorted, by_id);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || sorted[i] != sorted[i - 1])
            k++;
    return k;
}

/* From hits to scores. */
static int score_heads(retrieval *s, const trial *t, err *e)
{
    int64_t width = t->needle_end - t->needle_begin;
    int32_t *needle = mem_array((size_t)width, sizeof *needle, e);
    int32_t *hit = needle ? mem_array((size_t)(s->n_hits > 0 ? s->n_hits : 1), sizeof *hit, e) : NULL;
    int64_t *at = hit ? mem_array((size_t)s->n_layer * (size_t)s->n_head + 1, sizeof *at, e) : NULL;
    if (!at) {
        free(needle);
        free(hit);
        return ERR_RESOURCE;
    }
    memcpy(needle, t->ids + t->needle_begin, (size_t)width * sizeof *needle);
    double distinct = (double)distinct_ids(needle, width);
    for (int64_t i = 0; i < s->n_hits; i++) {
        head_retrieval *r = &s->heads[(int64_t)s->hits[i].layer * s->n_head + s->hits[i].head];
        r->n_hit++;
        r->copy_offset += (double)(s->hits[i].key - t->needle_begin);
    }
    int64_t sites = (int64_t)s->n_layer * s->n_head;
    for (int64_t k = 0; k < sites; k++)
        at[k + 1] = at[k] + s->heads[k].n_hit;
    for (int64_t i = 0; i < s->n_hits; i++)
        hit[at[(int64_t)s->hits[i].layer * s->n_head + s->hits[i].head]++] = t->ids[s->hits[i].key];
    for (int64_t k = 0; k < sites; k++) {
        head_retrieval *r = &s->heads[k];
        if (r->n_hit == 0)
            continue;
        r->coded = (double)r->n_hit / (double)width;
        r->set = (double)distinct_ids(hit + at[k] - r->n_hit, r->n_hit) / distinct;
        r->copy_offset /= (double)r->n_hit;
    }
    free(needle);
    free(hit);
    free(at);
    return 0;
}

static int judge(retrieval *s, const trial *t, const retrieval_rules *rules, err *e)
{
    int rc = token_recall(&s->token_recall, t->answer_ids, t->n_answer, s->generated, s->n_generated, e);
    s->exact = s->n_generated >= t->n_answer &&
               memcmp(s->generated, t->answer_ids, (size_t)t->n_answer * sizeof *t->answer_ids) == 0;
    if (!rc && rules->tok) {
        strbuf text = {0};
        rc = tokenizer_decode(rules->tok, s->generated, s->n_generated, true, &text, e);
        if (rc) {
            strbuf_free(&text);
            return rc;
        }
        s->text_len = text.len;
        if (!(s->text = text.len || text.failed ? strbuf_take(&text, e) : mem_strdup("", e)))
            return ERR_RESOURCE;
    }
    if (!rc && s->text && t->answer) {
        int64_t words;
        rc = rouge1_recall(&s->rouge1, &words, t->answer, t->answer_len, s->text, s->text_len, rules->stem, e);
        s->has_rouge = words > 0;
    }
    if (!rc && rules->success == SUCCESS_ROUGE1 && !s->has_rouge) {
        err_set(e, ERR_INPUT, "%s%sthe answer has no words of letters a to z or digits, so there is no ROUGE-1 recall",
                t->where, *t->where ? ": " : "");
        rc = err_hint(e, "let recall of tokens decide: --success tokens");
    }
    s->success = (rules->success == SUCCESS_ROUGE1 ? s->rouge1 : s->token_recall) > rules->recall;
    return rc;
}

static int decode(retrieval *s, decoder *d, const trial *t, const retrieval_rules *rules, const model *m, int64_t fed,
                  const progress *p, err *e)
{
    int64_t last_fed = m->encoder ? 1 : t->n, room = m->main->context - last_fed + 1;
    int32_t id = m->encoder ? rules->start : t->ids[t->n - 1];
    capture c = {.kind = s->kind, .n_head = s->n_head};
    c.tap = (attn_tap){.need = ATTN_NEED_PROBS, .tile = take_tile, .ud = &c};
    observer o = {.attention = watch, .ud = &c};
    const float *logits;
    int rc = 0;
    c.top = mem_array((size_t)s->n_layer * (size_t)s->n_head, sizeof *c.top, e);
    if (!c.top)
        return ERR_RESOURCE;
    if (fed > 0)
        rc = decoder_feed(d, t->ids, fed, &logits, p, e);
    decoder_watch(d, &o);
    while (!rc && s->n_generated < rules->steps) {
        if (s->n_generated == room) {
            s->stopped = "context";
            break;
        }
        if ((rc = decoder_feed(d, &id, 1, &logits, NULL, e)))
            break;
        id = largest_logit(logits, m->vocab);
        rc = score_step(s, &c, t, s->n_generated, id, e);
        s->generated[s->n_generated++] = id;
        const char *why = stops(rules, id);
        if (why) {
            s->stopped = why;
            break;
        }
        progress_step(p, "token", (double)s->n_generated, (double)rules->steps);
        if (!rc)
            rc = cancel_check(e);
    }
    decoder_watch(d, NULL);
    free(c.top);
    return rc;
}

int retrieval_run(retrieval *out, runtime *r, const model *m, const trial *t, const retrieval_rules *rules,
                  const progress *p, err *e)
{
    decoder *d = NULL;
    bool across = m->encoder != NULL;
    *out = (retrieval){0};
    int rc = retrieval_check_model(m, e);
    if (!rc && !across && t->n > m->main->context) {
        err_set(e, ERR_USAGE, "%s%sthe prompt of %" PRId64 " tokens is longer than the context of %s (%" PRId64 ")",
                t->where, *t->where ? ": " : "", t->n, m->name, m->main->context);
        rc = err_hint(e, "leave the longer trials out, or make shorter ones");
    }
    if (!rc)
        rc = new_result(out, m, rules, e);
    if (!rc && out->n_head == 0)
        rc = err_set(e, ERR_USAGE, "%s has no attention weights in any layer", m->name);
    model_input in = {.ids = &rules->start, .n = 1, .source = t->ids, .n_source = t->n};
    int64_t before = across ? 1 : t->n, most = before + rules->steps - 1;
    if (most > m->main->context)
        most = m->main->context;
    if (!rc)
        rc = decoder_new(&d, r, across ? &in : NULL, most, e);
    if (!rc)
        rc = decode(out, d, t, rules, m, across ? 0 : t->n - 1, p, e);
    decoder_free(d);
    if (!rc)
        rc = score_heads(out, t, e);
    if (!rc)
        rc = judge(out, t, rules, e);
    if (rc)
        retrieval_free(out);
    return rc;
}
