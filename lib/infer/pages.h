/* pages.h - who holds which page of the key-value memory.
 *
 * A page is held by one or more sequences (reference counts), or free, or idle: nobody holds
 * it, but the tree of prefixes (prefix.h) knows what is in it.  Pages may also be promised:
 * kept for a request that will need them later, so that it can always finish what it began.
 */
#ifndef PAGES_H
#define PAGES_H

#include "dev/dev.h"

#include <stddef.h>
#include <stdint.h>

enum page_state {
    PAGE_PRIVATE, /* not in the tree */
    PAGE_COMING,  /* in the tree; a holder is about to compute it */
    PAGE_FILLED,  /* in the tree with its contents */
};

struct page {
    int32_t refs;
    enum page_state state;
    int32_t older, newer; /* among the idle ones, or -1 */
    /* in the tree */
    int32_t parent, next; /* next in the bucket, or -1 */
    int32_t count;        /* of ids; a page with fewer than KV_PAGE is only a stem */
    int32_t ids[KV_PAGE];
};

struct pages {
    struct page *pages; /* [n] */
    int32_t
        *list; /* [n]; the first n_free are free, last in first out: few pages are touched */
    int32_t n, n_free;
    int32_t promised;
    int32_t n_idle, oldest, newest; /* least recently used first; -1: none */
    int32_t *buckets;               /* the tree's pages by hash */
    size_t n_buckets;
    int32_t *stems; /* [n_stems] pages by how they begin, or -1; see prefix_stem() */
    size_t n_stems;
};

void pages_init(struct pages *p, int32_t n);
void pages_release(struct pages *p);

/* Pages to be had that nobody was promised. */
static inline int32_t pages_available(const struct pages *p)
{
    return p->n_free + p->n_idle - p->promised;
}

/* Held once; there must be a free page or an idle one, which then leaves the tree. */
int32_t pages_take(struct pages *p);
void pages_share(struct pages *p, int32_t page); /* held, or idle */
void pages_drop(struct pages *p, int32_t page);  /* free or idle with the last holder */

#endif
