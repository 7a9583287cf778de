#include "analysis/cluster.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/stats.h"

const char *const cluster_linkages[] = {"average", "complete", "single", "ward", NULL};

/* Distance of cluster i from the union of a and b. */
static double updated(cluster_linkage how, double ai, double bi, double ab, double n_a, double n_b, double n_i)
{
    switch (how) {
    case LINK_SINGLE:
        return ai < bi ? ai : bi;
    case LINK_COMPLETE:
        return ai > bi ? ai : bi;
    case LINK_AVERAGE:
        return (n_a * ai + n_b * bi) / (n_a + n_b);
    case LINK_WARD:
        break;
    }
    double t = 1 / (n_a + n_b + n_i);
    return sqrt((n_i + n_a) * t * ai * ai + (n_i + n_b) * t * bi * bi - n_i * t * ab * ab);
}

typedef struct chain {
    int64_t n, length;
    int64_t *size, *link;  /* [n] of the cluster that a thing stands for, 0: gone; [n] chain */
    double *d;             /* [n, n] */
} chain;

/* Follow nearest neighbours to a pair that are each other's; the one before wins a tie. */
static void nearest_pair(chain *c, int64_t *a, int64_t *b, double *height)
{
    if (c->length == 0) {
        int64_t i = 0;
        while (c->size[i] == 0)
            i++;
        c->link[c->length++] = i;
    }
    for (;;) {
        int64_t x = c->link[c->length - 1], y = c->length > 1 ? c->link[c->length - 2] : -1;
        double least = y >= 0 ? c->d[x * c->n + y] : INFINITY;
        for (int64_t i = 0; i < c->n; i++)
            if (c->size[i] > 0 && i != x && c->d[x * c->n + i] < least) {
                least = c->d[x * c->n + i];
                y = i;
            }
        if (c->length > 1 && y == c->link[c->length - 2]) {
            c->length -= 2;
            *a = x < y ? x : y;
            *b = x < y ? y : x;
            *height = least;
            return;
        }
        c->link[c->length++] = y;
    }
}

static void join(chain *c, int64_t a, int64_t b, double height, cluster_linkage how)
{
    double n_a = (double)c->size[a], n_b = (double)c->size[b];
    c->size[b] += c->size[a];
    c->size[a] = 0;
    for (int64_t i = 0; i < c->n; i++)
        if (c->size[i] > 0 && i != b) {
            double d = updated(how, c->d[a * c->n + i], c->d[b * c->n + i], height, n_a, n_b, (double)c->size[i]);
            c->d[b * c->n + i] = c->d[i * c->n + b] = d;
        }
}

typedef struct step { double height; int64_t at; } step;

static int by_height(const void *a, const void *b)
{
    const step *x = a, *y = b;
    return x->height != y->height ? (x->height > y->height) - (x->height < y->height) : (x->at > y->at) - (x->at < y->at);
}

static int64_t root_of(int64_t *up, int64_t i)
{
    int64_t root = i;
    while (up[root] != root)
        root = up[root];
    while (up[i] != root) {
        int64_t next = up[i];
        up[i] = root;
        i = next;
    }
    return root;
}

/* Chains find merges out of order: sort them, and name the clusters by the step that made them. */
static int name_clusters(cluster_merge *m, int64_t n, err *e)
{
    step *order = mem_array((size_t)n, sizeof *order, e);
    int64_t *up = mem_array((size_t)n, 2 * sizeof *up, e);
    cluster_merge *raw = mem_array((size_t)n, sizeof *raw, e);
    int rc = order && up && raw ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < 2 * n && !rc; i++)
        up[i] = i;
    for (int64_t i = 0; i < n - 1 && !rc; i++) {
        order[i] = (step){m[i].height, i};
        raw[i] = m[i];
    }
    if (!rc)
        qsort(order, (size_t)(n - 1), sizeof *order, by_height);
    for (int64_t i = 0; i < n - 1 && !rc; i++) {
        const cluster_merge *r = &raw[order[i].at];
        int64_t a = root_of(up, r->a), b = root_of(up, r->b);
        int64_t size_a = a < n ? 1 : m[a - n].size, size_b = b < n ? 1 : m[b - n].size;
        m[i] = (cluster_merge){a < b ? a : b, a < b ? b : a, size_a + size_b, r->height};
        up[a] = up[b] = n + i;
    }
    free(order);
    free(up);
    free(raw);
    return rc;
}

int cluster_merges(cluster_merge *m, const double *distance, int64_t n, cluster_linkage how, err *e)
{
    size_t cells;
    if (!size_mul(&cells, (size_t)n, (size_t)n))
        return err_nomem(e, "distances");
    chain c = {.n = n, .size = mem_array((size_t)n, sizeof *c.size, e), .link = mem_array((size_t)n, sizeof *c.link, e),
               .d = mem_array(cells, sizeof *c.d, e)};
    int rc = c.size && c.link && c.d ? 0 : ERR_RESOURCE;
    if (!rc)
        memcpy(c.d, distance, cells * sizeof *c.d);
    for (int64_t i = 0; i < n && !rc; i++)
        c.size[i] = 1;
    for (int64_t i = 0; i < n - 1 && !rc; i++) {
        nearest_pair(&c, &m[i].a, &m[i].b, &m[i].height);
        join(&c, m[i].a, m[i].b, m[i].height, how);
    }
    free(c.size);
    free(c.link);
    free(c.d);
    return rc ? rc : name_clusters(m, n, e);
}

int cluster_order(int64_t *order, const cluster_merge *m, int64_t n, err *e)
{
    int64_t *stack = mem_array((size_t)n, sizeof *stack, e), depth = 0, done = 0;
    if (!stack)
        return ERR_RESOURCE;
    stack[depth++] = n > 1 ? 2 * n - 2 : 0;
    while (depth > 0) {
        int64_t at = stack[--depth];
        if (at < n) {
            order[done++] = at;
            continue;
        }
        stack[depth++] = m[at - n].b;
        stack[depth++] = m[at - n].a;
    }
    free(stack);
    return 0;
}

/* The first `steps` merges done. */
static int cut(int64_t *cluster, int64_t *n_cluster, const cluster_merge *m, int64_t n, int64_t steps, err *e)
{
    int64_t *up = mem_array((size_t)n, 2 * sizeof *up, e), *order = mem_array((size_t)n, sizeof *order, e);
    int64_t *name = mem_array((size_t)n, 2 * sizeof *name, e);
    int rc = up && order && name ? cluster_order(order, m, n, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < 2 * n && !rc; i++) {
        up[i] = i;
        name[i] = -1;
    }
    for (int64_t i = 0; i < steps && !rc; i++)
        up[m[i].a] = up[m[i].b] = n + i;
    *n_cluster = 0;
    for (int64_t i = 0; i < n && !rc; i++) {
        int64_t root = root_of(up, order[i]);
        if (name[root] < 0)
            name[root] = (*n_cluster)++;
        cluster[order[i]] = name[root];
    }
    free(up);
    free(order);
    free(name);
    return rc;
}

int cluster_cut_count(int64_t *cluster, int64_t *n_cluster, const cluster_merge *m, int64_t n, int64_t k, err *e)
{
    int64_t steps = k < n ? n - (k < 1 ? 1 : k) : 0;
    /* A cut is a height: merges of the same one belong together. */
    while (steps > 0 && steps < n - 1 && m[steps].height == m[steps - 1].height)
        steps++;
    return cut(cluster, n_cluster, m, n, steps, e);
}

int cluster_cut_height(int64_t *cluster, int64_t *n_cluster, const cluster_merge *m, int64_t n, double height, err *e)
{
    int64_t steps = 0;
    while (steps < n - 1 && m[steps].height <= height)
        steps++;
    return cut(cluster, n_cluster, m, n, steps, e);
}

int cluster_cophenetic(double *height, const cluster_merge *m, int64_t n, err *e)
{
    /* Things of a cluster as lists: first of each cluster, next of each thing. */
    int64_t *first = mem_array((size_t)n, 2 * sizeof *first, e), *last = mem_array((size_t)n, 2 * sizeof *last, e);
    int64_t *next = mem_array((size_t)n, sizeof *next, e);
    int rc = first && last && next ? 0 : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++) {
        first[i] = last[i] = i;
        next[i] = -1;
        height[i * n + i] = 0;
    }
    for (int64_t s = 0; s < n - 1 && !rc; s++) {
        int64_t a = m[s].a, b = m[s].b;
        for (int64_t i = first[a]; i >= 0; i = next[i])
            for (int64_t j = first[b]; j >= 0; j = next[j])
                height[i * n + j] = height[j * n + i] = m[s].height;
        first[n + s] = first[a];
        next[last[a]] = first[b];
        last[n + s] = last[b];
    }
    free(first);
    free(last);
    free(next);
    return rc;
}

int cluster_cophenetic_correlation(double *out, const double *distance, const cluster_merge *m, int64_t n, err *e)
{
    size_t cells;
    *out = 0;
    if (n < 2)
        return 0;
    if (!size_mul(&cells, (size_t)n, (size_t)n))
        return err_nomem(e, "distances");
    double *x = mem_array(cells, sizeof *x, e), *y = mem_array(cells, sizeof *y, e);
    int64_t pairs = 0;
    int rc = x && y ? cluster_cophenetic(y, m, n, e) : ERR_RESOURCE;
    for (int64_t i = 0; i < n && !rc; i++)
        for (int64_t j = i + 1; j < n; j++, pairs++) {
            x[pairs] = distance[i * n + j];
            y[pairs] = y[i * n + j]; /* pairs never passes what is still to be read */
        }
    if (!rc)
        *out = pearson(x, y, pairs);
    free(x);
    free(y);
    return rc;
}
