#include "cli/divergence_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/metric.h"
#include "base/mem.h"
#include "cli/experiment.h"

/* Things of one group with the distances between them. */
typedef struct group {
    attn_kind kind;
    int layer;             /* NO_INDEX: of the whole stack */
    int64_t n;
    head_id *thing;        /* [n] */
    int64_t *index;        /* [n] as positions name them */
    double *distance;      /* [n, n] */
} group;

static void group_free(group *g)
{
    free(g->thing);
    free(g->index);
    free(g->distance);
}

static int64_t index_of(const divergence_view *v, const head_id *h)
{
    return v->layers ? h->layer : head_index(v->m, h->kind, h->layer, h->head);
}

static bool same_group(const divergence_view *v, const head_id *a, const head_id *b)
{
    return a->kind == b->kind && (!v->by_layer || a->layer == b->layer);
}

static int64_t find(const group *g, int64_t index)
{
    for (int64_t i = 0; i < g->n; i++)
        if (g->index[i] == index)
            return i;
    return -1;
}

/* The group that begins at value `at` of those that hold a position; *end: behind it. */
static int read_group(group *g, int64_t *end, const divergence_view *v, const value_groups *all, int64_t at, err *e)
{
    const value_group *first = &all->g[at];
    int64_t n = 0, last = -1;
    size_t cells;
    for (*end = at; *end < all->n && same_group(v, &first->head, &all->g[*end].head); (*end)++) {
        int64_t index = index_of(v, &all->g[*end].head);
        n += index != last;
        last = index;
    }
    *g = (group){.kind = first->head.kind, .layer = v->by_layer ? first->head.layer : NO_INDEX};
    if (!size_mul(&cells, (size_t)n, (size_t)n))
        return err_nomem(e, "distances");
    g->thing = mem_array((size_t)n, sizeof *g->thing, e);
    g->index = mem_array((size_t)n, sizeof *g->index, e);
    g->distance = mem_array(cells, sizeof *g->distance, e);
    if (!g->thing || !g->index || !g->distance)
        return ERR_RESOURCE;
    for (int64_t i = at; i < *end; i++) {
        int64_t index = index_of(v, &all->g[i].head);
        if (g->n == 0 || g->index[g->n - 1] != index) {
            g->thing[g->n] = all->g[i].head;
            g->index[g->n++] = index;
        }
    }
    for (int64_t i = at; i < *end; i++) {
        int64_t a = find(g, index_of(v, &all->g[i].head)), b = find(g, all->g[i].position);
        if (a >= 0 && b >= 0)
            g->distance[a * n + b] = v->similar ? 1 - all->g[i].st.mean : all->g[i].st.mean;
    }
    /* Both directions hold one number; a similarity of 1 + rounding is a distance of 0. */
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < a; b++) {
            double d = (g->distance[a * n + b] + g->distance[b * n + a]) / 2;
            g->distance[a * n + b] = g->distance[b * n + a] = d > 0 ? d : 0;
        }
    return 0;
}

static void name_of(head_text out, const divergence_view *v, const head_id *h)
{
    if (v->layers)
        snprintf(out, sizeof(head_text), "%s%sL%d", h->kind == ATTN_SELF ? "" : attn_kind_name(h->kind),
                 h->kind == ATTN_SELF ? "" : ".", h->layer);
    else
        head_format(out, *h);
}

static int put_name(table *t, cell *c, const divergence_view *v, const head_id *h, err *e)
{
    head_text name;
    name_of(name, v, h);
    return table_text(t, c, name, strlen(name), e);
}

typedef struct solved {
    cluster_merge *merge;
    int64_t *order, *cluster, n_cluster;
    double *xy, stress, correlation;
} solved;

static void solved_free(solved *s)
{
    free(s->merge);
    free(s->order);
    free(s->cluster);
    free(s->xy);
}

static int solve(solved *s, const group *g, const divergence_view *v, err *e)
{
    *s = (solved){
        .merge = mem_array((size_t)g->n, sizeof *s->merge, e), .order = mem_array((size_t)g->n, sizeof *s->order, e),
        .cluster = mem_array((size_t)g->n, sizeof *s->cluster, e), .xy = mem_array((size_t)g->n, 2 * sizeof *s->xy, e),
    };
    if (!s->merge || !s->order || !s->cluster || !s->xy)
        return ERR_RESOURCE;
    int rc = cluster_merges(s->merge, g->distance, g->n, v->linkage, e);
    if (!rc)
        rc = cluster_order(s->order, s->merge, g->n, e);
    if (!rc)
        rc = v->clusters > 0 ? cluster_cut_count(s->cluster, &s->n_cluster, s->merge, g->n, v->clusters, e)
                             : cluster_cut_height(s->cluster, &s->n_cluster, s->merge, g->n, v->height, e);
    if (!rc)
        rc = cluster_cophenetic_correlation(&s->correlation, g->distance, s->merge, g->n, e);
    return rc ? rc : cluster_plane(s->xy, &s->stress, g->distance, g->n, e);
}

/* The things least and most far from thing a; -1: there is no other. */
static void extremes(int64_t *nearest, int64_t *farthest, double *mean, const group *g, int64_t a)
{
    *nearest = *farthest = -1;
    *mean = 0;
    for (int64_t b = 0; b < g->n; b++) {
        if (a == b)
            continue;
        double d = g->distance[a * g->n + b];
        *mean += d / (double)(g->n - 1);
        if (*nearest < 0 || d < g->distance[a * g->n + *nearest])
            *nearest = b;
        if (*farthest < 0 || d > g->distance[a * g->n + *farthest])
            *farthest = b;
    }
}

enum { G_KIND, G_LAYER, G_NEAREST, G_AND, G_DISTANCE, G_FARTHEST, G_FROM, G_FAR, G_MEAN, G_CLUSTERS, G_CORRELATION, G_STRESS,
       G_COLUMNS };
static const char *const group_columns[] = {"kind", "layer", "nearest", "and", "distance", "farthest", "from", "far", "mean",
                                            "clusters", "cophenetic_r", "stress"};
enum { T_KIND, T_NAME, T_CLUSTER, T_ORDER, T_NEAREST, T_NEAR, T_FARTHEST, T_FAR, T_MEAN, T_X, T_Y, T_COLUMNS };
static const char *const thing_columns[2][T_COLUMNS] = {
    {"kind", "head", "cluster", "order", "nearest", "near", "farthest", "far", "mean", "x", "y"},
    {"kind", "layer", "cluster", "order", "nearest", "near", "farthest", "far", "mean", "x", "y"},
};

static int add_group(table *t, const divergence_view *v, const group *g, const solved *s, err *e)
{
    int64_t near_a = -1, near_b = -1, far_a = -1, far_b = -1;
    double least = INFINITY, most = -1, sum = 0;
    for (int64_t a = 0; a < g->n; a++)
        for (int64_t b = a + 1; b < g->n; b++) {
            double d = g->distance[a * g->n + b];
            sum += d;
            if (d < least) {
                least = d;
                near_a = a;
                near_b = b;
            }
            if (d > most) {
                most = d;
                far_a = a;
                far_b = b;
            }
        }
    cell *row = table_row(t, e);
    if (!row)
        return ERR_RESOURCE;
    int rc = table_text(t, &row[G_KIND], attn_kind_name(g->kind), strlen(attn_kind_name(g->kind)), e);
    row[G_LAYER] = cell_index(g->layer);
    row[G_CLUSTERS] = cell_int(s->n_cluster);
    if (rc || near_a < 0)
        return rc;
    row[G_DISTANCE] = cell_real(least);
    row[G_FAR] = cell_real(most);
    row[G_MEAN] = cell_real(sum / ((double)g->n * (double)(g->n - 1) / 2));
    row[G_CORRELATION] = cell_real(s->correlation);
    row[G_STRESS] = cell_real(s->stress);
    const int64_t at[] = {near_a, near_b, far_a, far_b};
    const int col[] = {G_NEAREST, G_AND, G_FARTHEST, G_FROM};
    for (int i = 0; i < 4 && !rc; i++)
        rc = put_name(t, &row[col[i]], v, &g->thing[at[i]], e);
    return rc;
}

static int add_things(table *t, const divergence_view *v, const group *g, const solved *s, err *e)
{
    int rc = 0;
    for (int64_t i = 0; i < g->n && !rc; i++) {
        int64_t a = s->order[i], nearest, farthest;
        double mean;
        cell *row = table_row(t, e);
        if (!row)
            return ERR_RESOURCE;
        extremes(&nearest, &farthest, &mean, g, a);
        rc = table_text(t, &row[T_KIND], attn_kind_name(g->kind), strlen(attn_kind_name(g->kind)), e);
        if (!rc)
            rc = put_name(t, &row[T_NAME], v, &g->thing[a], e);
        row[T_CLUSTER] = cell_int(s->cluster[a]);
        row[T_ORDER] = cell_int(i);
        row[T_X] = cell_real(s->xy[2 * a]);
        row[T_Y] = cell_real(s->xy[2 * a + 1]);
        if (rc || nearest < 0)
            continue;
        row[T_MEAN] = cell_real(mean);
        row[T_NEAR] = cell_real(g->distance[a * g->n + nearest]);
        row[T_FAR] = cell_real(g->distance[a * g->n + farthest]);
        rc = put_name(t, &row[T_NEAREST], v, &g->thing[nearest], e);
        if (!rc)
            rc = put_name(t, &row[T_FARTHEST], v, &g->thing[farthest], e);
    }
    return rc;
}

/* Values between things alone: a mean over the other layers has no position. */
static void keep_pairs(value_groups *all)
{
    int64_t n = 0;
    for (int64_t i = 0; i < all->n; i++)
        if (all->g[i].position != NO_INDEX)
            all->g[n++] = all->g[i];
    all->n = n;
}

int divergence_tables(table **groups, table **things, const divergence_view *v, err *e)
{
    value_groups all = {0};
    *groups = *things = NULL;
    int rc = experiment_means(&all, v->st, v->run, v->metric, NULL, NULL, e);
    if (!rc)
        keep_pairs(&all);
    if (!rc && all.n == 0) {
        err_set(e, ERR_FAILED, "run %lld has nothing to compare", (long long)v->run);
        rc = err_hint(e, "a layer of one head has no pairs; --between all compares the heads of all layers");
    }
    if (!rc)
        rc = table_new(groups, G_COLUMNS, group_columns, e);
    if (!rc)
        rc = table_new(things, T_COLUMNS, thing_columns[v->layers], e);
    for (int64_t at = 0, end = 0; at < all.n && !rc; at = end) {
        group g = {0};
        solved s = {0};
        rc = read_group(&g, &end, v, &all, at, e);
        if (!rc)
            rc = solve(&s, &g, v, e);
        if (!rc)
            rc = add_group(*groups, v, &g, &s, e);
        if (!rc)
            rc = add_things(*things, v, &g, &s, e);
        solved_free(&s);
        group_free(&g);
    }
    free(all.g);
    return rc;
}
