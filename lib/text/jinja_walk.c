/* jinja_walk.c - walking a parsed template: the children of a node, the mention of a name. */
#include "text/jinja_ast.h"

void jj_each_child(struct jj *j, struct jj_node *n, jj_each_fn *fn, void *arg)
{
    j->at = n->pos;
    jj_push(j);
    struct jj_node *fixed[] = {n->a, n->b, n->c};
    for (size_t i = 0; i < 3; i++)
        if (fixed[i])
            fn(arg, fixed[i]);
    for (size_t i = 0; i < n->n_kids; i++)
        if (n->kids[i])
            fn(arg, n->kids[i]);
    for (size_t i = 0; i < n->n_args; i++)
        if (n->args[i].value)
            fn(arg, n->args[i].value);
    if (n->dyn_args)
        fn(arg, n->dyn_args);
    if (n->dyn_kw)
        fn(arg, n->dyn_kw);
    j->depth--;
}

enum mention { NOT_MENTIONED, READ_FIRST, WRITTEN_FIRST };
struct search {
    struct jj *j;
    const char *name;
    enum mention found;
};

static void find_in(void *arg, struct jj_node *n);

static void find_target(struct search *s, const struct jj_node *n)
{
    if (n->kind == N_NAME && !s->found && str_is(n->name->s, s->name))
        s->found = WRITTEN_FIRST;
    for (size_t i = 0; n->kind == N_TUPLE && i < n->n_kids; i++)
        find_target(s, n->kids[i]);
}

static void find_in_body(struct search *s, const struct jj_body *b)
{
    for (size_t i = 0; i < b->n && !s->found; i++)
        find_in(s, b->v[i]);
}

static void find_in(void *arg, struct jj_node *n)
{
    struct search *s = arg;
    if (s->found)
        return;
    if (n->kind == N_NAME) {
        if (str_is(n->name->s, s->name))
            s->found = READ_FIRST;
        return;
    }
    s->j->at = n->pos;
    jj_push(s->j);
    bool target_first = n->kind == N_FOR || n->kind == N_SET || n->kind == N_SETBLOCK;
    if (target_first)
        find_target(s, n->a);
    for (size_t i = 0; n->kind == N_MACRO && i < n->n_args; i++)
        if (!s->found && str_is(n->args[i].name->s, s->name))
            s->found = WRITTEN_FIRST;
    struct jj_node rest = *n;
    if (target_first)
        rest.a = NULL;
    jj_each_child(s->j, &rest, find_in, s);
    find_in_body(s, &n->body);
    find_in_body(s, &n->other);
    s->j->depth--;
}

bool jj_mentions(struct jj *j, const struct jj_body *b, const char *name)
{
    struct search s = {j, name, NOT_MENTIONED};
    find_in_body(&s, b);
    return s.found == READ_FIRST;
}
