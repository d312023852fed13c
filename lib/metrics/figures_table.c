/* figures_table.c - figures as a table for a terminal of 80 columns and 24 lines. */
#include "metrics/metrics.h"

#include <math.h>
#include <stdlib.h>

enum {
    ROWS_MAX = 5,      /* labels, groups; of more the worst are shown */
    CONFUSION_MAX = 4, /* labels whose confusion matrix fits beside them */
    NAME_WIDTH = 14,
};

/* The text cut or padded to `width` characters; control characters become '?'. */
static void put_name(struct buf *b, struct str s, int width)
{
    int used = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c & 0xc0) != 0x80 && used++ == width) {
            used--;
            break;
        }
        buf_putc(b, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    for (; used < width; used++)
        buf_putc(b, ' ');
}

static void put_ratio(struct buf *b, double v, int width)
{
    if (isnan(v))
        buf_printf(b, "%*s", width, "-");
    else
        buf_printf(b, "%*.4f", width, v);
}

static void put_count(struct buf *b, uint64_t v, int width)
{
    buf_printf(b, " %*llu", width - 1, (unsigned long long)v);
}

/* ---- all records ---------------------------------------------------------- */

static void put_overall(struct buf *b, const struct figures *f, const char *name)
{
    put_name(b, str_of(name), NAME_WIDTH);
    put_count(b, f->all.n, 8);
    put_ratio(b, f->all.accuracy, 10);
    put_ratio(b, f->macro.precision, 9);
    put_ratio(b, f->macro.recall, 8);
    put_ratio(b, f->macro.f1, 8);
    put_ratio(b, f->weighted.f1, 8);
    put_ratio(b, f->all.rates.fpr, 8);
    put_ratio(b, f->all.rates.fnr, 7);
    buf_putc(b, '\n');
}

static void put_head(struct buf *b, const struct figures *drop, const struct figures *wrong)
{
    put_name(b, STR("unparsed"), NAME_WIDTH);
    buf_puts(b, "       n  accuracy  macro P macro R macroF1 wghtdF1     FPR    FNR\n");
    if (drop->all.n != wrong->all.n)
        put_overall(b, drop, "left out");
    put_overall(b, wrong, drop->all.n == wrong->all.n ? "none" : "wrong");
    buf_puts(b, "FPR and FNR: ");
    if (wrong->positive >= 0) {
        put_name(b, wrong->label[wrong->positive].name, 40);
        while (b->n && b->p[b->n - 1] == ' ')
            b->n--;
        buf_puts(b, " against the rest\n");
    } else {
        buf_puts(b, "means over the labels, each against the rest\n");
    }
}

/* ---- labels --------------------------------------------------------------- */

static int by_f1(const void *a, const void *b)
{
    const struct label_figures *x = *(struct label_figures *const *)a;
    const struct label_figures *y = *(struct label_figures *const *)b;
    if ((x->support > 0) != (y->support > 0))
        return x->support > 0 ? -1 : 1;
    if (x->prf.f1 != y->prf.f1)
        return x->prf.f1 < y->prf.f1 ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void put_label_row(struct buf *b, const struct figures *f, const struct label_figures *l,
                          bool confusion)
{
    size_t i = (size_t)(l - f->label);
    if (confusion)
        buf_printf(b, "%c ", 'a' + (int)i);
    put_name(b, l->name, NAME_WIDTH - (confusion ? 2 : 0));
    put_ratio(b, l->prf.precision, 9);
    put_ratio(b, l->prf.recall, 8);
    put_ratio(b, l->prf.f1, 8);
    put_count(b, l->support, 6);
    put_count(b, l->predicted, 6);
    for (size_t j = 0; confusion && j < f->width; j++)
        put_count(b, f->confusion[i * f->width + j], j ? 5 : 7);
    buf_putc(b, '\n');
}

static void put_labels(struct buf *b, const struct figures *f)
{
    bool confusion = f->n_labels <= CONFUSION_MAX;
    bool all = f->n_labels <= ROWS_MAX;
    size_t rows = all ? f->n_labels : ROWS_MAX;
    struct label_figures **l = xmalloc_n(f->n_labels + 1, sizeof(struct label_figures *));
    for (size_t i = 0; i < f->n_labels; i++)
        l[i] = &f->label[i];
    if (!all)
        qsort(l, f->n_labels, sizeof *l, by_f1);
    buf_putc(b, '\n');
    put_name(b, STR("label"), NAME_WIDTH);
    buf_puts(b, "precision  recall      F1  gold  pred");
    for (size_t j = 0; confusion && j < f->n_labels; j++)
        buf_printf(b, "%*c", j ? 5 : 7, 'a' + (int)j);
    buf_puts(b, confusion ? " none\n" : "\n");
    for (size_t i = 0; i < rows; i++)
        put_label_row(b, f, l[i], confusion);
    if (!all)
        buf_printf(b, "and %zu labels more, none with a lower F1\n", f->n_labels - rows);
    free(l);
}

/* ---- groups --------------------------------------------------------------- */

static double accuracy_or_2(const struct group_figures *g)
{
    return isnan(g->accuracy) ? 2 : g->accuracy;
}

static int by_accuracy(const void *a, const void *b)
{
    const struct group_figures *x = *(struct group_figures *const *)a;
    const struct group_figures *y = *(struct group_figures *const *)b;
    double p = accuracy_or_2(x), q = accuracy_or_2(y);
    if (p != q)
        return p < q ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* How far the groups lie apart. */
static void put_gap(struct buf *b, const struct gap *gap)
{
    put_name(b, STR("gap"), NAME_WIDTH + 8);
    put_ratio(b, gap->accuracy, 10);
    put_ratio(b, gap->fpr, 8);
    put_ratio(b, gap->fnr, 8);
    buf_putc(b, '\n');
}

static void put_groups(struct buf *b, const struct figures *f, const char *field)
{
    bool all = f->n_groups <= ROWS_MAX;
    size_t rows = all ? f->n_groups : ROWS_MAX;
    struct group_figures **g = xmalloc_n(f->n_groups + 1, sizeof(struct group_figures *));
    for (size_t i = 0; i < f->n_groups; i++)
        g[i] = &f->group[i];
    if (!all)
        qsort(g, f->n_groups, sizeof *g, by_accuracy);
    buf_putc(b, '\n');
    put_name(b, str_of(field), NAME_WIDTH);
    buf_puts(b, "       n  accuracy     FPR     FNR\n");
    for (size_t i = 0; i < rows; i++) {
        put_name(b, g[i]->name, NAME_WIDTH);
        put_count(b, g[i]->n, 8);
        put_ratio(b, g[i]->accuracy, 10);
        put_ratio(b, g[i]->rates.fpr, 8);
        put_ratio(b, g[i]->rates.fnr, 8);
        buf_putc(b, '\n');
    }
    if (!all)
        buf_printf(b, "and %zu groups more, none with a lower accuracy\n", f->n_groups - rows);
    else if (f->n_groups > 1)
        put_gap(b, &f->gap);
    free(g);
}

void figures_put_table(struct buf *out, const struct figures *drop, const struct figures *wrong,
                       const char *group)
{
    put_head(out, drop, wrong);
    put_labels(out, wrong);
    if (group)
        put_groups(out, wrong, group);
}
