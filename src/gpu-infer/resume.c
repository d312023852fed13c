/* resume.c - -o FILE: answers that survive a kill. */
#include "gpu-infer/resume.h"

#include "base/file.h"
#include "ckpt/runkey.h"
#include "rec/rec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *answers_key_name(const char *path)
{
    return xasprintf("%s.key", path);
}

/* ---- the file ----------------------------------------------------------------- */

static bool exists(const char *path, off_t *size)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    *size = st.st_size;
    return true;
}

/* A file that holds answers needs a key that is equal; where there are none yet,
 * whatever key lies there is an older run's. */
static int check_key(struct answers *a, const char *key, bool answered, struct err *e)
{
    if (!answered)
        return 0;
    int rc = runkey_compare(a->key, key, e);
    if (rc > 0)
        return err_set(e, EXIT_USAGE,
                       "%s holds answers, but %s, which says what they depend on, is missing; "
                       "remove it or choose another file",
                       a->path, a->key);
    return rc;
}

/* Opens and locks FILE.part.  Where FILE is complete it becomes FILE.part again: under the lock
 * of an empty FILE.part that it takes the place of, so that no other call is between the two.
 */
static int open_locked(struct answers *a, const char *key, struct err *e)
{
    off_t complete, part;
    for (;;) {
        if ((a->fd = file_open_part(a->part, e)) < 0)
            return -1;
        if (!exists(a->path, &complete))
            return 0;
        if (exists(a->part, &part) && part > 0)
            return err_set(e, EXIT_USAGE, "%s and %s are both there; remove one of them",
                           a->path, a->part);
        if (check_key(a, key, complete > 0, e) < 0) {
            unlink(a->part);
            return -1;
        }
        if (rename(a->path, a->part) < 0)
            return err_set(e, EXIT_IO, "rename %s to %s:", a->path, a->part);
        close(a->fd);
        a->fd = -1;
    }
}

/* ---- what it holds -------------------------------------------------------------- */

/* Cuts the file behind its last line end, so that a line torn by a kill is asked again. */
static int drop_torn_line(struct answers *a, struct err *e)
{
    char block[1 << 16];
    struct stat st;
    if (fstat(a->fd, &st) < 0)
        return err_set(e, EXIT_IO, "stat %s:", a->part);
    off_t end = st.st_size;
    while (end > 0) {
        size_t n = end < (off_t)sizeof block ? (size_t)end : sizeof block;
        ssize_t k = pread(a->fd, block, n, end - (off_t)n);
        if (k != (ssize_t)n)
            return err_set(e, EXIT_IO, "read %s:", a->part);
        const char *lf = memrchr(block, '\n', n);
        end -= (off_t)n;
        if (lf) {
            end += lf - block + 1;
            break;
        }
    }
    if (end < st.st_size && ftruncate(a->fd, end) < 0)
        return err_set(e, EXIT_IO, "truncate %s:", a->part);
    return 0;
}

static int read_answered(struct answers *a, struct err *e)
{
    struct rec rec = {0};
    int got;
    if (lseek(a->fd, 0, SEEK_SET) < 0)
        return err_set(e, EXIT_IO, "seek in %s:", a->part);
    struct rec_reader *in = rec_reader_new(a->fd, a->part, SIZE_MAX / 4);
    while ((got = rec_read(in, &rec, e)) > 0) {
        uint64_t seq;
        if (rec.fault) {
            got = err_set(e, EXIT_DATA, "%s; remove it or choose another file", rec.message);
            break;
        }
        if (rec_index(&rec, "_seq", &seq) != 1 || !seqset_add(&a->done, seq)) {
            got = err_set(e, EXIT_USAGE,
                          "%s:%llu: an answer without _seq, so that no call can go on with it; "
                          "remove the file, and deal the records with shard",
                          a->part, (unsigned long long)rec.number);
            break;
        }
        a->n++;
    }
    rec_release(&rec);
    rec_reader_free(in);
    return got < 0 ? -1 : 0;
}

/* ---- all of it ------------------------------------------------------------------ */

int answers_open(struct answers *a, const char *path, const char *key, struct err *e)
{
    struct stat st;
    *a = (struct answers){.path = xstrdup(path),
                          .part = file_part_name(path),
                          .key = answers_key_name(path),
                          .fd = -1};
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(e, EXIT_IO, "open %s: is a directory", path);
    if (open_locked(a, key, e) < 0 || drop_torn_line(a, e) < 0)
        return -1;
    if (fstat(a->fd, &st) < 0)
        return err_set(e, EXIT_IO, "stat %s:", a->part);
    if (check_key(a, key, st.st_size > 0, e) < 0 || read_answered(a, e) < 0)
        return -1;
    return a->n ? 0 : file_write_atomic(a->key, str_of(key), e);
}

int answers_commit(struct answers *a, struct err *e)
{
    return file_commit(a->fd, a->part, a->path, e);
}

void answers_release(struct answers *a)
{
    if (a->fd >= 0)
        close(a->fd);
    free(a->path);
    free(a->part);
    free(a->key);
    seqset_release(&a->done);
    *a = (struct answers){.fd = -1};
}
