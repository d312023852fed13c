/* unit.h - the few lines that every unit test program shares.
 *
 *     int main(void) { test_this(); test_that(); return unit_done("rec"); }
 *
 * A failed check is told with file and line and the program goes on; unit_done() prints the
 * line "rec: 12 passed, 0 failed, 1 skipped" that the test target adds up.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>

static int unit_passed, unit_failed, unit_skipped;

#define CHECK(cond)                 \
    ((cond) ? (void)unit_passed++   \
            : (void)(unit_failed++, \
                     fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond)))
/* As CHECK, with words (printf) for the case that it fails. */
#define CHECK_MSG(cond, ...)                                                            \
    ((cond) ? (void)unit_passed++                                                       \
            : (void)(unit_failed++,                                                     \
                     fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #cond), \
                     fprintf(stderr, __VA_ARGS__), fputc('\n', stderr)))
#define SKIP(...) \
    (unit_skipped++, printf("skipped: "), printf(__VA_ARGS__), (void)putchar('\n'))

static inline int unit_done(const char *name)
{
    printf("%s: %d passed, %d failed, %d skipped\n", name, unit_passed, unit_failed,
           unit_skipped);
    return unit_failed ? 1 : 0;
}

#endif
