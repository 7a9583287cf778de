/* Tensors to weights: names, shapes, float32 copies of small vectors. */
#include "model/bind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

/* What other tools, and models that hold this one, put before its names. */
static const char *const outer[] = {"", "module.", "_orig_mod.", "module._orig_mod.", NULL};
static const char *const inner[] = {
    "", "model.", "transformer.", "gpt_neox.", "model.decoder.", "decoder.", "bert.", "roberta.", "distilbert.", "electra.",
    "vit.", "deit.", "dinov2.", "dinov2_with_registers.", "vision_model.", "backbone.", "language_model.model.",
    "language_model.", "model.language_model.", "model.text_model.", "model.model.", NULL,
};

const checkpoint_tensor *bind_find(const model *m, const char *name)
{
    char full[256];
    for (const char *const *o = outer; *o; o++)
        for (const char *const *i = inner; *i; i++) {
            if ((size_t)snprintf(full, sizeof full, "%s%s%s", *o, *i, name) >= sizeof full)
                continue;
            const checkpoint_tensor *t = checkpoint_find(m->ckpt, full);
            if (t)
                return t;
        }
    return NULL;
}

void bind_expert_name(char out[160], const char *pattern, int expert)
{
    const char *hole = strstr(pattern, "%e");
    if (hole)
        snprintf(out, 160, "%.*s%d%s", (int)(hole - pattern), pattern, expert, hole + 2);
    else
        snprintf(out, 160, "%s", pattern);
}

static void format_name(char out[160], const char *name, int layer)
{
    const char *hole = layer < 0 ? NULL : strstr(name, "%d");
    if (hole)
        snprintf(out, 160, "%.*s%d%s", (int)(hole - name), name, layer, hole + 2);
    else
        snprintf(out, 160, "%s", name);
}

bool bind_has(const model *m, const char *name, int layer)
{
    char full[160];
    format_name(full, name, layer);
    return bind_find(m, full) != NULL;
}

static int find(const model *m, const checkpoint_tensor **out, char full[160], const char *name, int layer,
                unsigned flags, err *e)
{
    format_name(full, name, layer);
    *out = bind_find(m, full);
    if (*out && m->used)
        m->used[*out - m->ckpt->tensors] = true;
    if (*out || (flags & BIND_OPTIONAL))
        return 0;
    err_set(e, ERR_INPUT, "tensor %s is missing", full);
    return err_hint(e, "`attnscope tensors FILE` lists what the checkpoint holds; it may be truncated or of another family");
}

static int wrong_shape(const char *full, const tensor *t, int64_t a, int64_t b, err *e)
{
    char shape[128] = "";
    for (int d = 0, n = 0; d < t->n_dim && n < 100; d++)
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%lld", d ? ", " : "", (long long)t->shape[d]);
    if (b)
        return err_set(e, ERR_INPUT, "tensor %s has shape [%s], the configuration needs [%lld, %lld]", full, shape,
                       (long long)a, (long long)b);
    return err_set(e, ERR_INPUT, "tensor %s has shape [%s], the configuration needs [%lld]", full, shape, (long long)a);
}

static int computable(const char *full, const tensor *t, err *e)
{
    if (dtypes[t->type].to_f32)
        return 0;
    err_set(e, ERR_INPUT, "tensor %s is stored as %s, which cannot be computed with", full, dtypes[t->type].name);
    return err_hint(e, "`attnscope tensors FILE` lists the types; a converter can rewrite it as bf16 or f32");
}

/* Does the tensor hold a matrix [rows, cols], perhaps with more dimensions: convolutions [rows, ...], experts
 * [experts, rows of each, cols]? */
static bool is_matrix(const tensor *t, int64_t rows, int64_t cols)
{
    int64_t tail = 1, head = 1;
    for (int d = 1; d < t->n_dim; d++)
        tail *= t->shape[d]; /* their product is below the file's size */
    for (int d = 0; d + 1 < t->n_dim; d++)
        head *= t->shape[d];
    if (t->n_dim < 2)
        return false;
    return (t->shape[0] == rows && tail == cols) || (head == rows && t->shape[t->n_dim - 1] == cols);
}

/* FP8 checkpoints keep a scale for each tile (128 x 128 unless the configuration says otherwise) in a second tensor.  Stacked
 * experts have tiles of their own each, which are those of the whole stack where their rows are whole tiles. */
static int bind_tile_scale(model *m, weight *out, const char *full, const tensor *t, int64_t rows, int64_t cols, err *e)
{
    char name[192];
    snprintf(name, sizeof name, "%s_scale_inv", full);
    const checkpoint_tensor *s = bind_find(m, name);
    if (!s)
        return 0;
    int64_t high = m->tile_rows, wide = m->tile_cols, tiles = (rows + high - 1) / high, across = (cols + wide - 1) / wide;
    bool whole = t->n_dim == 2 || t->shape[t->n_dim - 2] % high == 0;
    bool plain = s->t.type == DT_F32 || s->t.type == DT_BF16 || s->t.type == DT_F16;
    if (!plain || !whole || s->t.n_dim != t->n_dim || !is_matrix(&s->t, tiles, across))
        return err_set(e, ERR_INPUT, "tensor %s must hold [%lld, %lld] numbers: a scale for each tile of %lld x %lld", name,
                       (long long)tiles, (long long)across, (long long)high, (long long)wide);
    m->used[s - m->ckpt->tensors] = true;
    out->scale_kind = SCALE_F32_TILE;
    out->scale = s->t.data;
    out->scale_ld = across;
    out->scale_rows = (int)high;
    out->scale_cols = (int)wide;
    if (s->t.type == DT_F32)
        return 0;
    float *copy = arena_alloc(m->arena_, (size_t)(tiles * across), sizeof *copy, e);
    if (!copy)
        return ERR_RESOURCE;
    dtypes[s->t.type].to_f32(copy, s->t.data, tiles * across);
    out->scale = copy;
    return 0;
}

int bind_weight(model *m, weight *out, const char *name, int layer, int64_t n_total, int64_t first, int64_t n_out,
                int64_t n_in, unsigned flags, err *e)
{
    char full[160];
    const checkpoint_tensor *ct;
    int rc = find(m, &ct, full, name, layer, flags, e);
    if (rc || !ct)
        return rc;
    const tensor *t = &ct->t;
    bool transposed = flags & BIND_TRANSPOSED;
    int64_t rows = transposed ? n_in : n_total, cols = transposed ? n_total : n_in;
    if (!is_matrix(t, rows, cols))
        return wrong_shape(full, t, rows, cols, e);
    if ((rc = computable(full, t, e)))
        return rc;
    const dtype_info *info = &dtypes[t->type];
    if (transposed && info->block != 1)
        return err_set(e, ERR_INPUT, "tensor %s: transposed %s blocks are not supported", full, info->name);
    if (cols % info->block)
        return err_set(e, ERR_INPUT, "tensor %s: rows of %lld are not whole %s blocks", full, (long long)cols, info->name);
    int64_t skip = transposed ? first : first * cols;
    *out = (weight){.type = t->type, .n_out = n_out, .n_in = n_in, .ld = cols, .transposed = transposed,
                    .scale_row0 = transposed ? 0 : first,
                    .data = (const unsigned char *)t->data + skip / info->block * info->block_bytes};
    m->n_param += n_out * n_in;
    return transposed ? 0 : bind_tile_scale(m, out, full, t, rows, cols, e);
}

int bind_vector(model *m, const float **out, const char *name, int layer, int64_t n_total, int64_t first, int64_t n,
                unsigned flags, err *e)
{
    char full[160];
    const checkpoint_tensor *ct;
    int rc = find(m, &ct, full, name, layer, flags, e);
    if (rc || !ct)
        return rc;
    const tensor *t = &ct->t;
    int64_t count = t->n_dim > 0 ? 1 : 0; /* [heads, d] and [1, n] are vectors too */
    for (int d = 0; d < t->n_dim; d++)
        count *= t->shape[d];
    if (count != n_total)
        return wrong_shape(full, t, n_total, 0, e);
    if ((rc = computable(full, t, e)))
        return rc;
    const dtype_info *info = &dtypes[t->type];
    if (first % info->block || n % info->block)
        return err_set(e, ERR_INPUT, "tensor %s: vectors in %s blocks are not supported", full, info->name);
    float *v = arena_alloc(m->arena_, (size_t)n, sizeof *v, e);
    if (!v)
        return ERR_RESOURCE;
    info->to_f32(v, (const unsigned char *)t->data + first / info->block * info->block_bytes, n);
    *out = v;
    m->n_param += n;
    return 0;
}

int bind_linear(model *m, weight *out, const char *name, int layer, int64_t n_total, int64_t first, int64_t n_out,
                int64_t n_in, unsigned flags, err *e)
{
    char full[160];
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = bind_weight(m, out, full, layer, n_total, first, n_out, n_in, flags, e);
    if (rc)
        return rc;
    snprintf(full, sizeof full, "%s.bias", name);
    if ((flags & BIND_NO_BIAS) && bind_has(m, full, layer)) {
        char shown[160];
        format_name(shown, full, layer);
        err_set(e, ERR_INPUT, "tensor %s is there, but the configuration says that there is no such bias", shown);
        return err_hint(e, "set attention_bias or mlp_bias in config.json to what the model was trained with");
    }
    return bind_vector(m, &out->bias, full, layer, n_total, first, n_out, flags & BIND_BIAS ? 0 : BIND_OPTIONAL, e);
}

int bind_norm(model *m, norm *out, const char *name, int layer, int64_t n, unsigned flags, err *e)
{
    char full[160];
    if (out->kind == NORM_NONE)
        return 0;
    snprintf(full, sizeof full, "%s.weight", name);
    if (!bind_has(m, full, layer) && !(flags & BIND_OPTIONAL)) { /* old BERT files */
        char old[160];
        snprintf(old, sizeof old, "%s.gamma", name);
        if (bind_has(m, old, layer))
            memcpy(full, old, sizeof full);
    }
    int rc = bind_vector(m, &out->w, full, layer, n, 0, n, flags & BIND_OPTIONAL, e);
    if (rc)
        return rc;
    if ((flags & BIND_PLUS_ONE) && out->w) {
        float *w = arena_alloc(m->arena_, (size_t)n, sizeof *w, e);
        if (!w)
            return ERR_RESOURCE;
        for (int64_t i = 0; i < n; i++)
            w[i] = 1 + out->w[i];
        out->w = w;
    }
    if (out->kind != NORM_LAYER || (flags & BIND_NO_BIAS))
        return 0;
    snprintf(full, sizeof full, "%s.bias", name);
    if (!bind_has(m, full, layer)) {
        char old[160];
        snprintf(old, sizeof old, "%s.beta", name);
        if (bind_has(m, old, layer))
            memcpy(full, old, sizeof full);
    }
    return bind_vector(m, &out->b, full, layer, n, 0, n, flags & (BIND_OPTIONAL | BIND_ANY_BIAS) ? BIND_OPTIONAL : 0, e);
}

int bind_paired(model *m, weight *out, int d, err *e)
{
    if (d < 2 || d % 2)
        return err_set(e, ERR_INPUT, "heads of width %d: rows that are stored in pairs need an even width", d);
    out->paired = d;
    return bind_order_bias(m, out, out->n_out, out->bias, e);
}

/* The bias in the order of the map: stored [n_total]. */
int bind_order_bias(model *m, weight *out, int64_t n_total, const float *stored, err *e)
{
    if (!stored)
        return 0;
    float *bias = arena_alloc(m->arena_, (size_t)out->n_out, sizeof *bias, e);
    if (!bias)
        return ERR_RESOURCE;
    for (int64_t row = 0; row < out->n_out; row++) {
        int64_t at = weight_stored_row(out, row);
        bias[row] = at < n_total ? stored[at] : 0;
    }
    out->bias = bias;
    return 0;
}

int bind_rows(model *m, weight *out, const char *name, int layer, int64_t n_total, int64_t first, int64_t block,
              int64_t stride, int64_t n_out, int64_t n_in, unsigned flags, err *e)
{
    char full[160];
    int64_t whole = n_out / block * stride; /* stored rows that the map spreads over, from row 0 */
    const float *bias = NULL;
    if (n_out % block || first + block > stride || whole > n_total)
        return err_set(e, ERR_INPUT, "tensor %s: %lld rows do not hold %lld in blocks of %lld", name, (long long)n_total,
                       (long long)n_out, (long long)block);
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = bind_weight(m, out, full, layer, n_total, first, n_out, n_in, flags, e);
    if (rc || !out->data)
        return rc;
    out->row_block = block;
    out->row_stride = stride;
    snprintf(full, sizeof full, "%s.bias", name);
    if ((rc = bind_vector(m, &bias, full, layer, n_total, 0, n_total, flags & BIND_BIAS ? 0 : BIND_OPTIONAL, e)))
        return rc;
    if (bias)
        m->n_param += n_out - n_total;
    return bind_order_bias(m, out, n_total - first, bias ? bias + first : NULL, e);
}

int bind_vocabulary(model *m, const char *tokens, const char *output, err *e)
{
    int64_t width = m->main->width;
    int rc = bind_weight(m, &m->main->embed.tokens, tokens, -1, m->vocab, 0, m->vocab, width, 0, e);
    if (rc)
        return rc;
    if (!m->tied)
        return bind_weight(m, &m->head.unembedding, output, -1, m->vocab, 0, m->vocab, width, 0, e);
    m->head.unembedding = m->main->embed.tokens;
    return 0;
}

/* Layers that predict further tokens (DeepSeek-V3, behind the last layer) take no part in a run. */
static int64_t unread_layers(const model *m)
{
    int64_t n = 0;
    bool given = m->config && json_int(&n, json_get(m->config, "num_nextn_predict_layers"));
    return !given || n < 0 ? 0 : n < 4096 ? n : 4096;
}

static bool of_unread_layer(const model *m, const char *name)
{
    int64_t first = m->main->n_layer, end = first + unread_layers(m);
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
        char *rest;
        long long number = strtoll(dot + 1, &rest, 10);
        if (rest > dot + 1 && *rest == '.' && number >= first && number < end)
            return true;
    }
    return false;
}

/* Is a tensor that nobody read of a layer behind the last: does the same name with the number 0 belong to the model? */
static bool behind_the_last_layer(const model *m, const char *name)
{
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
        char sibling[256], *end;
        long long number = strtoll(dot + 1, &end, 10);
        if (dot[1] < '1' || dot[1] > '9' || *end != '.')
            continue;
        if ((size_t)snprintf(sibling, sizeof sibling, "%.*s0%s", (int)(dot + 1 - name), name, end) >= sizeof sibling)
            return false;
        const checkpoint_tensor *t = checkpoint_find(m->ckpt, sibling);
        bool not_run = m->vision && number < m->vision->n_layer;
        if (t && m->used[t - m->ckpt->tensors] && !not_run)
            return true;
    }
    return false;
}

int bind_check_unused(const model *m, err *e)
{
    static const char *const words[] = {"q_norm", "k_norm", "sinks", "attn_gate", "relative_attention", "rel_pos",
                                        "shared_expert", NULL};
    for (int i = 0; i < m->ckpt->n_tensor; i++) {
        const char *name = m->ckpt->tensors[i].name;
        if (m->used[i] || strncmp(name, "mtp.", 4) == 0 || of_unread_layer(m, name)) /* mtp: Qwen3-Next's further tokens */
            continue;
        for (const char *const *word = words; *word; word++)
            if (strstr(name, *word)) {
                err_set(e, ERR_INPUT, "tensor %s changes results and is no part of family %s so configured", name,
                        m->family->name);
                return err_hint(e, "the configuration leaves it out, or names another family than the weights belong to");
            }
        if (behind_the_last_layer(m, name)) {
            err_set(e, ERR_INPUT, "tensor %s is of a layer that the configuration does not have", name);
            return err_hint(e, "correct the number of layers, or experts, to what the file holds");
        }
    }
    return 0;
}
