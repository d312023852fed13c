/* replay.c - runs a fuzz target on files: those given, else its own under tests/fuzz/seeds/.
 *
 *     build/asan/replay/jinja build/fuzz/findings/jinja-crash-…
 *
 * A finding ends the program, as it does under libFuzzer.
 */
#include "fuzz.h"

#include "base/file.h"

#include <dirent.h>
#include <libgen.h>

static int files;

static void run_file(const char *path)
{
    struct buf b = {0};
    struct err e;
    if (file_read(&b, path, SIZE_MAX, &e) < 0)
        die_err(&e);
    /* A copy of just this size, so that reading behind it is seen. */
    uint8_t *copy = xmalloc(b.n ? b.n : 1);
    if (b.n)
        memcpy(copy, b.p, b.n);
    LLVMFuzzerTestOneInput(copy, b.n);
    free(copy);
    buf_release(&b);
    files++;
}

static void run_folder(const char *path)
{
    struct dirent **list;
    int n = scandir(path, &list, NULL, alphasort);
    if (n < 0)
        die(EXIT_NOINPUT, "open %s:", path);
    for (int i = 0; i < n; i++) {
        char *file = xasprintf("%s/%s", path, list[i]->d_name);
        if (*list[i]->d_name != '.')
            run_file(file);
        free(file);
        free(list[i]);
    }
    free(list);
}

int main(int argc, char **argv)
{
    const char *name = basename(argv[0]);
    tool_name = "replay";
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    if (argc == 1) {
        char *seeds = xasprintf("tests/fuzz/seeds/%s", name);
        run_folder(seeds);
        free(seeds);
    }
    printf("replay %s: %d passed, 0 failed, 0 skipped\n", name, files);
    return 0;
}
