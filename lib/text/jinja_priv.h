/* jinja_priv.h - what the files of the template interpreter share.
 *
 * A struct jj is one parse or one render: its memory (an arena that lives as long as the parsed
 * template or the render), where it stands in the source, and the way out when something fails:
 * jj_fail() formats the error and leaves by longjmp, so that no caller has to look.  Whatever
 * has to be freed is therefore held by the struct jj, never by a function.
 */
#ifndef JINJA_PRIV_H
#define JINJA_PRIV_H

#include "text/jinja.h"

#include <setjmp.h>

enum {
    JJ_NEST_MAX = 128,       /* nesting of the source, of calls, of values that are printed */
    JJ_CHAIN_MAX = 500,      /* operators in one expression, without brackets */
    JJ_EVAL_MAX = 2000,      /* all that is under way at one moment: bounds the C stack */
    JJ_RANGE_MAX = 100000,   /* items of a range(), as jinja2's sandbox has it */
    JJ_SOURCE_MAX = 4 << 20, /* bytes of a template */
};

struct jj;
struct jj_act;
struct jj_args;
struct jj_node;

struct jj_pos {
    uint32_t line, column;
};

/* ---- values ---------------------------------------------------------------- */

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

/* ---- the parsed template --------------------------------------------------- */

enum jj_kind {
    /* expressions */
    N_CONST,
    N_NAME,
    N_LIST,
    N_TUPLE,
    N_DICT, /* kids: key, value, key, value */
    N_GETATTR,
    N_GETITEM,
    N_SLICE, /* a[kids 0:1:2], each may be NULL */
    N_CALL,
    N_FILTER, /* a NULL: the text of the block */
    N_TEST,
    N_COND, /* a if b else c */
    N_AND,
    N_OR,
    N_NOT,
    N_NEG,
    N_POS,
    N_BINARY,
    N_COMPARE, /* a, then kids[i] with ops[i] */
    N_CONCAT,
    N_NSREF, /* name.attr as a target */
    /* statements */
    N_TEXT,
    N_PRINT, /* kids */
    N_IF,    /* a, body, other; an elif is an N_IF alone in other */
    N_FOR,
    N_SET,
    N_SETBLOCK,
    N_MACRO,
    N_CALLBLOCK,
    N_FILTERBLOCK,
    N_WITH,
    N_SCOPE, /* {% generation %}, {% block %} */
    N_BREAK,
    N_CONTINUE,
    N_LOADER, /* include, import, extends: there is nothing to load from */
};

enum jj_op {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOTIN,
};

/* A name of the template, each once: index into the render's table of context variables. */
struct jj_name {
    struct str s;
    uint32_t id;
    struct jj_name *next; /* in its hash chain */
};

struct jj_body {
    struct jj_node **v;
    size_t n;
};

/* Where a variable lives: `hops` functions outward, in that slot. */
struct jj_ref {
    uint16_t hops;
    uint32_t slot;
};

/* What happens to a variable of a frame whenever the frame is entered. */
enum jj_load { LOAD_PARAM, LOAD_CONTEXT, LOAD_ALIAS, LOAD_MISSING };
struct jj_var {
    const struct jj_name *name;
    enum jj_load load;
    uint32_t slot;
    struct jj_ref alias;
};

/* A frame of names, as jinja2's compiler divides a template into them. */
struct jj_scope {
    struct jj_var *vars;
    size_t n;
};

/* What is executed with slots of its own: the template, a macro, a recursive loop. */
struct jj_code {
    uint32_t n_slots;
};

struct jj_arg {
    const struct jj_name *name; /* NULL: positional */
    struct jj_node *value;
    int64_t slot; /* of a parameter */
};

struct jj_node {
    enum jj_kind kind;
    enum jj_op op;
    struct jj_pos pos;
    uint16_t depth;
    bool flag; /* N_TEST: not; N_FOR: recursive */
    bool needs_loop;
    struct jj_node *a, *b, *c;
    struct jj_node **kids;
    enum jj_op *ops;
    size_t n_kids;
    const struct jj_name *name;
    struct jj_ref ref;
    struct jj_val value;
    struct jj_arg *args; /* of a call, filter or test; a macro's parameters, with defaults */
    size_t n_args;
    struct jj_node *dyn_args, *dyn_kw;
    const struct jj_func *func; /* filter or test; NULL: no such one */
    struct jj_body body, other;
    struct jj_scope scope, other_scope, test_scope;
    struct jj_code *code;
    int64_t slot_loop, slot_caller, slot_kwargs, slot_varargs; /* -1: not used */
};

struct jinja {
    struct jj *j; /* the parse: its arena holds everything below */
    char *name;
    struct jj_body body;
    struct jj_scope scope;
    struct jj_code code;
    struct jj_name **names; /* hash table */
    size_t n_names, names_cap;
};

/* ---- one parse or one render ------------------------------------------------ */

struct jj_act { /* the slots of one running function */
    struct jj_act *up;
    struct jj_val slot[];
};

struct jj_capture {
    struct buf text;
    struct jj_capture *next;
};

struct jj {
    const char *name;
    int status; /* of its errors: EXIT_CONFIG while parsing, EXIT_DATA while rendering */
    struct err *err;
    struct jj_pos at;
    jmp_buf exit;
    struct jj_chunk *chunks;
    size_t memory, memory_max;

    /* rendering */
    const struct jinja *t;
    const struct jinja_var **vars; /* by name id */
    struct jj_val *context;        /* by name id; decoded when first used */
    const struct jinja_time *now;
    struct jj_act *act;
    struct buf *out, *final;             /* where text goes now; the caller's */
    struct jj_capture *captures, *spare; /* in use, innermost first; free ones */
    struct buf scratch;
    struct jj_val filtered; /* the text of the filter block at work */
    int64_t steps, steps_max, written, written_max;
    int depth, calls;
};

/* Ends the parse or render with an error at j->at. */
_Noreturn void jj_fail(struct jj *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
void *jj_alloc(struct jj *j, size_t size); /* aligned, not cleared */
void *jj_alloc_n(struct jj *j, size_t n, size_t size);
void *jj_zalloc(struct jj *j, size_t size);
void jj_release(struct jj *j); /* all memory */
/* Grows an arena array, doubling; the old one stays behind. */
void *jj_grow(struct jj *j, void *p, size_t n, size_t *cap, size_t size);
void jj_step(struct jj *j, size_t n); /* counts work against the limit */

/* ---- lexer, parser, scopes -------------------------------------------------- */

enum jj_tok {
    TK_EOF,
    TK_DATA,
    TK_VAR_BEGIN,
    TK_VAR_END,
    TK_BLOCK_BEGIN,
    TK_BLOCK_END,
    TK_NAME,
    TK_STRING,
    TK_INT,
    TK_FLOAT,
    TK_OP, /* op: one or two characters */
};

struct jj_token {
    enum jj_tok kind;
    uint16_t op; /* 'a' or 'a' << 8 | 'b' */
    struct jj_pos pos;
    struct str text; /* data, name, number as written, or a string with its escapes decoded */
};

#define JJ_OP2(a, b) ((uint16_t)((a) << 8 | (b)))

struct jj_token *jj_lex(struct jj *j, struct str source);

struct jj_parser {
    struct jj *j;
    struct jinja *t;
    const struct jj_token *tok;
    int nest;
    int loops;               /* for's around, within this function */
    const char *looking_for; /* the end tags of the innermost open block */
};

void jj_parse(struct jinja *t, struct str source);
struct jj_node *jj_parse_expression(struct jj_parser *p);
/* A tuple or a single expression; stop: a name that ends it, or NULL. */
struct jj_node *jj_parse_tuple(struct jj_parser *p, bool conditional, const char *stop);
struct jj_node *jj_parse_target(struct jj_parser *p, bool with_namespace, const char *stop);
struct jj_node *jj_parse_filters(struct jj_parser *p, struct jj_node *on, bool started);
void jj_nest(struct jj_parser *p);
bool jj_is_op(const struct jj_parser *p, uint16_t op);
bool jj_is_name(const struct jj_parser *p, const char *name);
bool jj_take_op(struct jj_parser *p, uint16_t op);
bool jj_take_name(struct jj_parser *p, const char *name);
void jj_expect_op(struct jj_parser *p, uint16_t op);
const struct jj_name *jj_expect_name(struct jj_parser *p);
_Noreturn void jj_unexpected(struct jj_parser *p, const char *wanted);
struct jj_node *jj_node(struct jj_parser *p, enum jj_kind kind);
const struct jj_name *jj_intern(struct jinja *t, struct str s);
const struct jj_name *jj_find_name(const struct jinja *t, struct str s);

/* Gives every name its slot, as jinja2's compiler does it. */
void jj_resolve(struct jinja *t);

/* ---- values: jinja_value.c, jinja_dict.c, jinja_iter.c ------------------------ */

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

/* ---- text of values: jinja_text.c ------------------------------------------- */

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

/* ---- characters: jinja_char.c ------------------------------------------------ */

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

/* ---- evaluation --------------------------------------------------------------- */

struct jj_val jj_eval(struct jj *j, const struct jj_node *n);
struct jj_val jj_binary(struct jj *j, enum jj_op op, struct jj_val a, struct jj_val b);
struct jj_val jj_negative(struct jj *j, struct jj_val v, bool minus);
bool jj_compare_op(struct jj *j, enum jj_op op, struct jj_val a, struct jj_val b);
struct jj_val jj_add(struct jj *j, struct jj_val a, struct jj_val b);
struct jj_val jj_eval_call_block(struct jj *j, const struct jj_node *call,
                                 struct jj_val caller);
struct jj_val jj_apply_filters(struct jj *j, const struct jj_node *n, struct jj_val text);
struct jj_val jj_getattr(struct jj *j, struct jj_val of, struct str name);
struct jj_val jj_getitem(struct jj *j, struct jj_val of, struct jj_val key);
struct jj_val jj_slice(struct jj *j, struct jj_val of, const struct jj_val bounds[3]);

enum jj_flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };
enum jj_flow jj_exec(struct jj *j, const struct jj_body *b);
void jj_enter(struct jj *j, const struct jj_scope *s);
void jj_leave(struct jj *j, const struct jj_scope *s);
void jj_assign(struct jj *j, const struct jj_node *target, struct jj_val v);
struct jj_act *jj_act_new(struct jj *j, const struct jj_code *code, struct jj_act *up);
struct jj_val *jj_slot(struct jj *j, struct jj_ref r);
void jj_write(struct jj *j, const char *p, size_t n);
void jj_capture_begin(struct jj *j);
struct jj_val jj_capture_end(struct jj *j);
void jj_push(struct jj *j); /* one more thing under way; fails beyond JJ_EVAL_MAX */
struct jj_val jj_global(struct jj *j, const struct jj_name *name);

struct jj_val jj_call_value(struct jj *j, struct jj_val f, const struct jj_args *a);
struct jj_val jj_call_macro(struct jj *j, const struct jj_macro *m, const struct jj_args *a);
struct jj_val jj_recurse(struct jj *j, const struct jj_loop *loop, struct jj_val iterable);
struct jj_val jj_loop_attr(struct jj *j, struct jj_loop *l, struct str name);
bool jj_loop_next(struct jj *j, struct jj_loop *l);

/* Arguments by position or name into out[]; T_MISSING where not given.  The first `required`
 * must be there. */
void jj_bind(struct jj *j, const char *what, const struct jj_args *a, const char *const *names,
             size_t n, size_t required, struct jj_val *out);
#define JJ_BIND(j, what, a, required, out, ...)             \
    jj_bind(j, what, a, (const char *const[]){__VA_ARGS__}, \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), required, out)

const struct jj_func *jj_find_filter(struct str name);
const struct jj_func *jj_find_seq_filter(struct str name);
const struct jj_func *jj_find_test(struct str name);
const struct jj_func *jj_find_global(struct str name);
const struct jj_func *jj_find_method(struct jj_val of, struct str name, bool *unsafe);
const struct jj_func *jj_find_str_method(struct str name);
const struct jj_func *jj_pick(const struct jj_func *table, size_t n, struct str name);

struct jj_val jj_str_replace(struct jj *j, struct str s, struct str old, struct str new,
                             int64_t count);
struct jj_val jj_str_join(struct jj *j, struct jj_val sep, struct jj_val items, bool convert);
void jj_format_percent(struct jj *j, struct buf *b, struct str fmt, struct jj_val args);
void jj_format_braces(struct jj *j, struct buf *b, struct str fmt, const struct jj_args *a);
void jj_put_time(struct jj *j, struct buf *b, struct str fmt, const struct jinja_time *now);
void jj_put_padded(struct buf *b, struct str s, size_t chars, int64_t width, char align,
                   struct str fill);
struct jj_val jj_sorted(struct jj *j, struct jj_val list, struct jj_val *keys, bool reverse);

#endif
