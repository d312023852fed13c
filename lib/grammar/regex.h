/* regex.h - the tree of a regular expression. */
#ifndef GRAMMAR_REGEX_H
#define GRAMMAR_REGEX_H

#include "base/buf.h"
#include "base/error.h"

struct char_range {
    uint32_t lo, hi;
};

enum regex_kind {
    REGEX_EMPTY,
    REGEX_SET,    /* ranges[a … a+b) */
    REGEX_CAT,    /* a, then b */
    REGEX_ALT,    /* a or b */
    REGEX_REPEAT, /* a, least to most times */
    REGEX_START,
    REGEX_END,
};
#define REGEX_NO_END UINT32_MAX

struct regex_node {
    enum regex_kind kind;
    uint32_t a, b, least, most;
};

struct regex {
    struct regex_node *v;
    size_t n, cap;
    struct char_range *ranges;
    size_t n_ranges, cap_ranges;
    uint32_t root;
};

/* EXIT_DATA names what is wrong or not supported, and where.  To be released in any case. */
int regex_parse(struct regex *re, struct str s, struct err *e) MUST_CHECK;
void regex_release(struct regex *re);

/* ---- classes of characters (regex_class.c) ---- */

/* Sorted, without overlaps. */
struct char_set {
    struct char_range *v;
    size_t n, cap;
};
void char_set_add(struct char_set *s, uint32_t lo, uint32_t hi);
void char_set_join(struct char_set *s, const struct char_set *more);
void char_set_sort(struct char_set *s);
void char_set_invert(struct char_set *s); /* sorted before and after */
/* \d \w \s and their opposites; false for other letters. */
bool char_set_letter(struct char_set *s, char letter);
/* \p{NAME}: a general category, or its first letter. */
bool char_set_property(struct char_set *s, struct str name);

#endif
