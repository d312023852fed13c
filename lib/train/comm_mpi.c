/* comm_mpi.c - ranks over MPI: everything in host memory.
 *
 * The only file that knows MPI; a build without it makes one that says so.
 */
#include "train/comm.h"

#include "train/heartbeat.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_MPI
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

enum { CHUNK = 64 << 20 }; /* bytes of one call: MPI counts in int */

struct mpi {
    struct comm base;
    struct heartbeat *heart;
};

static int failed(struct err *e, const char *what, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    MPI_Error_string(code, text, &n);
    return err_set(e, EXIT_AGAIN,
                   "MPI: %s: %s; the same command goes on from the last "
                   "checkpoint",
                   what, text);
}

static int mpi_send(struct comm *c, int to, const void *p, int64_t bytes, struct err *e)
{
    const char *q = p;
    (void)c;
    for (int64_t i = 0; i < bytes; i += CHUNK) {
        int n = (int)(bytes - i < CHUNK ? bytes - i : CHUNK);
        int rc = MPI_Send(q + i, n, MPI_BYTE, to, 0, MPI_COMM_WORLD);
        if (rc)
            return failed(e, "send", rc);
    }
    return 0;
}

static int mpi_recv(struct comm *c, int from, void *p, int64_t bytes, struct err *e)
{
    char *q = p;
    (void)c;
    for (int64_t i = 0; i < bytes; i += CHUNK) {
        int n = (int)(bytes - i < CHUNK ? bytes - i : CHUNK);
        int rc = MPI_Recv(q + i, n, MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (rc)
            return failed(e, "receive", rc);
    }
    return 0;
}

static int mpi_bcast(struct comm *c, int root, void *p, int64_t bytes, struct err *e)
{
    char *q = p;
    (void)c;
    for (int64_t i = 0; i < bytes; i += CHUNK) {
        int n = (int)(bytes - i < CHUNK ? bytes - i : CHUNK);
        int rc = MPI_Bcast(q + i, n, MPI_BYTE, root, MPI_COMM_WORLD);
        if (rc)
            return failed(e, "broadcast", rc);
    }
    return 0;
}

static int mpi_barrier(struct comm *c, struct err *e)
{
    (void)c;
    int rc = MPI_Barrier(MPI_COMM_WORLD);
    return rc ? failed(e, "barrier", rc) : 0;
}

static int mpi_exchange(struct comm *c, int with, const float *ours, int64_t n, float *theirs,
                        int64_t m, struct err *e)
{
    const int64_t most = CHUNK / (int)sizeof(float), all = n > m ? n : m;
    (void)c;
    for (int64_t i = 0; i < all; i += most) {
        int64_t out = n - i < 0 ? 0 : n - i < most ? n - i : most;
        int64_t in = m - i < 0 ? 0 : m - i < most ? m - i : most;
        int rc = MPI_Sendrecv(ours + (out ? i : 0), (int)out, MPI_FLOAT, with, 1,
                              theirs + (in ? i : 0), (int)in, MPI_FLOAT, with, 1,
                              MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (rc)
            return failed(e, "exchange", rc);
    }
    return 0;
}

static void mpi_add(struct comm *c, float *to, const float *from, int64_t n)
{
    (void)c;
    for (int64_t i = 0; i < n; i++)
        to[i] += from[i];
}

static void mpi_copy(struct comm *c, float *to, const float *from, int64_t n)
{
    (void)c;
    memcpy(to, from, (size_t)n * sizeof *to);
}

static int mpi_sum(struct comm *c, float *p, int64_t n, struct err *e)
{
    const int64_t most = CHUNK / (int)sizeof(float);
    (void)c;
    for (int64_t i = 0; i < n; i += most) {
        int k = (int)(n - i < most ? n - i : most);
        int rc = MPI_Allreduce(MPI_IN_PLACE, p + i, k, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        if (rc)
            return failed(e, "sum", rc);
    }
    return 0;
}

static int mpi_wait(struct comm *c, struct err *e)
{
    (void)c, (void)e;
    return 0;
}

/* The last barrier is passed by all, so nobody is missed afterwards; what hangs then is ended
 * by the heartbeat's own limit. */
static void mpi_close(struct comm *c)
{
    struct mpi *m = (struct mpi *)c;
    MPI_Barrier(MPI_COMM_WORLD);
    heartbeat_leave(m->heart);
    MPI_Finalize();
    heartbeat_stop(m->heart);
    free(m);
}

static void find_local(struct comm *c)
{
    MPI_Comm here;
    if (MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here))
        return;
    MPI_Comm_rank(here, &c->local_rank);
    MPI_Comm_size(here, &c->local_size);
    MPI_Comm_free(&here);
}

/* Over hosts the heartbeat goes by UDP, to addresses that MPI carries. */
static int reach_hosts(struct mpi *m, struct err *e)
{
    struct heartbeat_address mine, *all;
    if (heartbeat_open_network(m->heart, &mine, e) < 0)
        return -1;
    all = xcalloc((size_t)m->base.size, sizeof *all);
    int rc = MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE,
                           MPI_COMM_WORLD);
    if (!rc)
        heartbeat_use_network(m->heart, all);
    free(all);
    return rc ? failed(e, "gather", rc) : 0;
}

static const struct comm_ops ops = {
    .name = "mpi",
    .send = mpi_send,
    .recv = mpi_recv,
    .bcast = mpi_bcast,
    .barrier = mpi_barrier,
    .exchange = mpi_exchange,
    .add = mpi_add,
    .copy = mpi_copy,
    .sum = mpi_sum,
    .wait = mpi_wait,
    .close = mpi_close,
};

bool comm_has_mpi(void)
{
    return true;
}

struct comm *comm_mpi(struct err *e)
{
    struct mpi *m = xcalloc(1, sizeof *m);
    int level;
    m->base = (struct comm){.ops = &ops, .size = 1, .local_size = 1};
    if (!(m->heart = heartbeat_start(e))) {
        free(m);
        return NULL;
    }
    int rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    if (rc || level < MPI_THREAD_SERIALIZED) {
        err_set(e, EXIT_OS, "MPI: it does not start, or knows no threads");
        return NULL;
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &m->base.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &m->base.size);
    find_local(&m->base);
    if (m->base.local_size < m->base.size && reach_hosts(m, e) < 0)
        return NULL;
    if (mpi_barrier(&m->base, e) < 0)
        return NULL;
    heartbeat_started(m->heart);
    return &m->base;
}

#else

bool comm_has_mpi(void)
{
    return false;
}

struct comm *comm_mpi(struct err *e)
{
    err_set(e, EXIT_DEVICE,
            "a launcher started several ranks, and this build has no MPI; install "
            "libopenmpi-dev and build again, or start one process");
    return NULL;
}

#endif
