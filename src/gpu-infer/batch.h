/* batch.h - answers as lines of OpenAI's batch files (--openai). */
#ifndef GPU_INFER_BATCH_H
#define GPU_INFER_BATCH_H

#include "gpu-infer/engine.h"
#include "gpu-infer/task.h"
#include "rec/batch.h"

/* What of a line goes into its answer. */
struct reply {
    struct buf id, model; /* raw JSON; n = 0: none */
    struct buf marks;     /* `,"_seq":…`: members of ours that the line has */
    uint64_t number;      /* the line's place in its source */
    bool chat;
};

struct reply *batch_new(const struct batch_line *b, const struct rec *rec, uint64_t number);
void batch_free(struct reply *b);

/* Makes the task's line of output. */
void batch_put_answer(struct task *t, const struct engine *g, struct tokenizer_work *work);
void batch_put_error(struct task *t, int status, const char *code, const char *message);

#endif
