/* metrics.h - what a training tells about itself: records on stdout, a line on stderr. */
#ifndef METRICS_H
#define METRICS_H

#include "base/file.h"
#include "train-step/step.h"

struct metrics {
    struct out out; /* stdout */
    bool progress;
    bool line;          /* a progress line stands on the terminal */
    double began, told; /* seconds */
    double step_began;
    int64_t tokens, here; /* all, and of this call */
    struct buf record, timed;
};

void metrics_begin(struct metrics *m, bool progress, bool quiet);
void metrics_release(struct metrics *m);
double metrics_now(void);

/* The record of a step, without times, for metrics.jsonl; borrowed until the next one. */
struct str metrics_step(struct metrics *m, int64_t step, double epoch, double lr,
                        const struct step_result *r);
struct str metrics_eval(struct metrics *m, int64_t step, double epoch, double loss,
                        double accuracy, int64_t records, bool best);
/* Writes the record last made to stdout, with times where it is a step's. */
int metrics_tell(struct metrics *m, const struct step_result *r, struct err *e) MUST_CHECK;
void metrics_progress(struct metrics *m, int64_t step, int64_t steps, double loss);
/* Ends the progress line, before something else goes to stderr. */
void metrics_break(struct metrics *m);

#endif
