/* jinja_methods_str.c - methods of strings; positions count characters. */
#include "text/jinja_priv.h"

#include <string.h>

#define METHOD(fn) \
    static struct jj_val fn(struct jj *j, struct jj_val x, const struct jj_args *a)
#define NO_ARGS(what) jj_bind(j, what, a, NULL, 0, 0, NULL)

static struct jj_val like(struct jj *j, struct jj_val x, struct str part)
{
    return jj_as_markup(j, jj_text_borrow(j, part.p, part.n), x.s->markup);
}

static struct jj_val finish(struct jj *j, struct jj_val x)
{
    return jj_as_markup(j, jj_scratch_text(j), x.s->markup);
}

static bool given_some(struct jj_val v)
{
    return jj_given(v) && v.t != T_NONE;
}

/* ---- case
 * ---------------------------------------------------------------------------------------- */

static struct jj_val to_case(struct jj *j, struct jj_val x, const struct jj_args *a,
                             const char *what, enum jj_case to)
{
    NO_ARGS(what);
    jj_step(j, x.s->n / 16);
    buf_clear(&j->scratch);
    jj_put_case(&j->scratch, jj_bytes(x), to);
    return finish(j, x);
}

METHOD(s_upper)
{
    return to_case(j, x, a, "upper()", CASE_UPPER);
}

METHOD(s_lower)
{
    return to_case(j, x, a, "lower()", CASE_LOWER);
}

METHOD(s_capitalize)
{
    return to_case(j, x, a, "capitalize()", CASE_CAPITAL);
}

METHOD(s_title)
{
    return to_case(j, x, a, "title()", CASE_TITLE);
}

METHOD(s_swapcase)
{
    return to_case(j, x, a, "swapcase()", CASE_SWAP);
}

METHOD(s_casefold)
{
    return to_case(j, x, a, "casefold()", CASE_FOLD);
}

/* ---- strip and cut
 * ---------------------------------------------------------------------------------- */

static struct jj_val strip(struct jj *j, struct jj_val x, const struct jj_args *a,
                           const char *what, bool left, bool right)
{
    struct jj_val chars;
    JJ_BIND(j, what, a, 0, &chars, "chars");
    if (!given_some(chars))
        return like(j, x, jj_strip(jj_bytes(x), NULL, left, right));
    struct str set = jj_want_str(j, chars, what);
    return like(j, x, jj_strip(jj_bytes(x), &set, left, right));
}

METHOD(s_strip)
{
    return strip(j, x, a, "strip()", true, true);
}

METHOD(s_lstrip)
{
    return strip(j, x, a, "lstrip()", true, false);
}

METHOD(s_rstrip)
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

METHOD(s_removeprefix)
{
    struct jj_val arg;
    JJ_BIND(j, "removeprefix()", a, 1, &arg, "prefix");
    struct str s = jj_bytes(x), p = jj_want_str(j, arg, "removeprefix()'s prefix");
    return has_prefix(s, p) ? like(j, x, (struct str){s.p + p.n, s.n - p.n}) : x;
}

METHOD(s_removesuffix)
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
    int64_t from = given_some(start) ? jj_want_int(j, start, "a start") : 0;
    int64_t to = given_some(stop) ? jj_want_int(j, stop, "an end") : n;
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

METHOD(s_startswith)
{
    return starts_or_ends(j, x, a, "startswith()", has_prefix);
}

METHOD(s_endswith)
{
    return starts_or_ends(j, x, a, "endswith()", has_suffix);
}

/* ---- search
 * --------------------------------------------------------------------------------------------
 */

static const char *find_last(struct str s, struct str part)
{
    if (part.n > s.n)
        return NULL;
    for (const char *p = s.p + (s.n - part.n);; p--) {
        if (!part.n || !memcmp(p, part.p, part.n))
            return p;
        if (p == s.p)
            return NULL;
    }
}

static const char *find_first(struct str s, struct str part)
{
    return part.n ? (s.n ? memmem(s.p, s.n, part.p, part.n) : NULL) : s.p;
}

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
    const char *p = last ? find_last(w.s, part) : find_first(w.s, part);
    return p ? w.start + (int64_t)jj_count_chars(w.s.p, (size_t)(p - w.s.p)) : -1;
}

METHOD(s_find)
{
    return jj_int(find(j, x, a, "find()", false));
}

METHOD(s_rfind)
{
    return jj_int(find(j, x, a, "rfind()", true));
}

static struct jj_val found(struct jj *j, int64_t at, const char *what)
{
    if (at < 0)
        jj_fail(j, "%s: the text is not found", what);
    return jj_int(at);
}

METHOD(s_index)
{
    return found(j, find(j, x, a, "index()", false), "index()");
}

METHOD(s_rindex)
{
    return found(j, find(j, x, a, "rindex()", true), "rindex()");
}

METHOD(s_count)
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

METHOD(s_replace)
{
    struct jj_val arg[3];
    JJ_BIND(j, "replace()", a, 2, arg, "old", "new", "count");
    int64_t count = jj_given(arg[2]) ? jj_want_int(j, arg[2], "replace()'s count") : -1;
    struct str old = jj_want_str(j, arg[0], "replace()'s old");
    struct str new = jj_want_str(j, arg[1], "replace()'s new");
    return jj_as_markup(j, jj_str_replace(j, jj_bytes(x), old, new, count), x.s->markup);
}

/* ---- split
 * ------------------------------------------------------------------------------------------------
 */

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
        const char *p = find_first(s, sep);
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
        const char *p = find_last(s, sep);
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
    if (given_some(arg[0])) {
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

METHOD(s_split)
{
    return split(j, x, a, false);
}

METHOD(s_rsplit)
{
    return split(j, x, a, true);
}

METHOD(s_splitlines)
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
    const char *p = last ? find_last(s, sep) : find_first(s, sep);
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

METHOD(s_partition)
{
    return partition(j, x, a, false);
}

METHOD(s_rpartition)
{
    return partition(j, x, a, true);
}

METHOD(s_join)
{
    struct jj_val items;
    JJ_BIND(j, "join()", a, 1, &items, "iterable");
    return jj_str_join(j, x, items, false);
}

/* ---- width
 * ------------------------------------------------------------------------------------------------
 */

void jj_put_padded(struct buf *b, struct str s, size_t chars, int64_t width, char align,
                   struct str fill)
{
    int64_t pad = width > (int64_t)chars ? width - (int64_t)chars : 0, left = 0;
    if (align == '>')
        left = pad;
    else if (align == '^')
        left = pad / 2;
    else if (align == 'c') /* str.center() has a rule of its own for odd differences */
        left = pad / 2 + (pad & width & 1);
    for (int64_t i = 0; i < pad; i++) {
        if (i == left)
            buf_addstr(b, s);
        buf_addstr(b, fill);
    }
    if (left >= pad)
        buf_addstr(b, s);
}

static struct jj_val pad(struct jj *j, struct jj_val x, const struct jj_args *a,
                         const char *what, char align)
{
    struct jj_val arg[2];
    JJ_BIND(j, what, a, 1, arg, "width", "fillchar");
    int64_t width = jj_want_int(j, arg[0], what);
    struct str fill = jj_given(arg[1]) ? jj_want_str(j, arg[1], what) : STR(" ");
    if (jj_count_chars(fill.p, fill.n) != 1)
        jj_fail(j, "%s fills with one character", what);
    if (width > j->written_max)
        jj_fail(j, "a text of more than %lld bytes", (long long)j->written_max);
    buf_clear(&j->scratch);
    jj_put_padded(&j->scratch, jj_bytes(x), x.s->chars, width, align, fill);
    return finish(j, x);
}

METHOD(s_center)
{
    return pad(j, x, a, "center()", 'c');
}

METHOD(s_ljust)
{
    return pad(j, x, a, "ljust()", '<');
}

METHOD(s_rjust)
{
    return pad(j, x, a, "rjust()", '>');
}

METHOD(s_zfill)
{
    struct jj_val arg;
    JJ_BIND(j, "zfill()", a, 1, &arg, "width");
    int64_t width = jj_want_int(j, arg, "zfill()'s width");
    struct str s = jj_bytes(x);
    bool sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
    if (width < 0)
        width = 0;
    if (width > j->written_max)
        jj_fail(j, "a text of more than %lld bytes", (long long)j->written_max);
    buf_clear(&j->scratch);
    buf_add(&j->scratch, s.p, sign);
    jj_put_padded(&j->scratch, (struct str){s.p + sign, s.n - sign}, x.s->chars - sign,
                  width - sign, '>', STR("0"));
    return finish(j, x);
}

METHOD(s_expandtabs)
{
    struct jj_val arg;
    JJ_BIND(j, "expandtabs()", a, 0, &arg, "tabsize");
    int64_t size = jj_given(arg) ? jj_want_int(j, arg, "expandtabs()'s size") : 8, column = 0;
    if (size > JJ_NEST_MAX)
        jj_fail(j, "expandtabs() by more than %d", JJ_NEST_MAX);
    buf_clear(&j->scratch);
    for (size_t i = 0; i < x.s->n; i++) {
        char c = x.s->p[i];
        if ((int64_t)j->scratch.n > j->written_max)
            jj_fail(j, "a text of more than %lld bytes", (long long)j->written_max);
        if (c == '\t') {
            for (int64_t n = size > 0 ? size - column % size : 0; n > 0; n--, column++)
                buf_putc(&j->scratch, ' ');
            continue;
        }
        buf_putc(&j->scratch, c);
        column = c == '\n' || c == '\r' ? 0 : column + (((unsigned char)c & 0xc0) != 0x80);
    }
    return finish(j, x);
}

/* ---- questions
 * ---------------------------------------------------------------------------------------------
 */

static bool all_chars(struct jj_val x, bool (*is)(uint32_t))
{
    for (size_t i = 0, len; i < x.s->n; i += len)
        if (!is(jj_char(x.s->p + i, x.s->p + x.s->n, &len)))
            return false;
    return x.s->n > 0;
}

static bool is_alnum(uint32_t c)
{
    return jj_is_alpha(c) || (jj_is_word(c) && c != '_' && jj_is_digit(c));
}

static bool is_ascii(uint32_t c)
{
    return c < 0x80;
}

static bool cased_as(struct jj_val x, bool (*no)(uint32_t), bool (*yes)(uint32_t))
{
    bool any = false;
    for (size_t i = 0, len; i < x.s->n; i += len) {
        uint32_t c = jj_char(x.s->p + i, x.s->p + x.s->n, &len);
        if (no(c))
            return false;
        any |= yes(c);
    }
    return any;
}

#define ASKS(fn, name, cond)  \
    METHOD(fn)                \
    {                         \
        NO_ARGS(name "()");   \
        return jj_bool(cond); \
    }

ASKS(s_isalpha, "isalpha", all_chars(x, jj_is_alpha))
ASKS(s_isdigit, "isdigit", all_chars(x, jj_is_digit))
ASKS(s_isalnum, "isalnum", all_chars(x, is_alnum))
ASKS(s_isspace, "isspace", all_chars(x, jj_is_space))
ASKS(s_isascii, "isascii", !x.s->n || all_chars(x, is_ascii))
ASKS(s_isprintable, "isprintable", !x.s->n || all_chars(x, jj_is_printable))
ASKS(s_isidentifier, "isidentifier", jj_is_identifier(jj_bytes(x)))
ASKS(s_islower, "islower", cased_as(x, jj_is_upper, jj_is_lower))
ASKS(s_isupper, "isupper", cased_as(x, jj_is_lower, jj_is_upper))

METHOD(s_istitle)
{
    NO_ARGS("istitle()");
    bool inside = false, any = false;
    for (size_t i = 0, len; i < x.s->n; i += len) {
        uint32_t c = jj_char(x.s->p + i, x.s->p + x.s->n, &len);
        bool upper = jj_is_upper(c), lower = jj_is_lower(c);
        if ((upper && inside) || (lower && !inside))
            return jj_bool(false);
        inside = upper || lower;
        any |= inside;
    }
    return jj_bool(any);
}

/* ---- format
 * ---------------------------------------------------------------------------------------------------
 */

METHOD(s_format)
{
    jj_capture_begin(j);
    jj_format_braces(j, j->out, jj_bytes(x), a);
    return jj_as_markup(j, jj_capture_end(j), x.s->markup);
}

METHOD(s_format_map)
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
        {"center", s_center},
        {"count", s_count},
        {"endswith", s_endswith},
        {"expandtabs", s_expandtabs},
        {"find", s_find},
        {"format", s_format},
        {"format_map", s_format_map},
        {"index", s_index},
        {"isalnum", s_isalnum},
        {"isalpha", s_isalpha},
        {"isascii", s_isascii},
        {"isdecimal", s_isdigit},
        {"isdigit", s_isdigit},
        {"isidentifier", s_isidentifier},
        {"islower", s_islower},
        {"isnumeric", s_isdigit},
        {"isprintable", s_isprintable},
        {"isspace", s_isspace},
        {"istitle", s_istitle},
        {"isupper", s_isupper},
        {"join", s_join},
        {"ljust", s_ljust},
        {"lower", s_lower},
        {"lstrip", s_lstrip},
        {"partition", s_partition},
        {"removeprefix", s_removeprefix},
        {"removesuffix", s_removesuffix},
        {"replace", s_replace},
        {"rfind", s_rfind},
        {"rindex", s_rindex},
        {"rjust", s_rjust},
        {"rpartition", s_rpartition},
        {"rsplit", s_rsplit},
        {"rstrip", s_rstrip},
        {"split", s_split},
        {"splitlines", s_splitlines},
        {"startswith", s_startswith},
        {"strip", s_strip},
        {"swapcase", s_swapcase},
        {"title", s_title},
        {"upper", s_upper},
        {"zfill", s_zfill},
    };
    return jj_pick(table, sizeof table / sizeof *table, name);
}
