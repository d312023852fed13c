/* jinja_scope.c - which variable a name means: jinja2's compile-time scoping.
 *
 * A template is divided into frames: the root, the body of each loop, macro, set block and so
 * on; {% if %} makes none.  A frame's names are first collected as a whole, then its inner
 * frames follow.  A name that is assigned in a frame is the frame's own from its beginning on:
 * it starts as the outer variable's value, else as the context's, else (when its first mention
 * is an assignment that is not conditional) as undefined.  What is called, that is macros and
 * recursive loops, has slots of its own and reaches outward through `hops`.
 */
#include "text/jinja_run.h"

struct fn {
    struct jj_code *code;
    int level;
};

struct binding {
    struct frame *frame;
    size_t var; /* in the frame's scope */
    struct binding *outer;
};

struct frame {
    struct frame *parent;
    const struct fn *fn;
    struct jj_scope *scope;
    size_t cap;
    bool soft; /* inside an if: unknown filters fail only when they run */
};

struct resolver {
    struct jj *j;
    struct jinja *t;
    struct binding **bound; /* by name id: the innermost */
    struct frame *frame;
};

static void deeper(struct resolver *r, const struct jj_node *n)
{
    r->j->at = n->pos;
    jj_push(r->j);
}

/* ---- frames and their variables ---- */

static void push(struct resolver *r, struct frame *f, struct jj_scope *scope,
                 const struct fn *fn)
{
    *f = (struct frame){.parent = r->frame, .fn = fn, .scope = scope};
    *scope = (struct jj_scope){0};
    r->frame = f;
}

static void pop(struct resolver *r)
{
    struct frame *f = r->frame;
    for (size_t i = 0; i < f->scope->n; i++) {
        struct binding **b = &r->bound[f->scope->vars[i].name->id];
        *b = (*b)->outer;
    }
    r->frame = f->parent;
}

static struct jj_ref ref_to(const struct resolver *r, const struct binding *b)
{
    int hops = r->frame->fn->level - b->frame->fn->level;
    return (struct jj_ref){(uint16_t)hops, b->frame->scope->vars[b->var].slot};
}

static void define(struct resolver *r, const struct jj_name *name, enum jj_load load)
{
    struct frame *f = r->frame;
    struct jj_var v = {.name = name, .load = load, .slot = f->fn->code->n_slots++};
    struct binding *outer = r->bound[name->id], *b = jj_alloc(r->j, sizeof *b);
    if (load == LOAD_ALIAS)
        v.alias = ref_to(r, outer);
    f->scope->vars = jj_grow(r->j, f->scope->vars, f->scope->n + 1, &f->cap,
                             sizeof *f->scope->vars);
    *b = (struct binding){f, f->scope->n, outer};
    f->scope->vars[f->scope->n++] = v;
    r->bound[name->id] = b;
}

static void note_load(struct resolver *r, const struct jj_name *name)
{
    if (!r->bound[name->id])
        define(r, name, LOAD_CONTEXT);
}

static void note_store(struct resolver *r, const struct jj_name *name, bool conditional)
{
    const struct binding *b = r->bound[name->id];
    if (b && b->frame == r->frame)
        return;
    define(r, name, b ? LOAD_ALIAS : conditional ? LOAD_CONTEXT : LOAD_MISSING);
}

static int64_t declare(struct resolver *r, const struct jj_name *name)
{
    const struct binding *b = r->bound[name->id];
    if (b && b->frame == r->frame)
        r->frame->scope->vars[b->var].load = LOAD_PARAM;
    else
        define(r, name, LOAD_PARAM);
    return r->frame->scope->vars[r->bound[name->id]->var].slot;
}

static struct jj_ref ref_of(struct resolver *r, const struct jj_name *name)
{
    note_load(r, name);
    return ref_to(r, r->bound[name->id]);
}

/* ---- expressions ---- */

static void note_loads(void *arg, struct jj_node *n)
{
    struct resolver *r = arg;
    if (n->kind == N_NAME)
        note_load(r, n->name);
    else
        jj_each_child(r->j, n, note_loads, r);
}

static void loads(struct resolver *r, struct jj_node *n)
{
    if (n)
        note_loads(r, n);
}

static void check_known(struct resolver *r, const struct jj_node *n)
{
    if (n->func || r->frame->soft)
        return;
    r->j->at = n->pos;
    jj_fail(r->j, "no %s named '%.*s'", n->kind == N_FILTER ? "filter" : "test",
            (int)(n->name->s.n > 60 ? 60 : n->name->s.n), n->name->s.p);
}

static void resolve_node(void *arg, struct jj_node *n)
{
    struct resolver *r = arg;
    bool soft = r->frame->soft;
    if (n->kind == N_NAME) {
        n->ref = ref_of(r, n->name);
        return;
    }
    if (n->kind == N_FILTER || n->kind == N_TEST)
        check_known(r, n);
    r->frame->soft |= n->kind == N_COND;
    jj_each_child(r->j, n, resolve_node, r);
    r->frame->soft = soft;
}

static void resolve(struct resolver *r, struct jj_node *n)
{
    if (n)
        resolve_node(r, n);
}

/* ---- targets ---- */

static void note_targets(struct resolver *r, struct jj_node *n, bool conditional)
{
    if (n->kind == N_NAME)
        note_store(r, n->name, conditional);
    else if (n->kind == N_NSREF)
        note_load(r, n->a->name);
    for (size_t i = 0; n->kind == N_TUPLE && i < n->n_kids; i++)
        note_targets(r, n->kids[i], conditional);
}

static void declare_targets(struct resolver *r, struct jj_node *n)
{
    if (n->kind == N_NAME)
        declare(r, n->name);
    for (size_t i = 0; n->kind == N_TUPLE && i < n->n_kids; i++)
        declare_targets(r, n->kids[i]);
}

static struct jj_node *copy_target(struct resolver *r, const struct jj_node *n)
{
    struct jj_node *copy = jj_alloc(r->j, sizeof *copy);
    *copy = *n;
    if (n->n_kids)
        copy->kids = jj_alloc_n(r->j, n->n_kids, sizeof *copy->kids);
    for (size_t i = 0; i < n->n_kids; i++)
        copy->kids[i] = copy_target(r, n->kids[i]);
    return copy;
}

/* ---- statements, first pass: the names of the frame itself ---- */

static void note_body(struct resolver *r, const struct jj_body *b, bool conditional);

static void note(struct resolver *r, struct jj_node *n, bool conditional)
{
    deeper(r, n);
    switch (n->kind) {
    case N_IF:
        loads(r, n->a);
        note_body(r, &n->body, true);
        note_body(r, &n->other, true);
        break;
    case N_SET:
        loads(r, n->b);
        note_targets(r, n->a, conditional);
        break;
    case N_SETBLOCK: note_targets(r, n->a, conditional); break;
    case N_MACRO: note_store(r, n->name, conditional); break;
    case N_FOR:
    case N_FILTERBLOCK: loads(r, n->b); break;
    case N_CALLBLOCK: loads(r, n->a); break;
    case N_PRINT:
        for (size_t i = 0; i < n->n_kids; i++)
            loads(r, n->kids[i]);
        break;
    case N_WITH:
        for (size_t i = 0; i < n->n_kids; i++)
            loads(r, n->kids[i]->b);
        break;
    default: break;
    }
    r->j->depth--;
}

static void note_body(struct resolver *r, const struct jj_body *b, bool conditional)
{
    for (size_t i = 0; i < b->n; i++)
        note(r, b->v[i], conditional);
}

/* ---- second pass: slots, and the inner frames ---- */

static void visit_body(struct resolver *r, const struct jj_body *b);

static struct fn new_fn(struct resolver *r, struct jj_node *n)
{
    n->code = jj_zalloc(r->j, sizeof *n->code);
    return (struct fn){n->code, r->frame->fn->level + 1};
}

/* Nobody may write to `loop` in a loop. */
static void check_loop_name(struct resolver *r, const struct jj_node *target)
{
    r->j->at = target->pos;
    if (target->kind == N_NAME && str_is(target->name->s, "loop"))
        jj_fail(r->j, "cannot assign to the special variable 'loop' inside a loop");
    for (size_t i = 0; target->kind == N_TUPLE && i < target->n_kids; i++)
        check_loop_name(r, target->kids[i]);
}

static void check_loop_body(struct resolver *r, const struct jj_body *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct jj_node *n = b->v[i];
        deeper(r, n);
        if (n->kind == N_SET || n->kind == N_SETBLOCK || n->kind == N_FOR)
            check_loop_name(r, n->a);
        check_loop_body(r, &n->body);
        check_loop_body(r, &n->other);
        if (n->kind == N_CALLBLOCK)
            check_loop_body(r, &n->b->body);
        r->j->depth--;
    }
}

static void visit_for(struct resolver *r, struct jj_node *n)
{
    struct frame f;
    struct fn own, *fn = NULL;
    const struct fn *around = r->frame->fn;
    check_loop_name(r, n->a);
    check_loop_body(r, &n->body);
    resolve(r, n->b);
    if (n->flag) {
        own = new_fn(r, n);
        fn = &own;
    }
    n->needs_loop = n->flag || jj_mentions(r->j, &n->body, "loop");
    push(r, &f, &n->scope, fn ? fn : around);
    if (n->needs_loop)
        n->slot_loop = declare(r, jj_intern(r->t, STR("loop")));
    declare_targets(r, n->a);
    note_body(r, &n->body, false);
    resolve(r, n->a);
    visit_body(r, &n->body);
    pop(r);
    if (n->c) {
        push(r, &f, &n->test_scope, fn ? fn : around);
        struct jj_node *target = copy_target(r, n->a);
        declare_targets(r, target);
        loads(r, n->c);
        resolve(r, target);
        resolve(r, n->c);
        pop(r);
        n->kids = jj_alloc(r->j, sizeof *n->kids);
        n->kids[0] = target; /* the filter looks ahead: it has variables of its own */
        n->n_kids = 1;
    }
    push(r, &f, &n->other_scope, fn ? fn : around);
    note_body(r, &n->other, false);
    visit_body(r, &n->other);
    pop(r);
}

static void special_parameter(struct resolver *r, struct jj_node *n, const char *name,
                              int64_t *slot)
{
    if (!jj_mentions(r->j, &n->body, name))
        return;
    for (size_t i = 0; i < n->n_args; i++) {
        if (!str_is(n->args[i].name->s, name))
            continue;
        r->j->at = n->pos;
        if (slot == &n->slot_caller && !n->args[i].value)
            jj_fail(r->j, "the parameter 'caller' must be left out or have a default");
        return;
    }
    *slot = declare(r, jj_intern(r->t, str_of(name)));
}

/* A macro, or the body of a call block. */
static void visit_callable(struct resolver *r, struct jj_node *n)
{
    struct frame f;
    struct fn fn = new_fn(r, n);
    push(r, &f, &n->scope, &fn);
    for (size_t i = 0; i < n->n_args; i++)
        n->args[i].slot = declare(r, n->args[i].name);
    for (size_t i = 0; i < n->n_args; i++)
        loads(r, n->args[i].value);
    note_body(r, &n->body, false);
    special_parameter(r, n, "caller", &n->slot_caller);
    special_parameter(r, n, "kwargs", &n->slot_kwargs);
    special_parameter(r, n, "varargs", &n->slot_varargs);
    for (size_t i = 0; i < n->n_args; i++)
        resolve(r, n->args[i].value);
    visit_body(r, &n->body);
    pop(r);
}

/* Blocks whose text is taken: {% set %}…, {% filter %}, {% generation %}. */
static void visit_block(struct resolver *r, struct jj_node *n, struct jj_node *filter)
{
    struct frame f;
    push(r, &f, &n->scope, r->frame->fn);
    note_body(r, &n->body, false);
    loads(r, filter);
    resolve(r, filter);
    visit_body(r, &n->body);
    pop(r);
}

static void visit_with(struct resolver *r, struct jj_node *n)
{
    struct frame f;
    for (size_t i = 0; i < n->n_kids; i++)
        resolve(r, n->kids[i]->b);
    push(r, &f, &n->scope, r->frame->fn);
    for (size_t i = 0; i < n->n_kids; i++)
        declare_targets(r, n->kids[i]->a);
    note_body(r, &n->body, false);
    for (size_t i = 0; i < n->n_kids; i++)
        resolve(r, n->kids[i]->a);
    visit_body(r, &n->body);
    pop(r);
}

static void visit(struct resolver *r, struct jj_node *n)
{
    bool soft = r->frame->soft;
    deeper(r, n);
    switch (n->kind) {
    case N_IF:
        r->frame->soft = true;
        resolve(r, n->a);
        visit_body(r, &n->body);
        visit_body(r, &n->other);
        r->frame->soft = soft;
        break;
    case N_PRINT:
        for (size_t i = 0; i < n->n_kids; i++)
            resolve(r, n->kids[i]);
        break;
    case N_SET:
        resolve(r, n->b);
        resolve(r, n->a);
        break;
    case N_SETBLOCK:
        visit_block(r, n, n->b);
        resolve(r, n->a);
        break;
    case N_FILTERBLOCK: visit_block(r, n, n->b); break;
    case N_SCOPE: visit_block(r, n, NULL); break;
    case N_FOR: visit_for(r, n); break;
    case N_WITH: visit_with(r, n); break;
    case N_MACRO:
        visit_callable(r, n);
        n->ref = ref_of(r, n->name);
        break;
    case N_CALLBLOCK:
        visit_callable(r, n->b);
        resolve(r, n->a);
        break;
    default: break;
    }
    r->j->depth--;
}

static void visit_body(struct resolver *r, const struct jj_body *b)
{
    for (size_t i = 0; i < b->n; i++)
        visit(r, b->v[i]);
}

void jj_resolve(struct jinja *t)
{
    static const char *const special[] = {"loop", "caller", "kwargs", "varargs"};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        jj_intern(t, str_of(special[i]));
    struct resolver r = {.j = t->j, .t = t};
    r.bound = jj_zalloc(t->j, t->n_names * sizeof *r.bound);
    struct fn fn = {&t->code, 0};
    struct frame f;
    push(&r, &f, &t->scope, &fn);
    note_body(&r, &t->body, false);
    visit_body(&r, &t->body);
    pop(&r);
}
