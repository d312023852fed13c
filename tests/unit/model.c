/* model.c - configurations refused by name, checkpoints that do not fit, and the same bits of a
 * sequence alone and in company.
 */
#include "unit.h"

#include "model/arch.h"
#include "model/model.h"
#include "model_seqs.h"
#include "tiny_model.h"

#include <jansson.h>
#include <math.h>

static char root[] = "/tmp/millrace-model.XXXXXX";

static const char *folder(void)
{
    static char path[64];
    static int number;
    snprintf(path, sizeof path, "%s/%d", root, number++);
    return path;
}

/* ---- configurations ------------------------------------------------------- */

#define LLAMA                                                               \
    "\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":96," \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"vocab_size\":96"
#define ROPE(members) "{" LLAMA ",\"rope_scaling\":{" members "}}"

static int read_config(const char *text, struct spec *s, struct err *e)
{
    json_t *config = json_loads(text, 0, NULL);
    if (!config)
        abort();
    int rc = spec_read(s, config, e);
    json_decref(config);
    return rc;
}

/* Refused, and the message has each of the words (a list that ends in NULL). */
static void refused(const char *config, const char *const *words)
{
    struct spec s;
    struct err e = {0};
    int rc = read_config(config, &s, &e);
    CHECK_MSG(rc < 0 && e.status == EXIT_CONFIG, "%s", config);
    for (; *words; words++)
        CHECK_MSG(strstr(e.text, *words), "%s: no '%s' in: %s", config, *words, e.text);
    if (rc == 0)
        spec_release(&s);
}
#define REFUSED(config, ...) refused(config, (const char *const[]){__VA_ARGS__, NULL})

static void test_refused_fields(void)
{
    REFUSED("{}", "no model_type", "llama");
    REFUSED("{\"model_type\":\"mamba\"}", "mamba", "llama");
    REFUSED("{\"model_type\":7}", "model_type");
    REFUSED("{\"model_type\":\"llama\"}", "no \"num_hidden_layers\"");
    REFUSED("{" LLAMA ",\"hidden_act\":\"relu\"}", "hidden_act", "relu", "silu");
    REFUSED("{" LLAMA ",\"use_moon_phase\":true}", "use_moon_phase", "true", "not known");
    REFUSED("{" LLAMA ",\"quantization_config\":{\"quant_method\":\"awq\"}}",
            "quantization_config", "awq");
    REFUSED("{" LLAMA ",\"rope_interleaved\":true}", "rope_interleaved", "must be false");
    REFUSED("{" LLAMA ",\"attention_bias\":1}", "attention_bias", "true or false");
    REFUSED("{" LLAMA ",\"num_key_value_heads\":3}", "num_key_value_heads", "3", "divisor");
    REFUSED("{" LLAMA ",\"num_key_value_heads\":0}", "num_key_value_heads", "0");
    REFUSED("{" LLAMA ",\"rms_norm_eps\":0}", "rms_norm_eps", "> 0");
    REFUSED("{" LLAMA ",\"rms_norm_eps\":\"x\"}", "rms_norm_eps");
    REFUSED("{" LLAMA ",\"head_dim\":15}", "head_dim", "15", "even");
    REFUSED("{" LLAMA ",\"head_dim\":1000000}", "head_dim", "65536");
    REFUSED("{" LLAMA ",\"max_position_embeddings\":-1}", "max_position_embeddings");
    REFUSED("{" LLAMA ",\"architectures\":[\"LlamaForSequenceClassification\"]}",
            "architectures", "LlamaForSequenceClassification");
}

static void test_refused_rope(void)
{
    REFUSED(ROPE("\"type\":\"dynamic\",\"factor\":2"), "type", "dynamic");
    REFUSED(ROPE("\"rope_type\":\"linear\""), "rope_scaling has no \"factor\"");
    REFUSED(ROPE("\"rope_type\":\"linear\",\"factor\":0"), "factor", "> 0");
    REFUSED(ROPE("\"rope_type\":\"linear\",\"factor\":2,\"beta_fast\":32"), "beta_fast", "32");
    REFUSED(ROPE("\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
                 "\"high_freq_factor\":4,\"original_max_position_embeddings\":64"),
            "high_freq_factor", "larger");
    REFUSED("{" LLAMA ",\"rope_scaling\":[]}", "rope_scaling", "an object");
    REFUSED("{" LLAMA ",\"rope_theta\":0}", "rope_theta");
    REFUSED("{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"default\"},"
            "\"rope_parameters\":{\"rope_type\":\"default\"}}",
            "rope_scaling", "rope_parameters");
}

static void test_spellings(void)
{
    struct spec a, b;
    struct err e = {0};
    CHECK(read_config("{" LLAMA ",\"torch_dtype\":\"bfloat16\",\"rope_theta\":5e5,"
                      "\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}}",
                      &a, &e) == 0);
    CHECK(read_config("{" LLAMA ",\"dtype\":\"bfloat16\",\"pad_token_id\":null,"
                      "\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4,"
                      "\"rope_theta\":500000}}",
                      &b, &e) == 0);
    CHECK(a.rope[0].kind == ROPE_LINEAR && a.rope[0].theta == 5e5 && a.rope[0].factor == 4);
    CHECK(!memcmp(&a.rope[0], &b.rope[0], sizeof a.rope[0]));
    CHECK(a.heads == 4 && a.kv_heads == 4 && a.head_dim == 16 && !a.tied);
    spec_release(&a);
    spec_release(&b);
}

#define OF(type, members)                                                       \
    "{\"model_type\":\"" type "\",\"hidden_size\":64,\"intermediate_size\":96," \
    "\"num_hidden_layers\":4,\"num_attention_heads\":4,\"vocab_size\":96" members "}"

/* The windows of four layers, and what null, absence and a switch mean. */
static void test_windows(void)
{
    static const struct {
        const char *config;
        int32_t window[4];
    } cases[] = {
        {OF("mistral", ""), {4096, 4096, 4096, 4096}},
        {OF("mistral", ",\"sliding_window\":null"), {0, 0, 0, 0}},
        {OF("mistral", ",\"sliding_window\":8"), {8, 8, 8, 8}},
        {OF("qwen2", ",\"sliding_window\":8,\"max_window_layers\":1"), {0, 0, 0, 0}},
        {OF("qwen2", ",\"sliding_window\":8,\"max_window_layers\":1,"
                     "\"use_sliding_window\":true"),
         {0, 8, 8, 8}},
        {OF("qwen3", ",\"sliding_window\":8,\"use_sliding_window\":true,"
                     "\"layer_types\":[\"sliding_attention\",\"full_attention\","
                     "\"full_attention\",\"sliding_attention\"]"),
         {8, 0, 0, 8}},
        {OF("gemma2", ",\"sliding_window\":8"), {8, 0, 8, 0}},
        {OF("gemma3_text", ",\"sliding_window\":8,\"sliding_window_pattern\":3"), {8, 8, 0, 8}},
        {OF("phi3", ""), {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec s;
        struct err e = {0};
        int rc = read_config(cases[i].config, &s, &e);
        CHECK_MSG(rc == 0, "%s", e.text);
        for (int k = 0; rc == 0 && k < 4; k++)
            CHECK_MSG(s.layer[k].window == cases[i].window[k], "%s: layer %d: %d",
                      cases[i].config, k, s.layer[k].window);
        if (rc == 0)
            spec_release(&s);
    }
    REFUSED(OF("qwen3", ",\"layer_types\":[\"full_attention\"]"), "layer_types", "one a layer");
    REFUSED(OF("qwen3", ",\"layer_types\":[\"sliding_attention\",\"full_attention\","
                        "\"full_attention\",\"full_attention\"]"),
            "layer_types", "no sliding_window");
    REFUSED(OF("smollm3", ",\"use_sliding_window\":true"), "use_sliding_window");
    REFUSED(OF("smollm3", ",\"no_rope_layers\":[1]"), "no_rope_layers", "one a layer");
}

static void test_two_ropes(void)
{
    struct spec old, new;
    struct err e = {0};
    CHECK(read_config(OF("gemma3_text", ",\"rope_theta\":1e6,\"rope_local_base_freq\":1e4,"
                                        "\"rope_scaling\":{\"rope_type\":\"linear\","
                                        "\"factor\":8},\"sliding_window_pattern\":2"),
                      &old, &e) == 0);
    CHECK(read_config(OF("gemma3_text",
                         ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\","
                         "\"factor\":8,\"rope_theta\":1e6},\"sliding_attention\":{"
                         "\"rope_type\":\"default\",\"rope_theta\":1e4}},\"layer_types\":["
                         "\"sliding_attention\",\"full_attention\",\"sliding_attention\","
                         "\"full_attention\"]"),
                      &new, &e) == 0);
    CHECK(old.ropes == 2 && new.ropes == 2 && !memcmp(old.rope, new.rope, sizeof old.rope));
    CHECK(old.rope[0].kind == ROPE_LINEAR && old.rope[1].theta == 1e4);
    CHECK(!memcmp(old.layer, new.layer, 4 * sizeof *old.layer));
    CHECK(old.layer[0].rope == 1 && old.layer[1].rope == 0);
    CHECK(old.norm_plus_one && old.tied && old.head_cap == 0);
    spec_release(&old);
    spec_release(&new);
    REFUSED(OF("gemma3_text", ",\"rope_parameters\":{\"full_attention\":{}}"),
            "sliding_attention");
    REFUSED(OF("gemma2", ",\"hidden_activation\":\"gelu\""), "hidden_activation", "gelu");
    REFUSED(OF("gemma2", ",\"use_bidirectional_attention\":true"),
            "use_bidirectional_attention");
    REFUSED(OF("phi3", ",\"rope_scaling\":{\"type\":\"longrope\"}"),
            "original_max_position_embeddings");
    REFUSED(OF("phi3", ",\"original_max_position_embeddings\":64,\"rope_scaling\":"
                       "{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1]}"),
            "short_factor", "half as many");
}

/* Cosines and sines of a plain table, at both ends. */
static void test_rope_table(void)
{
    struct rope_spec r = {.kind = ROPE_DEFAULT, .theta = 10000, .attention_factor = 1};
    float t[4 * 8];
    rope_fill(&r, 8, 4, t);
    for (int i = 0; i < 4; i++)
        CHECK(t[i] == 1 && t[4 + i] == 0);
    for (int i = 0; i < 4; i++) {
        double angle = 3 * pow(10000, -i / 4.0);
        CHECK(fabs((double)t[24 + i] - cos(angle)) < 1e-6);
        CHECK(fabs((double)t[28 + i] - sin(angle)) < 1e-6);
    }
}

/* ---- checkpoints ---------------------------------------------------------- */

static void not_loaded(const struct tiny_model *t, const char *word)
{
    struct err e = {0};
    const char *dir = folder();
    struct dev *d = open_dev("ref", NULL);
    tiny_model_write(dir, t);
    struct model *m = open_model(d, dir, DT_F32, 4, 1, &e);
    CHECK_MSG(!m && e.status == EXIT_CONFIG && strstr(e.text, word) && strstr(e.text, dir),
              "no '%s' in: %s", word, e.text);
    model_close(m);
    d->ops->close(d);
}

static void test_not_loaded(void)
{
    struct tiny_model t = TINY_MODEL;
    t.less = "model.layers.1.mlp.up_proj.weight";
    not_loaded(&t, "\"model.layers.1.mlp.up_proj.weight\" is missing");
    t = (struct tiny_model)TINY_MODEL;
    t.more = "model.layers.2.mlp.up_proj.weight";
    not_loaded(&t, "\"model.layers.2.mlp.up_proj.weight\" is not one of");
    t = (struct tiny_model)TINY_MODEL;
    t.config = ",\"attention_bias\":true";
    not_loaded(&t, "\"model.layers.0.self_attn.q_proj.bias\" is missing");
    t = (struct tiny_model)TINY_MODEL;
    t.less = "model.norm.weight";
    t.more = t.less;
    not_loaded(&t, "\"model.norm.weight\" is missing");
    t.less = "lm_head.weight";
    t.more = NULL;
    not_loaded(&t, "\"lm_head.weight\" is missing");
    t = (struct tiny_model)TINY_MODEL;
    t.dtype = "I32";
    not_loaded(&t, "is I32; weights must be");
}

/* A wrong size in config.json is told with both shapes. */
static void test_wrong_shape(void)
{
    struct tiny_model t = TINY_MODEL;
    struct err e = {0};
    const char *dir = folder();
    struct dev *d = open_dev("ref", NULL);
    tiny_model_write(dir, &t);
    t.ffn = 128;
    tiny_config(dir, &t);
    struct model *m = open_model(d, dir, DT_F32, 4, 1, &e);
    CHECK_MSG(!m && strstr(e.text, "is [96, 64]; config.json makes it [128, 64]"), "%s",
              e.text);
    model_close(m);
    d->ops->close(d);
}

static void test_tied_and_eos(void)
{
    struct tiny_model t = TINY_MODEL;
    struct err e = {0};
    struct model_eos eos;
    struct buf b = {0};
    const char *dir = folder();
    struct dev *d = open_dev("ref", NULL);
    t.tied = true;
    t.dtype = "BF16";
    tiny_model_write(dir, &t);
    struct model *m = open_model(d, dir, DT_F32, 4, 1, &e);
    CHECK_MSG(m, "%s", e.text);
    model_close(m);
    struct ckpt *c = ckpt_open(dir, &e);
    CHECK(model_auto_dtype(c) == DT_BF16);
    CHECK(model_eos(c, &eos, &e) == 0 && eos.n == 1 && eos.ids[0] == 2);
    ckpt_close(c);
    buf_puts(&b, "{\"eos_token_id\":[5,7]}");
    tiny_file(dir, "generation_config.json", &b);
    c = ckpt_open(dir, &e);
    CHECK(model_eos(c, &eos, &e) == 0 && eos.n == 2 && eos.ids[1] == 7);
    ckpt_close(c);
    buf_clear(&b);
    buf_puts(&b, "{\"eos_token_id\":[5,\"x\"]}");
    tiny_file(dir, "generation_config.json", &b);
    c = ckpt_open(dir, &e);
    CHECK(model_eos(c, &eos, &e) < 0 && e.status == EXIT_CONFIG);
    ckpt_close(c);
    buf_release(&b);
    t.dtype = "F16";
    dir = folder();
    tiny_model_write(dir, &t);
    m = open_model(d, dir, DT_F32, 4, 1, &e);
    CHECK_MSG(m, "%s", e.text);
    model_close(m);
    c = ckpt_open(dir, &e);
    CHECK(model_auto_dtype(c) == DT_F32);
    ckpt_close(c);
    d->ops->close(d);
}

/* ---- company -------------------------------------------------------------- */

static bool test_company(const char *dev, const char *isa, const struct tiny_model *t,
                         enum dtype dtype, struct seq *s)
{
    const char *dir = folder();
    tiny_model_write(dir, t);
    return model_company(dev, isa, dir, dtype, t->vocab, false, s);
}

/* Products of K >= 4096 in every place: q, k, v, gate, up and head, or down. */
static void test_companies(void)
{
    static struct seq avx2[SEQS], avx512[SEQS];
    static const struct {
        int width, ffn;
        const char *stored;
        enum dtype dtype;
    } cases[] = {
        {4096, 32, "F32", DT_F32},   {32, 4160, "F32", DT_F32},   {32, 4160, "BF16", DT_F32},
        {4096, 32, "BF16", DT_BF16}, {32, 4160, "BF16", DT_BF16},
    };
    struct tiny_model t = TINY_MODEL;
    test_company("ref", NULL, &t, DT_F32, avx2);
    test_company("ref", NULL, &t, DT_BF16, avx2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t = (struct tiny_model){
            cases[i].stored, cases[i].width, cases[i].ffn, 1, 2, 1, 16, 64, 64, .seed = 1};
        if (test_company("cpu", "avx2", &t, cases[i].dtype, avx2) &
                test_company("cpu", "avx512", &t, cases[i].dtype, avx512) &&
            cases[i].dtype == DT_F32)
            CHECK(!memcmp(avx2, avx512, sizeof avx2));
    }
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    test_refused_fields();
    test_refused_rope();
    test_spellings();
    test_windows();
    test_two_ropes();
    test_rope_table();
    test_not_loaded();
    test_wrong_shape();
    test_tied_and_eos();
    test_companies();
    char *command = xasprintf("rm -rf '%s'", root);
    if (system(command))
        unit_failed++;
    free(command);
    return unit_done("model");
}
