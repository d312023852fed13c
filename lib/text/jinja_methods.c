/* jinja_methods.c - methods of lists, tuples, dicts and numbers, and which ones stay closed. */
#include "text/jinja_run.h"

#include <math.h>
#include <string.h>

/* ---- dicts ---- */

JJ_FUNC(d_get)
{
    struct jj_val arg[2];
    JJ_BIND(j, "get()", a, 1, arg, "key", "default");
    const struct jj_val *v = jj_dict_get(j, x.d, arg[0]);
    return v ? *v : jj_given(arg[1]) ? arg[1] : jj_none();
}

static struct jj_val view(struct jj *j, struct jj_val x, enum jj_view_kind kind)
{
    struct jj_view *v = jj_alloc(j, sizeof *v);
    *v = (struct jj_view){kind, x.d};
    return (struct jj_val){.t = T_VIEW, .view = v};
}

JJ_FUNC(d_items)
{
    JJ_NO_ARGS("items()");
    return view(j, x, VIEW_ITEMS);
}

JJ_FUNC(d_keys)
{
    JJ_NO_ARGS("keys()");
    return view(j, x, VIEW_KEYS);
}

JJ_FUNC(d_values)
{
    JJ_NO_ARGS("values()");
    return view(j, x, VIEW_VALUES);
}

JJ_FUNC(d_copy)
{
    JJ_NO_ARGS("copy()");
    struct jj_dict *d = jj_dict_new(j);
    for (size_t i = 0; i < x.d->n; i++)
        jj_dict_set(j, d, x.d->e[i].key, x.d->e[i].value);
    return jj_dict_val(d);
}

JJ_FUNC(d_fromkeys)
{
    struct jj_val arg[2];
    (void)x;
    JJ_BIND(j, "fromkeys()", a, 1, arg, "iterable", "value");
    struct jj_dict *d = jj_dict_new(j);
    struct jj_iter *it = jj_iter(j, arg[0]);
    for (struct jj_val key; jj_next(j, it, &key);)
        jj_dict_set(j, d, key, jj_given(arg[1]) ? arg[1] : jj_none());
    return jj_dict_val(d);
}

/* ---- lists, tuples, ranges ---- */

JJ_FUNC(l_count)
{
    struct jj_val v;
    int64_t n = 0;
    JJ_BIND(j, "count()", a, 1, &v, "value");
    struct jj_iter *it = jj_iter(j, x);
    for (struct jj_val item; jj_next(j, it, &item);)
        n += jj_eq(j, item, v);
    return jj_int(n);
}

JJ_FUNC(l_index)
{
    struct jj_val arg[3];
    JJ_BIND(j, "index()", a, 1, arg, "value", "start", "stop");
    struct jj_val list = jj_to_list(j, x);
    int64_t n = (int64_t)list.seq->n;
    int64_t from = jj_given(arg[1]) ? jj_want_int(j, arg[1], "index()'s start") : 0;
    int64_t to = jj_given(arg[2]) ? jj_want_int(j, arg[2], "index()'s stop") : n;
    from = from < 0 ? (from + n < 0 ? 0 : from + n) : from;
    to = to < 0 ? to + n : to > n ? n : to;
    for (int64_t i = from; i < to; i++)
        if (jj_eq(j, list.seq->v[i], arg[0]))
            return jj_int(i);
    jj_fail(j, "index(): the value is not in the list");
}

JJ_FUNC(l_copy)
{
    JJ_NO_ARGS("copy()");
    (void)j;
    return x;
}

/* ---- numbers, cyclers ---- */

JJ_FUNC(n_bit_length)
{
    JJ_NO_ARGS("bit_length()");
    int64_t i = 0, bits = 0;
    jj_is_int(x, &i);
    for (uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i; u; u >>= 1)
        bits++;
    return jj_int(bits);
}

JJ_FUNC(n_is_integer)
{
    JJ_NO_ARGS("is_integer()");
    double f = 0;
    jj_number(x, &f);
    return jj_bool(isfinite(f) && f == floor(f));
}

JJ_FUNC(c_next)
{
    JJ_NO_ARGS("next()");
    struct jj_val v = x.cycler->items.v[x.cycler->at];
    (void)j;
    x.cycler->at = (x.cycler->at + 1) % x.cycler->items.n;
    return v;
}

JJ_FUNC(c_reset)
{
    JJ_NO_ARGS("reset()");
    (void)j;
    x.cycler->at = 0;
    return jj_none();
}

/* ---- finding them ---- */

static bool is_one_of(struct str name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(name, list[i]))
            return true;
    return false;
}

const struct jj_func *jj_find_method(struct jj_val of, struct str name, bool *unsafe)
{
    static const char *const dict_closed[] = {"clear", "pop", "popitem", "setdefault",
                                              "update"};
    static const char *const list_closed[] = {"append", "clear", "pop",    "reverse",
                                              "insert", "sort",  "extend", "remove"};
    static const struct jj_func dict[] = {
        {"get", d_get},   {"items", d_items},   {"keys", d_keys},
        {"copy", d_copy}, {"values", d_values}, {"fromkeys", d_fromkeys},
    };
    static const struct jj_func list[] = {
        {"count", l_count}, {"index", l_index}, {"copy", l_copy}};
    static const struct jj_func number[] = {{"is_integer", n_is_integer},
                                            {"bit_length", n_bit_length}};
    static const struct jj_func cycler[] = {{"next", c_next}, {"reset", c_reset}};
    switch (of.t) {
    case T_STR: return jj_find_str_method(name);
    case T_DICT:
        *unsafe = is_one_of(name, dict_closed, JJ_COUNT(dict_closed));
        return jj_pick(dict, JJ_COUNT(dict), name);
    case T_LIST:
        *unsafe = is_one_of(name, list_closed, JJ_COUNT(list_closed));
        return jj_pick(list, JJ_COUNT(list), name);
    case T_TUPLE:
    case T_RANGE: return jj_pick(list, 2, name);
    case T_BOOL:
    case T_INT:
    case T_FLOAT: return jj_pick(number, of.t == T_FLOAT ? 1 : 2, name);
    case T_CYCLER: return jj_pick(cycler, JJ_COUNT(cycler), name);
    default: return NULL;
    }
}
