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
    p->n_stems = p->n_buckets * (KV_PAGE / STEM_STEP);
    p->stems = xcalloc(p->n_stems, sizeof *p->stems);
    for (size_t i = 0; i < p->n_stems; i++)
        p->stems[i] = -1;
}

/* ---- how pages begin ------------------------------------------------------------ */

/* A table without lists: of pages that begin alike the last one put there is found, which has
 * what they have in common.  What a slot names may have left the tree: the page itself says. */
static int32_t *stem_slot(const struct pages *p, uint64_t h)
{
    return &p->stems[(h ^ h >> 32) & (p->n_stems - 1)];
}

static uint64_t stem_hash(uint64_t h, const int32_t *ids, int32_t k)
{
    return hash_bytes(h, ids + k, STEM_STEP * sizeof *ids);
}

static void stems_put(struct pages *p, int32_t page)
{
    const struct page *x = &p->pages[page];
    uint64_t h = hash_bytes(HASH_SEED, &x->parent, sizeof x->parent);
    for (int32_t k = 0; k + STEM_STEP <= x->count; k += STEM_STEP)
        *stem_slot(p, h = stem_hash(h, x->ids, k)) = page;
}

int32_t prefix_stem(const struct pages *p, int32_t parent, const int32_t *ids, int32_t n,
                    int32_t *same)
{
    uint64_t hashes[KV_PAGE / STEM_STEP], h = hash_bytes(HASH_SEED, &parent, sizeof parent);
    int32_t steps = n / STEM_STEP;
    for (int32_t i = 0; i < steps; i++)
        hashes[i] = h = stem_hash(h, ids, i * STEM_STEP);
    for (int32_t i = steps; i-- > 0;) {
        int32_t page = *stem_slot(p, hashes[i]);
        const struct page *x = &p->pages[page < 0 ? 0 : page];
        if (page < 0 || x->state == PAGE_PRIVATE || x->parent != parent)
            continue;
        for (*same = 0; *same < n && *same < x->count && x->ids[*same] == ids[*same];)
            ++*same;
        if (*same >= STEM_STEP)
            return page;
    }
    return -1;
}

/* ---- whole pages ----------------------------------------------------------------- */

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

void prefix_put(struct pages *p, int32_t page, int32_t parent, const int32_t *ids, int32_t n)
{
    struct page *x = &p->pages[page];
    if (x->refs < 1 || x->state != PAGE_PRIVATE)
        BUG("page %d cannot be put in the tree", (int)page);
    memcpy(x->ids, ids, (size_t)n * sizeof *ids);
    x->count = n;
    x->parent = parent;
    x->state = PAGE_COMING;
    stems_put(p, page);
    if (n < KV_PAGE)
        return;
    int32_t *head = bucket(p, parent, ids);
    x->next = *head;
    *head = page;
}

void prefix_remove(struct pages *p, int32_t page)
{
    struct page *x = &p->pages[page];
    x->state = PAGE_PRIVATE;
    if (x->count < KV_PAGE)
        return;
    int32_t *at = bucket(p, x->parent, x->ids);
    while (*at != page)
        at = &p->pages[*at].next;
    *at = x->next;
}

void prefix_filled(struct pages *p, int32_t page)
{
    if (p->pages[page].state != PAGE_COMING)
        BUG("page %d is not waiting for its contents", (int)page);
    p->pages[page].state = PAGE_FILLED;
}
