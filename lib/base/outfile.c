/* outfile.c - a stream into a file that has its name only when it is whole. */
#include "base/outfile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_empty_part(const char *part, struct err *e)
{
    int fd = file_open_part(part, e);
    if (fd < 0 || ftruncate(fd, 0) == 0)
        return fd;
    err_set(e, EXIT_IO, "truncate %s:", part);
    close(fd);
    return -1;
}

int outfile_open(struct outfile *f, const char *path, struct err *e)
{
    struct stat st;
    *f = (struct outfile){.path = path};
    if (!path) {
        out_open(&f->out, STDOUT_FILENO, "<stdout>");
        return 0;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(e, EXIT_IO, "open %s: is a directory", path);
    if (file_is_special(path)) {
        int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        out_open(&f->out, fd, path);
        return fd < 0 ? err_set(e, EXIT_IO, "open %s:", path) : 0;
    }
    f->part = file_part_name(path);
    out_open(&f->out, open_empty_part(f->part, e), f->part);
    if (f->out.fd >= 0)
        return 0;
    free(f->part);
    f->part = NULL;
    return -1;
}

int outfile_commit(struct outfile *f, struct err *e)
{
    int rc = out_flush(&f->out, e);
    if (rc == 0 && f->part)
        rc = file_commit(f->out.fd, f->part, f->path, e);
    if (rc < 0) {
        outfile_abandon(f);
        return -1;
    }
    return outfile_leave(f, e);
}

void outfile_abandon(struct outfile *f)
{
    buf_release(&f->out.buf);
    if (f->part && file_is_named(f->out.fd, f->part))
        unlink(f->part);
    close(f->out.fd);
    free(f->part);
    f->part = NULL;
}

int outfile_leave(struct outfile *f, struct err *e)
{
    int rc = out_close(&f->out, e);
    free(f->part);
    f->part = NULL;
    return rc;
}

void allow_many_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}
