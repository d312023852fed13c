/* jinja_methods_shape.c - methods that pad strings, and that ask what they are made of. */
#include "text/jinja_run.h"

static struct jj_val finish(struct jj *j, struct jj_val x)
{
    return jj_as_markup(j, jj_scratch_text(j), x.s->markup);
}

/* ---- width ---- */

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
    jj_check_size(j, width > 0 ? (size_t)width : 0);
    buf_clear(&j->scratch);
    jj_put_padded(&j->scratch, jj_bytes(x), x.s->chars, width, align, fill);
    return finish(j, x);
}

JJ_FUNC(s_center)
{
    return pad(j, x, a, "center()", 'c');
}

JJ_FUNC(s_ljust)
{
    return pad(j, x, a, "ljust()", '<');
}

JJ_FUNC(s_rjust)
{
    return pad(j, x, a, "rjust()", '>');
}

JJ_FUNC(s_zfill)
{
    struct jj_val arg;
    JJ_BIND(j, "zfill()", a, 1, &arg, "width");
    int64_t width = jj_want_int(j, arg, "zfill()'s width");
    struct str s = jj_bytes(x);
    bool sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
    if (width < 0)
        width = 0;
    jj_check_size(j, width > 0 ? (size_t)width : 0);
    buf_clear(&j->scratch);
    buf_add(&j->scratch, s.p, sign);
    jj_put_padded(&j->scratch, (struct str){s.p + sign, s.n - sign}, x.s->chars - sign,
                  width - sign, '>', STR("0"));
    return finish(j, x);
}

JJ_FUNC(s_expandtabs)
{
    struct jj_val arg;
    JJ_BIND(j, "expandtabs()", a, 0, &arg, "tabsize");
    int64_t size = jj_given(arg) ? jj_want_int(j, arg, "expandtabs()'s size") : 8, column = 0;
    if (size > JJ_NEST_MAX)
        jj_fail(j, "expandtabs() by more than %d", JJ_NEST_MAX);
    buf_clear(&j->scratch);
    for (size_t i = 0; i < x.s->n; i++) {
        char c = x.s->p[i];
        jj_check_size(j, j->scratch.n);
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

/* ---- questions ---- */

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

#define ASKS(fn, name, cond)   \
    JJ_FUNC(fn)                \
    {                          \
        JJ_NO_ARGS(name "()"); \
        return jj_bool(cond);  \
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

JJ_FUNC(s_istitle)
{
    JJ_NO_ARGS("istitle()");
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

const struct jj_func *jj_find_shape_method(struct str name)
{
    static const struct jj_func table[] = {
        {"center", s_center},
        {"expandtabs", s_expandtabs},
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
        {"ljust", s_ljust},
        {"rjust", s_rjust},
        {"zfill", s_zfill},
    };
    return jj_pick(table, JJ_COUNT(table), name);
}
