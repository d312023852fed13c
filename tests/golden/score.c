/* score.c - the figures of lib/metrics against scikit-learn's.
 *
 * Figures must agree to 1e-12 relative: both sides divide the same integers and add at most a
 * few hundred quotients in double, so that only the order of the additions can differ, by some
 * ulps.
 */
#include "golden.h"

#include "base/file.h"
#include "metrics/metrics.h"
#include "rec/rec.h"

#include <math.h>
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
    bool known = expected.n && (json_real(expected, &want) || json_kind(expected) == JSON_NULL);
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
    struct golden_count count = {.kind = "score"};
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
    while (in && (rc = rec_read(in, &rec, &e)) > 0)
        check_case(&count, rec.line);
    if (rc < 0)
        golden_fail(&count, "%s", e.text);
    rec_release(&rec);
    if (in)
        rec_reader_free(in);
    if (fd >= 0)
        close(fd);
    golden_report(&count);
    return golden_done();
}
