/* jinja_filters_seq.c - filters of sequences and dicts. */
#include "text/jinja_run.h"

#include <string.h>

/* ---- attributes of items: "a.b.0" ---- */

static struct jj_val path_part(struct jj *j, struct str part)
{
    bool digits = part.n > 0;
    for (size_t i = 0; i < part.n; i++)
        digits = digits && jj_is_digit((unsigned char)part.p[i]);
    return digits ? jj_integer(j, part) : jj_text_borrow(j, part.p, part.n);
}

static struct jj_val by_path(struct jj *j, struct jj_val item, struct jj_val attribute,
                             struct jj_val fallback)
{
    struct str path;
    if (!jj_given_some(attribute))
        return item;
    if (attribute.t != T_STR)
        return jj_getitem(j, item, attribute);
    path = jj_bytes(attribute);
    for (size_t at = 0; at <= path.n;) {
        const char *dot = at < path.n ? memchr(path.p + at, '.', path.n - at) : NULL;
        size_t end = dot ? (size_t)(dot - path.p) : path.n;
        item = jj_getitem(j, item, path_part(j, (struct str){path.p + at, end - at}));
        if (item.t == T_UNDEF && jj_given_some(fallback))
            item = fallback;
        at = end + 1;
    }
    return item;
}

static struct jj_val fold_case(struct jj *j, struct jj_val v, bool sensitive)
{
    if (sensitive || v.t != T_STR)
        return v;
    buf_clear(&j->scratch);
    jj_put_case(&j->scratch, jj_bytes(v), CASE_LOWER);
    return jj_scratch_text(j);
}

/* ---- map, select, reject ---- */

struct jj_val jj_each_item(struct jj *j, const struct jj_each *e, struct jj_val item)
{
    item = by_path(j, item, e->attribute, e->fallback);
    return e->func ? e->func->call(j, item, &e->args) : item;
}

static struct jj_val each_generator(struct jj *j, enum jj_iter_kind kind, struct jj_val x,
                                    const struct jj_each *e)
{
    struct jj_each *copy = jj_alloc(j, sizeof *copy);
    struct jj_iter *it = jj_zalloc(j, sizeof *it);
    *copy = *e;
    it->kind = kind;
    it->generator = true;
    it->each = copy;
    it->from = jj_iter(j, x);
    return (struct jj_val){.t = T_ITER, .it = it};
}

/* The filter or test that is named by the first argument, with the rest of them. */
static void name_function(struct jj *j, struct jj_each *e, const struct jj_args *a, size_t at,
                          const struct jj_func *(*find)(struct str), const char *what)
{
    struct str name = jj_want_str(j, a->v[at], what);
    e->func = find(name);
    if (!e->func)
        jj_fail(j, "no %s named '%.*s'", what, (int)(name.n > 60 ? 60 : name.n), name.p);
    e->args = (struct jj_args){a->v + at + 1, a->n - at - 1, a->kw, a->n_kw};
}

JJ_FUNC(f_map)
{
    struct jj_each e = {.attribute = jj_missing(), .fallback = jj_missing()};
    struct jj_val arg[2];
    if (a->n) {
        name_function(j, &e, a, 0, jj_find_filter, "filter");
    } else {
        JJ_BIND(j, "map", a, 1, arg, "attribute", "default");
        e.attribute = arg[0];
        e.fallback = arg[1];
    }
    return each_generator(j, ITER_MAP, x, &e);
}

static struct jj_val pick(struct jj *j, struct jj_val x, const struct jj_args *a, bool by_attr,
                          bool reject)
{
    struct jj_each e = {.attribute = jj_missing(), .fallback = jj_missing(), .reject = reject};
    if (!jj_true(j, x))
        return jj_gen(j, jj_seq(j, T_LIST, 0));
    if (by_attr && !a->n)
        jj_fail(j, "the name of an attribute is missing");
    if (by_attr)
        e.attribute = a->v[0];
    if (a->n > by_attr)
        name_function(j, &e, a, by_attr, jj_find_test, "test");
    return each_generator(j, ITER_PICK, x, &e);
}

JJ_FUNC(f_select)
{
    return pick(j, x, a, false, false);
}

JJ_FUNC(f_reject)
{
    return pick(j, x, a, false, true);
}

JJ_FUNC(f_selectattr)
{
    return pick(j, x, a, true, false);
}

JJ_FUNC(f_rejectattr)
{
    return pick(j, x, a, true, true);
}

/* ---- order ---- */

struct sort_item {
    struct jj_val key, v;
};

static void merge_sort(struct jj *j, struct sort_item *v, struct sort_item *tmp, size_t n,
                       bool reverse)
{
    if (n < 2)
        return;
    size_t half = n / 2, a = 0, b = half;
    merge_sort(j, v, tmp, half, reverse);
    merge_sort(j, v + half, tmp, n - half, reverse);
    for (size_t i = 0; i < n; i++) {
        bool take_b = a == half;
        if (a < half && b < n) {
            jj_step(j, 1);
            int c = jj_compare(j, v[b].key, v[a].key);
            take_b = reverse ? c == 1 : c == -1;
        }
        tmp[i] = take_b ? v[b++] : v[a++];
    }
    memcpy(v, tmp, n * sizeof *v);
}

struct jj_val jj_sorted(struct jj *j, struct jj_val list, struct jj_val *keys, bool reverse)
{
    size_t n = list.seq->n;
    struct sort_item *v = jj_alloc_n(j, n, sizeof *v), *tmp = jj_alloc_n(j, n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct sort_item){keys[i], list.seq->v[i]};
    merge_sort(j, v, tmp, n, reverse);
    struct jj_val out = jj_seq(j, T_LIST, n);
    for (size_t i = 0; i < n; i++)
        out.seq->v[i] = v[i].v;
    return out;
}

/* sort takes several attributes, "age,name", and compares lists of them, even of one: items
 * that have none are equal. */
static struct jj_val sort_key(struct jj *j, struct jj_val item, struct jj_val attribute,
                              bool sensitive)
{
    struct str s;
    size_t parts = 1, at = 0;
    if (jj_given(attribute) && attribute.t == T_STR) {
        s = jj_bytes(attribute);
        for (size_t i = 0; i < s.n; i++)
            parts += s.p[i] == ',';
    }
    struct jj_val key = jj_seq(j, T_LIST, parts);
    if (parts == 1) {
        key.seq->v[0] = fold_case(j, by_path(j, item, attribute, jj_missing()), sensitive);
        return key;
    }
    for (size_t i = 0; i < parts; i++) {
        size_t end = at;
        while (end < s.n && s.p[end] != ',')
            end++;
        struct jj_val part = jj_text_borrow(j, s.p + at, end - at);
        key.seq->v[i] = fold_case(j, by_path(j, item, part, jj_missing()), sensitive);
        at = end + 1;
    }
    return key;
}

static struct jj_val sort_by(struct jj *j, struct jj_val x, struct jj_val attribute,
                             bool sensitive, bool reverse)
{
    struct jj_val list = jj_to_list(j, x), keys = jj_seq(j, T_LIST, list.seq->n);
    for (size_t i = 0; i < list.seq->n; i++)
        keys.seq->v[i] = sort_key(j, list.seq->v[i], attribute, sensitive);
    return jj_sorted(j, list, keys.seq->v, reverse);
}

JJ_FUNC(f_sort)
{
    struct jj_val arg[3];
    JJ_BIND(j, "sort", a, 0, arg, "reverse", "case_sensitive", "attribute");
    return sort_by(j, x, arg[2], jj_given_true(j, arg[1]), jj_given_true(j, arg[0]));
}

static struct jj_val items_of(struct jj *j, const struct jj_dict *d)
{
    struct jj_val list = jj_seq(j, T_LIST, d->n);
    for (size_t i = 0; i < d->n; i++)
        list.seq->v[i] = jj_pair(j, d->e[i].key, d->e[i].value);
    return list;
}

JJ_FUNC(f_dictsort)
{
    struct jj_val arg[3];
    JJ_BIND(j, "dictsort", a, 0, arg, "case_sensitive", "by", "reverse");
    jj_check_defined(j, x);
    if (x.t != T_DICT)
        jj_fail(j, "dictsort takes a dict, not a %s", jj_type_name(x));
    struct str by = jj_given(arg[1]) ? jj_want_str(j, arg[1], "dictsort's by") : STR("key");
    if (!str_is(by, "key") && !str_is(by, "value"))
        jj_fail(j, "dictsort sorts by 'key' or 'value'");
    return sort_by(j, items_of(j, x.d), jj_int(str_is(by, "value")), jj_given_true(j, arg[0]),
                   jj_given_true(j, arg[2]));
}

static struct jj_val extreme(struct jj *j, struct jj_val x, const struct jj_args *a,
                             bool largest)
{
    struct jj_val arg[2], best, best_key = jj_missing();
    JJ_BIND(j, largest ? "max" : "min", a, 0, arg, "case_sensitive", "attribute");
    struct jj_iter *it = jj_iter(j, x);
    if (!jj_next(j, it, &best))
        return jj_undef_hint(j, "there is no smallest or largest of nothing");
    best_key = fold_case(j, by_path(j, best, arg[1], jj_missing()), jj_given_true(j, arg[0]));
    for (struct jj_val v; jj_next(j, it, &v);) {
        struct jj_val key = fold_case(j, by_path(j, v, arg[1], jj_missing()),
                                      jj_given_true(j, arg[0]));
        int c = jj_compare(j, key, best_key);
        if (c != 2 && (largest ? c > 0 : c < 0)) {
            best = v;
            best_key = key;
        }
    }
    return best;
}

JJ_FUNC(f_min)
{
    return extreme(j, x, a, false);
}

JJ_FUNC(f_max)
{
    return extreme(j, x, a, true);
}

JJ_FUNC(f_unique)
{
    struct jj_val arg[2];
    JJ_BIND(j, "unique", a, 0, arg, "case_sensitive", "attribute");
    struct jj_dict *seen = jj_dict_new(j);
    struct jj_iter *it = jj_iter(j, x);
    for (struct jj_val v; jj_next(j, it, &v);) {
        struct jj_val key = fold_case(j, by_path(j, v, arg[1], jj_missing()),
                                      jj_given_true(j, arg[0]));
        if (!jj_dict_get(j, seen, key))
            jj_dict_set(j, seen, key, v);
    }
    struct jj_val list = jj_seq(j, T_LIST, seen->n);
    for (size_t i = 0; i < seen->n; i++)
        list.seq->v[i] = seen->e[i].value;
    return jj_gen(j, list);
}

JJ_FUNC(f_reverse)
{
    JJ_NO_ARGS("reverse");
    if (x.t == T_STR) {
        struct jj_val bounds[3] = {jj_missing(), jj_missing(), jj_int(-1)};
        return jj_slice(j, x, bounds);
    }
    struct jj_iter *it = jj_zalloc(j, sizeof *it);
    it->kind = ITER_BACK;
    it->generator = true;
    it->src = jj_to_list(j, x);
    return (struct jj_val){.t = T_ITER, .it = it};
}

/* ---- parts and wholes ---- */

JJ_FUNC(f_first)
{
    JJ_NO_ARGS("first");
    struct jj_val v;
    if (jj_next(j, jj_iter(j, x), &v))
        return v;
    return jj_undef_hint(j, "there is no first item of nothing");
}

JJ_FUNC(f_last)
{
    JJ_NO_ARGS("last");
    int64_t n = jj_length(j, x);
    if (x.t == T_ITER || n < 0)
        jj_fail(j, "a %s has no last item", jj_type_name(x));
    if (x.t == T_DICT || x.t == T_VIEW)
        x = jj_to_list(j, x);
    return n ? jj_getitem(j, x, jj_int(n - 1))
             : jj_undef_hint(j, "there is no last item of nothing");
}

JJ_FUNC(f_list)
{
    JJ_NO_ARGS("list");
    return jj_to_list(j, x);
}

JJ_FUNC(f_items)
{
    JJ_NO_ARGS("items");
    if (x.t == T_UNDEF)
        return jj_gen(j, jj_seq(j, T_LIST, 0));
    if (x.t != T_DICT)
        jj_fail(j, "items takes a dict, not a %s", jj_type_name(x));
    return jj_gen(j, items_of(j, x.d));
}

JJ_FUNC(f_join)
{
    struct jj_val arg[2];
    JJ_BIND(j, "join", a, 0, arg, "d", "attribute");
    if (jj_given_some(arg[1])) {
        struct jj_each e = {.attribute = arg[1], .fallback = jj_missing()};
        x = each_generator(j, ITER_MAP, x, &e);
    }
    struct jj_val sep = jj_given(arg[0]) ? jj_str(j, arg[0]) : jj_cstr(j, "");
    return jj_str_join(j, sep, x, true);
}

JJ_FUNC(f_sum)
{
    struct jj_val arg[2];
    JJ_BIND(j, "sum", a, 0, arg, "attribute", "start");
    struct jj_val all = jj_given(arg[1]) ? arg[1] : jj_int(0);
    struct jj_iter *it = jj_iter(j, x);
    if (all.t == T_STR)
        jj_fail(j, "sum does not join strings");
    for (struct jj_val v; jj_next(j, it, &v);)
        all = jj_add(j, all, by_path(j, v, arg[0], jj_missing()));
    return all;
}

static struct jj_val part_of(struct jj *j, const struct jj_seq *s, size_t from, size_t n,
                             size_t fill, struct jj_val with)
{
    struct jj_val v = jj_seq(j, T_LIST, n + fill);
    for (size_t i = 0; i < n + fill; i++)
        v.seq->v[i] = i < n ? s->v[from + i] : with;
    return v;
}

JJ_FUNC(f_batch)
{
    struct jj_val arg[2];
    JJ_BIND(j, "batch", a, 1, arg, "linecount", "fill_with");
    int64_t size = jj_want_int(j, arg[0], "batch's size");
    if (size < 1)
        jj_fail(j, "batch's size is less than 1");
    struct jj_val list = jj_to_list(j, x);
    size_t n = list.seq->n, k = (size_t)size, parts = n / k + (n % k != 0);
    struct jj_val out = jj_seq(j, T_LIST, parts);
    for (size_t i = 0; i < parts; i++) {
        size_t here = n - i * k < k ? n - i * k : k;
        size_t fill = jj_given_some(arg[1]) ? k - here : 0;
        out.seq->v[i] = part_of(j, list.seq, i * k, here, fill, arg[1]);
    }
    return jj_gen(j, out);
}

JJ_FUNC(f_slice)
{
    struct jj_val arg[2];
    JJ_BIND(j, "slice", a, 1, arg, "slices", "fill_with");
    int64_t parts = jj_want_int(j, arg[0], "the number of slices");
    if (parts < 1 || parts > JJ_RANGE_MAX)
        jj_fail(j, "the number of slices must be 1 to %d", JJ_RANGE_MAX);
    struct jj_val list = jj_to_list(j, x), out = jj_seq(j, T_LIST, (size_t)parts);
    size_t each = list.seq->n / (size_t)parts, longer = list.seq->n % (size_t)parts, at = 0;
    for (size_t i = 0; i < (size_t)parts; i++) {
        size_t n = each + (i < longer);
        bool fill = jj_given_some(arg[1]) && i >= longer;
        out.seq->v[i] = part_of(j, list.seq, at, n, fill, arg[1]);
        at += n;
    }
    return jj_gen(j, out);
}

/* Pairs of a key and a list; the key as the group's first item has it. */
JJ_FUNC(f_groupby)
{
    struct jj_val arg[3];
    JJ_BIND(j, "groupby", a, 1, arg, "attribute", "default", "case_sensitive");
    bool sensitive = jj_given_true(j, arg[2]);
    struct jj_val list = jj_to_list(j, x), keys = jj_seq(j, T_LIST, list.seq->n);
    for (size_t i = 0; i < list.seq->n; i++)
        keys.seq->v[i] = fold_case(j, by_path(j, list.seq->v[i], arg[0], arg[1]), sensitive);
    struct jj_val items = jj_sorted(j, list, keys.seq->v, false);
    struct jj_val ranks = jj_sorted(j, keys, keys.seq->v, false), out = jj_seq(j, T_LIST, 0);
    struct jj_seq *groups = jj_zalloc(j, sizeof *groups);
    size_t cap = 0;
    for (size_t i = 0, end; i < items.seq->n; i = end) {
        for (end = i + 1; end < items.seq->n; end++)
            if (!jj_eq(j, ranks.seq->v[end], ranks.seq->v[i]))
                break;
        struct jj_val group = part_of(j, items.seq, i, end - i, 0, jj_none());
        struct jj_val key = by_path(j, items.seq->v[i], arg[0], arg[1]);
        groups->v = jj_grow(j, groups->v, groups->n + 1, &cap, sizeof *groups->v);
        groups->v[groups->n++] = jj_pair(j, key, group);
    }
    out.seq = groups;
    return out;
}

const struct jj_func *jj_find_seq_filter(struct str name)
{
    static const struct jj_func table[] = {
        {"batch", f_batch},
        {"dictsort", f_dictsort},
        {"first", f_first},
        {"groupby", f_groupby},
        {"items", f_items},
        {"join", f_join},
        {"last", f_last},
        {"list", f_list},
        {"map", f_map},
        {"max", f_max},
        {"min", f_min},
        {"reject", f_reject},
        {"rejectattr", f_rejectattr},
        {"reverse", f_reverse},
        {"select", f_select},
        {"selectattr", f_selectattr},
        {"slice", f_slice},
        {"sort", f_sort},
        {"sum", f_sum},
        {"unique", f_unique},
    };
    return jj_pick(table, JJ_COUNT(table), name);
}
