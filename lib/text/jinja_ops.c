/* jinja_ops.c - operators with Python's meaning. */
#include "text/jinja_run.h"

#include <math.h>
#include <string.h>

static const char *const op_text[] = {
    [OP_ADD] = "+", [OP_SUB] = "-",  [OP_MUL] = "*", [OP_DIV] = "/", [OP_FLOORDIV] = "//",
    [OP_MOD] = "%", [OP_POW] = "**", [OP_EQ] = "==", [OP_NE] = "!=", [OP_LT] = "<",
    [OP_LE] = "<=", [OP_GT] = ">",   [OP_GE] = ">=", [OP_IN] = "in", [OP_NOTIN] = "not in",
};

static _Noreturn void no_operator(struct jj *j, enum jj_op op, struct jj_val a, struct jj_val b)
{
    jj_check_defined(j, a);
    jj_check_defined(j, b);
    if (a.t == T_BIG || b.t == T_BIG)
        jj_fail(j, "no arithmetic on integers beyond 64 bits");
    jj_fail(j, "'%s' does not go with a %s and a %s", op_text[op], jj_type_name(a),
            jj_type_name(b));
}

static _Noreturn void too_large(struct jj *j)
{
    jj_fail(j, "an integer beyond 64 bits");
}

/* ---- numbers ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static struct jj_val int_pow(struct jj *j, int64_t a, int64_t b)
{
    if (b < 0) {
        if (a == 0)
            jj_fail(j, "zero to a negative power");
        return jj_float(pow((double)a, (double)b));
    }
    int64_t r = 1;
    for (; b; b >>= 1) {
        if ((b & 1) && __builtin_mul_overflow(r, a, &r))
            too_large(j);
        if (b > 1 && __builtin_mul_overflow(a, a, &a))
            too_large(j);
    }
    return jj_int(r);
}

static struct jj_val int_op(struct jj *j, enum jj_op op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool over = false;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0)
        jj_fail(j, "division by zero");
    if ((op == OP_FLOORDIV || op == OP_MOD) && b == -1) { /* INT64_MIN / -1 traps */
        if (op == OP_MOD)
            return jj_int(0);
        over = __builtin_sub_overflow(0, a, &r);
    } else {
        switch (op) {
        case OP_ADD: over = __builtin_add_overflow(a, b, &r); break;
        case OP_SUB: over = __builtin_sub_overflow(a, b, &r); break;
        case OP_MUL: over = __builtin_mul_overflow(a, b, &r); break;
        case OP_DIV: return jj_float((double)a / (double)b);
        case OP_FLOORDIV: r = floor_div(a, b); break;
        case OP_MOD: r = a - floor_div(a, b) * b; break;
        default: return int_pow(j, a, b);
        }
    }
    if (over)
        too_large(j);
    return jj_int(r);
}

static double float_mod(double a, double b)
{
    double m = fmod(a, b);
    if (m == 0)
        return copysign(0, b);
    return (m < 0) != (b < 0) ? m + b : m;
}

static struct jj_val float_op(struct jj *j, enum jj_op op, double a, double b)
{
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0)
        jj_fail(j, "division by zero");
    switch (op) {
    case OP_ADD: return jj_float(a + b);
    case OP_SUB: return jj_float(a - b);
    case OP_MUL: return jj_float(a * b);
    case OP_DIV: return jj_float(a / b);
    case OP_MOD: return jj_float(float_mod(a, b));
    case OP_FLOORDIV: return jj_float(rint((a - float_mod(a, b)) / b));
    default:
        if ((a == 0 && b < 0) || (a < 0 && isfinite(a) && isfinite(b) && b != floor(b)))
            jj_fail(j, "a power that is no real number");
        return jj_float(pow(a, b));
    }
}

static struct jj_val negative_big(struct jj *j, const struct jj_str *digits)
{
    char *text = jj_alloc(j, digits->n + 2);
    bool minus = digits->p[0] == '-';
    text[0] = '-';
    memcpy(text + 1, digits->p, digits->n);
    return jj_integer(j, (struct str){text + 2 * minus, digits->n + 1 - 2 * minus});
}

struct jj_val jj_negative(struct jj *j, struct jj_val v, bool minus)
{
    int64_t i;
    jj_check_defined(j, v);
    if (v.t == T_FLOAT)
        return jj_float(minus ? -v.f : v.f);
    if (v.t == T_BIG && minus)
        return negative_big(j, v.s);
    if (v.t == T_BIG)
        return v;
    if (!jj_is_int(v, &i))
        jj_fail(j, "a sign does not go with a %s", jj_type_name(v));
    if (minus && __builtin_sub_overflow(0, i, &i))
        too_large(j);
    return jj_int(i);
}

/* ---- texts and lists ---- */

static struct jj_val escaped(struct jj *j, struct jj_val s)
{
    buf_clear(&j->scratch);
    jj_put_escaped(&j->scratch, jj_bytes(s));
    return jj_scratch_text(j);
}

static struct jj_val join_texts(struct jj *j, struct jj_val a, struct jj_val b)
{
    bool markup = a.s->markup || b.s->markup;
    if (markup && !a.s->markup)
        a = jj_as_markup(j, escaped(j, a), true);
    if (markup && !b.s->markup)
        b = escaped(j, b);
    return jj_joined(j, a.s, b.s);
}

static struct jj_val join_seqs(struct jj *j, struct jj_val a, struct jj_val b)
{
    struct jj_val v = jj_seq(j, a.t, a.seq->n + b.seq->n);
    if (a.seq->n)
        memcpy(v.seq->v, a.seq->v, a.seq->n * sizeof *v.seq->v);
    if (b.seq->n)
        memcpy(v.seq->v + a.seq->n, b.seq->v, b.seq->n * sizeof *v.seq->v);
    return v;
}

static struct jj_val repeat_text(struct jj *j, const struct jj_str *s, size_t times)
{
    size_t n;
    jj_check_size(j, size_mul(s->n, times, &n) ? n : SIZE_MAX);
    char *p = jj_alloc(j, n + 1);
    jj_step(j, n / 64 + 1);
    for (size_t i = 0; s->n && i < times; i++)
        memcpy(p + i * s->n, s->p, s->n);
    struct jj_val v = jj_text_counted(j, p, n, s->chars * times);
    return jj_as_markup(j, v, s->markup);
}

static struct jj_val repeat(struct jj *j, struct jj_val v, int64_t times)
{
    size_t k = times > 0 ? (size_t)times : 0, n;
    if (v.t == T_STR)
        return repeat_text(j, v.s, k);
    if (!size_mul(v.seq->n, k, &n) || n > (size_t)j->steps_max)
        jj_fail(j, "more than %lld steps", (long long)j->steps_max);
    struct jj_val out = jj_seq(j, v.t, n);
    for (size_t i = 0; i < n; i++)
        out.seq->v[i] = v.seq->v[i % v.seq->n];
    return out;
}

static bool repeatable(struct jj_val v)
{
    return v.t == T_STR || v.t == T_LIST || v.t == T_TUPLE;
}

struct jj_val jj_add(struct jj *j, struct jj_val a, struct jj_val b)
{
    return jj_binary(j, OP_ADD, a, b);
}

struct jj_val jj_binary(struct jj *j, enum jj_op op, struct jj_val a, struct jj_val b)
{
    int64_t i, k;
    double x, y;
    if (a.t == T_STR && op == OP_MOD) {
        jj_capture_begin(j); /* so that the buffer has an owner if formatting fails */
        jj_format_percent(j, j->out, jj_bytes(a), b);
        return jj_as_markup(j, jj_capture_end(j), a.s->markup);
    }
    if (a.t == T_STR && b.t == T_STR && op == OP_ADD)
        return join_texts(j, a, b);
    if (a.t == b.t && (a.t == T_LIST || a.t == T_TUPLE) && op == OP_ADD)
        return join_seqs(j, a, b);
    if (op == OP_MUL && repeatable(a) && jj_is_int(b, &k))
        return repeat(j, a, k);
    if (op == OP_MUL && repeatable(b) && jj_is_int(a, &i))
        return repeat(j, b, i);
    if (jj_is_int(a, &i) && jj_is_int(b, &k))
        return int_op(j, op, i, k);
    if ((a.t == T_FLOAT || b.t == T_FLOAT) && jj_number(a, &x) && jj_number(b, &y))
        return float_op(j, op, x, y);
    no_operator(j, op, a, b);
}

bool jj_compare_op(struct jj *j, enum jj_op op, struct jj_val a, struct jj_val b)
{
    switch (op) {
    case OP_EQ: return jj_eq(j, a, b);
    case OP_NE: return !jj_eq(j, a, b);
    case OP_IN: return jj_contains(j, b, a);
    case OP_NOTIN: return !jj_contains(j, b, a);
    default: break;
    }
    int c = jj_compare(j, a, b);
    if (c == 2) /* NaN */
        return false;
    return op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
}
