/* pages.c - reference counts, the free list and the idle pages, least recently used first. */
#include "infer/pages.h"

#include "base/error.h"
#include "infer/prefix.h"

#include <stdlib.h>

void pages_init(struct pages *p, int32_t n)
{
    *p = (struct pages){.n = n, .n_free = n, .oldest = -1, .newest = -1};
    p->pages = xcalloc((size_t)n, sizeof *p->pages);
    p->list = xcalloc((size_t)n, sizeof *p->list);
    for (int32_t i = 0; i < n; i++)
        p->list[i] = n - 1 - i;
    prefix_init(p);
}

void pages_release(struct pages *p)
{
    free(p->pages);
    free(p->list);
    free(p->buckets);
    free(p->stems);
    *p = (struct pages){0};
}

/* ---- idle pages ---- */

static void idle_add(struct pages *p, int32_t page)
{
    p->pages[page].older = p->newest;
    p->pages[page].newer = -1;
    if (p->newest >= 0)
        p->pages[p->newest].newer = page;
    else
        p->oldest = page;
    p->newest = page;
    p->n_idle++;
}

static void idle_remove(struct pages *p, int32_t page)
{
    const struct page *x = &p->pages[page];
    if (x->older >= 0)
        p->pages[x->older].newer = x->newer;
    else
        p->oldest = x->newer;
    if (x->newer >= 0)
        p->pages[x->newer].older = x->older;
    else
        p->newest = x->older;
    p->n_idle--;
}

/* ---- holders ---- */

int32_t pages_take(struct pages *p)
{
    if (p->n_free == 0 && p->n_idle > 0) {
        int32_t oldest = p->oldest;
        idle_remove(p, oldest);
        prefix_remove(p, oldest);
        p->list[p->n_free++] = oldest;
    }
    if (p->n_free < 1)
        BUG("no free page");
    int32_t page = p->list[--p->n_free];
    p->pages[page].refs = 1;
    return page;
}

void pages_share(struct pages *p, int32_t page)
{
    struct page *x = &p->pages[page];
    if (x->refs < 1) {
        if (x->state != PAGE_FILLED)
            BUG("page %d is shared but nobody holds it", (int)page);
        idle_remove(p, page);
    }
    x->refs++;
}

void pages_drop(struct pages *p, int32_t page)
{
    struct page *x = &p->pages[page];
    if (x->refs < 1)
        BUG("page %d is dropped but nobody holds it", (int)page);
    if (--x->refs)
        return;
    if (x->state == PAGE_FILLED) {
        idle_add(p, page);
        return;
    }
    if (x->state == PAGE_COMING) /* nobody is left to compute it */
        prefix_remove(p, page);
    p->list[p->n_free++] = page;
}
