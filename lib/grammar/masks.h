/* masks.h - which tokens may come next: a grammar over the bytes of a vocabulary.
 *
 * The vocabulary is a tree of bytes.  What a node of the grammar allows, whatever calls are
 * open around it, is found once by walking that tree; tokens that leave the innermost call are
 * kept apart and walked when the calls are known.  What came out for a state is kept too.
 */
#ifndef MASKS_H
#define MASKS_H

#include "grammar/grammar.h"

#include <stdint.h>

/* The bytes of tokens; read-only once it is built. */
struct vocab;
/* For ids 0 … n-1. */
struct vocab *vocab_new(int32_t n);
/* A token without bytes, or that is not added, is never allowed. */
void vocab_add(struct vocab *v, int32_t id, struct str bytes);
/* After the last one. */
void vocab_build(struct vocab *v);
void vocab_free(struct vocab *v);
int32_t vocab_size(const struct vocab *v);
struct str vocab_bytes(const struct vocab *v, int32_t id);
/* Words of 64 bits for a set of ids. */
size_t vocab_words(const struct vocab *v);

struct masks;
/* Both stay the caller's, and must live as long. */
struct masks *masks_new(struct grammar *g, const struct vocab *v);
void masks_free(struct masks *m);
/* The tokens that may come behind a state; borrowed until the next call. */
const uint64_t *masks_of(struct masks *m, uint32_t state);
/* Adds to a set the tokens that may come where the first byte of their text is left out, if it
 * is the one given. */
void masks_add_behind(struct masks *m, uint32_t state, unsigned char byte, uint64_t *set);
size_t masks_memory(const struct masks *m);

#endif
