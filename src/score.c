/* score - how good the labels of result records are. */
#include "base/args.h"
#include "base/file.h"
#include "metrics/metrics.h"
#include "rec/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_PRED "response.label, else response.text"

static struct {
    const char *gold, *pred, *group, *positive, *labels, *output;
    bool json, strict, quiet;
    int64_t max_record;
} opt = {.gold = "label", .max_record = 16 << 20};

static const struct arg table[] = {
    {.kind = ARG_STRING,
     .name = "gold",
     .to = &opt.gold,
     .metavar = "FIELD",
     .help = "the right label"},
    {.kind = ARG_STRING,
     .name = "pred",
     .to = &opt.pred,
     .metavar = "FIELD",
     .help = "the answer",
     .fallback = DEFAULT_PRED},
    {.kind = ARG_STRING,
     .name = "group",
     .to = &opt.group,
     .metavar = "FIELD",
     .help = "error rates for each value of FIELD",
     .fallback = "none"},
    {.kind = ARG_STRING,
     .name = "labels",
     .to = &opt.labels,
     .metavar = "A,B,C",
     .help = "the labels, in this order",
     .fallback = "all that occur, sorted"},
    {.kind = ARG_STRING,
     .name = "positive",
     .to = &opt.positive,
     .metavar = "LABEL",
     .help = "the label that FPR and FNR are about",
     .fallback = "of two the second"},
    {.kind = ARG_FLAG,
     .name = "json",
     .to = &opt.json,
     .help = "JSON on stdout in place of the table"},
    {.kind = ARG_STRING,
     .letter = 'o',
     .name = "output",
     .to = &opt.output,
     .metavar = "FILE",
     .help = "JSON to FILE as well"},
    {.kind = ARG_FLAG,
     .name = "strict",
     .to = &opt.strict,
     .help = "stop at the first record without a gold label"},
    {.kind = ARG_FLAG,
     .letter = 'q',
     .name = "quiet",
     .to = &opt.quiet,
     .help = "no summary line"},
    {.kind = ARG_SIZE,
     .name = "max-record",
     .to = &opt.max_record,
     .metavar = "SIZE",
     .help = "longest record",
     .min = 1,
     .max = 1 << 30},
};

static const struct args args = {
    .usage = "[--gold FIELD] [--pred FIELD] [--group FIELD] [OPTION...] [FILE...]",
    .about = "Measure the answers of result records against the right labels.",
    .table = table,
    .n = ARGS_COUNT(table),
    .max_files = -1,
    .help_on_tty = true,
};

/* What happened to the records, beside the tally. */
struct run {
    struct tally *tally;
    struct field *gold, *pred[2], *group, *choices, *scores;
    size_t n_pred;
    struct buf gold_text, pred_text, group_text;
    uint64_t records, errors, bad, no_gold, other_gold, answered, no_group;
    char first[512]; /* the first record that was left out, and why */
};

/* ---- counting ------------------------------------------------------------- */

/* why: with its place. */
static void leave_out(struct run *r, uint64_t *counter, const char *why)
{
    if (opt.strict)
        die(EXIT_DATA, "%s", why);
    if (!r->first[0])
        snprintf(r->first, sizeof r->first, "%s", why);
    ++*counter;
}

/* Choices and scores name labels that perhaps no record has as its gold value. */
static void declare_labels(struct run *r, const struct rec *rec)
{
    struct str list, item, label;
    struct err e = {0};
    const struct field *from[] = {r->choices, r->scores};
    for (int i = 0; i < 2; i++) {
        if (!field_find(from[i], rec, &list) || json_kind(list) != JSON_ARRAY)
            continue;
        struct json_iter it = json_iter(list);
        while (json_next(&it, NULL, &item)) {
            label = item;
            if (json_kind(item) == JSON_OBJECT && !json_get(item, "label", &label))
                continue;
            if (json_kind(label) != JSON_STRING)
                continue;
            buf_clear(&r->gold_text);
            json_decode(&r->gold_text, label);
            if (tally_label(r->tally, buf_str(&r->gold_text), &e) < 0)
                die_err(&e);
        }
    }
}

static struct str answer(struct run *r, const struct rec *rec)
{
    for (size_t i = 0; i < r->n_pred; i++)
        if (field_text(r->pred[i], rec, &r->pred_text)) {
            r->answered++;
            return (struct str){r->pred_text.p ? r->pred_text.p : "", r->pred_text.n};
        }
    return (struct str){NULL, 0};
}

static struct str group_of(struct run *r, const struct rec *rec)
{
    if (!r->group)
        return (struct str){NULL, 0};
    if (!field_text(r->group, rec, &r->group_text)) {
        r->no_group++;
        return STR("(none)");
    }
    return (struct str){r->group_text.p ? r->group_text.p : "", r->group_text.n};
}

static void count_record(struct run *r, const struct rec *rec)
{
    char why[512];
    struct err e = {0};
    r->records++;
    if (rec->fault) {
        leave_out(r, &r->bad, rec->message);
        return;
    }
    bool failed = rec_is_error(rec);
    r->errors += failed;
    if (!opt.labels)
        declare_labels(r, rec);
    if (!field_text(r->gold, rec, &r->gold_text)) {
        snprintf(why, sizeof why, "%s:%llu: no gold label in \"%s\"", rec->file,
                 (unsigned long long)rec->number, field_name(r->gold));
        leave_out(r, &r->no_gold, why);
        return;
    }
    struct str predicted = failed ? (struct str){NULL, 0} : answer(r, rec);
    int rc = tally_add(r->tally, buf_str(&r->gold_text), predicted, group_of(r, rec), &e);
    if (rc < 0)
        die(e.status, "%s:%llu: %s", rec->file, (unsigned long long)rec->number, e.text);
    if (rc == 0) {
        snprintf(why, sizeof why, "%s:%llu: gold label \"%.200s\" is not in --labels",
                 rec->file, (unsigned long long)rec->number,
                 r->gold_text.n ? r->gold_text.p : "");
        leave_out(r, &r->other_gold, why);
    }
}

static void read_file(struct run *r, const char *path)
{
    struct err e = {0};
    struct rec rec = {0};
    int fd = file_open_input(path, &e);
    if (fd < 0)
        die_err(&e);
    struct rec_reader *in = rec_reader_new(fd, file_label(path), (size_t)opt.max_record);
    int rc;
    while ((rc = rec_read(in, &rec, &e)) > 0)
        count_record(r, &rec);
    if (rc < 0)
        die_err(&e);
    rec_release(&rec);
    rec_reader_free(in);
    if (fd > 0)
        close(fd);
}

/* ---- set-up --------------------------------------------------------------- */

static void set_labels(struct run *r)
{
    struct err e = {0};
    for (const char *p = opt.labels; p; p = *p ? p + 1 : NULL) {
        size_t n = strcspn(p, ",");
        if (!n)
            die(EXIT_USAGE, "--labels: an empty label in '%s'; write A,B,C", opt.labels);
        if (tally_label(r->tally, (struct str){p, n}, &e) < 0)
            die(EXIT_USAGE, "--labels: %s", e.text);
        p += n;
    }
    if (opt.labels)
        tally_close_labels(r->tally);
}

static void set_fields(struct run *r)
{
    r->gold = field_new(opt.gold);
    r->pred[0] = field_new(opt.pred ? opt.pred : "response.label");
    r->n_pred = 1;
    if (!opt.pred)
        r->pred[r->n_pred++] = field_new("response.text");
    if (opt.group)
        r->group = field_new(opt.group);
    r->choices = field_new("params.choices");
    r->scores = field_new("response.scores");
}

/* -1: means over the labels. */
static int positive_label(struct run *r)
{
    size_t n = tally_labels(r->tally);
    if (!opt.positive)
        return n == 2 ? 1 : -1;
    int i = tally_label_find(r->tally, str_of(opt.positive));
    if (i >= 0 || !n)
        return i;
    struct buf have = {0};
    for (size_t k = 0; k < n && have.n < 200; k++) {
        buf_puts(&have, k ? ", " : "");
        buf_addstr(&have, tally_label_text(r->tally, k));
    }
    die(EXIT_USAGE, "--positive: '%s' is not a label; the labels are %s", opt.positive, have.p);
}

/* ---- results -------------------------------------------------------------- */

static void put_count(struct buf *b, const char *name, uint64_t v)
{
    buf_printf(b, ",\"%s\":%llu", name, (unsigned long long)v);
}

static void put_json(struct buf *b, struct run *r, const struct figures *drop,
                     const struct figures *wrong)
{
    buf_printf(b, "{\"records\":%llu", (unsigned long long)r->records);
    put_count(b, "scored", wrong->all.n);
    put_count(b, "unparsed", wrong->all.n - drop->all.n);
    put_count(b, "errors", r->errors);
    put_count(b, "bad_records", r->bad);
    put_count(b, "missing_gold", r->no_gold);
    put_count(b, "unknown_gold", r->other_gold);
    buf_puts(b, ",\"gold\":");
    json_quote(b, str_of(opt.gold));
    buf_puts(b, ",\"pred\":");
    json_quote(b, str_of(opt.pred ? opt.pred : DEFAULT_PRED));
    buf_puts(b, ",\"group\":");
    if (opt.group)
        json_quote(b, str_of(opt.group));
    else
        buf_puts(b, "null");
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
    figures_put_json(b, drop);
    buf_puts(b, ",\"wrong\":");
    figures_put_json(b, wrong);
    buf_puts(b, "}\n");
}

static void put_table(struct buf *b, struct run *r, const struct figures *drop,
                      const struct figures *wrong)
{
    buf_printf(b, "%llu records: %llu scored, %llu unparsed, %llu errors, %llu left out\n\n",
               (unsigned long long)r->records, (unsigned long long)wrong->all.n,
               (unsigned long long)(wrong->all.n - drop->all.n), (unsigned long long)r->errors,
               (unsigned long long)(r->bad + r->no_gold + r->other_gold));
    if (wrong->all.n)
        figures_put_table(b, drop, wrong, opt.group);
    else
        buf_printf(b, "no figures: no record has a gold label in \"%s\"\n", opt.gold);
}

static void say_what_is_odd(struct run *r)
{
    uint64_t left = r->bad + r->no_gold + r->other_gold;
    if (left)
        warn("%s; %llu of %llu records left out", r->first, (unsigned long long)left,
             (unsigned long long)r->records);
    uint64_t counted = r->records - left;
    if (counted > r->errors && !r->answered)
        warn("no record has an answer in \"%s\"; are these results of gpu-infer?",
             opt.pred ? opt.pred : DEFAULT_PRED);
    if (r->group && counted && r->no_group == counted)
        warn("no record has a group in \"%s\"", opt.group);
    if (tally_lost(r->tally))
        warn("more than %d different answers, %llu records count as unparsed; give --labels",
             TALLY_ANSWERS_MAX, (unsigned long long)tally_lost(r->tally));
}

static void finish(struct run *r)
{
    struct err e = {0};
    int positive = positive_label(r);
    struct figures *drop = figures_new(r->tally, UNPARSED_DROP, positive);
    struct figures *wrong = figures_new(r->tally, UNPARSED_WRONG, positive);
    struct buf json = {0};
    struct out out;
    put_json(&json, r, drop, wrong);
    if (opt.output && file_write_atomic(opt.output, buf_str(&json), &e) < 0)
        die_err(&e);
    out_open(&out, STDOUT_FILENO, "<stdout>");
    if (opt.json)
        buf_addstr(&out.buf, buf_str(&json));
    else
        put_table(&out.buf, r, drop, wrong);
    if (out_close(&out, &e) < 0)
        die_err(&e);
    say_what_is_odd(r);
    if (!opt.quiet)
        warn("%llu records, %llu right of %llu, %llu unparsed", (unsigned long long)r->records,
             (unsigned long long)wrong->all.correct, (unsigned long long)wrong->all.n,
             (unsigned long long)(wrong->all.n - drop->all.n));
    buf_release(&json);
    figures_free(drop);
    figures_free(wrong);
}

int main(int argc, char **argv)
{
    tool_name = "score";
    char **files = args_parse(&args, argc, argv);
    static struct run run; /* not on the stack, so that leak checkers see what it holds */
    static char dash[] = "-", *standard_input[] = {dash, NULL};
    run.tally = tally_new();
    set_labels(&run);
    set_fields(&run);
    for (char **f = *files ? files : standard_input; *f; f++)
        read_file(&run, *f);
    finish(&run);
    return EXIT_OK;
}
