#include "base/ranks.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef WITH_MPI
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

/* MPI counts in int: longer messages go in pieces. */
#define PIECE ((size_t)1 << 30)
enum { MAX_REQUESTS = 256, TAG_BYTES = 1, TAG_SIZED = 2, TAG_EXCHANGE = 3 };

struct ranks_transfer {
    int n;
    MPI_Request request[MAX_REQUESTS];
};

static int rank, size = 1, here = 1;
static bool begun;

int ranks_begin(err *e)
{
    int given;
    /* MPI_Init takes a good part of a second, which nobody should pay who works alone. */
    if (!getenv("OMPI_COMM_WORLD_SIZE") && !getenv("PMIX_RANK"))
        return 0;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS || given < MPI_THREAD_FUNNELED)
        return err_set(e, ERR_FAILED, "MPI does not start, or not for a program with threads");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm machine;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine);
    MPI_Comm_size(machine, &here);
    MPI_Comm_free(&machine);
    begun = true;
    return 0;
}

void ranks_end(void)
{
    if (begun)
        MPI_Finalize();
    begun = false;
}

int ranks_agree(int rc, err *e)
{
    int mine = rc ? rank : size, first;
    if (size == 1)
        return rc;
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (first == size)
        return 0;
    struct { int code; err e; } told = {rc, e ? *e : (err){0}};
    MPI_Bcast(&told, (int)sizeof told, MPI_BYTE, first, MPI_COMM_WORLD);
    if (e && first != rank)
        *e = told.e;
    if (e && first != 0 && e->msg[0])
        err_prefix(e, "rank %d", first);
    return told.code;
}

void ranks_broadcast(void *bytes, size_t n, int from)
{
    for (size_t at = 0; at < n && size > 1; at += PIECE)
        MPI_Bcast((char *)bytes + at, (int)(n - at < PIECE ? n - at : PIECE), MPI_BYTE, from, MPI_COMM_WORLD);
}

void ranks_send(const void *bytes, size_t n, int to)
{
    for (size_t at = 0; at < n; at += PIECE)
        MPI_Send((const char *)bytes + at, (int)(n - at < PIECE ? n - at : PIECE), MPI_BYTE, to, TAG_BYTES, MPI_COMM_WORLD);
}

void ranks_receive(void *bytes, size_t n, int from)
{
    for (size_t at = 0; at < n; at += PIECE)
        MPI_Recv((char *)bytes + at, (int)(n - at < PIECE ? n - at : PIECE), MPI_BYTE, from, TAG_BYTES, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
}

void ranks_send_sized(const void *bytes, size_t n, int to)
{
    uint64_t length = n;
    MPI_Send(&length, (int)sizeof length, MPI_BYTE, to, TAG_SIZED, MPI_COMM_WORLD);
    ranks_send(bytes, n, to);
}

/* Bytes that there is no room for: taken off the line, so that what follows arrives in its place. */
static void discard(size_t n, int from)
{
    char piece[4096];
    for (size_t at = 0; at < n; at += PIECE) {
        size_t more = n - at < PIECE ? n - at : PIECE;
        /* A receive shorter than its message would be an error of MPI: matched by its length first. */
        MPI_Message message;
        MPI_Mprobe(from, TAG_BYTES, MPI_COMM_WORLD, &message, MPI_STATUS_IGNORE);
        char *room = more > sizeof piece ? malloc(more) : piece;
        if (!room)
            MPI_Abort(MPI_COMM_WORLD, ERR_RESOURCE);
        MPI_Mrecv(room, (int)more, MPI_BYTE, &message, MPI_STATUS_IGNORE);
        if (room != piece)
            free(room);
    }
}

int ranks_receive_sized(void **bytes, size_t *n, int from, int *sender, err *e)
{
    uint64_t length;
    MPI_Status status;
    MPI_Recv(&length, (int)sizeof length, MPI_BYTE, from < 0 ? MPI_ANY_SOURCE : from, TAG_SIZED, MPI_COMM_WORLD, &status);
    if (sender)
        *sender = status.MPI_SOURCE;
    *n = (size_t)length;
    *bytes = mem_array(*n + 1, 1, e);
    if (!*bytes) {
        discard(*n, status.MPI_SOURCE);
        return ERR_RESOURCE;
    }
    ranks_receive(*bytes, *n, status.MPI_SOURCE);
    return 0;
}

bool ranks_asked(void)
{
    int yes;
    MPI_Iprobe(MPI_ANY_SOURCE, TAG_SIZED, MPI_COMM_WORLD, &yes, MPI_STATUS_IGNORE);
    return yes;
}

int ranks_transfer_new(ranks_transfer **out, err *e)
{
    *out = mem_array(1, sizeof **out, e);
    return *out ? 0 : ERR_RESOURCE;
}

void ranks_transfer_free(ranks_transfer *t)
{
    free(t);
}

void ranks_exchange(ranks_transfer *t, const void *send, size_t n_send, int to, void *receive, size_t n_receive, int from)
{
    for (size_t at = 0; at < n_receive && t->n < MAX_REQUESTS; at += PIECE)
        MPI_Irecv((char *)receive + at, (int)(n_receive - at < PIECE ? n_receive - at : PIECE), MPI_BYTE, from, TAG_EXCHANGE,
                  MPI_COMM_WORLD, &t->request[t->n++]);
    for (size_t at = 0; at < n_send && t->n < MAX_REQUESTS; at += PIECE)
        MPI_Isend((const char *)send + at, (int)(n_send - at < PIECE ? n_send - at : PIECE), MPI_BYTE, to, TAG_EXCHANGE,
                  MPI_COMM_WORLD, &t->request[t->n++]);
}

void ranks_gather_rows(ranks_transfer *t, const float *send, float *to, int64_t width, const int *rows, const int *at)
{
    MPI_Datatype row;
    MPI_Type_contiguous((int)width, MPI_FLOAT, &row);
    MPI_Type_commit(&row);
    MPI_Iallgatherv(send, rows[rank], row, to, rows, at, row, MPI_COMM_WORLD, &t->request[t->n++]);
    MPI_Type_free(&row); /* lives until the transfer is done */
}

void ranks_poll(ranks_transfer *t)
{
    int done;
    if (t->n)
        MPI_Testall(t->n, t->request, &done, MPI_STATUSES_IGNORE);
}

void ranks_wait(ranks_transfer *t)
{
    MPI_Waitall(t->n, t->request, MPI_STATUSES_IGNORE);
    t->n = 0;
}

int ranks_rank(void)
{
    return rank;
}

int ranks_size(void)
{
    return size;
}

int ranks_here(void)
{
    return here;
}

#else /* alone */

int ranks_begin(err *e)
{
    const char *n = getenv("OMPI_COMM_WORLD_SIZE");
    if (!n || strtol(n, NULL, 10) <= 1)
        return 0;
    err_set(e, ERR_USAGE, "mpirun started %s processes of a program that was built without MPI", n);
    return err_hint(e, "build it with ./configure --with-mpi (Debian package libopenmpi-dev), or start one process");
}

void ranks_end(void)
{
}

int ranks_rank(void)
{
    return 0;
}

int ranks_size(void)
{
    return 1;
}

int ranks_here(void)
{
    return 1;
}

int ranks_agree(int rc, err *e)
{
    (void)e;
    return rc;
}

/* What follows has nobody to talk to: callers ask ranks_size first. */
void ranks_broadcast(void *bytes, size_t n, int from)
{
    (void)bytes, (void)n, (void)from;
}

void ranks_send(const void *bytes, size_t n, int to)
{
    (void)bytes, (void)n, (void)to;
}

void ranks_receive(void *bytes, size_t n, int from)
{
    (void)bytes, (void)n, (void)from;
}

void ranks_send_sized(const void *bytes, size_t n, int to)
{
    (void)bytes, (void)n, (void)to;
}

int ranks_receive_sized(void **bytes, size_t *n, int from, int *sender, err *e)
{
    (void)bytes, (void)n, (void)from, (void)sender;
    return err_set(e, ERR_FAILED, "there is no other rank");
}

bool ranks_asked(void)
{
    return false;
}

int ranks_transfer_new(ranks_transfer **out, err *e)
{
    *out = mem_array(1, 1, e);
    return *out ? 0 : ERR_RESOURCE;
}

void ranks_transfer_free(ranks_transfer *t)
{
    free(t);
}

void ranks_exchange(ranks_transfer *t, const void *send, size_t n_send, int to, void *receive, size_t n_receive, int from)
{
    (void)t, (void)send, (void)n_send, (void)to, (void)receive, (void)n_receive, (void)from;
}

/* One rank has all rows already. */
void ranks_gather_rows(ranks_transfer *t, const float *send, float *to, int64_t width, const int *rows, const int *at)
{
    (void)t;
    memcpy(to + at[0] * width, send, (size_t)rows[0] * (size_t)width * sizeof *to);
}

void ranks_poll(ranks_transfer *t)
{
    (void)t;
}

void ranks_wait(ranks_transfer *t)
{
    (void)t;
}
#endif
