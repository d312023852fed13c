/* golden.h - what the golden runners share.
 *
 * A runner is one program: `runner GOLDEN MATERIAL`, two folders (either may be missing).  For
 * each kind of reference it prints one line, "golden/KIND: P passed, F failed, S skipped",
 * after a word on what was skipped and why; a failure is told on stderr with the case's name.
 * It exits 1 when something failed.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

struct golden_count {
    const char *kind;
    int passed, failed, skipped;
};

static int golden_failures;

/* At most this many failures of a kind are told one by one. */
enum { GOLDEN_TELL = 20 };

static inline bool golden_have(const char *folder)
{
    struct stat st;
    return stat(folder, &st) == 0;
}

#define golden_fail(c, ...)                            \
    do {                                               \
        if ((c)->failed++ < GOLDEN_TELL) {             \
            fprintf(stderr, "golden/%s: ", (c)->kind); \
            fprintf(stderr, __VA_ARGS__);              \
            fputc('\n', stderr);                       \
        }                                              \
    } while (0)

static inline void golden_report(const struct golden_count *c)
{
    printf("golden/%s: %d passed, %d failed, %d skipped\n", c->kind, c->passed, c->failed,
           c->skipped);
    fflush(stdout);
    golden_failures += c->failed;
}

static inline int golden_done(void)
{
    return golden_failures ? 1 : 0;
}

#endif
