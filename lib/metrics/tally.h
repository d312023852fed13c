/* tally.h - the counts, for the files of this folder. */
#ifndef TALLY_H
#define TALLY_H

#include "metrics/metrics.h"

enum { TALLY_NONE = UINT32_MAX }; /* unparsed, or no group */

struct cell {
    uint32_t gold, predicted; /* ids of classes */
    uint32_t group;           /* id of groups */
    uint64_t count;           /* 0: a free slot */
};

struct tally {
    struct names *classes; /* labels, and predictions that may turn out to be labels */
    struct names *groups;
    bool *is_label; /* by class id */
    size_t is_label_cap, n_labels;
    bool closed;
    struct cell *cell; /* a hash table; `cells` is a power of two */
    size_t cells, cells_used;
    uint64_t lost;
    uint32_t *order; /* class ids in the order of the figures */
    int64_t *rank;   /* by class id: place in `order`, -1: no label */
    size_t n_order;
};

/* Bytewise, as memcmp. */
static inline int str_order(struct str a, struct str b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Makes order and rank fit the labels. */
void tally_sort(struct tally *t);

#endif
