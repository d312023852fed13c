/* result.h - what score prints: the figures of a run, as JSON and as a table. */
#ifndef SCORE_RESULT_H
#define SCORE_RESULT_H

#include "metrics/bootstrap.h"
#include "score/count.h"

struct result_options {
    int64_t replicates, seed; /* 0 replicates: no intervals */
    double max_fpr;           /* NaN: none asked for */
};

/* How good a label's probabilities are. */
struct ranking {
    size_t n, groups;
    struct scored *v;
    double auroc, average_precision, f1, threshold;
    double f1_within, threshold_within; /* under max_fpr */
};

/* The figures of one run. */
struct result {
    const struct count *count;
    const struct result_options *opt;
    struct figures *drop, *wrong;
    struct ranking ranking; /* of the positive label; n = 0 without one */
};

struct result *result_new(struct count *c, const struct result_options *opt);
void result_free(struct result *r);

/* Two runs on the same records: how many only one of them got right. */
struct pairs {
    uint64_t both, only_first, only_second, neither;
};

/* other: NULL without a second run. */
void result_put_json(struct buf *out, const struct result *r, const struct result *other,
                     const struct pairs *pairs, const char *name);
void result_put_table(struct buf *out, const struct result *r, const struct result *other,
                      const struct pairs *pairs, const char *name);

#endif
