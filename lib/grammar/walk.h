/* walk.h - the sets of ways in which a text can be read so far; private to lib/grammar.
 *
 * A way is a node and the calls that are open, a list that ways share.  A set of ways is a
 * state; a state never changes, and keeps where each byte leads.
 */
#ifndef GRAMMAR_WALK_H
#define GRAMMAR_WALK_H

#include "grammar/grammar.h"
#include "grammar/net.h"

/* The calls of a whole text, and those below a node that are not known: a way that returns into
 * STACK_UNKNOWN stops there. */
enum { STACK_EMPTY = 0, STACK_UNKNOWN = 1 };

struct way {
    uint32_t node, stack;
};

struct stack {
    uint32_t node, below, depth; /* where the innermost call returns to */
    uint32_t next;               /* in its bucket */
    bool unknown;                /* STACK_UNKNOWN is at the bottom */
};

struct state {
    uint32_t first, n;           /* its ways */
    uint32_t next;               /* in its bucket */
    bool known, accepts, leaves; /* leaves: a way returns into what is not known */
    uint32_t *to; /* [256], NOT_WALKED where it is not known yet; NULL: none is */
};
#define NOT_WALKED UINT32_MAX

struct table {
    uint32_t *slots;
    size_t n; /* a power of two */
};

struct grammar {
    struct net net;
    uint32_t start;
    struct way *ways;
    size_t n_ways, cap_ways;
    struct stack *stacks;
    size_t n_stacks, cap_stacks;
    struct state *states;
    size_t n_states, cap_states, n_tables;
    struct table stack_table, state_table;
    /* scratch */
    struct way *todo, *found;
    size_t n_todo, cap_todo, n_found, cap_found;
    uint64_t *seen; /* ways met in this closure; open addressing, 0: empty */
    size_t *met;    /* the slots in use */
    size_t cap_seen, n_seen, cap_met;
};

/* The state of a single way. */
uint32_t walk_state_of(struct grammar *g, struct way w);
/* The text may end inside the calls that are not known: what follows depends on them. */
bool walk_leaves(struct grammar *g, uint32_t state);

#endif
