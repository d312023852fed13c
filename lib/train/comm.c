/* comm.c - one process as its own ranks, and what all kinds of ranks share. */
#include "train/comm.h"

#include <stdlib.h>
#include <string.h>

/* ---- one process ---------------------------------------------------------------- */

static int self_send(struct comm *c, int to, const void *p, int64_t bytes, struct err *e)
{
    (void)c, (void)to, (void)p, (void)bytes, (void)e;
    BUG("a single rank sends");
}

static int self_recv(struct comm *c, int from, void *p, int64_t bytes, struct err *e)
{
    (void)c, (void)from, (void)p, (void)bytes, (void)e;
    BUG("a single rank receives");
}

static int self_bcast(struct comm *c, int root, void *p, int64_t bytes, struct err *e)
{
    (void)c, (void)root, (void)p, (void)bytes, (void)e;
    return 0;
}

static int self_exchange(struct comm *c, int with, const float *ours, int64_t n, float *theirs,
                         int64_t m, struct err *e)
{
    (void)c, (void)with, (void)ours, (void)n, (void)theirs, (void)m, (void)e;
    BUG("a single rank exchanges");
}

static void self_move(struct comm *c, float *to, const float *from, int64_t n)
{
    (void)c, (void)to, (void)from, (void)n;
    BUG("a single rank sums");
}

static int self_sum(struct comm *c, float *p, int64_t n, struct err *e)
{
    (void)c, (void)p, (void)n, (void)e;
    return 0;
}

static int self_nothing(struct comm *c, struct err *e)
{
    (void)c, (void)e;
    return 0;
}

static void self_close(struct comm *c)
{
    free(c);
}

struct comm *comm_self(void)
{
    static const struct comm_ops ops = {
        .name = "self",
        .send = self_send,
        .recv = self_recv,
        .bcast = self_bcast,
        .barrier = self_nothing,
        .exchange = self_exchange,
        .add = self_move,
        .copy = self_move,
        .sum = self_sum,
        .wait = self_nothing,
        .close = self_close,
    };
    struct comm *c = xcalloc(1, sizeof *c);
    *c = (struct comm){.ops = &ops, .size = 1, .local_size = 1};
    return c;
}

/* ---- which kind ------------------------------------------------------------------- */

static long env_number(const char *name)
{
    const char *s = getenv(name);
    return s && *s ? strtol(s, NULL, 10) : -1;
}

struct comm *comm_open(struct err *e)
{
    long size = env_number("OMPI_COMM_WORLD_SIZE"), tasks = env_number("SLURM_STEP_NUM_TASKS");
    bool pmix = getenv("PMIX_RANK") != NULL;
    if (size > 1 || (size < 0 && pmix && tasks != 1))
        return comm_mpi(e);
    if (size < 0 && !pmix && tasks > 1 && getenv("SLURM_PROCID")) {
        err_set(e, EXIT_USAGE,
                "srun started %ld processes that cannot find each other; start them with srun "
                "--mpi=pmix",
                tasks);
        return NULL;
    }
    return comm_self();
}

void comm_close(struct comm *c)
{
    if (c)
        c->ops->close(c);
}

/* ---- small things, by way of rank 0 -------------------------------------------------- */

int comm_bcast(struct comm *c, int root, void *p, int64_t bytes, struct err *e)
{
    return c->ops->bcast(c, root, p, bytes, e);
}

int comm_barrier(struct comm *c, struct err *e)
{
    return c->ops->barrier(c, e);
}

static int to_root(struct comm *c, void *mine, int64_t bytes, void *got,
                   void (*take)(void *mine, const void *got), struct err *e)
{
    if (c->rank)
        return c->ops->send(c, 0, mine, bytes, e);
    for (int r = 1; r < c->size; r++) {
        if (c->ops->recv(c, r, got, bytes, e) < 0)
            return -1;
        take(mine, got);
    }
    return 0;
}

static void take_max(void *mine, const void *got)
{
    int64_t *a = mine;
    const int64_t *b = got;
    if (*b > *a)
        *a = *b;
}

int comm_max(struct comm *c, int64_t *v, struct err *e)
{
    int64_t got;
    if (to_root(c, v, sizeof *v, &got, take_max, e) < 0)
        return -1;
    return comm_bcast(c, 0, v, sizeof *v, e);
}

static void take_failure(void *mine, const void *got)
{
    struct err *a = mine;
    const struct err *b = got;
    if (!a->status)
        *a = *b;
}

int comm_agree(struct comm *c, int rc, struct err *e)
{
    struct err mine = {0}, got;
    if (rc < 0)
        mine = *e;
    if (to_root(c, &mine, sizeof mine, &got, take_failure, e) < 0 ||
        comm_bcast(c, 0, &mine, sizeof mine, e) < 0)
        return -1;
    if (!mine.status)
        return 0;
    *e = mine;
    return -1;
}

/* A rank's items, out of all into one piece or back; returns how many. */
static int64_t pick(char *items, int64_t n, int64_t bytes, char *piece, int rank, int size,
                    bool back)
{
    int64_t k = 0;
    for (int64_t i = rank; i < n; i += size, k++)
        memcpy(back ? items + i * bytes : piece + k * bytes,
               back ? piece + k * bytes : items + i * bytes, (size_t)bytes);
    return k;
}

int comm_collect(struct comm *c, void *items, int64_t n, int64_t bytes, struct err *e)
{
    if (c->size == 1)
        return 0;
    char *piece = xmalloc_n((size_t)(n / c->size + 1), (size_t)bytes);
    int rc = 0;
    if (c->rank) {
        int64_t k = pick(items, n, bytes, piece, c->rank, c->size, false);
        rc = c->ops->send(c, 0, piece, k * bytes, e);
    }
    for (int r = 1; !c->rank && r < c->size && rc == 0; r++) {
        int64_t k = (n - r + c->size - 1) / c->size;
        rc = c->ops->recv(c, r, piece, k > 0 ? k * bytes : 0, e);
        if (rc == 0)
            pick(items, n, bytes, piece, r, c->size, true);
    }
    free(piece);
    return rc < 0 ? -1 : comm_bcast(c, 0, items, n * bytes, e);
}

/* ---- sums ------------------------------------------------------------------------------ */

int64_t comm_scratch(int64_t n)
{
    return (n + 1) / 2;
}

/* A range of the floats, halved on every level of the tree. */
struct part {
    int64_t at, n;
};

static struct part half(struct part p, bool upper)
{
    int64_t low = (p.n + 1) / 2;
    return upper ? (struct part){p.at + low, p.n - low} : (struct part){p.at, low};
}

/* On the way down a pair of ranks, s apart, holds the sums of two subtrees over the same part:
 * each gives away half of its own and adds up the other half.  a + b is b + a, so it does not
 * matter which of the two adds.  On the way up the halves are put together again. */
static int halve(struct comm *c, float *p, struct part part, int s, int64_t units,
                 float *scratch, struct err *e)
{
    if (s == 0)
        return 0;
    int o = c->rank % (2 * s), with = o < s ? c->rank + s : c->rank - s;
    int64_t ours = o, theirs = (o + s) % (2 * s); /* the subtrees' first units */
    struct part keep = half(part, o >= s), give = half(part, o < s);
    if (c->ops->exchange(c, with, p + give.at, give.n, scratch, keep.n, e) < 0)
        return -1;
    if (theirs < units && ours < units)
        c->ops->add(c, p + keep.at, scratch, keep.n);
    else if (theirs < units)
        c->ops->copy(c, p + keep.at, scratch, keep.n);
    if (halve(c, p, keep, s / 2, units, scratch, e) < 0)
        return -1;
    return c->ops->exchange(c, with, p + keep.at, keep.n, p + give.at, give.n, e);
}

int comm_sum_tree(struct comm *c, float *p, int64_t n, int64_t units, float *scratch,
                  struct err *e)
{
    if (c->size & (c->size - 1))
        BUG("%d ranks are no power of two", c->size);
    if (halve(c, p, (struct part){0, n}, c->size / 2, units, scratch, e) < 0)
        return -1;
    return c->ops->wait(c, e);
}

int comm_sum_fast(struct comm *c, float *p, int64_t n, struct err *e)
{
    if (c->ops->sum(c, p, n, e) < 0)
        return -1;
    return c->ops->wait(c, e);
}
