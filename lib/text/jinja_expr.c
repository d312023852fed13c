/* jinja_expr.c - the parser's expressions: precedence and forms of jinja2's own parser. */
#include "text/jinja_run.h"

#include <stdlib.h>

static struct jj_node *parse_or(struct jj_parser *p);
static struct jj_node *parse_unary(struct jj_parser *p, bool with_filter);

struct jj_node *jj_node(struct jj_parser *p, enum jj_kind kind)
{
    struct jj_node *n = jj_zalloc(p->j, sizeof *n);
    n->kind = kind;
    n->pos = p->tok->pos;
    n->depth = 1;
    n->slot_loop = n->slot_caller = n->slot_kwargs = n->slot_varargs = -1;
    return n;
}

void jj_nest(struct jj_parser *p)
{
    p->j->at = p->tok->pos;
    if (++p->nest > JJ_NEST_MAX)
        jj_fail(p->j, "nested deeper than %d", JJ_NEST_MAX);
}

/* Chains of operators make trees as deep as they are long; walking those takes stack. */
void jj_set_depth(struct jj_parser *p, struct jj_node *n, const struct jj_node *left)
{
    n->depth = (uint16_t)(left->depth + 1);
    n->pos = left->pos;
    if (n->depth > JJ_CHAIN_MAX) {
        p->j->at = p->tok->pos;
        jj_fail(p->j, "an expression of more than %d operators", JJ_CHAIN_MAX);
    }
}

struct jj_node *jj_pair_node(struct jj_parser *p, enum jj_kind kind, struct jj_node *a,
                             struct jj_node *b)
{
    struct jj_node *n = jj_node(p, kind);
    n->a = a;
    n->b = b;
    jj_set_depth(p, n, a);
    return n;
}

void jj_add_kid(struct jj_parser *p, struct jj_node *n, size_t *cap, struct jj_node *kid)
{
    n->kids = jj_grow(p->j, n->kids, n->n_kids + 1, cap, sizeof *n->kids);
    n->kids[n->n_kids++] = kid;
}

/* ---- literals ---- */

struct jj_val jj_number_value(struct jj *j, const struct jj_token *t)
{
    char *text = jj_alloc(j, t->text.n + 1), *q = text;
    for (size_t i = 0; i < t->text.n; i++)
        if (t->text.p[i] != '_')
            *q++ = t->text.p[i];
    *q = 0;
    if (t->kind == TK_FLOAT)
        return jj_float(strtod(text, NULL));
    int base = text[0] != '0'            ? 10
               : (text[1] | 0x20) == 'x' ? 16
               : (text[1] | 0x20) == 'b' ? 2
                                         : 8;
    if (base == 10)
        return jj_integer(j, (struct str){text, (size_t)(q - text)});
    unsigned long long v = text[1] ? strtoull(text + 2, NULL, base) : 0;
    if (v > INT64_MAX)
        jj_fail(j, "an integer that does not fit in 64 bits");
    return jj_int((int64_t)v);
}

static struct jj_node *parse_strings(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_CONST);
    struct buf *b = &p->j->scratch;
    buf_clear(b);
    for (; p->tok->kind == TK_STRING; p->tok++)
        buf_addstr(b, p->tok->text);
    n->value = jj_scratch_text(p->j);
    return n;
}

static struct jj_node *parse_list(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_LIST);
    size_t cap = 0;
    jj_expect_op(p, '[');
    while (!jj_is_op(p, ']')) {
        if (n->n_kids)
            jj_expect_op(p, ',');
        if (jj_is_op(p, ']'))
            break;
        jj_add_kid(p, n, &cap, jj_parse_expression(p));
    }
    jj_expect_op(p, ']');
    return n;
}

static struct jj_node *parse_dict(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_DICT);
    size_t cap = 0;
    jj_expect_op(p, '{');
    while (!jj_is_op(p, '}')) {
        if (n->n_kids)
            jj_expect_op(p, ',');
        if (jj_is_op(p, '}'))
            break;
        jj_add_kid(p, n, &cap, jj_parse_expression(p));
        jj_expect_op(p, ':');
        jj_add_kid(p, n, &cap, jj_parse_expression(p));
    }
    jj_expect_op(p, '}');
    return n;
}

static struct jj_node *parse_name(struct jj_parser *p, bool with_namespace)
{
    struct jj_node *n = jj_node(p, N_CONST);
    struct str s = p->tok->text;
    p->tok++;
    if (str_is(s, "true") || str_is(s, "True"))
        n->value = jj_bool(true);
    else if (str_is(s, "false") || str_is(s, "False"))
        n->value = jj_bool(false);
    else if (str_is(s, "none") || str_is(s, "None"))
        n->value = jj_none();
    else
        n->kind = N_NAME;
    if (n->kind != N_NAME)
        return n;
    n->name = jj_intern(p->t, s);
    if (with_namespace && jj_take_op(p, '.')) {
        struct jj_node *ref = jj_node(p, N_NSREF);
        ref->a = n;
        ref->name = jj_expect_name(p);
        return ref;
    }
    return n;
}

static bool tuple_ends(const struct jj_parser *p, const char *stop)
{
    enum jj_tok k = p->tok->kind;
    return k == TK_VAR_END || k == TK_BLOCK_END || jj_is_op(p, ')') ||
           (stop && jj_is_name(p, stop));
}

enum tuple_of { OF_EXPRESSIONS, OF_CONDITIONLESS, OF_TARGETS, OF_NS_TARGETS };

static struct jj_node *tuple_item(struct jj_parser *p, enum tuple_of of)
{
    if (of == OF_EXPRESSIONS)
        return jj_parse_expression(p);
    if (of == OF_CONDITIONLESS)
        return parse_or(p);
    return jj_parse_primary(p, of == OF_NS_TARGETS);
}

static struct jj_node *parse_tuple(struct jj_parser *p, enum tuple_of of, const char *stop,
                                   bool in_brackets)
{
    struct jj_node *n = jj_node(p, N_TUPLE);
    size_t cap = 0;
    bool comma = false;
    while (!tuple_ends(p, stop)) {
        jj_add_kid(p, n, &cap, tuple_item(p, of));
        if (!jj_is_op(p, ','))
            break;
        p->tok++;
        comma = true;
    }
    if (comma)
        return n;
    if (n->n_kids)
        return n->kids[0];
    if (!in_brackets)
        jj_unexpected(p, "an expression");
    return n;
}

struct jj_node *jj_parse_primary(struct jj_parser *p, bool with_namespace)
{
    const struct jj_token *t = p->tok;
    struct jj_node *n;
    switch (t->kind) {
    case TK_NAME: return parse_name(p, with_namespace);
    case TK_STRING: return parse_strings(p);
    case TK_INT:
    case TK_FLOAT:
        n = jj_node(p, N_CONST);
        p->j->at = t->pos;
        n->value = jj_number_value(p->j, t);
        p->tok++;
        return n;
    default: break;
    }
    jj_nest(p);
    if (jj_take_op(p, '(')) {
        n = parse_tuple(p, OF_EXPRESSIONS, NULL, true);
        jj_expect_op(p, ')');
    } else if (jj_is_op(p, '[')) {
        n = parse_list(p);
    } else if (jj_is_op(p, '{')) {
        n = parse_dict(p);
    } else {
        jj_unexpected(p, "an expression");
    }
    p->nest--;
    return n;
}

struct jj_node *jj_parse_tuple(struct jj_parser *p, bool conditional, const char *stop)
{
    return parse_tuple(p, conditional ? OF_EXPRESSIONS : OF_CONDITIONLESS, stop, false);
}

static void check_target(struct jj_parser *p, const struct jj_node *n)
{
    bool fine = n->kind == N_NAME || n->kind == N_NSREF || n->kind == N_TUPLE;
    for (size_t i = 0; n->kind == N_TUPLE && i < n->n_kids; i++)
        check_target(p, n->kids[i]);
    if (!fine) {
        p->j->at = n->pos;
        jj_fail(p->j, "cannot assign to this");
    }
}

struct jj_node *jj_parse_target(struct jj_parser *p, bool with_namespace, const char *stop)
{
    struct jj_node *n = parse_tuple(p, with_namespace ? OF_NS_TARGETS : OF_TARGETS, stop,
                                    false);
    check_target(p, n);
    return n;
}

/* ---- operators ---- */

static struct jj_node *parse_unary(struct jj_parser *p, bool with_filter)
{
    struct jj_node *n;
    if (jj_is_op(p, '-') || jj_is_op(p, '+')) {
        jj_nest(p);
        n = jj_node(p, jj_is_op(p, '-') ? N_NEG : N_POS);
        p->tok++;
        n->a = parse_unary(p, false);
        p->nest--;
    } else {
        n = jj_parse_primary(p, false);
    }
    n = jj_parse_postfix(p, n);
    return with_filter ? jj_parse_filter_expr(p, n) : n;
}

struct level {
    uint16_t tokens[4];
    enum jj_op ops[4];
};

/* The operator of this level that stands next, or -1. */
static int next_op(struct jj_parser *p, const struct level *l)
{
    for (int i = 0; i < 4 && l->tokens[i]; i++)
        if (jj_take_op(p, l->tokens[i]))
            return (int)l->ops[i];
    return -1;
}

static struct jj_node *parse_pow(struct jj_parser *p)
{
    static const struct level pow_level = {{JJ_OP2('*', '*')}, {OP_POW}};
    struct jj_node *n = parse_unary(p, true);
    for (int op; (op = next_op(p, &pow_level)) >= 0;) {
        n = jj_pair_node(p, N_BINARY, n, parse_unary(p, true));
        n->op = (enum jj_op)op;
    }
    return n;
}

static struct jj_node *parse_product(struct jj_parser *p)
{
    static const struct level product = {{'*', '/', JJ_OP2('/', '/'), '%'},
                                         {OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD}};
    struct jj_node *n = parse_pow(p);
    for (int op; (op = next_op(p, &product)) >= 0;) {
        n = jj_pair_node(p, N_BINARY, n, parse_pow(p));
        n->op = (enum jj_op)op;
    }
    return n;
}

static struct jj_node *parse_concat(struct jj_parser *p)
{
    struct jj_node *first = parse_product(p);
    if (!jj_is_op(p, '~'))
        return first;
    struct jj_node *n = jj_pair_node(p, N_CONCAT, first, NULL);
    size_t cap = 0;
    n->a = NULL;
    jj_add_kid(p, n, &cap, first);
    while (jj_take_op(p, '~'))
        jj_add_kid(p, n, &cap, parse_product(p));
    return n;
}

static struct jj_node *parse_sum(struct jj_parser *p)
{
    static const struct level sum = {{'+', '-'}, {OP_ADD, OP_SUB}};
    struct jj_node *n = parse_concat(p);
    for (int op; (op = next_op(p, &sum)) >= 0;) {
        n = jj_pair_node(p, N_BINARY, n, parse_concat(p));
        n->op = (enum jj_op)op;
    }
    return n;
}

static int comparison(struct jj_parser *p)
{
    static const struct level same = {{JJ_OP2('=', '='), JJ_OP2('!', '='), '<', '>'},
                                      {OP_EQ, OP_NE, OP_LT, OP_GT}};
    static const struct level other = {{JJ_OP2('<', '='), JJ_OP2('>', '=')}, {OP_LE, OP_GE}};
    int op = next_op(p, &same);
    if (op < 0)
        op = next_op(p, &other);
    if (op < 0 && jj_take_name(p, "in"))
        return OP_IN;
    if (op < 0 && jj_is_name(p, "not") && p->tok[1].kind == TK_NAME &&
        str_is(p->tok[1].text, "in")) {
        p->tok += 2;
        return OP_NOTIN;
    }
    return op;
}

static struct jj_node *parse_compare(struct jj_parser *p)
{
    struct jj_node *first = parse_sum(p), *n = NULL;
    size_t cap = 0, cap_ops = 0;
    for (int op; (op = comparison(p)) >= 0;) {
        if (!n)
            n = jj_pair_node(p, N_COMPARE, first, NULL);
        n->ops = jj_grow(p->j, n->ops, n->n_kids + 1, &cap_ops, sizeof *n->ops);
        n->ops[n->n_kids] = (enum jj_op)op;
        jj_add_kid(p, n, &cap, parse_sum(p));
    }
    return n ? n : first;
}

static struct jj_node *parse_not(struct jj_parser *p)
{
    if (!jj_is_name(p, "not"))
        return parse_compare(p);
    jj_nest(p);
    struct jj_node *n = jj_node(p, N_NOT);
    p->tok++;
    n->a = parse_not(p);
    p->nest--;
    return n;
}

static struct jj_node *parse_and(struct jj_parser *p)
{
    struct jj_node *n = parse_not(p);
    while (jj_take_name(p, "and"))
        n = jj_pair_node(p, N_AND, n, parse_not(p));
    return n;
}

static struct jj_node *parse_or(struct jj_parser *p)
{
    struct jj_node *n = parse_and(p);
    while (jj_take_name(p, "or"))
        n = jj_pair_node(p, N_OR, n, parse_and(p));
    return n;
}

struct jj_node *jj_parse_expression(struct jj_parser *p)
{
    struct jj_node *n = parse_or(p);
    while (jj_take_name(p, "if")) {
        struct jj_node *cond = parse_or(p);
        n = jj_pair_node(p, N_COND, n, cond);
        if (jj_take_name(p, "else")) {
            jj_nest(p);
            n->c = jj_parse_expression(p);
            p->nest--;
        }
    }
    return n;
}
