/* report.h - what a run tells about itself: progress, summary, metrics. */
#ifndef REPORT_H
#define REPORT_H

#include "gpu-infer/engine.h"

#include <time.h>

struct report {
    const struct engine *engine;
    const struct options *options;
    double began, loaded, told; /* monotonic seconds */
    uint64_t records;           /* written */
    uint64_t errors;            /* of those, error records, this tool's and earlier ones' */
    uint64_t skipped;           /* answered by an earlier call */
    double scored_logprob;      /* of the texts of --score-completion */
    int64_t scored_tokens;
    bool progress, line; /* a progress line stands on the terminal */
};

void report_begin(struct report *r, const struct engine *g, const struct options *o);
void report_loaded(struct report *r);
/* From time to time a line that overwrites itself. */
void report_progress(struct report *r);
/* Ends that line, so that a message has one of its own. */
void report_break(struct report *r);
/* One line on stderr, and the metrics file. */
int report_end(struct report *r, struct err *e) MUST_CHECK;

#endif
