/* pages.c - the free list of key-value pages and their reference counts. */
#include "infer/pages.h"

#include "base/error.h"

#include <stdlib.h>

void pages_init(struct pages *p, int32_t n)
{
    *p = (struct pages){.n = n, .n_free = n};
    p->refs = xcalloc((size_t)n, sizeof *p->refs);
    p->list = xcalloc((size_t)n, sizeof *p->list);
    for (int32_t i = 0; i < n; i++)
        p->list[i] = n - 1 - i;
}

void pages_release(struct pages *p)
{
    free(p->refs);
    free(p->list);
    *p = (struct pages){0};
}

int32_t pages_take(struct pages *p)
{
    if (p->n_free < 1)
        BUG("no free page");
    int32_t page = p->list[--p->n_free];
    p->refs[page] = 1;
    return page;
}

void pages_share(struct pages *p, int32_t page)
{
    if (p->refs[page] < 1)
        BUG("page %d is shared but nobody holds it", (int)page);
    p->refs[page]++;
}

void pages_drop(struct pages *p, int32_t page)
{
    if (p->refs[page] < 1)
        BUG("page %d is dropped but nobody holds it", (int)page);
    if (--p->refs[page] == 0)
        p->list[p->n_free++] = page;
}
