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

static void list_families(char *out, size_t size, bool gguf)
{
    size_t n = 0;
    out[0] = '\0';
    for (const family *const *f = families; *f; f++)
        for (const char *const *t = gguf ? (*f)->gguf_archs : (*f)->model_types; t && *t && n + 64 < size; t++) {
            memcpy(out + n, n ? ", " : "", n ? 2 : 0);
            n += n ? 2 : 0;
            memcpy(out + n, *t, strlen(*t) + 1);
            n += strlen(*t);
        }
}

static int choose_family(model *m, err *e)
{
    const checkpoint *c = m->ckpt;
    const char *key = c->gguf ? "general.architecture" : "model_type", *name = NULL;
    char known[200];
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
    list_families(known, sizeof known, c->gguf != NULL);
    err_set(e, ERR_INPUT, "%s: %s \"%.*s\" is not supported", c->path, key, (int)(n < 80 ? n : 80), name);
    return err_hint(e, "supported: %s", known);
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

/* The last part of the path, without a trailing slash or ".gguf"; a safetensors file is named by the
 * directory that holds it, for its own name is the same in every model. */
static char *model_name(model *m, err *e)
{
    const char *p = m->ckpt->path;
    size_t n = strlen(p), start = last_part(p, &n);
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

int model_open(model **out, const char *path, err *e)
{
    model *m = mem_array(1, sizeof *m, e);
    int rc = ERR_RESOURCE;
    if (!m)
        return rc;
    m->arena_ = mem_array(1, sizeof(arena), e);
    if (!m->arena_ || (rc = checkpoint_open(&m->ckpt, path, e)))
        goto fail;
    m->name = model_name(m, e);
    if (!m->name) {
        rc = ERR_RESOURCE;
        goto fail;
    }
    if ((rc = choose_family(m, e)))
        goto fail;
    m->used = arena_alloc(m->arena_, (size_t)m->ckpt->n_tensor, sizeof *m->used, e);
    if (!m->used) {
        rc = ERR_RESOURCE;
        goto fail;
    }
    if ((rc = m->family->configure(m, e)) || (rc = m->family->bind(m, e)) || (rc = bind_check_unused(m, e))) {
        err_prefix(e, "%s", path);
        goto fail;
    }
    *out = m;
    return 0;
fail:
    model_free(m);
    return rc;
}

void model_free(model *m)
{
    if (!m)
        return;
    checkpoint_close(m->ckpt);
    if (m->arena_)
        arena_free(m->arena_);
    free(m->arena_);
    free(m->ignored);
    free(m);
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

void model_describe_layer(const model *m, int l, strbuf *out)
{
    const attn_plan *a = &m->layers[l].attn;
    strbuf_printf(out, "%d heads", a->n_head);
    if (a->n_kv_head != a->n_head)
        strbuf_printf(out, " over %d key/value heads", a->n_kv_head);
    strbuf_printf(out, " of %d", a->d_qk);
    if (a->d_v != a->d_qk)
        strbuf_printf(out, " (values of %d)", a->d_v);
    strbuf_puts(out, a->causal ? ", causal" : ", bidirectional");
    if (a->window > 0)
        strbuf_printf(out, ", window %lld", (long long)a->window);
    if (a->rope >= 0 && a->rope < m->n_rope)
        describe_rope(&m->ropes[a->rope], out);
    else
        strbuf_puts(out, m->position_embedding.data ? ", learned positions" : ", no positions");
    strbuf_printf(out, ", scale %.6g", (double)a->scale);
    if (a->qkv_bias || a->out_bias)
        strbuf_printf(out, ", bias on %s", a->qkv_bias && a->out_bias ? "q k v out" : a->qkv_bias ? "q k v" : "out");
}
