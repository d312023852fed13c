/* jinja_filters.c - filters of single values. */
#include "text/jinja_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILTER(fn) \
    static struct jj_val fn(struct jj *j, struct jj_val x, const struct jj_args *a)
#define NO_ARGS(what) jj_bind(j, what, a, NULL, 0, 0, NULL)

static bool given_true(struct jj *j, struct jj_val v)
{
    return jj_given(v) && jj_true(j, v);
}

/* ---- texts
 * ------------------------------------------------------------------------------------ */

static struct jj_val change_case(struct jj *j, struct jj_val x, enum jj_case to)
{
    struct jj_val s = jj_str(j, x);
    jj_step(j, s.s->n / 16);
    buf_clear(&j->scratch);
    jj_put_case(&j->scratch, jj_bytes(s), to);
    return jj_as_markup(j, jj_scratch_text(j), s.s->markup);
}

FILTER(f_upper)
{
    NO_ARGS("upper");
    return change_case(j, x, CASE_UPPER);
}

FILTER(f_lower)
{
    NO_ARGS("lower");
    return change_case(j, x, CASE_LOWER);
}

FILTER(f_capitalize)
{
    NO_ARGS("capitalize");
    return change_case(j, x, CASE_CAPITAL);
}

static void put_word(struct buf *b, struct str word)
{
    size_t len = 0;
    if (word.n)
        jj_char(word.p, word.p + word.n, &len);
    jj_put_case(b, (struct str){word.p, len}, CASE_UPPER);
    jj_put_case(b, (struct str){word.p + len, word.n - len}, CASE_LOWER);
}

/* Words begin after blanks and opening brackets, unlike the string method of that name. */
FILTER(f_title)
{
    NO_ARGS("title");
    struct jj_val s = jj_str(j, x);
    struct str text = jj_bytes(s);
    buf_clear(&j->scratch);
    size_t start = 0, at = 0;
    while (at <= text.n) {
        size_t len = 1;
        uint32_t c = at < text.n ? jj_char(text.p + at, text.p + text.n, &len) : ' ';
        bool breaks = jj_is_space(c) || (c < 0x80 && c && strchr("-({[<", (int)c));
        if (breaks) {
            put_word(&j->scratch, (struct str){text.p + start, at - start});
            buf_add(&j->scratch, text.p + at, at < text.n ? len : 0);
            start = at + len;
        }
        at += len;
    }
    return jj_as_markup(j, jj_scratch_text(j), s.s->markup);
}

FILTER(f_trim)
{
    struct jj_val chars;
    JJ_BIND(j, "trim", a, 0, &chars, "chars");
    struct jj_val s = jj_str(j, x);
    struct str set = {0}, text = jj_bytes(s);
    bool all = !jj_given(chars) || chars.t == T_NONE;
    if (!all)
        set = jj_want_str(j, chars, "trim's characters");
    struct str t = jj_strip(text, all ? NULL : &set, true, true);
    if (t.n == text.n)
        return s;
    size_t gone = jj_count_chars(text.p, (size_t)(t.p - text.p)) +
                  jj_count_chars(t.p + t.n, text.n - t.n - (size_t)(t.p - text.p));
    struct jj_val v = jj_text_counted(j, t.p, t.n, s.s->chars - gone);
    return jj_as_markup(j, v, s.s->markup);
}

FILTER(f_string)
{
    NO_ARGS("string");
    return jj_str(j, x);
}

FILTER(f_safe)
{
    NO_ARGS("safe");
    return jj_as_markup(j, jj_str(j, x), true);
}

static struct jj_val escape(struct jj *j, struct jj_val x, bool again)
{
    struct jj_val s = jj_str(j, x);
    if (s.s->markup && !again)
        return s;
    buf_clear(&j->scratch);
    jj_put_escaped(&j->scratch, jj_bytes(s));
    return jj_as_markup(j, jj_scratch_text(j), true);
}

FILTER(f_escape)
{
    NO_ARGS("escape");
    return escape(j, x, false);
}

FILTER(f_forceescape)
{
    NO_ARGS("forceescape");
    return escape(j, x, true);
}

FILTER(f_replace)
{
    struct jj_val arg[3];
    JJ_BIND(j, "replace", a, 2, arg, "old", "new", "count");
    int64_t count = -1;
    if (jj_given(arg[2]) && arg[2].t != T_NONE)
        count = jj_want_int(j, arg[2], "replace's count");
    struct jj_val s = jj_str(j, x), old = jj_str(j, arg[0]), new = jj_str(j, arg[1]);
    return jj_str_replace(j, jj_bytes(s), jj_bytes(old), jj_bytes(new), count);
}

static size_t line_end(struct str s, size_t at, size_t *len)
{
    for (; at < s.n; at += *len) {
        uint32_t c = jj_char(s.p + at, s.p + s.n, len);
        if (!jj_is_line_end(c))
            continue;
        if (c == '\r' && at + 1 < s.n && s.p[at + 1] == '\n')
            *len = 2;
        return at;
    }
    *len = 0;
    return s.n;
}

FILTER(f_indent)
{
    struct jj_val arg[3];
    JJ_BIND(j, "indent", a, 0, arg, "width", "first", "blank");
    struct str by = {0}, s = jj_want_str(j, x, "what indent works on");
    if (jj_given(arg[0]) && arg[0].t == T_STR) {
        by = jj_bytes(arg[0]);
    } else {
        int64_t width = jj_given(arg[0]) ? jj_want_int(j, arg[0], "indent's width") : 4;
        struct jj_val blanks = jj_binary(j, OP_MUL, jj_cstr(j, " "), jj_int(width));
        by = jj_bytes(blanks);
    }
    bool blank = given_true(j, arg[2]);
    struct buf *b = &j->scratch;
    buf_clear(b);
    if (given_true(j, arg[1]))
        buf_addstr(b, by);
    for (size_t at = 0, len, end; at <= s.n; at = end + len) {
        end = line_end(s, at, &len);
        if (at && (end > at || blank))
            buf_addstr(b, by);
        buf_add(b, s.p + at, end - at);
        jj_step(j, 1);
        if ((int64_t)b->n > j->written_max)
            jj_fail(j, "a text of more than %lld bytes", (long long)j->written_max);
        if (!len)
            break;
        buf_putc(b, '\n');
    }
    return jj_as_markup(j, jj_scratch_text(j), x.s->markup);
}

FILTER(f_center)
{
    struct jj_val width;
    JJ_BIND(j, "center", a, 0, &width, "width");
    int64_t w = jj_given(width) ? jj_want_int(j, width, "center's width") : 80;
    struct jj_val s = jj_str(j, x);
    if (w > j->written_max)
        jj_fail(j, "a text of more than %lld bytes", (long long)j->written_max);
    buf_clear(&j->scratch);
    jj_put_padded(&j->scratch, jj_bytes(s), s.s->chars, w, 'c', STR(" "));
    return jj_as_markup(j, jj_scratch_text(j), s.s->markup);
}

FILTER(f_truncate)
{
    struct jj_val arg[4];
    JJ_BIND(j, "truncate", a, 0, arg, "length", "killwords", "end", "leeway");
    int64_t length = jj_given(arg[0]) ? jj_want_int(j, arg[0], "truncate's length") : 255;
    struct jj_val end = jj_given(arg[2]) ? jj_str(j, arg[2]) : jj_cstr(j, "...");
    int64_t leeway = jj_given(arg[3]) && arg[3].t != T_NONE
                         ? jj_want_int(j, arg[3], "truncate's leeway")
                         : 5;
    int64_t n = jj_length(j, x);
    if (length < (int64_t)end.s->chars || leeway < 0)
        jj_fail(j, "truncate's length is shorter than its end");
    if (n < 0)
        jj_fail(j, "truncate takes a string, not a %s", jj_type_name(x));
    if (n - leeway <= length)
        return x;
    jj_want_str(j, x, "what truncate works on");
    struct jj_val v = jj_substr(j, x.s, 0, (size_t)length - end.s->chars);
    if (!given_true(j, arg[1])) {
        const char *space = v.s->n ? memrchr(v.s->p, ' ', v.s->n) : NULL;
        if (space)
            v = jj_text_borrow(j, v.s->p, (size_t)(space - v.s->p));
    }
    return jj_add(j, v, end);
}

FILTER(f_wordcount)
{
    NO_ARGS("wordcount");
    struct str s = jj_bytes(jj_str(j, x));
    int64_t n = 0;
    bool inside = false;
    for (size_t i = 0, len; i < s.n; i += len) {
        bool word = jj_is_word(jj_char(s.p + i, s.p + s.n, &len));
        n += word && !inside;
        inside = word;
    }
    return jj_int(n);
}

FILTER(f_striptags)
{
    NO_ARGS("striptags");
    struct str s = jj_bytes(jj_str(j, x));
    buf_clear(&j->scratch);
    bool gap = false;
    for (size_t i = 0, len; i < s.n; i += len) {
        uint32_t c = jj_char(s.p + i, s.p + s.n, &len);
        const char *close = c == '<' ? memchr(s.p + i, '>', s.n - i) : NULL;
        if (close) {
            len = (size_t)(close + 1 - (s.p + i));
        } else if (jj_is_space(c)) {
            gap = j->scratch.n > 0;
        } else {
            if (gap)
                buf_putc(&j->scratch, ' ');
            gap = false;
            buf_add(&j->scratch, s.p + i, len);
        }
    }
    return jj_scratch_text(j);
}

static void put_url(struct buf *b, struct str s, bool query)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (jj_is_alpha(c & 0x80 ? 0 : c) || jj_is_digit(c & 0x80 ? 0 : c) ||
            (c && strchr("_.-~", c)) || (c == '/' && !query))
            buf_putc(b, (char)c);
        else if (c == ' ' && query)
            buf_putc(b, '+');
        else
            buf_printf(b, "%%%02X", c);
    }
}

FILTER(f_urlencode)
{
    NO_ARGS("urlencode");
    struct jj_iter *it = x.t == T_STR ? NULL : jj_iter_try(j, x);
    struct buf *b;
    jj_capture_begin(j);
    b = j->out;
    if (!it)
        put_url(b, jj_bytes(jj_str(j, x)), false);
    if (x.t == T_DICT)
        it->kind = ITER_ITEMS;
    for (struct jj_val v; it && jj_next(j, it, &v);) {
        struct jj_val pair = jj_to_list(j, v);
        if (pair.seq->n != 2)
            jj_fail(j, "urlencode takes pairs");
        if (b->n)
            buf_putc(b, '&');
        put_url(b, jj_bytes(jj_str(j, pair.seq->v[0])), true);
        buf_putc(b, '=');
        put_url(b, jj_bytes(jj_str(j, pair.seq->v[1])), true);
    }
    return jj_capture_end(j);
}

FILTER(f_xmlattr)
{
    struct jj_val space;
    JJ_BIND(j, "xmlattr", a, 0, &space, "autospace");
    jj_check_defined(j, x);
    if (x.t != T_DICT)
        jj_fail(j, "xmlattr takes a dict, not a %s", jj_type_name(x));
    jj_capture_begin(j);
    bool first = true;
    for (size_t i = 0; i < x.d->n; i++) {
        const struct jj_entry *e = &x.d->e[i];
        if (e->value.t == T_NONE || e->value.t == T_UNDEF)
            continue;
        struct str key = jj_want_str(j, e->key, "an attribute's name");
        for (size_t k = 0; k < key.n; k++)
            if (key.p[k] == 0 || strchr(" \t\n\r\f\v/>=", key.p[k]))
                jj_fail(j, "an attribute's name holds a character that it may not");
        if (!first || !jj_given(space) || jj_true(j, space))
            buf_putc(j->out, ' ');
        first = false;
        buf_addstr(j->out, jj_bytes(escape(j, e->key, false)));
        buf_puts(j->out, "=\"");
        buf_addstr(j->out, jj_bytes(escape(j, e->value, false)));
        buf_putc(j->out, '"');
    }
    return jj_capture_end(j);
}

FILTER(f_format)
{
    struct jj_val s = jj_str(j, x), args;
    if (a->n && a->n_kw)
        jj_fail(j, "format takes values by position or by name, not both");
    if (a->n_kw) {
        args = jj_dict_val(jj_dict_new(j));
        for (size_t i = 0; i < a->n_kw; i++)
            jj_dict_set(j, args.d, jj_text_borrow(j, a->kw[i].name.p, a->kw[i].name.n),
                        a->kw[i].v);
    } else {
        args = jj_seq(j, T_TUPLE, a->n);
        for (size_t i = 0; i < a->n; i++)
            args.seq->v[i] = a->v[i];
    }
    return jj_binary(j, OP_MOD, s, args);
}

/* ---- JSON
 * ------------------------------------------------------------------------------------------ */

static struct str json_indent(struct jj *j, struct jj_val v)
{
    if (v.t == T_STR)
        return jj_bytes(v);
    int64_t n = jj_want_int(j, v, "tojson's indent");
    if (n > JJ_NEST_MAX)
        jj_fail(j, "tojson's indent is over %d", JJ_NEST_MAX);
    return jj_bytes(jj_binary(j, OP_MUL, jj_cstr(j, " "), jj_int(n)));
}

FILTER(f_tojson)
{
    struct jj_val arg[4];
    JJ_BIND(j, "tojson", a, 0, arg, "ensure_ascii", "indent", "separators", "sort_keys");
    struct jj_json_style style = {.item = STR(", "), .key = STR(": ")};
    style.ascii = given_true(j, arg[0]);
    style.sort = given_true(j, arg[3]);
    if (jj_given(arg[1]) && arg[1].t != T_NONE) {
        style.indent = json_indent(j, arg[1]);
        style.item = STR(",");
    }
    if (jj_given(arg[2]) && arg[2].t != T_NONE) {
        struct jj_val pair = jj_to_list(j, arg[2]);
        if (pair.seq->n != 2)
            jj_fail(j, "tojson's separators are two strings");
        style.item = jj_want_str(j, pair.seq->v[0], "a separator");
        style.key = jj_want_str(j, pair.seq->v[1], "a separator");
    }
    jj_capture_begin(j);
    jj_put_json(j, j->out, x, &style);
    return jj_capture_end(j);
}

/* ---- numbers
 * ----------------------------------------------------------------------------------------- */

/* The digits of an integer as int(text, base) takes it; false where it is none. */
static bool parse_integer(struct jj *j, struct str s, int64_t base, struct jj_val *out)
{
    s = jj_strip(s, NULL, true, true);
    char *digits = jj_alloc(j, s.n + 2);
    size_t n = 0, i = 0;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        digits[n++] = s.p[i++];
    if (i + 1 < s.n && s.p[i] == '0') {
        char k = (char)(s.p[i + 1] | 0x20);
        int64_t named = k == 'x' ? 16 : k == 'o' ? 8 : k == 'b' ? 2 : 0;
        if (named && (base == named || base == 0)) {
            base = named;
            i += 2;
        }
    }
    if (base == 0)
        base = 10;
    size_t first = n;
    for (; i < s.n; i++) {
        char c = s.p[i];
        int d = c >= '0' && c <= '9'                   ? c - '0'
                : jj_is_alpha((unsigned char)c & 0x7f) ? (c | 0x20) - 'a' + 10
                                                       : 99;
        if (c == '_' && n > first && i + 1 < s.n && s.p[i + 1] != '_')
            continue;
        if (c & 0x80 || d >= base)
            return false;
        digits[n++] = c;
    }
    digits[n] = 0;
    if (n == first)
        return false;
    if (base == 10) {
        *out = jj_integer(j, (struct str){digits, n});
        return true;
    }
    *out = jj_int((int64_t)strtoll(digits, NULL, (int)base));
    return true;
}

static bool parse_float(struct jj *j, struct str s, double *out)
{
    s = jj_strip(s, NULL, true, true);
    char *text = jj_alloc(j, s.n + 1), *end;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if ((s.p[i] | 0x20) == 'x' || s.p[i] == '(' || !s.p[i])
            return false; /* strtod would take more than Python */
        if (s.p[i] != '_')
            text[n++] = s.p[i];
    }
    text[n] = 0;
    *out = strtod(text, &end);
    return n && end == text + n && !jj_is_space((unsigned char)text[0]);
}

static bool whole_float(struct jj *j, double f, struct jj_val *out)
{
    if (!isfinite(f))
        return false;
    buf_clear(&j->scratch);
    buf_printf(&j->scratch, "%.0f", trunc(f));
    *out = jj_integer(j, buf_str(&j->scratch));
    return true;
}

FILTER(f_int)
{
    struct jj_val arg[2], v;
    double f;
    JJ_BIND(j, "int", a, 0, arg, "default", "base");
    jj_check_defined(j, x);
    int64_t base = jj_given(arg[1]) ? jj_want_int(j, arg[1], "int's base") : 10;
    if (base < 0 || base == 1 || base > 36)
        jj_fail(j, "int's base must be 0 or 2 to 36");
    if (x.t == T_INT || x.t == T_BIG)
        return x;
    if (x.t == T_BOOL)
        return jj_int(x.b);
    if (x.t == T_FLOAT && whole_float(j, x.f, &v))
        return v;
    if (x.t == T_STR && (parse_integer(j, jj_bytes(x), base, &v) ||
                         (parse_float(j, jj_bytes(x), &f) && whole_float(j, f, &v))))
        return v;
    return jj_given(arg[0]) ? arg[0] : jj_int(0);
}

FILTER(f_float)
{
    struct jj_val otherwise;
    double f;
    JJ_BIND(j, "float", a, 0, &otherwise, "default");
    jj_check_defined(j, x);
    if (jj_number(x, &f) || (x.t == T_STR && parse_float(j, jj_bytes(x), &f)))
        return jj_float(f);
    return jj_given(otherwise) ? otherwise : jj_float(0);
}

FILTER(f_abs)
{
    NO_ARGS("abs");
    double f;
    jj_check_defined(j, x);
    if (!jj_number(x, &f))
        jj_fail(j, "abs takes a number, not a %s", jj_type_name(x));
    return jj_negative(j, x, f < 0 || (f == 0 && signbit(f)));
}

static struct jj_val round_int(struct jj *j, int64_t i, int64_t precision)
{
    int64_t unit = 1;
    for (; precision < 0; precision++)
        if (__builtin_mul_overflow(unit, 10, &unit))
            return jj_int(0);
    if (unit == 1)
        return jj_int(i);
    int64_t rest = jj_binary(j, OP_MOD, jj_int(i), jj_int(unit)).i, down = i - rest;
    bool up = rest > unit / 2 || (rest == unit / 2 && (down / unit) % 2 != 0);
    return jj_add(j, jj_int(down), jj_int(up ? unit : 0));
}

/* Python rounds the exact binary value, as printf does. */
static double round_float(struct jj *j, double f, int64_t precision)
{
    if (!isfinite(f) || precision > 300)
        return f;
    if (precision < -308)
        return copysign(0, f);
    if (precision < 0) {
        double unit = pow(10, (double)-precision);
        return rint(f / unit) * unit;
    }
    buf_clear(&j->scratch);
    buf_printf(&j->scratch, "%.*f", (int)precision, f);
    return strtod(j->scratch.p, NULL);
}

FILTER(f_round)
{
    struct jj_val arg[2];
    double f;
    JJ_BIND(j, "round", a, 0, arg, "precision", "method");
    int64_t precision = jj_given(arg[0]) ? jj_want_int(j, arg[0], "round's precision") : 0, i;
    struct str method = jj_given(arg[1]) ? jj_want_str(j, arg[1], "round's method")
                                         : STR("common");
    jj_check_defined(j, x);
    if (!jj_number(x, &f))
        jj_fail(j, "round takes a number, not a %s", jj_type_name(x));
    if (str_is(method, "common"))
        return jj_is_int(x, &i) ? round_int(j, i, precision)
                                : jj_float(round_float(j, f, precision));
    if (!str_is(method, "ceil") && !str_is(method, "floor"))
        jj_fail(j, "round's method must be common, ceil or floor");
    double unit = pow(10, (double)precision);
    return jj_float((str_is(method, "ceil") ? ceil(f * unit) : floor(f * unit)) / unit);
}

FILTER(f_filesizeformat)
{
    static const char units[] = "kMGTPEZY";
    struct jj_val binary;
    double f;
    JJ_BIND(j, "filesizeformat", a, 0, &binary, "binary");
    bool two = given_true(j, binary);
    if (!jj_number(x, &f) && !(x.t == T_STR && parse_float(j, jj_bytes(x), &f)))
        jj_fail(j, "filesizeformat takes a number, not a %s", jj_type_name(x));
    double base = two ? 1024 : 1000, unit = base;
    buf_clear(&j->scratch);
    if (f == 1)
        buf_puts(&j->scratch, "1 Byte");
    else if (f < base)
        buf_printf(&j->scratch, "%.0f Bytes", trunc(f));
    else {
        int i = 0;
        for (; i < 7 && f >= unit * base; i++)
            unit *= base;
        buf_printf(&j->scratch, "%.1f %c%s", f / unit, two && i == 0 ? 'K' : units[i],
                   two ? "iB" : "B");
    }
    return jj_scratch_text(j);
}

/* ---- any value
 * ------------------------------------------------------------------------------------------ */

FILTER(f_default)
{
    struct jj_val arg[2];
    JJ_BIND(j, "default", a, 0, arg, "default_value", "boolean");
    if (x.t == T_UNDEF || (given_true(j, arg[1]) && !jj_true(j, x)))
        return jj_given(arg[0]) ? arg[0] : jj_cstr(j, "");
    return x;
}

FILTER(f_length)
{
    NO_ARGS("length");
    int64_t n = jj_length(j, x);
    if (n < 0)
        jj_fail(j, "a %s has no length", jj_type_name(x));
    return jj_int(n);
}

FILTER(f_attr)
{
    struct jj_val name;
    JJ_BIND(j, "attr", a, 1, &name, "name");
    struct str s = jj_want_str(j, name, "attr's name");
    struct jj_val v = x.t == T_DICT ? jj_getitem(j, jj_dict_val(jj_dict_new(j)), name)
                                    : jj_getattr(j, x, s);
    if (x.t == T_DICT && v.t == T_METHOD)
        return jj_getattr(j, x, s);
    return v;
}

const struct jj_func *jj_find_filter(struct str name)
{
    static const struct jj_func table[] = {
        {"abs", f_abs},
        {"attr", f_attr},
        {"capitalize", f_capitalize},
        {"center", f_center},
        {"count", f_length},
        {"d", f_default},
        {"default", f_default},
        {"e", f_escape},
        {"escape", f_escape},
        {"filesizeformat", f_filesizeformat},
        {"float", f_float},
        {"forceescape", f_forceescape},
        {"format", f_format},
        {"indent", f_indent},
        {"int", f_int},
        {"length", f_length},
        {"lower", f_lower},
        {"replace", f_replace},
        {"round", f_round},
        {"safe", f_safe},
        {"string", f_string},
        {"striptags", f_striptags},
        {"title", f_title},
        {"tojson", f_tojson},
        {"trim", f_trim},
        {"truncate", f_truncate},
        {"upper", f_upper},
        {"urlencode", f_urlencode},
        {"wordcount", f_wordcount},
        {"xmlattr", f_xmlattr},
    };
    const struct jj_func *f = jj_pick(table, sizeof table / sizeof *table, name);
    return f ? f : jj_find_seq_filter(name);
}
