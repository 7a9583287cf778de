/* Ranks: processes that mpirun started to work on one command together, on one machine or several.  The only place that
 * knows MPI; in a program built without it, or started by itself, there is rank 0 of 1 and nothing here does anything.
 *
 * Whatever is marked "all" is called by all ranks, in the same order, on the thread that called ranks_begin.  A rank that
 * fails does not leave: it goes on taking part until the next ranks_agree, where all learn of it and stop together. */
#ifndef ATTNSCOPE_BASE_RANKS_H
#define ATTNSCOPE_BASE_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* Join the others, where mpirun (or srun with PMIx) started this process.  ERR_USAGE: mpirun started several processes of
 * a program that was built without MPI.  ERR_FAILED: MPI does not work here. */
int ranks_begin(err *e);
/* Leave together; all. */
void ranks_end(void);
int ranks_rank(void);
int ranks_size(void);
int ranks_here(void); /* of them on this machine */

/* All: 0 when every rank brings rc 0.  Else the code of the first rank that failed, with its error in every e, prefixed
 * "rank N: " unless it is rank 0. */
int ranks_agree(int rc, err *e);
/* All: n bytes of rank `from` to everyone. */
void ranks_broadcast(void *bytes, size_t n, int from);

/* From one rank to another; both return when the bytes may be used again.  Messages of a pair arrive in order. */
void ranks_send(const void *bytes, size_t n, int to);
void ranks_receive(void *bytes, size_t n, int from);
/* Of bytes whose number the receiver does not know: *bytes is allocated (free()); ERR_RESOURCE takes them off all the
 * same.  from -1: of whoever comes first, *sender says who (may be NULL). */
void ranks_send_sized(const void *bytes, size_t n, int to);
int ranks_receive_sized(void **bytes, size_t *n, int from, int *sender, err *e);

/* Is a message of ranks_send_sized here? */
bool ranks_asked(void);

/* Transfers that go on while the caller computes.  Buffers stay untouched until ranks_wait; ranks_poll now and then
 * helps them along. */
typedef struct ranks_transfer ranks_transfer;
int ranks_transfer_new(ranks_transfer **out, err *e);
void ranks_transfer_free(ranks_transfer *t); /* t may be NULL; nothing may be under way */
/* Send n_send bytes to a rank and receive n_receive from another. */
void ranks_exchange(ranks_transfer *t, const void *send, size_t n_send, int to, void *receive, size_t n_receive, int from);
/* All: rows of `width` floats of every rank to every rank: those of rank r, rows[r] of them, become rows at[r] ... of
 * `to`.  rows and at stay untouched until ranks_wait too. */
void ranks_gather_rows(ranks_transfer *t, const float *send, float *to, int64_t width, const int *rows, const int *at);
void ranks_poll(ranks_transfer *t);
void ranks_wait(ranks_transfer *t);

#endif
