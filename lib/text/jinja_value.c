/* jinja_value.c - values with Python's meaning: truth, equality, order, length. */
#include "text/jinja_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

struct jj_val jj_seq(struct jj *j, enum jj_type t, size_t n)
{
    struct jj_seq *s = jj_alloc(j, sizeof *s);
    jj_step(j, n);
    s->v = jj_alloc_n(j, n, sizeof *s->v);
    s->n = n;
    for (size_t i = 0; i < n; i++)
        s->v[i] = jj_none();
    return (struct jj_val){.t = t, .seq = s};
}

struct jj_val jj_pair(struct jj *j, struct jj_val a, struct jj_val b)
{
    struct jj_val pair = jj_seq(j, T_TUPLE, 2);
    pair.seq->v[0] = a;
    pair.seq->v[1] = b;
    return pair;
}

static struct jj_val undef(struct jj *j, struct jj_undef u)
{
    struct jj_undef *copy = jj_alloc(j, sizeof *copy);
    *copy = u;
    return (struct jj_val){.t = T_UNDEF, .undef = copy};
}

struct jj_val jj_undef_name(struct jj *j, struct str name)
{
    return undef(j, (struct jj_undef){.name = name});
}

struct jj_val jj_undef_hint(struct jj *j, const char *hint)
{
    return undef(j, (struct jj_undef){.hint = hint});
}

struct jj_val jj_undef_item(struct jj *j, struct jj_val of, struct jj_val name, bool unsafe)
{
    struct jj_undef u = {.of = jj_type_name(of), .unsafe = unsafe, .name = STR("?")};
    if (name.t == T_STR) {
        u.name = jj_bytes(name);
    } else if (name.t == T_INT) {
        struct buf *b = &j->scratch;
        buf_clear(b);
        buf_printf(b, "%lld", (long long)name.i);
        u.name = jj_bytes(jj_scratch_text(j));
    }
    return undef(j, u);
}

void jj_fail_undef(struct jj *j, struct jj_val v)
{
    const struct jj_undef *u = v.undef;
    int n = (int)(u->name.n > 80 ? 80 : u->name.n);
    if (u->hint)
        jj_fail(j, "%s", u->hint);
    if (u->unsafe)
        jj_fail(j, "'%.*s' of a %s is out of a template's reach", n, u->name.p, u->of);
    if (u->of)
        jj_fail(j, "a %s has no '%.*s'", u->of, n, u->name.p);
    jj_fail(j, "'%.*s' is undefined", n, u->name.p);
}

void jj_check_defined(struct jj *j, struct jj_val v)
{
    if (v.t == T_UNDEF)
        jj_fail_undef(j, v);
}

struct jj_val jj_integer(struct jj *j, struct str s)
{
    int64_t v = 0;
    bool minus = s.n && s.p[0] == '-', fits = true;
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    while (i + 1 < s.n && s.p[i] == '0')
        i++;
    for (size_t k = i; k < s.n && fits; k++) {
        int digit = s.p[k] - '0';
        fits = !__builtin_mul_overflow(v, 10, &v) &&
               !__builtin_add_overflow(v, minus ? -digit : digit, &v);
    }
    if (fits)
        return jj_int(v);
    struct str rest = {s.p + i, s.n - i};
    char *text = jj_alloc(j, rest.n + 1);
    text[0] = '-';
    memcpy(text + minus, rest.p, rest.n);
    struct jj_val big = jj_text_counted(j, text, rest.n + minus, rest.n + minus);
    big.t = T_BIG;
    return big;
}

/* ---- looking ---- */

const char *jj_type_name(struct jj_val v)
{
    static const char *const names[] = {
        [T_MISSING] = "value not given",
        [T_UNDEF] = "undefined value",
        [T_NONE] = "none",
        [T_BOOL] = "bool",
        [T_INT] = "int",
        [T_BIG] = "int",
        [T_FLOAT] = "float",
        [T_STR] = "string",
        [T_LIST] = "list",
        [T_TUPLE] = "tuple",
        [T_DICT] = "dict",
        [T_RANGE] = "range",
        [T_VIEW] = "dict view",
        [T_ITER] = "generator",
        [T_NAMESPACE] = "namespace",
        [T_MACRO] = "macro",
        [T_LOOP] = "loop",
        [T_FUNC] = "function",
        [T_METHOD] = "method",
        [T_CYCLER] = "cycler",
        [T_JOINER] = "joiner",
    };
    return names[v.t];
}

bool jj_is_int(struct jj_val v, int64_t *out)
{
    if (v.t != T_INT && v.t != T_BOOL)
        return false;
    *out = v.t == T_INT ? v.i : v.b;
    return true;
}

bool jj_number(struct jj_val v, double *out)
{
    int64_t i;
    if (v.t == T_FLOAT)
        *out = v.f;
    else if (v.t == T_BIG)
        *out = strtod(v.s->p, NULL);
    else if (jj_is_int(v, &i))
        *out = (double)i;
    else
        return false;
    return true;
}

int64_t jj_want_int(struct jj *j, struct jj_val v, const char *what)
{
    int64_t i;
    jj_check_defined(j, v);
    if (!jj_is_int(v, &i))
        jj_fail(j, "%s must be an integer, not a %s", what, jj_type_name(v));
    return i;
}

struct str jj_want_str(struct jj *j, struct jj_val v, const char *what)
{
    jj_check_defined(j, v);
    if (v.t != T_STR)
        jj_fail(j, "%s must be a string, not a %s", what, jj_type_name(v));
    return jj_bytes(v);
}

int64_t jj_length(struct jj *j, struct jj_val v)
{
    switch (v.t) {
    case T_UNDEF: return 0;
    case T_STR: return (int64_t)v.s->chars;
    case T_LIST:
    case T_TUPLE: return (int64_t)v.seq->n;
    case T_DICT: return (int64_t)v.d->n;
    case T_RANGE: return v.range->n;
    case T_VIEW: return (int64_t)v.view->d->n;
    case T_LOOP: return jj_loop_attr(j, v.loop, STR("length")).i;
    default: return -1;
    }
}

bool jj_true(struct jj *j, struct jj_val v)
{
    switch (v.t) {
    case T_MISSING:
    case T_UNDEF:
    case T_NONE: return false;
    case T_BOOL: return v.b;
    case T_INT: return v.i != 0;
    case T_FLOAT: return v.f != 0;
    case T_STR: return v.s->n != 0;
    default: return jj_length(j, v) != 0;
    }
}

/* ---- comparing ---- */

static int sign(double a, double b)
{
    return a < b ? -1 : a > b;
}

/* An int64 against a double without rounding the first. */
static int compare_int_float(int64_t i, double f)
{
    if (f >= 9223372036854775808.0)
        return -1;
    if (f < -9223372036854775808.0)
        return 1;
    int64_t whole = (int64_t)f;
    return i != whole ? (i < whole ? -1 : 1) : sign(0, f - (double)whole);
}

static int compare_big(const struct jj_str *a, const struct jj_str *b)
{
    bool minus = a->p[0] == '-', minus_b = b->p[0] == '-';
    if (minus != minus_b)
        return minus ? -1 : 1;
    int c = a->n != b->n ? (a->n < b->n ? -1 : 1) : memcmp(a->p, b->p, a->n);
    c = (c > 0) - (c < 0);
    return minus ? -c : c;
}

/* Both are numbers; false where either is NaN. */
static bool compare_numbers(struct jj_val a, struct jj_val b, int *out)
{
    int64_t i, k;
    double x, y;
    if (a.t == T_BIG && b.t == T_BIG)
        return *out = compare_big(a.s, b.s), true;
    if (jj_is_int(a, &i) && jj_is_int(b, &k))
        return *out = (i > k) - (i < k), true;
    jj_number(a, &x);
    jj_number(b, &y);
    if (isnan(x) || isnan(y))
        return false;
    if (b.t == T_FLOAT && jj_is_int(a, &i))
        *out = compare_int_float(i, y);
    else if (a.t == T_FLOAT && jj_is_int(b, &k))
        *out = -compare_int_float(k, x);
    else
        *out = sign(x, y);
    return true;
}

static int compare_bytes(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? (c > 0) - (c < 0) : (a.n > b.n) - (a.n < b.n);
}

static bool is_number(struct jj_val v)
{
    return v.t == T_BOOL || v.t == T_INT || v.t == T_BIG || v.t == T_FLOAT;
}

static bool same_seq(struct jj *j, const struct jj_seq *a, const struct jj_seq *b)
{
    if (a == b)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!jj_eq(j, a->v[i], b->v[i]))
            return false;
    return true;
}

static bool same_dict(struct jj *j, const struct jj_dict *a, const struct jj_dict *b)
{
    if (a == b)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct jj_val *v = jj_dict_get(j, b, a->e[i].key);
        if (!v || !jj_eq(j, a->e[i].value, *v))
            return false;
    }
    return true;
}

static bool same_range(const struct jj_range *a, const struct jj_range *b)
{
    return a->n == b->n && (!a->n || a->start == b->start) && (a->n < 2 || a->step == b->step);
}

bool jj_eq(struct jj *j, struct jj_val a, struct jj_val b)
{
    jj_step(j, 1);
    int c;
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b, &c) && c == 0;
    if (a.t != b.t)
        return false;
    bool same;
    jj_push(j);
    switch (a.t) {
    case T_NONE:
    case T_UNDEF: same = true; break;
    case T_STR: same = str_eq(jj_bytes(a), jj_bytes(b)); break;
    case T_LIST:
    case T_TUPLE: same = same_seq(j, a.seq, b.seq); break;
    case T_DICT: same = same_dict(j, a.d, b.d); break;
    case T_RANGE: same = same_range(a.range, b.range); break;
    case T_METHOD:
        same = a.method->func == b.method->func && jj_eq(j, a.method->self, b.method->self);
        break;
    default: same = a.d == b.d; break;
    }
    j->depth--;
    return same;
}

static int compare_seq(struct jj *j, const struct jj_seq *a, const struct jj_seq *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (!jj_eq(j, a->v[i], b->v[i]))
            return jj_compare(j, a->v[i], b->v[i]);
    return (a->n > b->n) - (a->n < b->n);
}

int jj_compare(struct jj *j, struct jj_val a, struct jj_val b)
{
    int c;
    jj_check_defined(j, a);
    jj_check_defined(j, b);
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b, &c) ? c : 2;
    if (a.t == T_STR && b.t == T_STR)
        return compare_bytes(jj_bytes(a), jj_bytes(b));
    if (a.t != b.t || (a.t != T_LIST && a.t != T_TUPLE))
        jj_fail(j, "a %s and a %s have no order", jj_type_name(a), jj_type_name(b));
    jj_push(j);
    c = compare_seq(j, a.seq, b.seq);
    j->depth--;
    return c;
}

bool jj_contains(struct jj *j, struct jj_val in, struct jj_val x)
{
    if (in.t == T_STR) {
        struct str s = jj_bytes(in), part;
        if (x.t != T_STR)
            jj_fail(j, "'in' a string must be asked of a string, not of a %s", jj_type_name(x));
        part = jj_bytes(x);
        jj_step(j, s.n / 64);
        return !part.n || (s.n && memmem(s.p, s.n, part.p, part.n));
    }
    if (in.t == T_DICT || (in.t == T_VIEW && in.view->kind == VIEW_KEYS))
        return jj_dict_get(j, in.t == T_DICT ? in.d : in.view->d, x) != NULL;
    struct jj_iter *it = jj_iter_try(j, in);
    if (!it)
        jj_fail(j, "a %s contains nothing that 'in' could look for", jj_type_name(in));
    for (struct jj_val v; jj_next(j, it, &v);)
        if (jj_eq(j, v, x))
            return true;
    return false;
}
