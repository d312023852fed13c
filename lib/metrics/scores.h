/* scores.h - how good probabilities are: ranking, calibration, and one run against another.
 *
 * Plain functions of numbers, by scikit-learn's definitions (docs/evaluation.md).
 */
#ifndef SCORES_H
#define SCORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- one label's probability against whether the label is right ------------ */

struct scored {
    double score;
    bool positive;
    uint32_t group; /* 0 where there are none */
};

/* Sorts by falling score; the functions below want that order. */
void scores_sort(struct scored *v, size_t n);

/* Area under the ROC curve, ties counted half; NaN unless both kinds occur. */
double scores_auroc(const struct scored *v, size_t n);
/* Sum over the thresholds of precision times the step of recall; NaN without a positive one. */
double scores_average_precision(const struct scored *v, size_t n);
/* The largest F1 of "score >= threshold", of equal ones that of the lowest threshold; NaN
 * without a positive one. */
double scores_best_f1(const struct scored *v, size_t n, double *threshold);
/* The same among the thresholds at which no group's false positive rate is above `bound`; NaN
 * where no threshold is so. */
double scores_best_f1_within(const struct scored *v, size_t n, size_t groups, double bound,
                             double *threshold);

/* What "score >= threshold" does. */
struct decision {
    double threshold;
    uint64_t tp, fp, tn, fn;
};

enum { SWEEP_STEPS = 100 };

/* Thresholds 0, 0.01, ... 1. */
void scores_sweep(const struct scored *v, size_t n, struct decision sweep[SWEEP_STEPS + 1]);
/* out: [groups]. */
void scores_decide(const struct scored *v, size_t n, size_t groups, double threshold,
                   struct decision *out);

/* ---- all labels' probabilities, added up record by record ------------------ */

enum { CALIBRATION_BINS = 10 };

struct calibration {
    uint64_t n;
    double log_loss, brier; /* sums */
    struct {
        uint64_t n, right;
        double top; /* sum */
    } bin[CALIBRATION_BINS];
};

/* prob: of each of n labels; gold: index of the right one. */
void calibration_add(struct calibration *c, const double *prob, size_t n, size_t gold);
/* Means; NaN without records. */
double calibration_log_loss(const struct calibration *c); /* clipped at 1e-15 */
double calibration_brier(const struct calibration *c);    /* summed over the labels */
double calibration_ece(const struct calibration *c);      /* bins of the top probability */

/* ---- two runs on the same records ------------------------------------------ */

/* Exact McNemar test, two-sided: how likely is a split of the records that only one run got
 * right at least as uneven as this, if both are equally good? */
double mcnemar_exact(uint64_t only_first, uint64_t only_second);

#endif
