/* Maximum flow through a layered graph with dense capacities between neighbouring layers. */
#ifndef ATTNSCOPE_ANALYSIS_MAX_FLOW_H
#define ATTNSCOPE_ANALYSIS_MAX_FLOW_H

#include <stdint.h>
#include "base/err.h"

/* Nodes (layer, i), 0 <= layer <= n_layer, 0 <= i < n; an edge from (l + 1, i) to (l, j) of capacity
 * layers[l][i * n + j] >= 0. */
typedef struct layered_graph { int n_layer; int64_t n; const float *const *layers; } layered_graph;

/* What flows from (n_layer, source) to (0, sink) at most: Dinic's algorithm on doubles, differences below 1e-12 taken as
 * none.  Memory: a double for each edge.  Times: a pass over the edges for each length of augmenting path. */
int max_flow(double *out, const layered_graph *g, int64_t source, int64_t sink, err *e);

#endif
