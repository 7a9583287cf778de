/* The tensors of a GGUF as those of a Hugging Face checkpoint, by the rules of its architecture. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/config.h"
#include "model/convert/hf.h"
#include "model/readers/reader.h"

typedef char tensor_name[256];

bool hf_has_tensor(const checkpoint *c, const char *name)
{
    return checkpoint_find(c, name) != NULL;
}

static int mismatch(const checkpoint_tensor *src, const char *what, err *e)
{
    shown_name text;
    return err_set(e, ERR_INPUT, "tensor \"%s\" has the wrong shape: %s", show_name(text, src->name, strlen(src->name)),
                   what);
}

/* ---- names ---- */

/* Does name follow pattern ('%': a number, to *layer), up to a suffix?  *suffix: the rest of name. */
static bool follows(const char *name, const char *pattern, int64_t *layer, const char **suffix)
{
    for (; *pattern; pattern++) {
        if (*pattern != '%') {
            if (*name++ != *pattern)
                return false;
            continue;
        }
        size_t n = strspn(name, "0123456789");
        if (n == 0 || n > 6)
            return false;
        *layer = 0;
        for (size_t i = 0; i < n; i++)
            *layer = *layer * 10 + (*name++ - '0');
    }
    *suffix = name;
    return *name == '\0' || strcmp(name, ".weight") == 0 || strcmp(name, ".bias") == 0;
}

static bool ends_itself(const char *pattern)
{
    size_t n = strlen(pattern);
    return (n > 7 && strcmp(pattern + n - 7, ".weight") == 0) || (n > 5 && strcmp(pattern + n - 5, ".bias") == 0);
}

static const hf_rule *find_rule(const hf_arch *a, const char *name, int64_t *layer, const char **suffix)
{
    for (size_t k = 0; k < sizeof a->rules / sizeof *a->rules && a->rules[k]; k++)
        for (const hf_rule *r = a->rules[k]; r->from; r++)
            if (follows(name, r->from, layer, suffix) && (**suffix == '\0') == ends_itself(r->from))
                return r;
    return NULL;
}

/* Is name the second tensor of a rule? */
static bool is_partner(const hf_arch *a, const char *name)
{
    int64_t layer;
    const char *suffix;
    for (size_t k = 0; k < sizeof a->rules / sizeof *a->rules && a->rules[k]; k++)
        for (const hf_rule *r = a->rules[k]; r->from; r++)
            if (r->with && follows(name, r->with, &layer, &suffix) && !*suffix)
                return true;
    return false;
}

/* pattern with its numbers, and suffix; false when that is too long. */
static bool spell(tensor_name out, const char *pattern, int64_t layer, int64_t item, const char *suffix)
{
    size_t n = 0;
    int wrote;
    for (; *pattern; pattern++) {
        if (*pattern == '%' || *pattern == '#')
            wrote = snprintf(out + n, sizeof(tensor_name) - n, "%" PRId64, *pattern == '%' ? layer : item);
        else
            wrote = snprintf(out + n, sizeof(tensor_name) - n, "%c", *pattern);
        if (wrote < 0 || (n += (size_t)wrote) >= sizeof(tensor_name) - 1)
            return false;
    }
    wrote = snprintf(out + n, sizeof(tensor_name) - n, "%s", suffix);
    return wrote >= 0 && n + (size_t)wrote < sizeof(tensor_name);
}

/* ---- kinds ---- */

/* One tensor of the last dimensions for each index of the first. */
static int split_first(plan *p, const hf_rule *r, const checkpoint_tensor *src, int64_t layer, const char *suffix,
                       err *e)
{
    tensor_name name;
    const tensor *s = &src->t;
    if (s->n_dim < 2 || s->shape[0] > 65536)
        return mismatch(src, "it should hold a tensor for each expert or head", e);
    for (int64_t i = 0; i < s->shape[0]; i++) {
        spell(name, r->to, layer, i, suffix);
        plan_tensor *t = plan_add(p, name, src, s->n_dim - 1, s->shape + 1, e);
        if (!t)
            return ERR_RESOURCE;
        t->first = i * t->n_row;
    }
    return 0;
}

/* Rows of a vector are its values. */
static void as_rows(plan_tensor *t)
{
    if (t->n_dim == 1) {
        t->n_row = t->shape[0];
        t->n_col = 1;
    }
}

static int set_unpaired(plan_tensor *t, int64_t heads, err *e)
{
    as_rows(t);
    if (heads < 1 || t->n_dim < 1 || t->n_row % heads || t->n_row / heads % 2)
        return mismatch(t->src[0], "it does not hold whole heads", e);
    t->kind = ROWS_UNPAIRED;
    t->head = t->n_row / heads;
    return 0;
}

static int set_grouped(plan_tensor *t, int64_t heads, int64_t kv, err *e)
{
    as_rows(t);
    if (kv < 1 || heads % kv || t->n_row % (heads + 2 * kv))
        return mismatch(t->src[0], "it does not hold whole heads of q, k and v", e);
    t->kind = ROWS_GROUPED_QKV;
    t->head = t->n_row / (heads + 2 * kv);
    t->q_per_kv = heads / kv;
    return 0;
}

/* Matrices stored transposed, in slabs of `slab` rows; the last two dimensions change places. */
static void set_transposed(plan_tensor *t, int64_t slab)
{
    int64_t *d = t->shape + t->n_dim - 2;
    t->slab = slab;
    d[1] = slab;
    d[0] = t->n_col;
}

static int set_gate_up(plan_tensor *t, const checkpoint_tensor *up, bool transposed, err *e)
{
    const tensor *g = &t->src[0]->t, *u = &up->t;
    int n = transposed ? 3 : 2;
    if (g->n_dim != n || u->n_dim != n || memcmp(g->shape, u->shape, (size_t)n * sizeof *g->shape) != 0 ||
        g->shape[1] > INT64_MAX / 4 / (g->shape[0] ? g->shape[0] : 1))
        return mismatch(t->src[0], "gate and up of the experts should be alike", e);
    t->src[1] = up;
    t->kind = ROWS_ALTERNATE;
    t->n_row = g->shape[0] * 2 * g->shape[1];
    t->n_col = transposed ? g->shape[2] : 1;
    t->shape[1] = 2 * g->shape[1];
    if (transposed)
        set_transposed(t, 2 * g->shape[1]);
    return 0;
}

static int set_kv_b(plan_tensor *t, const checkpoint_tensor *v_b, err *e)
{
    const tensor *k = &t->src[0]->t, *v = &v_b->t;
    if (k->n_dim != 3 || v->n_dim != 3 || k->shape[0] != v->shape[0] || k->shape[1] != v->shape[2])
        return mismatch(t->src[0], "it should be [heads, rank, nope], beside attn_v_b [heads, v, rank]", e);
    t->src[1] = v_b;
    t->kind = ROWS_MLA_KV;
    t->head = k->shape[2];
    t->v_head = v->shape[1];
    t->n_dim = 2;
    t->n_row = t->shape[0] = k->shape[0] * (t->head + t->v_head);
    t->n_col = t->shape[1] = k->shape[1];
    return 0;
}

typedef struct heads { int64_t q, kv; } heads;

static int apply(plan *p, const checkpoint *c, const hf_rule *r, const checkpoint_tensor *src, int64_t layer,
                 const char *suffix, const heads *h, err *e)
{
    const checkpoint_tensor *second = NULL;
    tensor_name name;
    bool matrix = strcmp(suffix, ".bias") != 0;

    if (r->kind == HF_DROP)
        return 0;
    if (r->with) {
        spell(name, r->with, layer, 0, "");
        second = checkpoint_find(c, name);
        if (!second)
            return err_set(e, ERR_INPUT, "tensor \"%s\" is missing beside \"%s\"", name, src->name);
    }
    if (!spell(name, r->to, layer, 0, suffix))
        return mismatch(src, "its name is too long", e);
    if (r->kind == HF_EXPERTS || r->kind == HF_HEADS)
        return split_first(p, r, src, layer, suffix, e);

    plan_tensor *t = plan_add(p, name, src, src->t.n_dim, src->t.shape, e);
    if (!t)
        return ERR_RESOURCE;
    switch (r->kind) {
    case HF_UNPAIR_Q:
        return set_unpaired(t, h->q, e);
    case HF_UNPAIR_K:
        return set_unpaired(t, h->kv, e);
    case HF_GROUPED_QKV:
        return set_grouped(t, h->q, h->kv, e);
    case HF_MINUS_ONE:
        t->minus_one = matrix;
        return 0;
    case HF_CONV1D:
    case HF_EXPERTS_CONV1D:
        if (matrix && t->n_dim >= 2)
            set_transposed(t, t->shape[t->n_dim - 2]);
        return 0;
    case HF_GATE_UP_CONV1D:
        return set_gate_up(t, second, true, e);
    case HF_GATE_UP_BIAS:
        return set_gate_up(t, second, false, e);
    case HF_KV_B:
        return set_kv_b(t, second, e);
    case HF_ONE_ROW:
        if (t->n_dim == 1) {
            t->n_dim = 2;
            t->shape[1] = t->shape[0];
            t->shape[0] = 1;
        }
        return 0;
    default:
        return 0;
    }
}

/* ---- all ---- */

static int find_arch(const hf_arch **out, const checkpoint *c, err *e)
{
    gguf_string name;
    shown_name text;
    if (!gguf_text(&name, gguf_find(c->gguf, "general.architecture")))
        return err_set(e, ERR_INPUT, "gguf: key general.architecture is missing");
    for (const hf_arch *a = hf_archs; a->arch; a++)
        if (strlen(a->arch) == name.len && memcmp(a->arch, name.s, name.len) == 0 && (!a->applies || a->applies(c))) {
            *out = a;
            return 0;
        }
    err_set(e, ERR_INPUT, "architecture \"%s\" cannot be converted to the Hugging Face layout",
            show_name(text, name.s, name.len));
    return err_hint(e, "`help convert` lists those that can");
}

/* A file that holds part of a model must not pass for the whole. */
static int check_layers(const checkpoint *c, int64_t n_layer, err *e)
{
    for (int64_t l = 0; l < n_layer; l++) {
        char prefix[32], enc[32];
        bool found = false;
        snprintf(prefix, sizeof prefix, "blk.%" PRId64 ".", l);
        snprintf(enc, sizeof enc, "enc.blk.%" PRId64 ".", l);
        for (int i = 0; i < c->n_tensor && !found; i++)
            found = strncmp(c->tensors[i].name, prefix, strlen(prefix)) == 0 ||
                    strncmp(c->tensors[i].name, enc, strlen(enc)) == 0;
        if (!found)
            return err_set(e, ERR_INPUT, "layer %" PRId64 " of %" PRId64 " has no tensors", l, n_layer);
    }
    return 0;
}

int plan_from_gguf(plan *p, const checkpoint *c, err *e)
{
    const hf_arch *a = NULL;
    heads h = {0, 0};
    int64_t n_layer = 0, layer = 0;
    const char *suffix;
    shown_name text;
    int rc = find_arch(&a, c, e);

    if (!rc)
        rc = meta_int(&n_layer, c->gguf, a->arch, "block_count", true, 1, 100000, e);
    if (!rc)
        rc = meta_int(&h.q, c->gguf, a->arch, "attention.head_count", true, 1, 1 << 20, e);
    h.kv = h.q;
    if (!rc)
        rc = meta_int(&h.kv, c->gguf, a->arch, "attention.head_count_kv", false, 1, 1 << 20, e);
    if (!rc)
        rc = check_layers(c, n_layer, e);
    for (int i = 0; i < c->n_tensor && !rc; i++) {
        const checkpoint_tensor *src = &c->tensors[i];
        const hf_rule *r = find_rule(a, src->name, &layer, &suffix);
        if (r)
            rc = apply(p, c, r, src, layer, suffix, &h, e);
        else if (!is_partner(a, src->name))
            rc = err_set(e, ERR_INPUT, "tensor \"%s\" has no place in a %s of Hugging Face",
                         show_name(text, src->name, strlen(src->name)), a->model_type);
    }
    if (rc)
        return rc;
    p->model_type = a->model_type;
    return hf_config(p, c, a, e);
}
