/* score.c - the figures of lib/metrics against scikit-learn's.
 *
 * Figures must agree to 1e-12 relative: both sides divide the same integers and add at most a
 * few hundred quotients in double, so that only the order of the additions can differ, by some
 * ulps.
 */
#include "golden.h"

#include "base/file.h"
#include "metrics/metrics.h"
#include "metrics/scores.h"
#include "rec/rec.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define TOLERANCE 1e-12

struct check {
    char place[200]; /* case, convention, figure */
    bool failed;
};

/* ---- reading the case ----------------------------------------------------- */

static struct str member(struct str object, const char *name)
{
    struct str v = {NULL, 0};
    if (!object.n || json_kind(object) != JSON_OBJECT || !json_get(object, name, &v))
        return (struct str){NULL, 0};
    return v;
}

/* The text of a string value; p = NULL for null and where there is none. */
static struct str text(struct str value, struct buf *b)
{
    buf_clear(b);
    if (!value.n || json_kind(value) != JSON_STRING)
        return (struct str){NULL, 0};
    json_decode(b, value);
    return (struct str){b->p ? b->p : "", b->n};
}

static struct tally *tally_of(struct str labels, struct str records)
{
    struct tally *t = tally_new();
    struct buf a = {0}, b = {0}, c = {0};
    struct err e = {0};
    struct str item;
    for (struct json_iter it = json_iter(labels); json_next(&it, NULL, &item);)
        if (tally_label(t, text(item, &a), &e) < 0)
            fprintf(stderr, "%s\n", e.text);
    tally_close_labels(t);
    for (struct json_iter it = json_iter(records); json_next(&it, NULL, &item);)
        if (tally_add(t, text(member(item, "gold"), &a), text(member(item, "pred"), &b),
                      text(member(item, "group"), &c), &e) != 1)
            fprintf(stderr, "a record was not counted: %s\n", e.text);
    buf_release(&a);
    buf_release(&b);
    buf_release(&c);
    return t;
}

/* ---- comparing ------------------------------------------------------------ */

/* null stands for NaN. */
static void check_real(struct check *c, const char *what, double have, struct str expected)
{
    double want = NAN;
    bool known = expected.n &&
                 (json_number(expected, &want) || json_kind(expected) == JSON_NULL);
    bool same = isnan(want) ? isnan(have)
                            : fabs(have - want) <= TOLERANCE * fmax(fabs(have), fabs(want));
    if (known && same)
        return;
    c->failed = true;
    fprintf(stderr, "golden/score: %s %s: %.17g, expected %.*s\n", c->place, what, have,
            (int)expected.n, expected.n ? expected.p : "");
}

static void check_count(struct check *c, const char *what, uint64_t have, struct str expected)
{
    check_real(c, what, (double)have, expected);
}

static void check_prf(struct check *c, const struct prf *p, struct str expected)
{
    check_real(c, "precision", p->precision, member(expected, "precision"));
    check_real(c, "recall", p->recall, member(expected, "recall"));
    check_real(c, "f1", p->f1, member(expected, "f1"));
}

static void check_labels(struct check *c, const struct figures *f, struct str expected)
{
    struct buf name = {0};
    for (size_t i = 0; i < f->n_labels; i++) {
        const struct label_figures *l = &f->label[i];
        buf_clear(&name);
        buf_addstr(&name, l->name);
        struct str want = member(expected, name.p);
        check_prf(c, &l->prf, want);
        check_count(c, "support", l->support, member(want, "support"));
    }
    buf_release(&name);
}

static void check_confusion(struct check *c, const struct figures *f, struct str expected)
{
    struct str row, v;
    size_t i = 0, cells = 0;
    for (struct json_iter it = json_iter(expected); json_next(&it, NULL, &row); i++) {
        size_t j = 0;
        for (struct json_iter jt = json_iter(row); json_next(&jt, NULL, &v); j++, cells++)
            if (i < f->width && j < f->width)
                check_count(c, "confusion", f->confusion[i * f->width + j], v);
    }
    if (cells != f->width * f->width) {
        c->failed = true;
        fprintf(stderr, "golden/score: %s: %zu cells in the confusion matrix, not %zu\n",
                c->place, cells, f->width * f->width);
    }
}

static void check_groups(struct check *c, const struct figures *f, struct str expected)
{
    struct buf name = {0};
    for (size_t i = 0; i < f->n_groups; i++) {
        const struct rates *r = &f->group[i].rates;
        buf_clear(&name);
        buf_addstr(&name, f->group[i].name);
        struct str want = member(expected, name.p);
        if (!want.n && !f->group[i].n)
            continue; /* a group without a parsed record is not in the reference */
        check_count(c, "n", r->n, member(want, "n"));
        check_count(c, "tp", r->tp, member(want, "tp"));
        check_count(c, "fp", r->fp, member(want, "fp"));
        check_count(c, "tn", r->tn, member(want, "tn"));
        check_count(c, "fn", r->fn, member(want, "fn"));
        check_real(c, "fpr", r->fpr, member(want, "fpr"));
        check_real(c, "fnr", r->fnr, member(want, "fnr"));
    }
    buf_release(&name);
}

static void check_figures(struct check *c, const struct figures *f, struct str expected)
{
    check_count(c, "n", f->all.n, member(expected, "n"));
    check_real(c, "accuracy", f->all.accuracy, member(expected, "accuracy"));
    check_labels(c, f, member(expected, "per_label"));
    check_prf(c, &f->macro, member(expected, "macro"));
    check_prf(c, &f->weighted, member(expected, "weighted"));
    check_confusion(c, f, member(expected, "confusion"));
    check_groups(c, f, member(expected, "groups"));
}

/* ---- probabilities -------------------------------------------------------- */

struct scored_case {
    struct scored *v; /* of the positive label */
    size_t n, cap;
    struct calibration calibration;
    uint64_t only_first, only_second;
};

static size_t index_of(struct str labels, struct str label)
{
    struct str item;
    size_t i = 0;
    for (struct json_iter it = json_iter(labels); json_next(&it, NULL, &item); i++)
        if (str_eq(item, label))
            break;
    return i;
}

static void add_record(struct scored_case *s, struct str labels, struct str positive,
                       struct str record)
{
    double prob[64];
    size_t n = 0;
    struct str gold = member(record, "gold"), item, scores = member(record, "scores");
    if (json_kind(scores) != JSON_ARRAY)
        return;
    for (struct json_iter it = json_iter(scores); n < 64 && json_next(&it, NULL, &item); n++)
        if (!json_number(member(item, "prob"), &prob[n]))
            prob[n] = NAN;
    calibration_add(&s->calibration, prob, n, index_of(labels, gold));
    GROW(s->v, s->cap, s->n + 1);
    s->v[s->n++] = (struct scored){prob[index_of(labels, positive)], str_eq(gold, positive), 0};
}

static void count_pairs(struct scored_case *s, struct str records, struct str other)
{
    struct str record, right;
    struct json_iter jt = json_iter(other);
    for (struct json_iter it = json_iter(records); json_next(&it, NULL, &record);) {
        bool first = str_eq(member(record, "gold"), member(record, "pred"));
        bool second = json_next(&jt, NULL, &right) && str_is(right, "1");
        s->only_first += first && !second;
        s->only_second += second && !first;
    }
}

/* A figure that is not defined is absent from the reference. */
static void check_scored(struct check *c, const char *what, double have, struct str expected)
{
    if (expected.n || !isnan(have))
        check_real(c, what, have, expected);
}

static void check_ranking(struct check *c, struct scored_case *s, struct str expected)
{
    bool both = member(expected, "auroc").n > 0; /* else only one kind occurs */
    double threshold = NAN;
    scores_sort(s->v, s->n);
    check_scored(c, "auroc", scores_auroc(s->v, s->n), member(expected, "auroc"));
    if (!both)
        return;
    struct str best = member(expected, "best_f1");
    check_scored(c, "average precision", scores_average_precision(s->v, s->n),
                 member(expected, "average_precision"));
    check_scored(c, "best F1", scores_best_f1(s->v, s->n, &threshold), member(best, "f1"));
    check_scored(c, "threshold", threshold, member(best, "threshold"));
}

static void check_probabilities(struct golden_count *count, struct str line)
{
    struct str labels = member(line, "labels"), records = member(line, "records"), record;
    struct str expected = member(line, "expected"), drop = member(expected, "drop");
    struct str pairs = member(expected, "mcnemar_exact"), id = member(line, "id");
    struct scored_case s = {0};
    struct check c = {0};
    snprintf(c.place, sizeof c.place, "%.*s", (int)id.n, id.p);
    for (struct json_iter it = json_iter(records); json_next(&it, NULL, &record);)
        add_record(&s, labels, member(line, "positive"), record);
    check_ranking(&c, &s, drop);
    check_scored(&c, "log loss", calibration_log_loss(&s.calibration),
                 member(drop, "log_loss"));
    check_scored(&c, "Brier", calibration_brier(&s.calibration), member(drop, "brier"));
    check_scored(&c, "ECE", calibration_ece(&s.calibration),
                 member(drop, "ece_10_equal_width_bins"));
    count_pairs(&s, records, member(pairs, "other_correct"));
    check_count(&c, "only first", s.only_first, member(pairs, "only_first"));
    check_count(&c, "only second", s.only_second, member(pairs, "only_second"));
    check_real(&c, "McNemar p", mcnemar_exact(s.only_first, s.only_second), member(pairs, "p"));
    if (c.failed)
        count->failed++;
    else
        count->passed++;
    free(s.v);
}

static void check_case(struct golden_count *count, struct str line)
{
    static const struct {
        const char *name;
        enum unparsed convention;
    } both[] = {{"drop", UNPARSED_DROP}, {"wrong", UNPARSED_WRONG}};
    struct buf id = {0}, positive = {0};
    struct tally *t = tally_of(member(line, "labels"), member(line, "records"));
    struct str p = text(member(line, "positive"), &positive);
    struct str name = text(member(line, "id"), &id);
    struct check c = {0};
    for (int i = 0; i < 2; i++) {
        snprintf(c.place, sizeof c.place, "%.*s %s", (int)name.n, name.n ? name.p : "",
                 both[i].name);
        struct figures *f = figures_new(t, both[i].convention, tally_label_find(t, p));
        check_figures(&c, f, member(member(line, "expected"), both[i].name));
        figures_free(f);
    }
    if (c.failed)
        count->failed++;
    else
        count->passed++;
    tally_free(t);
    buf_release(&id);
    buf_release(&positive);
}

int main(int argc, char **argv)
{
    struct golden_count count = {.kind = "score"}, scored = {.kind = "score-probabilities"};
    struct rec rec = {0};
    struct err e = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/score/cases.jsonl", argc > 2 ? argv[2] : "");
    if (!golden_have(path)) {
        printf("skipped: no %s\n", path);
        count.skipped = 1;
        golden_report(&count);
        return golden_done();
    }
    int fd = file_open_input(path, &e), rc = -1;
    struct rec_reader *in = fd < 0 ? NULL : rec_reader_new(fd, path, 16 << 20);
    while (in && (rc = rec_read(in, &rec, &e)) > 0) {
        check_case(&count, rec.line);
        check_probabilities(&scored, rec.line);
    }
    if (rc < 0)
        golden_fail(&count, "%s", e.text);
    rec_release(&rec);
    if (in)
        rec_reader_free(in);
    if (fd >= 0)
        close(fd);
    golden_report(&count);
    golden_report(&scored);
    return golden_done();
}
