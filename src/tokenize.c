/* tokenize - token ids of records' text, or text of their token ids. */
#include "base/args.h"
#include "base/file.h"
#include "rec/rec.h"
#include "text/tokenizer.h"

#include <unistd.h>

static struct {
    const char *model, *field;
    bool special, field_given, decode, skip_special, overwrite, strict, quiet;
    int64_t max_record;
} opt = {.field = "text", .max_record = 16 << 20};

static const struct arg table[] = {
    {ARG_STRING, 'm', "model", &opt.model, "DIR", "model directory with a tokenizer.json", 0, 0,
     "required", NULL},
    {ARG_FLAG, 0, "special", &opt.special, NULL, "add what the model puts around a text (BOS)",
     0, 0, NULL, NULL},
    {ARG_STRING, 0, "field", &opt.field, "NAME", "member that holds the text", 0, 0, NULL,
     &opt.field_given},
    {ARG_FLAG, 0, "decode", &opt.decode, NULL, "add the text of tokens", 0, 0, NULL, NULL},
    {ARG_FLAG, 0, "skip-special", &opt.skip_special, NULL,
     "with --decode: leave special tokens out", 0, 0, NULL, NULL},
    {ARG_FLAG, 0, "overwrite", &opt.overwrite, NULL,
     "replace the member where a record already has it", 0, 0, NULL, NULL},
    {ARG_FLAG, 0, "strict", &opt.strict, NULL, "stop at the first bad record", 0, 0, NULL,
     NULL},
    {ARG_SIZE, 0, "max-record", &opt.max_record, "SIZE", "longest record", 1, 1 << 30, NULL,
     NULL},
    {ARG_FLAG, 'q', "quiet", &opt.quiet, NULL, "no summary", 0, 0, NULL, NULL},
};

static const struct args args = {
    .usage =
        "-m DIR [--special] [--field NAME | --decode [--skip-special]] [OPTION...] [FILE...]",
    .about = "Add token ids to records with text, or text to records with token ids.",
    .table = table,
    .n = ARGS_COUNT(table),
    .max_files = -1,
    .help_on_tty = true,
};

struct run {
    const struct tokenizer *t;
    struct tokenizer_work *w;
    struct out out;
    struct buf line, bare, text;
    struct ids ids;
    uint64_t records, failed, passed, tokens;
};

/* ---- one record ------------------------------------------------------------- */

static const char *added(void)
{
    return opt.decode ? "text" : "tokens";
}

static int read_text(struct run *r, struct str value, const char **type, struct err *e)
{
    *type = "bad_field";
    if (json_kind(value) != JSON_STRING)
        return err_set(e, EXIT_DATA, "field \"%s\" must be a string", opt.field);
    buf_clear(&r->text);
    *type = "bad_text";
    if (!json_decode(&r->text, value))
        return err_set(e, EXIT_DATA, "field \"%s\" holds a lone surrogate", opt.field);
    return 0;
}

static int read_ids(struct run *r, struct str value, const char **type, struct err *e)
{
    struct str item;
    int64_t id;
    *type = "bad_field";
    if (json_kind(value) != JSON_ARRAY)
        return err_set(e, EXIT_DATA, "field \"tokens\" must be an array of token ids");
    r->ids.n = 0;
    for (struct json_iter it = json_iter(value); json_next(&it, NULL, &item);) {
        if (json_kind(item) != JSON_NUMBER || !json_int(item, &id) || id < 0 || id > INT32_MAX)
            return err_set(e, EXIT_DATA, "field \"tokens\" must be an array of token ids");
        ids_add(&r->ids, (int32_t)id);
    }
    return 0;
}

/* Fills r->ids and r->text, one from the other. */
static int convert(struct run *r, const struct rec *rec, const char **type, struct err *e)
{
    const char *wanted = opt.decode ? "tokens" : opt.field;
    const struct json_member *m = rec_find(rec, wanted);
    if (!opt.overwrite && rec_find(rec, added())) {
        *type = "reserved_member";
        return err_set(e, EXIT_DATA, "the record already has \"%s\"; --overwrite replaces it",
                       added());
    }
    if (!m) {
        *type = "missing_field";
        return err_set(e, EXIT_DATA, "field \"%s\" missing", wanted);
    }
    if (opt.decode) {
        if (read_ids(r, m->value, type, e) < 0)
            return -1;
        buf_clear(&r->text);
        tokenizer_decode(r->t, r->w, r->ids.v, r->ids.n, opt.skip_special, &r->text);
        return 0;
    }
    if (read_text(r, m->value, type, e) < 0)
        return -1;
    r->ids.n = 0;
    *type = "bad_text";
    return tokenizer_encode(r->t, r->w, buf_str(&r->text), opt.special, &r->ids, e);
}

static bool is_replaced(const struct json_member *m, size_t index, void *arg)
{
    (void)index;
    (void)arg;
    return json_key_is(m->key, added());
}

static void put_record(struct run *r, const struct rec *rec)
{
    if (opt.overwrite) {
        rec_without(&r->bare, rec, is_replaced, NULL);
        rec_begin_line(&r->line, buf_str(&r->bare));
    } else {
        rec_begin(&r->line, rec);
    }
    rec_member(&r->line, added());
    if (opt.decode) {
        json_quote(&r->line, buf_str(&r->text));
    } else {
        buf_putc(&r->line, '[');
        for (size_t i = 0; i < r->ids.n; i++)
            buf_printf(&r->line, "%s%d", i ? "," : "", r->ids.v[i]);
        buf_putc(&r->line, ']');
    }
    rec_end(&r->line);
    r->tokens += r->ids.n;
}

/* ---- all records -------------------------------------------------------------- */

/* Ends the run, with what was done so far written. */
static _Noreturn void stop(struct run *r, const struct err *why)
{
    struct err e = {0};
    if (why->status != EXIT_IO && out_flush(&r->out, &e) < 0)
        die_err(&e);
    die_err(why);
}

static void take_record(struct run *r, const struct rec *rec)
{
    struct err e = {0};
    const char *type = NULL;
    r->records++;
    if (!rec->fault && rec_is_error(rec)) {
        r->passed++;
        buf_clear(&r->line);
        buf_addstr(&r->line, rec->line);
        buf_putc(&r->line, '\n');
    } else if (!rec->fault && convert(r, rec, &type, &e) == 0) {
        put_record(r, rec);
    } else {
        if (e.status == EXIT_CONFIG)
            stop(r, &e);
        if (opt.strict) {
            if (rec->fault)
                err_set(&e, EXIT_DATA, "%s", rec->message);
            else
                err_prefix(&e, "%s:%llu", rec->file, (unsigned long long)rec->number);
            stop(r, &e);
        }
        r->failed++;
        rec_fail(&r->line, rec, tool_name, type, e.text);
    }
    if (out_write(&r->out, r->line.p, r->line.n, &e) < 0)
        die_err(&e);
}

static void take_file(struct run *r, const char *path)
{
    struct err e = {0};
    struct rec rec = {0};
    int fd = file_open_input(path, &e), got;
    if (fd < 0)
        stop(r, &e);
    struct rec_reader *in = rec_reader_new(fd, file_label(path), (size_t)opt.max_record);
    while ((got = rec_read(in, &rec, &e)) > 0) {
        take_record(r, &rec);
        /* Whoever reads from us gets all that is done before we wait for more. */
        if (!rec_ready(in) && out_flush(&r->out, &e) < 0)
            die_err(&e);
    }
    if (got < 0)
        stop(r, &e);
    rec_release(&rec);
    rec_reader_free(in);
    if (fd > 0)
        close(fd);
}

static void summary(const struct run *r)
{
    struct buf earlier = {0};
    buf_printf(&earlier, ", %llu failed before", (unsigned long long)r->passed);
    warn("%llu records, %llu tokens, %llu errors%s", (unsigned long long)r->records,
         (unsigned long long)r->tokens, (unsigned long long)r->failed,
         r->passed ? earlier.p : "");
    buf_release(&earlier);
}

int main(int argc, char **argv)
{
    tool_name = "tokenize";
    static struct run r; /* not on the stack, so that leak checkers see what it holds */
    static char dash[] = "-", *standard_input[] = {dash, NULL};
    struct err e = {0};
    char **files = args_parse(&args, argc, argv);
    if (!opt.model)
        die(EXIT_USAGE, "which tokenizer? give -m DIR");
    if (opt.special && opt.decode)
        die(EXIT_USAGE, "--special is for encoding; with --decode give --skip-special or none");
    if (opt.field_given && opt.decode)
        die(EXIT_USAGE, "--field is for encoding; --decode reads tokens");
    if (opt.skip_special && !opt.decode)
        die(EXIT_USAGE, "--skip-special needs --decode");
    if (!(r.t = tokenizer_load(opt.model, &e))) /* missing or damaged: no model to work with */
        die(e.status == EXIT_NOINPUT ? EXIT_CONFIG : e.status, "%s", e.text);
    r.w = tokenizer_work_new(r.t);
    out_open(&r.out, STDOUT_FILENO, "<stdout>");
    for (char **f = *files ? files : standard_input; *f; f++)
        take_file(&r, *f);
    if (out_close(&r.out, &e) < 0)
        die_err(&e);
    if (!opt.quiet)
        summary(&r);
    return EXIT_OK;
}
