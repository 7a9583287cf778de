/* What `divergence` prints: heads (or layers) against each other, from the values of a run in the store. */
#ifndef ATTNSCOPE_CLI_DIVERGENCE_TABLE_H
#define ATTNSCOPE_CLI_DIVERGENCE_TABLE_H

#include "analysis/cluster.h"
#include "cli/command_util.h"

typedef struct divergence_view {
    store *st;
    int64_t run;
    const model *m;
    const char *metric;       /* "jsd", "jsd_layers", "row_cosine" or "layer_similarity" */
    bool similar;             /* values are similarities: the distance is 1 - value */
    bool by_layer;            /* a group for each layer; else one of the whole stack */
    bool layers;              /* things that are compared are layers, not heads */
    cluster_linkage linkage;
    int64_t clusters;         /* cut into at most so many; 0: by height */
    double height;
} divergence_view;

/* groups: a row for each layer (or stack): nearest and farthest pair, mean, clusters, cophenetic correlation, stress.
 * things: a row for each head (or layer): cluster, place among the leaves, nearest, farthest, mean, place in the plane.
 * ERR_FAILED when the run holds no such values. */
int divergence_tables(table **groups, table **things, const divergence_view *v, err *e);

#endif
