/* prefix.h - the tree of prefixes: pages by the tokens that are in them and before them.
 *
 * Who holds a page of the tree holds those above it, and lets go of them after it.  So the page
 * that has been idle for longest has nothing below it and can be taken out.
 */
#ifndef PREFIX_H
#define PREFIX_H

#include "infer/pages.h"

/* Stands for the page before the first.  The same ids have other keys and values in another
 * variant: with another adapter, or other rotary positions. */
static inline int32_t prefix_root(int32_t variant)
{
    return -2 - variant;
}

/* The page that holds these KV_PAGE ids behind the parent, or -1; ids are compared. */
int32_t prefix_find(const struct pages *p, int32_t parent, const int32_t *ids);
/* Puts a private page there as PAGE_COMING, where none may be yet. */
void prefix_put(struct pages *p, int32_t page, int32_t parent, const int32_t *ids);
void prefix_filled(struct pages *p, int32_t page);

static inline enum page_state prefix_state(const struct pages *p, int32_t page)
{
    return p->pages[page].state;
}

/* For pages.c. */
void prefix_init(struct pages *p);
void prefix_remove(struct pages *p, int32_t page);

#endif
