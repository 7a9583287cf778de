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

static bool read_word(attn_kind *kind, span *layers, span *heads, const char *word)
{
    static const attn_kind kinds[] = {ATTN_SELF, ATTN_ENCODER, ATTN_CROSS, ATTN_VISION};
    *kind = ATTN_SELF;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *name = attn_kind_name(kinds[i]);
        size_t len = strlen(name);
        if (strncmp(word, name, len) == 0 && word[len] == '.') {
            *kind = kinds[i];
            word += len + 1;
            break;
        }
    }
    *heads = (span){0, -1};
    if (strcmp(word, "all") == 0 || strcmp(word, "*") == 0) {
        *layers = (span){0, -1};
        return true;
    }
    const char *s = word;
    bool lettered = *s == 'L' || *s == 'l';
    if (lettered)
        s++;
    if (!read_span(layers, &s))
        return false;
    if (lettered && *s == '\0')
        return true;
    if (lettered ? *s != 'H' && *s != 'h' : *s != '.')
        return false;
    s++;
    return read_span(heads, &s) && *s == '\0';
}

static int out_of_range(const char *what, int64_t i, const char *owner, int64_t n, const char *things, err *e)
{
    err_set(e, ERR_USAGE, "%s %" PRId64 " out of range (%s has %" PRId64 " %s)", what, i, owner, n, things);
    return err_hint(e, "layers and heads count from 0");
}

static int add_word(head_id *out, int *n, const model *m, const char *word, err *e)
{
    attn_kind kind;
    span layers, heads;
    if (!read_word(&kind, &layers, &heads, word)) {
        err_set(e, ERR_USAGE, "'%s' names no head", word);
        return err_hint(e, "write L1H3, L1H* (a layer), L*H0, L0-3H2 or all; separate several with commas");
    }
    if (layers.hi < 0)
        layers.hi = m->n_layer - 1;
    if (layers.hi >= m->n_layer)
        return out_of_range("layer", layers.lo >= m->n_layer ? layers.lo : layers.hi, "model", m->n_layer,
                            "layers", e);
    bool any = false;
    for (int64_t l = layers.lo; l <= layers.hi; l++) {
        const attn_plan *a = &m->layers[l].attn;
        if (a->kind != kind)
            continue;
        any = true;
        char owner[32];
        snprintf(owner, sizeof owner, "layer %" PRId64, l);
        int64_t hi = heads.hi < 0 ? a->n_head - 1 : heads.hi;
        if (hi >= a->n_head)
            return out_of_range("head", heads.lo >= a->n_head ? heads.lo : hi, owner, a->n_head, "heads", e);
        for (int64_t h = heads.lo; h <= hi; h++) {
            bool known = false;
            for (int i = 0; i < *n && !known; i++)
                known = out[i].kind == kind && out[i].layer == l && out[i].head == h;
            if (!known)
                out[(*n)++] = (head_id){kind, (int)l, (int)h};
        }
    }
    if (!any) {
        err_set(e, ERR_USAGE, "'%s': %s has no attention of that kind", word, m->name);
        return err_hint(e, "`info` prints the attention of each layer");
    }
    return 0;
}

int head_select(head_id **out, int *n, const model *m, const char *text, err *e)
{
    size_t total = 0;
    for (int l = 0; l < m->n_layer; l++)
        total += (size_t)m->layers[l].attn.n_head;
    head_id *heads = mem_array(total, sizeof *heads, e);
    char *copy = mem_strdup(text, e);
    int rc = heads && copy ? 0 : ERR_RESOURCE;
    int count = 0;
    char *save = NULL;
    for (char *w = rc ? NULL : strtok_r(copy, ", \t", &save); w && !rc; w = strtok_r(NULL, ", \t", &save))
        rc = add_word(heads, &count, m, w, e);
    if (!rc && count == 0) {
        err_set(e, ERR_USAGE, "no head is named");
        rc = err_hint(e, "write L1H3, L1H* (a layer) or all");
    }
    free(copy);
    if (rc) {
        free(heads);
        return rc;
    }
    *out = heads;
    *n = count;
    return 0;
}

int head_read(head_id *out, const char *text, int64_t n_layer, int64_t n_head, err *e)
{
    if (!head_parse(out, text)) {
        err_set(e, ERR_USAGE, "'%s' names no head", text);
        return err_hint(e, "write L1H3 or 1.3");
    }
    if (n_layer > 0 && out->layer >= n_layer)
        return out_of_range("layer", out->layer, "model", n_layer, "layers", e);
    if (n_head > 0 && out->head >= n_head)
        return out_of_range("head", out->head, "model", n_head, "heads a layer", e);
    return 0;
}
