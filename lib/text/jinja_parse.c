/* jinja_parse.c - the parser's statements. */
#include "text/jinja_ast.h"

#include "base/hash.h"

#include <string.h>

/* ---- names ---- */

const struct jj_name *jj_find_name(const struct jinja *t, struct str s)
{
    if (!t->names_cap)
        return NULL;
    struct jj_name *n = t->names[hash_bytes(HASH_SEED, s.p, s.n) & (t->names_cap - 1)];
    while (n && !str_eq(n->s, s))
        n = n->next;
    return n;
}

static void grow_names(struct jinja *t)
{
    size_t cap = t->names_cap ? t->names_cap * 2 : 64;
    struct jj_name **table = jj_zalloc(t->j, cap * sizeof *table);
    for (size_t i = 0; i < t->names_cap; i++) {
        for (struct jj_name *n = t->names[i], *next; n; n = next) {
            size_t at = hash_bytes(HASH_SEED, n->s.p, n->s.n) & (cap - 1);
            next = n->next;
            n->next = table[at];
            table[at] = n;
        }
    }
    t->names = table;
    t->names_cap = cap;
}

const struct jj_name *jj_intern(struct jinja *t, struct str s)
{
    const struct jj_name *known = jj_find_name(t, s);
    if (known)
        return known;
    if (t->n_names >= t->names_cap)
        grow_names(t);
    size_t at = hash_bytes(HASH_SEED, s.p, s.n) & (t->names_cap - 1);
    struct jj_name *n = jj_alloc(t->j, sizeof *n);
    *n = (struct jj_name){.s = s, .id = (uint32_t)t->n_names++, .next = t->names[at]};
    t->names[at] = n;
    return n;
}

/* ---- tokens ---- */

bool jj_is_op(const struct jj_parser *p, uint16_t op)
{
    return p->tok->kind == TK_OP && p->tok->op == op;
}

bool jj_is_name(const struct jj_parser *p, const char *name)
{
    return p->tok->kind == TK_NAME && str_is(p->tok->text, name);
}

bool jj_take_op(struct jj_parser *p, uint16_t op)
{
    bool is = jj_is_op(p, op);
    p->tok += is;
    return is;
}

bool jj_take_name(struct jj_parser *p, const char *name)
{
    bool is = jj_is_name(p, name);
    p->tok += is;
    return is;
}

void jj_unexpected(struct jj_parser *p, const char *wanted)
{
    const struct jj_token *t = p->tok;
    p->j->at = t->pos;
    switch (t->kind) {
    case TK_EOF: jj_fail(p->j, "the template ends where %s is expected", wanted);
    case TK_VAR_END:
    case TK_BLOCK_END: jj_fail(p->j, "the tag ends where %s is expected", wanted);
    case TK_STRING: jj_fail(p->j, "a string where %s is expected", wanted);
    default:
        jj_fail(p->j, "'%.*s' where %s is expected", (int)(t->text.n > 40 ? 40 : t->text.n),
                t->text.p, wanted);
    }
}

void jj_expect_op(struct jj_parser *p, uint16_t op)
{
    if (!jj_take_op(p, op))
        jj_unexpected(p, (const char[]){'\'', (char)op, '\'', 0});
}

const struct jj_name *jj_expect_name(struct jj_parser *p)
{
    if (p->tok->kind != TK_NAME)
        jj_unexpected(p, "a name");
    return jj_intern(p->t, p->tok++->text);
}

static void expect_keyword(struct jj_parser *p, const char *name)
{
    if (!jj_take_name(p, name))
        jj_unexpected(p, name);
}

static void expect_block_end(struct jj_parser *p)
{
    if (p->tok->kind != TK_BLOCK_END)
        jj_unexpected(p, "the end of the tag");
    p->tok++;
}

/* ---- bodies ---- */

static struct jj_node *parse_statement(struct jj_parser *p);

struct list {
    struct jj_body body;
    size_t cap;
};

static void list_add(struct jj_parser *p, struct list *l, struct jj_node *n)
{
    l->body.v = jj_grow(p->j, l->body.v, l->body.n + 1, &l->cap, sizeof *l->body.v);
    l->body.v[l->body.n++] = n;
}

static struct jj_node *print_node(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_PRINT);
    p->tok++;
    n->kids = jj_alloc(p->j, sizeof *n->kids);
    n->kids[0] = jj_parse_tuple(p, true, NULL);
    n->n_kids = 1;
    if (p->tok->kind != TK_VAR_END)
        jj_unexpected(p, "the end of the tag");
    p->tok++;
    return n;
}

/* True at one of the names of `ends`, a list "endif elif else". */
static bool at_end_tag(const struct jj_parser *p, const char *ends)
{
    for (const char *s = ends; s && *s;) {
        const char *space = strchrnul(s, ' ');
        struct str name = {s, (size_t)(space - s)};
        if (p->tok->kind == TK_NAME && str_eq(p->tok->text, name))
            return true;
        s = *space ? space + 1 : space;
    }
    return false;
}

/* Up to the tag that ends the body; that tag's name is the next token then. */
static struct jj_body parse_until(struct jj_parser *p, const char *ends)
{
    struct list l = {0};
    const char *outer = p->looking_for;
    p->looking_for = ends;
    jj_nest(p);
    for (;;) {
        if (p->tok->kind == TK_EOF) {
            if (ends)
                jj_unexpected(p, ends);
            break;
        }
        if (p->tok->kind == TK_DATA) {
            struct jj_node *n = jj_node(p, N_TEXT);
            n->value = jj_text_borrow(p->j, p->tok->text.p, p->tok->text.n);
            list_add(p, &l, n);
            p->tok++;
        } else if (p->tok->kind == TK_VAR_BEGIN) {
            list_add(p, &l, print_node(p));
        } else {
            p->tok++;
            if (at_end_tag(p, ends))
                break;
            list_add(p, &l, parse_statement(p));
            expect_block_end(p);
        }
    }
    p->nest--;
    p->looking_for = outer;
    return l.body;
}

static struct jj_body parse_body(struct jj_parser *p, const char *ends)
{
    jj_take_op(p, ':');
    expect_block_end(p);
    return parse_until(p, ends);
}

static struct jj_body parse_whole_body(struct jj_parser *p, const char *end)
{
    struct jj_body b = parse_body(p, end);
    p->tok++;
    return b;
}

/* The body of what is called: loops around it are not its own. */
static struct jj_body parse_callable_body(struct jj_parser *p, const char *end)
{
    int loops = p->loops;
    p->loops = 0;
    struct jj_body b = parse_whole_body(p, end);
    p->loops = loops;
    return b;
}

/* ---- statements ---- */

static struct jj_node *parse_if(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_IF), *tail = n;
    for (;;) {
        p->tok++;
        tail->a = jj_parse_tuple(p, false, NULL);
        tail->body = parse_body(p, "elif else endif");
        if (!jj_is_name(p, "elif"))
            break;
        struct jj_node *next = jj_node(p, N_IF);
        tail->other.v = jj_alloc(p->j, sizeof *tail->other.v);
        tail->other.v[0] = next;
        tail->other.n = 1;
        tail = next;
        if (++n->n_kids > JJ_CHAIN_MAX)
            jj_fail(p->j, "more than %d elif", JJ_CHAIN_MAX);
    }
    n->n_kids = 0;
    if (jj_take_name(p, "else"))
        tail->other = parse_whole_body(p, "endif");
    else
        p->tok++;
    return n;
}

static struct jj_node *parse_for(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_FOR);
    p->tok++;
    n->a = jj_parse_target(p, false, "in");
    expect_keyword(p, "in");
    n->b = jj_parse_tuple(p, false, "recursive");
    if (jj_take_name(p, "if"))
        n->c = jj_parse_expression(p);
    n->flag = jj_take_name(p, "recursive");
    int outer = p->loops;
    p->loops = n->flag ? 1 : outer + 1;
    n->body = parse_body(p, "endfor else");
    p->loops = n->flag ? 0 : outer;
    if (jj_take_name(p, "else"))
        n->other = parse_whole_body(p, "endfor");
    else
        p->tok++;
    p->loops = outer;
    return n;
}

static struct jj_node *parse_set(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_SET);
    p->tok++;
    n->a = jj_parse_target(p, true, NULL);
    if (jj_take_op(p, '=')) {
        n->b = jj_parse_tuple(p, true, NULL);
        return n;
    }
    n->kind = N_SETBLOCK;
    n->b = jj_parse_filters(p, NULL, false);
    n->body = parse_whole_body(p, "endset");
    return n;
}

static void parse_signature(struct jj_parser *p, struct jj_node *n)
{
    size_t cap = 0;
    bool defaults = false;
    jj_expect_op(p, '(');
    while (!jj_is_op(p, ')')) {
        if (n->n_args)
            jj_expect_op(p, ',');
        struct jj_arg arg = {.name = jj_expect_name(p)};
        if (jj_take_op(p, '=')) {
            arg.value = jj_parse_expression(p);
            defaults = true;
        } else if (defaults) {
            jj_unexpected(p, "a default (parameters before it have one)");
        }
        n->args = jj_grow(p->j, n->args, n->n_args + 1, &cap, sizeof *n->args);
        n->args[n->n_args++] = arg;
    }
    p->tok++;
}

static struct jj_node *parse_macro(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_MACRO);
    p->tok++;
    n->name = jj_expect_name(p);
    parse_signature(p, n);
    n->body = parse_callable_body(p, "endmacro");
    return n;
}

static struct jj_node *parse_call_block(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_CALLBLOCK);
    p->tok++;
    n->b = jj_node(p, N_MACRO); /* the caller */
    if (jj_is_op(p, '('))
        parse_signature(p, n->b);
    n->a = jj_parse_expression(p);
    if (n->a->kind != N_CALL)
        jj_unexpected(p, "a call");
    n->b->body = parse_callable_body(p, "endcall");
    return n;
}

static struct jj_node *parse_filter_block(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_FILTERBLOCK);
    p->tok++;
    n->b = jj_parse_filters(p, NULL, true);
    n->body = parse_whole_body(p, "endfilter");
    return n;
}

static struct jj_node *parse_with(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_WITH);
    size_t cap = 0;
    p->tok++;
    while (p->tok->kind != TK_BLOCK_END) {
        if (n->n_kids)
            jj_expect_op(p, ',');
        struct jj_node *set = jj_node(p, N_SET);
        set->a = jj_parse_target(p, false, NULL);
        jj_expect_op(p, '=');
        set->b = jj_parse_expression(p);
        n->kids = jj_grow(p->j, n->kids, n->n_kids + 1, &cap, sizeof *n->kids);
        n->kids[n->n_kids++] = set;
    }
    n->body = parse_whole_body(p, "endwith");
    return n;
}

static struct jj_node *parse_print(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_PRINT);
    size_t cap = 0;
    p->tok++;
    while (p->tok->kind != TK_BLOCK_END) {
        if (n->n_kids)
            jj_expect_op(p, ',');
        struct jj_node *kid = jj_parse_expression(p);
        n->kids = jj_grow(p->j, n->kids, n->n_kids + 1, &cap, sizeof *n->kids);
        n->kids[n->n_kids++] = kid;
    }
    return n;
}

static struct jj_node *parse_generation(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_SCOPE);
    n->flag = p->t->has_generation = true;
    p->tok++;
    n->body = parse_callable_body(p, "endgeneration");
    return n;
}

static struct jj_node *parse_block(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_SCOPE);
    p->tok++;
    const struct jj_name *name = jj_expect_name(p);
    jj_take_name(p, "scoped");
    jj_take_name(p, "required");
    n->body = parse_callable_body(p, "endblock");
    if (p->tok->kind == TK_NAME && str_eq(p->tok->text, name->s))
        p->tok++;
    return n;
}

static struct jj_node *parse_autoescape(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_SCOPE);
    p->tok++;
    if (!jj_take_name(p, "false"))
        jj_unexpected(p, "'false' (escaping is not supported)");
    n->body = parse_whole_body(p, "endautoescape");
    return n;
}

static struct jj_node *parse_loader(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, N_LOADER);
    while (p->tok->kind != TK_BLOCK_END && p->tok->kind != TK_EOF)
        p->tok++;
    return n;
}

static struct jj_node *parse_break(struct jj_parser *p)
{
    struct jj_node *n = jj_node(p, jj_is_name(p, "break") ? N_BREAK : N_CONTINUE);
    p->j->at = n->pos;
    if (!p->loops)
        jj_fail(p->j, "'%.*s' outside of a loop", (int)p->tok->text.n, p->tok->text.p);
    p->tok++;
    return n;
}

static struct jj_node *parse_statement(struct jj_parser *p)
{
    static const struct {
        const char *tag;
        struct jj_node *(*parse)(struct jj_parser *p);
    } table[] = {
        {"if", parse_if},
        {"set", parse_set},
        {"for", parse_for},
        {"macro", parse_macro},
        {"call", parse_call_block},
        {"filter", parse_filter_block},
        {"with", parse_with},
        {"print", parse_print},
        {"generation", parse_generation},
        {"break", parse_break},
        {"continue", parse_break},
        {"block", parse_block},
        {"autoescape", parse_autoescape},
        {"include", parse_loader},
        {"import", parse_loader},
        {"from", parse_loader},
        {"extends", parse_loader},
    };
    if (p->tok->kind != TK_NAME)
        jj_unexpected(p, "the name of a tag");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (jj_is_name(p, table[i].tag))
            return table[i].parse(p);
    p->j->at = p->tok->pos;
    jj_fail(p->j, "unknown tag '%.*s'%s%s", (int)(p->tok->text.n > 40 ? 40 : p->tok->text.n),
            p->tok->text.p, p->looking_for ? "; open is a block that ends with " : "",
            p->looking_for ? p->looking_for : "");
}

void jj_parse(struct jinja *t, struct str source)
{
    struct jj_parser p = {.j = t->j, .t = t, .tok = jj_lex(t->j, source)};
    t->body = parse_until(&p, NULL);
    jj_resolve(t);
}
