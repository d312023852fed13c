/* seqset.c - a set of record numbers in pages of bits, filled from files of answers. */
#include "rec/seqset.h"

#include "rec/rec.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_SHIFT = 16, SEQ_SHIFT = 40 };

bool seqset_add(struct seqset *s, uint64_t seq)
{
    if (seq >> SEQ_SHIFT)
        return false;
    size_t page = (size_t)(seq >> PAGE_SHIFT);
    GROW(s->pages, s->cap, page + 1);
    while (s->n <= page)
        s->pages[s->n++] = NULL;
    if (!s->pages[page])
        s->pages[page] = xcalloc(1, (1 << PAGE_SHIFT) / 8);
    size_t bit = seq & ((1 << PAGE_SHIFT) - 1);
    s->pages[page][bit / 64] |= UINT64_C(1) << (bit % 64);
    return true;
}

bool seqset_has(const struct seqset *s, uint64_t seq)
{
    uint64_t page = seq >> PAGE_SHIFT;
    size_t bit = seq & ((1 << PAGE_SHIFT) - 1);
    return page < s->n && s->pages[page] && s->pages[page][bit / 64] >> (bit % 64) & 1;
}

void seqset_release(struct seqset *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->pages[i]);
    free(s->pages);
    *s = (struct seqset){0};
}

/* The length of the file up to and with its last LF. */
static off_t whole_lines(int fd, const char *path, struct err *e)
{
    char chunk[4096];
    off_t end = lseek(fd, 0, SEEK_END);
    while (end > 0) {
        size_t n = end < (off_t)sizeof chunk ? (size_t)end : sizeof chunk;
        ssize_t k = pread(fd, chunk, n, end - (off_t)n);
        if (k != (ssize_t)n)
            return err_set(e, EXIT_IO, "read %s:", path);
        const char *lf = memrchr(chunk, '\n', n);
        if (lf)
            return end - (off_t)n + (lf - chunk) + 1;
        end -= (off_t)n;
    }
    return 0;
}

/* 1: the file was renamed before it could be opened. */
static int add_file(struct seqset *s, const char *path, size_t max_record, struct err *e)
{
    struct stat st;
    struct rec rec = {0};
    uint64_t seq;
    int k = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 1 : err_set(e, EXIT_NOINPUT, "open %s:", path);
    off_t end = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? whole_lines(fd, path, e) : 0;
    struct rec_reader *r = rec_reader_new(fd, path, max_record);
    rec_reader_range(r, 0, end < 0 ? 0 : (uint64_t)end, 1);
    while (end > 0 && (k = rec_read(r, &rec, e)) > 0) {
        if (!rec.fault && rec_index(&rec, "_seq", &seq) == 1 && !seqset_add(s, seq)) {
            k = err_set(e, EXIT_DATA, "%s:%llu: _seq %llu is not one that shard gives", path,
                        (unsigned long long)rec.number, (unsigned long long)seq);
            break;
        }
    }
    rec_release(&rec);
    rec_reader_free(r);
    close(fd);
    return end < 0 ? -1 : k;
}

/* The writers of the files that are looked for may be at work, and rename NAME.part to NAME or
 * back: then the names are looked up again. */
int seqset_add_files(struct seqset *s, const char *pattern, size_t max_record, struct err *e)
{
    enum { TRIES = 100 };
    int rc = 1;
    for (int i = 0; rc == 1 && i < TRIES; i++) {
        glob_t g = {0};
        errno = 0;
        int k = glob(pattern, GLOB_ERR, NULL, &g);
        rc = 0;
        if (k && k != GLOB_NOMATCH && errno != ENOENT)
            rc = err_set(e, EXIT_NOINPUT, "look for %s:", pattern);
        for (size_t f = 0; !k && f < g.gl_pathc && rc == 0; f++)
            rc = add_file(s, g.gl_pathv[f], max_record, e);
        globfree(&g);
    }
    return rc == 1 ? err_set(e, EXIT_NOINPUT, "the files %s do not hold still", pattern) : rc;
}
