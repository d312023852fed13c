/* shard - number records and deal them out. */
#include "base/args.h"
#include "base/outfile.h"
#include "rec/input.h"
#include "rec/seqset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHARDS_MAX = 1000000 };
enum deal { ROUND_ROBIN, CONTIGUOUS };

static struct {
    int64_t shards, index, limit, max_record;
    bool shards_given, index_given, limit_given;
    const char *output;
    int deal;
    struct arg_list done;
    bool strict, overwrite, quiet;
} opt = {.shards = 1, .max_record = 16 << 20};

static const struct arg table[] = {
    {ARG_INT, 'n', "shards", &opt.shards, "N", "how many shards", 1, SHARDS_MAX, NULL,
     &opt.shards_given},
    {ARG_INT, 'k', "shard-index", &opt.index, "K", "shard K alone, counted from 0", 0,
     SHARDS_MAX - 1, "all", &opt.index_given},
    {ARG_STRING, 'o', "output", &opt.output, "PATTERN",
     "a file per shard; %d becomes its number", 0, 0, "stdout", NULL},
    {ARG_CHOICE, 0, "deal", &opt.deal, "round-robin|contiguous", "which shard gets a record", 0,
     0, NULL, NULL},
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
    {ARG_FLAG, 'q', "quiet", &opt.quiet, NULL, "no summary on stderr", 0, 0, NULL, NULL},
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

struct dealer {
    struct rec_input *in;
    struct sink sink;
    struct seqset done;
    uint64_t total; /* records there are, where the deal must know */
    uint64_t seq;   /* of the next record */
    uint64_t dealt, bad, left_out;
    /* The last record dealt waits, begun, until it is known whether it is the last of all. */
    struct buf pending, scratch;
    bool has_pending;
    size_t pending_to;
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
    bool all = opt.output && !opt.index_given;
    s->n = all ? (size_t)opt.shards : 1;
    s->files = xcalloc(s->n, sizeof *s->files);
    s->names = xcalloc(s->n, sizeof *s->names);
    if (all)
        allow_many_files();
    for (size_t i = 0; i < s->n; i++) {
        if (opt.output)
            s->names[i] = shard_name(opt.output, all ? (int64_t)i : opt.index);
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

/* ---- records -------------------------------------------------------------- */

static bool is_reserved(const struct json_member *m, size_t index, void *arg)
{
    static const char *const names[] = {"_seq", "_shard", "_last", "_src", "_rep"};
    (void)index;
    (void)arg;
    if (m->key.p[1] != '_' && m->key.p[1] != '\\')
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_key_is(m->key, names[i]))
            return true;
    return false;
}

/* Checks the record, and begins what is written of it in d->pending. */
static void begin_record(struct dealer *d, struct rec *rec)
{
    const struct json_member *reserved = NULL;
    rec_parse(rec);
    for (size_t i = 0; i < rec->members.n && !reserved; i++)
        if (is_reserved(&rec->members.v[i], i, NULL))
            reserved = &rec->members.v[i];
    if (reserved && !opt.overwrite)
        rec_fault(rec, "reserved_member", "has a member %.*s already; see --overwrite",
                  (int)reserved->key.n, reserved->key.p);
    if (rec->fault) {
        if (opt.strict) {
            flush_all(&d->sink);
            die(EXIT_DATA, "%s", rec->message);
        }
        rec_begin_fault(&d->pending, rec, tool_name);
        d->bad++;
    } else if (reserved) {
        rec_without(&d->scratch, rec, is_reserved, NULL);
        rec_begin_line(&d->pending, buf_str(&d->scratch));
    } else {
        rec_begin(&d->pending, rec);
    }
}

/* Ends the record that waits and writes it. */
static void put_pending(struct dealer *d, bool last)
{
    struct err e;
    if (!d->has_pending)
        return;
    if (last) {
        rec_member(&d->pending, "_last");
        buf_puts(&d->pending, "true");
    }
    rec_end(&d->pending);
    if (out_write(&d->sink.files[d->pending_to].out, d->pending.p, d->pending.n, &e) < 0)
        die_err(&e);
    d->has_pending = false;
}

/* Contiguous: shard k has the records from k * total / N on. */
static uint64_t shard_of(const struct dealer *d, uint64_t seq)
{
    uint64_t n = (uint64_t)opt.shards;
    return opt.deal == CONTIGUOUS ? ((seq + 1) * n - 1) / d->total : seq % n;
}

static void deal_record(struct dealer *d, struct rec *rec)
{
    uint64_t seq = d->seq++, shard = shard_of(d, seq);
    bool mine = !opt.index_given || shard == (uint64_t)opt.index;
    bool done = mine && seqset_has(&d->done, seq);
    d->left_out += done;
    /* With --strict no bad record passes, whatever becomes of it. */
    if (opt.strict || (mine && !done))
        begin_record(d, rec);
    if (!mine || done)
        return;
    rec_member_uint(&d->pending, "_seq", seq);
    if (opt.shards_given && !opt.index_given && !opt.output)
        rec_member_uint(&d->pending, "_shard", shard);
    d->has_pending = true;
    d->pending_to = d->sink.n > 1 ? (size_t)shard : 0;
    d->dealt++;
}

static bool limit_reached(uint64_t records)
{
    return opt.limit_given && records >= (uint64_t)opt.limit;
}

/* As many records as there are, up to the limit. */
static uint64_t count_records(struct rec_input *in)
{
    struct err e;
    struct rec rec = {0};
    uint64_t n = 0;
    int k = 1;
    while (!limit_reached(n) && (k = rec_input_read(in, &rec, &e)) > 0)
        n++;
    if (k < 0)
        die_err(&e);
    rec_release(&rec);
    rec_input_rewind(in);
    return n;
}

static void deal_all(struct dealer *d)
{
    struct err e;
    struct rec rec = {0};
    int k = 1;
    while (!limit_reached(d->seq) && (k = rec_input_read(d->in, &rec, &e)) > 0) {
        put_pending(d, false);
        deal_record(d, &rec);
        if (!rec_input_ready(d->in))
            flush_all(&d->sink);
    }
    if (k < 0)
        die_err(&e);
    put_pending(d, true);
    rec_release(&rec);
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
    const char *at = opt.output ? strchr(opt.output, '%') : NULL;
    if (opt.index >= opt.shards)
        die(EXIT_USAGE, "--shard-index: must be below --shards, %" PRId64 ", not %" PRId64,
            opt.shards, opt.index);
    if (at && (at[1] != 'd' || strchr(at + 1, '%')))
        die(EXIT_USAGE, "--output: may have one %%d and no other %%, not '%s'", opt.output);
    if (opt.output && !at && opt.shards > 1 && !opt.index_given)
        die(EXIT_USAGE,
            "--output: needs a %%d for the shard's number, such as 'part-%%d.jsonl'");
}

int main(int argc, char **argv)
{
    tool_name = "shard";
    char **files = args_parse(&args, argc, argv);
    check_options();
    struct err e;
    struct dealer d = {.in = rec_input_new(files, (size_t)opt.max_record)};
    if (rec_input_probe(d.in, &e) < 0)
        die_err(&e);
    for (size_t i = 0; i < opt.done.n; i++)
        if (seqset_add_files(&d.done, opt.done.items[i], (size_t)opt.max_record, &e) < 0)
            die_err(&e);
    if (opt.deal == CONTIGUOUS) {
        if (rec_input_spool(d.in, &e) < 0)
            die_err(&e);
        d.total = count_records(d.in);
        opt.limit = (int64_t)d.total; /* a file may grow between the two passes */
        opt.limit_given = true;
    }
    open_sink(&d.sink);
    deal_all(&d);
    close_sink(&d.sink);
    if (!opt.quiet)
        summary(&d);
    rec_input_free(d.in);
    seqset_release(&d.done);
    buf_release(&d.pending);
    buf_release(&d.scratch);
    free(opt.done.items);
    return EXIT_OK;
}
