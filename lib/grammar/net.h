/* net.h - the network that a grammar is: nodes, built from the end to the beginning.
 *
 * Each builder takes the node that follows and returns the one to begin at, so that nothing is
 * patched but loops.  A rule is a start node whose ways end at NET_RETURN.
 */
#ifndef NET_H
#define NET_H

#include "base/buf.h"

enum net_kind {
    NET_KIND_DEAD,
    NET_KIND_RETURN,
    NET_KIND_BYTE,  /* lo..hi, then a */
    NET_KIND_SPLIT, /* a or b */
    NET_KIND_JUMP,  /* a */
    NET_KIND_CALL,  /* the rule that begins at b, then a */
    NET_KIND_DEPTH, /* a, where no more than b calls are open */
};
struct net_node {
    uint8_t kind, lo, hi;
    uint32_t a, b;
};

/* lo and hi of a split made by net_counted(): how many more may come, at most NET_FAR.  Its b
 * is the end, which all runs of one kind share. */
enum { NET_COUNTED = 1, NET_FAR = 32 };

enum { NET_DEAD = 0, NET_RETURN = 1, NET_MAX = 2000000 };

struct net {
    struct net_node *v;
    size_t n, cap;
    bool full; /* NET_MAX was reached: what was built is of no use */
};

void net_init(struct net *t);
void net_release(struct net *t);

uint32_t net_byte(struct net *t, unsigned lo, unsigned hi, uint32_t next);
uint32_t net_split(struct net *t, uint32_t a, uint32_t b);
uint32_t net_text(struct net *t, struct str s, uint32_t next);
uint32_t net_call(struct net *t, uint32_t rule, uint32_t next);
uint32_t net_depth(struct net *t, uint32_t most, uint32_t next);
/* Another `item`, which begins a call, or the end: `left` more may come. */
uint32_t net_counted(struct net *t, uint32_t item, uint32_t end, uint32_t left);
/* A node whose way on is set later. */
uint32_t net_jump(struct net *t);
void net_set(struct net *t, uint32_t jump, uint32_t to);

/* Code points lo..hi as UTF-8, surrogates left out.  escaped: as they stand in a JSON string,
 * each in one spelling only. */
uint32_t net_chars(struct net *t, uint32_t lo, uint32_t hi, bool escaped, uint32_t next);
/* Any character. */
uint32_t net_any(struct net *t, bool escaped, uint32_t next);
/* A text as it stands in a JSON string. */
uint32_t net_escaped(struct net *t, struct str s, uint32_t next);

/* Takes out the ways that cannot be brought to an end; false where none is left. */
bool net_trim(struct net *t, uint32_t start);

/* ---- regex.c ---- */

/* The regular expression between begin and next.  search: it may match anywhere in the text.
 * NET_DEAD with *e set where it is wrong or not supported. */
uint32_t net_regex(struct net *t, struct str regex, bool escaped, bool search, uint32_t next,
                   struct err *e);

/* ---- dfa.c: regular parts, without calls, that must hold together ---- */

struct dfa_state {
    uint32_t *next; /* [256], 0: dead */
    bool accepts;
};
struct dfa {
    struct dfa_state *v; /* v[0] is dead, v[1] the start */
    size_t n, cap;
};
enum { DFA_MAX = 20000 };
/* -1: more than DFA_MAX states. */
int dfa_of(struct dfa *d, const struct net *t, uint32_t start);
/* What a takes, and b takes (or does not take, where without is true). */
int dfa_both(struct dfa *d, const struct dfa *a, const struct dfa *b, bool without);
uint32_t dfa_put(struct net *t, const struct dfa *d, uint32_t next);
void dfa_release(struct dfa *d);

/* ---- number.c ---- */

/* A bound of a number: its sign and digits; {0} is 0. */
struct decimal {
    bool negative, given, exclusive;
    struct buf whole, part; /* digits without leading, or trailing, zeros */
};
/* Reads a JSON number; false where its exponent is out of all bounds. */
bool decimal_read(struct decimal *d, struct str json);
int decimal_compare(const struct decimal *a, const struct decimal *b);
void decimal_release(struct decimal *d);
/* Numbers between two bounds, where given. */
uint32_t net_number(struct net *t, bool integer, const struct decimal *low,
                    const struct decimal *high, uint32_t next);

/* ---- format.c ---- */

/* The regular expression of a JSON Schema format, or NULL. */
const char *format_regex(struct str name);

/* ---- value.c ---- */

struct net_values {
    uint32_t value, object, array, string; /* rules */
};
/* Rules for any JSON value; blanks: a few may stand between its parts. */
struct net_values net_values(struct net *t, bool blanks);
/* A value as it is written without blanks, in one spelling; -1 where a string is no Unicode
 * text. */
int json_spell(struct buf *out, struct str json);

/* A grammar of what was built; takes the net.  NULL where nothing fits. */
struct grammar *grammar_new(struct net *t, uint32_t start);

#endif
