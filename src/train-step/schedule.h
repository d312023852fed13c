/* schedule.h - the learning rate of a step, as transformers has it. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

struct schedule {
    int kind; /* SCHEDULE_… of options.h */
    double lr;
    int64_t warmup, steps;
};

/* Of the step behind `done` steps.  During the warm-up lr * done / warmup, so the first one has
 * 0; then down to 0 at the end, by half a cosine or a line, or constant. */
double schedule_lr(const struct schedule *s, int64_t done);

#endif
