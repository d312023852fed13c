/* plan.h - one forward being put together: tokens, spans, page lists, and the rows whose
 * results are wanted.
 */
#ifndef PLAN_H
#define PLAN_H

#include "infer/pages.h"
#include "model/model.h"

#include <stddef.h>

/* Tokens of one sequence, in order: those before `done` have their keys and values in pages,
 * position i in pages[i / KV_PAGE]. */
struct seq {
    int32_t *pages;
    int32_t n_pages, done;
    int32_t adapter; /* whose keys and values they are; 0: the model's own */
    bool far;        /* with the rotary positions of long sequences */
};

void seq_init(struct seq *s, int32_t n_pages, int32_t adapter);
void seq_release(struct seq *s, struct pages *p);

/* What is wanted of a row. */
enum row_kind {
    ROW_BEST,    /* the likeliest id and its log-probability */
    ROW_LOGITS,  /* all logits; target: the answer's token that they are for */
    ROW_LOGPROB, /* the log-probability of `target`, put in *to */
    ROW_KINDS,
};

struct job;

struct row {
    int32_t token; /* index in the forward */
    struct job *job;
    int32_t target;
    float *to;
};

struct rows {
    struct row *v;
    size_t n, cap;
};

struct plan {
    int32_t max_tokens, max_rows; /* of one forward */
    int32_t tokens, n_rows;
    int32_t *ids, *pos; /* [max_tokens] */
    struct span *spans, *copies;
    int32_t *adapters; /* of the spans */
    bool *far;         /* the same */
    bool any_far;
    int32_t *pages;
    size_t n_spans, cap_spans, cap_adapters, cap_far, n_copies, cap_copies, n_pages, cap_pages;
    struct rows rows[ROW_KINDS];
    int32_t *row_tokens; /* [max_rows]: the rows of all kinds, one kind after the other */
};

void plan_init(struct plan *p, int32_t max_tokens, int32_t max_rows);
void plan_release(struct plan *p);
void plan_clear(struct plan *p);

/* Tokens and rows that still fit. */
static inline int32_t plan_room(const struct plan *p)
{
    return p->max_tokens - p->tokens;
}
static inline int32_t plan_rows_room(const struct plan *p)
{
    return p->max_rows - p->n_rows;
}

/* Adds the sequence's next n tokens, whose ids are given, and counts them as done; returns the
 * index of the first in the forward. */
int32_t plan_tokens(struct plan *p, struct seq *s, const int32_t *ids, int32_t n);
/* Copies that still fit. */
static inline int32_t plan_copies_room(const struct plan *p)
{
    return p->max_tokens - (int32_t)p->n_copies;
}
/* The keys and values of tokens first .. first+n-1 of the forward also go to this sequence, at
 * positions start onwards. */
void plan_copy(struct plan *p, const struct seq *s, int32_t first, int32_t start, int32_t n);
void plan_row(struct plan *p, enum row_kind kind, struct row row);

/* The index of the first row of a kind among the forward's rows. */
int32_t plan_first_row(const struct plan *p, enum row_kind kind);
/* The forward as the model takes it; borrowed until the plan changes. */
struct batch plan_batch(struct plan *p);

#endif
