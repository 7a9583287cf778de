/* Maps of a run as doubles, for second implementations of what metrics say.  Uses cmocka's asserts. */
#ifndef ATTNSCOPE_TESTS_DENSE_MAPS_H
#define ATTNSCOPE_TESTS_DENSE_MAPS_H

#include "tests/model_run.h"

enum { MOST = 64 };

/* All maps of one kind as doubles, masked cells 0; heads of all layers in order. */
typedef struct maps {
    int n, layer[MOST], head[MOST];
    int64_t rows, cols;
    double *p[MOST];
} maps;

static inline maps maps_of(const collected *c, attn_kind kind)
{
    maps m = {0};
    for (int i = 0; i < c->n_map; i++) {
        if (c->map[i].kind != kind)
            continue;
        m.layer[m.n] = c->map[i].layer;
        m.head[m.n] = c->map[i].head;
        m.rows = c->map[i].n_query;
        m.cols = c->map[i].n_key;
        double *p = m.p[m.n++] = malloc((size_t)(m.rows * m.cols) * sizeof *p);
        for (int64_t k = 0; k < m.rows * m.cols; k++)
            p[k] = isnan(c->map[i].cells[k]) ? 0 : (double)c->map[i].cells[k];
    }
    return m;
}

static inline void maps_free(maps *m)
{
    for (int i = 0; i < m->n; i++)
        free(m->p[i]);
}

static inline double plogp(double p)
{
    return p > 0 ? p * log(p) : 0;
}

/* Term of one key in a Jensen-Shannon divergence, nats. */
static inline double term(double p, double q)
{
    return (plogp(p) + plogp(q)) / 2 - plogp((p + q) / 2);
}

static inline void close_to(double ours, double want, double gate, const char *what)
{
    if (!(fabs(ours - want) <= gate))
        fail_msg("%s: %.9g, wanted %.9g", what, ours, want);
}

#endif
