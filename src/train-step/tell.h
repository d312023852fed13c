/* tell.h - --dry-run: what would be trained. */
#ifndef TELL_H
#define TELL_H

#include "train-step/data.h"
#include "train/trainer.h"

/* One record a tensor, and one of the whole, on stdout. */
int tell_plan(struct trainer *t, const struct data *d, int64_t steps, struct err *e) MUST_CHECK;

#endif
