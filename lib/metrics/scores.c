/* scores.c - how good probabilities are: ranking, calibration, and one run against another. */
#include "metrics/scores.h"

#include "base/buf.h"

#include <math.h>
#include <stdlib.h>

/* ---- ranking -------------------------------------------------------------- */

static int falling(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    /* So that the order of the records does not reach a resample. */
    return x->positive != y->positive ? y->positive - x->positive
                                      : (x->group > y->group) - (x->group < y->group);
}

void scores_sort(struct scored *v, size_t n)
{
    if (n)
        qsort(v, n, sizeof *v, falling);
}

/* Counts a run of equal scores from i on; returns the index behind it. */
static size_t ties(const struct scored *v, size_t n, size_t i, uint64_t *pos, uint64_t *neg)
{
    *pos = *neg = 0;
    for (double at = v[i].score; i < n && v[i].score == at; i++)
        ++*(v[i].positive ? pos : neg);
    return i;
}

double scores_auroc(const struct scored *v, size_t n)
{
    uint64_t tp = 0, fp = 0, pos, neg;
    double area = 0; /* in halves of one (positive, negative) pair: exact integers */
    for (size_t i = 0; i < n; tp += pos, fp += neg) {
        i = ties(v, n, i, &pos, &neg);
        area += (double)neg * (double)(2 * tp + pos);
    }
    return tp && fp ? area / 2 / (double)tp / (double)fp : NAN;
}

static uint64_t positives(const struct scored *v, size_t n)
{
    uint64_t k = 0;
    for (size_t i = 0; i < n; i++)
        k += v[i].positive;
    return k;
}

double scores_average_precision(const struct scored *v, size_t n)
{
    uint64_t all = positives(v, n), tp = 0, pos, neg;
    double sum = 0;
    for (size_t i = 0; i < n;) {
        i = ties(v, n, i, &pos, &neg);
        tp += pos;
        sum += (double)tp / (double)i * (double)pos;
    }
    return all ? sum / (double)all : NAN;
}

/* ---- thresholds ----------------------------------------------------------- */

void scores_decide(const struct scored *v, size_t n, size_t groups, double threshold,
                   struct decision *out)
{
    for (size_t g = 0; g < groups; g++)
        out[g] = (struct decision){.threshold = threshold};
    for (size_t i = 0; i < n; i++) {
        struct decision *d = &out[v[i].group];
        if (v[i].score >= threshold)
            ++*(v[i].positive ? &d->tp : &d->fp);
        else
            ++*(v[i].positive ? &d->fn : &d->tn);
    }
}

void scores_sweep(const struct scored *v, size_t n, struct decision sweep[SWEEP_STEPS + 1])
{
    uint64_t all = positives(v, n), tp = 0;
    size_t i = 0;
    for (int step = SWEEP_STEPS; step >= 0; step--) {
        double at = (double)step / SWEEP_STEPS;
        for (; i < n && v[i].score >= at; i++)
            tp += v[i].positive;
        sweep[step] = (struct decision){.threshold = at, .tp = tp, .fp = i - tp};
        sweep[step].fn = all - tp;
        sweep[step].tn = n - all - sweep[step].fp;
    }
}

/* How many of the records keep every group's FPR within the bound: lowering the threshold only
 * ever raises it, so they are the first ones, whole runs of ties. */
static size_t within(const struct scored *v, size_t n, size_t groups, double bound)
{
    struct decision *all = xcalloc(groups + 1, sizeof *all);
    uint64_t *fp = xcalloc(groups + 1, sizeof *fp);
    scores_decide(v, n, groups, INFINITY, all);
    size_t good = 0;
    bool fits = true;
    for (size_t i = 0; i < n && fits;) {
        double at = v[i].score;
        for (; i < n && v[i].score == at; i++)
            if (!v[i].positive) {
                uint32_t g = v[i].group;
                fits &= (double)++fp[g] / (double)all[g].tn <= bound;
            }
        if (fits)
            good = i;
    }
    free(all);
    free(fp);
    return good;
}

/* The best F1 among thresholds that take at most the first n of the records. */
static double best_f1(const struct scored *v, size_t n, uint64_t all, double *threshold)
{
    uint64_t tp = 0, pos, neg;
    double best = NAN;
    for (size_t i = 0; all && i < n;) {
        double at = v[i].score;
        i = ties(v, n, i, &pos, &neg);
        tp += pos;
        double f1 = 2 * (double)tp / (double)(i + all);
        if (!(f1 < best)) { /* the first one too, since best is NaN then */
            best = f1;
            *threshold = at;
        }
    }
    return best;
}

double scores_best_f1(const struct scored *v, size_t n, double *threshold)
{
    return best_f1(v, n, positives(v, n), threshold);
}

double scores_best_f1_within(const struct scored *v, size_t n, size_t groups, double bound,
                             double *threshold)
{
    return best_f1(v, within(v, n, groups, bound), positives(v, n), threshold);
}

/* ---- calibration ---------------------------------------------------------- */

void calibration_add(struct calibration *c, const double *prob, size_t n, size_t gold)
{
    const double clip = 1e-15;
    size_t top = 0;
    for (size_t i = 0; i < n; i++) {
        double miss = prob[i] - (i == gold);
        c->brier += miss * miss;
        if (prob[i] > prob[top])
            top = i;
    }
    c->n++;
    c->log_loss -= log(fmin(fmax(prob[gold], clip), 1 - clip));
    double place = prob[top] * CALIBRATION_BINS;
    int bin = place >= CALIBRATION_BINS ? CALIBRATION_BINS - 1 : place > 0 ? (int)place : 0;
    c->bin[bin].n++;
    c->bin[bin].right += top == gold;
    c->bin[bin].top += prob[top];
}

double calibration_log_loss(const struct calibration *c)
{
    return c->n ? c->log_loss / (double)c->n : NAN;
}

double calibration_brier(const struct calibration *c)
{
    return c->n ? c->brier / (double)c->n : NAN;
}

double calibration_ece(const struct calibration *c)
{
    double sum = 0;
    for (int i = 0; i < CALIBRATION_BINS; i++)
        sum += fabs(c->bin[i].top - (double)c->bin[i].right);
    return c->n ? sum / (double)c->n : NAN;
}

/* ---- two runs ------------------------------------------------------------- */

/* n! / k! (n - k)! / 2^n; mantissa and exponent apart, since neither factor fits a double. */
static double binomial_half(uint64_t n, uint64_t k)
{
    double mantissa = 1;
    long exponent = -(long)n;
    for (uint64_t i = 1; i <= k; i++) {
        int e;
        mantissa = frexp(mantissa * (double)(n - k + i) / (double)i, &e);
        exponent += e;
    }
    return exponent < -2000 ? 0 : ldexp(mantissa, (int)exponent);
}

double mcnemar_exact(uint64_t only_first, uint64_t only_second)
{
    uint64_t n = only_first + only_second;
    uint64_t k = only_first < only_second ? only_first : only_second;
    double term = binomial_half(n, k), sum = 0;
    for (uint64_t i = k; term > 0; i--) { /* each from the one before, largest first */
        sum += term;
        term *= (double)i / (double)(n - i + 1); /* 0 behind i = 0 */
    }
    return fmin(1, 2 * sum);
}
