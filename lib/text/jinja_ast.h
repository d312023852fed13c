/* jinja_ast.h - a parsed template, and how it comes from its source. */
#ifndef JINJA_AST_H
#define JINJA_AST_H

#include "text/jinja_value.h"

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
    bool flag; /* N_TEST: not; N_FOR: recursive; N_SCOPE: generation */
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
    bool has_generation;
};

/* ---- lexer, parser, scopes ---- */

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
/* "a", 1, (a, b), [a], {a: b}; with its subscripts and calls; with its filters and tests. */
struct jj_node *jj_parse_primary(struct jj_parser *p, bool with_namespace);
struct jj_node *jj_parse_postfix(struct jj_parser *p, struct jj_node *n);
struct jj_node *jj_parse_filter_expr(struct jj_parser *p, struct jj_node *n);
struct jj_val jj_number_value(struct jj *j, const struct jj_token *t);
void jj_nest(struct jj_parser *p);
bool jj_is_op(const struct jj_parser *p, uint16_t op);
bool jj_is_name(const struct jj_parser *p, const char *name);
bool jj_take_op(struct jj_parser *p, uint16_t op);
bool jj_take_name(struct jj_parser *p, const char *name);
void jj_expect_op(struct jj_parser *p, uint16_t op);
const struct jj_name *jj_expect_name(struct jj_parser *p);
_Noreturn void jj_unexpected(struct jj_parser *p, const char *wanted);
struct jj_node *jj_node(struct jj_parser *p, enum jj_kind kind);
struct jj_node *jj_pair_node(struct jj_parser *p, enum jj_kind kind, struct jj_node *a,
                             struct jj_node *b);
void jj_set_depth(struct jj_parser *p, struct jj_node *n, const struct jj_node *left);
void jj_add_kid(struct jj_parser *p, struct jj_node *n, size_t *cap, struct jj_node *kid);
const struct jj_name *jj_intern(struct jinja *t, struct str s);
const struct jj_name *jj_find_name(const struct jinja *t, struct str s);

/* Gives every name its slot, as jinja2's compiler does it. */
void jj_resolve(struct jinja *t);
typedef void jj_each_fn(void *arg, struct jj_node *n);
void jj_each_child(struct jj *j, struct jj_node *n, jj_each_fn *fn, void *arg);
/* True where the body reads that name before it writes it. */
bool jj_mentions(struct jj *j, const struct jj_body *b, const char *name);

#endif
