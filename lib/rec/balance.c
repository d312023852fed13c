/* balance.c - the longest first, each to the shard that has the least. */
#include "rec/balance.h"

#include <stdbool.h>
#include <stdlib.h>

/* An item while sizes count: size, then (so that of equals the first is largest) the complement
 * of its index.  Once dealt: index, then shard. */
enum { INDEX_BITS = 64 - BALANCE_SIZE_BITS };
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
#define SIZE_MOST ((UINT64_C(1) << BALANCE_SIZE_BITS) - 1)
#define SHARD_MASK ((UINT64_C(1) << BALANCE_SHARD_BITS) - 1)

void balance_add(struct balance *b, uint64_t size)
{
    GROW(b->v, b->cap, b->n + 1);
    b->v[b->n] = (size < SIZE_MOST ? size : SIZE_MOST) << INDEX_BITS | (INDEX_MASK - b->n);
    b->n++;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct load {
    uint64_t size;
    size_t shard;
};

static bool less(const struct load *a, const struct load *b)
{
    return a->size != b->size ? a->size < b->size : a->shard < b->shard;
}

static void sift_down(struct load *heap, size_t n)
{
    struct load top = heap[0];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && less(&heap[child + 1], &heap[child]))
            child++;
        if (!less(&heap[child], &top))
            break;
        heap[i] = heap[child];
    }
    heap[i] = top;
}

void balance_deal(struct balance *b, size_t shards)
{
    struct load *heap = xmalloc_n(shards, sizeof *heap);
    for (size_t k = 0; k < shards; k++)
        heap[k] = (struct load){0, k};
    if (b->n)
        qsort(b->v, b->n, sizeof *b->v, ascending);
    for (size_t i = b->n; i-- > 0;) {
        uint64_t index = INDEX_MASK - (b->v[i] & INDEX_MASK);
        heap[0].size += b->v[i] >> INDEX_BITS;
        b->v[i] = index << BALANCE_SHARD_BITS | heap[0].shard;
        sift_down(heap, shards);
    }
    if (b->n)
        qsort(b->v, b->n, sizeof *b->v, ascending);
    free(heap);
}

size_t balance_shard(const struct balance *b, size_t i)
{
    return (size_t)(b->v[i] & SHARD_MASK);
}

void balance_release(struct balance *b)
{
    free(b->v);
    *b = (struct balance){0};
}
