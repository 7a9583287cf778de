#include "cli/head_select.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/head_grammar.h"

int head_select(head_id **out, int *n, const model *m, const char *text, err *e)
{
    return head_select_named(out, n, NULL, m, text, e);
}

int head_select_named(head_id **out, int *n, session *s, const model *m, const char *text, err *e)
{
    head_space space;
    head_source src = {.s = s};
    int rc = head_space_of_model(&space, m, e);
    if (!rc)
        rc = head_select_in(out, n, &space, &src, text, e);
    head_space_free(&space);
    return rc;
}

int head_select_stored(head_id **out, int *n, session *s, store *st, int64_t run, int main, const char *text, err *e)
{
    head_space space;
    head_source src = {.s = s, .at_hand = run};
    int rc = head_space_of_run(&space, st, run, e);
    if (main >= 0)
        space.main = (attn_kind)main;
    if (!rc)
        rc = head_select_in(out, n, &space, &src, text, e);
    head_space_free(&space);
    return rc;
}

int layer_select(head_id **out, int *n, const model *m, const char *text, err *e)
{
    head_space space;
    int rc = head_space_layers(&space, m, e);
    if (!rc)
        rc = head_select_in(out, n, &space, NULL, text, e);
    head_space_free(&space);
    return rc;
}

/* ---- names alone ---- */

static bool within(const head_span *s, int64_t i)
{
    return i >= s->lo && (s->to_end || i <= s->hi);
}

static int match(bool *yes, head_id h, attn_kind main, const head_expr *x, err *e)
{
    int rc = 0;
    for (const head_expr *c = x->op == HEADS_GROUP ? x->child : NULL; c && !rc; c = c->next)
        rc = match(yes, h, main, c, e);
    if (x->op == HEADS_GROUP)
        return rc;
    if (x->bare || x->of_layer || x->layers.lo < 0 || x->layers.hi < 0 || x->heads.lo < 0 || x->heads.hi < 0) {
        err_set(e, ERR_USAGE, "'%s' names no head", x->text);
        return err_hint(e, "write L1H3, L1H* (a layer), L*H0, L0-3H2 or all; separate several with commas");
    }
    attn_kind kind = x->prefixed ? x->kind : main;
    *yes |= (h.kind == kind || (x->every && !x->prefixed)) && within(&x->layers, h.layer) && within(&x->heads, h.head);
    return 0;
}

int head_matches(bool *yes, head_id h, attn_kind main, const char *text, err *e)
{
    arena mem = {0};
    head_expr *x;
    *yes = false;
    int rc = head_expr_parse(&x, &mem, text, "", e);
    if (!rc && !head_expr_plain(x)) {
        err_set(e, ERR_USAGE, "'%s' names no head", text);
        rc = err_hint(e, "write L1H3, L1H* (a layer), L*H0, L0-3H2 or all; separate several with commas");
    }
    if (!rc)
        rc = match(yes, h, main, x, e);
    arena_free(&mem);
    return rc;
}

int head_check(head_id h, int64_t n_layer, int64_t n_head, err *e)
{
    const bool layer = n_layer > 0 && h.layer >= n_layer;
    if (!layer && (n_head <= 0 || h.head < n_head))
        return 0;
    err_set(e, ERR_USAGE, "%s %d out of range (model has %" PRId64 " %s)", layer ? "layer" : "head", layer ? h.layer : h.head,
            layer ? n_layer : n_head, layer ? "layers" : "heads a layer");
    return err_hint(e, "layers and heads count from 0");
}

int head_read(head_id *out, const char *text, err *e)
{
    if (head_parse(out, text))
        return 0;
    head_expr several = {0};
    bool heads = strchr(text, ',') || (head_place_read(&several, text) && !several.bare);
    err_set(e, ERR_USAGE, heads ? "'%s' names several heads, and one is wanted" : "'%s' names no head", text);
    return err_hint(e, "write L1H3 or 1.3, with enc., cross. or vis. before it where the model has several stacks");
}
