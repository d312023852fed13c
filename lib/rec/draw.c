/* draw.c - strata, their shares, and a draw that needs no list of what was drawn. */
#include "rec/draw.h"

#include "base/hash.h"
#include "base/random.h"

#include <stdlib.h>

/* ---- strata --------------------------------------------------------------- */

/* The slot that holds the key's stratum, or where it belongs. */
static uint32_t *find_slot(const struct draw *d, struct str key)
{
    size_t i = hash_bytes(HASH_SEED, key.p, key.n) & (d->n_slots - 1);
    while (d->slots[i] && !str_eq(d->strata[d->slots[i] - 1].key, key))
        i = (i + 1) & (d->n_slots - 1);
    return &d->slots[i];
}

static void grow_slots(struct draw *d)
{
    free(d->slots);
    d->n_slots = d->n_slots ? d->n_slots * 2 : 64;
    d->slots = xcalloc(d->n_slots, sizeof *d->slots);
    for (size_t i = 0; i < d->n_strata; i++)
        *find_slot(d, d->strata[i].key) = (uint32_t)i + 1;
}

void draw_add(struct draw *d, struct str key)
{
    if (d->n_slots < 2 * (d->n_strata + 1))
        grow_slots(d);
    uint32_t *slot = find_slot(d, key);
    if (!*slot) {
        GROW(d->strata, d->cap_strata, d->n_strata + 1);
        d->strata[d->n_strata++] = (struct stratum){
            .key = {xstrndup(key.n ? key.p : "", key.n), key.n}};
        *slot = (uint32_t)d->n_strata;
    }
    GROW(d->of, d->cap, d->n + 1);
    d->of[d->n++] = *slot - 1;
    d->strata[*slot - 1].size++;
}

void draw_release(struct draw *d)
{
    for (size_t i = 0; i < d->n_strata; i++)
        free((void *)(uintptr_t)d->strata[i].key.p);
    free(d->strata);
    free(d->slots);
    free(d->of);
    *d = (struct draw){0};
}

/* ---- shares --------------------------------------------------------------- */

/* The largest stratum that can take one more, or give one away; the first of equals. */
static struct stratum *largest(struct draw *d, bool more)
{
    struct stratum *best = NULL;
    for (size_t i = 0; i < d->n_strata; i++) {
        struct stratum *s = &d->strata[i];
        bool able = more ? s->share < s->size : s->share > 1;
        if (able && (!best || s->size > best->size))
            best = s;
    }
    return best;
}

static uint64_t share_of(const struct draw *d, uint64_t size, uint64_t n)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t share = (uint64_t)(((wide)2 * n * size + d->n) / ((wide)2 * d->n));
    return share < 1 ? 1 : share;
}

int draw_plan(struct draw *d, uint64_t n, uint64_t seed, struct err *e)
{
    uint64_t sum = 0;
    if (n > d->n)
        n = d->n;
    if (d->n_strata > n)
        return err_set(e, EXIT_USAGE,
                       "--count %llu: there are %zu strata, and at least one record of each is "
                       "drawn; ask for %zu or more",
                       (unsigned long long)n, d->n_strata, d->n_strata);
    for (size_t i = 0; i < d->n_strata; i++)
        sum += d->strata[i].share = share_of(d, d->strata[i].size, n);
    while (sum < n) {
        struct stratum *s = largest(d, true);
        uint64_t room = s->size - s->share, k = n - sum < room ? n - sum : room;
        s->share += k;
        sum += k;
    }
    while (sum > n) {
        struct stratum *s = largest(d, false);
        uint64_t room = s->share - 1, k = sum - n < room ? sum - n : room;
        s->share -= k;
        sum -= k;
    }
    for (size_t i = 0; i < d->n_strata; i++) {
        d->strata[i].left = d->strata[i].size;
        d->strata[i].need = d->strata[i].share;
    }
    d->random = seed;
    d->seen = 0;
    return 0;
}

/* ---- the draw ------------------------------------------------------------- */

/* Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S): a record
 * is drawn with probability need / left, which makes every set of `share` records equally
 * likely. */
bool draw_take(struct draw *d)
{
    if (d->seen == d->n)
        return false;
    struct stratum *s = &d->strata[d->of[d->seen++]];
    bool drawn = random_below(&d->random, s->left) < s->need;
    s->left--;
    s->need -= drawn;
    return drawn;
}
