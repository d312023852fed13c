/* memory.c - what a model takes of memory, while it loads and afterwards: `memory [MB]` takes
 * checkpoints of about so many megabytes (40).
 *
 * Weights are packed straight from the map, and what was packed is let go of, so that neither
 * the file nor a copy of it stands in memory beside the packed form.
 */
#include "unit.h"

#include "model/model.h"
#include "tiny_model.h"

#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/millrace-memory.XXXXXX";

/* A number of /proc/self/status in bytes. */
static int64_t status_bytes(const char *name)
{
    char line[256];
    long long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)))
            sscanf(line + strlen(name), ": %lld", &kib);
    if (f)
        fclose(f);
    return kib * 1024;
}

/* The peak is counted from here on. */
static void reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

/* Written by a child, whose memory is then nobody's. */
static void write_model(const char *dir, const char *dtype, int mb)
{
    enum { WIDTH = 1024, FFN = 2816, VOCAB = 2048 };
    const int64_t layer = WIDTH * (int64_t)(WIDTH * 5 / 2 + 3 * FFN);
    int64_t all = (int64_t)mb * 1000000 / (dtype[1] == '3' ? 4 : 2);
    int layers = (int)((all - 2 * WIDTH * VOCAB + layer / 2) / layer);
    struct tiny_model t = {dtype, WIDTH, FFN,      layers < 1 ? 1 : layers, 16, 4, 64,
                           VOCAB, 512,   .seed = 1};
    pid_t child = fork();
    if (child == 0) {
        tiny_model_write(dir, &t);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        abort();
}

static double mb_of(int64_t bytes)
{
    return (double)bytes / 1e6;
}

/* 15 % of the weights may be lost to padding and to the pieces of the file that are at hand;
 * what does not grow with the model (code, activations, threads) stays under 20 MB here. */
enum { OVERHEAD_MB = 20 };

static void test_load(const char *stored, enum dtype dtype, int mb)
{
    static int number;
    char dir[64];
    struct err e = {0};
    struct dev_config dc = {.threads = 2};
    struct model_config mc = {dtype, 32, 1, 4 << 20, 1};
    struct model_info info = {0};
    snprintf(dir, sizeof dir, "%s/%d", root, number++);
    write_model(dir, stored, mb);
    int64_t before = status_bytes("VmRSS");
    reset_peak();
    struct dev *d = dev_find("cpu")->open(&dc, &e);
    struct ckpt *c = d ? ckpt_open(dir, &e) : NULL;
    struct model *m = c ? model_open(d, c, &mc, &e) : NULL;
    CHECK_MSG(m, "%s", e.text);
    int64_t file = 0;
    for (size_t i = 0; c && i < ckpt_count(c); i++)
        file += ckpt_at(c, i)->bytes;
    int64_t after = status_bytes("VmRSS") - before, peak = status_bytes("VmHWM") - before;
    if (m)
        model_info(m, &info);
    printf("memory: %s computed in %s: %.1f MB in the file, %.1f MB of weights, %.0f M "
           "parameters; resident %.1f MB, at most %.1f MB while loading\n",
           stored, dtype == DT_BF16 ? "bf16" : "f32", mb_of(file), mb_of(info.weight_bytes),
           mb_of(info.params), mb_of(after), mb_of(peak));
    int64_t most = info.weight_bytes / 100 * 115 + info.pages * info.page_bytes +
                   OVERHEAD_MB * INT64_C(1000000);
    CHECK_MSG(after <= most, "%s: %.1f MB", stored, mb_of(after));
    CHECK_MSG(peak <= most, "%s: %.1f MB", stored, mb_of(peak));
    model_close(m);
    ckpt_close(c);
    if (d)
        d->ops->close(d);
}

int main(int argc, char **argv)
{
    int mb = argc > 1 ? atoi(argv[1]) : 40;
    if (!mkdtemp(root))
        return 1;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)mb;
    (void)test_load;
    SKIP("memory: a sanitizer has its own");
#else
    test_load("BF16", DT_BF16, mb);
    test_load("BF16", DT_F32, mb);
    test_load("F32", DT_F32, mb);
    test_load("F32", DT_BF16, mb);
    test_load("F16", DT_F32, mb);
#endif
    char *command = xasprintf("rm -rf '%s'", root);
    if (system(command))
        unit_failed++;
    free(command);
    return unit_done("memory");
}
