/* figures.c - from counts to accuracy, precision, recall, F1 and rates (docs/evaluation.md). */
#include "metrics/tally.h"

#include <math.h>
#include <stdlib.h>

/* What one label, or one label within one group, needs. */
struct sums {
    uint64_t gold, predicted, correct;
};

static double ratio(uint64_t a, uint64_t b, double none)
{
    return b ? (double)a / (double)b : none;
}

static struct prf prf_of(const struct sums *s)
{
    return (struct prf){
        .precision = ratio(s->correct, s->predicted, 0),
        .recall = ratio(s->correct, s->gold, 0),
        .f1 = ratio(2 * s->correct, s->predicted + s->gold, 0),
    };
}

static struct rates rates_of(const struct sums *s, uint64_t n)
{
    struct rates r = {.n = n, .tp = s->correct};
    r.fp = s->predicted - r.tp;
    r.fn = s->gold - r.tp;
    r.tn = n - r.tp - r.fp - r.fn;
    r.fpr = ratio(r.fp, r.fp + r.tn, NAN);
    r.fnr = ratio(r.fn, r.fn + r.tp, NAN);
    return r;
}

/* Means over the labels for which a rate is defined. */
static struct rates mean_rates(const struct sums *s, size_t labels, uint64_t n)
{
    double fpr = 0, fnr = 0;
    uint64_t with_fpr = 0, with_fnr = 0;
    for (size_t i = 0; i < labels; i++) {
        struct rates r = rates_of(&s[i], n);
        if (!isnan(r.fpr)) {
            fpr += r.fpr;
            with_fpr++;
        }
        if (!isnan(r.fnr)) {
            fnr += r.fnr;
            with_fnr++;
        }
    }
    return (struct rates){
        .n = n,
        .fpr = with_fpr ? fpr / (double)with_fpr : NAN,
        .fnr = with_fnr ? fnr / (double)with_fnr : NAN,
    };
}

static struct group_figures group_of(const struct sums *s, const struct figures *f)
{
    struct group_figures g = {0};
    for (size_t i = 0; i < f->n_labels; i++) {
        g.n += s[i].gold;
        g.correct += s[i].correct;
    }
    g.accuracy = ratio(g.correct, g.n, NAN);
    g.rates = f->positive >= 0 ? rates_of(&s[f->positive], g.n)
                               : mean_rates(s, f->n_labels, g.n);
    return g;
}

static void prf_add(struct prf *sum, const struct prf *p, double weight)
{
    sum->precision += p->precision * weight;
    sum->recall += p->recall * weight;
    sum->f1 += p->f1 * weight;
}

static void prf_divide(struct prf *p, double by)
{
    if (by > 0)
        *p = (struct prf){p->precision / by, p->recall / by, p->f1 / by};
}

static void label_figures(struct figures *f, const struct sums *s)
{
    for (size_t i = 0; i < f->n_labels; i++) {
        struct label_figures *l = &f->label[i];
        l->prf = prf_of(&s[i]);
        l->support = s[i].gold;
        l->predicted = s[i].predicted;
        prf_add(&f->macro, &l->prf, 1);
        prf_add(&f->weighted, &l->prf, (double)l->support);
    }
    prf_divide(&f->macro, (double)f->n_labels);
    prf_divide(&f->weighted, (double)f->all.n);
}

/* ---- from the cells ------------------------------------------------------- */

static void sums_add(struct sums *s, size_t gold, int64_t predicted, uint64_t count)
{
    s[gold].gold += count;
    if (predicted >= 0)
        s[predicted].predicted += count;
    if (predicted == (int64_t)gold)
        s[gold].correct += count;
}

/* sums: [1 + groups][labels], the first row for all records. */
static void sum_cells(const struct tally *t, struct figures *f, struct sums *sums)
{
    for (size_t i = 0; i < t->cells; i++) {
        const struct cell *c = &t->cell[i];
        if (!c->count)
            continue;
        size_t gold = (size_t)t->rank[c->gold];
        int64_t predicted = c->predicted == TALLY_NONE ? -1 : t->rank[c->predicted];
        if (predicted < 0 && f->convention == UNPARSED_DROP)
            continue;
        size_t column = predicted < 0 ? f->n_labels : (size_t)predicted;
        f->confusion[gold * f->width + column] += c->count;
        sums_add(sums, gold, predicted, c->count);
        if (c->group != TALLY_NONE)
            sums_add(sums + (1 + (size_t)c->group) * f->n_labels, gold, predicted, c->count);
    }
}

static int by_name(const void *a, const void *b)
{
    return str_order(((const struct group_figures *)a)->name,
                     ((const struct group_figures *)b)->name);
}

struct range {
    double low, high;
    size_t n;
};

static void range_add(struct range *r, double v)
{
    if (isnan(v))
        return;
    r->low = r->n ? fmin(r->low, v) : v;
    r->high = r->n ? fmax(r->high, v) : v;
    r->n++;
}

static double width(const struct range *r)
{
    return r->n > 1 ? r->high - r->low : NAN;
}

static struct gap gap_of(const struct figures *f)
{
    struct range accuracy = {0}, fpr = {0}, fnr = {0};
    for (size_t g = 0; g < f->n_groups; g++) {
        range_add(&accuracy, f->group[g].accuracy);
        range_add(&fpr, f->group[g].rates.fpr);
        range_add(&fnr, f->group[g].rates.fnr);
    }
    return (struct gap){width(&accuracy), width(&fpr), width(&fnr)};
}

struct figures *figures_new(struct tally *t, enum unparsed convention, int positive)
{
    tally_sort(t);
    struct figures *f = xcalloc(1, sizeof *f);
    f->convention = convention;
    f->positive = positive;
    f->n_labels = t->n_order;
    f->n_groups = names_count(t->groups);
    f->label = xcalloc(f->n_labels + 1, sizeof *f->label);
    f->group = xcalloc(f->n_groups + 1, sizeof *f->group);
    f->width = f->n_labels + (convention == UNPARSED_WRONG);
    f->confusion = xcalloc(f->width * f->width + 1, sizeof *f->confusion);
    struct sums *sums = xcalloc((1 + f->n_groups) * f->n_labels + 1, sizeof *sums);
    sum_cells(t, f, sums);
    for (size_t i = 0; i < f->n_labels; i++)
        f->label[i].name = names_text(t->classes, t->order[i]);
    f->all = group_of(sums, f);
    label_figures(f, sums);
    for (size_t g = 0; g < f->n_groups; g++) {
        f->group[g] = group_of(sums + (1 + g) * f->n_labels, f);
        f->group[g].name = names_text(t->groups, (uint32_t)g);
    }
    qsort(f->group, f->n_groups, sizeof *f->group, by_name);
    f->gap = gap_of(f);
    free(sums);
    return f;
}

void figures_free(struct figures *f)
{
    if (!f)
        return;
    free(f->label);
    free(f->group);
    free(f->confusion);
    free(f);
}
