/* schedule.c - the learning rate of a step, as transformers has it. */
#include "train-step/schedule.h"

#include "train-step/options.h"

#include <math.h>

double schedule_lr(const struct schedule *s, int64_t done)
{
    if (done < s->warmup)
        return s->lr * (double)done / (double)s->warmup;
    if (s->kind == SCHEDULE_CONSTANT || s->steps <= s->warmup)
        return s->lr;
    double part = (double)(done - s->warmup) / (double)(s->steps - s->warmup);
    if (s->kind == SCHEDULE_LINEAR)
        return s->lr * (1 - part);
    return s->lr * 0.5 * (1 + cos(acos(-1.0) * part));
}
