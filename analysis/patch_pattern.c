#include "analysis/patch_pattern.h"

#include <stdlib.h>
#include "base/mem.h"

/* Rows of some heads. */
typedef struct imposed {
    struct imposed *next;
    int head0, head1;
    int64_t row0, row1, n_key;
    float *w;               /* [head1 - head0, row1 - row0, n_key] */
} imposed;

struct pattern_edit {
    imposed *list;
    bool *heads;            /* [n_head] */
    attn_edit edit;
};

static float *row_of(const imposed *m, int head, int64_t q)
{
    return m->w + ((head - m->head0) * (m->row1 - m->row0) + q - m->row0) * m->n_key;
}

static void take_tile(void *ud, const attn_tile *t)
{
    const imposed *m = ud;
    if (t->head < m->head0 || t->head >= m->head1)
        return;
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        if (q < m->row0 || q >= m->row1)
            continue;
        float *row = row_of(m, t->head, q);
        for (int64_t k = t->k0; k < t->k0 + t->n_key; k++)
            row[k] = attn_tile_at(t, q, k);
    }
}

static void impose(void *ud, const attn_tile *t, float *probs)
{
    const pattern_edit *edit = ud;
    for (const imposed *m = edit->list; m; m = m->next) {
        if (t->head < m->head0 || t->head >= m->head1)
            continue;
        for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
            if (q < m->row0 || q >= m->row1)
                continue;
            const float *row = row_of(m, t->head, q);
            for (int64_t k = t->k0; k < t->k0 + t->n_key; k++)
                probs[(q - t->q0) * t->q_stride + (k - t->k0) * t->k_stride] = row[k];
        }
    }
}

static int make_room(imposed **out, const attn_args *a, const replacement *put, err *e)
{
    imposed *m = mem_array(1, sizeof *m, e);
    size_t cells;
    if (!m)
        return ERR_RESOURCE;
    *m = (imposed){.head0 = (int)put->col0, .head1 = (int)put->col1, .row0 = put->row0, .row1 = put->row1, .n_key = a->n_key};
    if (!size_mul(&cells, (size_t)(m->row1 - m->row0), (size_t)a->n_key) ||
        !size_mul(&cells, cells, (size_t)(m->head1 - m->head0)) || cells > memory_available() / sizeof *m->w) {
        double gib = (double)(m->row1 - m->row0) * (double)a->n_key * (m->head1 - m->head0) * sizeof *m->w / (1 << 30);
        free(m);
        err_set(e, ERR_RESOURCE, "weights of %lld queries in %d heads need %.1f GiB of memory",
                (long long)(put->row1 - put->row0), (int)(put->col1 - put->col0), gib);
        return err_hint(e, "patch one position or one head at a time, or take a shorter prompt");
    }
    m->w = mem_array(cells, sizeof *m->w, e);
    if (!m->w) {
        free(m);
        return ERR_RESOURCE;
    }
    *out = m;
    return 0;
}

static int new_edit(pattern_edit **out, const attn_args *a, err *e)
{
    pattern_edit *edit = mem_array(1, sizeof *edit, e);
    if (!edit)
        return ERR_RESOURCE;
    edit->heads = mem_array((size_t)a->n_head, sizeof *edit->heads, e);
    if (!edit->heads) {
        free(edit);
        return ERR_RESOURCE;
    }
    edit->edit = (attn_edit){.heads = edit->heads, .weights = impose, .ud = edit};
    *out = edit;
    return 0;
}

int pattern_edit_add(pattern_edit **edit, runtime *r, const attn_args *args, const replacement *put, err *e)
{
    imposed *m = NULL;
    int rc = *edit ? 0 : new_edit(edit, args, e);
    if (!rc)
        rc = make_room(&m, args, put, e);
    if (rc)
        return rc;
    m->next = (*edit)->list;
    (*edit)->list = m;
    for (int h = m->head0; h < m->head1; h++)
        (*edit)->heads[h] = true;
    attn_args other = *args;
    other.q = put->from;
    other.k = put->keys;
    const attn_tap tap = {.need = ATTN_NEED_PROBS, .tile = take_tile, .ud = m};
    return runtime_attention(r, &other, &tap, e);
}

const attn_edit *pattern_edit_use(const pattern_edit *edit)
{
    return &edit->edit;
}

void pattern_edit_free(pattern_edit *edit)
{
    if (!edit)
        return;
    while (edit->list) {
        imposed *next = edit->list->next;
        free(edit->list->w);
        free(edit->list);
        edit->list = next;
    }
    free(edit->heads);
    free(edit);
}
