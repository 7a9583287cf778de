#include "analysis/edit.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"

#define EDIT(name) extern const edit edit_##name;
#include "registry/edits.inc"
#undef EDIT

#define EDIT(name) &edit_##name,
const edit *const edits[] = {
#include "registry/edits.inc"
    NULL,
};
#undef EDIT

struct edit_plan {
    const model *m;
    int n;
    edit_use **use;           /* [n] */
    int *first[4];            /* [n_layer + 1] of each kind: index of the first head of a layer; NULL: no such stack */
    bool *edited[4];          /* heads whose weights any edit changes, by that index */
    attn_edit at;             /* of the attention at hand */
    forward_edits hooks;
};

const edit *edit_find(const char *name)
{
    for (const edit *const *i = edits; *i; i++)
        if (!strcmp((*i)->name, name))
            return *i;
    return NULL;
}

/* ---- parameters ---- */

static int no_parameter(const edit *kind, const char *text, err *e)
{
    err_set(e, ERR_USAGE, "edit %s has no parameter \"%s\"", kind->name, text);
    if (!kind->params)
        return err_hint(e, "it takes none");
    strbuf names = {0};
    for (const param *r = kind->params; r->name; r++)
        strbuf_printf(&names, "%s%s", r == kind->params ? "" : ", ", r->name);
    err_hint(e, "it takes %s", strbuf_str(&names));
    strbuf_free(&names);
    return ERR_USAGE;
}

static int set_one(params *p, const edit *kind, const char *text, err *e)
{
    char name[64];
    const char *eq = strchr(text, '='), *value = eq ? eq + 1 : text;
    size_t len = eq ? (size_t)(eq - text) : strlen(kind->params[0].name);
    if (len >= sizeof name)
        return no_parameter(kind, text, e);
    snprintf(name, sizeof name, "%.*s", (int)len, eq ? text : kind->params[0].name);
    if (!params_row(p, name))
        return no_parameter(kind, name, e);
    int rc = params_set(p, name, value, e);
    return rc ? err_prefix(e, "edit %s", kind->name) : 0;
}

int edit_params(params **out, const edit *kind, const char *const *settings, err *e)
{
    *out = NULL;
    if (!kind->params)
        return settings && settings[0] ? no_parameter(kind, settings[0], e) : 0;
    params *p;
    int rc = params_new(&p, e);
    if (!rc)
        params_call(p, "parameter");
    if (rc)
        return rc;
    rc = params_use(p, kind->params, e);
    for (int i = 0; settings && settings[i] && !rc; i++)
        rc = set_one(p, kind, settings[i], e);
    if (rc)
        params_free(p);
    else
        *out = p;
    return rc;
}

bool edit_read_span(int64_t *lo, int64_t *hi, const char *text)
{
    char buf[64], *dash;
    if (!isdigit((unsigned char)*text) || strlen(text) >= sizeof buf)
        return false;
    strcpy(buf, text);
    if ((dash = strchr(buf, '-')))
        *dash = '\0';
    if (!parse_int(lo, buf))
        return false;
    *hi = *lo;
    return !dash || (isdigit((unsigned char)dash[1]) && parse_int(hi, dash + 1) && *hi >= *lo);
}

/* ---- the plan ---- */

static int64_t count_of(const edit_plan *p, attn_kind kind)
{
    const stack *s = model_stack(p->m, kind);
    return s && p->first[kind] ? p->first[kind][s->n_layer] : 0;
}

int edit_plan_new(edit_plan **out, const model *m, err *e)
{
    edit_plan *p = mem_array(1, sizeof *p, e);
    if (!p)
        return ERR_RESOURCE;
    p->m = m;
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++) {
        const stack *s = model_stack(m, (attn_kind)k);
        if (!s)
            continue;
        if (!(p->first[k] = mem_array((size_t)s->n_layer + 1, sizeof *p->first[k], e)))
            goto fail;
        for (int l = 0; l <= s->n_layer; l++)
            p->first[k][l] = (int)head_index(m, (attn_kind)k, l, 0);
        if (!(p->edited[k] = mem_array((size_t)p->first[k][s->n_layer], sizeof *p->edited[k], e)))
            goto fail;
    }
    *out = p;
    return 0;
fail:
    edit_plan_free(p);
    return ERR_RESOURCE;
}

static void use_free(edit_use *u)
{
    if (!u)
        return;
    if (u->kind->release && u->state)
        u->kind->release(u);
    for (int k = 0; k < 4; k++)
        free(u->mask[k]);
    params_free(u->values);
    free((void *)(uintptr_t)u->heads);
    free(u);
}

void edit_plan_clear(edit_plan *p)
{
    for (int i = 0; i < p->n; i++)
        use_free(p->use[i]);
    free(p->use);
    p->use = NULL;
    p->n = 0;
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++)
        if (p->edited[k])
            memset(p->edited[k], 0, (size_t)count_of(p, (attn_kind)k) * sizeof *p->edited[k]);
}

void edit_plan_free(edit_plan *p)
{
    if (!p)
        return;
    edit_plan_clear(p);
    for (int k = 0; k < 4; k++) {
        free(p->first[k]);
        free(p->edited[k]);
    }
    free(p);
}

int edit_plan_count(const edit_plan *p)
{
    return p->n;
}

/* Index of a head among those of its kind, or of a layer; -1: the model has it not. */
static int64_t index_of(const edit_plan *p, const edit *kind, head_id h)
{
    const stack *s = model_stack(p->m, h.kind);
    if (!s || h.layer < 0 || h.layer >= s->n_layer)
        return -1;
    if (kind->target == EDIT_LAYERS)
        return h.layer;
    const attention_block *b = model_attention(p->m, h.kind, h.layer);
    return b && h.head >= 0 && h.head < b->plan.n_head ? p->first[h.kind][h.layer] + h.head : -1;
}

static int check_head(const edit_plan *p, const edit_use *u, head_id h, err *e)
{
    head_text name;
    head_format(name, h);
    if (index_of(p, u->kind, h) < 0) {
        if (u->kind->target == EDIT_LAYERS)
            err_set(e, ERR_USAGE, "edit %s: %s has no layer %d", u->kind->name, p->m->name, h.layer);
        else
            err_set(e, ERR_USAGE, "edit %s: %s has no head %s", u->kind->name, p->m->name, name);
        return err_hint(e, "layers and heads count from 0; `info` prints how many there are");
    }
    if (u->kind->target == EDIT_LAYERS && h.kind == ATTN_CROSS) {
        err_set(e, ERR_USAGE, "edit %s: layers are those of a stack, not of cross attention", u->kind->name);
        return err_hint(e, "write L2, enc.L2 or vis.L2");
    }
    /* What is measured are the weights before all edits. */
    if (u->kind->measure && p->edited[h.kind][index_of(p, u->kind, h)]) {
        err_set(e, ERR_USAGE, "edit %s of %s comes behind another edit of its weights", u->kind->name, name);
        return err_hint(e, "put %s first: it is decided by the weights of the model", u->kind->name);
    }
    if (u->ref && !head_reference_has(u->ref, h))
        return err_set(e, ERR_USAGE, "edit %s: %s is not in the reference", u->kind->name, name);
    return 0;
}

static int fill_mask(const edit_plan *p, edit_use *u, err *e)
{
    for (int i = 0; i < u->n_head; i++) {
        head_id h = u->heads[i];
        int rc = check_head(p, u, h, e);
        if (rc)
            return rc;
        size_t n = u->kind->target == EDIT_LAYERS ? (size_t)model_stack(p->m, h.kind)->n_layer
                                                  : (size_t)count_of(p, h.kind);
        if (!u->mask[h.kind] && !(u->mask[h.kind] = mem_array(n, sizeof *u->mask[h.kind], e)))
            return ERR_RESOURCE;
        u->mask[h.kind][index_of(p, u->kind, h)] = true;
    }
    return 0;
}

static int take_heads(edit_use *u, const head_id *heads, int n_head, err *e)
{
    if (n_head < 1) {
        bool layers = u->kind->target == EDIT_LAYERS;
        err_set(e, ERR_USAGE, "edit %s names no %s", u->kind->name, layers ? "layer" : "head");
        return err_hint(e, layers ? "write %s L2,L3" : "write %s L1H3,L2H5", u->kind->name);
    }
    head_id *copy = mem_array((size_t)n_head, sizeof *copy, e);
    if (!copy)
        return ERR_RESOURCE;
    u->heads = copy;
    for (int i = 0; i < n_head; i++) {
        head_id h = heads[i];
        if (u->kind->target == EDIT_LAYERS)
            h.head = NO_INDEX;
        bool again = false;
        for (int j = 0; j < u->n_head && u->kind->target == EDIT_LAYERS; j++)
            again |= copy[j].kind == h.kind && copy[j].layer == h.layer;
        if (!again)
            copy[u->n_head++] = h;
    }
    return 0;
}

int edit_plan_add(edit_plan *p, const edit *kind, const head_id *heads, int n_head, params *values,
                  const head_reference *ref, err *e)
{
    edit_use **more = mem_grow(p->use, (size_t)p->n + 1, sizeof *more, e);
    edit_use *u = more ? mem_array(1, sizeof *u, e) : NULL;
    if (more)
        p->use = more;
    if (!u) {
        params_free(values);
        return ERR_RESOURCE;
    }
    *u = (edit_use){.kind = kind, .values = values, .ref = ref};
    int rc = !values && kind->params ? edit_params(&u->values, kind, NULL, e) : 0;
    if (!rc && kind->needs_reference && (!ref || head_reference_prompts(ref) == 0)) {
        err_set(e, ERR_USAGE, "edit %s needs outputs of other prompts", kind->name);
        rc = err_hint(e, "name a file of prompts: %s prompts=FILE.jsonl L1H3", kind->name);
    }
    if (!rc)
        rc = take_heads(u, heads, n_head, e);
    if (!rc)
        rc = fill_mask(p, u, e);
    if (!rc && kind->prepare)
        rc = kind->prepare(u, p->m, e);
    if (rc) {
        use_free(u);
        return rc;
    }
    for (int i = 0; i < u->n_head && kind->weights; i++)
        p->edited[u->heads[i].kind][index_of(p, kind, u->heads[i])] = true;
    p->use[p->n++] = u;
    return 0;
}

/* ---- the hooks ---- */

static bool has_layer(const edit_plan *p, const edit_use *u, attn_kind kind, int layer)
{
    if (!u->mask[kind])
        return false;
    if (u->kind->target == EDIT_LAYERS)
        return u->mask[kind][layer];
    bool any = false;
    for (int i = p->first[kind][layer]; i < p->first[kind][layer + 1]; i++)
        any |= u->mask[kind][i];
    return any;
}

static bool skip(void *ud, attn_kind stack_kind, int layer, model_part part)
{
    const edit_plan *p = ud;
    for (int i = 0; i < p->n; i++)
        if (p->use[i]->kind->skips & 1u << part && has_layer(p, p->use[i], stack_kind, layer))
            return true;
    return false;
}

static void change_weights(void *ud, const attn_tile *t, float *probs)
{
    const edit_plan *p = ud;
    int head = p->first[t->kind][t->layer] + t->head;
    for (int i = 0; i < p->n; i++) {
        const edit_use *u = p->use[i];
        if (u->kind->weights && u->mask[t->kind] && u->mask[t->kind][head])
            u->kind->weights(u, t, probs);
    }
}

static int weights(void *ud, runtime *r, const attn_args *a, const attn_edit **out, err *e)
{
    edit_plan *p = ud;
    bool any = false;
    int rc = 0;
    for (int i = 0; i < p->n && !rc; i++) {
        edit_use *u = p->use[i];
        if (!u->kind->weights || !has_layer(p, u, a->kind, a->layer))
            continue;
        any = true;
        rc = u->kind->measure ? u->kind->measure(u, r, a, e) : 0;
    }
    if (rc || !any)
        return rc;
    p->at = (attn_edit){p->edited[a->kind] + p->first[a->kind][a->layer], change_weights, p};
    *out = &p->at;
    return 0;
}

static int outputs(void *ud, const head_outputs *h, float *heads, err *e)
{
    const edit_plan *p = ud;
    (void)e;
    if (!h->plan) /* a delta rule's heads have no names */
        return 0;
    int width = h->plan->d_v, first = p->first[h->kind][h->layer];
    for (int i = 0; i < p->n; i++) {
        const edit_use *u = p->use[i];
        for (int head = 0; u->kind->output && u->mask[h->kind] && head < h->plan->n_head; head++)
            if (u->mask[h->kind][first + head])
                u->kind->output(u, (head_id){h->kind, h->layer, head}, h->pos0, heads + (int64_t)head * width, h->n,
                                h->width, width);
    }
    return 0;
}

const forward_edits *edit_plan_edits(edit_plan *p)
{
    if (p->n == 0)
        return NULL;
    bool skips = false, on_weights = false, on_outputs = false;
    for (int i = 0; i < p->n; i++) {
        skips |= p->use[i]->kind->skips != 0;
        on_weights |= p->use[i]->kind->weights != NULL;
        on_outputs |= p->use[i]->kind->output != NULL;
    }
    p->hooks = (forward_edits){.skip = skips ? skip : NULL, .weights = on_weights ? weights : NULL,
                               .heads = on_outputs ? outputs : NULL, .ud = p};
    return &p->hooks;
}

/* ---- provenance ---- */

static void put_value(strbuf *b, const params *p, const param *row)
{
    strbuf_putc(b, ',');
    strbuf_put_json(b, row->name, strlen(row->name));
    strbuf_putc(b, ':');
    if (row->kind == PARAM_INT)
        strbuf_printf(b, "%" PRId64, params_int(p, row->name));
    else if (row->kind == PARAM_REAL)
        strbuf_put_real(b, params_real(p, row->name));
    else if (row->kind == PARAM_BOOL)
        strbuf_puts(b, params_bool(p, row->name) ? "true" : "false");
    else
        strbuf_put_json(b, params_str(p, row->name), strlen(params_str(p, row->name)));
}

void edit_plan_put_json(strbuf *b, const edit_plan *p)
{
    strbuf_putc(b, '[');
    for (int i = 0; i < p->n; i++) {
        const edit_use *u = p->use[i];
        bool layers = u->kind->target == EDIT_LAYERS;
        strbuf_printf(b, "%s{\"edit\":\"%s\",\"%s\":\"", i ? "," : "", u->kind->name, layers ? "layers" : "heads");
        for (int h = 0; h < u->n_head; h++) {
            head_text name;
            head_format(name, u->heads[h]);
            if (layers)
                snprintf(name, sizeof name, "%s%sL%d", u->heads[h].kind == ATTN_SELF ? "" : attn_kind_name(u->heads[h].kind),
                         u->heads[h].kind == ATTN_SELF ? "" : ".", u->heads[h].layer);
            strbuf_printf(b, "%s%s", h ? "," : "", name);
        }
        strbuf_putc(b, '"');
        for (const param *row = u->kind->params; row && row->name; row++)
            if (params_given(u->values, row->name) || row->def)
                put_value(b, u->values, row);
        strbuf_putc(b, '}');
    }
    strbuf_putc(b, ']');
}

/* What the row has beside its keys: only a learned sink's share is taken from 1, for that difference is all rounding where the
 * keys are the whole row. */
static double beside_keys(const model *m, const attn_tile *t, double total)
{
    const attention_block *b = model_attention(m, t->kind, t->layer);
    return b && b->sinks && total < 1 ? 1 - total : 0;
}

/* The denominator is a sum of what is left, never 1 less what is taken: with nearly all weight on the keys that would be a
 * difference of nearly equal numbers. */
void edit_scale_keys(const model *m, const attn_tile *t, float *probs, int64_t i, int64_t from, int64_t to, double factor)
{
    int64_t lo = t->visible_lo[i], hi = t->visible_hi[i], q = t->q0 + i;
    from = from > lo ? from : lo;
    to = to < hi ? to : hi;
    if (from >= to)
        return;
    double mass = 0, rest = 0;
    for (int64_t k = lo; k < hi; k++)
        *(k >= from && k < to ? &mass : &rest) += (double)*edit_cell(t, probs, q, k);
    double sink = beside_keys(m, t, mass + rest), whole = mass + rest + sink, sum = factor * mass + rest + sink;
    if (sum <= 0)
        return;
    for (int64_t k = lo; k < hi; k++) {
        float *p = edit_cell(t, probs, q, k);
        *p = (float)((double)*p * (k >= from && k < to ? factor : 1) * whole / sum);
    }
}
