/* task.c - a record on its way through gpu-infer. */
#include "gpu-infer/task.h"

#include "gpu-infer/batch.h"

#include <stdlib.h>

struct task *task_new(const char *file, uint64_t number)
{
    struct task *t = xcalloc(1, sizeof *t);
    t->file = file;
    t->number = number;
    return t;
}

void task_free(struct task *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_choices; i++)
        ids_release(&t->choice_ids[i]);
    free(t->choice_ids);
    free(t->choices);
    buf_release(&t->line);
    buf_release(&t->out);
    ids_release(&t->prompt);
    ids_release(&t->stop);
    param_lists_free(&t->lists);
    constraint_drop(t->constraint);
    for (int64_t i = 0; t->said && i < t->params.n; i++) {
        buf_release(&t->said[i].text);
        buf_release(&t->said[i].reasoning);
        free(t->said[i].ids);
        free(t->said[i].logprobs);
        free(t->said[i].top);
        free(t->said[i].prompt_logprobs);
    }
    free(t->said);
    batch_free(t->batch);
    free(t);
}

void task_ready_to_ask(struct task *t)
{
    if (t->params.labels)
        t->params.n = 1;
    t->said = xcalloc((size_t)t->params.n, sizeof *t->said);
}

void task_failed(struct task *t, const struct err *why)
{
    err_set(&t->error, EXIT_DATA, "%s:%llu: %s", t->file, (unsigned long long)t->number,
            why->text);
}

size_t task_size(const struct task *t)
{
    size_t n = sizeof *t + t->line.cap + t->out.cap + t->prompt.cap * sizeof *t->prompt.v;
    for (size_t i = 0; i < t->n_choices; i++)
        n += sizeof t->choices[i] + t->choice_ids[i].cap * sizeof *t->prompt.v;
    for (size_t i = 0; i < t->lists.labels.n; i++)
        n += sizeof t->lists.labels.v[i] + t->lists.labels.v[i].json.cap +
             t->lists.labels.v[i].text.cap;
    return n;
}
