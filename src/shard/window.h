/* window.h - the records that a child has and has not answered, in the order they were dealt.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include "base/buf.h"

struct window {
    struct waiting *v;
    size_t from, to, cap; /* v[from, to) wait */
    size_t sent;          /* v[from, sent) are whole in the pipe */
};

size_t window_count(const struct window *w);
void window_add(struct window *w, uint64_t seq, struct str line);
/* The first record that is not sent; false where there is none. */
bool window_unsent(const struct window *w, struct str *line);
void window_sent(struct window *w);
/* Lets go of a record that was sent; false where there is none of that number. */
bool window_answer(struct window *w, uint64_t seq);
/* Moves the first record, or all, of another window here, as not sent. */
void window_take(struct window *w, struct window *from);
void window_move(struct window *w, struct window *from);
void window_release(struct window *w);

#endif
