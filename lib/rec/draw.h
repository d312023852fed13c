/* draw.h - a seeded draw of n records, in proportion to the strata that they belong to.
 *
 *     for each record:  draw_add(&d, key);        first pass
 *     draw_plan(&d, n, seed, &e);
 *     for each record:  if (draw_take(&d)) ...    second pass, in the same order
 *
 * Memory: 4 bytes a record, and the strata.
 */
#ifndef DRAW_H
#define DRAW_H

#include "base/buf.h"

struct stratum {
    struct str key;
    uint64_t size, share; /* records it has; records drawn from it */
    uint64_t left, need;  /* second pass: records not seen yet, not drawn yet */
};

struct draw {
    struct stratum *strata; /* in the order of their first record */
    size_t n_strata, cap_strata;
    uint32_t *slots; /* hash table: index into strata + 1, or 0 */
    size_t n_slots;
    uint32_t *of; /* the stratum of each record */
    size_t n, cap;
    uint64_t random;
    size_t seen; /* second pass: records so far */
};

void draw_add(struct draw *d, struct str key);
/* A stratum's share is n in proportion to its size, rounded, and at least 1; what rounding
 * leaves over, or took too much, goes to the largest stratum (then to the next one, where that
 * has no more to give or take).  EXIT_USAGE where there are more strata than n. */
int draw_plan(struct draw *d, uint64_t n, uint64_t seed, struct err *e) MUST_CHECK;
/* Whether the next record is drawn; false behind the last one. */
bool draw_take(struct draw *d);
void draw_release(struct draw *d);

#endif
