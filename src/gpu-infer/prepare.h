/* prepare.h - from a record to a question for the model, in the reader's thread. */
#ifndef PREPARE_H
#define PREPARE_H

#include "gpu-infer/batch.h"
#include "gpu-infer/constraint.h"
#include "gpu-infer/engine.h"
#include "gpu-infer/resume.h"
#include "gpu-infer/task.h"
#include "rec/field.h"
#include "rec/rec.h"

struct prepare {
    const struct engine *engine;
    const struct options *options;
    const struct answers *answers; /* NULL: none yet */
    struct tokenizer_work *work;
    struct constraints *constraints;
    struct batch_ids *batch_ids; /* --openai: those that were there */
    struct batch_line batch;
    struct field *completion; /* --score-completion */
    struct params_told told;
    bool told_no_tokenizer, told_no_template;
    struct buf text, bare, kwargs;
    uint64_t read;    /* records so far */
    uint64_t skipped; /* of those, answered by an earlier call */
};

/* The record's task: ready with an error record where it cannot be asked.  NULL: the record is
 * another shard's, or has been answered already.  -1 in *rc: the run cannot go on. */
struct task *prepare_record(struct prepare *p, const struct rec *rec, int *rc, struct err *e);
/* Before the first record. */
void prepare_begin(struct prepare *p);
void prepare_release(struct prepare *p);

#endif
