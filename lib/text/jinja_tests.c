/* jinja_tests.c - tests: what stands behind `is`. */
#include "text/jinja_run.h"

#define IS(fn, name, cond)    \
    JJ_FUNC(fn)               \
    {                         \
        JJ_NO_ARGS(name);     \
        return jj_bool(cond); \
    }

IS(t_defined, "defined", x.t != T_UNDEF)
IS(t_undefined, "undefined", x.t == T_UNDEF)
IS(t_none, "none", x.t == T_NONE)
IS(t_boolean, "boolean", x.t == T_BOOL)
IS(t_true, "true", x.t == T_BOOL && x.b)
IS(t_false, "false", x.t == T_BOOL && !x.b)
IS(t_integer, "integer", x.t == T_INT || x.t == T_BIG)
IS(t_float, "float", x.t == T_FLOAT)
IS(t_number, "number", x.t == T_BOOL || x.t == T_INT || x.t == T_BIG || x.t == T_FLOAT)
IS(t_string, "string", x.t == T_STR)
IS(t_mapping, "mapping", x.t == T_DICT)
IS(t_escaped, "escaped", x.t == T_STR && x.s->markup)
IS(t_iterable, "iterable", jj_iter_try(j, x) != NULL)
IS(t_sequence, "sequence",
   x.t == T_UNDEF || x.t == T_STR || x.t == T_LIST || x.t == T_TUPLE || x.t == T_DICT ||
       x.t == T_RANGE)
IS(t_callable, "callable",
   x.t == T_UNDEF || x.t == T_MACRO || x.t == T_FUNC || x.t == T_METHOD || x.t == T_LOOP ||
       x.t == T_JOINER)

/* True where there are letters with case, all of this one. */
static bool all_of_case(struct jj *j, struct jj_val x, bool upper)
{
    struct str s = jj_bytes(jj_str(j, x));
    bool any = false;
    for (size_t i = 0, len; i < s.n; i += len) {
        uint32_t c = jj_char(s.p + i, s.p + s.n, &len);
        if (upper ? jj_is_lower(c) : jj_is_upper(c))
            return false;
        any |= jj_is_upper(c) || jj_is_lower(c);
    }
    return any;
}

IS(t_lower, "lower", all_of_case(j, x, false))
IS(t_upper, "upper", all_of_case(j, x, true))

static struct jj_val remainder_of(struct jj *j, struct jj_val x, int64_t by)
{
    return jj_binary(j, OP_MOD, x, jj_int(by));
}

IS(t_odd, "odd", jj_eq(j, remainder_of(j, x, 2), jj_int(1)))
IS(t_even, "even", jj_eq(j, remainder_of(j, x, 2), jj_int(0)))

JJ_FUNC(t_divisibleby)
{
    struct jj_val by;
    JJ_BIND(j, "divisibleby", a, 1, &by, "num");
    return jj_bool(jj_eq(j, jj_binary(j, OP_MOD, x, by), jj_int(0)));
}

JJ_FUNC(t_filter)
{
    JJ_NO_ARGS("filter");
    return jj_bool(x.t == T_STR && jj_find_filter(jj_bytes(x)));
}

JJ_FUNC(t_test)
{
    JJ_NO_ARGS("test");
    return jj_bool(x.t == T_STR && jj_find_test(jj_bytes(x)));
}

JJ_FUNC(t_sameas)
{
    struct jj_val other;
    JJ_BIND(j, "sameas", a, 1, &other, "other");
    bool small = x.t == T_NONE || x.t == T_BOOL || x.t == T_INT || x.t == T_STR;
    return jj_bool(x.t == other.t && (small ? jj_eq(j, x, other) : x.d == other.d));
}

static struct jj_val compared(struct jj *j, struct jj_val x, const struct jj_args *a,
                              enum jj_op op, const char *what)
{
    struct jj_val other;
    JJ_BIND(j, what, a, 1, &other, "other");
    return jj_bool(jj_compare_op(j, op, x, other));
}

JJ_FUNC(t_eq)
{
    return compared(j, x, a, OP_EQ, "eq");
}

JJ_FUNC(t_ne)
{
    return compared(j, x, a, OP_NE, "ne");
}

JJ_FUNC(t_lt)
{
    return compared(j, x, a, OP_LT, "lt");
}

JJ_FUNC(t_le)
{
    return compared(j, x, a, OP_LE, "le");
}

JJ_FUNC(t_gt)
{
    return compared(j, x, a, OP_GT, "gt");
}

JJ_FUNC(t_ge)
{
    return compared(j, x, a, OP_GE, "ge");
}

JJ_FUNC(t_in)
{
    struct jj_val seq;
    JJ_BIND(j, "in", a, 1, &seq, "seq");
    return jj_bool(jj_contains(j, seq, x));
}

const struct jj_func *jj_find_test(struct str name)
{
    static const struct jj_func table[] = {
        {"defined", t_defined},
        {"undefined", t_undefined},
        {"none", t_none},
        {"string", t_string},
        {"mapping", t_mapping},
        {"iterable", t_iterable},
        {"sequence", t_sequence},
        {"boolean", t_boolean},
        {"true", t_true},
        {"false", t_false},
        {"integer", t_integer},
        {"float", t_float},
        {"number", t_number},
        {"callable", t_callable},
        {"escaped", t_escaped},
        {"lower", t_lower},
        {"upper", t_upper},
        {"odd", t_odd},
        {"even", t_even},
        {"divisibleby", t_divisibleby},
        {"filter", t_filter},
        {"test", t_test},
        {"sameas", t_sameas},
        {"eq", t_eq},
        {"==", t_eq},
        {"equalto", t_eq},
        {"ne", t_ne},
        {"!=", t_ne},
        {"lt", t_lt},
        {"<", t_lt},
        {"lessthan", t_lt},
        {"le", t_le},
        {"<=", t_le},
        {"gt", t_gt},
        {">", t_gt},
        {"greaterthan", t_gt},
        {"ge", t_ge},
        {">=", t_ge},
        {"in", t_in},
    };
    return jj_pick(table, JJ_COUNT(table), name);
}
