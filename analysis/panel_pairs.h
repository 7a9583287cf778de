/* Sums over keys for every pair of heads of a block of panels, how pairs are counted, and what comparisons of heads may
 * leave out. */
#ifndef ATTNSCOPE_ANALYSIS_PANEL_PAIRS_H
#define ATTNSCOPE_ANALYSIS_PANEL_PAIRS_H

#include "analysis/metric.h"
#include "compute/kernels.h"

/* Pairs (a, b), a <= b, of n heads in order: (0,0) (0,1) .. (0,n-1) (1,1) ... */
static inline int64_t pair_count(int64_t n)
{
    return n * (n + 1) / 2;
}
static inline int64_t pair_index(int64_t n, int64_t a, int64_t b)
{
    int64_t lower = a < b ? a : b, upper = a < b ? b : a;
    return lower * n - lower * (lower - 1) / 2 + upper - lower;
}

/* kernels.product_sums or mixture_sums. */
typedef void (*pair_kernel)(float *out, const float *x, const float *y, int64_t y_stride, int n_y, int64_t n_key,
                            int64_t stride, int columns);

/* Add the sums over keys k0 .. p->n_key - 1 of all pairs.  total: [pairs], the sum over the queries of the block from
 * number `first` on.  rows: [pairs][ATTN_PANEL_COLUMNS], query by query.  mass: [n_head][ATTN_PANEL_COLUMNS], sums of the
 * weights themselves.  Each may be NULL. */
void panel_pairs(double *total, double *rows, double *mass, const attn_panels *p, pair_kernel f, int64_t k0, int first);

/* Rows and columns that all maps have in common under a causal mask: row 0 has all its weight on key 0, which is the
 * sink of many heads.  Both raise every similarity. */
typedef enum leave_out { LEAVE_NOTHING, LEAVE_FIRST_ROW, LEAVE_FIRST_KEY, LEAVE_BOTH } leave_out;
extern const char *const leave_out_names[]; /* "nothing", "first-row", "first-key", "both" */
leave_out leave_out_read(const params *p, const char *option);
/* First key to count. */
int64_t leave_out_key(leave_out o);
/* First query of the block to count, as a column. */
int leave_out_column(leave_out o, const attn_panels *p);

/* Queries of the block, from column first on, that see a key in attention `of`. */
int64_t panel_rows(const attn_panels *p, int of, int first);

#endif
