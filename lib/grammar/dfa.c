/* dfa.c - regular parts that must hold together: made deterministic, and walked side by side.
 */
#include "grammar/net.h"

#include "base/hash.h"

#include <stdlib.h>

static uint32_t add(struct dfa *d, bool accepts)
{
    GROW(d->v, d->cap, d->n + 1);
    d->v[d->n] = (struct dfa_state){xcalloc(256, sizeof(uint32_t)), accepts};
    return (uint32_t)d->n++;
}

void dfa_release(struct dfa *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->v[i].next);
    free(d->v);
    *d = (struct dfa){0};
}

/* ---- the states' names: lists of numbers, found by their hash --------------------------- */

struct names {
    uint32_t *ids;  /* all lists, end to end */
    size_t *starts; /* list i: ids[starts[i] … starts[i + 1]) */
    size_t n, n_ids, cap_ids, cap_starts;
    uint32_t *slots; /* list + 1; open addressing */
    size_t n_slots;
};

static void names_release(struct names *x)
{
    free(x->ids);
    free(x->starts);
    free(x->slots);
}

/* The list's number; *is_new: it was not there. */
static uint32_t names_find(struct names *x, const uint32_t *ids, size_t n, bool *is_new)
{
    if (!x->n_slots) {
        x->n_slots = 4 * DFA_MAX;
        x->slots = xcalloc(x->n_slots, sizeof *x->slots);
        GROW(x->starts, x->cap_starts, 1);
        x->starts[0] = 0;
    }
    size_t i = hash_bytes(HASH_SEED, ids, n * sizeof *ids) % x->n_slots;
    for (; x->slots[i]; i = (i + 1) % x->n_slots) {
        uint32_t k = x->slots[i] - 1;
        size_t size = x->starts[k + 1] - x->starts[k];
        if (size == n && !memcmp(x->ids + x->starts[k], ids, n * sizeof *ids)) {
            *is_new = false;
            return k;
        }
    }
    GROW(x->ids, x->cap_ids, x->n_ids + n + 1);
    memcpy(x->ids + x->n_ids, ids, n * sizeof *ids);
    x->n_ids += n;
    GROW(x->starts, x->cap_starts, x->n + 2);
    x->starts[x->n + 1] = x->n_ids;
    x->slots[i] = (uint32_t)++x->n;
    *is_new = true;
    return (uint32_t)x->n - 1;
}

/* ---- from a network -----------------------------------------------------------------------
 */

struct subset {
    const struct net *t;
    uint32_t *seen, mark; /* [t->n] */
    uint32_t *ids;        /* byte nodes, and NET_RETURN, of the set at work */
    uint32_t *todo;
    size_t n;
};

static void close_over(struct subset *s, uint32_t node)
{
    size_t n = 0;
    s->todo[n++] = node;
    while (n) {
        uint32_t i = s->todo[--n];
        const struct net_node *k = &s->t->v[i];
        if (s->seen[i] == s->mark)
            continue;
        s->seen[i] = s->mark;
        if (k->kind == NET_KIND_BYTE || k->kind == NET_KIND_RETURN)
            s->ids[s->n++] = i;
        else if (k->kind != NET_KIND_DEAD)
            s->todo[n++] = k->a;
        if (k->kind == NET_KIND_SPLIT)
            s->todo[n++] = k->b;
    }
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static uint32_t name_set(struct subset *s, struct names *x, bool *is_new)
{
    qsort(s->ids, s->n, sizeof *s->ids, by_number);
    return names_find(x, s->ids, s->n, is_new);
}

/* The states that state i leads to. */
static void expand(struct dfa *d, struct subset *s, struct names *x, uint32_t i)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        bool is_new = false;
        s->n = 0;
        s->mark++;
        for (size_t k = x->starts[i]; k < x->starts[i + 1]; k++) {
            const struct net_node *n = &s->t->v[x->ids[k]];
            if (n->kind == NET_KIND_BYTE && byte >= n->lo && byte <= n->hi)
                close_over(s, n->a);
        }
        uint32_t to = name_set(s, x, &is_new);
        if (is_new)
            add(d, s->n && s->ids[0] == NET_RETURN);
        d->v[i].next[byte] = to;
    }
}

int dfa_of(struct dfa *d, const struct net *t, uint32_t start)
{
    struct names x = {0};
    struct subset s = {.t = t, .mark = 1};
    bool is_new;
    s.seen = xcalloc(t->n, sizeof *s.seen);
    s.ids = xcalloc(t->n, sizeof *s.ids);
    s.todo = xcalloc(2 * t->n + 1, sizeof *s.todo);
    *d = (struct dfa){0};
    names_find(&x, s.ids, 0, &is_new); /* the empty set is the dead state */
    add(d, false);
    close_over(&s, start);
    name_set(&s, &x, &is_new);
    if (is_new)
        add(d, s.n && s.ids[0] == NET_RETURN);
    for (uint32_t i = 1; i < d->n && d->n < DFA_MAX; i++)
        expand(d, &s, &x, i);
    int rc = d->n < DFA_MAX ? 0 : -1;
    names_release(&x);
    free(s.seen);
    free(s.ids);
    free(s.todo);
    return rc;
}

/* ---- two of them
 * ----------------------------------------------------------------------------- */

int dfa_both(struct dfa *d, const struct dfa *a, const struct dfa *b, bool without)
{
    struct names x = {0};
    uint32_t pair[2] = {0, 0};
    bool is_new;
    *d = (struct dfa){0};
    names_find(&x, pair, 2, &is_new);
    add(d, false);
    pair[0] = a->n > 1;
    pair[1] = b->n > 1;
    names_find(&x, pair, 2, &is_new);
    if (is_new)
        add(d, a->v[pair[0]].accepts && b->v[pair[1]].accepts != without);
    for (uint32_t i = 1; i < d->n && d->n < DFA_MAX; i++) {
        uint32_t p = x.ids[2 * i], q = x.ids[2 * i + 1];
        for (unsigned byte = 0; byte < 256; byte++) {
            pair[0] = a->v[p].next[byte];
            pair[1] = b->v[q].next[byte];
            if (!pair[0] || (!pair[1] && !without))
                pair[0] = pair[1] = 0;
            uint32_t to = names_find(&x, pair, 2, &is_new);
            if (is_new)
                add(d, a->v[pair[0]].accepts && b->v[pair[1]].accepts != without);
            d->v[i].next[byte] = to;
        }
    }
    names_release(&x);
    return d->n < DFA_MAX ? 0 : -1;
}

uint32_t dfa_put(struct net *t, const struct dfa *d, uint32_t next)
{
    uint32_t *at = xcalloc(d->n + 1, sizeof *at);
    for (size_t i = 1; i < d->n; i++)
        at[i] = net_jump(t);
    for (size_t i = 1; i < d->n; i++) {
        uint32_t all = d->v[i].accepts ? next : NET_DEAD;
        for (unsigned lo = 0, hi; lo < 256; lo = hi + 1) {
            uint32_t to = d->v[i].next[lo];
            for (hi = lo; hi < 255 && d->v[i].next[hi + 1] == to;)
                hi++;
            if (to)
                all = net_split(t, net_byte(t, lo, hi, at[to]), all);
        }
        net_set(t, at[i], all);
    }
    uint32_t start = d->n > 1 ? at[1] : NET_DEAD;
    free(at);
    return start;
}
