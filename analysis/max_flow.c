#include "analysis/max_flow.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/cancel.h"
#include "base/mem.h"

static const double nothing = 1e-12;

/* Node (l, i) has the number l * n + i.  Its arcs: 0 .. n - 1 down to (l - 1, j), then n .. 2 n - 1 up to (l + 1, j),
 * against flow that comes from there. */
typedef struct search {
    const layered_graph *g;
    double *flow;       /* [n_layer, n, n] */
    int32_t *level;     /* [nodes] distance from the source, -1: not reached */
    int32_t *arc;       /* [nodes] the next arc to try */
    int32_t *queue;     /* [nodes], then the path */
} search;

/* What an arc still takes; *to: where it leads. */
static double room_of(const search *s, int64_t node, int64_t arc, int64_t *to)
{
    int64_t n = s->g->n, l = node / n, i = node % n, j = arc % n;
    if (arc < n) {
        if (l == 0)
            return 0;
        *to = node - i - n + j;
        int64_t edge = i * n + j;
        return (double)s->g->layers[l - 1][edge] - s->flow[(l - 1) * n * n + edge];
    }
    if (l == s->g->n_layer)
        return 0;
    *to = node - i + n + j;
    return s->flow[l * n * n + j * n + i];
}

static void push(search *s, int64_t node, int64_t arc, double amount)
{
    int64_t n = s->g->n, l = node / n, i = node % n, j = arc % n;
    if (arc < n)
        s->flow[(l - 1) * n * n + i * n + j] += amount;
    else
        s->flow[l * n * n + j * n + i] -= amount;
}

/* Distances from the source as far as the sink; false: it is not reached. */
static bool find_levels(search *s, int64_t source, int64_t sink)
{
    int64_t n = s->g->n, nodes = (s->g->n_layer + 1) * n, head = 0, tail = 0;
    for (int64_t v = 0; v < nodes; v++)
        s->level[v] = -1;
    s->level[source] = 0;
    s->queue[tail++] = (int32_t)source;
    while (head < tail && s->level[sink] < 0) {
        int64_t node = s->queue[head++], to = 0;
        for (int64_t arc = 0; arc < 2 * n; arc++)
            if (room_of(s, node, arc, &to) > nothing && s->level[to] < 0) {
                s->level[to] = s->level[node] + 1;
                s->queue[tail++] = (int32_t)to;
            }
    }
    return s->level[sink] >= 0;
}

/* One path to the sink along growing levels, filled; 0 when there is none any more. */
static double augment(search *s, int64_t source, int64_t sink)
{
    int64_t n = s->g->n, length = 0, to = 0;
    int32_t *path = s->queue;
    double least;
    path[0] = (int32_t)source;
    while (path[length] != sink) {
        int64_t node = path[length];
        while (s->arc[node] < 2 * n &&
               !(room_of(s, node, s->arc[node], &to) > nothing && s->level[to] == s->level[node] + 1))
            s->arc[node]++;
        if (s->arc[node] < 2 * n) {
            path[++length] = (int32_t)to;
        } else if (length == 0) {
            return 0;
        } else {
            s->arc[path[--length]]++; /* a dead end */
        }
    }
    least = room_of(s, path[0], s->arc[path[0]], &to);
    for (int64_t i = 1; i < length; i++) {
        double room = room_of(s, path[i], s->arc[path[i]], &to);
        least = room < least ? room : least;
    }
    for (int64_t i = 0; i < length; i++)
        push(s, path[i], s->arc[path[i]], least);
    return least;
}

/* No more than leaves the source or reaches the sink can flow. */
static double bound(const layered_graph *g, int64_t source, int64_t sink)
{
    double out = 0, in = 0;
    for (int64_t j = 0; j < g->n; j++) {
        out += (double)g->layers[g->n_layer - 1][source * g->n + j];
        in += (double)g->layers[0][j * g->n + sink];
    }
    return out < in ? out : in;
}

int max_flow(double *out, const layered_graph *g, int64_t source, int64_t sink, err *e)
{
    size_t edges, nodes = (size_t)(g->n_layer + 1) * (size_t)g->n;
    search s = {.g = g};
    *out = 0;
    if (!size_mul(&edges, (size_t)g->n_layer * (size_t)g->n, (size_t)g->n) || nodes > INT32_MAX)
        return err_nomem(e, "flow");
    s.flow = mem_array(edges, sizeof *s.flow, e);
    s.level = mem_array(nodes, sizeof *s.level, e);
    s.arc = mem_array(nodes, sizeof *s.arc, e);
    s.queue = mem_array(nodes, sizeof *s.queue, e);
    int rc = s.flow && s.level && s.arc && s.queue ? 0 : ERR_RESOURCE;
    int64_t from = g->n_layer * g->n + source;
    double most = rc ? 0 : bound(g, source, sink);
    while (!rc && *out < most - nothing && find_levels(&s, from, sink)) {
        memset(s.arc, 0, nodes * sizeof *s.arc);
        for (double more; *out < most - nothing && (more = augment(&s, from, sink)) > 0;)
            *out += more;
        rc = cancel_check(e);
    }
    free(s.flow);
    free(s.level);
    free(s.arc);
    free(s.queue);
    return rc;
}
