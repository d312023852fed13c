/* walk.c - one byte after the other through a network, keeping what was found. */
#include "grammar/walk.h"

#include "base/hash.h"

#include <stdlib.h>

/* ---- tables -------------------------------------------------------------------------- */

static uint64_t key_of(struct way w)
{
    return (uint64_t)w.stack << 32 | w.node; /* never 0: node 0 is dead */
}

static size_t bucket(const struct table *t, const void *p, size_t n)
{
    return hash_bytes(HASH_SEED, p, n) & (t->n - 1);
}

/* Grows the table for one more entry; true where all must be put in again. */
static bool table_room(struct table *t, size_t entries)
{
    if (entries < t->n)
        return false;
    free(t->slots);
    t->n = t->n ? 2 * t->n : 64;
    t->slots = xmalloc_n(t->n, sizeof *t->slots);
    memset(t->slots, 0xff, t->n * sizeof *t->slots);
    return true;
}

/* ---- stacks -------------------------------------------------------------------------- */

static void stack_link(struct grammar *g, uint32_t i)
{
    struct stack *s = &g->stacks[i];
    struct way key = {s->node, s->below};
    uint32_t *slot = &g->stack_table.slots[bucket(&g->stack_table, &key, sizeof key)];
    s->next = *slot;
    *slot = i;
}

static uint32_t push(struct grammar *g, uint32_t node, uint32_t below)
{
    struct way key = {node, below};
    if (table_room(&g->stack_table, g->n_stacks))
        for (uint32_t i = 2; i < g->n_stacks; i++)
            stack_link(g, i);
    for (uint32_t i = g->stack_table.slots[bucket(&g->stack_table, &key, sizeof key)];
         i != UINT32_MAX; i = g->stacks[i].next)
        if (g->stacks[i].node == node && g->stacks[i].below == below)
            return i;
    GROW(g->stacks, g->cap_stacks, g->n_stacks + 1);
    g->stacks[g->n_stacks] = (struct stack){node, below, g->stacks[below].depth + 1, 0,
                                            g->stacks[below].unknown};
    stack_link(g, (uint32_t)g->n_stacks);
    return (uint32_t)g->n_stacks++;
}

/* ---- ways ---------------------------------------------------------------------------- */

/* Follows what leaves no choice, so that one place has one name. */
static struct way settle(const struct grammar *g, struct way w)
{
    for (;;) {
        const struct net_node *n = &g->net.v[w.node];
        if (n->kind == NET_KIND_JUMP)
            w.node = n->a;
        else if (n->kind == NET_KIND_RETURN && w.stack > STACK_UNKNOWN)
            w = (struct way){g->stacks[w.stack].node, g->stacks[w.stack].below};
        else
            return w;
    }
}

/* The way's slot: its own, or the empty one where it belongs. */
static size_t seen_slot(const struct grammar *g, uint64_t key)
{
    size_t i = key * UINT64_C(0x9e3779b97f4a7c15) >> 20 & (g->cap_seen - 1);
    while (g->seen[i] && g->seen[i] != key)
        i = (i + 1) & (g->cap_seen - 1);
    return i;
}

static void seen_grow(struct grammar *g)
{
    size_t old = g->cap_seen;
    uint64_t *was = g->seen;
    g->cap_seen = old ? 2 * old : 64;
    g->seen = xcalloc(g->cap_seen, sizeof *g->seen);
    GROW(g->met, g->cap_met, g->cap_seen);
    g->n_seen = 0;
    for (size_t i = 0; i < old; i++) {
        if (!was[i])
            continue;
        size_t slot = seen_slot(g, was[i]);
        g->seen[slot] = was[i];
        g->met[g->n_seen++] = slot;
    }
    free(was);
}

/* True where the way was not met before in this closure. */
static bool meet(struct grammar *g, struct way w)
{
    if (2 * g->n_seen >= g->cap_seen)
        seen_grow(g);
    size_t slot = seen_slot(g, key_of(w));
    if (g->seen[slot])
        return false;
    g->seen[slot] = key_of(w);
    g->met[g->n_seen++] = slot;
    return true;
}

static void later(struct grammar *g, struct way w)
{
    w = settle(g, w);
    if (w.node == NET_DEAD || !meet(g, w))
        return;
    GROW(g->todo, g->cap_todo, g->n_todo + 1);
    g->todo[g->n_todo++] = w;
}

static void call(struct grammar *g, const struct net_node *n, struct way w)
{
    struct way back = settle(g, (struct way){n->a, STACK_EMPTY});
    bool tail = g->net.v[back.node].kind == NET_KIND_RETURN;
    later(g, (struct way){n->b, tail ? w.stack : push(g, back.node, w.stack)});
}

/* Begins to go over the byte nodes, and ends, that a state's ways lead to without a byte. */
static void closure_begin(struct grammar *g, uint32_t state)
{
    const struct state *s = &g->states[state];
    while (g->n_seen)
        g->seen[g->met[--g->n_seen]] = 0;
    g->n_todo = 0;
    for (uint32_t i = 0; i < s->n; i++)
        later(g, g->ways[s->first + i]);
}

/* The next of them, or a limit of depth where it is not known how deep it is; false at the end.
 */
static bool closure_next(struct grammar *g, struct way *w)
{
    while (g->n_todo) {
        *w = g->todo[--g->n_todo];
        const struct net_node n = g->net.v[w->node];
        switch ((enum net_kind)n.kind) {
        case NET_KIND_BYTE:
        case NET_KIND_RETURN: return true;
        case NET_KIND_SPLIT:
            later(g, (struct way){n.b, w->stack});
            later(g, (struct way){n.a, w->stack});
            break;
        case NET_KIND_CALL: call(g, &n, *w); break;
        case NET_KIND_DEPTH:
            if (g->stacks[w->stack].unknown)
                return true;
            if (g->stacks[w->stack].depth <= n.b)
                later(g, (struct way){n.a, w->stack});
            break;
        case NET_KIND_DEAD:
        case NET_KIND_JUMP: break;
        }
    }
    return false;
}

/* ---- states ---------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    uint64_t x = key_of(*(const struct way *)a), y = key_of(*(const struct way *)b);
    return x < y ? -1 : x > y;
}

static void state_link(struct grammar *g, uint32_t i)
{
    struct state *s = &g->states[i];
    uint32_t *slot = &g->state_table.slots[bucket(&g->state_table, g->ways + s->first,
                                                  s->n * sizeof *g->ways)];
    s->next = *slot;
    *slot = i;
}

/* The state of the ways in g->found. */
static uint32_t state_find(struct grammar *g)
{
    size_t n = 0;
    if (!g->n_found)
        return GRAMMAR_DEAD;
    if (g->n_found > 1)
        qsort(g->found, g->n_found, sizeof *g->found, by_key);
    for (size_t i = 0; i < g->n_found; i++)
        if (!n || key_of(g->found[n - 1]) != key_of(g->found[i]))
            g->found[n++] = g->found[i];
    if (table_room(&g->state_table, g->n_states))
        for (uint32_t i = 1; i < g->n_states; i++)
            state_link(g, i);
    size_t slot = bucket(&g->state_table, g->found, n * sizeof *g->found);
    for (uint32_t i = g->state_table.slots[slot]; i != UINT32_MAX; i = g->states[i].next)
        if (g->states[i].n == n &&
            !memcmp(g->ways + g->states[i].first, g->found, n * sizeof *g->found))
            return i;
    GROW(g->ways, g->cap_ways, g->n_ways + n);
    GROW(g->states, g->cap_states, g->n_states + 1);
    memcpy(g->ways + g->n_ways, g->found, n * sizeof *g->found);
    g->states[g->n_states] = (struct state){.first = (uint32_t)g->n_ways, .n = (uint32_t)n};
    g->n_ways += n;
    state_link(g, (uint32_t)g->n_states);
    return (uint32_t)g->n_states++;
}

static void find(struct grammar *g, struct way w)
{
    w = settle(g, w);
    if (w.node == NET_DEAD)
        return;
    GROW(g->found, g->cap_found, g->n_found + 1);
    g->found[g->n_found++] = w;
}

uint32_t walk_state_of(struct grammar *g, struct way w)
{
    g->n_found = 0;
    find(g, w);
    return state_find(g);
}

static uint32_t walk_byte(struct grammar *g, uint32_t state, unsigned char byte)
{
    struct way w;
    closure_begin(g, state);
    g->n_found = 0;
    while (closure_next(g, &w)) {
        const struct net_node *n = &g->net.v[w.node];
        if (n->kind == NET_KIND_BYTE && byte >= n->lo && byte <= n->hi)
            find(g, (struct way){n->a, w.stack});
    }
    return state_find(g);
}

uint32_t grammar_step(struct grammar *g, uint32_t state, unsigned char byte)
{
    if (state == GRAMMAR_DEAD)
        return GRAMMAR_DEAD;
    if (!g->states[state].to) {
        g->states[state].to = xmalloc_n(256, sizeof(uint32_t));
        memset(g->states[state].to, 0xff, 256 * sizeof(uint32_t));
        g->n_tables++;
    }
    uint32_t to = g->states[state].to[byte];
    if (to == NOT_WALKED) {
        to = walk_byte(g, state, byte);
        g->states[state].to[byte] = to;
    }
    return to;
}

uint32_t grammar_walk(struct grammar *g, uint32_t state, struct str bytes)
{
    for (size_t i = 0; i < bytes.n && state; i++)
        state = grammar_step(g, state, (unsigned char)bytes.p[i]);
    return state;
}

static const struct state *look(struct grammar *g, uint32_t state)
{
    struct way w;
    bool accepts = false, leaves = false;
    if (g->states[state].known)
        return &g->states[state];
    closure_begin(g, state);
    while (closure_next(g, &w)) {
        enum net_kind kind = (enum net_kind)g->net.v[w.node].kind;
        accepts |= kind == NET_KIND_RETURN && w.stack == STACK_EMPTY;
        leaves |= kind == NET_KIND_DEPTH ||
                  (kind == NET_KIND_RETURN && w.stack == STACK_UNKNOWN);
    }
    struct state *s = &g->states[state];
    s->known = true;
    s->accepts = accepts;
    s->leaves = leaves;
    return s;
}

bool grammar_accepts(struct grammar *g, uint32_t state)
{
    return look(g, state)->accepts;
}

bool walk_leaves(struct grammar *g, uint32_t state)
{
    return look(g, state)->leaves;
}

struct byte_set grammar_next(struct grammar *g, uint32_t state)
{
    struct byte_set set = {{0}};
    struct way w;
    closure_begin(g, state);
    while (closure_next(g, &w)) {
        const struct net_node *n = &g->net.v[w.node];
        for (unsigned b = n->lo; n->kind == NET_KIND_BYTE && b <= n->hi; b++)
            set.bits[b / 64] |= UINT64_C(1) << b % 64;
    }
    return set;
}

/* ---- beginning and end ---------------------------------------------------------------------
 */

struct grammar *grammar_new(struct net *t, uint32_t start)
{
    if (t->full || !net_trim(t, start)) {
        net_release(t);
        return NULL;
    }
    struct grammar *g = xcalloc(1, sizeof *g);
    g->net = *t;
    *t = (struct net){0};
    GROW(g->stacks, g->cap_stacks, 2);
    g->stacks[STACK_EMPTY] = (struct stack){0};
    g->stacks[STACK_UNKNOWN] = (struct stack){.unknown = true};
    g->n_stacks = 2;
    GROW(g->states, g->cap_states, 1);
    g->states[GRAMMAR_DEAD] = (struct state){.known = true};
    g->n_states = 1;
    g->start = walk_state_of(g, (struct way){start, STACK_EMPTY});
    return g;
}

void grammar_free(struct grammar *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n_states; i++)
        free(g->states[i].to);
    net_release(&g->net);
    free(g->ways);
    free(g->stacks);
    free(g->states);
    free(g->stack_table.slots);
    free(g->state_table.slots);
    free(g->todo);
    free(g->found);
    free(g->seen);
    free(g->met);
    free(g);
}

uint32_t grammar_start(struct grammar *g)
{
    return g->start;
}

size_t grammar_memory(const struct grammar *g)
{
    return g->net.cap * sizeof *g->net.v + g->cap_ways * sizeof *g->ways +
           g->cap_stacks * sizeof *g->stacks + g->cap_states * sizeof *g->states +
           g->n_tables * 256 * sizeof(uint32_t) +
           (g->stack_table.n + g->state_table.n) * sizeof(uint32_t);
}
