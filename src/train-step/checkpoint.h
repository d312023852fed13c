/* checkpoint.h - what a training needs to go on as if it had never stopped.
 *
 * Beside the result OUT stands the folder OUT.ckpt:
 *
 *     key.json              what the training depends on
 *     metrics.jsonl         one record a step, without times
 *     step-00000120/        weights.safetensors, moments.safetensors, state.json
 *     best-00000080/        the weights of the best evaluation so far
 *
 * A folder of a step appears whole or not at all.  Order, learning rate and dropout are
 * functions of the step, so its number is their state.
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "base/buf.h"
#include "train/comm.h"
#include "train/trainer.h"

/* Beside the flat buffers. */
struct course {
    int64_t step;          /* done */
    int64_t metrics_bytes; /* of metrics.jsonl */
    double best_loss;      /* of the best evaluation; -1: none yet */
    double best_accuracy;  /* of the same; -1: none */
    int64_t best_step;
    int64_t worse; /* evaluations since */
    bool stopped;  /* early */
};

struct checkpoints {
    char *dir; /* OUT.ckpt */
    int lock;
    int metrics; /* metrics.jsonl, for appending */
    int64_t keep;
};

/* All of it on rank 0.  Makes the folder, locks it, compares keys.  EXIT_AGAIN: another process
 * trains there; EXIT_USAGE: another training does. */
int checkpoints_open(struct checkpoints *c, const char *out, const char *key, int64_t keep,
                     struct err *e) MUST_CHECK;
void checkpoints_close(struct checkpoints *c);
/* OUT.ckpt/NAME, to be freed. */
char *checkpoints_path(const char *out, const char *name);

/* Appends a line to metrics.jsonl. */
int checkpoints_metrics(struct checkpoints *c, struct course *at, struct str line,
                        struct err *e) MUST_CHECK;
int checkpoints_save(struct checkpoints *c, struct trainer *t, const struct course *at,
                     struct err *e) MUST_CHECK;
/* The weights alone, as the best ones. */
int checkpoints_save_best(struct checkpoints *c, struct trainer *t, const struct course *at,
                          struct err *e) MUST_CHECK;

/* The result is written: what --keep 0 does not want goes. */
void checkpoints_finish(struct checkpoints *c);

/* ---- together ------------------------------------------------------------------ */

/* On all ranks, rank 0 reading: the last checkpoint, 1; or none, 0.  metrics.jsonl loses what
 * came after it. */
int checkpoints_load(struct checkpoints *c, struct comm *comm, struct trainer *t,
                     struct course *at, struct err *e) MUST_CHECK;
int checkpoints_load_best(struct checkpoints *c, struct comm *comm, struct trainer *t,
                          const struct course *at, struct err *e) MUST_CHECK;

#endif
