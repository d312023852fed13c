/* jinja_postfix.c - the parser's calls, subscripts, filters and tests. */
#include "text/jinja_run.h"

#include <string.h>

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
    struct jj_node *n = jj_pair_node(p, N_CALL, callee, NULL);
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
            key->value = jj_number_value(p->j, t);
            p->tok++;
            return jj_pair_node(p, N_GETITEM, of, key);
        }
        struct jj_node *n = jj_pair_node(p, N_GETATTR, of, NULL);
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
        jj_add_kid(p, keys, &cap, parse_subscribed(p));
    }
    jj_expect_op(p, ']');
    p->nest--;
    struct jj_node *n = jj_pair_node(p, N_GETITEM, of,
                                     keys->n_kids == 1 ? keys->kids[0] : keys);
    for (size_t i = 0; keys->n_kids > 1 && i < keys->n_kids; i++)
        if (keys->kids[i]->kind == N_SLICE)
            jj_unexpected(p, "one slice");
    return n;
}

struct jj_node *jj_parse_postfix(struct jj_parser *p, struct jj_node *n)
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
            jj_set_depth(p, n, on);
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
    struct jj_node *n = jj_pair_node(p, N_TEST, on, NULL);
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
        struct jj_arg arg = {.value = jj_parse_postfix(p, jj_parse_primary(p, false))};
        add_arg(p, n, &cap, arg);
    }
    return n;
}

struct jj_node *jj_parse_filter_expr(struct jj_parser *p, struct jj_node *n)
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
