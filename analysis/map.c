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
    double *sum;       /* [cols] */
    int64_t *count;    /* [cols] */
} chunk_share;

typedef struct map_slot {
    float *cells;         /* [rows, cols]; what the sink gets */
    double *sum;          /* [rows, cols] pooled maps only */
    int64_t *count;       /* [rows, cols] visible cells, pooled maps only */
    chunk_share *share;   /* [n_chunk] pooled maps only */
} map_slot;

struct map_set {
    const model *m;
    const input_lengths *n;
    const head_id *heads; /* [n_head] */
    int n_head;
    int64_t limit;
    /* of the attention at hand */
    attn_kind kind;
    int layer;
    bool any;
    int64_t n_query, n_key, pool, rows, cols;
    int n_chunk, in_flight;
    map_slot *slots;      /* [n_slot] of head % in_flight; filled when first needed, emptied with another shape */
    int n_slot;
};

/* Cells of the maps of one kind. */
static void map_shape(map_set *s, attn_kind kind)
{
    s->n_query = input_queries(s->n, s->m, kind);
    s->n_key = input_keys(s->n, s->m, kind);
    int64_t longer = s->n_query > s->n_key ? s->n_query : s->n_key;
    s->pool = s->limit > 0 && longer > s->limit ? (longer + s->limit - 1) / s->limit : 1;
    s->rows = (s->n_query + s->pool - 1) / s->pool;
    s->cols = (s->n_key + s->pool - 1) / s->pool;
}

static int check_head(const map_set *s, head_id h, err *e)
{
    const char *kind = attn_kind_name(h.kind);
    const stack *owner = model_stack(s->m, h.kind);
    if (!owner) {
        err_set(e, ERR_USAGE, "%s has no %s attention", s->m->name, kind);
        return err_hint(e, "`info` prints the attention of each layer");
    }
    if (h.layer < 0 || h.layer >= owner->n_run) {
        err_set(e, ERR_USAGE, "layer %d out of range (model has %d layers)", h.layer, owner->n_run);
        return err_hint(e, "layers are counted from 0");
    }
    const attention_block *b = model_attention(s->m, h.kind, h.layer);
    if (!b)
        return err_set(e, ERR_USAGE, "layer %d has no %s attention", h.layer, kind);
    if (h.head < 0 || h.head >= b->plan.n_head) {
        err_set(e, ERR_USAGE, "head %d out of range (layer %d has %d heads)", h.head, h.layer, b->plan.n_head);
        return err_hint(e, "heads are counted from 0");
    }
    if (input_queries(s->n, s->m, h.kind) == 0) {
        err_set(e, ERR_USAGE, "a map of %s attention is asked for, but the prompt has no image", kind);
        return err_hint(e, "add --image FILE, or leave its heads out of --maps");
    }
    return 0;
}

/* Ask before taking: cells, and for pooled maps a double sum and a count of each. */
static int check_memory(map_set *s, attn_kind kind, int in_flight, err *e)
{
    int n = 0;
    for (int i = 0; i < s->n_head && n < in_flight; i++)
        n += s->heads[i].kind == kind;
    map_shape(s, kind);
    double bytes = (double)s->rows * (double)s->cols * (s->pool > 1 ? 20 : 4) * n;
    if (bytes <= (double)memory_available())
        return 0;
    err_set(e, ERR_RESOURCE, "maps of %" PRId64 " x %" PRId64 " cells need %.1f GiB of memory", s->rows, s->cols,
            bytes / (1 << 30));
    return err_hint(e, "pool them with --map-limit 1024, or ask for fewer heads");
}

int map_set_new(map_set **out, const model *m, const input_lengths *n, const head_id *heads, int n_head, int64_t limit,
                const int *in_flight, err *e)
{
    *out = NULL;
    map_set *s = mem_array(1, sizeof(*s), e);
    if (!s)
        return ERR_RESOURCE;
    *s = (map_set){.m = m, .n = n, .heads = heads, .n_head = n_head, .limit = limit, .layer = -1};
    for (int i = 0; i < n_head; i++) {
        int r = check_head(s, heads[i], e);
        if (r == 0)
            r = check_memory(s, heads[i].kind, in_flight[heads[i].kind], e);
        if (r != 0) {
            free(s);
            return r;
        }
    }
    *out = s;
    return 0;
}

static void drop_slots(map_set *s)
{
    for (int i = 0; i < s->n_slot; i++) {
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
    s->slots = NULL;
    s->n_slot = 0;
}

void map_set_free(map_set *s)
{
    if (!s)
        return;
    drop_slots(s);
    free(s);
}

static void slot_clear(const map_set *s, map_slot *slot)
{
    size_t cells = (size_t)s->rows * (size_t)s->cols;
    for (size_t i = 0; i < cells; i++)
        slot->cells[i] = NAN;
    if (s->pool == 1)
        return;
    memset(slot->sum, 0, cells * sizeof(*slot->sum));
    memset(slot->count, 0, cells * sizeof(*slot->count));
    for (int c = 0; c < s->n_chunk; c++) {
        chunk_share *share = &slot->share[c];
        share->begun = false;
        share->row = -1;
        memset(share->sum, 0, (size_t)s->cols * sizeof(*share->sum));
        memset(share->count, 0, (size_t)s->cols * sizeof(*share->count));
    }
}

static int slot_reserve(const map_set *s, map_slot *slot, err *e)
{
    size_t cols = (size_t)s->cols, cells;
    if (!size_mul(&cells, (size_t)s->rows, cols))
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
            if (!share->sum && !(share->sum = mem_array(cols, sizeof(*share->sum), e)))
                return ERR_RESOURCE;
            if (!share->count && !(share->count = mem_array(cols, sizeof(*share->count), e)))
                return ERR_RESOURCE;
        }
    }
    slot_clear(s, slot);
    return 0;
}

int map_set_site(map_set *s, const attn_site *site, int n_chunk, int in_flight, err *e)
{
    if (!s->slots || s->kind != site->kind || s->n_slot != in_flight) {
        drop_slots(s);
        s->slots = mem_array((size_t)in_flight, sizeof(*s->slots), e);
        if (!s->slots)
            return ERR_RESOURCE;
        s->n_slot = in_flight;
        map_shape(s, site->kind);
    }
    s->kind = site->kind;
    s->layer = site->layer;
    s->n_chunk = n_chunk;
    s->in_flight = in_flight;
    s->any = false;
    for (int i = 0; i < s->n_head; i++) {
        if (s->heads[i].kind != s->kind || s->heads[i].layer != s->layer)
            continue;
        s->any = true;
        int r = slot_reserve(s, &s->slots[s->heads[i].head % in_flight], e);
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
        if (s->heads[i].kind == s->kind && s->heads[i].layer == s->layer && s->heads[i].head == head)
            return true;
    return false;
}

static void add_pooled(const map_set *s, map_slot *slot, const attn_tile *t, int64_t q, int64_t from,
                       int64_t to)
{
    chunk_share *share = &slot->share[t->chunk];
    int64_t row = q / s->pool;
    double *sum = slot->sum + row * s->cols;
    int64_t *count = slot->count + row * s->cols;
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
        float *row = slot->cells + q * s->cols;
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
        for (int64_t k = 0; k < s->cols; k++) {
            slot->sum[share->row * s->cols + k] += share->sum[k];
            slot->count[share->row * s->cols + k] += share->count[k];
        }
    }
    for (int64_t i = 0; i < s->rows * s->cols; i++)
        if (slot->count[i] > 0)
            slot->cells[i] = (float)(slot->sum[i] / (double)slot->count[i]);
}

int map_set_emit(map_set *s, int head, const result_sink *out, err *e)
{
    map_slot *slot = &s->slots[head % s->in_flight];
    if (s->pool > 1)
        average(s, slot);
    result_map map = {
        .kind = s->kind,
        .layer = s->layer,
        .head = head,
        .n_query = s->n_query,
        .n_key = s->n_key,
        .pool = s->pool,
        .pooling = s->pool > 1 ? "mean" : "none",
        .cells = slot->cells,
    };
    int r = out->map(out->ud, &map, e);
    slot_clear(s, slot);
    return r;
}
