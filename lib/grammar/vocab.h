/* vocab.h - the tree of a vocabulary's bytes; private to lib/grammar. */
#ifndef GRAMMAR_VOCAB_H
#define GRAMMAR_VOCAB_H

#include "grammar/masks.h"

/* In preorder: the nodes below i are i+1 … skip-1, the tokens that end at i are
 * ids[first … (i+1)->first). */
struct vocab_node {
    uint32_t skip, first, parent;
    uint16_t depth;
    uint8_t byte;
};

struct vocab {
    int32_t n;
    struct buf bytes;     /* of all tokens, end to end */
    size_t *from;         /* by id; */
    uint32_t *length;     /* by id; 0: never allowed */
    struct vocab_node *v; /* v[0] is the root; one more behind the last */
    uint32_t n_nodes;
    size_t cap_nodes;
    int32_t *ids; /* in the order of the tree */
    int32_t n_ids;
    uint32_t depth; /* of the deepest node */
};

#endif
