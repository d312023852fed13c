/* jinja_methods_str.c - methods of strings; positions count characters. */
#include "text/jinja_run.h"

#include <string.h>

static struct jj_val like(struct jj *j, struct jj_val x, struct str part)
{
    return jj_as_markup(j, jj_text_borrow(j, part.p, part.n), x.s->markup);
}

static struct jj_val finish(struct jj *j, struct jj_val x)
{
    return jj_as_markup(j, jj_scratch_text(j), x.s->markup);
}

/* ---- case ---- */

static struct jj_val to_case(struct jj *j, struct jj_val x, const struct jj_args *a,
                             const char *what, enum jj_case to)
{
    JJ_NO_ARGS(what);
    jj_step(j, x.s->n / 16);
    buf_clear(&j->scratch);
    jj_put_case(&j->scratch, jj_bytes(x), to);
    return finish(j, x);
}

JJ_FUNC(s_upper)
{
    return to_case(j, x, a, "upper()", CASE_UPPER);
}

JJ_FUNC(s_lower)
{
    return to_case(j, x, a, "lower()", CASE_LOWER);
}

JJ_FUNC(s_capitalize)
{
    return to_case(j, x, a, "capitalize()", CASE_CAPITAL);
}

JJ_FUNC(s_title)
{
    return to_case(j, x, a, "title()", CASE_TITLE);
}

JJ_FUNC(s_swapcase)
{
    return to_case(j, x, a, "swapcase()", CASE_SWAP);
}

JJ_FUNC(s_casefold)
{
    return to_case(j, x, a, "casefold()", CASE_FOLD);
}

/* ---- strip and cut ---- */

static struct jj_val strip(struct jj *j, struct jj_val x, const struct jj_args *a,
                           const char *what, bool left, bool right)
{
    struct jj_val chars;
    JJ_BIND(j, what, a, 0, &chars, "chars");
    if (!jj_given_some(chars))
        return like(j, x, jj_strip(jj_bytes(x), NULL, left, right));
    struct str set = jj_want_str(j, chars, what);
    return like(j, x, jj_strip(jj_bytes(x), &set, left, right));
}

JJ_FUNC(s_strip)
{
    return strip(j, x, a, "strip()", true, true);
}

JJ_FUNC(s_lstrip)
{
    return strip(j, x, a, "lstrip()", true, false);
}

JJ_FUNC(s_rstrip)
{
    return strip(j, x, a, "rstrip()", false, true);
}

static bool has_prefix(struct str s, struct str p)
{
    return s.n >= p.n && (!p.n || !memcmp(s.p, p.p, p.n));
}

static bool has_suffix(struct str s, struct str p)
{
    return s.n >= p.n && (!p.n || !memcmp(s.p + s.n - p.n, p.p, p.n));
}

JJ_FUNC(s_removeprefix)
{
    struct jj_val arg;
    JJ_BIND(j, "removeprefix()", a, 1, &arg, "prefix");
    struct str s = jj_bytes(x), p = jj_want_str(j, arg, "removeprefix()'s prefix");
    return has_prefix(s, p) ? like(j, x, (struct str){s.p + p.n, s.n - p.n}) : x;
}

JJ_FUNC(s_removesuffix)
{
    struct jj_val arg;
    JJ_BIND(j, "removesuffix()", a, 1, &arg, "suffix");
    struct str s = jj_bytes(x), p = jj_want_str(j, arg, "removesuffix()'s suffix");
    return has_suffix(s, p) ? like(j, x, (struct str){s.p, s.n - p.n}) : x;
}

/* The part between the optional positions start and stop, in characters. */
struct window {
    struct str s;
    int64_t start; /* of the part, in characters of the whole */
    bool none;     /* start lies behind the end */
};

static struct window window(struct jj *j, struct jj_val x, struct jj_val start,
                            struct jj_val stop)
{
    int64_t n = (int64_t)x.s->chars;
    int64_t from = jj_given_some(start) ? jj_want_int(j, start, "a start") : 0;
    int64_t to = jj_given_some(stop) ? jj_want_int(j, stop, "an end") : n;
    from = from < 0 ? (from < -n ? 0 : from + n) : from;
    to = to < 0 ? (to < -n ? 0 : to + n) : to > n ? n : to;
    if (from > to)
        return (struct window){{x.s->p, 0}, 0, true};
    size_t at = jj_byte_at(x.s, (size_t)from), end = jj_byte_at(x.s, (size_t)to);
    return (struct window){{x.s->p + at, end - at}, from, false};
}

static struct jj_val starts_or_ends(struct jj *j, struct jj_val x, const struct jj_args *a,
                                    const char *what, bool (*has)(struct str, struct str))
{
    struct jj_val arg[3];
    JJ_BIND(j, what, a, 1, arg, "affix", "start", "end");
    struct window w = window(j, x, arg[1], arg[2]);
    if (w.none)
        return jj_bool(false);
    if (arg[0].t != T_TUPLE)
        return jj_bool(has(w.s, jj_want_str(j, arg[0], what)));
    for (size_t i = 0; i < arg[0].seq->n; i++)
        if (has(w.s, jj_want_str(j, arg[0].seq->v[i], what)))
            return jj_bool(true);
    return jj_bool(false);
}

JJ_FUNC(s_startswith)
{
    return starts_or_ends(j, x, a, "startswith()", has_prefix);
}

JJ_FUNC(s_endswith)
{
    return starts_or_ends(j, x, a, "endswith()", has_suffix);
}

/* ---- search ---- */

static int64_t find(struct jj *j, struct jj_val x, const struct jj_args *a, const char *what,
                    bool last)
{
    struct jj_val arg[3];
    JJ_BIND(j, what, a, 1, arg, "sub", "start", "end");
    struct str part = jj_want_str(j, arg[0], what);
    struct window w = window(j, x, arg[1], arg[2]);
    jj_step(j, w.s.n / 64);
    if (w.none)
        return -1;
    const char *p = last ? jj_find_last(w.s, part) : jj_find_first(w.s, part);
    return p ? w.start + (int64_t)jj_count_chars(w.s.p, (size_t)(p - w.s.p)) : -1;
}

JJ_FUNC(s_find)
{
    return jj_int(find(j, x, a, "find()", false));
}

JJ_FUNC(s_rfind)
{
    return jj_int(find(j, x, a, "rfind()", true));
}

static struct jj_val found(struct jj *j, int64_t at, const char *what)
{
    if (at < 0)
        jj_fail(j, "%s: the text is not found", what);
    return jj_int(at);
}

JJ_FUNC(s_index)
{
    return found(j, find(j, x, a, "index()", false), "index()");
}

JJ_FUNC(s_rindex)
{
    return found(j, find(j, x, a, "rindex()", true), "rindex()");
}

JJ_FUNC(s_count)
{
    struct jj_val arg[3];
    JJ_BIND(j, "count()", a, 1, arg, "sub", "start", "end");
    struct str part = jj_want_str(j, arg[0], "count()");
    struct window w = window(j, x, arg[1], arg[2]);
    int64_t n = 0;
    jj_step(j, w.s.n / 64);
    if (w.none)
        return jj_int(0);
    if (!part.n)
        return jj_int((int64_t)jj_count_chars(w.s.p, w.s.n) + 1);
    const char *end = w.s.p + w.s.n;
    for (const char *p = w.s.p; p < end; p += part.n, n++) {
        p = memmem(p, (size_t)(end - p), part.p, part.n);
        if (!p)
            break;
    }
    return jj_int(n);
}

JJ_FUNC(s_replace)
{
    struct jj_val arg[3];
    JJ_BIND(j, "replace()", a, 2, arg, "old", "new", "count");
    int64_t count = jj_given(arg[2]) ? jj_want_int(j, arg[2], "replace()'s count") : -1;
    struct str old = jj_want_str(j, arg[0], "replace()'s old");
    struct str new = jj_want_str(j, arg[1], "replace()'s new");
    return jj_as_markup(j, jj_str_replace(j, jj_bytes(x), old, new, count), x.s->markup);
}

/* ---- format ---- */

JJ_FUNC(s_format)
{
    jj_capture_begin(j);
    jj_format_braces(j, j->out, jj_bytes(x), a);
    return jj_as_markup(j, jj_capture_end(j), x.s->markup);
}

JJ_FUNC(s_format_map)
{
    struct jj_val map;
    JJ_BIND(j, "format_map()", a, 1, &map, "mapping");
    if (map.t != T_DICT)
        jj_fail(j, "format_map() takes a dict, not a %s", jj_type_name(map));
    struct jj_kw *kw = jj_alloc_n(j, map.d->n, sizeof *kw);
    for (size_t i = 0; i < map.d->n; i++)
        kw[i] = (struct jj_kw){jj_bytes(jj_str(j, map.d->e[i].key)), map.d->e[i].value};
    return s_format(j, x, &(struct jj_args){.kw = kw, .n_kw = map.d->n});
}

const struct jj_func *jj_find_str_method(struct str name)
{
    static const struct jj_func table[] = {
        {"capitalize", s_capitalize},
        {"casefold", s_casefold},
        {"count", s_count},
        {"endswith", s_endswith},
        {"find", s_find},
        {"format", s_format},
        {"format_map", s_format_map},
        {"index", s_index},
        {"lower", s_lower},
        {"lstrip", s_lstrip},
        {"removeprefix", s_removeprefix},
        {"removesuffix", s_removesuffix},
        {"replace", s_replace},
        {"rfind", s_rfind},
        {"rindex", s_rindex},
        {"rstrip", s_rstrip},
        {"startswith", s_startswith},
        {"strip", s_strip},
        {"swapcase", s_swapcase},
        {"title", s_title},
        {"upper", s_upper},
    };
    const struct jj_func *f = jj_pick(table, JJ_COUNT(table), name);
    if (!f)
        f = jj_find_split_method(name);
    return f ? f : jj_find_shape_method(name);
}
