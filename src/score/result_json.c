/* result_json.c - the figures of a run as one JSON object. */
#include "score/result.h"

#include "base/num.h"
#include "rec/rec.h"
#include "score/probs.h"

#include <math.h>
#include <stdlib.h>

static void put_text(struct buf *b, const char *name, const char *text)
{
    rec_member(b, name);
    if (text)
        json_quote(b, str_of(text));
    else
        buf_puts(b, "null");
}

/* ---- probabilities -------------------------------------------------------- */

static void put_bins(struct buf *b, const struct calibration *c)
{
    buf_puts(b, ",\"bins\":[");
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        double n = c->bin[i].n ? (double)c->bin[i].n : NAN;
        buf_printf(b, "%s{\"n\":%llu", i ? "," : "", (unsigned long long)c->bin[i].n);
        rec_member_real(b, "prob", c->bin[i].top / n);
        rec_member_real(b, "accuracy", (double)c->bin[i].right / n);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void put_decision(struct buf *b, const struct decision *d)
{
    buf_puts(b, "{");
    rec_member_real(b, "threshold", d->threshold);
    rec_member_uint(b, "tp", d->tp);
    rec_member_uint(b, "fp", d->fp);
    rec_member_uint(b, "tn", d->tn);
    rec_member_uint(b, "fn", d->fn);
    buf_putc(b, '}');
}

static void put_sweep(struct buf *b, const struct ranking *k)
{
    struct decision sweep[SWEEP_STEPS + 1];
    scores_sweep(k->v, k->n, sweep);
    buf_puts(b, ",\"sweep\":[");
    for (int i = 0; i <= SWEEP_STEPS; i++) {
        buf_puts(b, i ? "," : "");
        put_decision(b, &sweep[i]);
    }
    buf_putc(b, ']');
}

/* The threshold under --max-fpr, and what it does in each group. */
static void put_within(struct buf *b, const struct result *r)
{
    const struct ranking *k = &r->ranking;
    const struct probabilities *p = r->count->probabilities;
    buf_puts(b, ",\"max_fpr\":{");
    rec_member_real(b, "bound", r->opt->max_fpr);
    rec_member_real(b, "f1", k->f1_within);
    rec_member_real(b, "threshold", k->threshold_within);
    buf_puts(b, ",\"groups\":{");
    struct decision *d = xcalloc(k->groups + 1, sizeof *d);
    double at = isnan(k->threshold_within) ? INFINITY : k->threshold_within;
    scores_decide(k->v, k->n, k->groups, at, d);
    for (size_t g = 0; r->count->opt->group && g < k->groups; g++) {
        buf_puts(b, g ? "," : "");
        json_quote(b, probabilities_group(p, g));
        buf_puts(b, ":{");
        rec_member_real(b, "fpr", (double)d[g].fp / (double)(d[g].fp + d[g].tn));
        rec_member_real(b, "fnr", (double)d[g].fn / (double)(d[g].fn + d[g].tp));
        buf_putc(b, '}');
    }
    buf_puts(b, "}}");
    free(d);
}

static void put_probabilities(struct buf *b, const struct result *r)
{
    const struct calibration *c = probabilities_calibration(r->count->probabilities);
    const struct ranking *k = &r->ranking;
    buf_puts(b, ",\"probabilities\":");
    if (!c->n) {
        buf_puts(b, "null");
        return;
    }
    buf_printf(b, "{\"n\":%llu", (unsigned long long)c->n);
    rec_member_real(b, "log_loss", calibration_log_loss(c));
    rec_member_real(b, "brier", calibration_brier(c));
    rec_member_real(b, "ece", calibration_ece(c));
    put_bins(b, c);
    if (k->n) {
        rec_member_real(b, "auroc", k->auroc);
        rec_member_real(b, "average_precision", k->average_precision);
        buf_puts(b, ",\"best_f1\":{");
        rec_member_real(b, "f1", k->f1);
        rec_member_real(b, "threshold", k->threshold);
        buf_putc(b, '}');
        if (!isnan(r->opt->max_fpr))
            put_within(b, r);
        put_sweep(b, k);
    }
    buf_putc(b, '}');
}

/* ---- intervals ------------------------------------------------------------ */

static void put_interval(struct buf *b, const char *name, struct interval i)
{
    rec_member(b, name);
    buf_putc(b, '[');
    num_put_double(b, i.low);
    buf_putc(b, ',');
    num_put_double(b, i.high);
    buf_putc(b, ']');
}

static void put_convention(struct buf *b, const struct result *r, const struct figures *f)
{
    struct intervals *all = intervals_new(r->count->tally, f->convention, f->positive,
                                          (size_t)r->opt->replicates, (uint64_t)r->opt->seed);
    put_interval(b, "accuracy", all->accuracy);
    put_interval(b, "macro_f1", all->macro_f1);
    put_interval(b, "weighted_f1", all->weighted_f1);
    if (f->positive >= 0)
        put_interval(b, "f1", all->f1);
    put_interval(b, "fpr", all->fpr);
    put_interval(b, "fnr", all->fnr);
    buf_puts(b, ",\"groups\":{");
    for (size_t g = 0; g < all->n_groups; g++) {
        buf_puts(b, g ? "," : "");
        json_quote(b, all->group[g].name);
        buf_puts(b, ":{");
        put_interval(b, "accuracy", all->group[g].accuracy);
        put_interval(b, "fpr", all->group[g].fpr);
        put_interval(b, "fnr", all->group[g].fnr);
        buf_putc(b, '}');
    }
    buf_putc(b, '}');
    intervals_free(all);
}

static void put_intervals(struct buf *b, const struct result *r)
{
    const struct result_options *opt = r->opt;
    buf_puts(b, ",\"intervals\":");
    if (!opt->replicates) {
        buf_puts(b, "null");
        return;
    }
    buf_printf(b, "{\"level\":0.95,\"replicates\":%lld,\"seed\":%lld,\"drop\":{",
               (long long)opt->replicates, (long long)opt->seed);
    put_convention(b, r, r->drop);
    buf_puts(b, "},\"wrong\":{");
    put_convention(b, r, r->wrong);
    buf_putc(b, '}');
    if (r->ranking.n) {
        struct interval auroc, precision;
        scores_intervals(r->ranking.v, r->ranking.n, (size_t)opt->replicates,
                         (uint64_t)opt->seed, &auroc, &precision);
        put_interval(b, "auroc", auroc);
        put_interval(b, "average_precision", precision);
    }
    buf_putc(b, '}');
}

/* ---- the whole ------------------------------------------------------------ */

/* Without braces. */
static void put_run(struct buf *b, const struct result *r)
{
    const struct count *c = r->count;
    const struct figures *wrong = r->wrong;
    buf_printf(b, "\"records\":%llu", (unsigned long long)c->records);
    rec_member_uint(b, "scored", wrong->all.n);
    rec_member_uint(b, "unparsed", wrong->all.n - r->drop->all.n);
    rec_member_uint(b, "errors", c->errors);
    rec_member_uint(b, "bad_records", c->bad);
    rec_member_uint(b, "missing_gold", c->no_gold);
    rec_member_uint(b, "unknown_gold", c->other_gold);
    put_text(b, "gold", c->opt->gold);
    put_text(b, "pred", c->opt->pred ? c->opt->pred : DEFAULT_PRED);
    put_text(b, "group", c->opt->group);
    buf_puts(b, ",\"labels\":[");
    for (size_t i = 0; i < wrong->n_labels; i++) {
        buf_puts(b, i ? "," : "");
        json_quote(b, wrong->label[i].name);
    }
    buf_puts(b, "],\"positive\":");
    if (wrong->positive >= 0)
        json_quote(b, wrong->label[wrong->positive].name);
    else
        buf_puts(b, "null");
    buf_puts(b, ",\"drop\":");
    figures_put_json(b, r->drop);
    buf_puts(b, ",\"wrong\":");
    figures_put_json(b, wrong);
    put_probabilities(b, r);
    put_intervals(b, r);
}

void result_put_json(struct buf *b, const struct result *r, const struct result *other,
                     const struct pairs *pairs, const char *name)
{
    buf_putc(b, '{');
    put_run(b, r);
    if (other) {
        buf_puts(b, ",\"versus\":{\"both_right\":");
        buf_printf(b, "%llu", (unsigned long long)pairs->both);
        rec_member_uint(b, "only_first", pairs->only_first);
        rec_member_uint(b, "only_second", pairs->only_second);
        rec_member_uint(b, "both_wrong", pairs->neither);
        rec_member_real(b, "p", mcnemar_exact(pairs->only_first, pairs->only_second));
        put_text(b, "file", name);
        buf_putc(b, ',');
        put_run(b, other);
        buf_putc(b, '}');
    }
    buf_puts(b, "}\n");
}
