/* order.c - which records make up which step, the same on every rank and after every restart.
 */
#include "train-step/order.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"

#include <stdlib.h>

void order_init(struct order *o, size_t n, size_t batch, bool shuffle, uint64_t seed)
{
    *o = (struct order){.n = n, .batch = batch, .shuffle = shuffle, .seed = seed, .drawn = -1};
    o->at = xmalloc_n(n, sizeof *o->at);
    for (size_t i = 0; i < n; i++)
        o->at[i] = (uint32_t)i;
}

void order_release(struct order *o)
{
    free(o->at);
    *o = (struct order){0};
}

int64_t order_epoch_steps(const struct order *o)
{
    return (int64_t)((o->n + o->batch - 1) / o->batch);
}

/* Every epoch has a draw of its own, keyed by its number, so that no state is carried over. */
static void draw(struct order *o, int64_t epoch)
{
    if (o->drawn == epoch || !o->shuffle)
        return;
    uint64_t state = hash_bytes(o->seed ^ HASH_SEED, &epoch, sizeof epoch);
    for (size_t i = 0; i < o->n; i++)
        o->at[i] = (uint32_t)i;
    for (size_t i = o->n; i > 1; i--) {
        size_t k = (size_t)random_below(&state, i);
        uint32_t swap = o->at[k];
        o->at[k] = o->at[i - 1];
        o->at[i - 1] = swap;
    }
    o->drawn = epoch;
}

size_t order_step(struct order *o, int64_t step, const uint32_t **records, uint64_t *place)
{
    int64_t per = order_epoch_steps(o), epoch = step / per;
    size_t first = (size_t)(step % per) * o->batch;
    draw(o, epoch);
    *records = o->at + first;
    *place = (uint64_t)epoch * o->n + first;
    return o->n - first < o->batch ? o->n - first : o->batch;
}

double order_epochs(const struct order *o, int64_t steps)
{
    int64_t per = order_epoch_steps(o);
    size_t in = (size_t)(steps % per) * o->batch;
    return (double)(steps / per) + (double)in / (double)o->n;
}
