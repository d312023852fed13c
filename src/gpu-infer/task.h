/* task.h - a record on its way through gpu-infer. */
#ifndef TASK_H
#define TASK_H

#include "gpu-infer/constraint.h"
#include "gpu-infer/params.h"
#include "infer/infer.h"

struct reply;

/* One answer, of n. */
struct said {
    struct buf text, reasoning;
    const char *finish;
    bool cut;  /* by a limit */
    int32_t n; /* ids, those that ended it included */
    int32_t *ids;
    float *logprobs;
    struct infer_top *top; /* [n, top_logprobs] */
    float *prompt_logprobs;
};

struct task {
    const char *file; /* where it came from, for messages; borrowed */
    uint64_t number;
    struct buf line; /* the record as it came, without LF */
    struct buf out;  /* what is written in its place, LF included, once `ready` */
    bool ready;
    struct err error; /* why it failed here; status 0: it did not */
    bool passed_on;   /* it had failed before it came */

    /* the question */
    struct params params;
    struct param_lists lists;      /* the record's own */
    struct constraint *constraint; /* NULL: none */
    const struct vocab *vocab;     /* with a constraint or stop texts */
    struct ids stop;               /* all ids that end it */
    struct ids prompt;
    size_t truncated;             /* tokens that were taken out of it */
    struct ids *choice_ids;       /* [n_choices] */
    struct infer_choice *choices; /* views of them */
    size_t n_choices;
    int32_t adapter;             /* 0: none */
    bool scored;                 /* its text is scored, as a single choice */
    uint64_t source, repetition; /* what draws are keyed by, with the seed */

    /* the answers */
    struct said *said;  /* [params.n] */
    int64_t asked, got; /* of them */
    bool refused;       /* what is written is an error; no more samples are asked */

    struct reply *batch; /* NULL: a record; else a line of a batch file */
};

/* Before it is asked. */
void task_ready_to_ask(struct task *t);
struct task *task_new(const char *file, uint64_t number);
void task_free(struct task *t);
/* Notes why it failed, with its place. */
void task_failed(struct task *t, const struct err *why);
/* Bytes that the task holds, roughly: what bounds the records in flight. */
size_t task_size(const struct task *t);

#endif
