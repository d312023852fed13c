/* input.c - several files read as one stream of records. */
#include "rec/input.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
    const char *path;
    int spool;   /* what a file that cannot be sought was copied to; -1 */
    off_t start; /* where stdin stood at first; 0 in files and copies */
};

struct rec_input {
    struct source *v;
    size_t n, i; /* v[i] is being read */
    size_t max_record;
    int fd;
    bool regular; /* reading from v[i] never waits */
    struct rec_reader *reader;
};

struct rec_input *rec_input_new(char **files, size_t max_record)
{
    struct rec_input *in = xcalloc(1, sizeof *in);
    while (files[in->n])
        in->n++;
    in->v = xcalloc(in->n + 1, sizeof *in->v);
    for (size_t i = 0; i < in->n; i++)
        in->v[i] = (struct source){files[i], -1, 0};
    if (!in->n)
        in->v[in->n++] = (struct source){"-", -1, 0};
    in->max_record = max_record;
    in->fd = -1;
    return in;
}

static bool is_stdin(const struct source *s)
{
    return !strcmp(s->path, "-");
}

static void close_reader(struct rec_input *in)
{
    rec_reader_free(in->reader);
    in->reader = NULL;
    if (in->fd > 0 && in->fd != in->v[in->i].spool)
        close(in->fd);
    in->fd = -1;
}

void rec_input_free(struct rec_input *in)
{
    if (!in)
        return;
    if (in->reader)
        close_reader(in);
    for (size_t i = 0; i < in->n; i++)
        if (in->v[i].spool >= 0)
            close(in->v[i].spool);
    free(in->v);
    free(in);
}

/* Opening a FIFO to see whether it can be read would disturb it; asking does not. */
int rec_input_probe(struct rec_input *in, struct err *e)
{
    for (size_t i = 0; i < in->n; i++) {
        struct stat st;
        const char *path = in->v[i].path;
        if (is_stdin(&in->v[i]))
            continue;
        if (access(path, R_OK) < 0 || stat(path, &st) < 0)
            return err_set(e, EXIT_NOINPUT, "open %s:", path);
        if (S_ISDIR(st.st_mode))
            return err_set(e, EXIT_NOINPUT, "open %s: is a directory", path);
    }
    return 0;
}

/* ---- reading -------------------------------------------------------------- */

static bool is_regular(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int open_source(struct rec_input *in, struct err *e)
{
    struct source *s = &in->v[in->i];
    in->fd = s->spool >= 0 ? s->spool : file_open_input(s->path, e);
    if (in->fd < 0)
        return -1;
    in->regular = is_regular(in->fd);
    in->reader = rec_reader_new(in->fd, file_label(s->path), in->max_record);
    rec_reader_arrays(in->reader);
    return 0;
}

int rec_input_read(struct rec_input *in, struct rec *rec, struct err *e)
{
    for (; in->i < in->n; in->i++) {
        if (!in->reader && open_source(in, e) < 0)
            return -1;
        int k = rec_read_line(in->reader, rec, e);
        if (k)
            return k;
        close_reader(in);
    }
    return 0;
}

bool rec_input_ready(const struct rec_input *in)
{
    return in->reader && (in->regular || rec_ready(in->reader));
}

int rec_input_come(struct rec_input *in, int *fd, struct err *e)
{
    for (;;) {
        if (!in->reader && in->i == in->n)
            return 1;
        if (!in->reader && open_source(in, e) < 0)
            return -1;
        if (in->regular)
            return 1;
        int k = rec_come(in->reader, e);
        if (k != 2)
            *fd = in->fd;
        if (k < 2)
            return k;
        if (in->i + 1 == in->n)
            return 1;
        close_reader(in);
        in->i++;
    }
}

/* ---- reading twice -------------------------------------------------------- */

int temp_file(struct err *e)
{
    const char *folder = getenv("TMPDIR");
    char *path = xasprintf("%s/millrace-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        err_set(e, EXIT_IO,
                "make a temporary file %s; set TMPDIR to a folder with room:", path);
    else
        unlink(path);
    free(path);
    return fd;
}

int temp_copy(int from, const char *name, struct err *e)
{
    enum { CHUNK = 1 << 16 };
    struct out o;
    ssize_t k;
    int rc = 0, to = temp_file(e);
    if (to < 0)
        return -1;
    char *chunk = xmalloc(CHUNK);
    out_open(&o, to, "a temporary file");
    while (!rc && (k = read(from, chunk, CHUNK)) != 0) {
        if (k > 0)
            rc = out_write(&o, chunk, (size_t)k, e);
        else if (errno != EINTR)
            rc = err_set(e, EXIT_IO, "read %s:", name);
    }
    free(chunk);
    if (!rc)
        rc = out_flush(&o, e);
    buf_release(&o.buf);
    if (!rc)
        return to;
    close(to);
    return -1;
}

int rec_input_spool(struct rec_input *in, struct err *e)
{
    for (size_t i = 0; i < in->n; i++) {
        struct source *s = &in->v[i];
        int rc = 0, fd = file_open_input(s->path, e);
        if (fd < 0)
            return -1;
        if (is_regular(fd))
            s->start = fd ? 0 : lseek(fd, 0, SEEK_CUR);
        else if ((s->spool = temp_copy(fd, file_label(s->path), e)) < 0)
            rc = -1;
        if (fd)
            close(fd);
        if (rc < 0)
            return -1;
    }
    rec_input_rewind(in);
    return 0;
}

void rec_input_rewind(struct rec_input *in)
{
    if (in->reader)
        close_reader(in);
    for (in->i = 0; in->i < in->n; in->i++) {
        struct source *s = &in->v[in->i];
        if (s->spool >= 0)
            lseek(s->spool, 0, SEEK_SET);
        else if (is_stdin(s))
            lseek(0, s->start, SEEK_SET);
    }
    in->i = 0;
}
