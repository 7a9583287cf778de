#include "analysis/head_weights.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "compute/gemm.h"

static int room(float **out, int64_t rows, int64_t cols, err *e)
{
    size_t n;
    *out = NULL;
    if (!size_mul(&n, (size_t)rows, (size_t)cols))
        return err_nomem(e, "weights of heads");
    *out = mem_array(n, sizeof **out, e);
    return *out ? 0 : ERR_RESOURCE;
}

int weight_copy(float **out, const weight *w, err *e)
{
    int rc = room(out, w->n_out, w->n_in, e);
    for (int64_t row = 0; row < w->n_out && !rc; row++)
        weight_load(*out + row * w->n_in, w, row, 0, w->n_in);
    return rc;
}

/* y [n_out of a, n_in of b] = a diag(gain) b: a map behind another one. */
static int chain(float **y, const float *a, int64_t rows, int64_t inner, const float *gain, const float *b, int64_t cols,
                 err *e)
{
    int rc = room(y, rows, cols, e);
    double *sum = mem_array((size_t)cols, sizeof *sum, e);
    if (rc || !sum) {
        free(*y);
        *y = NULL;
        free(sum);
        return ERR_RESOURCE;
    }
    for (int64_t i = 0; i < rows; i++) {
        memset(sum, 0, (size_t)cols * sizeof *sum);
        for (int64_t l = 0; l < inner; l++) {
            double x = (double)a[i * inner + l] * (gain ? (double)gain[l] : 1);
            for (int64_t j = 0; j < cols; j++)
                sum[j] += x * (double)b[l * cols + j];
        }
        for (int64_t j = 0; j < cols; j++)
            (*y)[i * cols + j] = (float)sum[j];
    }
    free(sum);
    return 0;
}

/* Keys of latent attention: each head's own part through the latent, then the part that all heads share. */
static int latent_keys(float **out, const attention_block *b, const float *down, const float *own, int64_t width, err *e)
{
    const latent *l = b->mla;
    int rc = room(out, (int64_t)b->plan.n_head * b->plan.d_qk, width, e);
    for (int64_t h = 0; h < b->plan.n_head && !rc; h++) {
        float *head = *out + h * b->plan.d_qk * width;
        memcpy(head, own + h * l->d_nope * width, (size_t)(l->d_nope * width) * sizeof *head);
        memcpy(head + l->d_nope * width, down + l->kv_rank * width, (size_t)(l->d_rope * width) * sizeof *head);
    }
    return rc;
}

/* The maps from the stream to queries, keys and values of latent attention, multiplied out; always with the gains of
 * the norms between the two factors, without which they would not be the model's. */
static int load_latent(float **out, const attention_block *b, head_part part, err *e)
{
    const latent *l = b->mla;
    float *up = NULL, *down = NULL, *own = NULL;
    if (part == HEAD_Q && !l->q_down.data)
        return weight_copy(out, &b->q, e);
    const weight *first = part == HEAD_Q ? &l->q_down : &l->kv_down;
    const weight *second = part == HEAD_Q ? &b->q : part == HEAD_K ? &l->k_up : &l->v_up;
    int rc = weight_copy(&down, first, e);
    if (!rc)
        rc = weight_copy(&up, second, e);
    if (!rc)
        rc = chain(&own, up, second->n_out, second->n_in, part == HEAD_Q ? l->q_norm.w : l->kv_norm.w, down, first->n_in, e);
    if (!rc && part == HEAD_K) {
        rc = latent_keys(out, b, down, own, first->n_in, e);
        free(own);
    } else if (!rc) {
        *out = own;
    } else {
        free(own);
    }
    free(up);
    free(down);
    return rc;
}

static int load_output(float **out, const weight *w, err *e)
{
    float *row = NULL;
    int rc = room(out, w->n_in, w->n_out, e);
    if (!rc)
        rc = room(&row, 1, w->n_in, e);
    for (int64_t c = 0; c < w->n_out && !rc; c++) {
        weight_load(row, w, c, 0, w->n_in);
        for (int64_t j = 0; j < w->n_in; j++)
            (*out)[j * w->n_out + c] = row[j];
    }
    free(row);
    return rc;
}

static void scale_columns(head_matrices *w, const float *gain, float by)
{
    for (int64_t row = 0; row < (int64_t)w->n_head * w->d; row++)
        for (int64_t c = 0; c < w->width; c++)
            w->x[row * w->width + c] *= (gain ? gain[c] : 1) * by;
}

/* The gain of a norm of queries or keys: of a head's values, of each head its own, or of all together. */
static void scale_rows(head_matrices *w, const qk_norm *n)
{
    bool each = n->per_head || n->width > w->d;
    if (n->kind == NORM_NONE || !n->w)
        return;
    for (int64_t row = 0; row < (int64_t)w->n_head * w->d; row++)
        for (int64_t c = 0; c < w->width; c++)
            w->x[row * w->width + c] *= n->w[each ? row : row % w->d];
}

static void center_rows(head_matrices *w)
{
    for (int64_t row = 0; row < (int64_t)w->n_head * w->d; row++) {
        float *x = w->x + row * w->width;
        double sum = 0;
        for (int64_t c = 0; c < w->width; c++)
            sum += (double)x[c];
        for (int64_t c = 0; c < w->width; c++)
            x[c] = (float)((double)x[c] - sum / (double)w->width);
    }
}

static void fold_in(head_matrices *w, const model *m, const model_layer *y, const attention_block *b, attn_kind kind,
                    head_part part, head_fold fold)
{
    const sublayer *at = kind == ATTN_CROSS ? &y->at_cross : &y->at_self;
    bool source = kind == ATTN_CROSS && (part == HEAD_K || part == HEAD_V);
    const norm *read = source ? &m->encoder->final_norm : &at->pre;
    if (part == HEAD_O) {
        if (fold.gains) {
            scale_columns(w, at->out.kind != NORM_NONE ? at->out.w : NULL, at->scale);
            scale_columns(w, at->gain, 1);
        }
    } else if (fold.gains) {
        scale_columns(w, read->kind != NORM_NONE ? read->w : NULL, 1);
        if (part == HEAD_Q || part == HEAD_K)
            scale_rows(w, part == HEAD_Q ? &b->q_norm : &b->k_norm);
    }
    if (fold.center && (part == HEAD_O ? at->pre.kind : read->kind) == NORM_LAYER)
        center_rows(w);
}

int head_weights_load(head_matrices *out, const model *m, attn_kind kind, int layer, head_part part, head_fold fold, err *e)
{
    const attention_block *b = model_attention(m, kind, layer);
    *out = (head_matrices){0};
    if (!b)
        return err_set(e, ERR_USAGE, "layer %d has no attention of this kind", layer);
    const attn_plan *p = &b->plan;
    const weight *w = part == HEAD_Q ? &b->q : part == HEAD_K ? &b->k : part == HEAD_V ? &b->v : &b->out;
    bool low = b->mla && part != HEAD_O;
    out->n_head = part == HEAD_K || part == HEAD_V ? p->n_kv_head : p->n_head;
    out->d = part == HEAD_Q || part == HEAD_K ? p->d_qk : p->d_v;
    out->width = low ? b->mla->kv_down.n_in : part == HEAD_O ? w->n_out : w->n_in;
    int rc = part == HEAD_O ? load_output(&out->x, w, e) : low ? load_latent(&out->x, b, part, e)
                                                               : weight_copy(&out->x, w, e);
    if (rc) {
        free(out->x);
        out->x = NULL;
        return rc;
    }
    fold_in(out, m, &model_stack(m, kind)->layers[layer], b, kind, part, fold);
    return 0;
}
