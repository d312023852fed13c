/* file.c - mapped inputs, checked outputs, files that appear whole or not at all. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int file_map(struct file_map *m, const char *path, struct err *e)
{
    struct stat st;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, EXIT_NOINPUT, "open %s:", path);
    int rc = -1;
    if (fstat(fd, &st) < 0) {
        err_set(e, EXIT_IO, "stat %s:", path);
    } else if (!S_ISREG(st.st_mode)) {
        err_set(e, EXIT_NOINPUT, "%s is not a regular file", path);
    } else if (st.st_size == 0) {
        *m = (struct file_map){"", 0};
        rc = 0;
    } else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            err_set(e, EXIT_OS, "map %s:", path);
        } else {
            *m = (struct file_map){p, (size_t)st.st_size};
            rc = 0;
        }
    }
    close(fd);
    return rc;
}

void file_unmap(struct file_map *m)
{
    if (m->n)
        munmap((void *)(uintptr_t)m->p, m->n);
    *m = (struct file_map){0};
}

/* Reads to the end and closes. */
static int read_all(struct buf *b, int fd, const char *path, size_t max, struct err *e)
{
    buf_clear(b);
    for (;;) {
        buf_reserve(b, 1 << 16);
        ssize_t k = read(fd, b->p + b->n, 1 << 16);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            b->p[b->n] = 0;
            if (k < 0)
                err_set(e, errno == EISDIR ? EXIT_NOINPUT : EXIT_IO, "read %s:", path);
            close(fd);
            return k < 0 ? -1 : 0;
        }
        b->n += (size_t)k;
        if (b->n > max) {
            close(fd);
            return err_set(e, EXIT_CONFIG, "%s is larger than %zu bytes", path, max);
        }
    }
}

int file_read(struct buf *b, const char *path, size_t max, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, EXIT_NOINPUT, "open %s:", path);
    return read_all(b, fd, path, max, e);
}

int file_read_document(struct buf *b, const char *path, size_t max, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, EXIT_NOINPUT, "open %s:", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, EXIT_CONFIG, "%s is not a regular file", path);
    }
    if (read_all(b, fd, path, max, e) < 0)
        return -1;
    const char *foreign = file_foreign(b->p, b->n);
    return foreign ? err_set(e, EXIT_CONFIG, "%s is %s", path, foreign) : 0;
}

const char *file_foreign(const char *p, size_t n)
{
    static const struct {
        const char *magic;
        const char *what;
    } kinds[] = {
        {"version https://git-lfs", "a git-LFS pointer, not the file itself; run git lfs pull"},
        {"GGUF", "a GGUF file; convert the model to safetensors"},
        {"PK\003\004", "a zip or pickle file; convert the model to safetensors"},
        {"\200\002", "a pickle; convert the model to safetensors"},
        {"<!DOCTYPE", "an HTML page, not the file itself; download it again"},
        {"<!doctype", "an HTML page, not the file itself; download it again"},
        {"<html", "an HTML page, not the file itself; download it again"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t k = strlen(kinds[i].magic);
        if (n >= k && !memcmp(p, kinds[i].magic, k))
            return kinds[i].what;
    }
    return NULL;
}

const char *file_label(const char *path)
{
    return strcmp(path, "-") ? path : "<stdin>";
}

int file_open_input(const char *path, struct err *e)
{
    if (!strcmp(path, "-"))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return err_set(e, EXIT_NOINPUT, "open %s:", path);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return err_set(e, EXIT_NOINPUT, "open %s: is a directory", path);
    }
    return fd;
}

void out_open(struct out *o, int fd, const char *name)
{
    *o = (struct out){.fd = fd, .name = name};
}

static int write_all(int fd, const char *p, size_t n, const char *name, struct err *e)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return err_set(e, EXIT_IO, "write %s:", name);
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

int out_flush(struct out *o, struct err *e)
{
    int rc = write_all(o->fd, o->buf.p, o->buf.n, o->name, e);
    buf_clear(&o->buf);
    return rc;
}

int out_write(struct out *o, const char *p, size_t n, struct err *e)
{
    enum { CHUNK = 1 << 16 };
    if (o->buf.n + n > CHUNK && out_flush(o, e) < 0)
        return -1;
    if (n >= CHUNK)
        return write_all(o->fd, p, n, o->name, e);
    buf_add(&o->buf, p, n);
    return 0;
}

int out_close(struct out *o, struct err *e)
{
    int rc = out_flush(o, e);
    buf_release(&o->buf);
    if (close(o->fd) < 0 && rc == 0)
        rc = err_set(e, EXIT_IO, "close %s:", o->name);
    return rc;
}

char *file_part_name(const char *path)
{
    return xasprintf("%s.part", path);
}

static int sync_folder(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash          ? xstrdup(".")
                   : slash == path ? xstrdup("/")
                                   : xstrndup(path, (size_t)(slash - path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    /* Some file systems cannot sync a folder (EINVAL): there is no more to be done there. */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        rc = err_set(e, EXIT_IO, "sync %s:", folder);
    if (fd >= 0)
        close(fd);
    free(folder);
    return rc;
}

int file_commit(int fd, const char *part, const char *path, struct err *e)
{
    if (fsync(fd) < 0)
        return err_set(e, EXIT_IO, "sync %s:", part);
    if (rename(part, path) < 0)
        return err_set(e, EXIT_IO, "rename %s to %s:", part, path);
    return sync_folder(path, e);
}

static int write_close(int fd, struct str bytes, const char *name, const char *commit_to,
                       struct err *e)
{
    if (fd < 0)
        return err_set(e, EXIT_IO, "open %s:", name);
    int rc = write_all(fd, bytes.p, bytes.n, name, e);
    if (rc == 0 && commit_to)
        rc = file_commit(fd, name, commit_to, e);
    if (close(fd) < 0 && rc == 0)
        rc = err_set(e, EXIT_IO, "close %s:", name);
    return rc;
}

int file_write_atomic(const char *path, struct str bytes, struct err *e)
{
    struct stat st;
    /* A rename would put a file in the place of /dev/null, /dev/stdout or a FIFO. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return write_close(open(path, O_WRONLY | O_CLOEXEC), bytes, path, NULL, e);
    char *part = file_part_name(path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    int rc = write_close(fd, bytes, part, path, e);
    if (rc < 0 && fd >= 0)
        unlink(part);
    free(part);
    return rc;
}
