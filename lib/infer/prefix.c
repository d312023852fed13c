/* prefix.c - the tree of prefixes: which page holds which tokens behind which page. */
#include "infer/prefix.h"

#include "base/error.h"
#include "base/hash.h"

#include <string.h>

void prefix_init(struct pages *p)
{
    p->n_buckets = 1;
    while (p->n_buckets < (size_t)p->n)
        p->n_buckets *= 2;
    p->buckets = xcalloc(p->n_buckets, sizeof *p->buckets);
    for (size_t i = 0; i < p->n_buckets; i++)
        p->buckets[i] = -1;
}

/* The head of the list in which these ids behind this parent are found. */
static int32_t *bucket(const struct pages *p, int32_t parent, const int32_t *ids)
{
    uint64_t h = hash_bytes(hash_bytes(HASH_SEED, &parent, sizeof parent), ids,
                            KV_PAGE * sizeof *ids);
    return &p->buckets[h & (p->n_buckets - 1)];
}

int32_t prefix_find(const struct pages *p, int32_t parent, const int32_t *ids)
{
    int32_t i = *bucket(p, parent, ids);
    while (i >= 0 && (p->pages[i].parent != parent ||
                      memcmp(p->pages[i].ids, ids, sizeof p->pages[i].ids) != 0))
        i = p->pages[i].next;
    return i;
}

void prefix_put(struct pages *p, int32_t page, int32_t parent, const int32_t *ids)
{
    struct page *x = &p->pages[page];
    if (x->refs < 1 || x->state != PAGE_PRIVATE)
        BUG("page %d cannot be put in the tree", (int)page);
    int32_t *head = bucket(p, parent, ids);
    memcpy(x->ids, ids, sizeof x->ids);
    x->parent = parent;
    x->state = PAGE_COMING;
    x->next = *head;
    *head = page;
}

void prefix_remove(struct pages *p, int32_t page)
{
    struct page *x = &p->pages[page];
    int32_t *at = bucket(p, x->parent, x->ids);
    while (*at != page)
        at = &p->pages[*at].next;
    *at = x->next;
    x->state = PAGE_PRIVATE;
}

void prefix_filled(struct pages *p, int32_t page)
{
    if (p->pages[page].state != PAGE_COMING)
        BUG("page %d is not waiting for its contents", (int)page);
    p->pages[page].state = PAGE_FILLED;
}
