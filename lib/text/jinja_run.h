/* jinja_run.h - the evaluation of a parsed template. */
#ifndef JINJA_RUN_H
#define JINJA_RUN_H

#include "text/jinja_ast.h"

struct jj_act { /* the slots of one running function */
    struct jj_act *up;
    struct jj_val slot[];
};

struct jj_val jj_eval(struct jj *j, const struct jj_node *n);
struct jj_val jj_binary(struct jj *j, enum jj_op op, struct jj_val a, struct jj_val b);
struct jj_val jj_negative(struct jj *j, struct jj_val v, bool minus);
bool jj_compare_op(struct jj *j, enum jj_op op, struct jj_val a, struct jj_val b);
struct jj_val jj_add(struct jj *j, struct jj_val a, struct jj_val b);
struct jj_val jj_eval_call_block(struct jj *j, const struct jj_node *call,
                                 struct jj_val caller);
struct jj_val jj_apply_filters(struct jj *j, const struct jj_node *n, struct jj_val text);
struct jj_val jj_getattr(struct jj *j, struct jj_val of, struct str name);
struct jj_val jj_getitem(struct jj *j, struct jj_val of, struct jj_val key);
struct jj_val jj_slice(struct jj *j, struct jj_val of, const struct jj_val bounds[3]);

enum jj_flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };
enum jj_flow jj_exec(struct jj *j, const struct jj_body *b);
void jj_enter(struct jj *j, const struct jj_scope *s);
void jj_leave(struct jj *j, const struct jj_scope *s);
void jj_assign(struct jj *j, const struct jj_node *target, struct jj_val v);
struct jj_act *jj_act_new(struct jj *j, const struct jj_code *code, struct jj_act *up);
struct jj_val *jj_slot(struct jj *j, struct jj_ref r);
void jj_write(struct jj *j, const char *p, size_t n);
void jj_capture_begin(struct jj *j);
struct jj_val jj_capture_end(struct jj *j);
struct jj_val jj_global(struct jj *j, const struct jj_name *name);

struct jj_val jj_call_value(struct jj *j, struct jj_val f, const struct jj_args *a);
struct jj_val jj_call_macro(struct jj *j, const struct jj_macro *m, const struct jj_args *a);
struct jj_val jj_recurse(struct jj *j, const struct jj_loop *loop, struct jj_val iterable);
struct jj_val jj_loop_attr(struct jj *j, struct jj_loop *l, struct str name);
bool jj_loop_next(struct jj *j, struct jj_loop *l);

/* Arguments by position or name into out[]; T_MISSING where not given.  The first `required`
 * must be there. */
void jj_bind(struct jj *j, const char *what, const struct jj_args *a, const char *const *names,
             size_t n, size_t required, struct jj_val *out);
#define JJ_BIND(j, what, a, required, out, ...)             \
    jj_bind(j, what, a, (const char *const[]){__VA_ARGS__}, \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), required, out)

/* What is written once for all filters, tests and methods. */
#define JJ_FUNC(fn) \
    static struct jj_val fn(struct jj *j, struct jj_val x, const struct jj_args *a)
#define JJ_NO_ARGS(what) jj_bind(j, what, a, NULL, 0, 0, NULL)
#define JJ_COUNT(table) (sizeof(table) / sizeof *(table))

static inline bool jj_given_true(struct jj *j, struct jj_val v)
{
    return jj_given(v) && jj_true(j, v);
}
static inline bool jj_given_some(struct jj_val v)
{
    return jj_given(v) && v.t != T_NONE;
}

const struct jj_func *jj_find_filter(struct str name);
const struct jj_func *jj_find_text_filter(struct str name);
const struct jj_func *jj_find_number_filter(struct str name);
const struct jj_func *jj_find_seq_filter(struct str name);
const struct jj_func *jj_find_test(struct str name);
const struct jj_func *jj_find_global(struct str name);
const struct jj_func *jj_find_method(struct jj_val of, struct str name, bool *unsafe);
const struct jj_func *jj_find_str_method(struct str name);
const struct jj_func *jj_find_split_method(struct str name);
const struct jj_func *jj_find_shape_method(struct str name);
const struct jj_func *jj_pick(const struct jj_func *table, size_t n, struct str name);

void jj_format_percent(struct jj *j, struct buf *b, struct str fmt, struct jj_val args);
void jj_format_braces(struct jj *j, struct buf *b, struct str fmt, const struct jj_args *a);
void jj_put_time(struct jj *j, struct buf *b, struct str fmt, const struct jinja_time *now);
void jj_put_padded(struct buf *b, struct str s, size_t chars, int64_t width, char align,
                   struct str fill);
struct jj_val jj_sorted(struct jj *j, struct jj_val list, struct jj_val *keys, bool reverse);

#endif
