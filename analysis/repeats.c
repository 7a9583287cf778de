#include "analysis/repeats.h"

#include <stdlib.h>
#include "base/mem.h"

typedef struct occurrence {
    int32_t id;
    int64_t position;
} occurrence;

static int by_id_then_position(const void *x, const void *y)
{
    const occurrence *a = x, *b = y;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (a->position > b->position) - (a->position < b->position);
}

/* Smallest period of ids [n]: n minus the length of the longest proper prefix that is also a suffix.
 * border: scratch [n]. */
static int64_t smallest_period(const int32_t *ids, int64_t n, int64_t *border)
{
    border[0] = 0;
    for (int64_t i = 1, k = 0; i < n; i++) {
        while (k > 0 && ids[i] != ids[k])
            k = border[k - 1];
        if (ids[i] == ids[k])
            k++;
        border[i] = k;
    }
    return n - border[n - 1];
}

static int64_t prompt_period(const int32_t *ids, int64_t n, int64_t *scratch)
{
    for (int64_t start = 0; start <= 1 && start < n; start++) {
        int64_t length = n - start, period = smallest_period(ids + start, length, scratch);
        if (period >= 2 && period <= length / 2)
            return period;
    }
    return 0;
}

int repeats_new(repeats **out, const int32_t *ids, int64_t n, int32_t placeholder, err *e)
{
    *out = NULL;
    size_t cells, bytes;
    if (!size_mul(&cells, (size_t)n, 3) || !size_mul(&bytes, cells, sizeof(int64_t)) ||
        !size_add(&bytes, bytes, sizeof(repeats)))
        return err_nomem(e, "the repeated tokens of the prompt");
    repeats *r = mem_array(1, bytes, e);
    occurrence *sorted = mem_array((size_t)n, sizeof(*sorted), e);
    if (!r || !sorted) {
        free(r);
        free(sorted);
        return ERR_RESOURCE;
    }
    r->n = n;
    r->seen = (int64_t *)(r + 1);
    r->begin = r->seen + n;
    r->end = r->begin + n;
    r->period = prompt_period(ids, n, r->begin);

    for (int64_t i = 0; i < n; i++)
        sorted[i] = (occurrence){ids[i], i};
    qsort(sorted, (size_t)n, sizeof(*sorted), by_id_then_position);
    int64_t group = 0;
    for (int64_t s = 0; s < n; s++) {
        if (sorted[s].id != sorted[group].id || sorted[s].id == placeholder)
            group = s;
        r->seen[s] = sorted[s].position;
        r->begin[sorted[s].position] = group;
        r->end[sorted[s].position] = s;
    }
    free(sorted);
    *out = r;
    return 0;
}

/* First index in [a, b) of increasing seen[] with seen[index] >= key; b when there is none. */
static int64_t first_not_below(const int64_t *seen, int64_t a, int64_t b, int64_t key)
{
    while (a < b) {
        int64_t mid = a + (b - a) / 2;
        if (seen[mid] < key)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

/* The keys of one query are earlier occurrences + shift.  A query may be spread over several tiles: it is
 * counted in the tile that holds the last of its keys that it sees. */
void repeats_tile(void *state, const metric_ctx *c, const attn_tile *t)
{
    query_mean *s = state;
    const repeats *r = c->shared;
    if (r->match == REPEAT_PERIOD && r->period == 0)
        return; /* not a repeated prompt */
    for (int64_t q = t->q0; q < t->q0 + t->n_query; q++) {
        int64_t position = t->pos0 + q, from, to;
        if (position >= r->n)
            continue;
        attn_tile_visible(t, q, &from, &to);
        if (from >= to)
            continue;
        if (r->match == REPEAT_PERIOD) {
            int64_t key = position - r->period + r->shift;
            if (key >= from && key < to) {
                s->sum += (double)attn_tile_at(t, q, key);
                s->n++;
            }
            continue;
        }
        int64_t begin = r->begin[position], end = r->end[position];
        if (begin == end)
            continue;
        if (r->match == REPEAT_LAST)
            begin = end - 1;
        int64_t i = first_not_below(r->seen, begin, end, from - r->shift);
        bool any = false;
        for (; i < end && r->seen[i] + r->shift < to; i++) {
            s->sum += (double)attn_tile_at(t, q, r->seen[i] + r->shift);
            any = true;
        }
        int64_t hi = t->visible_hi[q - t->q0];
        if (any && (i == end || r->seen[i] + r->shift >= hi))
            s->n++;
    }
}

void repeats_release(metric_ctx *c)
{
    free(c->shared);
    c->shared = NULL;
}
