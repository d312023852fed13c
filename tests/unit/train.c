/* train.c - training as a whole on small models: it learns, in f32 and bf16, from a checkpoint
 * and from the beginning; experts' adapters change where tokens went; what is not finite stops.
 */
#include "train_tiny.h"

static char root[] = "/tmp/millrace-train1.XXXXXX";

static const struct family *family(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i].name, name))
            return &families[i];
    return NULL;
}

static struct trainer *open_named(struct dev *d, const char *name,
                                  const struct trainer_options *o, struct err *e)
{
    char *dir = xasprintf("%s/%s", root, name);
    family_write(dir, family(name), NULL);
    struct ckpt *c = ckpt_open(dir, e);
    struct trainer *t = c ? trainer_open(d, c, o, e) : NULL;
    ckpt_close(c);
    free(dir);
    CHECK_MSG(t, "%s: %s", name, e->text);
    return t;
}

static const struct train_update update = {1e-2, 0.9, 0.95, 1e-8, 0.1, 1};

/* The loss falls by a good part in twenty steps on one batch. */
static void check_learns(struct trainer *t, const char *name)
{
    struct tiny_batch b;
    struct err e = {0};
    double norm, first, last = 0;
    tiny_batch_make(&b, 96);
    first = tiny_gradient(t, &b);
    for (int i = 0; i < 20; i++) {
        last = tiny_gradient(t, &b);
        CHECK_MSG(trainer_apply(t, &update, &norm, &e) == 0 && norm > 0, "%s", e.text);
    }
    CHECK(trainer_step(t) == 20);
    CHECK_MSG(last < 0.7 * first, "%s: loss %g -> %g", name, first, last);
}

static void test_init(struct dev *d)
{
    struct trainer_options o = {.dtype = DT_F32, .tokens = TINY_TOKENS, .seed = 3};
    struct tiny_batch b;
    struct err e = {0};
    json_t *config = json_loads(family("llama-3.2-instruct")->config, 0, NULL);
    struct trainer *t = trainer_init(d, config, &o, &e),
                   *same = trainer_init(d, config, &o, &e);
    CHECK_MSG(t && same, "%s", e.text);
    struct trainer_info info;
    int64_t n;
    trainer_info(t, &info);
    tiny_batch_make(&b, 96);
    double loss = tiny_gradient(t, &b), even = log((double)info.vocab);
    CHECK_MSG(fabs(loss - even) < 0.2, "first loss %g, that of even chances %g", loss, even);
    float *a = tiny_flat(t, TRAIN_WEIGHT, &n), *c = tiny_flat(same, TRAIN_WEIGHT, &n);
    CHECK(!memcmp(a, c, (size_t)n * sizeof *a));
    check_learns(t, "from the beginning");
    free(a);
    free(c);
    trainer_close(t);
    trainer_close(same);
    json_decref(config);
}

/* bf16's gradient points where f32's does. */
static void test_bf16(struct dev *d, const char *name, bool adapter)
{
    const struct train_lora l = {.rank = 4, .alpha = 8};
    struct trainer_options o = {.dtype = DT_F32, .tokens = TINY_TOKENS};
    struct tiny_batch b;
    struct err e = {0};
    int64_t n;
    o.lora = adapter ? &l : NULL;
    tiny_batch_make(&b, 96);
    struct trainer *wide = open_named(d, name, &o, &e);
    o.dtype = DT_BF16;
    struct trainer *half = open_named(d, name, &o, &e);
    if (wide && half) {
        tiny_gradient(wide, &b);
        tiny_gradient(half, &b);
        float *x = tiny_flat(wide, TRAIN_GRADIENT, &n),
              *y = tiny_flat(half, TRAIN_GRADIENT, &n);
        double xx = 0, yy = 0, xy = 0;
        for (int64_t i = 0; i < n; i++) {
            xx += (double)x[i] * (double)x[i];
            yy += (double)y[i] * (double)y[i];
            xy += (double)x[i] * (double)y[i];
        }
        CHECK_MSG(xy > 0.995 * sqrt(xx * yy), "%s: cosine %g", name, xy / sqrt(xx * yy));
        free(x);
        free(y);
        check_learns(half, name);
    }
    trainer_close(wide);
    trainer_close(half);
}

/* An expert that got tokens has a changed B after the first step; the others have not. */
static void test_experts(struct dev *d, const char *name)
{
    static const char *const experts[] = {"mlp.experts.gate_up_proj", "mlp.experts.down_proj"};
    static const char *const all[] = {"q_proj", "v_proj"};
    const struct train_lora l = {.rank = 2,
                                 .alpha = 4,
                                 .targets = all,
                                 .n_targets = 2,
                                 .parameters = experts,
                                 .n_parameters = 2};
    struct trainer_options o = {.dtype = DT_BF16, .tokens = TINY_TOKENS, .lora = &l};
    struct tiny_batch b;
    struct err e = {0};
    double norm;
    size_t n, changed = 0;
    tiny_batch_make(&b, 96);
    struct trainer *t = open_named(d, name, &o, &e);
    if (!t)
        return;
    tiny_gradient(t, &b);
    CHECK(trainer_apply(t, &update, &norm, &e) == 0);
    const struct train_tensor *x = trainer_tensors(t, &n);
    for (size_t i = 0; i < n; i++) {
        if (!strstr(x[i].name, "experts") || !strstr(x[i].name, "lora_B"))
            continue;
        float *w = xmalloc_n((size_t)x[i].n, sizeof *w),
              *g = xmalloc_n((size_t)x[i].n, sizeof *g);
        CHECK(trainer_export(t, TRAIN_WEIGHT, i, w, &e) == 0);
        CHECK(trainer_export(t, TRAIN_GRADIENT, i, g, &e) == 0);
        for (int64_t k = 0; k < x[i].n; k++) {
            CHECK((w[k] != 0) == (g[k] != 0));
            changed += w[k] != 0;
        }
        free(w);
        free(g);
    }
    CHECK_MSG(changed > 0, "%s", name);
    json_t *config = trainer_adapter_config(t, "base");
    CHECK(config && json_array_size(json_object_get(config, "target_parameters")) == 2);
    json_decref(config);
    trainer_close(t);
}

static void test_not_finite(struct dev *d)
{
    struct trainer_options o = {.dtype = DT_F32, .tokens = TINY_TOKENS};
    struct tiny_batch b;
    struct err e = {0};
    double norm;
    int64_t n;
    tiny_batch_make(&b, 96);
    struct trainer *t = open_named(d, "llama-3.2-instruct", &o, &e);
    float bad = (float)NAN;
    CHECK(trainer_write(t, TRAIN_WEIGHT, 5, 1, &bad, &e) == 0 && trainer_changed(t, &e) == 0);
    float *before = tiny_flat(t, TRAIN_WEIGHT, &n);
    tiny_gradient(t, &b);
    CHECK(trainer_apply(t, &update, &norm, &e) < 0 && e.status == EXIT_DATA);
    CHECK(trainer_step(t) == 0);
    float *after = tiny_flat(t, TRAIN_WEIGHT, &n);
    CHECK(!memcmp(before, after, (size_t)n * sizeof *after));
    free(before);
    free(after);
    trainer_close(t);
}

int main(void)
{
    struct dev *d = tiny_device(NULL, 2);
    if (!mkdtemp(root))
        return 1;
    if (!d) {
        SKIP("no vector instructions here");
        return unit_done("train");
    }
    test_init(d);
    test_bf16(d, "llama-3.2-instruct", false);
    test_bf16(d, "gemma-2-it", false);
    test_bf16(d, "qwen2.5-instruct", true);
    test_experts(d, "gpt-oss-20b");
    test_experts(d, "qwen3-30b-a3b");
    test_not_finite(d);
    d->ops->close(d);
    char *rm = xasprintf("rm -rf %s", root);
    int rc = system(rm);
    free(rm);
    return unit_done("train") || rc;
}
