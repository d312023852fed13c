/* result.c - the figures of a run, as a table; result_json.c has them as JSON. */
#include "score/result.h"

#include "score/probs.h"

#include <math.h>
#include <stdlib.h>

/* -1: means over the labels. */
static int positive_label(const struct count *c)
{
    size_t n = tally_labels(c->tally);
    const char *positive = c->opt->positive;
    if (!positive)
        return n == 2 ? 1 : -1;
    int i = tally_label_find(c->tally, str_of(positive));
    if (i >= 0 || !n)
        return i;
    struct buf have = {0};
    for (size_t k = 0; k < n && have.n < 200; k++) {
        buf_puts(&have, k ? ", " : "");
        buf_addstr(&have, tally_label_text(c->tally, k));
    }
    die(EXIT_USAGE, "--positive: '%s' is not a label; the labels are %s", positive, have.p);
}

static void rank(struct ranking *k, struct probabilities *p, struct str label, double max_fpr)
{
    k->v = probabilities_of(p, label, &k->n);
    k->groups = probabilities_groups(p);
    k->auroc = scores_auroc(k->v, k->n);
    k->average_precision = scores_average_precision(k->v, k->n);
    k->threshold = k->threshold_within = NAN;
    k->f1 = scores_best_f1(k->v, k->n, &k->threshold);
    k->f1_within = isnan(max_fpr) ? NAN
                                  : scores_best_f1_within(k->v, k->n, k->groups, max_fpr,
                                                          &k->threshold_within);
}

struct result *result_new(struct count *c, const struct result_options *opt)
{
    struct result *r = xcalloc(1, sizeof *r);
    int positive = positive_label(c);
    r->count = c;
    r->opt = opt;
    r->ranking = (struct ranking){.auroc = NAN, .average_precision = NAN, .f1 = NAN};
    r->drop = figures_new(c->tally, UNPARSED_DROP, positive);
    r->wrong = figures_new(c->tally, UNPARSED_WRONG, positive);
    if (positive >= 0)
        rank(&r->ranking, c->probabilities, r->wrong->label[positive].name, opt->max_fpr);
    return r;
}

void result_free(struct result *r)
{
    if (!r)
        return;
    figures_free(r->drop);
    figures_free(r->wrong);
    free(r->ranking.v);
    free(r);
}

/* ---- the table ------------------------------------------------------------ */

static void put_figure(struct buf *b, const char *name, double v)
{
    if (!isnan(v))
        buf_printf(b, "  %s %.4f", name, v);
}

static void put_probabilities(struct buf *b, const struct result *r)
{
    const struct calibration *c = probabilities_calibration(r->count->probabilities);
    if (!c->n)
        return;
    buf_puts(b, "scores:");
    put_figure(b, "AUROC", r->ranking.auroc);
    put_figure(b, "log loss", calibration_log_loss(c));
    put_figure(b, "ECE", calibration_ece(c));
    if (r->ranking.n && !isnan(r->ranking.f1))
        buf_printf(b, "  best F1 %.4f at %.4f", r->ranking.f1, r->ranking.threshold);
    buf_putc(b, '\n');
}

static void put_versus(struct buf *b, const struct result *r, const struct result *other,
                       const struct pairs *pairs, const char *name)
{
    size_t cut = strlen(name) > 24 ? strlen(name) - 24 : 0; /* the end tells more */
    buf_printf(b, "%s%s: accuracy %.4f, here %.4f; right only there %llu, here %llu, p %.2g\n",
               cut ? "…" : "", name + cut, other->wrong->all.accuracy, r->wrong->all.accuracy,
               (unsigned long long)pairs->only_second, (unsigned long long)pairs->only_first,
               mcnemar_exact(pairs->only_first, pairs->only_second));
}

void result_put_table(struct buf *b, const struct result *r, const struct result *other,
                      const struct pairs *pairs, const char *name)
{
    const struct count *c = r->count;
    buf_printf(b, "%llu records: %llu scored, %llu unparsed, %llu errors, %llu left out\n\n",
               (unsigned long long)c->records, (unsigned long long)r->wrong->all.n,
               (unsigned long long)(r->wrong->all.n - r->drop->all.n),
               (unsigned long long)c->errors, (unsigned long long)count_left_out(c));
    if (!r->wrong->all.n) {
        buf_printf(b, "no figures: no record has a gold label in \"%s\"\n", c->opt->gold);
        return;
    }
    figures_put_table(b, r->drop, r->wrong, c->opt->group);
    put_probabilities(b, r);
    if (other)
        put_versus(b, r, other, pairs, name);
}
