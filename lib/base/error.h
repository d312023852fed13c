/* error.h - exit statuses, errors that libraries return, and the ways a tool ends.
 *
 * A library function that can fail returns -1 (or NULL) and fills a struct err: a sentence that
 * is complete enough to be printed as it is, and the exit status that the failure deserves.
 * Only tools print and exit.  Out of host memory ends the process with EXIT_OS from the x*
 * allocators: no caller could do better.
 */
#ifndef ERROR_H
#define ERROR_H

#include <stdarg.h>
#include <stddef.h>

/* The statuses of man/millrace-records.7, for every tool. */
enum exit_status {
    EXIT_OK = 0,
    EXIT_VERDICT = 1,  /* the tool's own verdict is no */
    EXIT_USAGE = 64,   /* unknown flag, bad value */
    EXIT_DATA = 65,    /* bad input where a bad record may not pass */
    EXIT_NOINPUT = 66, /* an input cannot be opened */
    EXIT_DEVICE = 69,  /* device missing or not usable by this build */
    EXIT_BUG = 70,
    EXIT_OS = 71, /* out of host memory, or another failure of the operating system */
    EXIT_IO = 74, /* reading or writing failed */
    EXIT_AGAIN = 75,
    EXIT_CONFIG = 78, /* model directory, tokenizer, template or adapter cannot be used */
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

struct err {
    int status; /* an exit_status; 0 while nothing went wrong */
    char text[512];
};

/* Fills *e and returns -1, so that `return err_set(e, EXIT_IO, "read %s:", name);` works.
 * A format that ends in ':' gets strerror(errno) appended.  Bytes that would break the line or
 * the terminal, or are not UTF-8, are replaced by '?', so that the text can go into a record.
 * e may be NULL. */
int err_set(struct err *e, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "what: " in front of the text that is there and returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Set by main() before anything else; begins every message. */
extern const char *tool_name;

/* "tool: message" on stderr, one line; a trailing ':' adds strerror(errno). */
void warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
_Noreturn void die(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);
_Noreturn void die_err(const struct err *e);

#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Allocators that end the process with EXIT_OS when there is no memory, or when n * size does
 * not fit in a size_t.  The _n forms take the two factors apart for that check. */
void *xmalloc(size_t size);
void *xmalloc_n(size_t n, size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc_n(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
/* Formatted string, to be freed by the caller. */
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Grows *p (elements of `size` bytes, capacity *cap) so that `need` of them fit; doubling. */
#define GROW(p, cap, need)                                              \
    do {                                                                \
        if ((size_t)(need) > (cap))                                     \
            (p) = grow_array((p), &(cap), (size_t)(need), sizeof *(p)); \
    } while (0)
void *grow_array(void *p, size_t *cap, size_t need, size_t size);

/* Checked sums and products of sizes that come from files: false when they do not fit. */
#define size_add(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define size_mul(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

#endif
