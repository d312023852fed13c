/* filter.c - the way of records through a tool that makes one line of each. */
#include "rec/filter.h"

#include <unistd.h>

/* What a bad record becomes: -1 where it ends the run. */
static int fail(struct filter *f, const struct rec *rec, const char *type, struct err *e)
{
    if (!rec->fault && e->status == EXIT_CONFIG)
        return -1;
    if (f->strict) {
        if (rec->fault)
            return err_set(e, EXIT_DATA, "%s", rec->message);
        e->status = EXIT_DATA;
        return err_prefix(e, "%s:%llu", rec->file, (unsigned long long)rec->number);
    }
    f->failed++;
    rec_fail(&f->line, rec, f->stage, type, e->text);
    return 0;
}

static int take(struct filter *f, const struct rec *rec, struct err *e)
{
    const char *type = NULL;
    struct err why = {0};
    f->records++;
    buf_clear(&f->line);
    if (!rec->fault && rec_is_error(rec)) {
        f->passed++;
        buf_addstr(&f->line, rec->line);
        buf_putc(&f->line, '\n');
    } else if ((rec->fault || f->convert(f->arg, rec, &f->line, &type, &why) < 0) &&
               fail(f, rec, type, &why) < 0) {
        *e = why;
        return -1;
    }
    return out_write(&f->out, f->line.p, f->line.n, e);
}

int filter_file(struct filter *f, const char *path, struct err *e)
{
    struct rec rec = {0};
    struct err none;
    int fd = file_open_input(path, e), got = -1;
    if (fd >= 0) {
        struct rec_reader *in = rec_reader_new(fd, file_label(path), f->max_record);
        while ((got = rec_read(in, &rec, e)) > 0)
            if (take(f, &rec, e) < 0 || (!rec_ready(in) && out_flush(&f->out, e) < 0)) {
                got = -1;
                break;
            }
        rec_release(&rec);
        rec_reader_free(in);
    }
    if (fd > 0)
        close(fd);
    if (got < 0 && e->status != EXIT_IO && out_flush(&f->out, &none) < 0)
        *e = none;
    return got;
}

void filter_release(struct filter *f)
{
    buf_release(&f->line);
}
