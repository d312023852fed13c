/* constraint.h - grammars of the shapes that records ask for, each compiled once. */
#ifndef CONSTRAINT_H
#define CONSTRAINT_H

#include "gpu-infer/params.h"
#include "grammar/grammar.h"
#include "grammar/masks.h"

/* Shared by all records with the same shape.  It is made in the reader's thread and walked in
 * the one that answers. */
struct constraint {
    struct grammar *grammar;
    struct masks *masks;
};
void constraint_drop(struct constraint *c); /* NULL is allowed */
/* After it was walked: notes how large it has become. */
void constraint_measure(struct constraint *c);

/* The reader's table. */
struct constraints;
struct constraints *constraints_new(const struct tokenizer *t, int32_t vocab);
void constraints_free(struct constraints *c); /* after all that came from it was dropped */
/* The bytes of the model's tokens, made at the first call.  EXIT_DATA: the tokenizer's tokens
 * cannot be told apart in a text. */
const struct vocab *constraints_vocab(struct constraints *c, struct err *e);
/* A constraint that the caller drops. */
struct constraint *constraints_get(struct constraints *c, const struct shape *s, struct err *e);

#endif
