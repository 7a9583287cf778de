/* Clusters of things of which only distances are known: agglomerative hierarchical clustering, its cophenetic distances,
 * and a map in the plane.  Orders and ties are those of scipy.cluster.hierarchy (linkage, leaves_list, fcluster,
 * cophenet).  Distances are matrices [n, n], symmetric, finite, 0 on the diagonal; n >= 1. */
#ifndef ATTNSCOPE_ANALYSIS_CLUSTER_H
#define ATTNSCOPE_ANALYSIS_CLUSTER_H

#include <stdint.h>
#include "base/err.h"

typedef enum cluster_linkage { LINK_AVERAGE, LINK_COMPLETE, LINK_SINGLE, LINK_WARD } cluster_linkage;
extern const char *const cluster_linkages[]; /* "average", "complete", "single", "ward", NULL */

/* Step i joins clusters a < b into cluster n + i; those below n are single things. */
typedef struct cluster_merge {
    int64_t a, b, size;
    double height;
} cluster_merge;

/* By updating distances (Lance and Williams 1967) along chains of nearest neighbours (Murtagh 1983): n^2 time.
 * Ward: distances are taken as Euclidean.  m [n - 1], heights in increasing order. */
int cluster_merges(cluster_merge *m, const double *distance, int64_t n, cluster_linkage how, err *e);
/* Leaves from left to right, the cluster named first on the left: order [n]. */
int cluster_order(int64_t *order, const cluster_merge *m, int64_t n, err *e);
/* Cut: of at most k clusters the highest such cut, or all merges of at most this height.  cluster [n], numbered from 0 in
 * the order of leaves; returns how many there are in *n_cluster. */
int cluster_cut_count(int64_t *cluster, int64_t *n_cluster, const cluster_merge *m, int64_t n, int64_t k, err *e);
int cluster_cut_height(int64_t *cluster, int64_t *n_cluster, const cluster_merge *m, int64_t n, double height, err *e);
/* Height at which two things are joined first: [n, n]. */
int cluster_cophenetic(double *height, const cluster_merge *m, int64_t n, err *e);
/* Pearson's correlation of the distances with these heights over pairs; 0 when either does not vary. */
int cluster_cophenetic_correlation(double *out, const double *distance, const cluster_merge *m, int64_t n, err *e);

/* Places in the plane whose distances come near the given ones, xy [n, 2]: metric multidimensional scaling by SMACOF (de
 * Leeuw) from the classical solution, at most 1,000 steps, until the stress falls by less than 1e-10 of itself.  Centred;
 * the first axis is the one of greatest spread, and of each axis the first place that is not 0 is positive.
 * *stress: root of sum (d - d')^2 / sum d^2 over pairs, 0 when all distances are. */
int cluster_plane(double *xy, double *stress, const double *distance, int64_t n, err *e);

#endif
