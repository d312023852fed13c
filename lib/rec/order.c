/* order.c - record numbers as they come by, and what is wrong with them. */
#include "rec/order.h"

#include <inttypes.h>

static void add(struct order_wrong *w, uint64_t from, uint64_t to)
{
    enum { MOST = sizeof w->range / sizeof *w->range };
    w->count += to - from + 1;
    if (w->ranges && w->ranges <= MOST && w->range[w->ranges - 1].to + 1 == from) {
        w->range[w->ranges - 1].to = to;
        return;
    }
    if (w->ranges < MOST) {
        w->range[w->ranges].from = from;
        w->range[w->ranges].to = to;
    }
    w->ranges += w->ranges <= MOST;
}

bool order_see(struct order *o, uint64_t seq, bool says_last)
{
    if (seq < o->next) {
        add(&o->twice, seq, seq);
        return false;
    }
    if (seq > o->next)
        add(&o->missing, o->next, seq - 1);
    if (o->has_last)
        add(&o->behind, seq, seq);
    if (says_last && !o->has_last) {
        o->has_last = true;
        o->last = seq;
    }
    o->next = seq + 1;
    return true;
}

void order_expect(struct order *o, uint64_t n)
{
    if (o->next < n)
        add(&o->missing, o->next, n - 1);
}

void order_put(struct buf *out, const struct order_wrong *w)
{
    enum { MOST = sizeof w->range / sizeof *w->range };
    for (int i = 0; i < w->ranges && i < MOST; i++) {
        buf_printf(out, "%s%" PRIu64, i ? ", " : "", w->range[i].from);
        if (w->range[i].to > w->range[i].from)
            buf_printf(out, "-%" PRIu64, w->range[i].to);
    }
    if (w->ranges > MOST)
        buf_puts(out, ", ...");
}
