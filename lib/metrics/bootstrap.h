/* bootstrap.h - how far figures would move on other records of the same kind.
 *
 * Percentile bootstrap (Efron 1979): as many records are drawn with replacement as there are,
 * the figures computed again, `replicates` times; the interval leaves out 2.5 % at each end.
 * Records that count alike stand in one cell, and a resample draws the cells' counts at once,
 * so the work does not grow with the number of records times replicates.  The draws are exact
 * and of integers alone: a seed gives the same intervals everywhere, in whatever order the
 * records came.
 */
#ifndef BOOTSTRAP_H
#define BOOTSTRAP_H

#include "metrics/metrics.h"
#include "metrics/scores.h"

struct interval {
    double low, high; /* NaN: the figure was not defined in any resample */
};

struct intervals {
    struct interval accuracy, macro_f1, weighted_f1, fpr, fnr;
    struct interval f1; /* of the positive label, NaN without one */
    size_t n_groups;
    struct group_intervals {
        struct str name; /* borrowed from the tally */
        struct interval accuracy, fpr, fnr;
    } * group;
};

struct intervals *intervals_new(struct tally *t, enum unparsed convention, int positive,
                                size_t replicates, uint64_t seed);
void intervals_free(struct intervals *i);

/* Of the ranking figures, record by record; v as sorted by scores_sort(). */
void scores_intervals(const struct scored *v, size_t n, size_t replicates, uint64_t seed,
                      struct interval *auroc, struct interval *average_precision);

/* How many of n trials succeed, each with chance a / b; a <= b < 2^62. */
uint64_t random_binomial(uint64_t *state, uint64_t n, uint64_t a, uint64_t b);

#endif
