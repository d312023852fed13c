/* guide.h - what steers an answer while it is made: the shape that it must have, and the texts
 * that end it.
 *
 * Both are about the answer's text: with a model that thinks, or has channels, they begin where
 * its final channel begins.
 */
#ifndef GUIDE_H
#define GUIDE_H

#include "gpu-infer/engine.h"
#include "gpu-infer/task.h"

struct guide;

/* NULL where the task has neither.  work: the answering thread's. */
struct guide *guide_new(const struct task *t, const struct engine *g,
                        struct tokenizer_work *work);
void guide_free(struct guide *g);
/* What the scheduler calls, with the guide as its state. */
const struct infer_guide *guide_calls(const struct guide *g);

/* Cuts a text where the first of the task's stop texts begins. */
void guide_cut(const struct task *t, struct buf *text);

#endif
