/* report.h - what a run tells about itself: progress, summary, metrics. */
#ifndef REPORT_H
#define REPORT_H

#include "gpu-infer/engine.h"

#include <time.h>

enum progress { PROGRESS_AUTO, PROGRESS_LINE, PROGRESS_JSON };

/* How many records had been answered when, so that a report can show the speed over time. */
enum { TIMELINE_MAX = 200 };
struct timeline {
    double at[TIMELINE_MAX]; /* seconds since the beginning */
    uint64_t records[TIMELINE_MAX];
    size_t n;
    double step; /* seconds between two points; doubles when there are too many */
};

struct report {
    const struct engine *engine;
    const struct options *options;
    double began, loaded, told; /* monotonic seconds */
    uint64_t records;           /* written */
    uint64_t errors;            /* of those, error records, this tool's and earlier ones' */
    uint64_t skipped;           /* answered by an earlier call */
    double scored_logprob;      /* of the texts of --score-completion */
    int64_t scored_tokens;
    bool progress, json; /* show progress; as JSON lines */
    bool line;           /* a progress line stands on the terminal */
    struct timeline timeline;
};

void report_begin(struct report *r, const struct engine *g, const struct options *o);
void report_loaded(struct report *r);
/* From time to time a line that overwrites itself, or a JSON line; after SIGUSR1 a line at
 * once. */
void report_progress(struct report *r);
/* Ends that line, so that a message has one of its own. */
void report_break(struct report *r);
/* One line on stderr, and the metrics file. */
int report_end(struct report *r, struct err *e) MUST_CHECK;

#endif
