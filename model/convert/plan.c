/* The list of output tensors, and what all sources have in common. */
#include <stdlib.h>
#include <string.h>

#include "model/convert/plan.h"
#include "model/readers/reader.h"

const char *plan_type_name(dtype type)
{
    switch (type) {
    case DT_F32: return "float32";
    case DT_F16: return "float16";
    case DT_BF16: return "bfloat16";
    default: return NULL;
    }
}

static bool is_wide_float(dtype t)
{
    return t == DT_F32 || t == DT_F16 || t == DT_BF16 || t == DT_F64;
}

/* Floating point of any width, for which the options choose the output. */
static bool is_float(dtype t)
{
    return is_wide_float(t) || (t >= DT_F8_E4M3 && t != DT_C64);
}

plan_tensor *plan_add(plan *p, const char *name, const checkpoint_tensor *src, int n_dim, const int64_t *shape,
                      err *e)
{
    if (!(p->n & (p->n - 1))) { /* full at every power of two */
        plan_tensor *more = mem_grow(p->t, p->n ? 2 * (size_t)p->n : 1, sizeof *more, e);
        if (!more)
            return NULL;
        p->t = more;
    }
    plan_tensor *t = &p->t[p->n];
    *t = (plan_tensor){.n_dim = n_dim, .src = {src}, .n_row = 1, .n_col = 1};
    if (n_dim)
        memcpy(t->shape, shape, (size_t)n_dim * sizeof *shape);
    if (n_dim > 0)
        t->n_col = shape[n_dim - 1];
    for (int d = 0; d + 1 < n_dim; d++)
        t->n_row *= shape[d];
    t->name = arena_strdup(&p->mem, name, e);
    if (!t->name)
        return NULL;
    p->n++;
    return t;
}

/* The element type of t in the output. */
static int choose_type(plan_tensor *t, const convert_options *o, err *e)
{
    dtype from = t->src[0]->t.type;
    bool mixed = t->src[1] && t->src[1]->t.type != from;
    bool gathered = t->kind != ROWS_AS_THEY_ARE || t->minus_one || t->slab;
    shown_name text;

    if (!is_float(from) || (o->keep && !mixed && !gathered && dtypes[from].block == 1)) {
        t->type = from;
    } else if (o->keep) {
        bool narrow = !mixed && !t->minus_one && (from == DT_F16 || from == DT_BF16);
        t->type = narrow ? from : DT_F32;
    } else {
        t->type = o->type;
    }
    if (t->type == from && !gathered)
        return 0;
    for (int i = 0; i < 2 && t->src[i]; i++)
        if (!dtypes[t->src[i]->t.type].to_f32)
            return err_set(e, ERR_INPUT, "tensor \"%s\" is stored as %s, which cannot be converted",
                           show_name(text, t->name, strlen(t->name)), dtypes[t->src[i]->t.type].name);
    if (!plan_type_name(t->type))
        return err_set(e, ERR_INPUT, "tensor \"%s\" cannot be rearranged: it is stored as %s",
                       show_name(text, t->name, strlen(t->name)), dtypes[t->type].name);
    /* Rows are decoded one at a time, so they must be whole blocks. */
    if (t->n_col % dtypes[from].block)
        return err_set(e, ERR_INPUT, "tensor \"%s\" has rows of %lld values of %s, not whole blocks",
                       show_name(text, t->name, strlen(t->name)), (long long)t->n_col, dtypes[from].name);
    return 0;
}

static int count_bytes(plan_tensor *t, err *e)
{
    size_t n = 1;
    for (int d = 0; d < t->n_dim; d++)
        if (!size_mul(&n, n, (size_t)t->shape[d]))
            return err_nomem(e, "a tensor");
    if (!size_mul(&t->bytes, n / (size_t)dtypes[t->type].block, (size_t)dtypes[t->type].block_bytes))
        return err_nomem(e, "a tensor");
    return 0;
}

/* config.json from metadata is closed with the type that most of the data have. */
static int finish_config(plan *p, err *e)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    size_t best = 0, at = 0;
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        size_t bytes = 0;
        for (int i = 0; i < p->n; i++)
            bytes += p->t[i].type == types[k] ? p->t[i].bytes : 0;
        if (bytes > best) {
            best = bytes;
            at = k;
        }
    }
    strbuf_printf(&p->config, ",\n  \"torch_dtype\": \"%s\"\n}\n", plan_type_name(types[at]));
    return p->config.failed ? err_nomem(e, "config.json") : 0;
}

/* Larger elements first, so that all are aligned; then by name. */
static int by_size_and_name(const void *a, const void *b)
{
    const plan_tensor *x = a, *y = b;
    int order = dtypes[y->type].block_bytes - dtypes[x->type].block_bytes;
    return order ? order : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const plan_tensor *const *)a)->name, (*(const plan_tensor *const *)b)->name);
}

static int check_names(const plan *p, err *e)
{
    const plan_tensor **all = mem_array((size_t)p->n, sizeof *all, e);
    shown_name text;
    int rc = 0;
    if (!all)
        return ERR_RESOURCE;
    for (int i = 0; i < p->n; i++)
        all[i] = &p->t[i];
    if (p->n)
        qsort(all, (size_t)p->n, sizeof *all, by_name);
    for (int i = 1; i < p->n && !rc; i++)
        if (strcmp(all[i - 1]->name, all[i]->name) == 0)
            rc = err_set(e, ERR_INPUT, "tensors \"%s\" and \"%s\" are one and the same for Hugging Face",
                         show_name(text, all[i - 1]->src[0]->name, strlen(all[i - 1]->src[0]->name)),
                         all[i]->src[0]->name);
    free(all);
    return rc;
}

/* ---- sources that are not GGUF ---- */

/* Scales in tensors of their own give such weights their values; to round them apart from those is wrong. */
static int check_scaled(const checkpoint *c, const convert_options *o, err *e)
{
    static const char *const ends[] = {"_scale_inv", "_blocks", "_scales", ".weight_scale", ".qweight", ".SCB"};
    shown_name text;
    for (int i = 0; i < c->n_tensor && !o->keep; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
            const char *name = c->tensors[i].name;
            size_t n = strlen(name), m = strlen(ends[k]);
            if (n > m && strcmp(name + n - m, ends[k]) == 0) {
                err_set(e, ERR_INPUT, "tensor \"%s\" belongs to quantised weights, which only keep their type",
                        show_name(text, name, n));
                return err_hint(e, "use --dtype keep");
            }
        }
    return 0;
}

/* q and k of a checkpoint whose rows are in the order of interleaved RoPE. */
static int unpair(plan_tensor *t, const checkpoint *c, err *e)
{
    bool q = strstr(t->name, "self_attn.q_proj.") != NULL, k = strstr(t->name, "self_attn.k_proj.") != NULL;
    int64_t heads = 0;
    if (!q && !k)
        return 0;
    if (!(k && json_int(&heads, json_get(c->config, "num_key_value_heads"))) &&
        !json_int(&heads, json_get(c->config, "num_attention_heads")))
        heads = 0;
    int64_t rows = t->shape[0];
    if (t->n_dim < 1 || heads < 1 || rows % heads || rows / heads % 2)
        return err_set(e, ERR_INPUT, "tensor \"%s\" does not hold whole heads", t->name);
    if (t->n_dim == 1) {
        t->n_row = rows;
        t->n_col = 1;
    }
    t->kind = ROWS_UNPAIRED;
    t->head = rows / heads;
    return 0;
}

static int plan_plain(plan *p, const checkpoint *c, const convert_options *o, err *e)
{
    int rc = check_scaled(c, o, e);
    for (int i = 0; i < c->n_tensor && !rc; i++) {
        const checkpoint_tensor *src = &c->tensors[i];
        plan_tensor *t = plan_add(p, src->name, src, src->t.n_dim, src->t.shape, e);
        rc = !t ? ERR_RESOURCE : c->interleaved_rope ? unpair(t, c, e) : 0;
    }
    return rc ? rc : side_config(&p->config, c, o, e);
}

int plan_make(plan *p, const checkpoint *c, const convert_options *o, err *e)
{
    int rc;
    *p = (plan){0};
    if (c->n_tensor == 0)
        return err_set(e, ERR_INPUT, "%s: holds no tensors", c->path);
    rc = c->gguf ? plan_from_gguf(p, c, e) : plan_plain(p, c, o, e);
    for (int i = 0; i < p->n && !rc; i++) {
        rc = choose_type(&p->t[i], o, e);
        if (!rc)
            rc = count_bytes(&p->t[i], e);
    }
    if (!rc)
        rc = check_names(p, e);
    if (!rc && c->gguf)
        rc = finish_config(p, e);
    if (!rc)
        qsort(p->t, (size_t)p->n, sizeof *p->t, by_size_and_name);
    return rc;
}

void plan_free(plan *p)
{
    arena_free(&p->mem);
    strbuf_free(&p->config);
    free(p->t);
    *p = (plan){0};
}
