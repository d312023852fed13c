/* schema.h - a JSON Schema on its way to a network; private to lib/grammar.
 *
 * What must hold at one place is a set of schemas: those that $ref, allOf and the schema itself
 * put there.  anyOf makes alternatives of it.  A set is built once, as a rule, and called where
 * it is met again, so that schemas may contain themselves.
 */
#ifndef GRAMMAR_SCHEMA_H
#define GRAMMAR_SCHEMA_H

#include "grammar/net.h"
#include "rec/json.h"

/* Schemas by where they stand in the text. */
struct schemas {
    struct str *v;
    size_t n, cap;
};
void schemas_add(struct schemas *s, struct str schema);
void schemas_join(struct schemas *s, const struct schemas *more);
void schemas_release(struct schemas *s);

struct schema_rule {
    struct schemas set;
    uint32_t rule; /* a jump */
};

struct schema_maker {
    struct net *net;
    struct str root;
    struct net_values any;
    uint32_t number, integer, character; /* rules */
    uint32_t quote;                      /* the end of a string, then the end of its rule */
    uint32_t *tails;                     /* by how many more characters may come */
    size_t n_tails, cap_tails;
    struct schema_rule *rules; /* those from `built` on are to be built */
    size_t n_rules, cap_rules, built;
    int nested; /* makers that this one works for */
    struct err *e;
    bool failed;
};

/* Notes the first thing that is wrong. */
void schema_fail(struct schema_maker *m, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The rule of what holds at a place. */
uint32_t schema_rule(struct schema_maker *m, const struct schemas *set);
void schema_maker_init(struct schema_maker *m, struct net *net, struct str root, int nested,
                       struct err *e);
void schema_maker_release(struct schema_maker *m);
/* Builds what rules are left. */
void schema_build(struct schema_maker *m);

/* ---- schema_expand.c ---- */

/* Calls put() for each alternative: sets of objects that have neither $ref, allOf, anyOf nor
 * oneOf left to look at, all of which hold. */
void schema_expand(struct schema_maker *m, const struct schemas *set,
                   void (*put)(struct schema_maker *m, const struct schemas *flat, void *arg),
                   void *arg);

/* ---- schema_text.c, schema_parts.c: what the schemas of a flat set allow of one type --------
 */

uint32_t schema_string(struct schema_maker *m, const struct schemas *flat, uint32_t next);
uint32_t schema_numbers(struct schema_maker *m, const struct schemas *flat, bool integer,
                        uint32_t next);
uint32_t schema_array(struct schema_maker *m, const struct schemas *flat, uint32_t next);
uint32_t schema_object(struct schema_maker *m, const struct schemas *flat, uint32_t next);

/* ---- looking ---- */

/* A member that must be a whole number >= 0: the largest (or least) over the set; false where
 * none has it. */
bool schema_count(struct schema_maker *m, const struct schemas *flat, const char *name,
                  bool largest, uint32_t *out);

enum { SCHEMA_COUNT_MAX = 100000 };

#endif
