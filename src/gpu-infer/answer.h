/* answer.h - from the model's answer to the record's last member. */
#ifndef ANSWER_H
#define ANSWER_H

#include "gpu-infer/engine.h"
#include "gpu-infer/task.h"

/* Makes the line of output of the task that asked; work: the writer's own. */
void answer_write(const struct infer_request *q, const struct engine *g,
                  struct tokenizer_work *work, const struct infer_answer *a);
/* An error record in the place of an answer; it is ready when no sample of it is in flight. */
void answer_refuse(struct task *t, const char *type, const struct err *why);

#endif
