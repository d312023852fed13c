/* step.h - one optimizer step over all ranks: units, gradient, its sum, the update. */
#ifndef STEP_H
#define STEP_H

#include "train-step/data.h"
#include "train/comm.h"
#include "train/trainer.h"

struct step_options {
    int64_t pack; /* tokens of a row that several records share; 0: each is a row */
    bool fast_reduce;
};

struct step_result {
    double loss; /* mean over the targets */
    double norm; /* the gradient's, before clipping */
    int64_t tokens;
};

struct stepper;

struct stepper *stepper_new(struct trainer *t, struct comm *c, const struct data *d,
                            const struct step_options *o, struct err *e);
void stepper_free(struct stepper *s);

/* On records[0 .. n-1] of the data; place: of the first one in the run, which keys dropout.
 * EXIT_DATA names the lines of the records where loss or gradient is not finite; nothing has
 * changed then. */
int stepper_run(struct stepper *s, const uint32_t *records, size_t n, uint64_t place,
                const struct train_update *u, struct step_result *out,
                struct err *e) MUST_CHECK;

/* -log p of the targets of every example of a set, summed by example, on all ranks. */
int stepper_evaluate(struct stepper *s, const struct data *d, double *nll,
                     struct err *e) MUST_CHECK;

#endif
