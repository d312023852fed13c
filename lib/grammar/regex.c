/* regex.c - regular expressions, parsed to a tree and built as a network. */
#include "grammar/regex.h"
#include "grammar/net.h"

#include <stdlib.h>

/* ---- building ---------------------------------------------------------------------- */

/* Where to begin in each phase of the text: nothing was read yet; something was; the end was
 * asserted, after something or nothing. */
enum phase { AT_START, INSIDE, AT_END, EMPTY, PHASES };
struct ways {
    uint32_t at[PHASES];
};

struct maker {
    struct net *net;
    const struct regex *re;
    bool escaped;
};

static struct ways build(struct maker *m, uint32_t i, struct ways next);

static struct ways both(struct net *t, struct ways a, struct ways b)
{
    for (int p = 0; p < PHASES; p++)
        a.at[p] = net_split(t, a.at[p], b.at[p]);
    return a;
}

static struct ways build_set(struct maker *m, const struct regex_node *n, struct ways next)
{
    struct ways w = {{0}};
    if (!n->b) /* no character at all */
        return w;
    const struct char_range *r = m->re->ranges + n->a;
    for (uint32_t k = n->b; k--;)
        w.at[INSIDE] = net_split(
            m->net, net_chars(m->net, r[k].lo, r[k].hi, m->escaped, next.at[INSIDE]),
            w.at[INSIDE]);
    w.at[AT_START] = w.at[INSIDE];
    return w;
}

static struct ways build_loop(struct maker *m, uint32_t body, struct ways next)
{
    struct ways again;
    for (int p = 0; p < PHASES; p++)
        again.at[p] = net_jump(m->net);
    struct ways in = both(m->net, build(m, body, again), next);
    for (int p = 0; p < PHASES; p++)
        net_set(m->net, again.at[p], in.at[p]);
    return again;
}

static struct ways build_repeat(struct maker *m, const struct regex_node *n, struct ways next)
{
    struct ways end = next;
    if (n->most == REGEX_NO_END)
        next = build_loop(m, n->a, next);
    for (uint32_t k = n->least; n->most != REGEX_NO_END && k < n->most && !m->net->full; k++)
        next = both(m->net, build(m, n->a, next), end);
    for (uint32_t k = 0; k < n->least && !m->net->full; k++)
        next = build(m, n->a, next);
    return next;
}

static struct ways build(struct maker *m, uint32_t i, struct ways next)
{
    const struct regex_node *n = &m->re->v[i];
    struct ways w = {{0}};
    switch (n->kind) {
    case REGEX_EMPTY: return next;
    case REGEX_SET: return build_set(m, n, next);
    case REGEX_CAT: return build(m, n->a, build(m, n->b, next));
    case REGEX_ALT: w = build(m, n->a, next); return both(m->net, w, build(m, n->b, next));
    case REGEX_REPEAT: return build_repeat(m, n, next);
    case REGEX_START:
        w.at[AT_START] = next.at[AT_START];
        w.at[EMPTY] = next.at[EMPTY];
        return w;
    case REGEX_END:
        w.at[AT_START] = w.at[EMPTY] = next.at[EMPTY];
        w.at[INSIDE] = w.at[AT_END] = next.at[AT_END];
        return w;
    }
    return w;
}

/* Any characters, as many as there are. */
static struct ways build_rest(struct maker *m, struct ways next)
{
    struct ways again = next;
    again.at[INSIDE] = net_jump(m->net);
    uint32_t any = net_any(m->net, m->escaped, again.at[INSIDE]);
    net_set(m->net, again.at[INSIDE], net_split(m->net, any, next.at[INSIDE]));
    again.at[AT_START] = net_split(m->net, any, next.at[AT_START]);
    return again;
}

uint32_t net_regex(struct net *t, struct str regex, bool escaped, bool search, uint32_t next,
                   struct err *e)
{
    struct regex re;
    uint32_t start = NET_DEAD;
    if (regex_parse(&re, regex, e) == 0) {
        struct maker m = {t, &re, escaped};
        struct ways w = {{next, next, next, next}};
        if (search)
            w = build_rest(&m, w);
        w = build(&m, re.root, w);
        if (search)
            w = build_rest(&m, w);
        start = w.at[AT_START];
        if (t->full && err_set(e, EXIT_DATA, "the regular expression is too large"))
            start = NET_DEAD;
    }
    regex_release(&re);
    return start;
}
