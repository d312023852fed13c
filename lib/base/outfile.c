/* outfile.c - a stream into a file that has its name only when it is whole. */
#include "base/outfile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

int outfile_open(struct outfile *f, const char *path, struct err *e)
{
    *f = (struct outfile){.path = path};
    if (!path) {
        out_open(&f->out, STDOUT_FILENO, "<stdout>");
        return 0;
    }
    int flags = O_WRONLY | O_CLOEXEC;
    if (!is_special(path)) {
        f->part = file_part_name(path);
        flags |= O_CREAT | O_TRUNC | O_NOFOLLOW;
    }
    const char *name = f->part ? f->part : path;
    int fd = open(name, flags, 0666);
    if (fd < 0) {
        err_set(e, EXIT_IO, "open %s:", name);
        free(f->part);
        f->part = NULL;
        return -1;
    }
    out_open(&f->out, fd, name);
    return 0;
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
    close(f->out.fd);
    if (f->part)
        unlink(f->part);
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
