/* Attention by tiles, two passes over the keys of a block of queries: scores and their maxima, then exponentials,
 * statistics and O^T = V^T E^T stretch by stretch.  The sum of a row is known at the end: outputs, sums of columns, and the
 * weights that anybody reads, are divided by it then.  Stretches are cut at the same keys whatever the block. */
#include "compute/attention_tiles.h"

#include <math.h>
#include <string.h>

_Static_assert((int)TILE_BLOCK == (int)ATTN_PANEL_COLUMNS, "a block of queries is a block of lines");

#define LOG2_E 1.44269504088896340736
#define LN_2 0.69314718055994530942

/* Packed keys of one head: a block for every TILE_BLOCK keys. */
static int64_t keys_of_head(const attn_parts *p)
{
    return tile_blocks(p->a->n_key) * tile_block_size(p->a->d_qk, p->plan.left);
}

/* Packed values: a block of all keys for every TILE_BLOCK columns. */
static int64_t values_block(const attn_parts *p)
{
    return tile_block_size(p->a->n_key, p->plan.left);
}

int64_t attn_tiles_keys(const attn_parts *p)
{
    return keys_of_head(p) * p->a->n_kv_head / 2;
}

int64_t attn_tiles_values(const attn_parts *p)
{
    return values_block(p) * tile_blocks(p->a->d_v) * p->a->n_kv_head / 2;
}

int64_t attn_tiles_room(const attn_parts *p)
{
    return tile_block_size(TILE_STRETCH, p->plan.right) / 2;
}

/* Item: TILE_BLOCK keys of one key/value head and their values. */
static void pack_keys_values(void *ud, int64_t item, int thread)
{
    const attn_parts *p = ud;
    const attn_args *a = p->a;
    const tile_plan *t = &p->plan;
    const int64_t blocks = tile_blocks(a->n_key), kv = item / blocks, block = item % blocks, key = block * TILE_BLOCK;
    const int n = tile_block_lines(a->n_key - key);
    (void)thread;
    t->t->pack_left((uint16_t *)(void *)p->keys + kv * keys_of_head(p) + block * tile_block_size(a->d_qk, t->left), t->left,
                    a->k + key * a->ldk + kv * a->d_qk, a->ldk, n, a->d_qk);
    for (int64_t column = 0; column < a->d_v && p->values; column += TILE_BLOCK)
        t->t->pack_left_turned((uint16_t *)(void *)p->values +
                               (kv * tile_blocks(a->d_v) + column / TILE_BLOCK) * values_block(p) +
                               tile_block_size(key, t->left),
                               t->left, a->v + key * a->ldv + kv * a->d_v + column, a->ldv, tile_block_lines(a->d_v - column), n);
}

void attn_tiles_pack(const attn_parts *p, pool *threads)
{
    attn_parts copy = *p;
    pool_run(threads, tile_blocks(p->a->n_key) * p->a->n_kv_head, pack_keys_values, &copy);
}

/* Scores of the block's queries, with soft-cap and biases if there are any; top [TILE_BLOCK] becomes the larger of it and of
 * the largest that each query sees. */
static void form_scores(const attn_block *b, const attn_parts *p, int head, float *scores, float *query, float *top)
{
    const attn_args *a = p->a;
    const tile_plan *t = &p->plan;
    const int64_t kv = head / (a->n_head / a->n_kv_head), size = tile_block_size(a->d_qk, t->left);
    const uint16_t *keys = (const uint16_t *)(const void *)p->keys + kv * keys_of_head(p);
    tile_product x = {
        .k = a->d_qk, .b = (uint16_t *)(void *)query, .a_terms = t->left, .b_terms = t->right, .ldc = TILE_BLOCK, .n = TILE_BLOCK,
    };
    t->t->pack_right((uint16_t *)(void *)query, t->right, a->q + b->q0 * a->ldq + (int64_t)head * a->d_qk, a->ldq, b->n_query,
                     a->d_qk);
    t->t->begin();
    for (int64_t key = b->k0; key < b->k1; key += TILE_BLOCK) {
        x.a = keys + key / TILE_BLOCK * size;
        x.c = scores + key * TILE_BLOCK;
        x.m = tile_block_lines(a->n_key - key);
        t->t->multiply(&x);
        if (attn_has_extras(a))
            attn_finish_scores(p, b, head, key, key + x.m < b->k1 ? key + x.m : b->k1, scores);
        /* Of the block before: what has just been stored is not at hand yet. */
        if (key > b->k0)
            t->t->column_tops(top, x.c - TILE_BLOCK * TILE_BLOCK, key - TILE_BLOCK, TILE_BLOCK, b->lo, b->hi);
    }
    t->t->end();
    const int64_t last = b->k1 > b->k0 ? b->k0 + (b->k1 - b->k0 - 1) / TILE_BLOCK * TILE_BLOCK : b->k0;
    if (last < b->k1)
        t->t->column_tops(top, scores + last * TILE_BLOCK, last, b->k1 - last, b->lo, b->hi);
}

/* out += V^T E^T for packed weights of keys from .. from + n - 1. */
static void add_values(const attn_parts *p, int head, const uint16_t *packed, int64_t from, int64_t n, float *out, bool add)
{
    const attn_args *a = p->a;
    const tile_plan *t = &p->plan;
    const int64_t kv = head / (a->n_head / a->n_kv_head), blocks = tile_blocks(a->d_v);
    t->t->begin();
    for (int64_t block = 0; block < blocks; block++) {
        const tile_product x = {
            .k = n, .a = (const uint16_t *)(const void *)p->values + (kv * blocks + block) * values_block(p) +
            tile_block_size(from, t->left),
            .b = packed, .a_terms = t->left, .b_terms = t->right, .c = out + block * TILE_BLOCK * TILE_BLOCK,
            .ldc = TILE_BLOCK, .m = TILE_BLOCK, .n = TILE_BLOCK, .add = add,
        };
        t->t->multiply(&x);
    }
    t->t->end();
}

/* End of the stretch that begins at key: a multiple of TILE_STRETCH, or of what there is. */
static int64_t stretch_end(int64_t key, int64_t last)
{
    const int64_t end = (key / TILE_STRETCH + 1) * TILE_STRETCH;
    return end < last ? end : last;
}

/* Weights that an edit has made, times values. */
static void weighted_values(const attn_block *b, const attn_parts *p, int head, const float *scores, uint16_t *packed, float *out)
{
    for (int64_t from = b->k0, to; from < b->k1; from = to) {
        to = stretch_end(from, b->k1);
        p->plan.t->pack_right_turned(packed, p->plan.right, scores + from * TILE_BLOCK, TILE_BLOCK, TILE_BLOCK, to - from);
        add_values(p, head, packed, from, to - from, out, from > b->k0);
    }
}

/* Sums of the exponentials to statistics; inverse [TILE_BLOCK]: what weights and outputs are multiplied by. */
static void finish_statistics(attn_block *b, const attn_parts *p, int head, float scale, float c, const float *shift,
                              const float *top, const float *sum, const float *weighted, const float *distance, float *inverse)
{
    const attn_args *a = p->a;
    for (int i = 0; i < TILE_BLOCK; i++) {
        const double keys = (double)sum[i], ln_shift = (double)shift[i] * (double)scale;
        const double sink = a->sinks ? exp((double)a->sinks[head] - ln_shift) : 0;
        const double whole = keys + sink, share = a->sinks ? keys / whole : 1;
        const bool empty = keys == 0;
        inverse[i] = empty ? 0 : (float)(1 / whole);
        b->lse[i] = empty ? -INFINITY : (float)(ln_shift + log(keys));
        b->entropy[i] = empty || isinf(sink) ? 0 : (float)(log(whole) * share - LN_2 * (double)weighted[i] / whole);
        b->maximum[i] = empty ? 0 : tile_exponential(top[i], c, shift[i]) * inverse[i];
        b->distance[i] = empty ? 0 : distance[i] * inverse[i];
        if (a->sinks)
            b->sink[i] = isinf(sink) || empty ? 1 : (float)(sink / whole);
    }
}

/* Must the cells of keys from .. to - 1 hold weights in the end? */
static bool stays(const attn_block *b, const attn_parts *p, int head, int chunk, const attn_tap *tap, int64_t from, int64_t to)
{
    const bool near = b->need & (ATTN_NEED_SELF | ATTN_NEED_PREV);
    if (!tap || (p->a->edit && p->a->edit->heads[head]))
        return true;
    if (near && from <= b->qpos[b->n_query - 1] && to >= b->qpos[0])
        return true;
    if (!tap->tile || !(b->need & ATTN_NEED_PROBS) || !tap->reads)
        return tap->tile && (b->need & ATTN_NEED_PROBS);
    const attn_tile part = attn_block_tile(b, p, head, chunk, from, to);
    return tap->reads(tap->ud, &part);
}

void attn_tiles_block(attn_block *b, const attn_parts *p, int head, int chunk, const attn_tap *tap, float *scores, float *query,
                      float *room, float *out)
{
    const attn_args *a = p->a;
    const bool extras = attn_has_extras(a), edited = a->edit && a->edit->heads[head];
    const bool want_distance = b->need & ATTN_NEED_DISTANCE;
    const float scale = extras ? 1 : a->scale, c = (float)((double)scale * LOG2_E);
    float shift[TILE_BLOCK], top[TILE_BLOCK], inverse[TILE_BLOCK];
    float sum[TILE_BLOCK] = {0}, weighted[TILE_BLOCK] = {0}, distance[TILE_BLOCK] = {0};
    uint16_t *packed = (uint16_t *)(void *)room;
    for (int i = 0; i < TILE_BLOCK; i++)
        top[i] = -INFINITY;
    form_scores(b, p, head, scores, query, top);
    for (int i = 0; i < TILE_BLOCK; i++) {
        shift[i] = isfinite(top[i]) ? top[i] : 0;
        b->top[i] = top[i] * scale;
    }
    const bool form_out = out && !edited;
    for (int64_t from = b->k0, to; from < b->k1; from = to) {
        to = stretch_end(from, b->k1);
        const tile_exponentials x = {
            .s = scores + from * TILE_BLOCK, .key0 = from, .n_key = to - from, .c = c, .shift = shift, .lo = b->lo, .hi = b->hi,
            .qpos = b->qpos, .sum = sum, .weighted = weighted, .distance = want_distance ? distance : NULL,
            .terms = p->plan.right, .packed = form_out ? packed : NULL,
            .keep = b->columns || stays(b, p, head, chunk, tap, from, to),
        };
        p->plan.t->exponentials(&x);
        if (form_out)
            add_values(p, head, packed, from, to - from, out, from > b->k0);
    }
    finish_statistics(b, p, head, scale, c, shift, top, sum, weighted, distance, inverse);
    for (int64_t from = b->k0, to; from < b->k1; from = to) {
        to = stretch_end(from, b->k1);
        const bool stay = stays(b, p, head, chunk, tap, from, to);
        float *s = scores + from * TILE_BLOCK;
        if (stay)
            p->k->scale_columns(s, inverse, to - from);
        if (b->columns && !edited)
            p->k->column_sums(b->columns + from, s, stay ? NULL : inverse, to - from);
    }
    if (edited) {
        attn_edit_weights(b, p, head, chunk, scores);
        if (b->columns)
            p->k->column_sums(b->columns + b->k0, scores + b->k0 * TILE_BLOCK, NULL, b->k1 - b->k0);
        if (out)
            weighted_values(b, p, head, scores, packed, out);
    }
    if (out && b->k1 <= b->k0)
        memset(out, 0, (size_t)tile_blocks(a->d_v) * TILE_BLOCK * TILE_BLOCK * sizeof *out);
    if (form_out)
        p->k->scale_columns(out, inverse, a->d_v);
}
