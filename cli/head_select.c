#include "cli/head_select.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/param.h"

/* An inclusive range; hi < 0: to the last one there is. */
typedef struct span { int64_t lo, hi; } span;

static bool read_number(int64_t *out, const char **s)
{
    if (!isdigit((unsigned char)**s))
        return false;
    int64_t v = 0;
    for (; isdigit((unsigned char)**s); (*s)++) {
        v = v * 10 + (**s - '0');
        if (v > 1000000)
            return false;
    }
    *out = v;
    return true;
}

/* "3", "0-3" or "*". */
static bool read_span(span *out, const char **s)
{
    if (**s == '*') {
        (*s)++;
        *out = (span){0, -1};
        return true;
    }
    if (!read_number(&out->lo, s))
        return false;
    out->hi = out->lo;
    if (**s == '-') {
        (*s)++;
        return read_number(&out->hi, s) && out->hi >= out->lo;
    }
    return true;
}

/* What one word asks for.  prefixed: the kind was written; every: "all", of all kinds or of that one. */
typedef struct head_word {
    attn_kind kind;
    bool prefixed, every;
    span layers, heads;
} head_word;

static bool read_word(head_word *w, const char *word)
{
    *w = (head_word){.kind = ATTN_SELF, .layers = {0, -1}, .heads = {0, -1}};
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++) {
        const char *name = attn_kind_name((attn_kind)k);
        size_t len = strlen(name);
        if (strncmp(word, name, len) == 0 && word[len] == '.') {
            w->kind = (attn_kind)k;
            w->prefixed = true;
            word += len + 1;
            break;
        }
    }
    if (strcmp(word, "all") == 0 || strcmp(word, "*") == 0) {
        w->every = true;
        return true;
    }
    const char *s = word;
    bool lettered = *s == 'L' || *s == 'l';
    if (lettered)
        s++;
    if (!read_span(&w->layers, &s))
        return false;
    if (lettered && *s == '\0')
        return true;
    if (lettered ? *s != 'H' && *s != 'h' : *s != '.')
        return false;
    s++;
    return read_span(&w->heads, &s) && *s == '\0';
}

static int out_of_range(const char *what, int64_t i, const char *owner, int64_t n, const char *things, err *e)
{
    err_set(e, ERR_USAGE, "%s %" PRId64 " out of range (%s has %" PRId64 " %s)", what, i, owner, n, things);
    return err_hint(e, "layers and heads count from 0");
}

typedef struct selection {
    const model *m;
    head_id *head;
    int n;
} selection;

static void add_head(selection *out, head_id h)
{
    for (int i = 0; i < out->n; i++)
        if (out->head[i].kind == h.kind && out->head[i].layer == h.layer && out->head[i].head == h.head)
            return;
    out->head[out->n++] = h;
}

/* Heads of one kind.  Layers without attention (a delta rule) are passed over, unless nothing else is named. */
static int add_kind(selection *out, const head_word *w, const char *word, err *e)
{
    const stack *s = model_stack(out->m, w->kind);
    int64_t n_layer = s ? s->n_run : 0, last = w->layers.hi < 0 ? n_layer - 1 : w->layers.hi;
    if (n_layer && last >= n_layer)
        return out_of_range("layer", w->layers.lo >= n_layer ? w->layers.lo : last, "model", n_layer, "layers", e);
    bool any = false;
    for (int64_t l = w->layers.lo; l <= last && n_layer; l++) {
        const attention_block *b = model_attention(out->m, w->kind, (int)l);
        if (!b)
            continue;
        any = true;
        char owner[32];
        snprintf(owner, sizeof owner, "layer %" PRId64, l);
        int64_t n = b->plan.n_head, hi = w->heads.hi < 0 ? n - 1 : w->heads.hi;
        if (hi >= n)
            return out_of_range("head", w->heads.lo >= n ? w->heads.lo : hi, owner, n, "heads", e);
        for (int64_t h = w->heads.lo; h <= hi; h++)
            add_head(out, (head_id){w->kind, (int)l, (int)h});
    }
    if (any)
        return 0;
    if (n_layer)
        err_set(e, ERR_USAGE, "'%s': %s attention weights", word, w->layers.lo == last ? "the layer has no"
                : "none of the layers has");
    else
        err_set(e, ERR_USAGE, "'%s': %s has no attention of that kind", word, out->m->name);
    return err_hint(e, "`info` prints the attention of each layer");
}

/* ", enc. or cross. before it": the kinds that a word may name. */
static const char *prefixes(char *out, size_t size, const model *m)
{
    size_t len = 0;
    out[0] = '\0';
    for (int k = ATTN_SELF + 1; k <= ATTN_VISION; k++)
        if (model_stack(m, (attn_kind)k))
            len += (size_t)snprintf(out + len, size - len, "%s%s.", len ? " or " : ", with ", attn_kind_name((attn_kind)k));
    if (len)
        snprintf(out + len, size - len, " before it");
    return out;
}

static int add_word(selection *out, const char *word, err *e)
{
    head_word w;
    if (!read_word(&w, word)) {
        char kinds[64];
        err_set(e, ERR_USAGE, "'%s' names no head", word);
        return err_hint(e, "write L1H3, L1H* (a layer), L*H0, L0-3H2 or all%s; separate several with commas",
                        prefixes(kinds, sizeof kinds, out->m));
    }
    if (!w.prefixed && !w.every)
        w.kind = out->m->main->kind;
    if (w.prefixed || !w.every)
        return add_kind(out, &w, word, e);
    int rc = 0;
    for (int k = ATTN_SELF; k <= ATTN_VISION && !rc; k++) {
        w.kind = (attn_kind)k;
        if (model_stack(out->m, w.kind))
            rc = add_kind(out, &w, word, e);
    }
    return rc;
}

int head_select(head_id **out, int *n, const model *m, const char *text, err *e)
{
    size_t total = 1;
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++) {
        const stack *s = model_stack(m, (attn_kind)k);
        for (int l = 0; s && l < s->n_run; l++) {
            const attention_block *b = model_attention(m, (attn_kind)k, l);
            total += b ? (size_t)b->plan.n_head : 0;
        }
    }
    head_id *heads = mem_array(total, sizeof *heads, e);
    char *copy = mem_strdup(text, e);
    int rc = heads && copy ? 0 : ERR_RESOURCE;
    selection chosen = {m, heads, 0};
    char *save = NULL;
    for (char *w = rc ? NULL : strtok_r(copy, ", \t", &save); w && !rc; w = strtok_r(NULL, ", \t", &save))
        rc = add_word(&chosen, w, e);
    if (!rc && chosen.n == 0) {
        err_set(e, ERR_USAGE, "no head is named");
        rc = err_hint(e, "write L1H3, L1H* (a layer) or all");
    }
    free(copy);
    if (rc) {
        free(heads);
        return rc;
    }
    *out = heads;
    *n = chosen.n;
    return 0;
}

static bool within(const span *s, int64_t i)
{
    return i >= s->lo && (s->hi < 0 || i <= s->hi);
}

int head_matches(bool *yes, head_id h, attn_kind main, const char *text, err *e)
{
    char *copy = mem_strdup(text, e), *save = NULL;
    int rc = copy ? 0 : ERR_RESOURCE;
    *yes = false;
    for (char *word = rc ? NULL : strtok_r(copy, ", \t", &save); word && !rc; word = strtok_r(NULL, ", \t", &save)) {
        head_word w;
        if (!read_word(&w, word)) {
            err_set(e, ERR_USAGE, "'%s' names no head", word);
            rc = err_hint(e, "write L1H3, L1H* (a layer), L*H0, L0-3H2 or all; separate several with commas");
            break;
        }
        attn_kind kind = w.prefixed ? w.kind : main;
        *yes |= (h.kind == kind || (w.every && !w.prefixed)) && within(&w.layers, h.layer) && within(&w.heads, h.head);
    }
    free(copy);
    return rc;
}

int head_check(head_id h, int64_t n_layer, int64_t n_head, err *e)
{
    if (n_layer > 0 && h.layer >= n_layer)
        return out_of_range("layer", h.layer, "model", n_layer, "layers", e);
    if (n_head > 0 && h.head >= n_head)
        return out_of_range("head", h.head, "model", n_head, "heads a layer", e);
    return 0;
}

int head_read(head_id *out, const char *text, err *e)
{
    if (head_parse(out, text))
        return 0;
    err_set(e, ERR_USAGE, "'%s' names no head", text);
    return err_hint(e, "write L1H3 or 1.3, with enc., cross. or vis. before it where the model has several stacks");
}
