/* shard - number records and deal them out. */
#include "base/args.h"
#include "base/outfile.h"
#include "shard/children.h"
#include "shard/deal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHARDS_MAX = 1000000, CHILDREN_MAX = 1000 };

static struct deal_options opt = {.shards = 1, .max_record = 16 << 20, .repeat = 1};
static struct children_options kids = {.window = 1024};
static const char *output;
static bool shards_given, deal_given, quiet;

static const struct arg table[] = {
    {ARG_INT, 'n', "shards", &opt.shards, "N", "how many shards", 1, SHARDS_MAX, NULL,
     &shards_given},
    {ARG_INT, 'k', "shard-index", &opt.index, "K", "shard K alone, counted from 0", 0,
     SHARDS_MAX - 1, "all", &opt.index_given},
    {ARG_STRING, 'o', "output", &output, "PATTERN", "a file per shard; %d becomes its number",
     0, 0, "stdout", NULL},
    {ARG_CHOICE, 0, "deal", &opt.deal, "round-robin|contiguous|size",
     "which shard gets a record", 0, 0, NULL, &deal_given},
    {ARG_STRING, 'e', "exec", &kids.command, "CMD",
     "run CMD for each shard, and write what they answer", 0, 0, "none", NULL},
    {ARG_INT, 0, "window", &kids.window, "W", "with -e: records ahead of a child's answers", 1,
     1 << 16, NULL, NULL},
    {ARG_INT, 0, "shuffle", &opt.seed, "SEED", "in an order drawn from SEED", 0, 0,
     "as they come", &opt.shuffle},
    {ARG_INT, 0, "repeat", &opt.repeat, "R", "each record R times", 1, 1 << 30, NULL, NULL},
    {ARG_FLAG, 0, "keep-seq", &opt.keep_seq, NULL, "the records are numbered already", 0, 0,
     NULL, NULL},
    {ARG_INT, 0, "limit", &opt.limit, "MAX", "the first MAX records only", 0, 1LL << 40, "all",
     &opt.limit_given},
    {ARG_LIST, 0, "done", &opt.done, "GLOB", "leave out what these files have answered", 0, 0,
     NULL, NULL},
    {ARG_FLAG, 0, "overwrite", &opt.overwrite, NULL,
     "replace members _seq, _shard, ... that a record has", 0, 0, NULL, NULL},
    {ARG_FLAG, 0, "strict", &opt.strict, NULL, "stop at the first bad record", 0, 0, NULL,
     NULL},
    {ARG_SIZE, 0, "max-record", &opt.max_record, "SIZE", "longest record", 1, 1 << 30, NULL,
     NULL},
    {ARG_FLAG, 'q', "quiet", &quiet, NULL, "no summary on stderr", 0, 0, NULL, NULL},
};

static const struct args args = {
    .usage = "[-n N [-k K]] [-o PATTERN] [OPTION...] [FILE...]",
    .about = "Number records, and deal them out to N shards.",
    .table = table,
    .n = ARGS_COUNT(table),
    .max_files = -1,
    .help_on_tty = true,
};

/* Outputs: one for all, or one a shard. */
struct sink {
    struct outfile *files;
    char **names; /* NULL: stdout */
    size_t n;
};

/* ---- outputs -------------------------------------------------------------- */

static char *shard_name(const char *pattern, int64_t k)
{
    const char *at = strstr(pattern, "%d");
    if (!at)
        return xstrdup(pattern);
    return xasprintf("%.*s%" PRId64 "%s", (int)(at - pattern), pattern, k, at + 2);
}

static void open_sink(struct sink *s)
{
    struct err e;
    bool all = output && !opt.index_given;
    s->n = all ? (size_t)opt.shards : 1;
    s->files = xcalloc(s->n, sizeof *s->files);
    s->names = xcalloc(s->n, sizeof *s->names);
    if (all)
        allow_many_files();
    for (size_t i = 0; i < s->n; i++) {
        if (output)
            s->names[i] = shard_name(output, all ? (int64_t)i : opt.index);
        if (outfile_open(&s->files[i], s->names[i], &e) < 0)
            die_err(&e);
    }
}

/* All shards are written before the first one gets its name. */
static void flush_all(struct sink *s)
{
    struct err e;
    for (size_t i = 0; i < s->n; i++)
        if (out_flush(&s->files[i].out, &e) < 0)
            die_err(&e);
}

static void close_sink(struct sink *s)
{
    struct err e;
    flush_all(s);
    for (size_t i = 0; i < s->n; i++) {
        if (outfile_commit(&s->files[i], &e) < 0)
            die_err(&e);
        free(s->names[i]);
    }
    free(s->files);
    free(s->names);
}

/* ---- all of it ------------------------------------------------------------ */

static void deal_all(struct dealer *d)
{
    struct err e;
    struct sink sink;
    int k;
    open_sink(&sink);
    while ((k = dealer_next(d, &e)) > 0) {
        struct out *out = &sink.files[sink.n > 1 ? d->now.shard : 0].out;
        struct err failed;
        if (k == 1 && out_write(out, d->now.line.p, d->now.line.n, &failed) < 0)
            die_err(&failed);
        if (!dealer_ready(d))
            flush_all(&sink);
    }
    if (k < 0) {
        flush_all(&sink);
        die_err(&e);
    }
    close_sink(&sink);
}

static void summary(const struct dealer *d)
{
    struct buf b = {0};
    buf_printf(&b, "%" PRIu64 " record%s, %" PRId64 " shard%s", d->seq, d->seq == 1 ? "" : "s",
               opt.shards, opt.shards == 1 ? "" : "s");
    if (opt.index_given)
        buf_printf(&b, ", %" PRIu64 " in shard %" PRId64, d->dealt, opt.index);
    if (opt.done.n)
        buf_printf(&b, ", %" PRIu64 " left out as done", d->left_out);
    if (d->bad)
        buf_printf(&b, ", %" PRIu64 " bad", d->bad);
    warn("%s", b.p);
    buf_release(&b);
}

static void check_options(void)
{
    const char *at = output ? strchr(output, '%') : NULL;
    if (kids.command && (opt.index_given || output || deal_given))
        die(EXIT_USAGE, "--exec: a record goes to the child that has least to do; leave out "
                        "--shard-index, --output and --deal");
    if (kids.command && opt.shards > CHILDREN_MAX)
        die(EXIT_USAGE, "--exec: at most %d children, not %" PRId64, CHILDREN_MAX, opt.shards);
    if (opt.keep_seq && (opt.shuffle || opt.repeat > 1 || opt.overwrite))
        die(EXIT_USAGE, "--keep-seq: numbers that are kept cannot be drawn, repeated or "
                        "overwritten; leave out --shuffle, --repeat and --overwrite");
    if (opt.index >= opt.shards)
        die(EXIT_USAGE, "--shard-index: must be below --shards, %" PRId64 ", not %" PRId64,
            opt.shards, opt.index);
    if (at && (at[1] != 'd' || strchr(at + 1, '%')))
        die(EXIT_USAGE, "--output: may have one %%d and no other %%, not '%s'", output);
    if (output && !at && opt.shards > 1 && !opt.index_given)
        die(EXIT_USAGE,
            "--output: needs a %%d for the shard's number, such as 'part-%%d.jsonl'");
}

int main(int argc, char **argv)
{
    tool_name = "shard";
    char **files = args_parse(&args, argc, argv);
    check_options();
    opt.name_shards = shards_given && !opt.index_given && !output && !kids.command;
    struct err e;
    struct dealer d;
    if (dealer_open(&d, &opt, files, &e) < 0)
        die_err(&e);
    int status = EXIT_OK;
    if (kids.command) {
        kids.n = (size_t)opt.shards;
        status = children_run(&kids, &d);
    } else {
        deal_all(&d);
    }
    if (!quiet)
        summary(&d);
    dealer_close(&d);
    free(opt.done.items);
    return status;
}
