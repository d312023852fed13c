/* window.c - a queue whose members leave from the middle, mostly from near the front. */
#include "shard/window.h"

#include <stdlib.h>

struct waiting {
    uint64_t seq;
    struct str line; /* owned */
};

size_t window_count(const struct window *w)
{
    return w->to - w->from;
}

static void push(struct window *w, struct waiting x)
{
    if (w->to == w->cap && w->from > w->cap / 2) {
        memmove(w->v, w->v + w->from, window_count(w) * sizeof *w->v);
        w->to -= w->from;
        w->sent -= w->from;
        w->from = 0;
    }
    GROW(w->v, w->cap, w->to + 1);
    w->v[w->to++] = x;
}

void window_add(struct window *w, uint64_t seq, struct str line)
{
    push(w, (struct waiting){seq, {xstrndup(line.p, line.n), line.n}});
}

bool window_unsent(const struct window *w, struct str *line)
{
    if (w->sent == w->to)
        return false;
    *line = w->v[w->sent].line;
    return true;
}

void window_sent(struct window *w)
{
    w->sent++;
}

static void free_line(struct waiting *x)
{
    free((void *)(uintptr_t)x->line.p);
}

bool window_answer(struct window *w, uint64_t seq)
{
    size_t i = w->from;
    while (i < w->sent && w->v[i].seq != seq)
        i++;
    if (i == w->sent)
        return false;
    free_line(&w->v[i]);
    memmove(w->v + w->from + 1, w->v + w->from, (i - w->from) * sizeof *w->v);
    w->from++;
    return true;
}

void window_take(struct window *w, struct window *from)
{
    push(w, from->v[from->from++]);
    if (from->sent < from->from)
        from->sent = from->from;
}

void window_move(struct window *w, struct window *from)
{
    while (window_count(from))
        window_take(w, from);
    from->from = from->to = from->sent = 0;
}

void window_release(struct window *w)
{
    for (size_t i = w->from; i < w->to; i++)
        free_line(&w->v[i]);
    free(w->v);
    *w = (struct window){0};
}
