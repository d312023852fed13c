/* masks.c - walking the tree of a vocabulary through a grammar. */
#include "grammar/masks.h"

#include "grammar/vocab.h"
#include "grammar/walk.h"

#include <stdlib.h>

/* Masks of states that are kept; sets of fewer ids are lists. */
enum { KEPT = 512, SPARSE = 512 };

/* What one node allows, whatever is around it. */
struct class
{
    uint64_t *set; /* or NULL: the list */
    int32_t *ids;
    size_t n_ids;
    uint32_t *open; /* nodes of the tree whose tokens depend on what is around */
    size_t n_open, cap_open;
};

struct kept {
    uint32_t state; /* 0: none */
    uint64_t *set;
};

struct masks {
    struct grammar *g;
    const struct vocab *v;
    struct class *classes;
    size_t n_classes, cap_classes;
    uint32_t *class_of; /* by node, then by the end of long runs; 0: none yet, else place + 1 */
    struct kept *kept;  /* [KEPT], by the state's number */
    uint32_t *states;   /* [depth + 1], on the way down the tree */
    bool *leaves;
    uint64_t *set; /* scratch */
    size_t bytes;
};

struct masks *masks_new(struct grammar *g, const struct vocab *v)
{
    struct masks *m = xcalloc(1, sizeof *m);
    m->g = g;
    m->v = v;
    m->class_of = xcalloc(2 * g->net.n, sizeof *m->class_of);
    m->kept = xcalloc(KEPT, sizeof *m->kept);
    m->states = xcalloc(v->depth + 1, sizeof *m->states);
    m->leaves = xcalloc(v->depth + 1, sizeof *m->leaves);
    m->set = xcalloc(vocab_words(v) + 1, sizeof *m->set);
    return m;
}

void masks_free(struct masks *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_classes; i++) {
        free(m->classes[i].set);
        free(m->classes[i].ids);
        free(m->classes[i].open);
    }
    for (int i = 0; i < KEPT; i++)
        free(m->kept[i].set);
    free(m->classes);
    free(m->class_of);
    free(m->kept);
    free(m->states);
    free(m->leaves);
    free(m->set);
    free(m);
}

size_t masks_memory(const struct masks *m)
{
    return m->bytes;
}

static void put_ids(const struct vocab *v, uint32_t node, uint64_t *set)
{
    for (uint32_t k = v->v[node].first; k < v->v[node + 1].first; k++)
        set[v->ids[k] / 64] |= UINT64_C(1) << v->ids[k] % 64;
}

/* ---- what a node allows by itself ------------------------------------------------------- */

/* In a long run of one kind of character (net_count) all places are alike, but for tokens that
 * reach far: those are looked at where it is known how far it is. */
static uint32_t alike(const struct masks *m, uint32_t node, uint32_t *reach)
{
    const struct net_node *n = &m->g->net.v[node];
    *reach = n->lo == NET_COUNTED && n->hi == NET_FAR ? NET_FAR : UINT32_MAX;
    return *reach == NET_FAR ? (uint32_t)m->g->net.n + n->b : node;
}

static void find_class(struct masks *m, struct class *c, uint32_t node, uint32_t reach)
{
    const struct vocab *v = m->v;
    struct grammar *g = m->g;
    memset(m->set, 0, vocab_words(v) * sizeof *m->set);
    m->states[0] = walk_state_of(g, (struct way){node, STACK_UNKNOWN});
    m->leaves[0] = walk_leaves(g, m->states[0]);
    for (uint32_t i = 1; i < v->n_nodes;) {
        const struct vocab_node *n = &v->v[i];
        uint32_t d = n->depth, state = grammar_step(g, m->states[d - 1], n->byte);
        if (d > reach || (state == GRAMMAR_DEAD && m->leaves[d - 1])) {
            GROW(c->open, c->cap_open, c->n_open + 1);
            c->open[c->n_open++] = i;
        }
        if (d > reach || state == GRAMMAR_DEAD) {
            i = n->skip;
            continue;
        }
        m->states[d] = state;
        m->leaves[d] = m->leaves[d - 1] || walk_leaves(g, state);
        put_ids(v, i, m->set);
        i++;
    }
}

static void keep_class(struct masks *m, struct class *c)
{
    size_t words = vocab_words(m->v), n = 0;
    for (size_t i = 0; i < words; i++)
        n += (size_t)__builtin_popcountll(m->set[i]);
    if (n > SPARSE) {
        c->set = xmalloc_n(words, sizeof *c->set);
        memcpy(c->set, m->set, words * sizeof *c->set);
        m->bytes += words * sizeof *c->set;
    } else {
        c->ids = xmalloc_n(n + 1, sizeof *c->ids);
        for (size_t i = 0; i < words; i++)
            for (uint64_t bits = m->set[i]; bits; bits &= bits - 1)
                c->ids[c->n_ids++] = (int32_t)(i * 64) + __builtin_ctzll(bits);
        m->bytes += n * sizeof *c->ids;
    }
    m->bytes += c->cap_open * sizeof *c->open + sizeof *c;
}

static const struct class *class_of(struct masks *m, uint32_t node)
{
    uint32_t reach, key = alike(m, node, &reach);
    if (!m->class_of[key]) {
        struct class c = {0};
        find_class(m, &c, node, reach);
        keep_class(m, &c);
        GROW(m->classes, m->cap_classes, m->n_classes + 1);
        m->classes[m->n_classes++] = c;
        m->class_of[key] = (uint32_t)m->n_classes;
    }
    return &m->classes[m->class_of[key] - 1];
}

/* ---- what a state allows ------------------------------------------------------------------
 */

/* Tokens at and below a node of the tree whose parent's state is given. */
static void walk_below(struct masks *m, uint32_t root, uint32_t state, uint64_t *set)
{
    const struct vocab *v = m->v;
    m->states[v->v[root].depth - 1] = state;
    for (uint32_t i = root; i < v->v[root].skip;) {
        const struct vocab_node *n = &v->v[i];
        state = grammar_step(m->g, m->states[n->depth - 1], n->byte);
        if (state == GRAMMAR_DEAD) {
            i = n->skip;
            continue;
        }
        m->states[n->depth] = state;
        put_ids(v, i, set);
        i++;
    }
}

/* The state behind the bytes above a node of the tree. */
static uint32_t state_above(struct masks *m, uint32_t node, uint32_t state)
{
    const struct vocab_node *n = &m->v->v[node];
    if (n->depth <= 1)
        return state;
    state = state_above(m, n->parent, state);
    return grammar_step(m->g, state, m->v->v[n->parent].byte);
}

static void find_set(struct masks *m, uint32_t state, uint64_t *set)
{
    size_t words = vocab_words(m->v);
    memset(set, 0, words * sizeof *set);
    for (uint32_t k = 0; k < m->g->states[state].n; k++) {
        struct way w = m->g->ways[m->g->states[state].first + k];
        const struct class *c = class_of(m, w.node);
        for (size_t i = 0; c->set && i < words; i++)
            set[i] |= c->set[i];
        for (size_t i = 0; i < c->n_ids; i++)
            set[c->ids[i] / 64] |= UINT64_C(1) << c->ids[i] % 64;
        for (size_t i = 0; i < c->n_open; i++) {
            uint32_t above = state_above(m, c->open[i], state);
            if (above != GRAMMAR_DEAD)
                walk_below(m, c->open[i], above, set);
        }
    }
}

const uint64_t *masks_of(struct masks *m, uint32_t state)
{
    struct kept *k = &m->kept[state % KEPT];
    if (!k->set) {
        k->set = xcalloc(vocab_words(m->v) + 1, sizeof *k->set);
        m->bytes += vocab_words(m->v) * sizeof *k->set;
    }
    if (k->state != state) {
        k->state = 0;
        find_set(m, state, k->set);
        k->state = state;
    }
    return k->set;
}

void masks_add_behind(struct masks *m, uint32_t state, unsigned char byte, uint64_t *set)
{
    const struct vocab *v = m->v;
    for (uint32_t i = 1; i < v->n_nodes; i = v->v[i].skip)
        if (v->v[i].byte == byte)
            for (uint32_t k = i + 1; k < v->v[i].skip; k = v->v[k].skip)
                walk_below(m, k, state, set);
}
