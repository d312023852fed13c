/* train_bench.c - tokens a second of training steps on a model directory, without data or
 * files.
 *
 *     train_bench DIR full|lora f32|bf16 THREADS STEPS
 *
 * Four sequences of 256 tokens a step, every token a target; the first step does not count.
 */
#include "train/trainer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { SEQS = 4, SEQ = 256 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct trainer *open_dir(struct dev *d, const char *dir, bool lora, enum dtype dtype)
{
    struct err e = {0};
    const struct train_lora l = {.rank = 16, .alpha = 32};
    struct trainer_options o = {.dtype = dtype, .tokens = SEQS * SEQ};
    o.lora = lora ? &l : NULL;
    o.memory = lora ? (int64_t)640 << 20 : 0;
    struct ckpt *c = ckpt_open(dir, &e);
    struct trainer *t = c ? trainer_open(d, c, &o, &e) : NULL;
    ckpt_close(c);
    if (!t)
        die_err(&e);
    return t;
}

static void step(struct trainer *t)
{
    static int32_t ids[SEQS][SEQ];
    static float weight[SEQS][SEQ];
    struct train_unit units[SEQS];
    const struct train_seq seq = {SEQ, 1};
    const struct train_update u = {1e-4, 0.9, 0.999, 1e-8, 0.01, 1};
    double nll[SEQS], norm;
    struct err e = {0};
    for (int i = 0; i < SEQS; i++) {
        for (int k = 0; k < SEQ; k++) {
            ids[i][k] = (i * 7919 + k * 104729) % 40000;
            weight[i][k] = k > 0;
        }
        units[i] = (struct train_unit){ids[i], weight[i], &seq, SEQ, 1};
    }
    if (trainer_gradient(t, units, SEQS, 1.0f / (SEQS * (SEQ - 1)), nll, NULL, &e) < 0 ||
        trainer_apply(t, &u, &norm, &e) < 0)
        die_err(&e);
}

int main(int argc, char **argv)
{
    tool_name = "train_bench";
    if (argc != 6)
        die(EXIT_USAGE, "usage: train_bench DIR full|lora f32|bf16 THREADS STEPS");
    struct err e = {0};
    struct dev_config c = {.threads = atoi(argv[4])};
    struct dev *d = dev_find("cpu")->open(&c, &e);
    if (!d)
        die_err(&e);
    int steps = atoi(argv[5]);
    struct trainer *t = open_dir(d, argv[1], !strcmp(argv[2], "lora"),
                                 strcmp(argv[3], "bf16") ? DT_F32 : DT_BF16);
    struct trainer_info info;
    struct rusage use;
    trainer_info(t, &info);
    step(t);
    double start = now();
    for (int i = 0; i < steps; i++)
        step(t);
    double seconds = now() - start;
    getrusage(RUSAGE_SELF, &use);
    printf("%.0f tokens/s, %" PRId64 " params, %" PRId64 " trained, peak %ld MB\n",
           steps * SEQS * SEQ / seconds, info.params, info.trainable, use.ru_maxrss >> 10);
    trainer_close(t);
    d->ops->close(d);
    return 0;
}
