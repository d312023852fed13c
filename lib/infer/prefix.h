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
/* A page behind the parent whose ids begin like these n < KV_PAGE, as far as `*same` says; -1:
 * none is known that has STEM_STEP of them.  Not always the one with the most. */
enum { STEM_STEP = 4 };
int32_t prefix_stem(const struct pages *p, int32_t parent, const int32_t *ids, int32_t n,
                    int32_t *same);
/* Puts a private page there as PAGE_COMING, where none may be yet, with its first n ids; with
 * fewer than KV_PAGE it is found as a stem alone. */
void prefix_put(struct pages *p, int32_t page, int32_t parent, const int32_t *ids, int32_t n);
void prefix_filled(struct pages *p, int32_t page);

static inline enum page_state prefix_state(const struct pages *p, int32_t page)
{
    return p->pages[page].state;
}

/* For pages.c. */
void prefix_init(struct pages *p);
void prefix_remove(struct pages *p, int32_t page);

#endif
