/* Activations under the names that TransformerLens gives them, with its batch of one in front. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/dump_parts.h"
#include "base/mem.h"

void dump_hook_name(char out[64], int layer, const char *rest)
{
    snprintf(out, 64, "blocks.%d.%s", layer, rest);
}

/* A word names an array whole, or by its last parts: hook_z, attn.hook_z, blocks.3.attn.hook_z; with * and ?. */
static bool matches(const char *word, size_t n, const char *name)
{
    char whole[96], tail[96];
    snprintf(whole, sizeof whole, "%.*s", (int)n, word);
    snprintf(tail, sizeof tail, "*.%.*s", (int)n, word);
    return fnmatch(whole, name, 0) == 0 || fnmatch(tail, name, 0) == 0;
}

bool dump_wants(dump *d, const char *name)
{
    const char *at = d->choice->hooks;
    bool wanted = at == NULL;
    for (int i = 0; at && *at; i++) {
        size_t n = strcspn(at, ",");
        if (matches(at, n, name)) {
            wanted = true;
            d->met |= (uint64_t)1 << i % DUMP_MAX_NAMES;
        }
        at += n + (at[n] == ',');
    }
    return wanted;
}

int dump_hooks_end(const dump *d, err *e)
{
    const char *at = d->choice->hooks;
    for (int i = 0; at && *at; i++) {
        size_t n = strcspn(at, ",");
        if (!(d->met >> i % DUMP_MAX_NAMES & 1)) {
            err_set(e, ERR_USAGE, "no array of this model is called '%.*s'", (int)n, at);
            return err_hint(e, "the names are those of an ActivationCache, hook_resid_pre or blocks.3.attn.hook_z; "
                            "`help dump` lists them");
        }
        at += n + (at[n] == ',');
    }
    return 0;
}

int dump_hooks_begin(dump *d, err *e)
{
    const model *m = d->m;
    size_t cells;
    int words = 0;
    for (const char *c = d->choice->hooks; c && *c; c++)
        words += *c == ',';
    if (d->choice->hooks && !d->choice->hooks[strspn(d->choice->hooks, ", ")]) {
        err_set(e, ERR_USAGE, "no array is named");
        return err_hint(e, "write hook_resid_pre or blocks.3.attn.hook_z; `help dump` lists them");
    }
    if (words >= DUMP_MAX_NAMES)
        return err_set(e, ERR_USAGE, "more than %d names of arrays", DUMP_MAX_NAMES);
    if (m->encoder || m->vision || m->main->kind == ATTN_VISION) {
        err_set(e, ERR_USAGE, "TransformerLens has names for models of one stack that read tokens, which %s is not", m->name);
        return err_hint(e, "leave --format out: the arrays are then enc_hidden_3, cross_attn_3 and the like");
    }
    if (!size_mul(&cells, (size_t)d->n.main, (size_t)m->main->width))
        return err_nomem(e, "activations");
    d->stream = mem_array(cells, sizeof *d->stream, e);
    for (int i = 0; i < DUMP_PARTS && d->stream; i++)
        if (!(d->part[i] = mem_array(cells, sizeof *d->stream, e)))
            return ERR_RESOURCE;
    return d->stream ? 0 : ERR_RESOURCE;
}

void dump_hooks_free(dump *d)
{
    free(d->stream);
    for (int i = 0; i < DUMP_PARTS; i++)
        free(d->part[i]);
}

/* ---- attention ---- */

/* x [n, heads * width], row stride ld, as [1, n, heads, width]. */
static int put_heads(dump *d, int layer, const char *rest, const float *x, int64_t n, int64_t ld, int heads,
                     int64_t width, err *e)
{
    char name[64];
    dump_hook_name(name, layer, rest);
    if (!x || !dump_wants(d, name))
        return 0;
    int rc = npz_begin(d->w, name, NPY_F32, 4, (int64_t[]){1, n, heads, width}, e);
    for (int64_t i = 0; i < n && !rc; i++)
        rc = npz_add(d->w, x + i * ld, (size_t)heads * (size_t)width * sizeof *x, e);
    return rc ? rc : npz_end(d->w, e);
}

/* Scores of query i for all keys, -inf where the mask hides them. */
static void score_row(float *out, const attn_args *a, int head, int64_t i)
{
    const int group = a->n_head / a->n_kv_head;
    const float *q = a->q + i * a->ldq + (int64_t)head * a->d_qk;
    for (int64_t j = 0; j < a->n_key; j++) {
        const float *k = a->k + j * a->ldk + (int64_t)(head / group) * a->d_qk;
        const int64_t behind = a->pos0 + i - j;
        double dot = 0;
        out[j] = -INFINITY;
        if ((a->causal && behind < 0) || (a->window > 0 && (behind >= a->window || -behind >= a->window)))
            continue;
        for (int c = 0; c < a->d_qk; c++)
            dot += (double)q[c] * (double)k[c];
        dot *= (double)a->scale;
        if (a->softcap > 0)
            dot = (double)a->softcap * tanh(dot / (double)a->softcap);
        if (a->key_bias)
            dot += (double)a->key_bias[(int64_t)head * a->n_key + j];
        if (a->rel_bias)
            dot += (double)a->rel_bias[(int64_t)head * (a->n_query + a->n_key - 1) - behind + a->pos0 + a->n_query - 1];
        out[j] = (float)dot;
    }
}

static int put_scores(dump *d, const attn_args *a, err *e)
{
    char name[64];
    dump_hook_name(name, a->layer, "attn.hook_attn_scores");
    if (!d->choice->attention || !dump_wants(d, name))
        return 0;
    float *row = mem_array((size_t)a->n_key, sizeof *row, e);
    int rc = row ? npz_begin(d->w, name, NPY_F32, 4, (int64_t[]){1, a->n_head, a->n_query, a->n_key}, e) : ERR_RESOURCE;
    for (int h = 0; h < a->n_head && !rc; h++)
        for (int64_t i = 0; i < a->n_query && !rc; i++) {
            score_row(row, a, h, i);
            rc = npz_add(d->w, row, (size_t)a->n_key * sizeof *row, e);
        }
    free(row);
    return rc ? rc : npz_end(d->w, e);
}

int dump_hooks_inputs(void *ud, const model *m, const attn_args *a, err *e)
{
    dump *d = ud;
    const attention_block *b = model_attention(m, a->kind, a->layer);
    const bool turned = b && b->plan.rope >= 0; /* hook_q and hook_k are those before RoPE, which are not at hand */
    int rc = put_heads(d, a->layer, turned ? "attn.hook_rot_q" : "attn.hook_q", a->q, a->n_query, a->ldq, a->n_head, a->d_qk, e);
    if (!rc)
        rc = put_heads(d, a->layer, turned ? "attn.hook_rot_k" : "attn.hook_k", a->k, a->n_key, a->ldk, a->n_kv_head, a->d_qk, e);
    if (!rc)
        rc = put_heads(d, a->layer, "attn.hook_v", a->v, a->n_key, a->ldv, a->n_kv_head, a->d_v, e);
    return rc ? rc : put_scores(d, a, e);
}

int dump_hooks_heads(void *ud, const head_outputs *h, err *e)
{
    dump *d = ud;
    char name[64];
    dump_hook_name(name, h->layer, "attn.hook_z");
    if (!h->plan || !dump_wants(d, name))
        return 0;
    int rc = h->pos0 > 0 ? 0 : npz_begin(d->w, name, NPY_F32, 4, (int64_t[]){1, d->n.main, h->plan->n_head, h->plan->d_v}, e);
    if (!rc)
        rc = npz_add(d->w, h->heads, (size_t)h->n * (size_t)h->width * sizeof *h->heads, e);
    return rc || h->pos0 + h->n < d->n.main ? rc : npz_end(d->w, e);
}

/* ---- the residual stream ---- */

int dump_hooks_added(void *ud, const part_rows *p, err *e)
{
    dump *d = ud;
    (void)e;
    memcpy(d->part[p->part] + p->row * p->width, p->x, (size_t)p->rows * (size_t)p->width * sizeof *p->x);
    d->there[p->part] = true;
    return 0;
}

static int put_stream(dump *d, const char *name, const float *x, int64_t n, int64_t width, err *e)
{
    return dump_wants(d, name) ? npz_put(d->w, name, NPY_F32, 3, (int64_t[]){1, n, width}, x, e) : 0;
}

static int put_of_layer(dump *d, int layer, const char *rest, const float *x, int64_t n, int64_t width, err *e)
{
    char name[64];
    dump_hook_name(name, layer, rest);
    return put_stream(d, name, x, n, width, e);
}

/* What the down projection of an MLP reads, its rows one after the other. */
int dump_hooks_inner(void *ud, const part_rows *p, err *e)
{
    dump *d = ud;
    char name[64];
    dump_hook_name(name, p->layer, "mlp.hook_post");
    if (p->part != PART_MLP || !dump_wants(d, name))
        return 0;
    int rc = p->row > 0 ? 0 : npz_begin(d->w, name, NPY_F32, 3, (int64_t[]){1, d->n.main, p->width}, e);
    if (!rc)
        rc = npz_add(d->w, p->x, (size_t)p->rows * (size_t)p->width * sizeof *p->x, e);
    return rc || p->row + p->rows < d->n.main ? rc : npz_end(d->w, e);
}

static int put_norm(dump *d, int layer, const char *which, const norm *by, const float *x, int64_t n, int64_t width, err *e)
{
    char name[64];
    dump_hook_name(name, layer, which);
    return dump_hooks_norm(d, name, by, x, n, width, e);
}

/* What a layer added, and where the stream was between its halves: only where those are one behind the other and the sum of
 * the first is what the second reads. */
static int leave_layer(dump *d, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    const model_layer *y = &d->m->main->layers[layer];
    int rc = 0;
    if (d->there[PART_SELF])
        rc = put_of_layer(d, layer, "hook_attn_out", d->part[PART_SELF], n, width, e);
    if (!rc && d->there[PART_SELF] && !y->parallel && !y->at_self.residual_normed && y->at_self.after.kind == NORM_NONE) {
        for (int64_t i = 0; i < n * width; i++)
            d->stream[i] += d->part[PART_SELF][i];
        rc = put_of_layer(d, layer, "hook_resid_mid", d->stream, n, width, e);
        if (!rc)
            rc = put_norm(d, layer, "ln2", &y->at_mlp.pre, d->stream, n, width, e);
    } else if (!rc && y->parallel && !y->shared_norm) {
        rc = put_norm(d, layer, "ln2", &y->at_mlp.pre, d->stream, n, width, e);
    }
    if (!rc && d->there[PART_MLP])
        rc = put_of_layer(d, layer, "hook_mlp_out", d->part[PART_MLP], n, width, e);
    memset(d->there, 0, sizeof d->there);
    return rc ? rc : put_of_layer(d, layer, "hook_resid_post", x, n, width, e);
}

int dump_hooks_hidden(void *ud, attn_kind kind, int layer, const float *x, int64_t n, int64_t width, err *e)
{
    dump *d = ud;
    const stack *s = d->m->main;
    (void)kind;
    int rc = layer > 0 ? leave_layer(d, layer - 1, x, n, width, e) : dump_hooks_embed(d, x, width, e);
    memcpy(d->stream, x, (size_t)n * (size_t)width * sizeof *x);
    if (rc || layer >= s->n_run)
        return rc ? rc : dump_hooks_norm(d, "ln_final", &s->final_norm, x, n, width, e);
    rc = put_of_layer(d, layer, "hook_resid_pre", x, n, width, e);
    return rc || s->layers[layer].delta ? rc : put_norm(d, layer, "ln1", &s->layers[layer].at_self.pre, x, n, width, e);
}
