/* safetensors.c - the reference reader's verdicts on good and malformed files. */
#include "golden.h"

#include "base/file.h"
#include "ckpt/ckpt.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* What the reference takes and we refuse, with a word of the reason that must be given. */
static const struct {
    const char *file, *reason;
} stricter[] = {
    {"q_header_leading_ws.safetensors", "begin with '{'"},
    {"q_duplicate_key.safetensors", "duplicate"},
    {"q_nul_in_name.safetensors", "NUL"},
};

static bool refused_for_reason(const char *file, const char *text)
{
    for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++)
        if (!strcmp(file, stricter[i].file))
            return strcasestr(text, stricter[i].reason) != NULL;
    return false;
}

/* Reads a byte of each end of each tensor, so that a wrong offset is seen by a sanitizer. */
static unsigned touch(const struct safetensors *s)
{
    unsigned sum = 0;
    for (size_t i = 0; i < safetensors_count(s); i++) {
        const struct ckpt_tensor *t = safetensors_at(s, i);
        const unsigned char *p = t->data;
        if (t->bytes)
            sum += p[0] + p[t->bytes - 1];
    }
    return sum;
}

static void check_verdict(struct golden_count *c, const char *dir, const char *file,
                          bool accepted)
{
    char path[8192];
    struct err e = {0};
    snprintf(path, sizeof path, "%s/%s", dir, file);
    struct safetensors *s = safetensors_open(path, &e);
    if (s && touch(s) == UINT32_MAX)
        puts("");
    if (s && !accepted)
        golden_fail(c, "%s: taken, the reference refuses it", file);
    else if (!s && accepted && !refused_for_reason(file, e.text))
        golden_fail(c, "%s: refused (%s)", file, e.text);
    else if (!s && (e.status != EXIT_CONFIG || !*e.text))
        golden_fail(c, "%s: refused with status %d: %s", file, e.status, e.text);
    else
        c->passed++;
    safetensors_close(s);
}

static void run_malformed(struct golden_count *c, const char *dir)
{
    char path[8192];
    struct buf b = {0};
    struct err e = {0};
    snprintf(path, sizeof path, "%s/VERDICTS.tsv", dir);
    if (file_read(&b, path, 1 << 20, &e) < 0) {
        golden_fail(c, "%s", e.text);
        return;
    }
    char *save = NULL;
    for (char *line = strtok_r(b.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *verdict = strchr(line, '\t');
        if (!verdict || !strncmp(line, "file\t", 5))
            continue;
        *verdict++ = 0;
        check_verdict(c, dir, line, !strncmp(verdict, "accept", 6));
    }
    buf_release(&b);
}

static void run_good(struct golden_count *c, const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *x; d && (x = readdir(d));) {
        size_t n = strlen(x->d_name);
        if (n > 12 && !strcmp(x->d_name + n - 12, ".safetensors"))
            check_verdict(c, dir, x->d_name, true);
    }
    if (d)
        closedir(d);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "safetensors"};
    char dir[4096], malformed[4200];
    snprintf(dir, sizeof dir, "%s/conformance/safetensors", argc > 2 ? argv[2] : "");
    snprintf(malformed, sizeof malformed, "%s/malformed", dir);
    if (golden_have(dir)) {
        run_good(&c, dir);
        run_malformed(&c, malformed);
    } else {
        printf("golden/safetensors: no %s: skipped\n", dir);
        c.skipped = 1;
    }
    golden_report(&c);
    return golden_done();
}
