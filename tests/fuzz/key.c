/* key.c - a key file as a run finds it, NUL and what the run's own key says. */
#include "fuzz.h"

#include "ckpt/runkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const char own[] = "{\"version\":\"1\",\"model\":\"0011\",\"date\":\"2026-01-01\","
                              "\"device\":\"cpu\",\"isa\":\"avx2\",\"top_p\":0.5,\"n\":null}";
    struct str text, file = fuzz_cut(fuzz_input(p, n), &text);
    struct err e = {0};
    fuzz_file("key", file);
    char *copy = xstrndup(text.n ? text.p : own, text.n ? text.n : sizeof own - 1);
    char *path = xstrdup(fuzz_path("key"));
    char *date = runkey_date(path);
    int rc = runkey_compare(path, copy, &e);
    HOLDS(rc == 0 || rc == -1);
    if (rc < 0)
        HOLDS((e.status == EXIT_USAGE || e.status == EXIT_AGAIN) && *e.text &&
              !strchr(e.text, '\n'));
    free(date);
    free(path);
    free(copy);
    return 0;
}
