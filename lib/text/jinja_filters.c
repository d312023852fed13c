/* jinja_filters.c - filters of any value, tojson, and where the others are. */
#include "text/jinja_run.h"

JJ_FUNC(f_default)
{
    struct jj_val arg[2];
    JJ_BIND(j, "default", a, 0, arg, "default_value", "boolean");
    if (x.t == T_UNDEF || (jj_given_true(j, arg[1]) && !jj_true(j, x)))
        return jj_given(arg[0]) ? arg[0] : jj_cstr(j, "");
    return x;
}

JJ_FUNC(f_length)
{
    JJ_NO_ARGS("length");
    int64_t n = jj_length(j, x);
    if (n < 0)
        jj_fail(j, "a %s has no length", jj_type_name(x));
    return jj_int(n);
}

JJ_FUNC(f_attr)
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

/* ---- JSON ---- */

static struct str json_indent(struct jj *j, struct jj_val v)
{
    if (v.t == T_STR)
        return jj_bytes(v);
    int64_t n = jj_want_int(j, v, "tojson's indent");
    if (n > JJ_NEST_MAX)
        jj_fail(j, "tojson's indent is over %d", JJ_NEST_MAX);
    return jj_bytes(jj_binary(j, OP_MUL, jj_cstr(j, " "), jj_int(n)));
}

JJ_FUNC(f_tojson)
{
    struct jj_val arg[4];
    JJ_BIND(j, "tojson", a, 0, arg, "ensure_ascii", "indent", "separators", "sort_keys");
    struct jj_json_style style = {.item = STR(", "), .key = STR(": ")};
    style.ascii = jj_given_true(j, arg[0]);
    style.sort = jj_given_true(j, arg[3]);
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

const struct jj_func *jj_find_filter(struct str name)
{
    static const struct jj_func table[] = {
        {"attr", f_attr},       {"count", f_length},  {"d", f_default},
        {"default", f_default}, {"length", f_length}, {"tojson", f_tojson},
    };
    const struct jj_func *f = jj_pick(table, JJ_COUNT(table), name);
    if (!f)
        f = jj_find_text_filter(name);
    if (!f)
        f = jj_find_number_filter(name);
    return f ? f : jj_find_seq_filter(name);
}
