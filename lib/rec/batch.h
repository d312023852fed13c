/* batch.h - lines of OpenAI's batch files: {"custom_id","method","url","body"}. */
#ifndef BATCH_H
#define BATCH_H

#include "rec/rec.h"

/* What is wrong with a line, as an HTTP status and a word for programs. */
struct batch_fault {
    int status;
    const char *code; /* static text */
    char message[256];
};

/* Slices of the record, n = 0 where absent, but params, which is kept from line to line. */
struct batch_line {
    struct str custom_id; /* raw, with its quotes; set even where the line is refused */
    struct str model;     /* raw */
    bool chat;            /* /v1/chat/completions; else /v1/completions */
    struct str messages, tools, kwargs; /* of a chat; raw */
    struct str prompt;                  /* of a completion; raw: a string, or an array of ids */
    struct buf params;                  /* the body's other members, an object */
};

/* The custom_ids that were there: each must be the only one. */
struct batch_ids;
struct batch_ids *batch_ids_new(void);
void batch_ids_free(struct batch_ids *s);

/* Reads a record that has no fault.  -1: *f says why it cannot be asked. */
int batch_read(struct batch_line *b, const struct rec *rec, struct batch_ids *seen,
               struct batch_fault *f) MUST_CHECK;
void batch_release(struct batch_line *b);

#endif
