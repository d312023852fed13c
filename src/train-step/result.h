/* result.h - what a training leaves: a model directory, or an adapter, in Hugging Face layout.
 */
#ifndef RESULT_H
#define RESULT_H

#include "train-step/options.h"

/* Figures for training.json. */
struct result_facts {
    const char *key; /* JSON */
    int64_t steps, records, tokens, targets, skipped, trainable, params;
    double epochs, loss;
    int64_t best_step; /* with an evaluation: what the weights are of; 0: the last step */
    double eval_loss, eval_accuracy; /* -1: none */
    enum dtype dtype;                /* what weights are written as */
};

/* 1: OUT is there, made by the same training; 0: nothing is there; -1: EXIT_USAGE. */
int result_is_there(const char *out, const char *key, struct err *e) MUST_CHECK;

/* Writes OUT, whole or not at all.  ckpt_dir: OUT.ckpt, whose metrics come along. */
int result_save(const struct options *o, const char *ckpt_dir, struct trainer *t,
                const struct result_facts *f, struct err *e) MUST_CHECK;

#endif
