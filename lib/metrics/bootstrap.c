/* bootstrap.c - how far figures would move on other records of the same kind. */
#include "metrics/bootstrap.h"

#include "base/random.h"
#include "metrics/tally.h"

#include <math.h>
#include <stdlib.h>

/* ---- drawing -------------------------------------------------------------- */

/* Heads of n coins. */
static uint64_t heads(uint64_t *state, uint64_t n)
{
    uint64_t k = 0;
    for (; n >= 64; n -= 64)
        k += (uint64_t)__builtin_popcountll(random_next(state));
    if (n)
        k += (uint64_t)__builtin_popcountll(random_next(state) >> (64 - n));
    return k;
}

/* A trial succeeds where a number of [0, 1) is below a / b.  The numbers are drawn bit by bit,
 * for all trials at once: at each bit half of those still equal to a / b are decided. */
uint64_t random_binomial(uint64_t *state, uint64_t n, uint64_t a, uint64_t b)
{
    uint64_t hits = 0;
    if (a >= b)
        return n;
    while (n && a) {
        bool bit = 2 * a >= b;
        a = 2 * a - (bit ? b : 0);
        uint64_t ones = heads(state, n);
        if (bit)
            hits += n - ones;
        n = bit ? ones : n - ones;
    }
    return hits;
}

struct drawn {
    struct cell *at;
    uint64_t count, up_to; /* as counted, and added up to here */
};

/* Deals n records over cells [from, to), each with its share of the counts. */
static void deal(struct drawn *d, size_t from, size_t to, uint64_t n, uint64_t *state)
{
    while (to - from > 1) {
        size_t half = from + (to - from) / 2;
        uint64_t before = d[from].up_to - d[from].count;
        uint64_t left = random_binomial(state, n, d[half - 1].up_to - before,
                                        d[to - 1].up_to - before);
        deal(d, from, half, left, state);
        from = half;
        n -= left;
    }
    d[from].at->count = n;
}

/* ---- intervals ------------------------------------------------------------ */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values; NaN are left out. */
static struct interval interval_of(double *v, size_t n)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(v[i]))
            v[m++] = v[i];
    if (!m)
        return (struct interval){NAN, NAN};
    qsort(v, m, sizeof *v, rising);
    return (struct interval){v[(size_t)floor(0.025 * (double)(m - 1))],
                             v[(size_t)ceil(0.975 * (double)(m - 1))]};
}

enum { OVERALL = 6, PER_GROUP = 3 };

/* value: [columns][replicates], this replicate's place in the first column. */
static void take(const struct figures *f, double *value, size_t replicates)
{
    const double overall[OVERALL] = {
        f->all.accuracy,  f->macro.f1,
        f->weighted.f1,   f->all.rates.fpr,
        f->all.rates.fnr, f->positive >= 0 ? f->label[f->positive].prf.f1 : NAN,
    };
    for (size_t i = 0; i < OVERALL; i++, value += replicates)
        *value = overall[i];
    for (size_t g = 0; g < f->n_groups; g++) {
        const struct group_figures *of = &f->group[g];
        const double each[PER_GROUP] = {of->accuracy, of->rates.fpr, of->rates.fnr};
        for (size_t i = 0; i < PER_GROUP; i++, value += replicates)
            *value = each[i];
    }
}

static void intervals_fill(struct intervals *to, double *value, size_t replicates)
{
    struct interval *overall[OVERALL] = {&to->accuracy, &to->macro_f1, &to->weighted_f1,
                                         &to->fpr,      &to->fnr,      &to->f1};
    for (size_t i = 0; i < OVERALL; i++, value += replicates)
        *overall[i] = interval_of(value, replicates);
    for (size_t g = 0; g < to->n_groups; g++) {
        struct group_intervals *of = &to->group[g];
        struct interval *each[PER_GROUP] = {&of->accuracy, &of->fpr, &of->fnr};
        for (size_t i = 0; i < PER_GROUP; i++, value += replicates)
            *each[i] = interval_of(value, replicates);
    }
}

/* By what the cells stand for, never by their ids, which the order of the records gave. */
static int by_meaning(const void *a, const void *b, void *arg)
{
    const struct cell *x = ((const struct drawn *)a)->at, *y = ((const struct drawn *)b)->at;
    const struct tally *t = arg;
    int c = str_order(names_text(t->classes, x->gold), names_text(t->classes, y->gold));
    if (!c && x->predicted != y->predicted)
        c = x->predicted == TALLY_NONE   ? -1
            : y->predicted == TALLY_NONE ? 1
                                         : str_order(names_text(t->classes, x->predicted),
                                                     names_text(t->classes, y->predicted));
    if (!c && x->group != y->group)
        c = x->group == TALLY_NONE ? -1
            : y->group == TALLY_NONE
                ? 1
                : str_order(names_text(t->groups, x->group), names_text(t->groups, y->group));
    return c;
}

static bool counts(const struct tally *t, const struct cell *c, enum unparsed convention)
{
    bool parsed = c->predicted != TALLY_NONE && t->rank[c->predicted] >= 0;
    return c->count && (parsed || convention == UNPARSED_WRONG);
}

/* The cells that count, in an order of their own; returns how many. */
static size_t cells_of(struct tally *t, enum unparsed convention, struct drawn **cells)
{
    size_t n = 0;
    struct drawn *d = xcalloc(t->cells_used + 1, sizeof *d);
    for (size_t i = 0; i < t->cells; i++)
        if (counts(t, &t->cell[i], convention))
            d[n++] = (struct drawn){.at = &t->cell[i], .count = t->cell[i].count};
    qsort_r(d, n, sizeof *d, by_meaning, t);
    for (size_t i = 0; i < n; i++)
        d[i].up_to = d[i].count + (i ? d[i - 1].up_to : 0);
    *cells = d;
    return n;
}

struct intervals *intervals_new(struct tally *t, enum unparsed convention, int positive,
                                size_t replicates, uint64_t seed)
{
    tally_sort(t);
    struct intervals *to = xcalloc(1, sizeof *to);
    struct figures *f = figures_new(t, convention, positive);
    struct drawn *cells;
    size_t n = cells_of(t, convention, &cells);
    to->n_groups = f->n_groups;
    to->group = xcalloc(f->n_groups + 1, sizeof *to->group);
    for (size_t g = 0; g < f->n_groups; g++)
        to->group[g].name = f->group[g].name;
    figures_free(f);
    size_t columns = OVERALL + PER_GROUP * to->n_groups;
    double *value = xmalloc_n(replicates * columns + 1, sizeof *value);
    for (size_t i = 0; i < replicates; i++) {
        if (n)
            deal(cells, 0, n, cells[n - 1].up_to, &seed);
        f = figures_new(t, convention, positive);
        take(f, value + i, replicates);
        figures_free(f);
    }
    for (size_t i = 0; i < n; i++)
        cells[i].at->count = cells[i].count;
    intervals_fill(to, value, replicates);
    free(value);
    free(cells);
    return to;
}

void intervals_free(struct intervals *i)
{
    if (i)
        free(i->group);
    free(i);
}

void scores_intervals(const struct scored *v, size_t n, size_t replicates, uint64_t seed,
                      struct interval *auroc, struct interval *average_precision)
{
    double *value = xmalloc_n(2 * replicates + 1, sizeof *value);
    uint32_t *times = xmalloc_n(n + 1, sizeof *times);
    struct scored *drawn = xmalloc_n(n + 1, sizeof *drawn);
    for (size_t i = 0; i < replicates; i++) {
        memset(times, 0, n * sizeof *times);
        for (size_t k = 0; k < n; k++)
            times[random_below(&seed, n)]++;
        size_t m = 0;
        for (size_t k = 0; k < n; k++)
            for (uint32_t j = 0; j < times[k]; j++)
                drawn[m++] = v[k];
        value[i] = scores_auroc(drawn, n);
        value[replicates + i] = scores_average_precision(drawn, n);
    }
    *auroc = interval_of(value, replicates);
    *average_precision = interval_of(value + replicates, replicates);
    free(value);
    free(times);
    free(drawn);
}
