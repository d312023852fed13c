/* file.c - mapped inputs, checked outputs, files that appear whole or not at all. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
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

/* /dev/stdout and its like are links to a name below /proc, whose link leads to any file. */
static bool names_descriptor(const char *path)
{
    enum { LINKS_MAX = 8 };
    char at[4096], to[4096];
    snprintf(at, sizeof at, "%s", path);
    for (int i = 0; i < LINKS_MAX; i++) {
        if (!strncmp(at, "/proc/", 6) || !strncmp(at, "/dev/fd/", 8))
            return true;
        ssize_t n = readlink(at, to, sizeof to - 1);
        if (n < 0 || *to != '/')
            return false;
        memcpy(at, to, (size_t)n);
        at[n] = 0;
    }
    return false;
}

bool file_is_special(const char *path)
{
    struct stat st;
    return names_descriptor(path) ||
           (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

char *file_part_name(const char *path)
{
    return xasprintf("%s.part", path);
}

bool file_is_named(int fd, const char *name)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && lstat(name, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

static int lock(int fd, const char *part, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, EXIT_IO, "stat %s:", part);
    if (!S_ISREG(st.st_mode))
        return err_set(e, EXIT_IO, "%s is not a regular file", part);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(e, EXIT_AGAIN, "%s is being written by another process", part);
    /* Some file systems of clusters have no locks: better without than not at all. */
    if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP)
        return 0;
    return err_set(e, EXIT_IO, "lock %s:", part);
}

int file_open_part(const char *part, struct err *e)
{
    for (;;) {
        int fd = open(part, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd < 0)
            return err_set(e, EXIT_IO, "open %s:", part);
        if (lock(fd, part, e) < 0) {
            close(fd);
            return -1;
        }
        if (file_is_named(fd, part))
            return fd;
        close(fd); /* between the two another process gave it its final name */
    }
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
    if (!file_is_named(fd, part))
        return err_set(e, EXIT_AGAIN, "%s was removed or replaced by another process", part);
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
    if (file_is_special(path))
        return write_close(open(path, O_WRONLY | O_APPEND | O_CLOEXEC), bytes, path, NULL, e);
    char *part = file_part_name(path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    int rc = write_close(fd, bytes, part, path, e);
    if (rc < 0 && fd >= 0)
        unlink(part);
    free(part);
    return rc;
}
