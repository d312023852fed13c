/* schema_text.c - strings and numbers of a JSON Schema. */
#include "grammar/schema.h"

#include <stdlib.h>

/* ---- strings: patterns, formats, lengths ------------------------------------------------ */

/* Regular expressions that must all match; each a pattern anywhere in the text, or a format. */
struct texts {
    struct buf *v;
    bool *search;
    size_t n, cap, cap_search;
};

static void texts_add(struct texts *t, struct buf text, bool search)
{
    GROW(t->v, t->cap, t->n + 1);
    GROW(t->search, t->cap_search, t->n + 1);
    t->v[t->n] = text;
    t->search[t->n++] = search;
}

static void texts_release(struct texts *t)
{
    for (size_t i = 0; i < t->n; i++)
        buf_release(&t->v[i]);
    free(t->v);
    free(t->search);
}

static void add_format(struct schema_maker *m, struct texts *t, struct str value)
{
    struct buf name = {0}, text = {0};
    const char *regex = NULL;
    if (json_kind(value) == JSON_STRING && json_decode(&name, value))
        regex = format_regex(buf_str(&name));
    if (!regex)
        schema_fail(m, "keyword \"format\": %.*s is not supported",
                    (int)(value.n > 60 ? 60 : value.n), value.p);
    buf_puts(&text, regex ? regex : "");
    texts_add(t, text, false);
    buf_release(&name);
}

static void texts_of(struct schema_maker *m, const struct schemas *flat, struct texts *t)
{
    for (size_t i = 0; i < flat->n; i++) {
        struct str value;
        struct buf text = {0};
        if (json_get(flat->v[i], "pattern", &value)) {
            if (json_kind(value) != JSON_STRING || !json_decode(&text, value))
                schema_fail(m, "pattern must be a string");
            texts_add(t, text, true);
        }
        if (json_get(flat->v[i], "format", &value))
            add_format(m, t, value);
    }
}

static uint32_t put_text(struct schema_maker *m, struct net *t, const struct texts *x, size_t i,
                         uint32_t next)
{
    struct err e = {0};
    uint32_t at = net_regex(t, buf_str(&x->v[i]), true, x->search[i], next, &e);
    if (e.status)
        schema_fail(m, "keyword \"pattern\": %s", e.text);
    return at;
}

/* Up to `left` characters and the end of the string: all strings of the schema share these. */
static uint32_t tail(struct schema_maker *m, uint32_t left)
{
    while (m->n_tails <= left) {
        uint32_t n = (uint32_t)m->n_tails, at = m->quote;
        if (n)
            at = net_counted(m->net, net_call(m->net, m->character, m->tails[n - 1]), at, n);
        GROW(m->tails, m->cap_tails, m->n_tails + 1);
        m->tails[m->n_tails++] = at;
    }
    return m->tails[left];
}

/* The rule of least to most characters behind the opening quote. */
static uint32_t put_length(struct schema_maker *m, uint32_t least, bool bounded, uint32_t most)
{
    struct net *t = m->net;
    uint32_t at;
    if (bounded && least > most)
        return NET_DEAD;
    if (bounded) {
        at = tail(m, most - least);
    } else {
        at = net_jump(t);
        net_set(t, at, net_split(t, net_any(t, true, at), m->quote));
    }
    for (uint32_t i = 0; i < least; i++)
        at = net_call(t, m->character, at);
    return at;
}

/* least to most characters without calls. */
static uint32_t put_plain_length(struct net *t, uint32_t least, bool bounded, uint32_t most,
                                 uint32_t next)
{
    uint32_t at = next;
    if (bounded) {
        for (uint32_t i = least; i < most; i++)
            at = net_split(t, net_any(t, true, at), next);
        at = least <= most ? at : NET_DEAD;
    } else {
        at = net_jump(t);
        net_set(t, at, net_split(t, net_any(t, true, at), next));
    }
    for (uint32_t i = 0; i < least; i++)
        at = net_any(t, true, at);
    return at;
}

/* Meets *all with what was built from `start` in its own net; false where it is too large. */
static bool meet(struct dfa *all, bool *any, const struct net *t, uint32_t start)
{
    struct dfa one, both;
    bool good = dfa_of(&one, t, start) == 0;
    if (!*any || !good) {
        dfa_release(all);
        *all = one;
        *any = true;
        return good;
    }
    good = dfa_both(&both, all, &one, false) == 0;
    dfa_release(all);
    dfa_release(&one);
    *all = both;
    return good;
}

enum { TOGETHER_LENGTH_MAX = 1000 };

/* Several things that must hold of one text. */
static uint32_t put_together(struct schema_maker *m, const struct texts *x, bool has_length,
                             uint32_t least, bool bounded, uint32_t most, uint32_t next)
{
    struct dfa all = {0};
    bool any = false, good = true;
    uint32_t at = NET_DEAD;
    for (size_t i = 0; i <= x->n && good && !m->failed; i++) {
        struct net t;
        if (i == x->n && !has_length)
            break;
        net_init(&t);
        if (i < x->n)
            at = put_text(m, &t, x, i, NET_RETURN);
        else if (least > TOGETHER_LENGTH_MAX || (bounded && most > TOGETHER_LENGTH_MAX))
            good = false;
        else
            at = put_plain_length(&t, least, bounded, most, NET_RETURN);
        good = good && !t.full && meet(&all, &any, &t, at);
        net_release(&t);
    }
    if (!good)
        schema_fail(m, "pattern, format and length of one string are too large together");
    at = good && any ? dfa_put(m->net, &all, next) : NET_DEAD;
    dfa_release(&all);
    return at;
}

uint32_t schema_string(struct schema_maker *m, const struct schemas *flat, uint32_t next)
{
    struct texts x = {0};
    uint32_t least = 0, most = 0, at;
    bool longer = schema_count(m, flat, "minLength", true, &least) && least > 0;
    bool bounded = schema_count(m, flat, "maxLength", false, &most);
    uint32_t end = net_byte(m->net, '"', '"', next);
    texts_of(m, flat, &x);
    if (!x.n && !longer && !bounded) {
        texts_release(&x);
        return net_call(m->net, m->any.string, next);
    }
    if (m->failed)
        at = NET_DEAD;
    else if (!x.n)
        at = net_call(m->net, put_length(m, least, bounded, most), next);
    else if (x.n == 1 && !longer && !bounded)
        at = put_text(m, m->net, &x, 0, end);
    else
        at = put_together(m, &x, longer || bounded, least, bounded, most, end);
    texts_release(&x);
    return net_byte(m->net, '"', '"', at);
}

/* ---- numbers: bounds ------------------------------------------------------------------------
 */

/* The strictest of one kind of bound; upper: the least one is. */
static void find_bound(struct schema_maker *m, const struct schemas *flat, const char *name,
                       bool upper, bool exclusive, struct decimal *bound)
{
    for (size_t i = 0; i < flat->n; i++) {
        struct str value;
        struct decimal d;
        if (!json_get(flat->v[i], name, &value))
            continue;
        if (json_kind(value) != JSON_NUMBER) {
            schema_fail(m, "%s must be a number", name);
            continue;
        }
        if (!decimal_read(&d, value)) {
            schema_fail(m, "keyword \"%s\": a number of this size is not supported", name);
            decimal_release(&d);
            continue;
        }
        d.exclusive = exclusive;
        int c = bound->given ? decimal_compare(&d, bound) : upper ? -1 : 1;
        if (c == 0 && exclusive)
            bound->exclusive = true;
        if (upper ? c < 0 : c > 0) {
            decimal_release(bound);
            *bound = d;
        } else {
            decimal_release(&d);
        }
    }
}

uint32_t schema_numbers(struct schema_maker *m, const struct schemas *flat, bool integer,
                        uint32_t next)
{
    struct decimal low = {0}, high = {0};
    uint32_t at;
    find_bound(m, flat, "minimum", false, false, &low);
    find_bound(m, flat, "exclusiveMinimum", false, true, &low);
    find_bound(m, flat, "maximum", true, false, &high);
    find_bound(m, flat, "exclusiveMaximum", true, true, &high);
    if (!low.given && !high.given)
        at = net_call(m->net, integer ? m->integer : m->number, next);
    else
        at = net_number(m->net, integer, &low, &high, next);
    decimal_release(&low);
    decimal_release(&high);
    return at;
}
