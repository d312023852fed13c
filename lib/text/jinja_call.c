/* jinja_call.c - what can be called: macros, the loop variable, the functions of the sandbox.
 */
#include "text/jinja_run.h"

#include <string.h>

void jj_bind(struct jj *j, const char *what, const struct jj_args *a, const char *const *names,
             size_t n, size_t required, struct jj_val *out)
{
    if (a->n > n)
        jj_fail(j, "%s takes at most %zu arguments, not %zu", what, n, a->n);
    for (size_t i = 0; i < n; i++)
        out[i] = i < a->n ? a->v[i] : jj_missing();
    for (size_t k = 0; k < a->n_kw; k++) {
        size_t i = 0;
        while (i < n && !str_is(a->kw[k].name, names[i]))
            i++;
        if (i == n || jj_given(out[i]))
            jj_fail(j, "%s does not take '%.*s'%s", what, (int)a->kw[k].name.n, a->kw[k].name.p,
                    i < n ? " twice" : "");
        out[i] = a->kw[k].v;
    }
    for (size_t i = 0; i < required; i++)
        if (!jj_given(out[i]))
            jj_fail(j, "%s lacks its argument '%s'", what, names[i]);
}

/* ---- macros ---- */

static bool is_parameter(const struct jj_node *def, struct str name)
{
    for (size_t i = 0; i < def->n_args; i++)
        if (str_eq(def->args[i].name->s, name))
            return true;
    return false;
}

static struct jj_val keyword(const struct jj_args *a, struct str name)
{
    for (size_t i = 0; i < a->n_kw; i++)
        if (str_eq(a->kw[i].name, name))
            return a->kw[i].v;
    return jj_missing();
}

/* Keywords that are no parameters go to `kwargs` if the macro mentions it. */
static void bind_rest(struct jj *j, const struct jj_node *def, const struct jj_args *a,
                      struct jj_act *act)
{
    struct jj_dict *rest = jj_dict_new(j);
    for (size_t i = 0; i < a->n_kw; i++) {
        struct str name = a->kw[i].name;
        bool position = false; /* given by position already */
        for (size_t k = 0; k < def->n_args && k < a->n; k++)
            position |= str_eq(def->args[k].name->s, name);
        if (is_parameter(def, name) && !position)
            continue;
        if (def->slot_caller >= 0 && str_is(name, "caller"))
            continue;
        if (def->slot_kwargs < 0)
            jj_fail(j, "the macro does not take '%.*s'%s", (int)name.n, name.p,
                    position ? " twice" : "");
        jj_dict_set(j, rest, jj_text_borrow(j, name.p, name.n), a->kw[i].v);
    }
    if (def->slot_kwargs >= 0)
        act->slot[def->slot_kwargs] = jj_dict_val(rest);
    if (def->slot_varargs >= 0) {
        size_t extra = a->n > def->n_args ? a->n - def->n_args : 0;
        struct jj_val v = jj_seq(j, T_TUPLE, extra);
        for (size_t i = 0; i < extra; i++)
            v.seq->v[i] = a->v[def->n_args + i];
        act->slot[def->slot_varargs] = v;
    } else if (a->n > def->n_args) {
        jj_fail(j, "the macro takes at most %zu arguments, not %zu", def->n_args, a->n);
    }
}

static void bind_macro(struct jj *j, const struct jj_node *def, const struct jj_args *a,
                       struct jj_act *act)
{
    for (size_t i = 0; i < def->n_args; i++)
        act->slot[def->args[i].slot] = i < a->n ? a->v[i] : keyword(a, def->args[i].name->s);
    if (def->slot_caller >= 0) {
        struct jj_val caller = keyword(a, STR("caller"));
        act->slot[def->slot_caller] = jj_given(caller) && caller.t != T_NONE
                                          ? caller
                                          : jj_undef_hint(j, "no caller");
    }
    bind_rest(j, def, a, act);
}

struct jj_val jj_call_macro(struct jj *j, const struct jj_macro *m, const struct jj_args *a)
{
    const struct jj_node *def = m->def;
    struct jj_act *outer = j->act, *act = jj_act_new(j, def->code, m->up);
    if (++j->calls > JJ_NEST_MAX)
        jj_fail(j, "macros call each other deeper than %d", JJ_NEST_MAX);
    bind_macro(j, def, a, act);
    j->act = act;
    jj_capture_begin(j);
    jj_enter(j, &def->scope);
    for (size_t i = 0; i < def->n_args; i++) {
        struct jj_val *slot = &act->slot[def->args[i].slot];
        if (jj_given(*slot))
            continue;
        *slot = def->args[i].value ? jj_eval(j, def->args[i].value)
                                   : jj_undef_name(j, def->args[i].name->s);
    }
    jj_exec(j, &def->body);
    j->act = outer;
    j->calls--;
    return jj_capture_end(j);
}

struct jj_val jj_call_value(struct jj *j, struct jj_val f, const struct jj_args *a)
{
    struct jj_val arg;
    switch (f.t) {
    case T_FUNC: return f.func->call(j, jj_missing(), a);
    case T_METHOD: return f.method->func->call(j, f.method->self, a);
    case T_MACRO: return jj_call_macro(j, f.macro, a);
    case T_LOOP:
        JJ_BIND(j, "loop()", a, 1, &arg, "iterable");
        return jj_recurse(j, f.loop, arg);
    case T_JOINER:
        if (f.joiner->used)
            return f.joiner->sep;
        f.joiner->used = true;
        return jj_cstr(j, "");
    default: break;
    }
    jj_check_defined(j, f);
    jj_fail(j, "a %s cannot be called", jj_type_name(f));
}

/* ---- the loop variable ---- */

static bool loop_peek(struct jj *j, struct jj_loop *l)
{
    if (!jj_given(l->after) && !l->ended && !jj_next(j, l->it, &l->after)) {
        l->ended = true;
        l->after = jj_missing();
    }
    return jj_given(l->after);
}

/* A generator has to be walked to its end to know how long it is. */
static int64_t loop_length(struct jj *j, struct jj_loop *l)
{
    if (l->length < 0) {
        struct jj_val rest = jj_to_list(j, (struct jj_val){.t = T_ITER, .it = l->it});
        l->it = jj_iter(j, rest);
        l->length = (int64_t)rest.seq->n + l->index0 + 1 + jj_given(l->after);
    }
    return l->length;
}

static struct jj_val loop_cycle(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    if (!a->n)
        jj_fail(j, "loop.cycle() needs items");
    return a->v[self.loop->index0 % (int64_t)a->n];
}

static struct jj_val loop_changed(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    struct jj_val now = jj_seq(j, T_TUPLE, a->n);
    for (size_t i = 0; i < a->n; i++)
        now.seq->v[i] = a->v[i];
    bool same = jj_given(self.loop->changed) && jj_eq(j, self.loop->changed, now);
    self.loop->changed = now;
    return jj_bool(!same);
}

struct jj_val jj_loop_attr(struct jj *j, struct jj_loop *l, struct str name)
{
    static const struct jj_func cycle = {"cycle", loop_cycle};
    static const struct jj_func changed = {"changed", loop_changed};
    if (str_is(name, "first"))
        return jj_bool(l->index0 == 0);
    if (str_is(name, "last"))
        return jj_bool(!loop_peek(j, l));
    if (str_is(name, "index0"))
        return jj_int(l->index0);
    if (str_is(name, "index"))
        return jj_int(l->index0 + 1);
    if (str_is(name, "length"))
        return jj_int(loop_length(j, l));
    if (str_is(name, "previtem"))
        return l->index0 > 0 ? l->before : jj_undef_hint(j, "there is no previous item");
    if (str_is(name, "nextitem"))
        return loop_peek(j, l) ? l->after : jj_undef_hint(j, "there is no next item");
    if (str_is(name, "revindex"))
        return jj_int(loop_length(j, l) - l->index0);
    if (str_is(name, "revindex0"))
        return jj_int(loop_length(j, l) - l->index0 - 1);
    if (str_is(name, "depth") || str_is(name, "depth0"))
        return jj_int(l->depth0 + (name.n == 5));
    const struct jj_func *f = str_is(name, "cycle")     ? &cycle
                              : str_is(name, "changed") ? &changed
                                                        : NULL;
    if (!f)
        return jj_missing();
    struct jj_method *m = jj_alloc(j, sizeof *m);
    *m = (struct jj_method){f, {.t = T_LOOP, .loop = l}};
    return (struct jj_val){.t = T_METHOD, .method = m};
}

/* ---- functions ---- */

static struct jj_val fn_range(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    struct jj_range *r = jj_alloc(j, sizeof *r);
    int64_t v[3] = {0, 0, 1};
    (void)self;
    if (!a->n || a->n > 3 || a->n_kw)
        jj_fail(j, "range() takes one to three numbers");
    for (size_t i = 0; i < a->n; i++)
        v[i] = jj_want_int(j, a->v[i], "a number of range()");
    *r = (struct jj_range){a->n > 1 ? v[0] : 0, a->n > 1 ? v[1] : v[0], v[2], 0};
    if (!r->step)
        jj_fail(j, "range() with a step of zero");
    bool empty = r->step > 0 ? r->start >= r->stop : r->start <= r->stop;
    uint64_t span = r->step > 0 ? (uint64_t)r->stop - (uint64_t)r->start
                                : (uint64_t)r->start - (uint64_t)r->stop;
    uint64_t step = r->step > 0 ? (uint64_t)r->step : -(uint64_t)r->step;
    uint64_t n = empty ? 0 : (span - 1) / step + 1;
    if (n > JJ_RANGE_MAX)
        jj_fail(j, "a range of more than %d numbers", JJ_RANGE_MAX);
    r->n = (int64_t)n;
    return (struct jj_val){.t = T_RANGE, .range = r};
}

static struct jj_dict *dict_of(struct jj *j, const char *what, const struct jj_args *a)
{
    struct jj_dict *d = jj_dict_new(j);
    if (a->n > 1)
        jj_fail(j, "%s takes at most one argument by position", what);
    if (a->n && a->v[0].t == T_DICT) {
        const struct jj_dict *from = a->v[0].d;
        for (size_t i = 0; i < from->n; i++)
            jj_dict_set(j, d, from->e[i].key, from->e[i].value);
    } else if (a->n) {
        struct jj_iter *it = jj_iter(j, a->v[0]);
        for (struct jj_val v; jj_next(j, it, &v);) {
            struct jj_val pair = jj_to_list(j, v);
            if (pair.seq->n != 2)
                jj_fail(j, "%s is made of pairs", what);
            jj_dict_set(j, d, pair.seq->v[0], pair.seq->v[1]);
        }
    }
    for (size_t i = 0; i < a->n_kw; i++)
        jj_dict_set(j, d, jj_text_borrow(j, a->kw[i].name.p, a->kw[i].name.n), a->kw[i].v);
    return d;
}

static struct jj_val fn_dict(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    (void)self;
    return jj_dict_val(dict_of(j, "dict()", a));
}

static struct jj_val fn_namespace(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    (void)self;
    return (struct jj_val){.t = T_NAMESPACE, .d = dict_of(j, "namespace()", a)};
}

static struct jj_val fn_cycler(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    struct jj_cycler *c = jj_alloc(j, sizeof *c);
    (void)self;
    if (!a->n || a->n_kw)
        jj_fail(j, "cycler() needs items");
    struct jj_val items = jj_seq(j, T_TUPLE, a->n);
    memcpy(items.seq->v, a->v, a->n * sizeof *a->v);
    *c = (struct jj_cycler){*items.seq, 0};
    return (struct jj_val){.t = T_CYCLER, .cycler = c};
}

static struct jj_val fn_joiner(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    struct jj_joiner *v = jj_alloc(j, sizeof *v);
    struct jj_val sep;
    (void)self;
    JJ_BIND(j, "joiner()", a, 0, &sep, "sep");
    *v = (struct jj_joiner){jj_given(sep) ? sep : jj_cstr(j, ", "), false};
    return (struct jj_val){.t = T_JOINER, .joiner = v};
}

static struct jj_val fn_raise(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    struct jj_val message;
    (void)self;
    JJ_BIND(j, "raise_exception()", a, 1, &message, "message");
    struct str s = jj_bytes(jj_str(j, message));
    jj_fail(j, "%.*s", (int)(s.n > 1000 ? 1000 : s.n), s.n ? s.p : "");
}

static struct jj_val fn_strftime(struct jj *j, struct jj_val self, const struct jj_args *a)
{
    struct jj_val format;
    (void)self;
    JJ_BIND(j, "strftime_now()", a, 1, &format, "format");
    if (!j->now)
        jj_fail(j, "strftime_now() is called, but no time is given");
    struct str s = jj_want_str(j, format, "the format of strftime_now()");
    jj_capture_begin(j);
    jj_put_time(j, j->out, s, j->now);
    return jj_capture_end(j);
}

const struct jj_func *jj_pick(const struct jj_func *table, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (name.n && table[i].name[0] == name.p[0] && str_is(name, table[i].name))
            return &table[i];
    return NULL;
}

const struct jj_func *jj_find_global(struct str name)
{
    static const struct jj_func table[] = {
        {"cycler", fn_cycler},         {"dict", fn_dict},   {"joiner", fn_joiner},
        {"namespace", fn_namespace},   {"range", fn_range}, {"raise_exception", fn_raise},
        {"strftime_now", fn_strftime},
    };
    return jj_pick(table, sizeof table / sizeof *table, name);
}
