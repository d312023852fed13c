/* jinja_exec.c - statements: what they write, set and walk. */
#include "text/jinja_run.h"

#include <stdlib.h>

/* ---- output ---- */

static void count_written(struct jj *j, size_t n)
{
    j->written += (int64_t)n;
    if (j->written > j->written_max)
        jj_fail(j, "more than %lld bytes of output", (long long)j->written_max);
}

void jj_write(struct jj *j, const char *p, size_t n)
{
    count_written(j, n);
    buf_add(j->out, p, n);
}

static void write_value(struct jj *j, struct jj_val v)
{
    size_t before = j->out->n;
    if (v.t == T_STR) {
        jj_write(j, v.s->p, v.s->n);
        return;
    }
    jj_put_str(j, j->out, v);
    count_written(j, j->out->n - before);
}

void jj_capture_begin(struct jj *j)
{
    struct jj_capture *c = j->spare;
    if (c)
        j->spare = c->next;
    else
        c = xcalloc(1, sizeof *c);
    buf_clear(&c->text);
    c->next = j->captures;
    j->captures = c;
    j->out = &c->text;
}

struct jj_val jj_capture_end(struct jj *j)
{
    struct jj_capture *c = j->captures;
    struct jj_val v = jj_text(j, c->text.p, c->text.n);
    j->captures = c->next;
    c->next = j->spare;
    j->spare = c;
    j->out = j->captures ? &j->captures->text : j->final;
    return v;
}

/* ---- variables ---- */

struct jj_act *jj_act_new(struct jj *j, const struct jj_code *code, struct jj_act *up)
{
    struct jj_act *a = jj_alloc(j, sizeof *a + code->n_slots * sizeof *a->slot);
    a->up = up;
    for (uint32_t i = 0; i < code->n_slots; i++)
        a->slot[i] = jj_missing();
    return a;
}

void jj_enter(struct jj *j, const struct jj_scope *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct jj_var *v = &s->vars[i];
        struct jj_val *slot = &j->act->slot[v->slot];
        switch (v->load) {
        case LOAD_PARAM: break;
        case LOAD_CONTEXT: *slot = jj_global(j, v->name); break;
        case LOAD_ALIAS: *slot = *jj_slot(j, v->alias); break;
        case LOAD_MISSING: *slot = jj_missing(); break;
        }
    }
}

void jj_leave(struct jj *j, const struct jj_scope *s)
{
    for (size_t i = 0; i < s->n; i++)
        j->act->slot[s->vars[i].slot] = jj_missing();
}

static void assign_attr(struct jj *j, const struct jj_node *target, struct jj_val v)
{
    struct jj_val ns = *jj_slot(j, target->a->ref);
    struct str name = target->name->s;
    j->at = target->pos;
    if (ns.t != T_NAMESPACE)
        jj_fail(j, "only a namespace's attributes can be set");
    jj_dict_set(j, ns.d, jj_text_borrow(j, name.p, name.n), v);
}

void jj_assign(struct jj *j, const struct jj_node *target, struct jj_val v)
{
    if (target->kind == N_NAME) {
        *jj_slot(j, target->ref) = v;
        return;
    }
    if (target->kind == N_NSREF) {
        assign_attr(j, target, v);
        return;
    }
    struct jj_val list = jj_to_list(j, v);
    if (list.seq->n != target->n_kids) {
        j->at = target->pos;
        jj_fail(j, "%zu values for %zu names", list.seq->n, target->n_kids);
    }
    for (size_t i = 0; i < target->n_kids; i++)
        jj_assign(j, target->kids[i], list.seq->v[i]);
}

/* ---- loops ---- */

static struct jj_iter *loop_iter(struct jj *j, const struct jj_node *n, struct jj_val iterable)
{
    struct jj_iter *it = jj_iter(j, iterable);
    if (!n->c)
        return it;
    struct jj_iter *where = jj_zalloc(j, sizeof *where);
    where->kind = ITER_WHERE;
    where->from = it;
    where->def = n;
    return where;
}

static struct jj_loop *loop_new(struct jj *j, const struct jj_node *n, struct jj_val iterable,
                                struct jj_iter *it, int depth0, struct jj_act *up)
{
    struct jj_loop *l = jj_zalloc(j, sizeof *l);
    *l = (struct jj_loop){.def = n, .up = up, .it = it, .depth0 = depth0};
    l->index0 = -1;
    l->length = n->c || iterable.t == T_LOOP ? -1 : jj_length(j, iterable);
    return l;
}

bool jj_loop_next(struct jj *j, struct jj_loop *l)
{
    struct jj_val v = l->after;
    l->after = jj_missing();
    if (!jj_given(v) && (l->ended || !jj_next(j, l->it, &v))) {
        l->ended = true;
        return false;
    }
    l->index0++;
    l->before = l->current;
    l->current = v;
    return true;
}

/* What comes back is the flow of the else branch, which stands outside of the loop. */
static enum jj_flow run_loop(struct jj *j, const struct jj_node *n, struct jj_val iterable,
                             int depth0, struct jj_act *up)
{
    struct jj_iter *it = loop_iter(j, n, iterable);
    struct jj_loop *loop = n->needs_loop ? loop_new(j, n, iterable, it, depth0, up) : NULL;
    enum jj_flow flow = FLOW_ON;
    bool any = false;
    struct jj_val v;
    if (loop)
        j->act->slot[n->slot_loop] = (struct jj_val){.t = T_LOOP, .loop = loop};
    while (flow != FLOW_BREAK && (loop ? jj_loop_next(j, loop) : jj_next(j, it, &v))) {
        jj_assign(j, n->a, loop ? loop->current : v);
        if (loop)
            j->act->slot[n->slot_loop] = (struct jj_val){.t = T_LOOP, .loop = loop};
        jj_enter(j, &n->scope);
        flow = jj_exec(j, &n->body);
        any |= flow == FLOW_ON; /* jinja2 notes it at the end of the body */
    }
    jj_leave(j, &n->scope);
    if (any || !n->other.n)
        return FLOW_ON;
    jj_enter(j, &n->other_scope);
    flow = jj_exec(j, &n->other);
    jj_leave(j, &n->other_scope);
    return flow;
}

static struct jj_val run_recursive(struct jj *j, const struct jj_node *n,
                                   struct jj_val iterable, int depth0, struct jj_act *up)
{
    struct jj_act *act = j->act;
    if (++j->calls > JJ_NEST_MAX)
        jj_fail(j, "a loop calls itself deeper than %d", JJ_NEST_MAX);
    j->act = jj_act_new(j, n->code, up);
    jj_capture_begin(j);
    run_loop(j, n, iterable, depth0, up);
    j->act = act;
    j->calls--;
    return jj_capture_end(j);
}

struct jj_val jj_recurse(struct jj *j, const struct jj_loop *l, struct jj_val iterable)
{
    if (!l->def->flag)
        jj_fail(j, "only a loop marked 'recursive' can be called");
    return run_recursive(j, l->def, iterable, l->depth0 + 1, l->up);
}

static enum jj_flow exec_for(struct jj *j, const struct jj_node *n)
{
    struct jj_val iterable = jj_eval(j, n->b);
    if (!n->flag)
        return run_loop(j, n, iterable, 0, NULL);
    write_value(j, run_recursive(j, n, iterable, 0, j->act));
    return FLOW_ON;
}

/* ---- statements ---- */

static enum jj_flow exec_if(struct jj *j, const struct jj_node *n)
{
    for (;;) {
        if (jj_true(j, jj_eval(j, n->a)))
            return jj_exec(j, &n->body);
        if (n->other.n != 1 || n->other.v[0]->kind != N_IF)
            return jj_exec(j, &n->other);
        n = n->other.v[0];
        j->at = n->pos;
    }
}

static enum jj_flow exec_captured(struct jj *j, const struct jj_node *n)
{
    jj_enter(j, &n->scope);
    jj_capture_begin(j);
    enum jj_flow flow = jj_exec(j, &n->body);
    struct jj_val text = jj_capture_end(j);
    if (flow == FLOW_ON && n->b)
        text = jj_apply_filters(j, n->b, text);
    if (flow == FLOW_ON && n->kind == N_SETBLOCK)
        jj_assign(j, n->a, text);
    else if (flow == FLOW_ON)
        write_value(j, text);
    jj_leave(j, &n->scope);
    return flow;
}

static enum jj_flow exec_with(struct jj *j, const struct jj_node *n)
{
    jj_enter(j, &n->scope);
    for (size_t i = 0; i < n->n_kids; i++)
        jj_assign(j, n->kids[i]->a, jj_eval(j, n->kids[i]->b));
    enum jj_flow flow = jj_exec(j, &n->body);
    jj_leave(j, &n->scope);
    return flow;
}

static enum jj_flow exec_scope(struct jj *j, const struct jj_node *n)
{
    /* What is captured for another use may never be written, or twice. */
    bool mark = n->flag && j->marks && j->out == j->final;
    size_t start = j->out->n;
    jj_enter(j, &n->scope);
    enum jj_flow flow = jj_exec(j, &n->body);
    jj_leave(j, &n->scope);
    if (mark && j->out->n > start) {
        struct jinja_marks *m = j->marks;
        GROW(m->v, m->cap, m->n + 1);
        m->v[m->n++] = (struct jinja_mark){start - j->begin, j->out->n - j->begin};
    }
    return flow;
}

static struct jj_val macro_value(struct jj *j, const struct jj_node *def)
{
    struct jj_macro *m = jj_alloc(j, sizeof *m);
    *m = (struct jj_macro){def, j->act};
    return (struct jj_val){.t = T_MACRO, .macro = m};
}

static enum jj_flow exec_node(struct jj *j, const struct jj_node *n)
{
    switch (n->kind) {
    case N_TEXT: jj_write(j, n->value.s->p, n->value.s->n); break;
    case N_PRINT:
        for (size_t i = 0; i < n->n_kids; i++)
            write_value(j, jj_eval(j, n->kids[i]));
        break;
    case N_IF: return exec_if(j, n);
    case N_FOR: return exec_for(j, n);
    case N_SET: jj_assign(j, n->a, jj_eval(j, n->b)); break;
    case N_SETBLOCK:
    case N_FILTERBLOCK: return exec_captured(j, n);
    case N_WITH: return exec_with(j, n);
    case N_SCOPE: return exec_scope(j, n);
    case N_MACRO: *jj_slot(j, n->ref) = macro_value(j, n); break;
    case N_CALLBLOCK: write_value(j, jj_eval_call_block(j, n->a, macro_value(j, n->b))); break;
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: jj_fail(j, "a chat template has no other templates to take in");
    }
    return FLOW_ON;
}

enum jj_flow jj_exec(struct jj *j, const struct jj_body *b)
{
    struct jj_pos at = j->at;
    enum jj_flow flow = FLOW_ON;
    jj_push(j);
    for (size_t i = 0; i < b->n && flow == FLOW_ON; i++) {
        j->at = b->v[i]->pos;
        jj_step(j, 1);
        flow = exec_node(j, b->v[i]);
    }
    j->depth--;
    j->at = at;
    return flow;
}
