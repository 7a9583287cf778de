/* What the two ways of attention_ring() share. */
#ifndef ATTNSCOPE_COMPUTE_ATTENTION_RING_PARTS_H
#define ATTNSCOPE_COMPUTE_ATTENTION_RING_PARTS_H

#include "base/ranks.h"
#include "compute/attention_ring.h"

/* A row of a head over the keys that have passed so far. */
typedef struct ring_row {
    double lse;              /* -inf: none */
    double entropy, distance;
    float maximum, self, prev, sink;
    float keep, add;         /* of the block that is being merged: factors of the output before and of the block's */
} ring_row;

struct attn_ring {
    sequence_split split;
    ranks_transfer *transfer;
    float *here, *next;      /* ring: keys [rows, n_kv_head d_qk], then values, of one rank; gathered: [n, d_qk + d_v] */
    float *own[2];           /* gathered: [rows, d_qk + d_v] of this rank */
    float *part;             /* ring: outputs over the keys of one block */
    float *bias;             /* ring: key biases of one block */
    ring_row *rows;          /* ring: [n_head, rows] */
    size_t here_room, next_room, own_room[2], part_room, bias_room, rows_room;
    int *count[SPLIT_MAX_PIECES], *at[SPLIT_MAX_PIECES]; /* [ranks] rows and positions of each piece */
    uint64_t bytes;
    double waited, busy;     /* seconds; of the processor */
};

/* Wait for what is coming into `next`, which then is `here`.  This and ranks_agree with their time counted. */
void ring_turn(attn_ring *r);
int ring_agree(attn_ring *r, int rc, err *e);

int attention_passed(attn_ring *r, attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e);
int attention_gathered(attn_ring *r, attn_scratch *s, const attn_args *a, const attn_tap *tap, err *e);

#endif
