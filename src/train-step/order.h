/* order.h - which records make up which step, the same on every rank and after every restart.
 */
#ifndef ORDER_H
#define ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order {
    size_t n;     /* records */
    size_t batch; /* of a step; an epoch's last step has what is left */
    bool shuffle;
    uint64_t seed;
    uint32_t *at;  /* records in the order of the epoch drawn last */
    int64_t drawn; /* that epoch, -1: none */
};

void order_init(struct order *o, size_t n, size_t batch, bool shuffle, uint64_t seed);
void order_release(struct order *o);

int64_t order_epoch_steps(const struct order *o);
/* The records of a step (from 0); returns how many.  *place: of the first one among all that
 * were seen before, repetitions counted. */
size_t order_step(struct order *o, int64_t step, const uint32_t **records, uint64_t *place);
/* Epochs done after so many steps. */
double order_epochs(const struct order *o, int64_t steps);

#endif
