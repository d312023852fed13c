/* jinja_format.c - "%s" % values and "{}".format(values), as Python formats. */
#include "text/jinja_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 1 << 20, PRECISION_MAX = 1000 };

/* One conversion of either language. */
struct spec {
    struct str fill;
    char align; /* '<', '>', '^', '=', or 0 */
    char sign;  /* '+', ' ' or 0 */
    bool alternate, zero;
    char group;               /* ',' or '_' between thousands, or 0 */
    int64_t width, precision; /* precision -1: none */
    char type;                /* 0: the value's own */
};

static void put_limited(struct jj *j, struct buf *b)
{
    jj_check_size(j, b->n);
}

static int64_t clamp_width(struct jj *j, int64_t n)
{
    if (n > WIDTH_MAX || n < -WIDTH_MAX)
        jj_fail(j, "a width of more than %d", WIDTH_MAX);
    return n;
}

static bool read_number(struct jj *j, const char **p, const char *end, int64_t *out)
{
    const char *start = *p;
    int64_t n = 0;
    while (*p < end && **p >= '0' && **p <= '9')
        n = clamp_width(j, n * 10 + (*(*p)++ - '0'));
    if (*p > start)
        *out = n;
    return *p > start;
}

/* ---- putting ---- */

static void put_text(struct jj *j, struct buf *b, struct jj_val s, const struct spec *f)
{
    if (f->precision >= 0 && (uint64_t)f->precision < s.s->chars)
        s = jj_substr(j, s.s, 0, (size_t)f->precision);
    jj_put_padded(b, jj_bytes(s), s.s->chars, f->width, f->align ? f->align : '<', f->fill);
    put_limited(j, b);
}

/* digits: without sign; `whole` of them stand before a point. */
static void put_number(struct jj *j, struct buf *b, bool minus, const char *prefix,
                       const char *digits, const struct spec *f)
{
    char text[PRECISION_MAX + 800];
    size_t n = 0, whole = strspn(digits, "0123456789abcdefABCDEF");
    size_t step = f->type == 'x' || f->type == 'X' || f->type == 'b' || f->type == 'o' ? 4 : 3;
    if (strchr(digits, 'e') && f->type != 'x')
        whole = strspn(digits, "0123456789");
    char sign[4] = {minus ? '-' : f->sign, 0};
    size_t fixed = strlen(sign) + strlen(prefix);
    int64_t zeros = 0;
    bool fill_zero = (f->zero && !f->align) || (f->align == '=' && str_is(f->fill, "0"));
    if (fill_zero)
        zeros = f->width - (int64_t)(fixed + strlen(digits));
    for (size_t i = 0; digits[i] && n + 2 < sizeof text; i++) {
        if (f->group && i && i < whole && (whole - i) % step == 0)
            text[n++] = f->group;
        text[n++] = digits[i];
    }
    text[n] = 0;
    struct buf *s = &j->scratch;
    buf_clear(s);
    buf_puts(s, sign);
    buf_puts(s, prefix);
    int64_t pad = f->align == '=' && !fill_zero ? f->width - (int64_t)(fixed + n) : 0;
    for (int64_t i = 0; i < zeros; i++)
        buf_putc(s, '0');
    for (int64_t i = 0; i < pad; i++)
        buf_addstr(s, f->fill);
    buf_add(s, text, n);
    char align = f->align && f->align != '=' ? f->align : '>';
    jj_put_padded(b, buf_str(s), jj_count_chars(s->p, s->n), f->width, align, f->fill);
    put_limited(j, b);
}

static void put_int(struct jj *j, struct buf *b, struct jj_val v, const struct spec *f)
{
    char digits[72];
    int64_t i = 0;
    if (v.t == T_BIG) {
        if (f->type != 'd')
            jj_fail(j, "an integer beyond 64 bits is written in decimal only");
        bool minus = v.s->p[0] == '-';
        struct jj_val s = jj_text(j, v.s->p + minus, v.s->n - minus);
        if (s.s->n > PRECISION_MAX)
            jj_fail(j, "an integer of more than %d digits", PRECISION_MAX);
        put_number(j, b, minus, "", s.s->p, f);
        return;
    }
    if (v.t == T_FLOAT && fabs(v.f) < 9e18)
        i = (int64_t)v.f;
    else if (!jj_is_int(v, &i))
        jj_fail(j, "%%%c takes a number, not a %s", f->type, jj_type_name(v));
    uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i;
    unsigned base = f->type == 'x' || f->type == 'X' ? 16
                    : f->type == 'o'                 ? 8
                    : f->type == 'b'                 ? 2
                                                     : 10;
    const char *alphabet = f->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char *p = digits + sizeof digits - 1;
    *p = 0;
    do
        *--p = alphabet[u % base];
    while ((u /= base));
    const char *prefix = !f->alternate ? ""
                         : base == 16  ? (f->type == 'X' ? "0X" : "0x")
                         : base == 8   ? "0o"
                         : base == 2   ? "0b"
                                       : "";
    struct buf *s = &j->scratch; /* a precision asks for leading zeros */
    buf_clear(s);
    for (int64_t k = (int64_t)strlen(p); k < f->precision && k < PRECISION_MAX; k++)
        buf_putc(s, '0');
    buf_puts(s, p);
    struct jj_val text = jj_scratch_text(j);
    put_number(j, b, i < 0, prefix, text.s->p, f);
}

static void put_real(struct jj *j, struct buf *b, struct jj_val v, const struct spec *f)
{
    double x;
    char text[PRECISION_MAX + 400], form[8] = "%.*g";
    if (!jj_number(v, &x))
        jj_fail(j, "%%%c takes a number, not a %s", f->type, jj_type_name(v));
    int precision = f->precision < 0 ? 6 : (int)f->precision;
    if (precision > PRECISION_MAX)
        jj_fail(j, "a precision of more than %d", PRECISION_MAX);
    bool percent = f->type == '%', upper = f->type == 'E' || f->type == 'F' || f->type == 'G';
    double size = fabs(percent ? x * 100 : x);
    if (isnan(x) || isinf(x)) {
        snprintf(text, sizeof text, "%s",
                 isnan(x) ? (upper ? "NAN" : "nan")
                 : upper  ? "INF"
                          : "inf");
    } else if (!f->type && f->precision < 0) {
        buf_clear(&j->scratch);
        jj_put_float(&j->scratch, size);
        snprintf(text, sizeof text, "%s", j->scratch.p);
    } else {
        snprintf(form, sizeof form, f->alternate ? "%%#.*%c" : "%%.*%c",
                 percent   ? 'f'
                 : f->type ? f->type
                           : 'g');
        /* the form has come from the table of conversions above */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text - 1, form, precision, size);
#pragma GCC diagnostic pop
    }
    if (percent)
        strcat(text, "%");
    put_number(j, b, signbit(x) && !isnan(x), "", text, f);
}

/* ---- "%s" % values ---- */

struct percent {
    struct jj *j;
    struct buf *b;
    const char *p, *end;
    struct jj_val args;
    size_t used;
};

static struct jj_val next_value(struct percent *s)
{
    if (s->args.t != T_TUPLE) {
        if (s->used++)
            jj_fail(s->j, "more conversions than values to format");
        return s->args;
    }
    if (s->used >= s->args.seq->n)
        jj_fail(s->j, "more conversions than values to format");
    return s->args.seq->v[s->used++];
}

static int64_t star_or_number(struct percent *s, int64_t otherwise)
{
    int64_t n = otherwise;
    if (s->p < s->end && *s->p == '*') {
        s->p++;
        return clamp_width(s->j, jj_want_int(s->j, next_value(s), "a width"));
    }
    read_number(s->j, &s->p, s->end, &n);
    return n;
}

static bool named_value(struct percent *s, struct jj_val *v)
{
    if (s->p == s->end || *s->p != '(')
        return false;
    const char *close = memchr(s->p, ')', (size_t)(s->end - s->p));
    if (!close || s->args.t != T_DICT)
        jj_fail(s->j, "a name in a format needs a dict of values");
    struct str name = {s->p + 1, (size_t)(close - s->p - 1)};
    const struct jj_val *found = jj_dict_find(s->args.d, name);
    if (!found)
        jj_fail(s->j, "the format names '%.*s', which is not given",
                (int)(name.n > 80 ? 80 : name.n), name.p);
    *v = *found;
    s->p = close + 1;
    s->used = 1;
    return true;
}

static void put_percent(struct percent *s, struct jj_val v, struct spec *f)
{
    struct jj *j = s->j;
    switch (f->type) {
    case 's': put_text(j, s->b, jj_str(j, v), f); return;
    case 'r':
    case 'a':
        jj_capture_begin(j);
        jj_put_repr(j, j->out, v);
        put_text(j, s->b, jj_capture_end(j), f);
        return;
    case 'c':
        if (v.t == T_INT && v.i >= 0 && v.i < 0xd800) {
            buf_clear(&j->scratch);
            buf_put_utf8(&j->scratch, (uint32_t)v.i);
            v = jj_scratch_text(j);
        }
        if (v.t != T_STR || v.s->chars != 1)
            jj_fail(j, "%%c takes one character");
        put_text(j, s->b, v, f);
        return;
    case 'u':
    case 'i':
    case 'd': f->type = 'd'; /* fall through */
    case 'x':
    case 'X':
    case 'o': put_int(j, s->b, v, f); return;
    default: break;
    }
    if (!strchr("eEfFgG", f->type))
        jj_fail(j, "unknown conversion in a format");
    put_real(j, s->b, v, f);
}

static void one_percent(struct percent *s)
{
    struct spec f = {.fill = STR(" "), .align = '>', .precision = -1};
    struct jj_val v = jj_missing();
    bool named = named_value(s, &v), left = false;
    for (; s->p < s->end && memchr("#0- +", *s->p, 5); s->p++) {
        f.alternate |= *s->p == '#';
        f.zero |= *s->p == '0';
        left |= *s->p == '-';
        if (*s->p == '+' || (*s->p == ' ' && !f.sign))
            f.sign = *s->p;
    }
    f.width = star_or_number(s, 0);
    if (f.width < 0) {
        left = true;
        f.width = -f.width;
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        f.precision = star_or_number(s, 0);
    }
    while (s->p < s->end && memchr("hlL", *s->p, 3))
        s->p++;
    if (s->p == s->end)
        jj_fail(s->j, "a format ends inside a conversion");
    f.type = *s->p++;
    if (f.type == '%') {
        buf_putc(s->b, '%');
        return;
    }
    if (left)
        f.align = '<';
    else if (f.zero && !strchr("srac", f.type))
        f.align = 0;
    put_percent(s, named ? v : next_value(s), &f);
}

void jj_format_percent(struct jj *j, struct buf *b, struct str fmt, struct jj_val args)
{
    struct percent s = {j, b, fmt.p, fmt.p + fmt.n, args, 0};
    while (s.p < s.end) {
        const char *mark = memchr(s.p, '%', (size_t)(s.end - s.p));
        buf_add(b, s.p, (size_t)((mark ? mark : s.end) - s.p));
        put_limited(j, b);
        if (!mark)
            break;
        s.p = mark + 1;
        jj_step(j, 1);
        one_percent(&s);
    }
    bool all = args.t == T_TUPLE ? s.used == args.seq->n
                                 : s.used || args.t == T_DICT || args.t == T_LIST;
    if (!all)
        jj_fail(j, "not all values were used by the format");
}

/* ---- "{}".format(values) ---- */

static void read_spec(struct jj *j, struct str s, struct spec *f)
{
    const char *p = s.p, *end = s.p + s.n;
    size_t len = 1;
    *f = (struct spec){.fill = STR(" "), .precision = -1};
    if (p < end)
        jj_char(p, end, &len);
    if (p + len < end && p[len] && strchr("<>^=", p[len])) {
        f->fill = (struct str){p, len};
        f->align = p[len];
        p += len + 1;
    } else if (p < end && *p && strchr("<>^=", *p)) {
        f->align = *p++;
    }
    if (p < end && *p && strchr("+- ", *p))
        f->sign = *p++;
    if (f->sign == '-')
        f->sign = 0;
    if (p < end && *p == '#')
        f->alternate = p++ != NULL;
    if (p < end && *p == '0' && (f->zero = true))
        p++;
    read_number(j, &p, end, &f->width);
    if (p < end && (*p == ',' || *p == '_'))
        f->group = *p++;
    if (p < end && *p == '.') {
        p++;
        if (!read_number(j, &p, end, &f->precision))
            jj_fail(j, "a format lacks its precision");
    }
    if (p < end)
        f->type = *p++;
    if (p < end)
        jj_fail(j, "a format '%.*s' that is not understood", (int)(s.n > 40 ? 40 : s.n), s.p);
}

static void put_formatted(struct jj *j, struct buf *b, struct jj_val v, struct str spec)
{
    struct spec f;
    read_spec(j, spec, &f);
    int64_t i;
    if (v.t == T_STR && (!f.type || f.type == 's')) {
        put_text(j, b, v, &f);
    } else if (!spec.n) {
        put_text(j, b, jj_str(j, v), &f);
    } else if (v.t == T_BIG || (jj_is_int(v, &i) && (!f.type || strchr("dxXobn", f.type)))) {
        if (!f.type || f.type == 'n')
            f.type = 'd';
        put_int(j, b, v, &f);
    } else if ((v.t == T_FLOAT || jj_is_int(v, &i)) && (!f.type || strchr("eEfFgG%", f.type))) {
        put_real(j, b, v, &f);
    } else {
        jj_fail(j, "the format '%.*s' does not go with a %s", (int)(spec.n > 40 ? 40 : spec.n),
                spec.p, jj_type_name(v));
    }
}

struct braces {
    struct jj *j;
    const struct jj_args *a;
    int64_t next; /* of the values without a number; -1: numbers are given */
};

static struct jj_val field_start(struct braces *s, struct str name)
{
    struct jj *j = s->j;
    bool digits = name.n > 0;
    for (size_t i = 0; i < name.n; i++)
        digits = digits && name.p[i] >= '0' && name.p[i] <= '9';
    if (name.n && !digits) {
        for (size_t i = 0; i < s->a->n_kw; i++)
            if (str_eq(s->a->kw[i].name, name))
                return s->a->kw[i].v;
        jj_fail(j, "the format names '%.*s', which is not given",
                (int)(name.n > 80 ? 80 : name.n), name.p);
    }
    if ((digits && s->next > 0) || (!digits && s->next < 0))
        jj_fail(j, "a format numbers some values and not others");
    struct jj_val number = digits ? jj_integer(j, name) : jj_int(s->next++);
    if (digits)
        s->next = -1;
    if (number.t != T_INT || (uint64_t)number.i >= s->a->n)
        jj_fail(j, "a format asks for more values than are given");
    return s->a->v[number.i];
}

static struct jj_val field_value(struct braces *s, struct str field)
{
    struct jj *j = s->j;
    size_t at = 0;
    while (at < field.n && field.p[at] != '.' && field.p[at] != '[')
        at++;
    struct jj_val v = field_start(s, (struct str){field.p, at});
    while (at < field.n) {
        bool item = field.p[at] == '[';
        size_t from = ++at;
        while (at < field.n &&
               (item ? field.p[at] != ']' : field.p[at] != '.' && field.p[at] != '['))
            at++;
        struct str part = {field.p + from, at - from};
        if (!part.n || (item && at == field.n))
            jj_fail(j, "a format's field is not understood");
        at += item;
        bool digits = item;
        for (size_t i = 0; i < part.n; i++)
            digits = digits && part.p[i] >= '0' && part.p[i] <= '9';
        if (!item)
            v = jj_getattr(j, v, part);
        else
            v = jj_getitem(j, v,
                           digits ? jj_integer(j, part) : jj_text_borrow(j, part.p, part.n));
    }
    return v;
}

/* p stands behind "{"; returns what follows its "}". */
static const char *one_field(struct braces *s, struct buf *b, const char *p, const char *end,
                             int level)
{
    struct jj *j = s->j;
    int open = 1;
    const char *close = p, *mark = NULL;
    for (; close < end; close++) {
        open += (*close == '{') - (*close == '}');
        if (!open)
            break;
        if (!mark && open == 1 && (*close == ':' || *close == '!'))
            mark = close;
    }
    if (close == end || level > 2)
        jj_fail(j, "a format has '{' without '}'");
    struct str field = {p, (size_t)((mark ? mark : close) - p)}, spec = STR("");
    struct jj_val v = field_value(s, field);
    if (mark && *mark == '!') {
        if (close - mark < 2 || !strchr("rsa", mark[1]) || (close - mark > 2 && mark[2] != ':'))
            jj_fail(j, "a format's conversion is not understood");
        jj_capture_begin(j);
        (mark[1] == 's' ? jj_put_str : jj_put_repr)(j, j->out, v);
        v = jj_capture_end(j);
        mark = close - mark > 2 ? mark + 2 : NULL;
    }
    if (mark)
        spec = (struct str){mark + 1, (size_t)(close - mark - 1)};
    const char *inner = spec.n ? memchr(spec.p, '{', spec.n) : NULL;
    if (inner) {
        jj_capture_begin(j);
        buf_add(j->out, spec.p, (size_t)(inner - spec.p));
        const char *rest = one_field(s, j->out, inner + 1, close, level + 1);
        buf_add(j->out, rest, (size_t)(close - rest));
        spec = jj_bytes(jj_capture_end(j));
    }
    put_formatted(j, b, v, spec);
    return close + 1;
}

void jj_format_braces(struct jj *j, struct buf *b, struct str fmt, const struct jj_args *a)
{
    struct braces s = {j, a, 0};
    for (const char *p = fmt.p, *end = fmt.p + fmt.n; p < end;) {
        const char *q = p;
        while (q < end && *q != '{' && *q != '}')
            q++;
        buf_add(b, p, (size_t)(q - p));
        put_limited(j, b);
        if (q == end)
            break;
        jj_step(j, 1);
        if (q + 1 < end && q[1] == *q) {
            buf_putc(b, *q);
            p = q + 2;
        } else if (*q == '}') {
            jj_fail(j, "a format has '}' without '{'");
        } else {
            p = one_field(&s, b, q + 1, end, 0);
        }
    }
}
