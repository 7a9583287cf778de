/* Attention of one sequence whose positions are shared out over ranks (base/ranks.h).
 *
 * Queries, outputs and the residual stream stay where they are.  Two ways to bring the keys to them:
 *
 *  - Around the ring: the keys and values of one rank after the other pass by, all heads of them, while the next ones are
 *    under way.  A rank forms the attention of its queries over those keys alone and merges it into what it has with the
 *    log-sum-exp of both: with L_a, L_b of two sets of keys and L = ln(exp L_a + exp L_b), the weights of each are
 *    multiplied by w = exp(L_a - L), outputs and sums over keys too, and the entropy is sum of w (H - ln w).  Exact but for
 *    rounding.  Memory: two times the keys and values of a rank.  (Liu et al., arXiv 2310.01889; the merge: Rabe and
 *    Staats, arXiv 2112.05682.)
 *  - Gathered, where a tap wants tiles or sums of columns: metrics take whole rows of weights.  The keys and values of one
 *    key/value head after the other come together on every rank, the next head's while this one's is worked on.  The same
 *    bytes travel, and every number has the bits that one process gives it.  Memory: two times [n, d_qk + d_v] and a panel. */
#ifndef ATTNSCOPE_COMPUTE_ATTENTION_RING_H
#define ATTNSCOPE_COMPUTE_ATTENTION_RING_H

#include "compute/attention.h"

/* How n positions are shared out.  In pieces of a rank's: 1, rank r has the r-th of `ranks` equal stretches; 2, of
 * 2 * ranks stretches it has r and 2 * ranks - 1 - r, so that under a causal mask all ranks have the same work. */
typedef struct sequence_split {
    int64_t n;
    int ranks, rank;
    int pieces;
} sequence_split;

enum { SPLIT_MAX_PIECES = 2 };

/* One stretch.  Stretches are counted in the order of positions; some are empty where n is small. */
typedef struct sequence_span {
    int64_t pos0, n;
    int rank;
    int64_t row;     /* of the rank's rows: where it begins */
} sequence_span;

int sequence_spans(const sequence_split *s);                       /* of all ranks */
sequence_span sequence_span_at(const sequence_split *s, int index); /* 0 .. sequence_spans - 1 */
/* Piece `piece` of a rank, with its index among all. */
sequence_span sequence_piece(const sequence_split *s, int rank, int piece, int *index);
int64_t sequence_rows(const sequence_split *s, int rank);
/* Position of a row of this rank. */
int64_t sequence_position(const sequence_split *s, int64_t row);

typedef struct attn_ring attn_ring;
int attn_ring_new(attn_ring **out, const sequence_split *split, err *e); /* split is copied */
void attn_ring_free(attn_ring *r);
const sequence_split *attn_ring_split(const attn_ring *r);
/* Bytes of keys and values that this rank has sent. */
uint64_t attn_ring_bytes(const attn_ring *r);
/* Seconds that this rank has waited for others in attention_ring, and what of them the processor was kept busy. */
double attn_ring_waited(const attn_ring *r, double *busy);
/* Bytes of memory that attention_ring takes for such an attention at most. */
double attn_ring_memory(const sequence_split *s, const attn_args *a, int threads);

/* attention() of all ranks together.  a: q, out [rows of this rank, ...], k, v likewise; n_query: those rows; n_key: split.n;
 * pos0 0; key_bias [n_head, n_key].  No rel_bias, no edit.
 * The tap sees queries and keys counted over the whole sequence, pos0 0, and chunk = piece * ATTN_MAX_CHUNK + chunk within
 * it; heads_done comes for the query heads of one key/value head after the other, on all ranks in the same order, so that
 * it may talk to the other ranks; it is called to the end even after it failed.  All ranks return the same code. */
int attention_ring(attn_ring *r, attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e);

#endif
