/* pages.h - who holds which page of the key-value memory.
 *
 * A page is held by one or more sequences (reference counts) or stands on the free list.  Pages
 * may also be promised: kept free for a request that will need them later, so that it can
 * always finish what it began.
 */
#ifndef PAGES_H
#define PAGES_H

#include <stdint.h>

struct pages {
    int32_t *refs; /* [n] */
    int32_t
        *list; /* [n]; the first n_free are free, last in first out: few pages are touched */
    int32_t n, n_free;
    int32_t promised;
};

void pages_init(struct pages *p, int32_t n);
void pages_release(struct pages *p);

/* Free pages that nobody was promised. */
static inline int32_t pages_available(const struct pages *p)
{
    return p->n_free - p->promised;
}

int32_t pages_take(struct pages *p); /* held once; there must be a free one */
void pages_share(struct pages *p, int32_t page);
void pages_drop(struct pages *p, int32_t page); /* free again with the last holder */

#endif
