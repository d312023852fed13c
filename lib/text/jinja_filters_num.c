/* jinja_filters_num.c - filters of numbers. */
#include "text/jinja_run.h"

#include <math.h>
#include <stdlib.h>

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

JJ_FUNC(f_int)
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

JJ_FUNC(f_float)
{
    struct jj_val otherwise;
    double f;
    JJ_BIND(j, "float", a, 0, &otherwise, "default");
    jj_check_defined(j, x);
    if (jj_number(x, &f) || (x.t == T_STR && parse_float(j, jj_bytes(x), &f)))
        return jj_float(f);
    return jj_given(otherwise) ? otherwise : jj_float(0);
}

JJ_FUNC(f_abs)
{
    JJ_NO_ARGS("abs");
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

JJ_FUNC(f_round)
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

JJ_FUNC(f_filesizeformat)
{
    static const char units[] = "kMGTPEZY";
    struct jj_val binary;
    double f;
    JJ_BIND(j, "filesizeformat", a, 0, &binary, "binary");
    bool two = jj_given_true(j, binary);
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

const struct jj_func *jj_find_number_filter(struct str name)
{
    static const struct jj_func table[] = {
        {"abs", f_abs},     {"filesizeformat", f_filesizeformat},
        {"float", f_float}, {"int", f_int},
        {"round", f_round},
    };
    return jj_pick(table, JJ_COUNT(table), name);
}
