/* unit.h - the few lines that every unit test program shares.
 *
 *     int main(void) { test_this(); test_that(); return unit_done("rec"); }
 *
 * A failed check is told with file and line and the program goes on; unit_done() prints the
 * line "rec: 12 passed, 0 failed, 1 skipped" that the test target adds up.  A check counts
 * once, however often a loop comes by.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stdio.h>

static int unit_passed, unit_failed, unit_skipped;

enum unit_site { UNIT_NEW, UNIT_PASSED, UNIT_FAILED };

/* Counts a check at its site; true where it failed and words may follow. */
static inline bool unit_check(enum unit_site *site, bool ok, const char *file, int line,
                              const char *what)
{
    if (ok) {
        unit_passed += *site == UNIT_NEW;
        *site = *site == UNIT_NEW ? UNIT_PASSED : *site;
        return false;
    }
    unit_passed -= *site == UNIT_PASSED;
    unit_failed += *site != UNIT_FAILED;
    *site = UNIT_FAILED;
    fprintf(stderr, "%s:%d: failed: %s", file, line, what);
    return true;
}

#define CHECK(cond)                                                     \
    do {                                                                \
        static enum unit_site unit_site_;                               \
        if (unit_check(&unit_site_, (cond), __FILE__, __LINE__, #cond)) \
            fputc('\n', stderr);                                        \
    } while (0)
/* As CHECK, with words (printf) for the case that it fails. */
#define CHECK_MSG(cond, ...)                                              \
    do {                                                                  \
        static enum unit_site unit_site_;                                 \
        if (unit_check(&unit_site_, (cond), __FILE__, __LINE__, #cond)) { \
            fputs(": ", stderr);                                          \
            fprintf(stderr, __VA_ARGS__);                                 \
            fputc('\n', stderr);                                          \
        }                                                                 \
    } while (0)
#define SKIP(...) \
    (unit_skipped++, printf("skipped: "), printf(__VA_ARGS__), (void)putchar('\n'))

static inline int unit_done(const char *name)
{
    printf("%s: %d passed, %d failed, %d skipped\n", name, unit_passed, unit_failed,
           unit_skipped);
    return unit_failed ? 1 : 0;
}

#endif
