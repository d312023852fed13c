/* jinja_mem.c - the arena of a parse or render, its limits, and its way out. */
#include "text/jinja_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 << 10, ALIGN = 16 };

struct jj_chunk {
    struct jj_chunk *next;
    size_t used, size;
    _Alignas(ALIGN) char data[];
};

/* Cuts what was begun of a character at the end of a text that did not fit. */
static void trim_partial(char *s)
{
    size_t n = strlen(s), k = n;
    while (k && n - k < 4 && ((unsigned char)s[k - 1] & 0xc0) == 0x80)
        k--;
    if (!k || (unsigned char)s[k - 1] < 0xc0)
        return;
    unsigned char c = (unsigned char)s[k - 1];
    size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (n - (k - 1) < want)
        s[k - 1] = 0;
}

void jj_fail(struct jj *j, const char *fmt, ...)
{
    char text[360];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    trim_partial(text);
    err_set(j->err, j->status, "%.100s:%u:%u: %s", j->name, j->at.line, j->at.column, text);
    longjmp(j->exit, 1);
}

static struct jj_chunk *new_chunk(struct jj *j, size_t size)
{
    struct jj_chunk *c = xmalloc(sizeof *c + size);
    c->used = 0;
    c->size = size;
    j->memory += size;
    return c;
}

void *jj_alloc(struct jj *j, size_t size)
{
    if (size > j->memory_max)
        jj_fail(j, "more than %zu bytes of memory", j->memory_max);
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct jj_chunk *c = j->chunks;
    if (!c || c->size - c->used < size) {
        if (j->memory > j->memory_max)
            jj_fail(j, "more than %zu bytes of memory", j->memory_max);
        bool big = size > CHUNK / 4;
        struct jj_chunk *fresh = new_chunk(j, big ? size : CHUNK);
        if (big && c) { /* the chunk in use stays in use */
            fresh->next = c->next;
            c->next = fresh;
        } else {
            fresh->next = c;
            j->chunks = fresh;
        }
        c = fresh;
    }
    void *p = c->data + c->used;
    c->used += size;
    return p;
}

void *jj_alloc_n(struct jj *j, size_t n, size_t size)
{
    size_t all;
    if (!size_mul(n, size, &all))
        jj_fail(j, "more than %zu bytes of memory", j->memory_max);
    return jj_alloc(j, all);
}

void *jj_zalloc(struct jj *j, size_t size)
{
    return memset(jj_alloc(j, size), 0, size);
}

void *jj_grow(struct jj *j, void *p, size_t n, size_t *cap, size_t size)
{
    if (n <= *cap)
        return p;
    size_t more = *cap ? *cap * 2 : 4;
    if (more < n)
        more = n;
    void *q = jj_alloc_n(j, more, size);
    if (*cap)
        memcpy(q, p, *cap * size);
    *cap = more;
    return q;
}

void jj_step(struct jj *j, size_t n)
{
    if (!j->steps_max) /* parsing */
        return;
    if (__builtin_add_overflow(j->steps, n, &j->steps))
        j->steps = INT64_MAX;
    if (j->steps > j->steps_max)
        jj_fail(j, "more than %lld steps", (long long)j->steps_max);
}

void jj_push(struct jj *j)
{
    if (++j->depth > JJ_EVAL_MAX)
        jj_fail(j, "nested too deeply");
}

void jj_check_size(struct jj *j, size_t n)
{
    if (n > (size_t)j->written_max)
        jj_fail(j, "a text of more than %lld bytes", (long long)j->written_max);
}

static void free_captures(struct jj_capture *c)
{
    while (c) {
        struct jj_capture *next = c->next;
        buf_release(&c->text);
        free(c);
        c = next;
    }
}

void jj_release(struct jj *j)
{
    for (struct jj_chunk *c = j->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free_captures(j->captures);
    free_captures(j->spare);
    buf_release(&j->scratch);
    j->chunks = NULL;
    j->captures = j->spare = NULL;
}
