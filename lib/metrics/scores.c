/* scores.c - how good probabilities are: ranking, calibration, and one run against another. */
#include "metrics/scores.h"

#include <math.h>
#include <stdlib.h>

/* ---- ranking -------------------------------------------------------------- */

static int falling(const void *a, const void *b)
{
    double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
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

double scores_best_f1(const struct scored *v, size_t n, double *threshold)
{
    uint64_t all = positives(v, n), tp = 0, pos, neg;
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
