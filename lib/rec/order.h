/* order.h - record numbers as they come by, and what is wrong with them. */
#ifndef ORDER_H
#define ORDER_H

#include "base/buf.h"

/* Numbers that are wrong in one way: how many, and the first few ranges of them. */
struct order_wrong {
    uint64_t count;
    int ranges;
    struct {
        uint64_t from, to;
    } range[8];
};

struct order {
    uint64_t next; /* the number due */
    bool has_last;
    uint64_t last; /* the record that said _last */
    struct order_wrong missing, twice, behind;
};

/* Numbers come ascending, but for doubles.  False for one that was seen before. */
bool order_see(struct order *o, uint64_t seq, bool says_last);
/* All numbers below n must have come. */
void order_expect(struct order *o, uint64_t n);

/* Appends "4, 7-9, 12, ...". */
void order_put(struct buf *out, const struct order_wrong *w);

#endif
