/* shuffle.c - a temporary file of texts, each behind its length and position. */
#include "rec/shuffle.h"

#include "base/random.h"
#include "rec/input.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct head {
    uint64_t size, position;
};

int shuffle_open(struct shuffle *s, struct err *e)
{
    *s = (struct shuffle){0};
    int fd = temp_file(e);
    out_open(&s->out, fd, "a temporary file");
    return fd < 0 ? -1 : 0;
}

int shuffle_add(struct shuffle *s, struct str text, struct err *e)
{
    struct head head = {text.n, s->n};
    GROW(s->at, s->cap, s->n + 1);
    s->at[s->n++] = s->end;
    s->end += sizeof head + text.n;
    if (out_write(&s->out, (const char *)&head, sizeof head, e) < 0)
        return -1;
    return out_write(&s->out, text.p, text.n, e);
}

int shuffle_order(struct shuffle *s, uint64_t seed, struct err *e)
{
    for (size_t i = s->n; i > 1; i--) {
        size_t j = (size_t)random_below(&seed, i);
        uint64_t at = s->at[i - 1];
        s->at[i - 1] = s->at[j];
        s->at[j] = at;
    }
    return out_flush(&s->out, e);
}

static int read_at(const struct shuffle *s, uint64_t at, void *to, size_t n, struct err *e)
{
    char *p = to;
    while (n) {
        ssize_t k = pread(s->out.fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return err_set(e, EXIT_IO, "read a temporary file:");
        if (k == 0)
            return err_set(e, EXIT_IO, "read a temporary file: it ends early");
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return 0;
}

int shuffle_get(const struct shuffle *s, size_t i, struct buf *text, uint64_t *position,
                uint64_t *size, struct err *e)
{
    struct head head;
    if (read_at(s, s->at[i], &head, sizeof head, e) < 0)
        return -1;
    *position = head.position;
    *size = head.size;
    if (!text)
        return 0;
    buf_clear(text);
    buf_reserve(text, head.size);
    text->n = head.size;
    text->p[text->n] = 0;
    return read_at(s, s->at[i] + sizeof head, text->p, head.size, e);
}

void shuffle_release(struct shuffle *s)
{
    buf_release(&s->out.buf);
    if (s->at)
        close(s->out.fd);
    free(s->at);
    *s = (struct shuffle){0};
}
