/* gather - put numbered records back in order, and prove that none is missing or twice. */
#include "base/args.h"
#include "base/outfile.h"
#include "rec/input.h"
#include "rec/merge.h"
#include "rec/order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TYPES_MAX = 32 };

static struct {
    int64_t expect, max_record;
    bool expect_given, partial, keep, quiet;
    const char *output, *errors, *max_errors;
} opt = {.max_record = 1 << 28};

static const struct arg table[] = {
    {ARG_STRING, 'o', "output", &opt.output, "FILE", "write to FILE, which appears when whole",
     0, 0, "stdout", NULL},
    {ARG_STRING, 0, "errors", &opt.errors, "FILE", "write error records to FILE too", 0, 0,
     "none", NULL},
    {ARG_INT, 0, "expect", &opt.expect, "N", "take _seq 0 to N-1; all of them must be there", 0,
     1LL << 40, "what _last says", &opt.expect_given},
    {ARG_FLAG, 0, "partial", &opt.partial, NULL, "accept missing records", 0, 0, NULL, NULL},
    {ARG_STRING, 0, "max-errors", &opt.max_errors, "N|P%", "more error records: status 1", 0, 0,
     "any number", NULL},
    {ARG_FLAG, 0, "keep", &opt.keep, NULL, "leave _seq and the like in the records", 0, 0, NULL,
     NULL},
    {ARG_SIZE, 0, "max-record", &opt.max_record, "SIZE", "longest record", 1, 1 << 30, NULL,
     NULL},
    {ARG_FLAG, 'q', "quiet", &opt.quiet, NULL, "no summary on stderr", 0, 0, NULL, NULL},
};

static const struct args args = {
    .usage = "[-o FILE] [--errors FILE] [--expect N | --partial] [OPTION...] [FILE...]",
    .about = "Put numbered records back in order, and prove that none is missing or twice.",
    .table = table,
    .n = ARGS_COUNT(table),
    .max_files = -1,
    .help_on_tty = true,
};

/* Error records by their type. */
struct tally {
    uint64_t count;
    char name[40];
};

/* What the members of a record say. */
struct look {
    unsigned char *kind; /* of each */
    size_t n, cap;
    size_t seq; /* which one is `_seq` */
    bool last, error;
};

struct gatherer {
    struct look look;
    struct outfile out, errors;
    struct buf line, text;
    struct order order;
    uint64_t records, n_errors, beyond;
    struct buf torn; /* what is wrong with a last line that was cut off */
    struct tally types[TYPES_MAX];
    size_t n_types;
};

/* ---- a record ------------------------------------------------------------- */

/* What a member is, by its name alone. */
enum { USERS, OURS, OURS_BEHIND_SEQ };

static int kind_of(struct look *l, const struct json_member *m)
{
    static const char *const others[] = {"_shard", "_src", "_rep"};
    static const char *const behind[] = {"messages", "params", "prompt", "tokens"};
    char c = m->key.p[1];
    bool escaped = c == '\\';
    if (c == '_' || escaped) {
        if (json_key_is(m->key, "_seq")) {
            l->seq = l->n;
            return OURS;
        }
        if (json_key_is(m->key, "_last")) {
            l->last = json_kind(m->value) == JSON_TRUE;
            return OURS;
        }
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (json_key_is(m->key, others[i]))
                return OURS;
    }
    l->error |= (c == 'e' || escaped) && json_key_is(m->key, "error");
    if (c == 'm' || c == 'p' || c == 't' || escaped)
        for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
            if (json_key_is(m->key, behind[i]))
                return OURS_BEHIND_SEQ;
    return USERS;
}

/* One walk over the members for all that is asked of them. */
static void look_at(struct look *l, const struct rec *rec)
{
    l->last = l->error = false;
    GROW(l->kind, l->cap, rec->members.n);
    for (l->n = 0; l->n < rec->members.n; l->n++)
        l->kind[l->n] = (unsigned char)kind_of(l, &rec->members.v[l->n]);
    l->error = l->error && rec_is_error(rec);
}

/* Of the names that a user's record may have, ours are the members behind `_seq`. */
static bool is_ours(const struct json_member *m, size_t index, void *arg)
{
    const struct look *l = arg;
    (void)m;
    return l->kind[index] == OURS || (l->kind[index] == OURS_BEHIND_SEQ && index > l->seq);
}

static void count_error(struct gatherer *g, const struct rec *rec)
{
    struct str type = {0};
    size_t i = 0;
    g->n_errors++;
    buf_clear(&g->text);
    if (json_get(rec_find(rec, "error")->value, "type", &type))
        json_decode(&g->text, type);
    if (g->text.n >= sizeof g->types[0].name)
        g->text.p[sizeof g->types[0].name - 1] = 0;
    while (i < g->n_types && strcmp(g->types[i].name, g->text.p))
        i++;
    if (i == TYPES_MAX) {
        strcpy(g->types[--i].name, "of other types");
    } else if (i == g->n_types) {
        strcpy(g->types[i].name, g->text.p);
        g->n_types++;
    }
    g->types[i].count++;
}

static void take(struct gatherer *g, const struct rec *rec, uint64_t seq)
{
    struct err e;
    if (opt.expect_given && seq >= (uint64_t)opt.expect) {
        g->beyond++;
        return;
    }
    look_at(&g->look, rec);
    if (!order_see(&g->order, seq, g->look.last))
        return;
    if (opt.keep) {
        buf_clear(&g->line);
        buf_addstr(&g->line, rec->line);
    } else {
        rec_without(&g->line, rec, is_ours, &g->look);
    }
    buf_putc(&g->line, '\n');
    bool failed = g->look.error;
    if (failed)
        count_error(g, rec);
    if (out_write(&g->out.out, g->line.p, g->line.n, &e) < 0 ||
        (failed && opt.errors && out_write(&g->errors.out, g->line.p, g->line.n, &e) < 0))
        die_err(&e);
    g->records++;
}

/* ---- from files, from stdin ----------------------------------------------- */

static void take_merged(struct gatherer *g, struct merge *m)
{
    struct err e;
    const struct rec *rec;
    uint64_t seq;
    int k;
    while ((k = merge_next(m, &rec, &seq, &e)) > 0)
        take(g, rec, seq);
    if (k < 0)
        die_err(&e);
    if (merge_torn(m))
        buf_puts(&g->torn, merge_torn(m));
    merge_free(m);
}

static void gather_files(struct gatherer *g, char **files)
{
    struct err e;
    struct merge *m = merge_new((size_t)opt.max_record);
    allow_many_files();
    for (; *files; files++) {
        struct stat st;
        const char *name = file_label(*files);
        int fd = file_open_input(*files, &e);
        if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
            int copy = temp_copy(fd, name, &e);
            close(fd);
            fd = copy;
        }
        if (fd < 0 || merge_add(m, fd, name, 1, &e) < 0)
            die_err(&e);
    }
    take_merged(g, m);
}

/* Copies the record and all that follow it to a temporary file.  Lines keep their numbers:
 * blank ones stand for those that the reader skipped. */
static void spool_rest(struct out *spool, struct rec_reader *r, struct rec *rec)
{
    struct err e;
    uint64_t number = rec->number;
    int k = 1;
    for (; k > 0; k = rec_read_line(r, rec, &e)) {
        if (rec->fault && !rec_cut(r))
            die(EXIT_DATA, "%s", rec->message);
        for (; number < rec->number; number++)
            if (out_write(spool, "\n", 1, &e) < 0)
                die_err(&e);
        if (out_write(spool, rec->line.p, rec->line.n, &e) < 0)
            die_err(&e);
    }
    if (k < 0 || (!rec_cut(r) && out_write(spool, "\n", 1, &e) < 0) || out_flush(spool, &e) < 0)
        die_err(&e);
}

static void gather_spooled(struct gatherer *g, struct rec_reader *r, struct rec *rec)
{
    struct err e;
    struct out spool;
    struct merge *m = merge_new((size_t)opt.max_record);
    uint64_t line = rec->number;
    int fd = temp_file(&e);
    if (fd < 0)
        die_err(&e);
    out_open(&spool, fd, "a temporary file");
    spool_rest(&spool, r, rec);
    buf_release(&spool.buf);
    if (merge_add(m, fd, "<stdin>", line, &e) < 0)
        die_err(&e);
    take_merged(g, m);
}

/* What comes in order goes straight through; from the first disorder on, the rest is put in
 * order by way of a temporary file. */
static void gather_stdin(struct gatherer *g)
{
    struct err e;
    struct rec rec = {0};
    struct rec_reader *r = rec_reader_new(STDIN_FILENO, "<stdin>", (size_t)opt.max_record);
    uint64_t seq;
    int k;
    while ((k = rec_read(r, &rec, &e)) > 0) {
        if (rec.fault && rec_cut(r)) {
            buf_puts(&g->torn, rec.message);
            break;
        }
        if (merge_seq(&rec, &seq, &e) < 0)
            die_err(&e);
        if (seq != g->order.next) {
            gather_spooled(g, r, &rec);
            break;
        }
        take(g, &rec, seq);
        if (!rec_ready(r) && out_flush(&g->out.out, &e) < 0)
            die_err(&e);
    }
    if (k < 0)
        die_err(&e);
    rec_release(&rec);
    rec_reader_free(r);
}

/* ---- verdict -------------------------------------------------------------- */

static void tell(const struct order_wrong *w, const char *what)
{
    struct buf b = {0};
    order_put(&b, w);
    warn("%" PRIu64 " %s: _seq %s", w->count, what, b.p);
    buf_release(&b);
}

/* True if every record that should be there is there once. */
static bool is_complete(struct gatherer *g)
{
    struct order *o = &g->order;
    if (opt.expect_given)
        order_expect(o, (uint64_t)opt.expect);
    bool missing = o->missing.count && !opt.partial;
    bool cut = o->next && !o->has_last && !opt.partial && !opt.expect_given;
    bool behind = o->behind.count && !opt.expect_given;
    if (g->torn.n)
        warn("%s: the last line is cut off", g->torn.p);
    if (missing)
        tell(&o->missing, o->missing.count == 1 ? "record is missing" : "records are missing");
    if (o->twice.count)
        tell(&o->twice, o->twice.count == 1 ? "record came twice" : "records came twice");
    if (cut)
        warn("no record says _last, up to _seq %" PRIu64 ": a stage before ended early",
             o->next - 1);
    if (behind)
        tell(&o->behind, "behind the record that says _last");
    return (!g->torn.n || opt.expect_given) && !missing && !o->twice.count && !cut && !behind;
}

/* "12" or "2.5%"; false where it is neither. */
static bool parse_max_errors(const char *s, double *most, bool *percent)
{
    size_t n = strlen(s);
    char number[32];
    int64_t whole;
    *percent = n && s[n - 1] == '%';
    if (n >= sizeof number)
        return false;
    memcpy(number, s, n + 1);
    if (*percent) {
        number[n - 1] = 0;
        return parse_real(number, most) && *most >= 0 && *most <= 100;
    }
    bool ok = parse_int(number, &whole) && whole >= 0;
    *most = ok ? (double)whole : 0;
    return ok;
}

static bool too_many_errors(const struct gatherer *g)
{
    double most;
    bool percent;
    if (!opt.max_errors || !parse_max_errors(opt.max_errors, &most, &percent))
        return false;
    if ((double)g->n_errors <= (percent ? most / 100 * (double)g->records : most))
        return false;
    warn("%" PRIu64 " error records, more than the %s allowed", g->n_errors, opt.max_errors);
    return true;
}

static void summary(const struct gatherer *g)
{
    struct buf b = {0};
    buf_printf(&b, "%" PRIu64 " record%s", g->records, g->records == 1 ? "" : "s");
    if (g->n_errors)
        buf_printf(&b, ", %" PRIu64 " error%s", g->n_errors, g->n_errors == 1 ? "" : "s");
    for (size_t i = 0; i < g->n_types; i++)
        buf_printf(&b, "%s%" PRIu64 " %s", i ? ", " : " (", g->types[i].count,
                   g->types[i].name);
    if (g->n_types)
        buf_putc(&b, ')');
    if (g->order.missing.count)
        buf_printf(&b, ", %" PRIu64 " missing", g->order.missing.count);
    if (g->beyond)
        buf_printf(&b, ", %" PRIu64 " beyond --expect left out", g->beyond);
    warn("%s", b.p);
    buf_release(&b);
}

/* Files that are not all of it keep the name FILE.part. */
static void close_outputs(struct gatherer *g, bool complete)
{
    struct err e;
    int (*end)(struct outfile *, struct err *) = complete ? outfile_commit : outfile_leave;
    if ((opt.errors && end(&g->errors, &e) < 0) || end(&g->out, &e) < 0)
        die_err(&e);
}

int main(int argc, char **argv)
{
    tool_name = "gather";
    char **files = args_parse(&args, argc, argv);
    struct err e;
    double most;
    bool percent;
    if (opt.max_errors && !parse_max_errors(opt.max_errors, &most, &percent))
        die(EXIT_USAGE, "--max-errors: must be a number such as 10 or 2%%, not '%s'",
            opt.max_errors);
    if (opt.output && opt.errors && !strcmp(opt.output, opt.errors) &&
        !file_is_special(opt.output))
        die(EXIT_USAGE, "--errors: must be another file than --output, not %s", opt.errors);
    struct gatherer g = {0};
    if (outfile_open(&g.out, opt.output, &e) < 0 ||
        (opt.errors && outfile_open(&g.errors, opt.errors, &e) < 0))
        die_err(&e);
    if (*files)
        gather_files(&g, files);
    else
        gather_stdin(&g);
    bool complete = is_complete(&g);
    bool failed = too_many_errors(&g);
    close_outputs(&g, complete);
    if (!opt.quiet)
        summary(&g);
    free(g.look.kind);
    buf_release(&g.line);
    buf_release(&g.text);
    buf_release(&g.torn);
    return complete && !failed ? EXIT_OK : EXIT_VERDICT;
}
