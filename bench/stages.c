/* stages.c - the stages of an answer, each alone, on one model, in process.
 *
 *     stages DIR THREADS [ISA]
 *
 * One "name value" a line: prefill and what bare products of the same shapes reach, tokens/s;
 * decode of 1 and 16 rows behind a common prefix of 512 tokens, tokens/s; scoring of 77 labels,
 * records/s.  Wall clock.
 */
#include "infer/infer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 512, PREFIX = 512, LABELS = 77, LABEL = 4, RUNS = 3 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t state = 11;
static int32_t draw(int32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int32_t)((state >> 33) % (uint64_t)n);
}

static int32_t *random_ids(int32_t n, int32_t vocab)
{
    int32_t *ids = xmalloc_n((size_t)n, sizeof *ids);
    for (int32_t i = 0; i < n; i++)
        ids[i] = draw(vocab);
    return ids;
}

struct bench {
    struct dev *dev;
    struct model *model;
    struct model_info info;
    struct infer *infer;
    struct err e;
};

static void ignore(void *arg, const struct infer_request *r, const struct infer_answer *a)
{
    (void)arg;
    (void)r;
    (void)a;
}

static void add(struct bench *b, const struct infer_request *r)
{
    if (infer_add(b->infer, r, &b->e) < 0)
        die_err(&b->e);
}

/* Steps until nothing is in flight; seconds of all but the first `warm` of them. */
static double finish(struct bench *b, int warm)
{
    double begin = now();
    for (int i = 0; infer_in_flight(b->infer); i++) {
        if (i == warm)
            begin = now();
        if (infer_step(b->infer, ignore, NULL, &b->e) < 0)
            die_err(&b->e);
    }
    return now() - begin;
}

static struct infer_request request(int32_t *ids, int32_t n, int32_t max_tokens)
{
    return (struct infer_request){
        .prompt = ids, .n_prompt = n, .max_tokens = max_tokens, .top_p = 1};
}

static double prefill(struct bench *b)
{
    int32_t *ids = random_ids(BATCH, b->info.vocab);
    struct infer_request r = request(ids, BATCH, 0);
    add(b, &r);
    double s = finish(b, 0);
    free(ids);
    return BATCH / s;
}

/* All rows have the same first tokens, which are there before. */
static double decode(struct bench *b, int32_t rows)
{
    enum { TOKENS = 33 };
    int32_t *ids = random_ids(PREFIX + 1, b->info.vocab);
    struct infer_request r = request(ids, PREFIX, 1);
    add(b, &r);
    finish(b, 0);
    int32_t *own[16];
    for (int32_t i = 0; i < rows; i++) {
        own[i] = xmalloc_n(PREFIX + 1, sizeof **own);
        memcpy(own[i], ids, PREFIX * sizeof *ids);
        own[i][PREFIX] = draw(b->info.vocab);
        r = request(own[i], PREFIX + 1, TOKENS);
        add(b, &r);
    }
    double s = finish(b, 1);
    for (int32_t i = 0; i < rows; i++)
        free(own[i]);
    free(ids);
    return rows * (TOKENS - 1) / s;
}

static double score(struct bench *b)
{
    enum { RECORDS = 4, LENGTH = 40 };
    struct infer_choice labels[LABELS];
    int32_t *ids[RECORDS], *label[LABELS];
    for (int i = 0; i < LABELS; i++) {
        label[i] = random_ids(LABEL, b->info.vocab);
        if (i % 3)
            label[i][0] = label[i - 1][0];
        labels[i] = (struct infer_choice){label[i], LABEL};
    }
    for (int i = 0; i < RECORDS; i++) {
        ids[i] = random_ids(LENGTH, b->info.vocab);
        struct infer_request r = request(ids[i], LENGTH, 0);
        r.choices = labels;
        r.n_choices = LABELS;
        add(b, &r);
    }
    double s = finish(b, 0);
    for (int i = 0; i < LABELS; i++)
        free(label[i]);
    for (int i = 0; i < RECORDS; i++)
        free(ids[i]);
    return RECORDS / s;
}

/* ---- bare products ------------------------------------------------------------- */

static int64_t config_int(const struct ckpt *c, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(ckpt_config(c), name));
}

/* One layer's products on BATCH tokens, layer by layer: each has its own weights. */
static double products(struct bench *b, const struct ckpt *c)
{
    enum { LAYERS = 6 };
    const struct dev_ops *ops = b->dev->ops;
    struct dev_info info;
    ops->info(b->dev, &info);
    int64_t C = config_int(c, "hidden_size"), F = config_int(c, "intermediate_size");
    int64_t heads = config_int(c, "num_attention_heads"),
            kv = config_int(c, "num_key_value_heads");
    int64_t D = C / heads, layers = config_int(c, "num_hidden_layers");
    int64_t shapes[4][2] = {{(heads + 2 * kv) * D, C}, {C, C}, {2 * F, C}, {C, F}};
    struct weight *w[LAYERS][4];
    int64_t most = 2 * F > C ? 2 * F : C, size = dtype_size(info.bf16 ? DT_BF16 : DT_F32);
    uint16_t *source = xcalloc((size_t)(most * C), sizeof *source);
    for (int64_t i = 0; i < most * C; i++)
        source[i] = (uint16_t)(0x3c00 + draw(64));
    for (int l = 0; l < LAYERS; l++)
        for (int i = 0; i < 4; i++) {
            struct weight_shape s = {shapes[i][0], shapes[i][1], 0, DT_BF16};
            struct weight_source from = {.data = source, .dtype = DT_BF16, .stride = s.k};
            if (!(w[l][i] = ops->weight_new(b->dev, &s, &b->e)) ||
                ops->weight_rows(b->dev, w[l][i], 0, 0, s.n, &from, &b->e) < 0)
                die_err(&b->e);
        }
    void *x = ops->alloc(b->dev, BATCH * most * size, &b->e);
    void *y = ops->alloc(b->dev, BATCH * most * 4, &b->e);
    if (!x || !y)
        die_err(&b->e);
    double begin = now();
    for (int l = 0; l < LAYERS; l++)
        for (int i = 0; i < 4; i++) {
            int64_t n = shapes[i][0], k = shapes[i][1];
            struct tensor in = {x, info.bf16 ? DT_BF16 : DT_F32, BATCH, k, k};
            struct tensor out = {y, DT_F32, BATCH, n, n};
            ops->linear(b->dev, &out, &in, w[l][i], NULL);
        }
    if (ops->sync(b->dev, &b->e) < 0)
        die_err(&b->e);
    double s = now() - begin;
    for (int l = 0; l < LAYERS; l++)
        for (int i = 0; i < 4; i++)
            ops->weight_free(b->dev, w[l][i]);
    ops->free(b->dev, x);
    ops->free(b->dev, y);
    free(source);
    return BATCH / (s * (double)layers / LAYERS);
}

/* The best of several runs: another process can only make one slower. */
static double best(double a, double b)
{
    return a > b ? a : b;
}

int main(int argc, char **argv)
{
    tool_name = "stages";
    struct bench b = {0};
    if (argc != 3 && argc != 4)
        die(EXIT_USAGE, "usage: stages DIR THREADS [ISA]");
    struct dev_config dc = {.threads = atoi(argv[2]), .isa = argv[3]};
    struct ckpt *c = ckpt_open(argv[1], &b.e);
    if (!c || !(b.dev = dev_find("cpu")->open(&dc, &b.e)))
        die_err(&b.e);
    struct model_config mc = {model_auto_dtype(c), BATCH, 256, 512 << 20, 32};
    if (!(b.model = model_open(b.dev, c, &mc, &b.e)))
        die_err(&b.e);
    model_info(b.model, &b.info);
    b.infer = infer_new(b.model, &(struct infer_config){BATCH, 256, 32, true});
    double pre = 0, bare = 0, one = 0, many = 0, scored = 0;
    for (int i = 0; i < RUNS; i++) {
        pre = best(pre, prefill(&b));
        bare = best(bare, products(&b, c));
        one = best(one, decode(&b, 1));
        many = best(many, decode(&b, 16));
        scored = best(scored, score(&b));
    }
    printf("prefill %.4g\nproducts %.4g\ndecode1 %.4g\ndecode16 %.4g\nscoring %.4g\n", pre,
           bare, one, many, scored);
    printf("weights %.4g\n", 1e-9 * (double)b.info.weight_bytes);
    infer_free(b.infer);
    model_close(b.model);
    b.dev->ops->close(b.dev);
    ckpt_close(c);
    return fflush(stdout) ? EXIT_IO : EXIT_OK;
}
