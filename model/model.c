/* Opening a model: checkpoint -> family -> structure -> weights. */
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/bind.h"
#include "model/gguf.h"

#define FAMILY(name) extern const family family_##name;
#include "registry/families.inc"
#undef FAMILY

const family *const families[] = {
#define FAMILY(name) &family_##name,
#include "registry/families.inc"
#undef FAMILY
    NULL,
};

static bool listed(const char *const *list, const char *s, size_t n)
{
    for (; list && *list; list++)
        if (strlen(*list) == n && memcmp(*list, s, n) == 0)
            return true;
    return false;
}

static int choose_family(model *m, err *e)
{
    const checkpoint *c = m->ckpt;
    const char *key = c->gguf ? "general.architecture" : "model_type", *name = NULL;
    size_t n = 0;
    if (c->gguf) {
        gguf_string s;
        const gguf_kv *kv = gguf_find(c->gguf, key);
        if (kv && gguf_text(&s, kv)) {
            name = s.s;
            n = s.len;
        }
    } else {
        name = json_str(json_get(c->config, key), &n);
    }
    if (!name) {
        err_set(e, ERR_INPUT, "%s: %s is missing, so the family of the model is unknown", c->path, key);
        return err_hint(e, "add the key to the configuration that describes the checkpoint");
    }
    for (const family *const *f = families; *f; f++)
        if (listed(c->gguf ? (*f)->gguf_archs : (*f)->model_types, name, n)) {
            m->family = *f;
            return 0;
        }
    err_set(e, ERR_INPUT, "%s: %s \"%.*s\" is not supported", c->path, key, (int)(n < 80 ? n : 80), name);
    return err_hint(e, "`attnscope list families` shows what is; a fine-tune of one of them may say so in %s", key);
}

static bool ends_in(const char *s, size_t n, const char *suffix)
{
    size_t m = strlen(suffix);
    return n > m && memcmp(s + n - m, suffix, m) == 0;
}

/* Where the last part of path begins; *n: where it ends, trailing slashes left out. */
static size_t last_part(const char *path, size_t *n)
{
    while (*n > 1 && path[*n - 1] == '/')
        (*n)--;
    size_t start = *n;
    while (start > 0 && path[start - 1] != '/')
        start--;
    return start;
}

/* Of a path ".../models--OWNER--NAME/snapshots/REVISION" in the cache of Hugging Face's hub: where NAME begins, *n its
 * bytes; NULL for any other path. */
static const char *hub_name(const char *path, size_t *n)
{
    static const char below[] = "/snapshots/", above[] = "models--";
    const char *mark = strstr(path, below), *begin = mark, *name;
    if (!mark || strchr(mark + sizeof below - 1, '/'))
        return NULL;
    while (begin > path && begin[-1] != '/')
        begin--;
    if (strncmp(begin, above, sizeof above - 1) != 0)
        return NULL;
    begin += sizeof above - 1;
    name = strstr(begin, "--");
    name = name && name < mark ? name + 2 : begin;
    *n = (size_t)(mark - name);
    return *n ? name : NULL;
}

/* The last part of the path, without a trailing slash or ".gguf"; a safetensors file is named by the
 * directory that holds it, for its own name is the same in every model, and a snapshot of the hub by its repository. */
static char *model_name(model *m, err *e)
{
    const char *p = m->ckpt->path;
    size_t n = strlen(p), start = last_part(p, &n), hub = 0;
    const char *repository = hub_name(p, &hub);
    if (repository)
        return arena_strndup(m->arena_, repository, hub, e);
    if (ends_in(p + start, n - start, ".gguf"))
        return arena_strndup(m->arena_, p + start, n - 5 - start, e);
    if (!ends_in(p + start, n - start, ".safetensors"))
        return arena_strndup(m->arena_, p + start, n - start, e);

    size_t file = start, file_end = n;
    char *whole = NULL;
    n = start;
    start = last_part(p, &n);
    if (n == start || p[n - 1] == '.') { /* "model.safetensors", "./...", "../...": ask for its name */
        char *directory = arena_strndup(m->arena_, file ? p : ".", file ? file : 1, e);
        if (!directory)
            return NULL;
        whole = realpath(directory, NULL);
        if (whole) {
            p = whole;
            n = strlen(p);
            start = last_part(p, &n);
        }
    }
    char *name = n > start ? arena_strndup(m->arena_, p + start, n - start, e)
                           : arena_strndup(m->arena_, m->ckpt->path + file, file_end - file, e);
    free(whole);
    return name;
}

int model_from_checkpoint(model **out, checkpoint *c, err *e)
{
    model *m = mem_array(1, sizeof *m, e);
    int rc = ERR_RESOURCE;
    if (!m) {
        checkpoint_close(c);
        return rc;
    }
    m->ckpt = c;
    m->config = c->gguf ? NULL : c->config;
    m->image_token = -1;
    m->tile_rows = m->tile_cols = 128;
    m->head.in_scale = m->head.scale = 1;
    m->arena_ = mem_array(1, sizeof(arena), e);
    if (!m->arena_ || !(m->name = model_name(m, e)) ||
        !(m->used = arena_alloc(m->arena_, (size_t)c->n_tensor, sizeof *m->used, e)) || (rc = choose_family(m, e)))
        goto fail;
    if ((rc = m->family->configure(m, e)) || (rc = m->family->bind(m, e)) || (rc = bind_check_unused(m, e))) {
        if (rc == ERR_INPUT && e && !e->hint[0])
            err_hint(e, "configuration and weights do not fit each other; fetch both from where the checkpoint came from");
        err_prefix(e, "%s", c->path);
        goto fail;
    }
    *out = m;
    return 0;
fail:
    model_free(m);
    return rc;
}

int model_open(model **out, const char *path, err *e)
{
    checkpoint *c;
    int rc = checkpoint_open(&c, path, e);
    return rc ? rc : model_from_checkpoint(out, c, e);
}

void model_free(model *m)
{
    if (!m)
        return;
    checkpoint_close(m->ckpt);
    json_free(m->completed);
    if (m->arena_)
        arena_free(m->arena_);
    free(m->arena_);
    free(m->ignored);
    free(m);
}

void model_assume(model *m, const char *text)
{
    if (m->n_assumed < (int)(sizeof m->assumed / sizeof *m->assumed))
        m->assumed[m->n_assumed++] = text;
}

int model_stacks(const model *m, const stack *out[MODEL_MAX_STACKS])
{
    int n = 0;
    if (m->vision)
        out[n++] = m->vision;
    if (m->encoder)
        out[n++] = m->encoder;
    out[n++] = m->main;
    return n;
}

const stack *model_stack(const model *m, attn_kind kind)
{
    const stack *stacks[MODEL_MAX_STACKS];
    int n = model_stacks(m, stacks);
    if (kind == ATTN_CROSS)
        return m->encoder ? m->main : NULL;
    for (int i = 0; i < n; i++)
        if (stacks[i]->kind == kind)
            return stacks[i];
    return NULL;
}

const attention_block *model_attention(const model *m, attn_kind kind, int layer)
{
    const stack *s = model_stack(m, kind);
    if (!s || layer < 0 || layer >= s->n_run)
        return NULL;
    const model_layer *y = &s->layers[layer];
    if (kind == ATTN_CROSS)
        return y->has_cross ? &y->cross : NULL;
    return y->delta ? NULL : &y->self;
}

static void describe_rope(const rope_plan *r, strbuf *out)
{
    strbuf_printf(out, ", RoPE %s over %d, base %g", r->kind == ROPE_HALF ? "half" : "interleaved", r->dim, r->base);
    if (strcmp(r->scaling, "factors") == 0)
        strbuf_puts(out, ", frequency factors from the file");
    else if (strcmp(r->scaling, "none") != 0)
        strbuf_printf(out, ", %s scaling x%g", r->scaling, r->factor);
    if (r->original_context > 0)
        strbuf_printf(out, " from %g tokens", r->original_context);
    if (r->magnitude != 1)
        strbuf_printf(out, ", magnitude %g", r->magnitude);
}

static void describe_extras(const attention_block *b, strbuf *out)
{
    const attn_plan *a = &b->plan;
    if (a->softcap > 0)
        strbuf_printf(out, ", soft-cap %g", (double)a->softcap);
    if (b->clip > 0)
        strbuf_printf(out, ", q k v clipped at %g", (double)b->clip);
    if (a->qk_norm)
        strbuf_printf(out, ", %s on q and k over %s", b->q_norm.kind == NORM_RMS ? "RMSNorm" : "LayerNorm",
                      b->q_norm.width == a->d_qk ? "each head" : "all heads");
    if (a->sinks)
        strbuf_puts(out, ", learned sink");
    if (a->gate)
        strbuf_puts(out, ", gated output");
    if (a->latent && b->mla)
        strbuf_printf(out, ", latent keys and values of %d", b->mla->kv_rank);
    if (a->qkv_bias || a->out_bias)
        strbuf_printf(out, ", bias on %s", a->qkv_bias && a->out_bias ? "q k v out" : a->qkv_bias ? "q k v" : "out");
}

void model_describe_layer(const model *m, attn_kind kind, int l, strbuf *out)
{
    const stack *s = model_stack(m, kind);
    const attention_block *b = model_attention(m, kind, l);
    if (!b) {
        const delta_net *d = s && l >= 0 && l < s->n_layer ? s->layers[l].delta : NULL;
        if (d)
            strbuf_printf(out, "gated delta rule, %d value heads of %d over %d key heads of %d, no attention weights",
                          d->n_value_head, d->d_value, d->n_key_head, d->d_key);
        else
            strbuf_puts(out, "not run");
        return;
    }
    const attn_plan *a = &b->plan;
    strbuf_printf(out, "%d heads", a->n_head);
    if (a->n_kv_head != a->n_head)
        strbuf_printf(out, " over %d key/value heads", a->n_kv_head);
    strbuf_printf(out, " of %d", a->d_qk);
    if (a->d_v != a->d_qk)
        strbuf_printf(out, " (values of %d)", a->d_v);
    strbuf_puts(out, kind == ATTN_CROSS ? ", over the encoder's output" : a->causal ? ", causal" : ", bidirectional");
    if (a->window > 0)
        strbuf_printf(out, ", window %lld", (long long)a->window);
    if (a->rope >= 0 && a->rope < m->n_rope)
        describe_rope(&m->ropes[a->rope], out);
    else if (kind != ATTN_CROSS && s->rel_table)
        strbuf_printf(out, ", %d relative position buckets up to %d", s->rel_buckets, s->rel_max_distance);
    else if (kind != ATTN_CROSS && s->alibi_slopes)
        strbuf_puts(out, ", ALiBi");
    else if (kind != ATTN_CROSS)
        strbuf_puts(out, s->embed.positions.data ? ", learned positions" : ", no positions");
    strbuf_printf(out, ", scale %.6g", (double)a->scale);
    describe_extras(b, out);
}
