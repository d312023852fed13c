/* sample - a seeded draw of records, in proportion to the values of some fields. */
#include "base/args.h"
#include "base/file.h"
#include "rec/draw.h"
#include "rec/field.h"
#include "rec/input.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    int64_t count, seed, max_record;
    const char *by;
    bool quiet;
} opt = {.count = 100, .max_record = 16 << 20};

static const struct arg table[] = {
    {ARG_INT, 'n', "count", &opt.count, "N", "how many records", 1, 1LL << 40, NULL, NULL},
    {ARG_STRING, 0, "by", &opt.by, "FIELD[,FIELD]",
     "in proportion to the values of these fields, at least one of each", 0, 0, "no field",
     NULL},
    {ARG_INT, 0, "seed", &opt.seed, "S", "another seed, another draw", 0, 0, NULL, NULL},
    {ARG_SIZE, 0, "max-record", &opt.max_record, "SIZE", "longest record", 1, 1 << 30, NULL,
     NULL},
    {ARG_FLAG, 'q', "quiet", &opt.quiet, NULL, "no summary on stderr", 0, 0, NULL, NULL},
};

static const struct args args = {
    .usage = "[-n N] [--by FIELD[,FIELD]] [--seed S] [OPTION...] [FILE...]",
    .about = "Draw N records at random, in input order.",
    .table = table,
    .n = ARGS_COUNT(table),
    .max_files = -1,
    .help_on_tty = true,
};

/* The fields of --by. */
struct by {
    char *names;
    struct field **v;
    size_t n, cap;
    struct buf key, text;
};

static void split_fields(struct by *by)
{
    char *save = NULL;
    by->names = xstrdup(opt.by);
    for (char *name = strtok_r(by->names, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        GROW(by->v, by->cap, by->n + 1);
        by->v[by->n++] = field_new(name);
    }
    if (!by->n)
        die(EXIT_USAGE, "--by: needs the name of a field, not '%s'", opt.by);
}

/* The values, each with its length so that they cannot run together; none for a field that is
 * null or not there. */
static struct str stratum_key(struct by *by, const struct rec *rec)
{
    struct str raw;
    buf_clear(&by->key);
    for (size_t i = 0; i < by->n; i++) {
        bool found = field_text(by->v[i], rec, &by->text);
        if (!found && field_find(by->v[i], rec, &raw) && json_kind(raw) != JSON_NULL) {
            found = true;
            buf_clear(&by->text);
            buf_addstr(&by->text, raw);
        }
        if (!found) {
            buf_putc(&by->key, '-');
            continue;
        }
        buf_printf(&by->key, "%zu:", by->text.n);
        buf_addstr(&by->key, buf_str(&by->text));
    }
    return buf_str(&by->key);
}

static void read_strata(struct draw *d, struct rec_input *in)
{
    struct err e;
    struct by by = {0};
    struct rec rec = {0};
    int k;
    if (opt.by)
        split_fields(&by);
    while ((k = rec_input_read(in, &rec, &e)) > 0) {
        rec_parse(&rec);
        if (rec.fault)
            die(EXIT_DATA, "%s", rec.message);
        draw_add(d, stratum_key(&by, &rec));
    }
    if (k < 0)
        die_err(&e);
    for (size_t i = 0; i < by.n; i++)
        field_free(by.v[i]);
    free(by.v);
    free(by.names);
    buf_release(&by.key);
    buf_release(&by.text);
    rec_release(&rec);
}

static uint64_t write_drawn(struct draw *d, struct rec_input *in)
{
    struct err e;
    struct out out;
    struct rec rec = {0};
    uint64_t written = 0;
    int k;
    out_open(&out, STDOUT_FILENO, "<stdout>");
    while ((k = rec_input_read(in, &rec, &e)) > 0) {
        if (!draw_take(d))
            continue;
        if (out_write(&out, rec.line.p, rec.line.n, &e) < 0 || out_write(&out, "\n", 1, &e) < 0)
            die_err(&e);
        written++;
    }
    if (k < 0 || out_close(&out, &e) < 0)
        die_err(&e);
    rec_release(&rec);
    return written;
}

int main(int argc, char **argv)
{
    tool_name = "sample";
    char **files = args_parse(&args, argc, argv);
    struct err e;
    struct draw d = {0};
    struct rec_input *in = rec_input_new(files, (size_t)opt.max_record);
    if (rec_input_probe(in, &e) < 0 || rec_input_spool(in, &e) < 0)
        die_err(&e);
    read_strata(&d, in);
    if (draw_plan(&d, (uint64_t)opt.count, (uint64_t)opt.seed, &e) < 0)
        die_err(&e);
    rec_input_rewind(in);
    uint64_t written = write_drawn(&d, in);
    if (written < (uint64_t)opt.count && written < d.n)
        die(EXIT_IO, "the input changed while it was read");
    if (!opt.quiet && opt.by)
        warn("%" PRIu64 " of %zu records, %zu strata", written, d.n, d.n_strata);
    else if (!opt.quiet)
        warn("%" PRIu64 " of %zu records", written, d.n);
    rec_input_free(in);
    draw_release(&d);
    return EXIT_OK;
}
