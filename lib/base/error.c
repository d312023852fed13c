/* error.c - messages, exits and allocators. */
#include "base/error.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tool_name = "millrace";

/* vsnprintf with the trailing-colon rule, and no control bytes in the result. */
static void format_line(char *dst, size_t cap, const char *fmt, va_list ap)
{
    int saved = errno;
    int n = vsnprintf(dst, cap, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n >= cap ? cap - 1 : (size_t)n;
    dst[len] = 0;
    size_t flen = strlen(fmt);
    if (flen && fmt[flen - 1] == ':' && len < cap - 1)
        snprintf(dst + len, cap - len, " %s", strerror(saved));
    for (char *p = dst; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
}

int err_set(struct err *e, int status, const char *fmt, ...)
{
    if (!e)
        return -1;
    char text[sizeof e->text]; /* an argument may be e->text itself */
    va_list ap;
    va_start(ap, fmt);
    format_line(text, sizeof text, fmt, ap);
    va_end(ap);
    e->status = status;
    memcpy(e->text, text, sizeof text);
    return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;
    char head[sizeof e->text], text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    format_line(head, sizeof head, fmt, ap);
    va_end(ap);
    memcpy(text, e->text, sizeof text);
    size_t n = strlen(head);
    if (n > sizeof text / 2)
        n = sizeof text / 2;
    int room = (int)(sizeof e->text - n - sizeof ": ");
    memcpy(e->text, head, n);
    snprintf(e->text + n, sizeof e->text - n, ": %.*s", room, text);
    return -1;
}

static void vsay(const char *fmt, va_list ap)
{
    char text[2048];
    format_line(text, sizeof text, fmt, ap);
    fprintf(stderr, "%s: %s\n", tool_name, text);
}

void warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsay(fmt, ap);
    va_end(ap);
}

void die(int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsay(fmt, ap);
    va_end(ap);
    exit(status);
}

void die_err(const struct err *e)
{
    die(e->status, "%s", e->text);
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    format_line(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s: bug at %s:%d: %s\n", tool_name, file, line, text);
    exit(EXIT_BUG);
}

static _Noreturn void no_memory(size_t n, size_t size)
{
    die(EXIT_OS, "out of memory: %zu x %zu bytes", n, size);
}

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        no_memory(1, size);
    return p;
}

void *xmalloc_n(size_t n, size_t size)
{
    return xrealloc_n(NULL, n, size);
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        no_memory(n, size);
    return p;
}

void *xrealloc_n(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!size_mul(n, size, &bytes))
        no_memory(n, size);
    p = realloc(p, bytes ? bytes : 1);
    if (!p)
        no_memory(n, size);
    return p;
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xmalloc(n + 1);
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xasprintf(const char *fmt, ...)
{
    char *p;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&p, fmt, ap);
    va_end(ap);
    if (n < 0)
        no_memory(1, 0);
    return p;
}

void *grow_array(void *p, size_t *cap, size_t need, size_t size)
{
    size_t n = *cap < SIZE_MAX / 2 ? *cap * 2 : need;
    if (n < need)
        n = need;
    if (n < 16)
        n = 16;
    p = xrealloc_n(p, n, size);
    *cap = n;
    return p;
}
