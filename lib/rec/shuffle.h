/* shuffle.h - texts written to a temporary file, and read back in a seeded order.
 *
 *     shuffle_open(&s, &e);
 *     for each text:  shuffle_add(&s, text, &e);
 *     shuffle_order(&s, seed, &e);
 *     for i below s.n:  shuffle_get(&s, i, &text, &position, &e);
 *
 * Memory: 8 bytes a text.
 */
#ifndef SHUFFLE_H
#define SHUFFLE_H

#include "base/file.h"

struct shuffle {
    struct out out;
    uint64_t *at; /* where in the file each text begins, in the order drawn */
    size_t n, cap;
    uint64_t end;
};

int shuffle_open(struct shuffle *s, struct err *e) MUST_CHECK;
int shuffle_add(struct shuffle *s, struct str text, struct err *e) MUST_CHECK;
/* Draws the order: each of them equally likely, the same for the same seed and number. */
int shuffle_order(struct shuffle *s, uint64_t seed, struct err *e) MUST_CHECK;
/* The i-th text of the order, and its position among those that were added.  text may be NULL
 * where only *size is asked for. */
int shuffle_get(const struct shuffle *s, size_t i, struct buf *text, uint64_t *position,
                uint64_t *size, struct err *e) MUST_CHECK;
void shuffle_release(struct shuffle *s);

#endif
