/* error.c - messages, exits and allocators. */
#include "base/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tool_name = "millrace";

/* Length of the well-formed, printable UTF-8 character at p, 0 if there is none. */
static size_t printable(const char *p)
{
    const unsigned char *s = (const unsigned char *)p;
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    uint32_t c = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (s[i] & 0x3f);
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000}; /* U+0080-9F are controls */
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    return c >= least[n] && c <= 0x10ffff && !surrogate ? n : 0;
}

/* vsnprintf with the trailing-colon rule; what is no printable UTF-8 becomes '?', also the
 * half of a character that a full dst ends with. */
static void format_line(char *dst, size_t cap, const char *fmt, va_list ap)
{
    int saved = errno;
    int n = vsnprintf(dst, cap, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n >= cap ? cap - 1 : (size_t)n;
    dst[len] = 0;
    size_t flen = strlen(fmt);
    if (flen && fmt[flen - 1] == ':' && len < cap - 1)
        snprintf(dst + len, cap - len, " %s", strerror(saved));
    for (char *p = dst; *p;) {
        size_t k = printable(p);
        if (!k)
            *p = '?';
        p += k ? k : 1;
    }
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
    char head[sizeof e->text / 2];
    va_list ap;
    va_start(ap, fmt);
    format_line(head, sizeof head, fmt, ap);
    va_end(ap);
    return err_set(e, e->status, "%s: %s", head, e->text);
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
