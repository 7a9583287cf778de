#include "analysis/kept_attention.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/head_rows.h"
#include "base/mem.h"

int kept_attention_new(kept_attention **out, int n_layer, err *e)
{
    kept_attention *k = mem_array(1, sizeof *k, e);
    *out = NULL;
    if (!k)
        return ERR_RESOURCE;
    k->n_layer = n_layer;
    k->layer = mem_array((size_t)n_layer + 1, sizeof *k->layer, e);
    k->data = mem_array((size_t)n_layer + 1, sizeof *k->data, e);
    if (!k->layer || !k->data) {
        kept_attention_free(k);
        return ERR_RESOURCE;
    }
    *out = k;
    return 0;
}

void kept_attention_free(kept_attention *k)
{
    for (int l = 0; k && k->data && l < k->n_layer; l++)
        mem_free_large(k->data[l]);
    if (k) {
        free(k->layer);
        free(k->data);
    }
    free(k);
}

static int count(size_t *sum, int64_t rows, int64_t cols, err *e)
{
    size_t n;
    if (!size_mul(&n, (size_t)rows, (size_t)cols) || !size_add(sum, *sum, n))
        return err_nomem(e, "queries and keys of all layers");
    return 0;
}

static const float *copy_rows(float **to, const float *from, int64_t rows, int64_t cols, int64_t ld)
{
    float *start = *to;
    for (int64_t i = 0; i < rows; i++)
        memcpy(start + i * cols, from + i * ld, (size_t)cols * sizeof *start);
    *to += rows * cols;
    return start;
}

int kept_attention_add(kept_attention *k, const attn_args *a, const char *who, err *e)
{
    int64_t q = (int64_t)a->n_head * a->d_qk, key = (int64_t)a->n_kv_head * a->d_qk, span = a->n_query + a->n_key - 1;
    size_t n = 0, bytes;
    attn_args *y = &k->layer[a->layer];
    int rc = attn_rows_unedited(a, who, e);
    if (!rc)
        rc = count(&n, a->n_query, q, e);
    if (!rc)
        rc = count(&n, a->n_key, key, e);
    if (!rc && a->key_bias)
        rc = count(&n, a->n_head, a->n_key, e);
    if (!rc && a->rel_bias)
        rc = count(&n, a->n_head, span, e);
    if (!rc && !size_mul(&bytes, n, sizeof(float)))
        rc = err_nomem(e, "queries and keys of all layers");
    if (rc)
        return rc;
    float *to = mem_large(bytes ? bytes : sizeof *to, e);
    if (!to)
        return err_hint(e, "%s keeps the queries and keys of all layers; give a shorter prompt or leave it out", who);
    mem_free_large(k->data[a->layer]);
    k->data[a->layer] = to;
    *y = *a;
    y->q = copy_rows(&to, a->q, a->n_query, q, a->ldq);
    y->k = copy_rows(&to, a->k, a->n_key, key, a->ldk);
    y->key_bias = a->key_bias ? copy_rows(&to, a->key_bias, a->n_head, a->n_key, a->n_key) : NULL;
    y->rel_bias = a->rel_bias ? copy_rows(&to, a->rel_bias, a->n_head, span, span) : NULL;
    y->ldq = q;
    y->ldk = key;
    y->v = NULL;
    y->out = NULL;
    return 0;
}

const char *kept_attention_unfit(const model *m, attn_kind kind)
{
    const stack *s = model_stack(m, kind);
    for (int l = 0; s && l < s->n_run; l++)
        if (!model_attention(m, kind, l))
            return "some of its layers mix tokens without attention weights";
    return NULL;
}
