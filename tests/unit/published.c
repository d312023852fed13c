/* published.c - every family opens as it is published and runs: names of tensors, shards, end
 * tokens, the files that lie beside a model, both spellings of config.json, other shapes.
 *
 * Weights are random, so the numbers are compared between backends and spellings, not with a
 * reference (tests/golden/models.c does that).
 */
#include "unit.h"

#include "families.h"
#include "model/model.h"
#include "text/chat.h"
#include "text/tokenizer.h"

#include <math.h>

static char root[] = "/tmp/millrace-published.XXXXXX";

static const char *folder(void)
{
    static char path[64];
    static int number;
    snprintf(path, sizeof path, "%s/%d", root, number++);
    return path;
}

enum { TOKENS = 40, VOCAB_MAX = 256 }; /* two pages, and more than any window here */

/* The logits behind TOKENS tokens; -1 where the directory does not open. */
static int run(const char *dir, const char *backend, float *logits, struct err *e)
{
    static const int32_t page[] = {0, 1};
    int32_t ids[TOKENS], pos[TOKENS], row = TOKENS - 1;
    struct dev_config dc = {.threads = 2};
    struct model_config mc = {DT_F32, TOKENS, 1, 1 << 20, 1};
    struct span span = {0, TOKENS, 0, 0};
    struct batch b = {.ids = ids,
                      .pos = pos,
                      .tokens = TOKENS,
                      .spans = &span,
                      .n_spans = 1,
                      .pages = page,
                      .n_pages = 2,
                      .rows = &row,
                      .n_rows = 1};
    for (int i = 0; i < TOKENS; i++) {
        ids[i] = i * 37 % 128;
        pos[i] = i;
    }
    struct dev *d = dev_find(backend)->open(&dc, e);
    struct ckpt *c = ckpt_open(dir, e);
    struct model *m = c && d ? model_open(d, c, &mc, e) : NULL;
    int rc = m && model_forward(m, &b, e) == 0 ? model_logits(m, 0, 1, logits, e) : -1;
    struct model_info info = {0};
    if (rc == 0) {
        model_info(m, &info);
        CHECK(info.pages >= 2 && info.vocab <= VOCAB_MAX);
    }
    model_close(m);
    ckpt_close(c);
    if (d)
        d->ops->close(d);
    return rc < 0 ? -1 : info.vocab;
}

/* The largest difference; infinite where a number is none, or all of them are equal. */
static double difference(const float *a, const float *b, int n)
{
    double most = 0, spread = 0;
    for (int i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i]))
            return INFINITY;
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        spread = fmax(spread, fabs((double)a[i] - (double)a[0]));
    }
    return n > 1 && spread > 0.01 ? most : INFINITY;
}

static void test_files(const struct family *f, const char *dir)
{
    struct err e = {0};
    struct model_eos eos;
    struct ckpt *c = ckpt_open(dir, &e);
    CHECK_MSG(c, "%s: %s", f->name, e.text);
    if (!c)
        return;
    CHECK_MSG(model_eos(c, &eos, &e) == 0 && eos.n == f->n_eos, "%s: %d end tokens", f->name,
              eos.n);
    for (int i = 0; i < f->n_eos && i < eos.n; i++)
        CHECK_MSG(eos.ids[i] == f->eos[i], "%s: end token %d", f->name, eos.ids[i]);
    bool bf16 = !strcmp(f->dtype, "BF16");
    CHECK_MSG(model_auto_dtype(c) == (bf16 ? DT_BF16 : DT_F32), "%s", f->name);
    ckpt_close(c);

    struct tokenizer *t = tokenizer_load(dir, &e);
    CHECK_MSG(t && tokenizer_id(t, STR("<|im_end|>")) == 5, "%s: %s", f->name, e.text);
    tokenizer_free(t);
    struct chat_options o = {.dir = dir};
    struct chat *chat = chat_open(&o, &e);
    CHECK_MSG(chat && str_eq(chat_turn_end(chat), STR("<|im_end|>")), "%s: %s", f->name,
              e.text);
    chat_free(chat);
}

/* Backends differ by the order of their sums alone: some 1e-6 of values around 1, which a few
 * layers of random weights make larger. */
enum { PER_MILLION = 200 };

static void test_backends(const struct family *f, const char *dir, const char *what)
{
    float ref[VOCAB_MAX], cpu[VOCAB_MAX];
    struct err e = {0};
    int n = run(dir, "ref", ref, &e);
    CHECK_MSG(n > 0, "%s %s: %s", f->name, what, e.text);
    int k = n > 0 ? run(dir, "cpu", cpu, &e) : -1;
    double d = k > 0 ? difference(ref, cpu, n) : 0;
    CHECK_MSG(n < 0 || (k == n && d < PER_MILLION * 1e-6), "%s %s: %g %s", f->name, what, d,
              e.text);
}

/* ---- the newer spelling --------------------------------------------------- */

/* {"rope_type": "default", ...scaling, "rope_theta": theta} */
static json_t *rope_parameters(const json_t *scaling, const json_t *theta)
{
    json_t *p = json_pack("{s:s}", "rope_type", "default");
    json_object_update(p, (json_t *)(uintptr_t)scaling);
    const json_t *type = json_object_get(p, "type");
    if (type) {
        json_object_set(p, "rope_type", (json_t *)(uintptr_t)type);
        json_object_del(p, "type");
    }
    if (theta)
        json_object_set(p, "rope_theta", (json_t *)(uintptr_t)theta);
    return p;
}

/* As transformers 5 writes the same configuration. */
static char *newer_spelling(const char *text)
{
    json_t *c = json_loads(text, 0, NULL);
    json_t *scaling = json_object_get(c, "rope_scaling");
    json_t *theta = json_object_get(c, "rope_theta");
    json_t *local = json_object_get(c, "rope_local_base_freq");
    json_t *p = rope_parameters(json_is_object(scaling) ? scaling : NULL, theta);
    if (local)
        p = json_pack("{s:o,s:o}", "full_attention", p, "sliding_attention",
                      rope_parameters(NULL, local));
    const json_t *original = json_object_get(c, "original_max_position_embeddings");
    if (original && json_is_object(scaling))
        json_object_set(p, "original_max_position_embeddings", (json_t *)(uintptr_t)original);
    json_t *part = json_object_get(c, "partial_rotary_factor");
    if (part) /* there too, and in time there alone */
        json_object_set(p, "partial_rotary_factor", part);
    json_object_del(c, "partial_rotary_factor");
    json_object_set_new(c, "rope_parameters", p);
    json_object_del(c, "rope_scaling");
    json_object_del(c, "rope_theta");
    json_object_del(c, "rope_local_base_freq");
    json_t *dtype = json_object_get(c, "torch_dtype");
    if (dtype)
        json_object_set(c, "dtype", dtype);
    json_object_del(c, "torch_dtype");
    char *out = json_dumps(c, 0);
    json_decref(c);
    return out;
}

static void test_spellings(const struct family *f, const char *dir)
{
    float old[VOCAB_MAX], new[VOCAB_MAX];
    struct err e = {0};
    char *config = newer_spelling(f->config);
    char *other = xstrdup(folder());
    family_write(other, f, config);
    int n = run(dir, "cpu", old, &e), k = run(other, "cpu", new, &e);
    CHECK_MSG(n > 0 && k == n && !memcmp(old, new, (size_t)n * sizeof *old), "%s: %s\n%s",
              f->name, e.text, config);
    free(other);
    free(config);
}

/* ---- other shapes --------------------------------------------------------- */

/* The family's configuration with another value of a member that it has; NULL: it has not. */
static char *changed(const struct family *f, const char *name, const char *value)
{
    json_t *c = json_loads(f->config, 0, NULL);
    char *out = NULL;
    if (json_object_get(c, name)) {
        json_object_set_new(c, name, json_loads(value, JSON_DECODE_ANY, NULL));
        if (!strcmp(name, "num_experts_per_tok")) /* gpt-oss says it twice */
            json_object_del(c, "experts_per_token");
        out = json_dumps(c, 0);
    }
    json_decref(c);
    return out;
}

static void test_changed(const struct family *f, const char *name, const char *value)
{
    char *config = changed(f, name, value);
    if (config) {
        char *dir = xstrdup(folder());
        family_write(dir, f, config);
        test_backends(f, dir, name);
        free(dir);
    }
    free(config);
}

static void test_shapes(const struct family *f)
{
    static const struct {
        const char *name, *value;
    } shapes[] = {
        {"num_key_value_heads", "1"},
        {"vocab_size", "131"},
        {"num_hidden_layers", "1"},
        {"intermediate_size", "70"},
        {"head_dim", "10"},
        {"num_experts", "5"},
        {"num_experts_per_tok", "1"},
        {"num_local_experts", "3"},
        {"moe_intermediate_size", "20"},
        {"norm_topk_prob", "false"},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        /* Lists in the configuration have the length of a shape; MXFP4 has blocks of 32. */
        const char *fixed = strstr(f->config, "\"layer_types\"") ? "num_hidden_layers" : "";
        const char *block = strstr(f->tensors, "_blocks") ? "intermediate_size" : "";
        if (strcmp(shapes[i].name, fixed) != 0 && strcmp(shapes[i].name, block) != 0)
            test_changed(f, shapes[i].name, shapes[i].value);
    }
}

/* A head of its own where the family ties it, and the other way round. */
static void test_tying(const struct family *f)
{
    struct family g = *f;
    const char *head = strstr(f->tensors, "lm_head.weight");
    struct buf tensors = {0};
    json_t *c = json_loads(f->config, 0, NULL);
    if (head) {
        const char *end = strchr(head, ';') + 1;
        buf_add(&tensors, f->tensors, (size_t)(head - f->tensors));
        buf_puts(&tensors, end);
    } else {
        buf_puts(&tensors, f->tensors);
        buf_puts(&tensors, FAMILY_HEAD);
    }
    g.tensors = tensors.p;
    json_object_set_new(c, "tie_word_embeddings", json_boolean(head));
    char *config = json_dumps(c, 0), *dir = xstrdup(folder());
    family_write(dir, &g, config);
    test_backends(&g, dir, "tying");
    buf_release(&tensors);
    json_decref(c);
    free(config);
    free(dir);
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    for (int i = 0; i < FAMILIES; i++) {
        char *dir = xstrdup(folder());
        family_write(dir, &families[i], NULL);
        test_files(&families[i], dir);
        test_backends(&families[i], dir, "as published");
        test_spellings(&families[i], dir);
        test_shapes(&families[i]);
        test_tying(&families[i]);
        free(dir);
    }
    char *command = xasprintf("rm -rf '%s'", root);
    if (system(command))
        unit_failed++;
    free(command);
    printf("published: %d families\n", (int)FAMILIES);
    return unit_done("published");
}
