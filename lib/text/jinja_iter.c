/* jinja_iter.c - walking values: containers, and generators that work item by item. */
#include "text/jinja_run.h"

static struct jj_iter *iter_new(struct jj *j, enum jj_iter_kind kind, struct jj_val src)
{
    struct jj_iter *it = jj_zalloc(j, sizeof *it);
    it->kind = kind;
    it->src = src;
    return it;
}

struct jj_iter *jj_iter_try(struct jj *j, struct jj_val v)
{
    static const enum jj_iter_kind of_view[] = {
        [VIEW_KEYS] = ITER_KEYS, [VIEW_VALUES] = ITER_VALUES, [VIEW_ITEMS] = ITER_ITEMS};
    switch (v.t) {
    case T_UNDEF: return iter_new(j, ITER_EMPTY, v);
    case T_STR: return iter_new(j, ITER_TEXT, v);
    case T_LIST:
    case T_TUPLE: return iter_new(j, ITER_SEQ, v);
    case T_DICT: return iter_new(j, ITER_KEYS, v);
    case T_VIEW: return iter_new(j, of_view[v.view->kind], jj_dict_val(v.view->d));
    case T_RANGE: return iter_new(j, ITER_RANGE, v);
    case T_LOOP: return iter_new(j, ITER_LOOP, v);
    case T_ITER: return v.it;
    default: return NULL;
    }
}

struct jj_iter *jj_iter(struct jj *j, struct jj_val v)
{
    struct jj_iter *it = jj_iter_try(j, v);
    if (!it)
        jj_fail(j, "a %s cannot be walked", jj_type_name(v));
    return it;
}

static bool next_char(struct jj *j, struct jj_iter *it, struct jj_val *out)
{
    const struct jj_str *s = it->src.s;
    if (it->at >= s->n)
        return false;
    size_t len;
    jj_char(s->p + it->at, s->p + s->n, &len);
    *out = jj_text_counted(j, s->p + it->at, len, 1);
    it->at += len;
    return true;
}

static bool next_entry(struct jj *j, struct jj_iter *it, struct jj_val *out)
{
    const struct jj_dict *d = it->src.d;
    if (it->at >= d->n)
        return false;
    const struct jj_entry *e = &d->e[it->at++];
    *out = it->kind == ITER_KEYS     ? e->key
           : it->kind == ITER_VALUES ? e->value
                                     : jj_pair(j, e->key, e->value);
    return true;
}

/* The items of a filtered for: the condition runs on variables of its own, when the loop asks.
 */
static bool next_where(struct jj *j, struct jj_iter *it, struct jj_val *out)
{
    const struct jj_node *n = it->def;
    while (jj_next(j, it->from, out)) {
        jj_enter(j, &n->test_scope);
        jj_assign(j, n->kids[0], *out);
        if (jj_true(j, jj_eval(j, n->c)))
            return true;
    }
    return false;
}

static bool next_picked(struct jj *j, struct jj_iter *it, struct jj_val *out)
{
    while (jj_next(j, it->from, out))
        if (jj_true(j, jj_each_item(j, it->each, *out)) != it->each->reject)
            return true;
    return false;
}

static bool next_of(struct jj *j, struct jj_iter *it, struct jj_val *out)
{
    switch (it->kind) {
    case ITER_EMPTY: return false;
    case ITER_SEQ:
        if (it->at >= it->src.seq->n)
            return false;
        *out = it->src.seq->v[it->at++];
        return true;
    case ITER_BACK:
        if (it->at >= it->src.seq->n)
            return false;
        *out = it->src.seq->v[it->src.seq->n - ++it->at];
        return true;
    case ITER_TEXT: return next_char(j, it, out);
    case ITER_KEYS:
    case ITER_VALUES:
    case ITER_ITEMS: return next_entry(j, it, out);
    case ITER_RANGE:
        if ((int64_t)it->at >= it->src.range->n)
            return false;
        *out = jj_int(it->src.range->start + (int64_t)it->at++ * it->src.range->step);
        return true;
    case ITER_LOOP:
        if (!jj_loop_next(j, it->src.loop))
            return false;
        *out = jj_pair(j, it->src.loop->current, it->src);
        return true;
    case ITER_MAP:
        if (!jj_next(j, it->from, out))
            return false;
        *out = jj_each_item(j, it->each, *out);
        return true;
    case ITER_PICK: return next_picked(j, it, out);
    case ITER_WHERE: return next_where(j, it, out);
    }
    return false;
}

bool jj_next(struct jj *j, struct jj_iter *it, struct jj_val *out)
{
    jj_step(j, 1);
    jj_push(j);
    bool more = next_of(j, it, out);
    j->depth--;
    return more;
}

struct jj_val jj_to_list(struct jj *j, struct jj_val v)
{
    if (v.t == T_LIST)
        return v;
    struct jj_iter *it = jj_iter(j, v);
    struct jj_seq *s = jj_zalloc(j, sizeof *s);
    size_t cap = 0;
    for (struct jj_val item; jj_next(j, it, &item);) {
        s->v = jj_grow(j, s->v, s->n + 1, &cap, sizeof *s->v);
        s->v[s->n++] = item;
    }
    return (struct jj_val){.t = T_LIST, .seq = s};
}

struct jj_val jj_gen(struct jj *j, struct jj_val list)
{
    struct jj_iter *it = iter_new(j, ITER_SEQ, list);
    it->generator = true;
    return (struct jj_val){.t = T_ITER, .it = it};
}
