/* buf.h - byte strings: a borrowed slice, and a buffer that grows.  NUL bytes are data. */
#ifndef BUF_H
#define BUF_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed slice; valid as long as what it points into. */
struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})

static inline struct str str_of(const char *s)
{
    return (struct str){s, strlen(s)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *s)
{
    return str_eq(a, str_of(s));
}

/* A growing buffer.  {0} is an empty one.  After any add, p[n] is NUL (not counted), so that
 * text can go to functions that want a C string. */
struct buf {
    char *p;
    size_t n, cap;
};

void buf_grow(struct buf *b, size_t more); /* buf_reserve() where there is not enough */

/* Room for `more` bytes and the NUL. */
static inline void buf_reserve(struct buf *b, size_t more)
{
    if (more >= b->cap - b->n)
        buf_grow(b, more);
}

static inline void buf_add(struct buf *b, const void *p, size_t n)
{
    buf_reserve(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

static inline void buf_putc(struct buf *b, char c)
{
    buf_reserve(b, 1);
    b->p[b->n++] = c;
    b->p[b->n] = 0;
}

static inline void buf_addstr(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

static inline void buf_puts(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_put_utf8(struct buf *b, uint32_t codepoint);
void buf_clear(struct buf *b);   /* n = 0, memory kept */
void buf_release(struct buf *b); /* memory freed, {0} again */

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

#endif
