/* sched.h - the requests in flight and where each of them stands.  Private to lib/infer. */
#ifndef SCHED_H
#define SCHED_H

#include "infer/infer.h"
#include "infer/pages.h"
#include "infer/plan.h"
#include "infer/sample.h"

/* A label behind the prompt, as a path of the labels' trie.  It computes what the labels before
 * it in the order of their ids do not have, and its keys and values go to the later ones too.
 * It shares the prompt's full pages, has a copy of the last partial one, and gives its pages
 * back when its tokens are computed. */
struct branch {
    int32_t choice;
    int32_t same;    /* leading tokens that are those of the branch before */
    int32_t next;    /* token to be computed; the label's last one is only predicted */
    struct seq seq;  /* while it has pages */
    int32_t own;     /* pages that are not the prompt's */
    float *logprobs; /* [choice.n] */
};

enum job_state {
    JOB_WAITING, /* for pages */
    JOB_PROMPT,  /* the prompt is being computed */
    JOB_ANSWER,  /* one token a forward */
    JOB_LABELS,  /* the prompt is there, its labels are being scored */
    JOB_DONE,
};

/* A request in flight. */
struct job {
    struct infer_request r;
    enum job_state state;
    struct seq seq;  /* the prompt, then the answer */
    bool turns;      /* the answer may go beyond where rotary positions change */
    int32_t awaited; /* leading pages taken over, which others fill */
    int32_t stem;    /* a page that begins like the next one, held until it is copied; or -1 */
    int32_t stem_tokens;
    int32_t left; /* full pages of the prompt that others may take over; -1: no more will */

    /* the answer */
    int32_t limit; /* most tokens */
    enum infer_finish finish;
    int32_t *ids;
    float *logprobs;
    struct infer_top *top; /* [limit, top_logprobs] */
    int32_t n;             /* known so far; those that are forced may not have been computed */
    bool complete;         /* no more will come */
    float *prompt_logprobs;

    /* labels */
    struct branch *branches; /* [n_choices], in the order of their ids */
    float *branch_logprobs;  /* of all branches, end to end */
    double *scores;          /* [n_choices] */
    int32_t group,
        waiting; /* branches from group on have pages, those from waiting on not yet */
    int32_t best;
    int32_t promise;  /* pages that the largest branch needs, promised to this job … */
    int32_t promised; /* … and not in use by a branch now */
};

struct infer {
    struct model *model;
    struct infer_config config;
    struct model_info info;
    struct pages pages;
    struct plan plan;
    struct job **jobs; /* [max_requests], oldest first */
    int32_t n_jobs;
    float *logits;   /* [LOGIT_ROWS, vocab] */
    float *filtered; /* [vocab] */
    float *row_logprobs;
    int32_t *row_ids; /* [head_rows] */
    struct sample_work *sampling;
    struct infer_stats stats;
};

/* Logits that are on the host at a time. */
enum { LOGIT_ROWS = 16 };

/* ---- job.c: one request's life ---- */

struct job *job_new(struct infer *f, const struct infer_request *r);
void job_free(struct infer *f, struct job *j);
/* Why the request can never be answered: -1 with EXIT_DATA. */
int job_check(const struct infer *f, const struct infer_request *r, struct err *e) MUST_CHECK;
/* Takes the pages that the job needs to the end; false while there are too few. */
bool job_start(struct infer *f, struct job *j);
/* Puts as much of the job's work into the plan as fits. */
void job_plan_prompt(struct infer *f, struct job *j);
void job_plan_answer(struct infer *f, struct job *j);
/* The next token of the answer has been chosen. */
void job_take(struct infer *f, struct job *j, int32_t id, float logprob);
/* The logits for the answer's token `index` are there: draws it where it is the next, or scores
 * the labels' first tokens. */
void job_logits(struct infer *f, struct job *j, int32_t index, const float *logits);
/* After a forward: what it completed. */
void job_settle(struct infer *f, struct job *j);

/* ---- choose.c: the next id of an answer ---- */

/* The likeliest id is all that the request wants of a row. */
bool choose_wants_best(const struct infer_request *r);
/* The next id; -1 where the guide allows none. */
int32_t choose(struct infer *f, struct job *j, const float *logits);
/* Notes the likeliest ids at a place of the answer. */
void choose_top(struct infer *f, struct job *j, int32_t index, const float *logits, double lse);

/* ---- share.c: pages taken over from others, and left to them ---- */

/* Puts the leading pages that can be taken over in the job's list, unheld; how many. */
int32_t share_find(const struct infer *f, struct job *j);
/* A page that begins like the one behind those `taken`, or -1. */
int32_t share_find_stem(const struct infer *f, const struct job *j, int32_t taken,
                        int32_t *tokens);
/* The job has its pages, the first `taken` from others. */
void share_announce(struct infer *f, struct job *j, int32_t taken);
/* The beginning of the next page is had from the stem, too. */
void share_stem(struct infer *f, struct job *j, int32_t page, int32_t tokens);
/* Pages that the job took over are not filled yet.  Once they are, the stem is copied. */
bool share_waits(struct infer *f, struct job *j);
void share_release(struct infer *f, struct job *j);
/* After a forward: what it filled is there for others. */
void share_leave(struct infer *f, struct job *j);

/* ---- labels.c: choices behind a prompt ---- */

int32_t labels_pages(const struct infer_request *r); /* that the largest branch needs */
int32_t labels_longest(const struct infer_request *r);
void labels_init(struct job *j);
void labels_first(struct infer *f, struct job *j, const float *logits);
void labels_plan(struct infer *f, struct job *j);
void labels_settle(struct infer *f, struct job *j);
void labels_release(struct infer *f, struct job *j);

#endif
