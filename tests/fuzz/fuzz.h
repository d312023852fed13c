/* fuzz.h - what fuzz targets share.
 *
 * A target is one file with LLVMFuzzerTestOneInput(): a stranger's bytes in, nothing out.  It
 * fails by a sanitizer's report, or by HOLDS() where a result contradicts what the library
 * promises.  Built with libFuzzer by `make fuzz`, and with replay.c as a program that runs
 * files.  All of them run in the root of the source tree.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Returns 0, always: libFuzzer's contract. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define HOLDS(cond) ((cond) ? (void)0 : bug_at(__FILE__, __LINE__, "does not hold: %s", #cond))

static inline struct str fuzz_input(const uint8_t *p, size_t n)
{
    return (struct str){n ? (const char *)p : "", n};
}

/* Two inputs in one: what stands behind the first NUL goes to *rest. */
static inline struct str fuzz_cut(struct str all, struct str *rest)
{
    const char *nul = all.n ? memchr(all.p, 0, all.n) : NULL;
    size_t n = nul ? (size_t)(nul - all.p) : all.n;
    *rest = (struct str){all.p + n + (nul != NULL), all.n - n - (nul != NULL)};
    return (struct str){all.p, n};
}

/* ---- files ---------------------------------------------------------------- */

static char fuzz_root[64];

static inline void fuzz_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", fuzz_root);
    if (system(command))
        fprintf(stderr, "%s is left over\n", fuzz_root);
}

/* A folder of this process alone, in memory where the system has such a place; it goes when
 * the process ends. */
static inline const char *fuzz_dir(void)
{
    if (!*fuzz_root) {
        bool memory = access("/dev/shm", W_OK) == 0;
        snprintf(fuzz_root, sizeof fuzz_root, "%s/millrace-fuzz.XXXXXX",
                 memory ? "/dev/shm" : "/tmp");
        if (!mkdtemp(fuzz_root) || atexit(fuzz_remove))
            die(EXIT_OS, "make %s:", fuzz_root);
    }
    return fuzz_root;
}

static inline const char *fuzz_path(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fuzz_dir(), name);
    return path;
}

/* Writes the file of fuzz_dir() anew. */
static inline void fuzz_file(const char *name, struct str bytes)
{
    FILE *f = fopen(fuzz_path(name), "wb");
    if (!f || fwrite(bytes.p, 1, bytes.n, f) != bytes.n || fclose(f))
        die(EXIT_OS, "write %s:", fuzz_path(name));
}

#endif
