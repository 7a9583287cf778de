#include "analysis/patch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/patch_pattern.h"
#include "base/mem.h"

const char *const patch_what_names[PATCH_WHATS + 1] = {
    "resid", "attn_out", "mlp_out", "z", "q", "k", "v", "pattern", NULL,
};

static const attention_block *attention_of(const model *m, int layer)
{
    return model_attention(m, m->main->kind, layer);
}

int activation_heads(const model *m, patch_what what, int layer)
{
    if (layer < 0 || layer >= m->main->n_run)
        return 0;
    const attention_block *b = attention_of(m, layer);
    switch (what) {
    case PATCH_RESID: case PATCH_ATTN_OUT: case PATCH_MLP_OUT: return 1;
    case PATCH_Z: case PATCH_Q: case PATCH_PATTERN: return b ? b->plan.n_head : 0;
    case PATCH_K: case PATCH_V: return b ? b->plan.n_kv_head : 0;
    case PATCH_WHATS: break;
    }
    return 0;
}

int64_t activation_width(const model *m, patch_what what, int layer)
{
    int heads = activation_heads(m, what, layer);
    const attention_block *b = heads ? attention_of(m, layer) : NULL;
    switch (what) {
    case PATCH_RESID: case PATCH_ATTN_OUT: case PATCH_MLP_OUT: return heads ? m->main->width : 0;
    case PATCH_Q: case PATCH_K: return b ? (int64_t)heads * b->plan.d_qk : 0;
    case PATCH_Z: case PATCH_V: return b ? (int64_t)heads * b->plan.d_v : 0;
    case PATCH_PATTERN: case PATCH_WHATS: break;
    }
    return 0;
}

int activation_new(activation *out, const model *m, patch_what what, int layer, int64_t n, err *e)
{
    size_t cells;
    *out = (activation){.what = what, .layer = layer, .n = n, .width = activation_width(m, what, layer)};
    if (!out->width)
        return 0;
    if (!size_mul(&cells, (size_t)n, (size_t)out->width))
        return err_nomem(e, "an activation");
    out->x = mem_array(cells, sizeof *out->x, e);
    return out->x ? 0 : ERR_RESOURCE;
}

void activation_free(activation *a)
{
    free(a->x);
    *a = (activation){0};
}

replacement replace_with(const model *m, patch_what what, const activation *from, const activation *keys, int head,
                         int64_t position)
{
    int heads = activation_heads(m, what, from->layer);
    int64_t cols = what == PATCH_PATTERN ? heads : from->width, each = heads ? cols / heads : 0;
    return (replacement){
        .what = what, .layer = from->layer,
        .row0 = position == NO_INDEX ? 0 : position, .row1 = position == NO_INDEX ? from->n : position + 1,
        .col0 = head == NO_INDEX ? 0 : head * each, .col1 = head == NO_INDEX ? cols : (head + 1) * each,
        .from = from->x, .keys = keys ? keys->x : NULL,
    };
}

int patch_check_model(const model *m, err *e)
{
    if (m->needs != NEEDS_TOKENS || m->vision) {
        err_set(e, ERR_USAGE, "%s reads more than a text: its runs cannot be patched", m->name);
        return err_hint(e, "take a decoder or an encoder of text alone");
    }
    if (!m->head.unembedding.data) {
        err_set(e, ERR_USAGE, "%s gives no logits, so there is nothing to recover", m->name);
        return err_hint(e, "take a language model");
    }
    return 0;
}

/* ---- the run ---- */

typedef struct running {
    const patched_run *p;
    pattern_edit *pattern;   /* of the attention at hand */
    float *last;             /* [C] owned */
} running;

/* Rows row .. row + rows - 1 of an array of the run, whose cells x are: [rows, width]. */
static void put_rows(const patched_run *p, patch_what what, int layer, float *x, int64_t row, int64_t rows, int64_t width)
{
    for (int i = 0; i < p->n_put; i++) {
        const replacement *r = &p->put[i];
        if (r->what != what || r->layer != layer)
            continue;
        int64_t from = r->row0 > row ? r->row0 : row, to = r->row1 < row + rows ? r->row1 : row + rows;
        for (int64_t q = from; q < to; q++)
            memcpy(x + (q - row) * width + r->col0, r->from + q * width + r->col0,
                   (size_t)(r->col1 - r->col0) * sizeof *x);
    }
}

static void keep_rows(const patched_run *p, patch_what what, int layer, const float *x, int64_t row, int64_t rows,
                      int64_t width)
{
    for (int i = 0; i < p->n_keep; i++) {
        activation *a = p->keep[i];
        if (a->what == what && a->layer == layer && a->x)
            memcpy(a->x + row * width, x, (size_t)(rows * width) * sizeof *x);
    }
}

static int edit_residual(void *ud, attn_kind kind, int layer, int64_t pos0, float *x, int64_t n, int64_t width, err *e)
{
    const patched_run *p = ((const running *)ud)->p;
    (void)kind;
    (void)pos0;
    (void)e;
    if (layer == p->start && p->stream)
        memcpy(x, p->stream, (size_t)(n * width) * sizeof *x);
    put_rows(p, PATCH_RESID, layer, x, 0, n, width);
    return 0;
}

static bool edit_skip(void *ud, attn_kind kind, int layer, model_part part)
{
    (void)kind;
    (void)part;
    return layer < ((const running *)ud)->p->start;
}

static int edit_inputs(void *ud, const attn_args *a, int64_t first_key, float *q, float *k, float *v, err *e)
{
    const patched_run *p = ((const running *)ud)->p;
    (void)first_key;
    (void)e;
    put_rows(p, PATCH_Q, a->layer, q, 0, a->n_query, a->ldq);
    put_rows(p, PATCH_K, a->layer, k, 0, a->n_key, a->ldk);
    put_rows(p, PATCH_V, a->layer, v, 0, a->n_key, a->ldv);
    return 0;
}

static int edit_weights(void *ud, runtime *r, const attn_args *a, const attn_edit **edit, err *e)
{
    running *run = ud;
    const patched_run *p = run->p;
    pattern_edit_free(run->pattern);
    run->pattern = NULL;
    for (int i = 0; i < p->n_put; i++) {
        if (p->put[i].what != PATCH_PATTERN || p->put[i].layer != a->layer)
            continue;
        int rc = pattern_edit_add(&run->pattern, r, a, &p->put[i], e);
        if (rc)
            return rc;
    }
    if (run->pattern)
        *edit = pattern_edit_use(run->pattern);
    return 0;
}

static int edit_heads(void *ud, const head_outputs *h, float *heads, err *e)
{
    (void)e;
    if (h->plan)
        put_rows(((const running *)ud)->p, PATCH_Z, h->layer, heads, 0, h->n, h->width);
    return 0;
}

static patch_what what_added(model_part part)
{
    return part == PART_MLP ? PATCH_MLP_OUT : PATCH_ATTN_OUT;
}

static int edit_added(void *ud, const part_rows *r, int64_t pos0, float *x, err *e)
{
    (void)pos0;
    (void)e;
    put_rows(((const running *)ud)->p, what_added(r->part), r->layer, x, r->row, r->rows, r->width);
    return 0;
}

static int see_inputs(void *ud, const model *m, const attn_args *a, err *e)
{
    const patched_run *p = ((const running *)ud)->p;
    (void)m;
    (void)e;
    keep_rows(p, PATCH_Q, a->layer, a->q, 0, a->n_query, a->ldq);
    keep_rows(p, PATCH_K, a->layer, a->k, 0, a->n_key, a->ldk);
    keep_rows(p, PATCH_V, a->layer, a->v, 0, a->n_key, a->ldv);
    return 0;
}

static int see_heads(void *ud, const head_outputs *h, err *e)
{
    (void)e;
    if (h->plan)
        keep_rows(((const running *)ud)->p, PATCH_Z, h->layer, h->heads, 0, h->n, h->width);
    return 0;
}

static int see_added(void *ud, const part_rows *r, err *e)
{
    (void)e;
    keep_rows(((const running *)ud)->p, what_added(r->part), r->layer, r->x, r->row, r->rows, r->width);
    return 0;
}

static int see_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    running *run = ud;
    (void)kind;
    (void)e;
    keep_rows(run->p, PATCH_RESID, layer, x, 0, n, width);
    if (layer == run->p->m->main->n_run && run->last)
        memcpy(run->last, x + run->p->position * width, (size_t)width * sizeof *x);
    return 0;
}

int patched_run_do(const patched_run *p, const progress *prog, err *e)
{
    running run = {.p = p};
    const forward_edits edits = {.residual = edit_residual, .skip = edit_skip, .inputs = edit_inputs, .weights = edit_weights,
                                 .heads = edit_heads, .added = edit_added, .ud = &run};
    const observer watch = {.inputs = see_inputs, .heads = see_heads, .added = see_added, .hidden = see_hidden, .ud = &run};
    const model_input in = {.ids = p->ids, .n = p->n};
    int rc = patch_check_model(p->m, e);
    if (rc)
        return rc;
    run.last = mem_array((size_t)p->m->main->width, sizeof *run.last, e);
    if (!run.last)
        return ERR_RESOURCE;
    runtime_set_edits(p->r, &edits);
    rc = forward(p->r, &in, &watch, prog, e);
    runtime_set_edits(p->r, NULL);
    pattern_edit_free(run.pattern);
    if (!rc && p->last)
        memcpy(p->last, run.last, (size_t)p->m->main->width * sizeof *run.last);
    if (!rc && p->logits)
        rc = runtime_unembed(p->r, run.last, 1, p->logits, e);
    free(run.last);
    return rc;
}
