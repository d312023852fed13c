/* tokenize - token ids of records' text, or text of their token ids. */
#include "base/args.h"
#include "base/file.h"
#include "rec/filter.h"
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
    struct filter filter;
    struct buf bare, text;
    struct ids ids;
    uint64_t tokens;
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
static int convert_text(struct run *r, const struct rec *rec, const char **type, struct err *e)
{
    const char *wanted = opt.decode ? "tokens" : opt.field;
    const struct json_member *m = rec_find(rec, wanted);
    const struct json_member *has = rec_find(rec, added());
    if (!opt.overwrite && has && json_kind(has->value) != JSON_NULL) {
        *type = "reserved_member";
        return err_set(e, EXIT_DATA, "the record already has \"%s\"; --overwrite replaces it",
                       added());
    }
    if (!m || json_kind(m->value) == JSON_NULL) {
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

static int convert(void *arg, const struct rec *rec, struct buf *line, const char **type,
                   struct err *e)
{
    struct run *r = arg;
    if (convert_text(r, rec, type, e) < 0)
        return -1;
    rec_begin_without(line, &r->bare, rec, is_replaced, NULL);
    rec_member(line, added());
    if (opt.decode) {
        json_quote(line, buf_str(&r->text));
    } else {
        buf_putc(line, '[');
        for (size_t i = 0; i < r->ids.n; i++)
            buf_printf(line, "%s%d", i ? "," : "", r->ids.v[i]);
        buf_putc(line, ']');
    }
    rec_end(line);
    r->tokens += r->ids.n;
    return 0;
}

/* ---- all records -------------------------------------------------------------- */

static void summary(const struct run *r)
{
    struct buf earlier = {0};
    const struct filter *f = &r->filter;
    buf_printf(&earlier, ", %llu failed before", (unsigned long long)f->passed);
    warn("%llu records, %llu tokens, %llu errors%s", (unsigned long long)f->records,
         (unsigned long long)r->tokens, (unsigned long long)f->failed,
         f->passed ? earlier.p : "");
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
    r.filter = (struct filter){.stage = tool_name,
                               .max_record = (size_t)opt.max_record,
                               .strict = opt.strict,
                               .convert = convert,
                               .arg = &r};
    out_open(&r.filter.out, STDOUT_FILENO, "<stdout>");
    for (char **f = *files ? files : standard_input; *f; f++)
        if (filter_file(&r.filter, *f, &e) < 0)
            die_err(&e);
    if (out_close(&r.filter.out, &e) < 0)
        die_err(&e);
    if (!opt.quiet)
        summary(&r);
    return EXIT_OK;
}
