/* jinja_value.h - values of templates, with the meaning that they have in Python. */
#ifndef JINJA_VALUE_H
#define JINJA_VALUE_H

#include "text/jinja_priv.h"

struct jj_args;
struct jj_node;

enum jj_type {
    T_MISSING, /* no value: a slot not yet set, an argument not given */
    T_UNDEF,
    T_NONE,
    T_BOOL,
    T_INT,
    T_BIG, /* an integer beyond 64 bits: only its text */
    T_FLOAT,
    T_STR,
    T_LIST,
    T_TUPLE,
    T_DICT,
    T_RANGE,
    T_VIEW, /* dict.keys(), .values(), .items() */
    T_ITER, /* a generator: can be walked once */
    T_NAMESPACE,
    T_MACRO,
    T_LOOP,
    T_FUNC,
    T_METHOD,
    T_CYCLER,
    T_JOINER,
};

struct jj_val {
    enum jj_type t;
    union {
        bool b;
        int64_t i;
        double f;
        const struct jj_str *s; /* T_STR, T_BIG */
        const struct jj_seq *seq;
        struct jj_dict *d; /* T_DICT, T_NAMESPACE */
        const struct jj_range *range;
        const struct jj_view *view;
        struct jj_iter *it;
        const struct jj_undef *undef;
        const struct jj_macro *macro;
        struct jj_loop *loop;
        const struct jj_func *func;
        const struct jj_method *method;
        struct jj_cycler *cycler;
        struct jj_joiner *joiner;
    };
};

/* Immutable text.  tail: the growing block that it stands at the end of, so that
 * `text = text + more` in a loop copies each byte about once. */
struct jj_str {
    const char *p;
    size_t n;     /* bytes */
    size_t chars; /* characters */
    struct jj_tail *tail;
    bool markup; /* came out of |safe or |escape: + and % escape what they join to it */
};

struct jj_seq {
    struct jj_val *v;
    size_t n;
};

struct jj_entry {
    struct jj_val key, value;
    uint64_t hash;
};

/* Keeps the order of insertion; an index is built from the ninth entry on. */
struct jj_dict {
    struct jj_entry *e;
    size_t n, cap;
    uint32_t *index; /* entry + 1; 0 is free */
    size_t index_cap;
};

struct jj_range {
    int64_t start, stop, step, n;
};

enum jj_view_kind { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };
struct jj_view {
    enum jj_view_kind kind;
    struct jj_dict *d;
};

/* Why a value is undefined, for the message when it is used. */
struct jj_undef {
    const char *hint; /* the whole message; or NULL: */
    struct str name;  /* of the variable, attribute or element */
    const char *of;   /* type that lacks it; NULL for a variable */
    bool unsafe;      /* exists in Python, but not in the sandbox */
};

typedef struct jj_val jj_call(struct jj *j, struct jj_val self, const struct jj_args *a);

struct jj_func {
    const char *name;
    jj_call *call;
};

struct jj_method {
    const struct jj_func *func;
    struct jj_val self;
};

struct jj_macro {
    const struct jj_node *def;
    struct jj_act *up;
};

struct jj_cycler {
    struct jj_seq items;
    size_t at;
};

struct jj_joiner {
    struct jj_val sep;
    bool used;
};

struct jj_kw {
    struct str name;
    struct jj_val v;
};

struct jj_args {
    const struct jj_val *v;
    size_t n;
    const struct jj_kw *kw;
    size_t n_kw;
};

struct jj_loop {
    const struct jj_node *def;
    struct jj_act *up; /* of a recursive loop: where it stands */
    struct jj_val iterable;
    struct jj_iter *it;
    int64_t index0, length; /* length < 0: not known yet */
    int depth0;
    struct jj_val before, current, after; /* after: looked ahead */
    bool ended;
    struct jj_val changed;
};

static inline struct jj_val jj_missing(void)
{
    return (struct jj_val){.t = T_MISSING};
}
static inline struct jj_val jj_none(void)
{
    return (struct jj_val){.t = T_NONE};
}
static inline struct jj_val jj_bool(bool b)
{
    return (struct jj_val){.t = T_BOOL, .b = b};
}
static inline struct jj_val jj_int(int64_t i)
{
    return (struct jj_val){.t = T_INT, .i = i};
}
static inline struct jj_val jj_float(double f)
{
    return (struct jj_val){.t = T_FLOAT, .f = f};
}
static inline bool jj_given(struct jj_val v)
{
    return v.t != T_MISSING;
}

/* ---- values: jinja_value.c, jinja_dict.c, jinja_iter.c ---- */

struct jj_val jj_text(struct jj *j, const char *p, size_t n);        /* copies */
struct jj_val jj_text_borrow(struct jj *j, const char *p, size_t n); /* p outlives the render */
struct jj_val jj_text_counted(struct jj *j, const char *p, size_t n, size_t chars);
struct jj_val jj_cstr(struct jj *j, const char *s); /* static text */
struct jj_val jj_scratch_text(struct jj *j);        /* a copy of j->scratch */
struct jj_val jj_as_markup(struct jj *j, struct jj_val s, bool markup);
struct jj_val jj_joined(struct jj *j, const struct jj_str *a, const struct jj_str *b);
struct jj_val jj_substr(struct jj *j, const struct jj_str *s, size_t from,
                        size_t to); /* chars */
size_t jj_byte_at(const struct jj_str *s, size_t chars);
size_t jj_count_chars(const char *p, size_t n);
struct str jj_bytes(struct jj_val s);
const char *jj_find_first(struct str s, struct str part); /* NULL: not there */
const char *jj_find_last(struct str s, struct str part);
struct jj_val jj_str_replace(struct jj *j, struct str s, struct str old, struct str new,
                             int64_t count);
struct jj_val jj_str_join(struct jj *j, struct jj_val sep, struct jj_val items, bool convert);

struct jj_val jj_seq(struct jj *j, enum jj_type t, size_t n); /* items are T_NONE */
struct jj_val jj_pair(struct jj *j, struct jj_val a, struct jj_val b);
struct jj_val jj_undef_name(struct jj *j, struct str name);
struct jj_val jj_undef_item(struct jj *j, struct jj_val of, struct jj_val name, bool unsafe);
struct jj_val jj_undef_hint(struct jj *j, const char *hint);
_Noreturn void jj_fail_undef(struct jj *j, struct jj_val v);
void jj_check_defined(struct jj *j, struct jj_val v);
struct jj_val jj_from_json(struct jj *j, struct str json);
struct jj_val jj_integer(struct jj *j, struct str digits); /* decimal, with or without sign */

const char *jj_type_name(struct jj_val v);
bool jj_true(struct jj *j, struct jj_val v);
bool jj_eq(struct jj *j, struct jj_val a, struct jj_val b);
/* -1, 0, 1, or 2 where one is NaN; fails on types without an order. */
int jj_compare(struct jj *j, struct jj_val a, struct jj_val b);
bool jj_number(struct jj_val v, double *out);  /* bool, int, float */
bool jj_is_int(struct jj_val v, int64_t *out); /* bool, int */
int64_t jj_want_int(struct jj *j, struct jj_val v, const char *what);
struct str jj_want_str(struct jj *j, struct jj_val v, const char *what);
int64_t jj_length(struct jj *j, struct jj_val v); /* -1: has none */
bool jj_contains(struct jj *j, struct jj_val in, struct jj_val x);

struct jj_dict *jj_dict_new(struct jj *j);
void jj_dict_set(struct jj *j, struct jj_dict *d, struct jj_val key, struct jj_val v);
struct jj_val *jj_dict_get(struct jj *j, const struct jj_dict *d, struct jj_val key);
struct jj_val *jj_dict_find(const struct jj_dict *d, struct str key);
struct jj_val jj_dict_val(struct jj_dict *d);

enum jj_iter_kind {
    ITER_EMPTY,
    ITER_SEQ,
    ITER_BACK,
    ITER_TEXT,
    ITER_KEYS,
    ITER_VALUES,
    ITER_ITEMS,
    ITER_RANGE,
    ITER_LOOP,
    ITER_MAP,
    ITER_PICK,
    ITER_WHERE,
};

struct jj_iter {
    enum jj_iter_kind kind;
    bool generator; /* made by a filter; else a view on a container */
    struct jj_val src;
    size_t at;
    struct jj_iter *from;       /* MAP, PICK, WHERE */
    const struct jj_each *each; /* MAP, PICK */
    const struct jj_node *def;  /* WHERE: the for with its condition */
};

struct jj_iter *jj_iter(struct jj *j, struct jj_val v); /* fails on what has none */
struct jj_iter *jj_iter_try(struct jj *j, struct jj_val v);
bool jj_next(struct jj *j, struct jj_iter *it, struct jj_val *out);
struct jj_val jj_to_list(struct jj *j, struct jj_val iterable);
struct jj_val jj_gen(struct jj *j, struct jj_val list); /* a generator over a list */

/* What map, select and the like do with each item: an attribute, then a filter or test. */
struct jj_each {
    struct jj_val attribute, fallback; /* T_MISSING: none */
    const struct jj_func *func;
    struct jj_args args;
    bool reject;
};
struct jj_val jj_each_item(struct jj *j, const struct jj_each *e, struct jj_val item);

/* ---- text of values: jinja_text.c ---- */

void jj_put_str(struct jj *j, struct buf *b, struct jj_val v);
void jj_put_repr(struct jj *j, struct buf *b, struct jj_val v);
void jj_put_float(struct buf *b, double f);
struct jj_val jj_str(struct jj *j, struct jj_val v); /* str(v); markup stays markup */

struct jj_json_style {
    bool ascii, sort;
    struct str indent; /* p NULL: all on one line */
    struct str item, key;
};
void jj_put_json(struct jj *j, struct buf *b, struct jj_val v, const struct jj_json_style *s);
void jj_put_escaped(struct buf *b, struct str s); /* HTML */

/* ---- characters: jinja_char.c ---- */

uint32_t jj_char(const char *p, const char *end, size_t *len);
bool jj_is_space(uint32_t c);
bool jj_is_printable(uint32_t c);
bool jj_is_alpha(uint32_t c);
bool jj_is_digit(uint32_t c);
bool jj_is_upper(uint32_t c);
bool jj_is_lower(uint32_t c);
bool jj_is_word(uint32_t c); /* part of an identifier */
bool jj_is_identifier(struct str s);
bool jj_is_line_end(uint32_t c);
struct str jj_strip(struct str s, const struct str *chars, bool left, bool right);
enum jj_case { CASE_UPPER, CASE_LOWER, CASE_CAPITAL, CASE_TITLE, CASE_SWAP, CASE_FOLD };
void jj_put_case(struct buf *b, struct str s, enum jj_case to);

#endif
