#include "analysis/map.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* A pooled row of cells may hold queries of several chunks, which run on different threads.  The chunk that
 * has the first query of the row adds to the map itself; a chunk that starts inside a row keeps its share
 * of that row apart, and the shares are added in chunk order when the head is complete. */
typedef struct chunk_share {
    int64_t row;       /* the pooled row it starts inside of, -1: none */
    bool begun;
    double *sum;       /* [side] */
    int64_t *count;   /* [side] */
} chunk_share;

typedef struct map_slot {
    float *cells;         /* [side, side]; what the sink gets */
    double *sum;          /* [side, side] pooled maps only */
    int64_t *count;      /* [side, side] visible cells, pooled maps only */
    chunk_share *share;   /* [n_chunk] pooled maps only */
} map_slot;

struct map_set {
    const model *m;
    const head_id *heads; /* [n_head] */
    int n_head;
    int64_t n, pool, side;
    int n_chunk, in_flight;
    int layer;
    bool any;
    map_slot *slots;      /* [in_flight] of head % in_flight; filled when first needed */
};

static int check_head(const model *m, head_id h, err *e)
{
    if (h.layer < 0 || h.layer >= m->n_layer) {
        err_set(e, ERR_USAGE, "layer %d out of range (model has %d layers)", h.layer, m->n_layer);
        return err_hint(e, "layers are counted from 0");
    }
    const attn_plan *a = &m->layers[h.layer].attn;
    if (h.kind != a->kind)
        return err_set(e, ERR_USAGE, "layer %d has no %s attention", h.layer, attn_kind_name(h.kind));
    if (h.head < 0 || h.head >= a->n_head) {
        err_set(e, ERR_USAGE, "head %d out of range (layer %d has %d heads)", h.head, h.layer, a->n_head);
        return err_hint(e, "heads are counted from 0");
    }
    return 0;
}

int map_set_new(map_set **out, const model *m, const head_id *heads, int n_head, int64_t n, int64_t limit,
                int n_chunk, int in_flight, err *e)
{
    *out = NULL;
    for (int i = 0; i < n_head; i++) {
        int r = check_head(m, heads[i], e);
        if (r != 0)
            return r;
    }
    map_set *s = mem_array(1, sizeof(*s), e);
    if (!s)
        return ERR_RESOURCE;
    s->m = m;
    s->heads = heads;
    s->n_head = n_head;
    s->n = n;
    s->pool = limit > 0 && n > limit ? (n + limit - 1) / limit : 1;
    s->side = (n + s->pool - 1) / s->pool;
    s->n_chunk = n_chunk;
    s->in_flight = in_flight;
    s->layer = -1;
    /* cells, and for pooled maps a double sum and a count of each */
    double bytes = (double)s->side * (double)s->side * (s->pool > 1 ? 20 : 4) * (n_head < in_flight ? n_head : in_flight);
    if (bytes > (double)memory_available()) {
        int64_t side = s->side;
        free(s);
        err_set(e, ERR_RESOURCE, "maps of %" PRId64 " x %" PRId64 " cells need %.1f GiB of memory", side, side,
                bytes / (1 << 30));
        return err_hint(e, "pool them with --map-limit 1024, or ask for fewer heads");
    }
    s->slots = mem_array((size_t)in_flight, sizeof(*s->slots), e);
    if (!s->slots) {
        free(s);
        return ERR_RESOURCE;
    }
    *out = s;
    return 0;
}

void map_set_free(map_set *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->in_flight; i++) {
        map_slot *slot = &s->slots[i];
        for (int c = 0; slot->share && c < s->n_chunk; c++) {
            free(slot->share[c].sum);
            free(slot->share[c].count);
        }
        free(slot->share);
        free(slot->count);
        free(slot->sum);
        free(slot->cells);
    }
    free(s->slots);
    free(s);
}

static void slot_clear(const map_set *s, map_slot *slot)
{
    size_t side = (size_t)s->side;
    for (size_t i = 0; i < side * side; i++)
        slot->cells[i] = NAN;
    if (s->pool == 1)
        return;
    memset(slot->sum, 0, side * side * sizeof(*slot->sum));
    memset(slot->count, 0, side * side * sizeof(*slot->count));
    for (int c = 0; c < s->n_chunk; c++) {
        chunk_share *share = &slot->share[c];
        share->begun = false;
        share->row = -1;
        memset(share->sum, 0, side * sizeof(*share->sum));
        memset(share->count, 0, side * sizeof(*share->count));
    }
}

static int slot_reserve(const map_set *s, map_slot *slot, err *e)
{
    size_t side = (size_t)s->side, cells;
    if (!size_mul(&cells, side, side))
        return err_nomem(e, "an attention map");
    if (!slot->cells && !(slot->cells = mem_array(cells, sizeof(*slot->cells), e)))
        return ERR_RESOURCE;
    if (s->pool > 1) {
        if (!slot->sum && !(slot->sum = mem_array(cells, sizeof(*slot->sum), e)))
            return ERR_RESOURCE;
        if (!slot->count && !(slot->count = mem_array(cells, sizeof(*slot->count), e)))
            return ERR_RESOURCE;
        if (!slot->share && !(slot->share = mem_array((size_t)s->n_chunk, sizeof(*slot->share), e)))
            return ERR_RESOURCE;
        for (int c = 0; c < s->n_chunk; c++) {
            chunk_share *share = &slot->share[c];
            if (!share->sum && !(share->sum = mem_array(side, sizeof(*share->sum), e)))
                return ERR_RESOURCE;
            if (!share->count && !(share->count = mem_array(side, sizeof(*share->count), e)))
                return ERR_RESOURCE;
        }
    }
    slot_clear(s, slot);
    return 0;
}

int map_set_layer(map_set *s, int layer, err *e)
{
    s->layer = layer;
    s->any = false;
    for (int i = 0; i < s->n_head; i++) {
        if (s->heads[i].layer != layer)
            continue;
        s->any = true;
        int r = slot_reserve(s, &s->slots[s->heads[i].head % s->in_flight], e);
        if (r != 0)
            return r;
    }
    return 0;
}

bool map_set_any(const map_set *s)
{
    return s->any;
}

bool map_set_wants(const map_set *s, int head)
{
    for (int i = 0; s->any && i < s->n_head; i++)
        if (s->heads[i].layer == s->layer && s->heads[i].head == head)
            return true;
    return false;
}

static void add_pooled(const map_set *s, map_slot *slot, const attn_tile *t, int64_t q, int64_t from,
                       int64_t to)
{
    chunk_share *share = &slot->share[t->chunk];
    int64_t row = q / s->pool;
    double *sum = slot->sum + row * s->side;
    int64_t *count = slot->count + row * s->side;
    if (row == share->row) {
        sum = share->sum;
        count = share->count;
    }
    for (int64_t k = from; k < to;) {
        int64_t col = k / s->pool, end = (col + 1) * s->pool;
        if (end > to)
            end = to;
        count[col] += end - k;
        double block = 0;
        for (; k < end; k++)
            block += (double)attn_tile_at(t, q, k);
        sum[col] += block;
    }
}

void map_set_tile(map_set *s, const attn_tile *t)
{
    if (!map_set_wants(s, t->head))
        return;
    map_slot *slot = &s->slots[t->head % s->in_flight];
    if (s->pool > 1 && !slot->share[t->chunk].begun) {
        slot->share[t->chunk].begun = true;
        slot->share[t->chunk].row = t->q0 % s->pool != 0 ? t->q0 / s->pool : -1;
    }
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        int64_t from, to;
        attn_tile_visible(t, q, &from, &to);
        if (s->pool > 1) {
            add_pooled(s, slot, t, q, from, to);
            continue;
        }
        float *row = slot->cells + q * s->side;
        for (int64_t k = from; k < to; k++)
            row[k] = attn_tile_at(t, q, k);
    }
}

static void average(const map_set *s, map_slot *slot)
{
    for (int c = 0; c < s->n_chunk; c++) {
        const chunk_share *share = &slot->share[c];
        if (share->row < 0)
            continue;
        for (int64_t k = 0; k < s->side; k++) {
            slot->sum[share->row * s->side + k] += share->sum[k];
            slot->count[share->row * s->side + k] += share->count[k];
        }
    }
    for (int64_t i = 0; i < s->side * s->side; i++)
        if (slot->count[i] > 0)
            slot->cells[i] = (float)(slot->sum[i] / (double)slot->count[i]);
}

int map_set_emit(map_set *s, int head, const result_sink *out, err *e)
{
    map_slot *slot = &s->slots[head % s->in_flight];
    if (s->pool > 1)
        average(s, slot);
    result_map map = {
        .kind = s->m->layers[s->layer].attn.kind,
        .layer = s->layer,
        .head = head,
        .n_query = s->n,
        .n_key = s->n,
        .pool = s->pool,
        .pooling = s->pool > 1 ? "mean" : "none",
        .cells = slot->cells,
    };
    int r = out->map(out->ud, &map, e);
    slot_clear(s, slot);
    return r;
}
