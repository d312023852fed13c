/* source.h - the model directory, as far as records need it. */
#ifndef SOURCE_H
#define SOURCE_H

#include "ckpt/ckpt.h"
#include "train-step/options.h"

/* What the model is, as far as its files' beginnings say. */
struct source {
    struct ckpt *ckpt; /* NULL with --init */
    json_t *config;    /* with --init; else NULL */
    uint64_t model;    /* hash */
    int32_t vocab, context;
    int32_t eos; /* -1: none is named */
};

/* EXIT_NOINPUT, EXIT_CONFIG.  On all ranks. */
int source_open(struct source *s, const struct options *o, struct err *e) MUST_CHECK;
void source_close(struct source *s);

#endif
