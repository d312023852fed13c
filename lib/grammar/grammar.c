/* grammar.c - grammars of fixed texts, of a regular expression, of any JSON object. */
#include "grammar/grammar.h"

#include "grammar/net.h"

static struct grammar *finish(struct net *t, uint32_t start, struct err *e)
{
    bool full = t->full;
    struct grammar *g = grammar_new(t, start);
    if (!g)
        err_set(e, EXIT_DATA,
                full ? "the constraint is too large" : "no text fits the constraint");
    return g;
}

struct grammar *grammar_choices(const struct str *texts, size_t n, struct err *e)
{
    struct net t;
    uint32_t all = NET_DEAD;
    net_init(&t);
    for (size_t i = n; i--;)
        all = net_split(&t, net_text(&t, texts[i], NET_RETURN), all);
    return finish(&t, all, e);
}

struct grammar *grammar_regex(struct str regex, struct err *e)
{
    struct net t;
    struct err why = {0};
    net_init(&t);
    uint32_t start = net_regex(&t, regex, false, false, NET_RETURN, &why);
    if (!why.status)
        return finish(&t, start, e);
    net_release(&t);
    *e = why;
    return NULL;
}

struct grammar *grammar_json_object(void)
{
    struct net t;
    net_init(&t);
    struct net_values v = net_values(&t, true);
    return grammar_new(&t, v.object);
}
