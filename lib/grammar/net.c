/* net.c - nodes, characters as bytes, and taking out dead ends. */
#include "grammar/net.h"

#include <stdio.h>
#include <stdlib.h>

void net_init(struct net *t)
{
    *t = (struct net){0};
    GROW(t->v, t->cap, 2);
    t->v[NET_DEAD] = (struct net_node){.kind = NET_KIND_DEAD};
    t->v[NET_RETURN] = (struct net_node){.kind = NET_KIND_RETURN};
    t->n = 2;
}

void net_release(struct net *t)
{
    free(t->v);
    *t = (struct net){0};
}

static uint32_t add(struct net *t, struct net_node n)
{
    if (t->n == NET_MAX) {
        t->full = true;
        return NET_DEAD;
    }
    GROW(t->v, t->cap, t->n + 1);
    t->v[t->n] = n;
    return (uint32_t)t->n++;
}

uint32_t net_byte(struct net *t, unsigned lo, unsigned hi, uint32_t next)
{
    if (next == NET_DEAD || lo > hi)
        return NET_DEAD;
    return add(t, (struct net_node){NET_KIND_BYTE, (uint8_t)lo, (uint8_t)hi, next, 0});
}

uint32_t net_split(struct net *t, uint32_t a, uint32_t b)
{
    if (a == NET_DEAD || a == b)
        return b;
    if (b == NET_DEAD)
        return a;
    return add(t, (struct net_node){NET_KIND_SPLIT, 0, 0, a, b});
}

uint32_t net_counted(struct net *t, uint32_t item, uint32_t end, uint32_t left)
{
    if (item == NET_DEAD || end == NET_DEAD)
        return net_split(t, item, end);
    uint8_t near = left < NET_FAR ? (uint8_t)left : NET_FAR;
    return add(t, (struct net_node){NET_KIND_SPLIT, NET_COUNTED, near, item, end});
}

uint32_t net_text(struct net *t, struct str s, uint32_t next)
{
    while (s.n--)
        next = net_byte(t, (unsigned char)s.p[s.n], (unsigned char)s.p[s.n], next);
    return next;
}

uint32_t net_call(struct net *t, uint32_t rule, uint32_t next)
{
    if (rule == NET_DEAD || next == NET_DEAD)
        return NET_DEAD;
    if (rule == NET_RETURN) /* the empty rule */
        return next;
    return add(t, (struct net_node){NET_KIND_CALL, 0, 0, next, rule});
}

uint32_t net_depth(struct net *t, uint32_t most, uint32_t next)
{
    return add(t, (struct net_node){NET_KIND_DEPTH, 0, 0, next, most});
}

uint32_t net_jump(struct net *t)
{
    return add(t, (struct net_node){NET_KIND_JUMP, 0, 0, NET_DEAD, 0});
}

void net_set(struct net *t, uint32_t jump, uint32_t to)
{
    if (jump != NET_DEAD)
        t->v[jump].a = to;
}

/* ---- characters ----------------------------------------------------------------- */

static size_t encode(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 0x3f));
    out[0] = (unsigned char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
    return n;
}

/* Code points of one length: where the last bytes do not run through all their values the range
 * is cut there. */
static uint32_t put_range(struct net *t, uint32_t lo, uint32_t hi, uint32_t next)
{
    unsigned char a[4], b[4];
    size_t n = encode(lo, a);
    for (size_t i = 1; i < n; i++) {
        uint32_t m = (UINT32_C(1) << (6 * i)) - 1;
        if ((lo & ~m) == (hi & ~m))
            break;
        if (lo & m)
            return net_split(t, put_range(t, lo, lo | m, next),
                             put_range(t, (lo | m) + 1, hi, next));
        if ((hi & m) != m)
            return net_split(t, put_range(t, lo, (hi & ~m) - 1, next),
                             put_range(t, hi & ~m, hi, next));
    }
    encode(hi, b);
    while (n--)
        next = net_byte(t, a[n], b[n], next);
    return next;
}

static uint32_t put_plain(struct net *t, uint32_t lo, uint32_t hi, uint32_t next)
{
    static const uint32_t ends[] = {0x7f, 0x7ff, 0xd7ff, 0xdfff, 0xffff, 0x10ffff};
    uint32_t all = NET_DEAD, from = 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; from = ends[i++] + 1) {
        uint32_t a = lo > from ? lo : from, b = hi < ends[i] ? hi : ends[i];
        if (a <= b && ends[i] != 0xdfff) /* surrogates are no characters */
            all = net_split(t, put_range(t, a, b, next), all);
    }
    return all;
}

static uint32_t put_escape(struct net *t, uint32_t c, uint32_t next)
{
    static const char letters[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
    const char *at = c ? strchr(letters, (int)c) : NULL;
    char text[8];
    if (at)
        snprintf(text, sizeof text, "\\%c", names[at - letters]);
    else
        snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
    return net_text(t, str_of(text), next);
}

static bool is_escaped(uint32_t c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

uint32_t net_chars(struct net *t, uint32_t lo, uint32_t hi, bool escaped, uint32_t next)
{
    uint32_t all = NET_DEAD;
    if (!escaped || lo > '\\')
        return put_plain(t, lo, hi, next);
    while (lo <= hi && lo <= '\\') {
        if (is_escaped(lo)) {
            all = net_split(t, put_escape(t, lo, next), all);
            lo++;
            continue;
        }
        uint32_t end = lo;
        while (end < hi && end < '\\' && !is_escaped(end + 1))
            end++;
        all = net_split(t, put_plain(t, lo, end, next), all);
        lo = end + 1;
    }
    return lo <= hi ? net_split(t, put_plain(t, lo, hi, next), all) : all;
}

uint32_t net_any(struct net *t, bool escaped, uint32_t next)
{
    return net_chars(t, 0, 0x10ffff, escaped, next);
}

uint32_t net_escaped(struct net *t, struct str s, uint32_t next)
{
    while (s.n) {
        unsigned char c = (unsigned char)s.p[--s.n];
        next = is_escaped(c) ? put_escape(t, c, next) : net_byte(t, c, c, next);
    }
    return next;
}

/* ---- dead ends -------------------------------------------------------------------- */

static bool is_live(const struct net *t, const bool *live, uint32_t i)
{
    const struct net_node *n = &t->v[i];
    switch (n->kind) {
    case NET_KIND_DEAD: return false;
    case NET_KIND_RETURN: return true;
    case NET_KIND_SPLIT: return live[n->a] || live[n->b];
    case NET_KIND_CALL: return live[n->a] && live[n->b];
    default: return live[n->a];
    }
}

/* Who leads to each node, so that life spreads backwards in linear time. */
struct edges {
    uint32_t *first, *next, *from;
    size_t n;
};

static void add_edge(struct edges *x, uint32_t from, uint32_t to)
{
    x->from[x->n] = from;
    x->next[x->n] = x->first[to];
    x->first[to] = (uint32_t)x->n++;
}

static void find_live(const struct net *t, bool *live)
{
    struct edges x = {xcalloc(t->n, sizeof *x.first), xcalloc(2 * t->n + 1, sizeof *x.next),
                      xcalloc(2 * t->n + 1, sizeof *x.from), 1};
    uint32_t *todo = xcalloc(t->n, sizeof *todo);
    size_t n = 0;
    for (uint32_t i = 2; i < t->n; i++) {
        add_edge(&x, i, t->v[i].a);
        if (t->v[i].kind == NET_KIND_SPLIT || t->v[i].kind == NET_KIND_CALL)
            add_edge(&x, i, t->v[i].b);
    }
    live[NET_RETURN] = true;
    todo[n++] = NET_RETURN;
    while (n) {
        uint32_t i = todo[--n];
        for (uint32_t k = x.first[i]; k; k = x.next[k]) {
            uint32_t from = x.from[k];
            if (!live[from] && is_live(t, live, from)) {
                live[from] = true;
                todo[n++] = from;
            }
        }
    }
    free(x.first);
    free(x.next);
    free(x.from);
    free(todo);
}

bool net_trim(struct net *t, uint32_t start)
{
    bool *live = xcalloc(t->n, sizeof *live);
    find_live(t, live);
    for (uint32_t i = 2; i < t->n; i++) {
        struct net_node *n = &t->v[i];
        if (!live[i])
            *n = (struct net_node){.kind = NET_KIND_DEAD};
        else if (n->kind == NET_KIND_SPLIT && !(live[n->a] && live[n->b]))
            *n = (struct net_node){NET_KIND_JUMP, 0, 0, live[n->a] ? n->a : n->b, 0};
    }
    bool any = live[start];
    free(live);
    return any;
}
