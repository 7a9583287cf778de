#include "analysis/head_reference.h"

#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"

/* One head: sums [positions, d_v] of outputs. */
typedef struct head_sum {
    head_id id;
    int d_v;
    double *sum;      /* [positions of its kind, d_v] */
    double *total;    /* [d_v] over all positions */
} head_sum;

struct head_reference {
    const model *m;
    bool by_position;
    int *slot[4];             /* of each kind: index into head + 1 by head_index, 0: not in the reference */
    int n_head;
    head_sum *head;           /* [n_head] */
    int64_t n_prompt;
    int64_t positions[4];     /* of each kind: rows of sum */
    int64_t *count[4];        /* [positions] prompts that have it */
    int64_t rows[4];          /* all outputs added */
};

int head_reference_new(head_reference **out, const model *m, const head_id *heads, int n_head, bool by_position, err *e)
{
    head_reference *r = mem_array(1, sizeof *r, e);
    if (!r)
        return ERR_RESOURCE;
    r->m = m;
    r->by_position = by_position;
    if (!(r->head = mem_array((size_t)n_head, sizeof *r->head, e)))
        goto fail;
    r->n_head = n_head;
    for (int i = 0; i < n_head; i++) {
        head_sum *h = &r->head[i];
        h->id = heads[i];
        h->d_v = model_attention(m, heads[i].kind, heads[i].layer)->plan.d_v;
        if (!(h->total = mem_array((size_t)h->d_v, sizeof *h->total, e)))
            goto fail;
        int **slot = &r->slot[h->id.kind];
        int64_t all = head_index(m, h->id.kind, model_stack(m, h->id.kind)->n_layer, 0);
        if (!*slot && !(*slot = mem_array((size_t)all, sizeof **slot, e)))
            goto fail;
        (*slot)[head_index(m, h->id.kind, h->id.layer, h->id.head)] = i + 1;
    }
    *out = r;
    return 0;
fail:
    head_reference_free(r);
    return ERR_RESOURCE;
}

void head_reference_free(head_reference *r)
{
    if (!r)
        return;
    for (int i = 0; r->head && i < r->n_head; i++) {
        free(r->head[i].sum);
        free(r->head[i].total);
    }
    for (int k = 0; k < 4; k++) {
        free(r->count[k]);
        free(r->slot[k]);
    }
    free(r->head);
    free(r);
}

/* Room for n positions of a kind, new ones zero. */
static int grow(head_reference *r, attn_kind kind, int64_t n, err *e)
{
    int64_t have = r->positions[kind];
    if (!r->by_position || n <= have)
        return 0;
    int64_t *count = mem_grow(r->count[kind], (size_t)n, sizeof *count, e);
    if (!count)
        return ERR_RESOURCE;
    r->count[kind] = count;
    memset(count + have, 0, (size_t)(n - have) * sizeof *count);
    for (int i = 0; i < r->n_head; i++) {
        head_sum *h = &r->head[i];
        size_t floats;
        if (h->id.kind != kind)
            continue;
        if (!size_mul(&floats, (size_t)n, (size_t)h->d_v))
            return err_nomem(e, "outputs of heads");
        double *sum = mem_grow(h->sum, floats, sizeof *sum, e);
        if (!sum)
            return ERR_RESOURCE;
        h->sum = sum;
        memset(sum + have * h->d_v, 0, (size_t)((n - have) * h->d_v) * sizeof *sum);
    }
    r->positions[kind] = n;
    return 0;
}

static void add_rows(head_reference *r, head_sum *h, const head_outputs *o)
{
    for (int64_t i = 0; i < o->n; i++) {
        const float *x = o->heads + i * o->width + (int64_t)h->id.head * h->d_v;
        for (int c = 0; c < h->d_v; c++)
            h->total[c] += (double)x[c];
        if (!r->by_position)
            continue;
        double *sum = h->sum + (o->pos0 + i) * h->d_v;
        for (int c = 0; c < h->d_v; c++)
            sum[c] += (double)x[c];
    }
}

static int on_heads(void *ud, const head_outputs *o, err *e)
{
    head_reference *r = ud;
    int rc = o->plan ? grow(r, o->kind, o->pos0 + o->n, e) : 0;
    for (int i = 0; i < r->n_head && o->plan && !rc; i++)
        if (r->head[i].id.kind == o->kind && r->head[i].id.layer == o->layer)
            add_rows(r, &r->head[i], o);
    return rc;
}

int head_reference_add(head_reference *ref, runtime *r, const model_input *in, const progress *p, err *e)
{
    const observer watch = {.heads = on_heads, .ud = ref};
    const model *m = ref->m;
    input_lengths n;
    int rc = input_measure(&n, m, in, e);
    if (!rc)
        rc = forward(r, in, &watch, p, e);
    if (rc)
        return rc;
    for (int k = ATTN_SELF; k <= ATTN_VISION; k++) {
        int64_t rows = model_stack(m, (attn_kind)k) ? input_queries(&n, m, (attn_kind)k) : 0;
        ref->rows[k] += rows;
        for (int64_t i = 0; i < rows && i < ref->positions[k]; i++)
            ref->count[k][i]++;
    }
    ref->n_prompt++;
    return 0;
}

int64_t head_reference_prompts(const head_reference *r)
{
    return r->n_prompt;
}

int64_t head_reference_positions(const head_reference *r, attn_kind kind)
{
    return r->by_position ? r->positions[kind] : 1;
}

static const head_sum *find(const head_reference *r, head_id id)
{
    const int *slot = r->slot[id.kind];
    int i = slot ? slot[head_index(r->m, id.kind, id.layer, id.head)] : 0;
    return i ? &r->head[i - 1] : NULL;
}

bool head_reference_has(const head_reference *r, head_id head)
{
    return find(r, head) != NULL;
}

bool head_reference_mean(const head_reference *r, head_id head, int64_t position, float *out)
{
    const head_sum *h = find(r, head);
    if (!h || r->rows[head.kind] == 0)
        return false;
    bool apart = position < r->positions[head.kind] && r->count[head.kind][position] > 0;
    const double *sum = apart ? h->sum + position * h->d_v : h->total;
    double n = (double)(apart ? r->count[head.kind][position] : r->rows[head.kind]);
    for (int c = 0; c < h->d_v; c++)
        out[c] = (float)(sum[c] / n);
    return true;
}
