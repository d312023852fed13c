/* data.h - all records of a training or evaluation as tokens, the same on every rank. */
#ifndef DATA_H
#define DATA_H

#include "train-step/wording.h"

enum { DATA_LOSS = 1 << 30 }; /* in a stored token: predicting it counts */

struct example {
    uint64_t first; /* in tokens */
    int32_t n, targets;
    uint64_t line; /* in its file, for messages */
};

struct data {
    int32_t *tokens; /* ids, with DATA_LOSS where the loss sees them */
    size_t n_tokens, cap_tokens;
    struct example *v; /* an evaluation with labels has n_labels of them a record */
    size_t n, cap;
    int64_t targets;
    size_t skipped;
    /* Labels by scoring: example i * n_labels + right[i] has the record's own answer. */
    size_t n_labels;
    int32_t *right;
    size_t cap_right;
};

struct data_options {
    char **files;         /* NULL-terminated; none: stdin */
    const char *skip_bad; /* error records go there; NULL: the first one ends it */
    int64_t max_record;
    const struct str *labels; /* for accuracy, n_labels of them; 0: none */
    size_t n_labels;
};

/* EXIT_DATA names file and line of a bad record. */
int data_read(struct data *d, struct wording *w, const struct data_options *o,
              struct err *e) MUST_CHECK;
void data_add(struct data *d, const struct mask *m, uint64_t line);
void data_release(struct data *d);
/* Tells two sets apart: tokens, targets and their order. */
uint64_t data_hash(const struct data *d);
/* Copies an example's ids and marks out, n of each. */
void data_get(const struct data *d, size_t i, int32_t *ids, uint8_t *loss);

#endif
