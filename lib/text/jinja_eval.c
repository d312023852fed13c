/* jinja_eval.c - expressions to values. */
#include "text/jinja_run.h"

#include <string.h>

struct jj_val *jj_slot(struct jj *j, struct jj_ref r)
{
    struct jj_act *a = j->act;
    for (int i = r.hops; i; i--)
        a = a->up;
    return &a->slot[r.slot];
}

/* ---- attributes and items ---- */

static bool starts_with(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && !memcmp(s.p, prefix, n);
}

static struct jj_val method_value(struct jj *j, struct jj_val self, const struct jj_func *func)
{
    struct jj_method *m = jj_alloc(j, sizeof *m);
    *m = (struct jj_method){func, self};
    return (struct jj_val){.t = T_METHOD, .method = m};
}

static struct jj_val cycler_attr(struct jj *j, struct jj_val v, struct str name)
{
    if (str_is(name, "current"))
        return v.cycler->items.v[v.cycler->at];
    const struct jj_func *f = jj_find_method(v, name, NULL);
    return f ? method_value(j, v, f) : jj_missing();
}

/* What getattr() finds in Python; T_MISSING where it finds nothing. */
static struct jj_val attribute(struct jj *j, struct jj_val of, struct str name)
{
    bool unsafe = starts_with(name, "__");
    struct jj_val *v;
    switch (of.t) {
    case T_UNDEF: jj_fail_undef(j, of);
    case T_NAMESPACE:
        v = starts_with(name, "_") ? NULL : jj_dict_find(of.d, name);
        return v ? *v : jj_missing();
    case T_LOOP: return jj_loop_attr(j, of.loop, name);
    case T_CYCLER: return cycler_attr(j, of, name);
    case T_MACRO:
        if (str_is(name, "name") && of.macro->def->name)
            return jj_text_borrow(j, of.macro->def->name->s.p, of.macro->def->name->s.n);
        return jj_missing();
    default: break;
    }
    const struct jj_func *f = unsafe ? NULL : jj_find_method(of, name, &unsafe);
    if (f)
        return method_value(j, of, f);
    return unsafe ? jj_undef_item(j, of, jj_text_borrow(j, name.p, name.n), true)
                  : jj_missing();
}

static struct jj_val seq_item(struct jj *j, struct jj_val of, int64_t i)
{
    int64_t n = jj_length(j, of);
    if (i < 0)
        i += n;
    if (i < 0 || i >= n)
        return jj_missing();
    if (of.t == T_STR)
        return jj_substr(j, of.s, (size_t)i, (size_t)i + 1);
    if (of.t == T_RANGE)
        return jj_int(of.range->start + i * of.range->step);
    return of.seq->v[i];
}

/* What of[key] finds in Python. */
static struct jj_val item(struct jj *j, struct jj_val of, struct jj_val key)
{
    int64_t i;
    struct jj_val *v;
    switch (of.t) {
    case T_UNDEF: jj_fail_undef(j, of);
    case T_STR:
    case T_RANGE:
    case T_LIST:
    case T_TUPLE: return jj_is_int(key, &i) ? seq_item(j, of, i) : jj_missing();
    case T_DICT:
        if (key.t == T_LIST || key.t == T_DICT)
            return jj_missing();
        v = jj_dict_get(j, of.d, key);
        return v ? *v : jj_missing();
    default: return jj_missing();
    }
}

struct jj_val jj_getattr(struct jj *j, struct jj_val of, struct str name)
{
    struct jj_val v = attribute(j, of, name);
    if (!jj_given(v) && of.t == T_DICT) {
        struct jj_val *found = jj_dict_find(of.d, name);
        if (found)
            return *found;
    }
    return jj_given(v) ? v : jj_undef_item(j, of, jj_text_borrow(j, name.p, name.n), false);
}

struct jj_val jj_getitem(struct jj *j, struct jj_val of, struct jj_val key)
{
    struct jj_val v = item(j, of, key);
    if (!jj_given(v) && key.t == T_STR)
        v = attribute(j, of, jj_bytes(key));
    return jj_given(v) ? v : jj_undef_item(j, of, key, false);
}

/* A bound of a slice, brought into [low, high]. */
static int64_t bound(struct jj *j, struct jj_val v, int64_t n, int64_t otherwise, int64_t low,
                     int64_t high)
{
    if (!jj_given(v) || v.t == T_NONE)
        return otherwise;
    int64_t i = jj_want_int(j, v, "a slice's bound");
    if (i < 0 && i > INT64_MIN / 2)
        i += n;
    return i < low ? low : i > high ? high : i;
}

static struct jj_val stepped(struct jj *j, struct jj_val of, int64_t from, int64_t to,
                             int64_t step, int64_t n)
{
    if (of.t == T_STR) {
        struct jj_val chars = jj_to_list(j, of);
        buf_clear(&j->scratch);
        for (int64_t i = 0; i < n; i++)
            buf_addstr(&j->scratch, jj_bytes(chars.seq->v[from + i * step]));
        return jj_as_markup(j, jj_scratch_text(j), of.s->markup);
    }
    if (of.t == T_RANGE) {
        const struct jj_range *r = of.range;
        struct jj_range *part = jj_alloc(j, sizeof *part);
        uint64_t first = (uint64_t)r->start,
                 each = (uint64_t)r->step; /* may wrap past the end */
        *part = (struct jj_range){(int64_t)(first + (uint64_t)from * each),
                                  (int64_t)(first + (uint64_t)to * each),
                                  (int64_t)((uint64_t)step * each), n};
        return (struct jj_val){.t = T_RANGE, .range = part};
    }
    struct jj_val v = jj_seq(j, of.t, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        v.seq->v[i] = of.seq->v[from + i * step];
    return v;
}

struct jj_val jj_slice(struct jj *j, struct jj_val of, const struct jj_val b[3])
{
    jj_check_defined(j, of);
    if (of.t != T_STR && of.t != T_LIST && of.t != T_TUPLE && of.t != T_RANGE)
        jj_fail(j, "a %s cannot be sliced", jj_type_name(of));
    int64_t n = jj_length(j, of), count;
    int64_t step = jj_given(b[2]) && b[2].t != T_NONE ? jj_want_int(j, b[2], "a slice's step")
                                                      : 1;
    if (step == 0)
        jj_fail(j, "a slice's step is zero");
    bool back = step < 0;
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
    int64_t from = bound(j, b[0], n, back ? high : low, low, high);
    int64_t to = bound(j, b[1], n, back ? low : high, low, high);
    if (step == 1 && of.t == T_STR)
        return jj_substr(j, of.s, (size_t)from, (size_t)(to < from ? from : to));
    if (step < -n - 1)
        step = -n - 1;
    if (back)
        count = from > to ? (from - to - 1) / -step + 1 : 0;
    else
        count = to > from ? (to - from - 1) / step + 1 : 0;
    return stepped(j, of, from, to, step, count);
}

/* ---- calls ---- */

struct call {
    struct jj_val *v;
    struct jj_kw *kw;
    size_t n, n_kw, cap, cap_kw;
};

static void add_keyword(struct jj *j, struct call *c, struct str name, struct jj_val v)
{
    for (size_t i = 0; i < c->n_kw; i++)
        if (str_eq(c->kw[i].name, name))
            jj_fail(j, "the argument '%.*s' is given twice", (int)name.n, name.p);
    c->kw = jj_grow(j, c->kw, c->n_kw + 1, &c->cap_kw, sizeof *c->kw);
    c->kw[c->n_kw++] = (struct jj_kw){name, v};
}

static void add_positional(struct jj *j, struct call *c, struct jj_val v)
{
    c->v = jj_grow(j, c->v, c->n + 1, &c->cap, sizeof *c->v);
    c->v[c->n++] = v;
}

static void add_unpacked(struct jj *j, struct call *c, const struct jj_node *n)
{
    if (n->dyn_args) {
        struct jj_val list = jj_to_list(j, jj_eval(j, n->dyn_args));
        for (size_t i = 0; i < list.seq->n; i++)
            add_positional(j, c, list.seq->v[i]);
    }
    if (!n->dyn_kw)
        return;
    struct jj_val d = jj_eval(j, n->dyn_kw);
    if (d.t != T_DICT)
        jj_fail(j, "what follows '**' must be a dict, not a %s", jj_type_name(d));
    for (size_t i = 0; i < d.d->n; i++)
        add_keyword(j, c, jj_want_str(j, d.d->e[i].key, "a keyword"), d.d->e[i].value);
}

static struct jj_args arguments(struct jj *j, const struct jj_node *n, struct call *c)
{
    *c = (struct call){0};
    for (size_t i = 0; i < n->n_args; i++) {
        struct jj_val v = jj_eval(j, n->args[i].value);
        if (n->args[i].name)
            add_keyword(j, c, n->args[i].name->s, v);
        else
            add_positional(j, c, v);
    }
    if (n->dyn_args || n->dyn_kw)
        add_unpacked(j, c, n);
    return (struct jj_args){c->v, c->n, c->kw, c->n_kw};
}

static struct jj_val eval_call(struct jj *j, const struct jj_node *n, struct jj_val caller)
{
    struct call c;
    struct jj_val f = jj_eval(j, n->a);
    struct jj_args a = arguments(j, n, &c);
    if (jj_given(caller)) {
        add_keyword(j, &c, STR("caller"), caller);
        a = (struct jj_args){c.v, c.n, c.kw, c.n_kw};
    }
    return jj_call_value(j, f, &a);
}

struct jj_val jj_eval_call_block(struct jj *j, const struct jj_node *call, struct jj_val caller)
{
    j->at = call->pos;
    return eval_call(j, call, caller);
}

static struct jj_val eval_filter(struct jj *j, const struct jj_node *n)
{
    struct call c;
    if (!n->func)
        jj_fail(j, "no %s named '%.*s'", n->kind == N_FILTER ? "filter" : "test",
                (int)(n->name->s.n > 60 ? 60 : n->name->s.n), n->name->s.p);
    struct jj_val x = n->a ? jj_eval(j, n->a) : *j->filtered;
    struct jj_args a = arguments(j, n, &c);
    struct jj_val v = n->func->call(j, x, &a);
    return n->kind == N_TEST && n->flag ? jj_bool(!jj_true(j, v)) : v;
}

struct jj_val jj_apply_filters(struct jj *j, const struct jj_node *n, struct jj_val text)
{
    const struct jj_val *outer = j->filtered;
    j->filtered = &text;
    struct jj_val v = jj_eval(j, n);
    j->filtered = outer;
    return v;
}

/* ---- the rest ---- */

static struct jj_val eval_seq(struct jj *j, const struct jj_node *n)
{
    struct jj_val v = jj_seq(j, n->kind == N_LIST ? T_LIST : T_TUPLE, n->n_kids);
    for (size_t i = 0; i < n->n_kids; i++)
        v.seq->v[i] = jj_eval(j, n->kids[i]);
    return v;
}

static struct jj_val eval_dict(struct jj *j, const struct jj_node *n)
{
    struct jj_dict *d = jj_dict_new(j);
    for (size_t i = 0; i < n->n_kids; i += 2) {
        struct jj_val key = jj_eval(j, n->kids[i]);
        jj_dict_set(j, d, key, jj_eval(j, n->kids[i + 1]));
    }
    return jj_dict_val(d);
}

static struct jj_val eval_getitem(struct jj *j, const struct jj_node *n)
{
    struct jj_val of = jj_eval(j, n->a);
    if (n->b->kind != N_SLICE)
        return jj_getitem(j, of, jj_eval(j, n->b));
    struct jj_val bounds[3];
    for (int i = 0; i < 3; i++)
        bounds[i] = n->b->kids[i] ? jj_eval(j, n->b->kids[i]) : jj_missing();
    return jj_slice(j, of, bounds);
}

static struct jj_val eval_compare(struct jj *j, const struct jj_node *n)
{
    struct jj_val left = jj_eval(j, n->a);
    for (size_t i = 0; i < n->n_kids; i++) {
        struct jj_val right = jj_eval(j, n->kids[i]);
        if (!jj_compare_op(j, n->ops[i], left, right))
            return jj_bool(false);
        left = right;
    }
    return jj_bool(true);
}

static struct jj_val eval_concat(struct jj *j, const struct jj_node *n)
{
    struct jj_val all = jj_as_markup(j, jj_str(j, jj_eval(j, n->kids[0])), false);
    for (size_t i = 1; i < n->n_kids; i++)
        all = jj_joined(j, all.s, jj_str(j, jj_eval(j, n->kids[i])).s);
    return all;
}

static struct jj_val eval_cond(struct jj *j, const struct jj_node *n)
{
    if (jj_true(j, jj_eval(j, n->b)))
        return jj_eval(j, n->a);
    if (n->c)
        return jj_eval(j, n->c);
    return jj_undef_hint(j, "an inline if without else has no value where it is false");
}

static struct jj_val eval_node(struct jj *j, const struct jj_node *n)
{
    struct jj_val v;
    switch (n->kind) {
    case N_LIST:
    case N_TUPLE: return eval_seq(j, n);
    case N_DICT: return eval_dict(j, n);
    case N_GETATTR: return jj_getattr(j, jj_eval(j, n->a), n->name->s);
    case N_GETITEM: return eval_getitem(j, n);
    case N_CALL: return eval_call(j, n, jj_missing());
    case N_FILTER:
    case N_TEST: return eval_filter(j, n);
    case N_COND: return eval_cond(j, n);
    case N_AND: return jj_true(j, v = jj_eval(j, n->a)) ? jj_eval(j, n->b) : v;
    case N_OR: return jj_true(j, v = jj_eval(j, n->a)) ? v : jj_eval(j, n->b);
    case N_NOT: return jj_bool(!jj_true(j, jj_eval(j, n->a)));
    case N_NEG:
    case N_POS: return jj_negative(j, jj_eval(j, n->a), n->kind == N_NEG);
    case N_COMPARE: return eval_compare(j, n);
    case N_CONCAT: return eval_concat(j, n);
    case N_BINARY: v = jj_eval(j, n->a); return jj_binary(j, n->op, v, jj_eval(j, n->b));
    default: jj_fail(j, "this is no expression");
    }
}

struct jj_val jj_eval(struct jj *j, const struct jj_node *n)
{
    if (n->kind == N_CONST)
        return n->value;
    if (n->kind == N_NAME) {
        struct jj_val v = *jj_slot(j, n->ref);
        return jj_given(v) ? v : jj_undef_name(j, n->name->s);
    }
    struct jj_pos at = j->at;
    j->at = n->pos;
    jj_step(j, 1);
    jj_push(j);
    struct jj_val v = eval_node(j, n);
    j->depth--;
    j->at = at;
    return v;
}
