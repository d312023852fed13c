/* metrics.c - folding, counting, both conventions, labels found late, the table's bounds. */
#include "unit.h"

#include "metrics/bootstrap.h"
#include "metrics/metrics.h"

#include <math.h>

static bool folds_to(const char *text, const char *folded)
{
    struct buf b = {0};
    text_fold(&b, str_of(text));
    bool same = str_is(buf_str(&b), folded);
    buf_release(&b);
    return same;
}

static void test_fold(void)
{
    CHECK(folds_to("Billing", "billing"));
    CHECK(folds_to(" \t\nBILLING\r\n ", "billing"));
    CHECK(folds_to("two  words", "two  words"));
    CHECK(folds_to("billing.", "billing."));
    CHECK(folds_to("STRASSE", "strasse"));
    CHECK(folds_to("Straße", "strasse"));
    CHECK(folds_to("\xc3\x89T\xc3\x89", "\xc3\xa9t\xc3\xa9"));
    CHECK(folds_to("e\xcc\x81", "\xc3\xa9"));      /* decomposed */
    CHECK(folds_to("\xc2\xa0x\xe2\x80\x83", "x")); /* no-break space, em space */
    CHECK(folds_to("\xef\xbb\xbfx", "x"));         /* byte order mark */
    CHECK(folds_to("", ""));
    CHECK(folds_to("   ", ""));
    CHECK(folds_to("A\xff", "a\xff")); /* not UTF-8: bytes stay */
}

static void test_names(void)
{
    struct names *n = names_new(true);
    CHECK(names_find(n, STR("a")) == -1);
    CHECK(names_add(n, STR(" Yes ")) == 0);
    CHECK(names_add(n, STR("YES")) == 0);
    CHECK(names_add(n, STR("no")) == 1);
    CHECK(str_is(names_text(n, 0), "Yes"));
    CHECK(names_find(n, STR("No\n")) == 1);
    bool in_order = true;
    for (int i = 0; i < 1000; i++) {
        char s[16];
        snprintf(s, sizeof s, "n%d", i);
        in_order &= names_add(n, str_of(s)) == (uint32_t)i + 2;
    }
    CHECK(in_order);
    CHECK(names_find(n, STR("N777")) == 779);
    CHECK(names_count(n) == 1002);
    names_free(n);

    n = names_new(false);
    CHECK(names_add(n, (struct str){"a\0b", 3}) == 0);
    CHECK(names_add(n, (struct str){"a\0c", 3}) == 1);
    CHECK(names_add(n, STR("A")) == 2);
    names_free(n);
}

static int add(struct tally *t, const char *gold, const char *predicted, const char *group)
{
    struct err e = {0};
    struct str none = {NULL, 0};
    return tally_add(t, str_of(gold), predicted ? str_of(predicted) : none,
                     group ? str_of(group) : none, &e);
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-15;
}

/* no: 3 right, 1 taken for yes, 1 unparsed; yes: 1 right, 1 taken for no, 1 unparsed. */
static struct tally *small_tally(void)
{
    struct tally *t = tally_new();
    const char *const rows[][2] = {{"no", "No"},  {"no", "no "},     {"no", "NO"},
                                   {"no", "yes"}, {"no", "perhaps"}, {"yes", "yes"},
                                   {"yes", "no"}, {"yes", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(add(t, rows[i][0], rows[i][1], i % 2 ? "b" : "a") == 1);
    return t;
}

static void test_conventions(void)
{
    struct tally *t = small_tally();
    CHECK(tally_labels(t) == 2);
    CHECK(str_is(tally_label_text(t, 1), "yes"));
    CHECK(tally_label_find(t, STR("YES")) == 1);
    CHECK(tally_label_find(t, STR("perhaps")) == -1);
    struct figures *drop = figures_new(t, UNPARSED_DROP, 1);
    struct figures *wrong = figures_new(t, UNPARSED_WRONG, 1);
    CHECK(drop->all.n == 6 && drop->all.correct == 4);
    CHECK(near(drop->all.accuracy, 4.0 / 6));
    CHECK(drop->width == 2);
    CHECK(drop->confusion[0] == 3 && drop->confusion[1] == 1);
    CHECK(drop->confusion[2] == 1 && drop->confusion[3] == 1);
    CHECK(near(drop->all.rates.fpr, 1.0 / 4) && near(drop->all.rates.fnr, 1.0 / 2));
    CHECK(wrong->all.n == 8 && near(wrong->all.accuracy, 0.5));
    CHECK(wrong->width == 3);
    CHECK(wrong->confusion[2] == 1 && wrong->confusion[5] == 1 && wrong->confusion[8] == 0);
    /* An unparsed record of another label is no false alarm; one of this label is a miss. */
    CHECK(wrong->all.rates.tn == 4 && wrong->all.rates.fn == 2);
    CHECK(near(wrong->all.rates.fpr, 1.0 / 5) && near(wrong->all.rates.fnr, 2.0 / 3));
    CHECK(near(wrong->label[1].prf.f1, 2.0 / 5));
    CHECK(near(wrong->weighted.recall, wrong->all.accuracy));
    CHECK(wrong->n_groups == 2 && str_is(wrong->group[0].name, "a"));
    CHECK(wrong->group[0].n + wrong->group[1].n == 8);
    figures_free(drop);
    figures_free(wrong);
    tally_free(t);
}

static void test_mean_rates(void)
{
    struct tally *t = tally_new();
    CHECK(add(t, "a", "a", "g") == 1);
    CHECK(add(t, "a", "b", "g") == 1);
    CHECK(add(t, "b", "b", "g") == 1);
    CHECK(add(t, "c", "c", "h") == 1);
    struct figures *f = figures_new(t, UNPARSED_WRONG, -1);
    /* Within g: a misses 1 of 2, b none; c has no record there and no part in the mean. */
    CHECK(near(f->group[0].rates.fnr, (0.5 + 0) / 2));
    CHECK(near(f->group[0].rates.fpr, (0 + 0.5 + 0) / 3));
    CHECK(isnan(f->group[1].rates.fpr) == false && f->group[1].rates.fpr == 0);
    figures_free(f);
    tally_free(t);
}

static void test_late_label(void)
{
    struct tally *t = tally_new();
    CHECK(add(t, "a", "b", NULL) == 1); /* "b" becomes a label only with the next record */
    CHECK(add(t, "B", "x", NULL) == 1);
    struct figures *f = figures_new(t, UNPARSED_DROP, -1);
    CHECK(f->n_labels == 2 && f->all.n == 1);
    CHECK(f->confusion[1] + f->confusion[2] == 1);
    figures_free(f);
    tally_free(t);
}

static void test_closed(void)
{
    struct err e = {0};
    struct tally *t = tally_new();
    CHECK(tally_label(t, STR("z"), &e) == 0 && tally_label(t, STR("a"), &e) == 0);
    CHECK(tally_label(t, STR("Z"), &e) == 0); /* the same again */
    tally_close_labels(t);
    CHECK(add(t, "other", "z", NULL) == 0);
    CHECK(add(t, "Z", "other", NULL) == 1);
    CHECK(add(t, "a", "A", NULL) == 1);
    CHECK(tally_labels(t) == 2 && str_is(tally_label_text(t, 0), "z"));
    struct figures *f = figures_new(t, UNPARSED_DROP, 1);
    CHECK(f->all.n == 1 && f->all.correct == 1);
    CHECK(f->label[0].prf.precision == 0 && f->label[0].prf.f1 == 0);
    figures_free(f);
    tally_free(t);
}

static void test_nothing(void)
{
    struct tally *t = tally_new();
    struct figures *f = figures_new(t, UNPARSED_WRONG, -1);
    struct buf b = {0};
    CHECK(f->all.n == 0 && isnan(f->all.accuracy));
    figures_put_json(&b, f);
    CHECK(strstr(b.p, "\"accuracy\":null") && strstr(b.p, "\"confusion\":[[0]]"));
    buf_clear(&b);
    figures_put_table(&b, f, f, "group");
    CHECK(b.n > 0);
    buf_release(&b);
    figures_free(f);
    tally_free(t);
}

/* Texts that can no longer be kept are counted, those that are labels already still match. */
static void test_limits(void)
{
    char s[32];
    struct tally *t = tally_new();
    for (int i = 0; i < TALLY_ANSWERS_MAX + 10; i++) {
        snprintf(s, sizeof s, "answer %d", i);
        if (add(t, "a", s, NULL) != 1)
            CHECK(false);
    }
    CHECK(tally_lost(t) == 10);
    CHECK(add(t, "a", "A", NULL) == 1);
    int labels = 1;
    for (; labels < TALLY_LABELS_MAX; labels++) {
        snprintf(s, sizeof s, "label %d", labels);
        if (add(t, s, s, NULL) != 1)
            CHECK(false);
    }
    CHECK(add(t, "one too many", "a", NULL) == -1);
    struct figures *f = figures_new(t, UNPARSED_DROP, -1);
    CHECK(f->all.n == (uint64_t)TALLY_LABELS_MAX && f->all.accuracy == 1);
    figures_free(f);
    tally_free(t);
}

static void test_table_fits(void)
{
    char gold[64], group[64];
    struct tally *t = tally_new();
    for (int i = 0; i < 400; i++) {
        snprintf(gold, sizeof gold, "l\xc3\xa4\x62\x65l\x1b with a long name %d", i % 40);
        snprintf(group, sizeof group, "group %d", i % 30);
        if (add(t, gold, i % 7 ? gold : "none of them", group) != 1)
            CHECK(false);
    }
    struct figures *drop = figures_new(t, UNPARSED_DROP, -1);
    struct figures *wrong = figures_new(t, UNPARSED_WRONG, -1);
    struct buf b = {0};
    figures_put_table(&b, drop, wrong, "region");
    int lines = 0, width = 0, widest = 0;
    for (size_t i = 0; i < b.n; i++) {
        unsigned char c = (unsigned char)b.p[i];
        if (c < 0x20 && c != '\n')
            CHECK(false);
        if (c == '\n') {
            lines++;
            widest = width > widest ? width : widest;
            width = 0;
        } else if ((c & 0xc0) != 0x80) {
            width++;
        }
    }
    CHECK_MSG(lines <= 22, "%d lines", lines);
    CHECK_MSG(widest <= 80, "%d columns", widest);
    buf_release(&b);
    figures_free(drop);
    figures_free(wrong);
    tally_free(t);
}

static void test_ranking(void)
{
    struct scored v[] = {
        {0.2, false, 0}, {0.9, true, 0}, {0.5, false, 0}, {0.5, true, 0}, {0.1, true, 0}};
    double threshold = -1;
    scores_sort(v, 5);
    CHECK(v[0].score == 0.9 && v[4].score == 0.1);
    /* pairs: 0.9 beats both; 0.5 ties with one and beats one; 0.1 beats none */
    CHECK(near(scores_auroc(v, 5), 3.5 / 6));
    CHECK(near(scores_average_precision(v, 5), (1 + 2.0 / 3 + 3.0 / 5) / 3));
    CHECK(near(scores_best_f1(v, 5, &threshold), 6.0 / 8) && threshold == 0.1);
    struct scored ties[] = {{0.9, true, 0}, {0.8, false, 0}, {0.7, false, 0}, {0.6, true, 0}};
    /* 2/3 at 0.9 and at 0.6: the lower threshold */
    CHECK(near(scores_best_f1(ties, 4, &threshold), 2.0 / 3) && threshold == 0.6);
    struct scored one[] = {{0.4, true, 0}};
    CHECK(isnan(scores_auroc(one, 1)) && isnan(scores_auroc(NULL, 0)));
    struct scored none[] = {{0.4, false, 0}};
    CHECK(isnan(scores_average_precision(none, 1)));
    CHECK(isnan(scores_best_f1(none, 1, &threshold)));
}

static void test_calibration(void)
{
    struct calibration c = {0};
    CHECK(isnan(calibration_log_loss(&c)) && isnan(calibration_ece(&c)));
    calibration_add(&c, (double[]){1, 0}, 2, 0);
    calibration_add(&c, (double[]){1, 0}, 2, 1); /* sure and wrong: clipped */
    CHECK(near(calibration_log_loss(&c), (-log(1 - 1e-15) - log(1e-15)) / 2));
    CHECK(near(calibration_brier(&c), (0 + 2) / 2.0));
    CHECK(near(calibration_ece(&c), 0.5));
    CHECK(c.bin[9].n == 2);
    calibration_add(&c, (double[]){0.5, 0.5}, 2, 1); /* the first of equals is the answer */
    CHECK(c.bin[5].n == 1 && c.bin[5].right == 0);
    calibration_add(&c, (double[]){NAN, -1e300}, 2, 1);
    CHECK(c.bin[0].n == 1);
}

/* Means and variances of 4,000 draws; the bounds are 5 standard errors, and the seed is fixed.
 */
static void test_binomial(void)
{
    const struct {
        uint64_t n, a, b;
    } cases[] = {
        {10, 1, 2}, {10, 1, 3}, {1000, 999, 1000}, {300, 7, 64}, {5, 1, UINT64_C(1) << 61}};
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double p = (double)cases[i].a / (double)cases[i].b, n = (double)cases[i].n;
        double sum = 0, squares = 0, variance = n * p * (1 - p);
        enum { DRAWS = 4000 };
        for (int k = 0; k < DRAWS; k++) {
            double x = (double)random_binomial(&state, cases[i].n, cases[i].a, cases[i].b);
            sum += x;
            squares += (x - n * p) * (x - n * p);
        }
        CHECK(fabs(sum / DRAWS - n * p) <= 5 * sqrt(variance / DRAWS) + 1e-9);
        CHECK(fabs(squares / DRAWS - variance) <= 0.25 * variance + 1e-9);
    }
    CHECK(random_binomial(&state, 7, 3, 3) == 7 && random_binomial(&state, 7, 0, 3) == 0);
}

/* 100 records, 80 right: the normal approximation gives 0.80 +- 0.078. */
static void test_intervals(void)
{
    struct err e = {0};
    struct tally *t = tally_new();
    for (int i = 0; i < 100; i++)
        CHECK(tally_add(t, STR("a"), i < 80 ? STR("a") : STR("b"), (struct str){NULL, 0}, &e) ==
              1);
    CHECK(tally_label(t, STR("b"), &e) == 0);
    struct intervals *i = intervals_new(t, UNPARSED_WRONG, 0, 2000, 7);
    CHECK(fabs(i->accuracy.low - 0.722) < 0.02 && fabs(i->accuracy.high - 0.878) < 0.02);
    CHECK(i->fnr.low == 1 - i->accuracy.high ||
          fabs(i->fnr.low + i->accuracy.high - 1) < 1e-12);
    CHECK(isnan(i->fpr.low)); /* nothing is negative in any resample */
    struct figures *f = figures_new(t, UNPARSED_WRONG, 0);
    CHECK(f->all.n == 100 && f->all.correct == 80); /* the counts are as they were */
    figures_free(f);
    intervals_free(i);
    tally_free(t);
    struct scored v[] = {{0.9, true, 0}, {0.8, true, 0}, {0.2, false, 0}, {0.1, false, 0}};
    struct interval auroc, precision;
    scores_intervals(v, 4, 100, 1, &auroc, &precision);
    CHECK(auroc.low == 1 && auroc.high == 1 && precision.low == 1);
}

/* Two groups; the one negative record of group 1 has the second highest score. */
static void test_thresholds(void)
{
    struct scored v[] = {{0.9, true, 0}, {0.8, false, 1}, {0.8, true, 1},
                         {0.5, true, 0}, {0.4, false, 0}, {0.3, false, 0}};
    double threshold = NAN;
    CHECK(near(scores_best_f1(v, 6, &threshold), 6.0 / 7) && threshold == 0.5);
    CHECK(near(scores_best_f1_within(v, 6, 2, 0.99, &threshold), 0.5) && threshold == 0.9);
    CHECK(near(scores_best_f1_within(v, 6, 2, 1, &threshold), 6.0 / 7));
    CHECK(isnan(scores_best_f1_within(v + 1, 5, 2, 0, &threshold)));
    struct decision d[2], sweep[SWEEP_STEPS + 1];
    scores_decide(v, 6, 2, 0.5, d);
    CHECK(d[0].tp == 2 && d[0].fp == 0 && d[0].tn == 2 && d[1].fp == 1 && d[1].tn == 0);
    scores_sweep(v, 6, sweep);
    CHECK(sweep[0].tp == 3 && sweep[0].fp == 3 && sweep[80].tp == 2 && sweep[81].tp == 1);
    CHECK(sweep[100].tp == 0 && sweep[100].tn == 3 && sweep[100].fn == 3);
}

static void test_mcnemar(void)
{
    CHECK(mcnemar_exact(0, 0) == 1);
    CHECK(mcnemar_exact(7, 7) == 1);
    CHECK(mcnemar_exact(0, 5) == 0.0625 && mcnemar_exact(5, 0) == 0.0625);
    CHECK(mcnemar_exact(0, 5000) == 0); /* 2^-4999 is below the smallest double */
    /* Exactly 1; half a million products round, each by 1e-16 of itself. */
    CHECK(fabs(mcnemar_exact(500000, 500001) - 1) < 1e-9);
}

int main(void)
{
    test_ranking();
    test_calibration();
    test_mcnemar();
    test_binomial();
    test_intervals();
    test_thresholds();
    test_fold();
    test_names();
    test_conventions();
    test_mean_rates();
    test_late_label();
    test_closed();
    test_nothing();
    test_limits();
    test_table_fits();
    return unit_done("metrics");
}
