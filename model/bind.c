/* Tensors to weights: names, shapes, float32 copies of small vectors. */
#include "model/bind.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

static const char *const prefixes[] = {"", "transformer.", "model.", "module.", "module.transformer.",
                                       "module.model.", "_orig_mod.", "_orig_mod.transformer.", "_orig_mod.model.", NULL};

const checkpoint_tensor *bind_find(const model *m, const char *name)
{
    char full[256];
    for (const char *const *p = prefixes; *p; p++) {
        if ((size_t)snprintf(full, sizeof full, "%s%s", *p, name) >= sizeof full)
            continue;
        const checkpoint_tensor *t = checkpoint_find(m->ckpt, full);
        if (t)
            return t;
    }
    return NULL;
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
    return err_hint(e, "types that can: f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1");
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
    if (t->n_dim != 2 || t->shape[0] != rows || t->shape[1] != cols)
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
                    .data = (const unsigned char *)t->data + skip / info->block * info->block_bytes};
    m->n_param += n_out * n_in;
    return 0;
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
    if (t->n_dim != 1 || t->shape[0] != n_total)
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

int bind_norm(model *m, norm_weight *out, const char *name, int layer, int64_t n, err *e)
{
    char full[160];
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = bind_vector(m, &out->w, full, layer, n, 0, n, 0, e);
    if (rc || m->norm != NORM_LAYER)
        return rc;
    snprintf(full, sizeof full, "%s.bias", name);
    return bind_vector(m, &out->b, full, layer, n, 0, n, 0, e);
}

int bind_paired(model *m, weight *out, int d, err *e)
{
    out->paired = d;
    if (!out->bias)
        return 0;
    float *bias = arena_alloc(m->arena_, (size_t)out->n_out, sizeof *bias, e);
    if (!bias)
        return ERR_RESOURCE;
    for (int64_t row = 0; row < out->n_out; row++)
        bias[row] = out->bias[weight_stored_row(out, row)];
    out->bias = bias;
    return 0;
}

int bind_vocabulary(model *m, const char *embedding, const char *output, err *e)
{
    int rc = bind_weight(m, &m->token_embedding, embedding, -1, m->vocab, 0, m->vocab, m->width, 0, e);
    if (rc || !m->tied)
        return rc ? rc : bind_weight(m, &m->unembedding, output, -1, m->vocab, 0, m->vocab, m->width, 0, e);
    m->unembedding = m->token_embedding;
    return 0;
}

int bind_check_unused(const model *m, err *e)
{
    static const char *const words[] = {"q_norm", "k_norm", "sinks", "attn_gate", "relative_attention", "rel_pos", NULL};
    for (int i = 0; i < m->ckpt->n_tensor; i++) {
        const char *name = m->ckpt->tensors[i].name;
        for (const char *const *word = words; *word && !m->used[i]; word++)
            if (strstr(name, *word)) {
                err_set(e, ERR_INPUT, "tensor %s changes attention and is not part of family %s", name, m->family->name);
                return err_hint(e, "the configuration names another family than the weights belong to");
            }
    }
    return 0;
}
