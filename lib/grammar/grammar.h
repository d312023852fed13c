/* grammar.h - what a text may look like, byte by byte: fixed texts, a regular expression, JSON,
 * a JSON Schema.
 *
 * A grammar is a network of byte ranges with calls (a pushdown automaton), walked as the set of
 * all ways that the bytes so far can be read.  Every way that is left can be brought to an end,
 * so a text that was extended byte by byte never runs into a dead end.  One byte costs time in
 * the number of ways, never in the length of the text.  Sets of ways are kept and numbered, and
 * so is where each byte leads: what was walked once is a table afterwards.
 *
 * It works on bytes and knows no token; masks.h puts a vocabulary over it.
 */
#ifndef GRAMMAR_H
#define GRAMMAR_H

#include "base/buf.h"
#include "base/error.h"

struct grammar;

/* One of the texts, n >= 1. */
struct grammar *grammar_choices(const struct str *texts, size_t n, struct err *e);
/* The whole text matches.  Syntax: docs/decoding.md; what is not supported is named.  The text
 * is UTF-8. */
struct grammar *grammar_regex(struct str regex, struct err *e);
/* A JSON object, with few blanks. */
struct grammar *grammar_json_object(void);
/* JSON without blanks that fits the schema (raw JSON that json_check() has taken).  EXIT_DATA
 * names the keyword that is not supported, or says that nothing fits. */
struct grammar *grammar_schema(struct str schema, struct err *e);
void grammar_free(struct grammar *g);

/* ---- walking: one thread at a time -------------------------------------------------- */

enum { GRAMMAR_DEAD = 0 };

uint32_t grammar_start(struct grammar *g);
/* Where a byte leads; GRAMMAR_DEAD: it may not stand there. */
uint32_t grammar_step(struct grammar *g, uint32_t state, unsigned char byte);
uint32_t grammar_walk(struct grammar *g, uint32_t state, struct str bytes);
/* The text may end here. */
bool grammar_accepts(struct grammar *g, uint32_t state);
/* The bytes that may come next, a bit for each. */
struct byte_set {
    uint64_t bits[4];
};
struct byte_set grammar_next(struct grammar *g, uint32_t state);
/* Bytes of memory, which grow with what was walked. */
size_t grammar_memory(const struct grammar *g);

#endif
