/* jinja_methods_split.c - methods that take strings apart. */
#include "text/jinja_run.h"

static struct jj_val like(struct jj *j, struct jj_val x, struct str part)
{
    return jj_as_markup(j, jj_text_borrow(j, part.p, part.n), x.s->markup);
}

struct parts {
    struct jj_seq *s;
    size_t cap;
};

static void add_part(struct jj *j, struct parts *l, struct jj_val x, const char *p, size_t n)
{
    jj_step(j, 1);
    l->s->v = jj_grow(j, l->s->v, l->s->n + 1, &l->cap, sizeof *l->s->v);
    l->s->v[l->s->n++] = like(j, x, (struct str){p, n});
}

static void split_at(struct jj *j, struct parts *l, struct jj_val x, struct str sep,
                     int64_t max)
{
    struct str s = jj_bytes(x);
    for (; max != 0; max--) {
        const char *p = jj_find_first(s, sep);
        if (!p)
            break;
        add_part(j, l, x, s.p, (size_t)(p - s.p));
        s = (struct str){p + sep.n, s.n - sep.n - (size_t)(p - s.p)};
    }
    add_part(j, l, x, s.p, s.n);
}

static void rsplit_at(struct jj *j, struct parts *l, struct jj_val x, struct str sep,
                      int64_t max)
{
    struct str s = jj_bytes(x);
    for (; max != 0; max--) {
        const char *p = jj_find_last(s, sep);
        if (!p)
            break;
        add_part(j, l, x, p + sep.n, s.n - sep.n - (size_t)(p - s.p));
        s.n = (size_t)(p - s.p);
    }
    add_part(j, l, x, s.p, s.n);
}

static struct str word_at(struct str s, bool last)
{
    const char *p = s.p, *end = s.p + s.n;
    size_t len;
    if (!last) {
        while (p < end && !jj_is_space(jj_char(p, end, &len)))
            p += len;
        return (struct str){s.p, (size_t)(p - s.p)};
    }
    for (p = end; p > s.p;) {
        const char *q = p - 1;
        while (q > s.p && ((unsigned char)*q & 0xc0) == 0x80)
            q--;
        if (jj_is_space(jj_char(q, end, &len)))
            break;
        p = q;
    }
    return (struct str){p, (size_t)(end - p)};
}

static void split_blanks(struct jj *j, struct parts *l, struct jj_val x, int64_t max, bool last)
{
    struct str s = jj_strip(jj_bytes(x), NULL, !last, last);
    for (; s.n && max != 0; max--) {
        struct str word = word_at(s, last);
        add_part(j, l, x, word.p, word.n);
        struct str rest = {last ? s.p : s.p + word.n, s.n - word.n};
        s = jj_strip(rest, NULL, !last, last);
    }
    if (s.n)
        add_part(j, l, x, s.p, s.n);
}

static struct jj_val split(struct jj *j, struct jj_val x, const struct jj_args *a, bool last)
{
    struct jj_val arg[2];
    struct parts l = {jj_zalloc(j, sizeof *l.s), 0};
    JJ_BIND(j, "split()", a, 0, arg, "sep", "maxsplit");
    int64_t max = jj_given(arg[1]) ? jj_want_int(j, arg[1], "split()'s maxsplit") : -1;
    jj_step(j, x.s->n / 64);
    if (jj_given_some(arg[0])) {
        struct str sep = jj_want_str(j, arg[0], "split()'s separator");
        if (!sep.n)
            jj_fail(j, "split() at an empty separator");
        (last ? rsplit_at : split_at)(j, &l, x, sep, max);
    } else {
        split_blanks(j, &l, x, max, last);
    }
    for (size_t i = 0, k = l.s->n; last && i + 1 < k; i++) {
        struct jj_val t = l.s->v[i];
        l.s->v[i] = l.s->v[--k];
        l.s->v[k] = t;
    }
    return (struct jj_val){.t = T_LIST, .seq = l.s};
}

JJ_FUNC(s_split)
{
    return split(j, x, a, false);
}

JJ_FUNC(s_rsplit)
{
    return split(j, x, a, true);
}

JJ_FUNC(s_splitlines)
{
    struct jj_val keep;
    struct parts l = {jj_zalloc(j, sizeof *l.s), 0};
    JJ_BIND(j, "splitlines()", a, 0, &keep, "keepends");
    bool ends = jj_given(keep) && jj_true(j, keep);
    const char *p = x.s->p, *end = p + x.s->n, *line = p;
    while (p < end) {
        size_t len;
        uint32_t c = jj_char(p, end, &len);
        if (!jj_is_line_end(c)) {
            p += len;
            continue;
        }
        const char *next = p + len + (c == '\r' && p + 1 < end && p[1] == '\n');
        add_part(j, &l, x, line, (size_t)((ends ? next : p) - line));
        line = p = next;
    }
    if (line < end)
        add_part(j, &l, x, line, (size_t)(end - line));
    return (struct jj_val){.t = T_LIST, .seq = l.s};
}

static struct jj_val partition(struct jj *j, struct jj_val x, const struct jj_args *a,
                               bool last)
{
    struct jj_val arg, v = jj_seq(j, T_TUPLE, 3);
    JJ_BIND(j, "partition()", a, 1, &arg, "sep");
    struct str s = jj_bytes(x), sep = jj_want_str(j, arg, "partition()'s separator");
    if (!sep.n)
        jj_fail(j, "partition() at an empty separator");
    const char *p = last ? jj_find_last(s, sep) : jj_find_first(s, sep);
    for (int i = 0; i < 3; i++)
        v.seq->v[i] = like(j, x, STR(""));
    if (!p) {
        v.seq->v[last ? 2 : 0] = x;
        return v;
    }
    size_t at = (size_t)(p - s.p);
    v.seq->v[0] = like(j, x, (struct str){s.p, at});
    v.seq->v[1] = arg;
    v.seq->v[2] = like(j, x, (struct str){p + sep.n, s.n - at - sep.n});
    return v;
}

JJ_FUNC(s_partition)
{
    return partition(j, x, a, false);
}

JJ_FUNC(s_rpartition)
{
    return partition(j, x, a, true);
}

JJ_FUNC(s_join)
{
    struct jj_val items;
    JJ_BIND(j, "join()", a, 1, &items, "iterable");
    return jj_str_join(j, x, items, false);
}

const struct jj_func *jj_find_split_method(struct str name)
{
    static const struct jj_func table[] = {
        {"join", s_join},     {"partition", s_partition}, {"rpartition", s_rpartition},
        {"rsplit", s_rsplit}, {"split", s_split},         {"splitlines", s_splitlines},
    };
    return jj_pick(table, JJ_COUNT(table), name);
}
