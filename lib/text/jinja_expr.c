/* jinja_expr.c - the parser's expressions: precedence and forms of jinja2's own parser. */
#include "text/jinja_priv.h"

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
static void set_depth(struct jj_parser *p, struct jj_node *n, const struct jj_node *left)
{
    n->depth = (uint16_t)(left->depth + 1);
    n->pos = left->pos;
    if (n->depth > JJ_CHAIN_MAX) {
        p->j->at = p->tok->pos;
        jj_fail(p->j, "an expression of more than %d operators", JJ_CHAIN_MAX);
    }
}

static struct jj_node *pair_node(struct jj_parser *p, enum jj_kind kind, struct jj_node *a,
                                 struct jj_node *b)
{
    struct jj_node *n = jj_node(p, kind);
    n->a = a;
    n->b = b;
    set_depth(p, n, a);
    return n;
}

static void add_kid(struct jj_parser *p, struct jj_node *n, size_t *cap, struct jj_node *kid)
{
    n->kids = jj_grow(p->j, n->kids, n->n_kids + 1, cap, sizeof *n->kids);
    n->kids[n->n_kids++] = kid;
}

/* ---- literals ------------------------------------------------------------------ */

static struct jj_val number_value(struct jj *j, const struct jj_token *t)
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
        add_kid(p, n, &cap, jj_parse_expression(p));
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
        add_kid(p, n, &cap, jj_parse_expression(p));
        jj_expect_op(p, ':');
        add_kid(p, n, &cap, jj_parse_expression(p));
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

static struct jj_node *parse_primary(struct jj_parser *p, bool with_namespace);

enum tuple_of { OF_EXPRESSIONS, OF_CONDITIONLESS, OF_TARGETS, OF_NS_TARGETS };

static struct jj_node *tuple_item(struct jj_parser *p, enum tuple_of of)
{
    if (of == OF_EXPRESSIONS)
        return jj_parse_expression(p);
    if (of == OF_CONDITIONLESS)
        return parse_or(p);
    return parse_primary(p, of == OF_NS_TARGETS);
}

static struct jj_node *parse_tuple(struct jj_parser *p, enum tuple_of of, const char *stop,
                                   bool in_brackets)
{
    struct jj_node *n = jj_node(p, N_TUPLE);
    size_t cap = 0;
    bool comma = false;
    while (!tuple_ends(p, stop)) {
        add_kid(p, n, &cap, tuple_item(p, of));
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

static struct jj_node *parse_primary(struct jj_parser *p, bool with_namespace)
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
        n->value = number_value(p->j, t);
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

/* ---- calls, subscripts, filters, tests -------------------------------------------- */

static void add_arg(struct jj_parser *p, struct jj_node *n, size_t *cap, struct jj_arg arg)
{
    n->args = jj_grow(p->j, n->args, n->n_args + 1, cap, sizeof *n->args);
    n->args[n->n_args++] = arg;
}

static void parse_argument(struct jj_parser *p, struct jj_node *n, size_t *cap)
{
    bool named = n->n_args && n->args[n->n_args - 1].name;
    bool keyword = p->tok->kind == TK_NAME && p->tok[1].kind == TK_OP && p->tok[1].op == '=';
    struct jj_arg arg = {0};
    if (jj_is_op(p, '*') && !n->dyn_args && !n->dyn_kw) {
        p->tok++;
        n->dyn_args = jj_parse_expression(p);
    } else if (jj_is_op(p, JJ_OP2('*', '*')) && !n->dyn_kw) {
        p->tok++;
        n->dyn_kw = jj_parse_expression(p);
    } else if (n->dyn_kw || (!keyword && (n->dyn_args || named))) {
        jj_unexpected(p, "a keyword argument");
    } else {
        if (keyword) {
            arg.name = jj_expect_name(p);
            p->tok++;
        }
        arg.value = jj_parse_expression(p);
        add_arg(p, n, cap, arg);
    }
}

static void parse_arguments(struct jj_parser *p, struct jj_node *n)
{
    size_t cap = 0;
    jj_nest(p);
    jj_expect_op(p, '(');
    for (bool comma = false; !jj_is_op(p, ')'); comma = true) {
        if (comma)
            jj_expect_op(p, ',');
        if (comma && jj_is_op(p, ')'))
            break;
        parse_argument(p, n, &cap);
    }
    jj_expect_op(p, ')');
    p->nest--;
}

static struct jj_node *parse_call(struct jj_parser *p, struct jj_node *callee)
{
    struct jj_node *n = pair_node(p, N_CALL, callee, NULL);
    parse_arguments(p, n);
    return n;
}

static bool slice_part_ends(const struct jj_parser *p)
{
    return jj_is_op(p, ']') || jj_is_op(p, ',') || jj_is_op(p, ':');
}

static struct jj_node *parse_subscribed(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_SLICE), *first = NULL;
    if (!jj_is_op(p, ':')) {
        first = jj_parse_expression(p);
        if (!jj_is_op(p, ':'))
            return first;
    }
    n->kids = jj_zalloc(p->j, 3 * sizeof *n->kids);
    n->n_kids = 3;
    n->kids[0] = first;
    for (int i = 1; i < 3 && jj_take_op(p, ':'); i++)
        if (!slice_part_ends(p))
            n->kids[i] = jj_parse_expression(p);
    return n;
}

static struct jj_node *parse_subscript(struct jj_parser *p, struct jj_node *of)
{
    if (jj_take_op(p, '.')) {
        const struct jj_token *t = p->tok;
        if (t->kind == TK_INT) {
            struct jj_node *key = jj_node(p, N_CONST);
            key->value = number_value(p->j, t);
            p->tok++;
            return pair_node(p, N_GETITEM, of, key);
        }
        struct jj_node *n = pair_node(p, N_GETATTR, of, NULL);
        n->name = jj_expect_name(p);
        return n;
    }
    jj_nest(p);
    jj_expect_op(p, '[');
    struct jj_node *keys = jj_node(p, N_TUPLE);
    size_t cap = 0;
    while (!jj_is_op(p, ']')) {
        if (keys->n_kids)
            jj_expect_op(p, ',');
        add_kid(p, keys, &cap, parse_subscribed(p));
    }
    jj_expect_op(p, ']');
    p->nest--;
    struct jj_node *n = pair_node(p, N_GETITEM, of, keys->n_kids == 1 ? keys->kids[0] : keys);
    for (size_t i = 0; keys->n_kids > 1 && i < keys->n_kids; i++)
        if (keys->kids[i]->kind == N_SLICE)
            jj_unexpected(p, "one slice");
    return n;
}

static struct jj_node *parse_postfix(struct jj_parser *p, struct jj_node *n)
{
    for (;;) {
        if (jj_is_op(p, '.') || jj_is_op(p, '['))
            n = parse_subscript(p, n);
        else if (jj_is_op(p, '('))
            n = parse_call(p, n);
        else
            return n;
    }
}

static struct str dotted_name(struct jj_parser *p)
{
    struct str s = jj_expect_name(p)->s;
    while (jj_take_op(p, '.')) {
        struct str more = jj_expect_name(p)->s;
        char *joined = jj_alloc(p->j, s.n + 1 + more.n);
        memcpy(joined, s.p, s.n);
        joined[s.n] = '.';
        memcpy(joined + s.n + 1, more.p, more.n);
        s = (struct str){joined, s.n + 1 + more.n};
    }
    return s;
}

struct jj_node *jj_parse_filters(struct jj_parser *p, struct jj_node *on, bool started)
{
    while (started || jj_take_op(p, '|')) {
        started = false;
        struct jj_node *n = jj_node(p, N_FILTER);
        n->a = on;
        if (on) {
            struct jj_pos here = n->pos;
            set_depth(p, n, on);
            n->pos = here;
        }
        n->name = jj_intern(p->t, dotted_name(p));
        n->func = jj_find_filter(n->name->s);
        if (jj_is_op(p, '('))
            parse_arguments(p, n);
        on = n;
    }
    return on;
}

static bool test_has_operand(const struct jj_parser *p)
{
    switch (p->tok->kind) {
    case TK_NAME:
        return !jj_is_name(p, "else") && !jj_is_name(p, "or") && !jj_is_name(p, "and");
    case TK_STRING:
    case TK_INT:
    case TK_FLOAT: return true;
    default: return jj_is_op(p, '[') || jj_is_op(p, '{');
    }
}

static struct jj_node *parse_test(struct jj_parser *p, struct jj_node *on)
{
    struct jj_node *n = pair_node(p, N_TEST, on, NULL);
    p->tok++;
    n->flag = jj_take_name(p, "not");
    n->name = jj_intern(p->t, dotted_name(p));
    n->func = jj_find_test(n->name->s);
    if (jj_is_op(p, '(')) {
        parse_arguments(p, n);
    } else if (test_has_operand(p)) {
        if (jj_is_name(p, "is"))
            jj_unexpected(p, "one test (tests cannot be chained with 'is')");
        size_t cap = 0;
        struct jj_arg arg = {.value = parse_postfix(p, parse_primary(p, false))};
        add_arg(p, n, &cap, arg);
    }
    return n;
}

static struct jj_node *parse_filter_expr(struct jj_parser *p, struct jj_node *n)
{
    for (;;) {
        if (jj_is_op(p, '|'))
            n = jj_parse_filters(p, n, false);
        else if (jj_is_name(p, "is"))
            n = parse_test(p, n);
        else if (jj_is_op(p, '('))
            n = parse_call(p, n);
        else
            return n;
    }
}

/* ---- operators --------------------------------------------------------------------- */

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
        n = parse_primary(p, false);
    }
    n = parse_postfix(p, n);
    return with_filter ? parse_filter_expr(p, n) : n;
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
        n = pair_node(p, N_BINARY, n, parse_unary(p, true));
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
        n = pair_node(p, N_BINARY, n, parse_pow(p));
        n->op = (enum jj_op)op;
    }
    return n;
}

static struct jj_node *parse_concat(struct jj_parser *p)
{
    struct jj_node *first = parse_product(p);
    if (!jj_is_op(p, '~'))
        return first;
    struct jj_node *n = pair_node(p, N_CONCAT, first, NULL);
    size_t cap = 0;
    n->a = NULL;
    add_kid(p, n, &cap, first);
    while (jj_take_op(p, '~'))
        add_kid(p, n, &cap, parse_product(p));
    return n;
}

static struct jj_node *parse_sum(struct jj_parser *p)
{
    static const struct level sum = {{'+', '-'}, {OP_ADD, OP_SUB}};
    struct jj_node *n = parse_concat(p);
    for (int op; (op = next_op(p, &sum)) >= 0;) {
        n = pair_node(p, N_BINARY, n, parse_concat(p));
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
            n = pair_node(p, N_COMPARE, first, NULL);
        n->ops = jj_grow(p->j, n->ops, n->n_kids + 1, &cap_ops, sizeof *n->ops);
        n->ops[n->n_kids] = (enum jj_op)op;
        add_kid(p, n, &cap, parse_sum(p));
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
        n = pair_node(p, N_AND, n, parse_not(p));
    return n;
}

static struct jj_node *parse_or(struct jj_parser *p)
{
    struct jj_node *n = parse_and(p);
    while (jj_take_name(p, "or"))
        n = pair_node(p, N_OR, n, parse_and(p));
    return n;
}

struct jj_node *jj_parse_expression(struct jj_parser *p)
{
    struct jj_node *n = parse_or(p);
    while (jj_take_name(p, "if")) {
        struct jj_node *cond = parse_or(p);
        n = pair_node(p, N_COND, n, cond);
        if (jj_take_name(p, "else")) {
            jj_nest(p);
            n->c = jj_parse_expression(p);
            p->nest--;
        }
    }
    return n;
}
