/* ring.h - the records in flight, in the order of the input: one thread reads and prepares
 * them, the other takes, answers and writes them.
 */
#ifndef RING_H
#define RING_H

#include "gpu-infer/task.h"

struct ring;

/* At most max_tasks at a time, and no more than max_bytes of them unless one alone is larger.
 */
struct ring *ring_new(size_t max_tasks, size_t max_bytes);
void ring_free(struct ring *r);

/* ---- the reader's side ---- */

/* Waits for room. */
void ring_push(struct ring *r, struct task *t);
/* No more will come; why: NULL, or what went wrong. */
void ring_end(struct ring *r, const struct err *why);

/* ---- the answering side ---- */

/* The next one that was not taken yet; it stays in the ring.  NULL: there is none now, or,
 * where `wait` is true, there will be none. */
struct task *ring_take(struct ring *r, bool wait);
/* The oldest one that was taken, or NULL. */
struct task *ring_first(struct ring *r);
/* Frees the oldest one. */
void ring_pop(struct ring *r);
/* True once everything was taken and no more will come; *why as ring_end() had it. */
bool ring_ended(struct ring *r, struct err *why);

#endif
