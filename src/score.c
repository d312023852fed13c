/* score - how good the labels of result records are. */
#include "base/args.h"
#include "base/file.h"
#include "rec/json.h"
#include "score/bars.h"
#include "score/result.h"

#include <math.h>
#include <unistd.h>

static struct count_options how = {.gold = "label", .max_record = 16 << 20};
static struct result_options show = {.seed = 1, .max_fpr = NAN};
static struct {
    const char *versus, *output;
    struct arg_list min, max;
    bool json, quiet;
} opt;

static const struct arg table[] = {
    {.kind = ARG_STRING,
     .name = "gold",
     .to = &how.gold,
     .metavar = "FIELD",
     .help = "the right label"},
    {.kind = ARG_STRING,
     .name = "pred",
     .to = &how.pred,
     .metavar = "FIELD",
     .help = "the answer",
     .fallback = DEFAULT_PRED},
    {.kind = ARG_STRING,
     .name = "group",
     .to = &how.group,
     .metavar = "FIELD",
     .help = "error rates for each value of FIELD",
     .fallback = "none"},
    {.kind = ARG_STRING,
     .name = "labels",
     .to = &how.labels,
     .metavar = "A,B,C",
     .help = "the labels, in this order",
     .fallback = "all that occur, sorted"},
    {.kind = ARG_STRING,
     .name = "positive",
     .to = &how.positive,
     .metavar = "LABEL",
     .help = "the label that FPR and FNR are about",
     .fallback = "of two the second"},
    {.kind = ARG_STRING,
     .name = "versus",
     .to = &opt.versus,
     .metavar = "FILE",
     .help = "a second run on the same records",
     .fallback = "none"},
    {.kind = ARG_INT,
     .name = "bootstrap",
     .to = &show.replicates,
     .metavar = "N",
     .help = "95 % intervals from N resamples, in the JSON object",
     .max = 1000000},
    {.kind = ARG_INT,
     .name = "seed",
     .to = &show.seed,
     .metavar = "N",
     .help = "of --bootstrap"},
    {.kind = ARG_REAL,
     .name = "max-fpr",
     .to = &show.max_fpr,
     .metavar = "X",
     .help = "the best threshold at which no group's FPR is above X",
     .max = 1,
     .fallback = "none"},
    {.kind = ARG_LIST,
     .name = "min",
     .to = &opt.min,
     .metavar = "FIGURE=X",
     .help = "exit with 1 where the figure is below X",
     .fallback = "none"},
    {.kind = ARG_LIST,
     .name = "max",
     .to = &opt.max,
     .metavar = "FIGURE=X",
     .help = "exit with 1 where the figure is above X",
     .fallback = "none"},
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
     .to = &how.strict,
     .help = "stop at the first record without a gold label"},
    {.kind = ARG_FLAG,
     .letter = 'q',
     .name = "quiet",
     .to = &opt.quiet,
     .help = "no summary line"},
    {.kind = ARG_SIZE,
     .name = "max-record",
     .to = &how.max_record,
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

/* How many records only one of the runs got right; ends the process where they are not the same
 * records in the same order. */
static struct pairs compare(const struct count *first, const struct count *second)
{
    struct pairs p = {0};
    if (first->records != second->records)
        die(EXIT_DATA,
            "--versus %s: %llu records, not %llu; both runs must be of the same records",
            opt.versus, (unsigned long long)second->records,
            (unsigned long long)first->records);
    for (uint64_t i = 0; i < first->records; i++) {
        const struct verdict *a = &first->verdict[i], *b = &second->verdict[i];
        if (a->outcome == LEFT_OUT || b->outcome == LEFT_OUT)
            continue;
        if (a->gold != b->gold)
            die(EXIT_DATA,
                "%s:%llu: another gold label than in the first run; both runs must have the "
                "same "
                "records in the same order",
                opt.versus, (unsigned long long)i + 1);
        ++*(a->outcome == RIGHT ? (b->outcome == RIGHT ? &p.both : &p.only_first)
                                : (b->outcome == RIGHT ? &p.only_second : &p.neither));
    }
    return p;
}

static void say_what_is_odd(const struct count *c)
{
    uint64_t left = count_left_out(c), counted = c->records - left;
    if (left)
        warn("%s; %llu of %llu records left out", c->first, (unsigned long long)left,
             (unsigned long long)c->records);
    if (counted > c->errors && !c->answered)
        warn("no record has an answer in \"%s\"; are these results of gpu-infer?",
             how.pred ? how.pred : DEFAULT_PRED);
    if (c->group && counted && c->no_group == counted)
        warn("no record has a group in \"%s\"", how.group);
    if (tally_lost(c->tally))
        warn("more than %d different answers, %llu records count as unparsed; give --labels",
             TALLY_ANSWERS_MAX, (unsigned long long)tally_lost(c->tally));
}

/* Writes everything; returns how many bars were missed. */
static size_t write_results(const struct result *r, const struct result *other,
                            const struct pairs *pairs)
{
    struct err e = {0};
    struct buf json = {0};
    struct out out;
    result_put_json(&json, r, other, pairs, opt.versus);
    if (opt.output && file_write_atomic(opt.output, buf_str(&json), &e) < 0)
        die_err(&e);
    out_open(&out, STDOUT_FILENO, "<stdout>");
    if (opt.json)
        buf_addstr(&out.buf, buf_str(&json));
    else
        result_put_table(&out.buf, r, other, pairs, opt.versus);
    if (out_close(&out, &e) < 0)
        die_err(&e);
    json.n--; /* the line end is no part of the value */
    size_t missed = bars_missed(buf_str(&json), &opt.min, false) +
                    bars_missed(buf_str(&json), &opt.max, true);
    buf_release(&json);
    return missed;
}

int main(int argc, char **argv)
{
    tool_name = "score";
    char **files = args_parse(&args, argc, argv);
    static struct count first, second; /* static, so that leak checkers see what they hold */
    static char dash[] = "-", *standard_input[] = {dash, NULL};
    struct result *r, *other = NULL;
    struct pairs pairs = {0};
    bars_check(&opt.min, "--min");
    bars_check(&opt.max, "--max");
    count_open(&first, &how, opt.versus != NULL);
    for (char **f = *files ? files : standard_input; *f; f++)
        count_file(&first, *f);
    if (opt.versus) {
        count_open(&second, &how, true);
        count_file(&second, opt.versus);
        pairs = compare(&first, &second);
        other = result_new(&second, &show);
    }
    r = result_new(&first, &show);
    size_t missed = write_results(r, other, &pairs);
    say_what_is_odd(&first);
    if (!opt.quiet)
        warn("%llu records, %llu right of %llu, %llu unparsed",
             (unsigned long long)first.records, (unsigned long long)r->wrong->all.correct,
             (unsigned long long)r->wrong->all.n,
             (unsigned long long)(r->wrong->all.n - r->drop->all.n));
    result_free(r);
    result_free(other);
    return missed ? EXIT_VERDICT : EXIT_OK;
}
