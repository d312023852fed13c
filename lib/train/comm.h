/* comm.h - the ranks of one training: who they are, and what they tell each other.
 *
 * A rank is a process.  All of them make the same calls in the same order, from one thread at a
 * time.  Gradients are where the device has them, everything else is host memory.  A rank that
 * dies or hangs ends all of them with EXIT_AGAIN, whatever they wait for: train/heartbeat.h.
 */
#ifndef COMM_H
#define COMM_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct comm;

struct comm_ops {
    const char *name; /* "self", "mpi", "nccl" */
    /* Host memory. */
    int (*send)(struct comm *c, int to, const void *p, int64_t bytes, struct err *e);
    int (*recv)(struct comm *c, int from, void *p, int64_t bytes, struct err *e);
    int (*bcast)(struct comm *c, int root, void *p, int64_t bytes, struct err *e);
    int (*barrier)(struct comm *c, struct err *e);
    /* The device's. */
    int (*exchange)(struct comm *c, int with, const float *ours, int64_t n, float *theirs,
                    int64_t m, struct err *e);
    void (*add)(struct comm *c, float *to, const float *from, int64_t n);
    void (*copy)(struct comm *c, float *to, const float *from, int64_t n);
    int (*sum)(struct comm *c, float *p, int64_t n, struct err *e);
    int (*wait)(struct comm *c, struct err *e); /* until all of that is done */
    void (*close)(struct comm *c);
};

struct comm {
    const struct comm_ops *ops;
    int rank, size;
    int local_rank, local_size; /* among those of this host */
};

/* One process, that is all of them. */
struct comm *comm_self(void);
/* The ranks that a launcher (mpirun, srun --mpi=pmix) started, a heartbeat among them.  NULL:
 * EXIT_DEVICE where this build has no MPI, EXIT_OS. */
struct comm *comm_mpi(struct err *e);
bool comm_has_mpi(void); /* in this build */
/* Whichever of them the environment asks for.  NULL: also EXIT_USAGE, where several processes
 * were started in a way that does not let them find each other. */
struct comm *comm_open(struct err *e);
void comm_close(struct comm *c); /* together */

/* ---- what all ranks call together --------------------------------------------- */

int comm_bcast(struct comm *c, int root, void *p, int64_t bytes, struct err *e) MUST_CHECK;
int comm_barrier(struct comm *c, struct err *e) MUST_CHECK;
/* The largest of their numbers, for all. */
int comm_max(struct comm *c, int64_t *v, struct err *e) MUST_CHECK;
/* All of them get the first failure, its status and text, and -1; e is what rc < 0 told. */
int comm_agree(struct comm *c, int rc, struct err *e) MUST_CHECK;
/* Item i of n is rank i % size's, `bytes` bytes long: afterwards all have all of them. */
int comm_collect(struct comm *c, void *items, int64_t n, int64_t bytes,
                 struct err *e) MUST_CHECK;

/* The sum over the ranks of n floats on the device, for all of them, along the tree of
 * train/trainer.h, which gives the same bits at any number of ranks: the number of ranks is a
 * power of two.  Rank r's floats count where r < units.  scratch: comm_scratch(n) floats on the
 * device. */
int comm_sum_tree(struct comm *c, float *p, int64_t n, int64_t units, float *scratch,
                  struct err *e) MUST_CHECK;
int64_t comm_scratch(int64_t n);
/* In whatever order is fast, at any number of ranks. */
int comm_sum_fast(struct comm *c, float *p, int64_t n, struct err *e) MUST_CHECK;

#endif
