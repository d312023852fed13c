/* model_moe.c - models with experts: other shapes than the reference's, on every backend alone
 * and in company; what their configurations and checkpoints are refused for.
 */
#include "unit.h"

#include "model/arch.h"
#include "model_seqs.h"
#include "tiny_moe.h"

#include <jansson.h>

static char root[] = "/tmp/millrace-moe.XXXXXX";

static const char *folder(void)
{
    static char path[64];
    static int number;
    snprintf(path, sizeof path, "%s/%d", root, number++);
    return path;
}

/* ---- shapes --------------------------------------------------------------- */

#define QWEN(stored)                                                                           \
    {                                                                                          \
        .type = "qwen3_moe", .dtype = stored, .width = 64, .ffn = 24, .layers = 2, .heads = 4, \
        .kv_heads = 2, .head_dim = 16, .vocab = 96, .experts = 8, .used = 2                    \
    }
#define OSS(stored)                                                                          \
    {                                                                                        \
        .type = "gpt_oss", .dtype = stored, .width = 64, .ffn = 32, .layers = 3, .heads = 4, \
        .kv_heads = 2, .head_dim = 16, .vocab = 96, .experts = 4, .used = 2,                 \
        .config = ",\"sliding_window\":9,\"swiglu_limit\":1.5"                               \
    }

/* Room for another order of sums, of log-probabilities of 1 to 10; in bf16 keys and values that
 * differ so little may be rounded to neighbours. */
static double tolerance(enum dtype t)
{
    return t == DT_F32 ? 1e-4 : 1e-2;
}

static double apart(const struct seq *a, const struct seq *b)
{
    double worst = 0;
    for (int i = 0; i < SEQS; i++)
        for (int k = 0; k < a[i].n; k++)
            worst = fmax(worst, fabs((double)a[i].alone[k] - (double)b[i].alone[k]));
    return worst;
}

/* Every backend's bits in company, avx2 against avx512, and both against ref. */
static void one_shape(const struct tiny_moe *t, enum dtype dtype)
{
    static struct seq ref[SEQS], cpu[2][SEQS];
    static const char *const isa[] = {"avx2", "avx512"};
    const char *dir = folder();
    bool have[2];
    tiny_moe_write(dir, t);
    model_company("ref", NULL, dir, dtype, t->vocab, true, ref);
    for (int i = 0; i < 2; i++) {
        have[i] = model_company("cpu", isa[i], dir, dtype, t->vocab, false, cpu[i]);
        if (have[i])
            CHECK_MSG(apart(ref, cpu[i]) <= tolerance(dtype), "%s %s: %g from ref", t->type,
                      isa[i], apart(ref, cpu[i]));
    }
    if (have[0] && have[1])
        CHECK(!memcmp(cpu[0], cpu[1], sizeof cpu[0]));
}

static void test_qwen_shapes(void)
{
    struct tiny_moe t = QWEN("BF16");
    t.config = ",\"norm_topk_prob\":true";
    one_shape(&t, DT_F32);
    t = (struct tiny_moe)QWEN("F32"); /* weights that do not add up to one, dense layers */
    t.layers = 4;
    t.experts = 5;
    t.used = 3;
    t.kv_heads = 1;
    t.vocab = 101;
    t.dense = "13";
    t.config = ",\"norm_topk_prob\":false,\"mlp_only_layers\":[1,3]";
    one_shape(&t, DT_F32);
    t.dense = "024"; /* the same by the step; sizes that fill no vector */
    t.layers = 5;
    t.width = 35;
    t.ffn = 19;
    t.heads = 3;
    t.head_dim = 18;
    t.dtype = "BF16";
    t.config = ",\"decoder_sparse_step\":2,\"norm_topk_prob\":true";
    one_shape(&t, DT_BF16);
    t = (struct tiny_moe)QWEN("F32");
    t.experts = t.used = 1;
    t.tied = true;
    one_shape(&t, DT_F32);
    t.experts = t.used = 9;
    one_shape(&t, DT_F32);
    t.dense = "01"; /* none is left */
    t.config = ",\"mlp_only_layers\":[0,1]";
    one_shape(&t, DT_F32);
}

static void test_oss_shapes(void)
{
    static struct seq plain[SEQS];
    struct tiny_moe t = OSS("BF16");
    t.mxfp4 = true;
    one_shape(&t, DT_F32);
    const char *dir = folder();
    tiny_moe_write(dir, &t);
    model_company("ref", NULL, dir, DT_F32, t.vocab, false, plain);
    one_shape(&t, DT_BF16);
    t.experts = 7;
    t.used = 5;
    t.kv_heads = 1;
    t.vocab = 77;
    t.no_bias = true;
    t.tied = true;
    one_shape(&t, DT_F32);
    t = (struct tiny_moe)OSS("F32");
    t.width = 33;
    t.ffn = 21;
    one_shape(&t, DT_F32);
    t.dtype = "BF16";
    one_shape(&t, DT_F32);
}

/* ---- MXFP4 ------------------------------------------------------------------ */

static int64_t weight_bytes(struct dev *d, const char *dir, const struct seq *s, float *next,
                            float *best)
{
    int order[SEQS];
    struct err e = {0};
    struct model_info info = {0};
    struct model *m = open_model(d, dir, DT_F32, SEQS * LONGEST, 8 << 20, &e);
    CHECK_MSG(m, "%s", e.text);
    for (int i = 0; i < SEQS; i++)
        order[i] = i;
    if (m) {
        run_seqs(m, s, order, SEQS, next, best);
        model_info(m, &info);
    }
    model_close(m);
    return info.weight_bytes;
}

/* The same bits as from the same values stored as bf16, and 17 bytes for 32 weights. */
static void test_twins(void)
{
    static float next[2][SEQS * LONGEST], best[2][SEQS * LONGEST];
    static struct seq s[SEQS];
    static const struct {
        const char *dev, *isa;
    } devs[] = {{"ref", NULL}, {"cpu", "avx2"}, {"cpu", "avx512"}, {"cpu", "avx512-bf16"}};
    struct tiny_moe t = OSS("BF16");
    char packed[64], columns[64];
    t.layers = 2;
    snprintf(columns, sizeof columns, "%s", folder());
    tiny_moe_write(columns, &t);
    t.mxfp4 = true;
    snprintf(packed, sizeof packed, "%s", folder());
    tiny_moe_write(packed, &t);
    make_seqs(s, t.vocab);
    int64_t weights = (int64_t)t.layers * t.experts * 3 * t.ffn * t.width;
    for (size_t i = 0; i < sizeof devs / sizeof *devs; i++) {
        struct dev *d = open_dev(devs[i].dev, devs[i].isa);
        if (!d) {
            SKIP("no %s here", devs[i].isa);
            continue;
        }
        int64_t many = weight_bytes(d, columns, s, next[0], best[0]);
        int64_t few = weight_bytes(d, packed, s, next[1], best[1]);
        CHECK_MSG(many - few == weights * 2 - weights / 32 * 17, "%d and %d bytes", (int)many,
                  (int)few);
        CHECK(!memcmp(next[0], next[1], sizeof next[0]));
        CHECK(!memcmp(best[0], best[1], sizeof best[0]));
        d->ops->close(d);
    }
}

/* ---- refusals ----------------------------------------------------------------- */

static void refused(const char *config, const char *word)
{
    struct spec s;
    struct err e = {0};
    json_t *json = json_loads(config, 0, NULL);
    int rc = spec_read(&s, json, &e);
    CHECK_MSG(rc < 0 && e.status == EXIT_CONFIG && strstr(e.text, word), "no '%s' in: %s", word,
              e.text);
    if (rc == 0)
        spec_release(&s);
    json_decref(json);
}

#define SIZES                                                               \
    ",\"hidden_size\":64,\"intermediate_size\":96,\"num_hidden_layers\":4," \
    "\"num_attention_heads\":4,\"vocab_size\":96"
#define QWEN_CONFIG(members) "{\"model_type\":\"qwen3_moe\"" SIZES members "}"
#define YARN(members)                                         \
    ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4," \
    "\"original_max_position_embeddings\":64" members "}"
#define OSS_CONFIG(members) "{\"model_type\":\"gpt_oss\"" SIZES members "}"

static void test_refused_configs(void)
{
    refused(QWEN_CONFIG(",\"num_experts\":0"), "num_experts");
    refused(QWEN_CONFIG(",\"num_experts\":4,\"num_experts_per_tok\":5"), "from 1 to 4");
    refused(QWEN_CONFIG(",\"num_experts\":4,\"num_local_experts\":8"), "num_local_experts");
    refused(QWEN_CONFIG(",\"mlp_only_layers\":[4]"), "mlp_only_layers");
    refused(QWEN_CONFIG(",\"mlp_only_layers\":[-1]"), "mlp_only_layers");
    refused(QWEN_CONFIG(",\"mlp_only_layers\":[\"0\"]"), "mlp_only_layers");
    refused(QWEN_CONFIG(",\"decoder_sparse_step\":0"), "decoder_sparse_step");
    refused(QWEN_CONFIG(",\"norm_topk_prob\":1"), "norm_topk_prob");
    refused(QWEN_CONFIG(",\"shared_expert_intermediate_size\":8"), "shared_expert");
    refused(QWEN_CONFIG(",\"n_group\":2"), "n_group");
    refused(QWEN_CONFIG(",\"quantization_config\":{\"quant_method\":\"mxfp4\"}"),
            "quantization_config");
    refused(OSS_CONFIG(""), "rope_scaling");
    refused(OSS_CONFIG(YARN(",\"mscale\":1")), "mscale");
    refused(OSS_CONFIG(YARN("") ",\"rope_theta\":1"), "rope_theta");
    refused(OSS_CONFIG(YARN("") ",\"swiglu_limit\":0"), "swiglu_limit");
    refused(OSS_CONFIG(YARN("") ",\"experts_per_token\":2"), "experts_per_token");
    refused(OSS_CONFIG(YARN("") ",\"hidden_act\":\"gelu\""), "hidden_act");
    refused(OSS_CONFIG(YARN("") ",\"quantization_config\":{\"quant_method\":\"awq\"}"), "awq");
    refused(OSS_CONFIG(YARN("") ",\"quantization_config\":{}"), "quant_method");
    refused(OSS_CONFIG(YARN("") ",\"quantization_config\":{\"quant_method\":\"mxfp4\","
                                "\"bits\":3}"),
            "bits");
    refused(OSS_CONFIG(YARN("") ",\"layer_types\":[\"full_attention\",\"full_attention\","
                                "\"chunked_attention\",\"full_attention\"]"),
            "chunked_attention");
}

/* transformers 4 and 5 spell the same model otherwise. */
static void test_spellings(void)
{
    struct spec a, b;
    struct err e = {0};
    json_t *four = json_loads(
        OSS_CONFIG(YARN("") ",\"rope_theta\":5e4,\"num_local_experts\":8,"
                            "\"experts_per_token\":2,\"num_experts_per_tok\":2,"
                            "\"torch_dtype\":\"bfloat16\",\"initial_context_length\":64"),
        0, NULL);
    json_t *five = json_loads(
        OSS_CONFIG(",\"rope_parameters\":{\"rope_type\":\"yarn\",\"rope_theta\":50000,"
                   "\"factor\":4.0,\"beta_fast\":32.0,\"beta_slow\":1.0,\"truncate\":true,"
                   "\"original_max_position_embeddings\":64},\"dtype\":\"bfloat16\","
                   "\"num_experts\":8,\"num_experts_per_tok\":2,\"swiglu_alpha\":1.702,"
                   "\"swiglu_limit\":7.0,\"layer_types\":[\"sliding_attention\","
                   "\"full_attention\",\"sliding_attention\",\"full_attention\"]"),
        0, NULL);
    CHECK_MSG(spec_read(&a, four, &e) == 0, "%s", e.text);
    CHECK_MSG(spec_read(&b, five, &e) == 0, "%s", e.text);
    CHECK(!memcmp(&a.rope[0], &b.rope[0], sizeof a.rope[0]) && a.rope[0].kind == ROPE_YARN);
    CHECK(fabs(a.rope[0].attention_factor - (0.1 * log(4) + 1)) < 1e-12);
    CHECK(a.experts == 8 && b.experts == 8 && a.experts_used == 2 && b.experts_used == 2);
    CHECK(!memcmp(a.layer, b.layer, 4 * sizeof *a.layer));
    CHECK(a.layer[0].window == 128 && a.layer[1].window == 0 && a.layer[1].sparse);
    CHECK(a.expert_gate.alpha == b.expert_gate.alpha && a.expert_gate.limit == 7);
    spec_release(&a);
    spec_release(&b);
    json_decref(four);
    json_decref(five);
}

static void not_loaded(const char *dir, const char *word)
{
    struct err e = {0};
    struct dev *d = open_dev("ref", NULL);
    struct model *m = open_model(d, dir, DT_F32, 4, 1, &e);
    CHECK_MSG(!m && e.status == EXIT_CONFIG && strstr(e.text, word), "no '%s' in: %s", word,
              e.text);
    model_close(m);
    d->ops->close(d);
}

static void test_refused_tensors(void)
{
    struct tiny_moe t = OSS("BF16");
    const char *dir = folder();
    t.mxfp4 = true;
    tiny_moe_write(dir, &t);
    t.experts = 5; /* the configuration says other than the tensors */
    tiny_moe_config(dir, &t);
    not_loaded(dir, "router.weight\" is [4, 64]; config.json makes it [5, 64]");
    t.experts = 4;
    t.ffn = 64;
    tiny_moe_config(dir, &t);
    not_loaded(dir, "_blocks\" is [4, 64, 2, 16]; config.json makes it [4, 128, 2, 16]");
    t.ffn = 32;
    t.mxfp4 = false;
    tiny_moe_config(dir, &t);
    not_loaded(dir, "\"model.layers.0.mlp.experts.gate_up_proj\" is missing");
    tiny_moe_write(dir, &t);
    t.mxfp4 = true;
    tiny_moe_config(dir, &t);
    not_loaded(dir, "\"model.layers.0.mlp.experts.gate_up_proj_blocks\" is missing");
    t.less = "model.layers.1.mlp.experts.down_proj_scales";
    tiny_moe_write(dir, &t);
    not_loaded(dir, "\"model.layers.1.mlp.experts.down_proj_scales\" is missing");
    t.less = "model.layers.1.self_attn.sinks";
    tiny_moe_write(dir, &t);
    not_loaded(dir, "\"model.layers.1.self_attn.sinks\" is missing");
    t.less = NULL;
    t.width = 80;
    tiny_moe_write(dir, &t);
    not_loaded(dir, "gate_up_proj_blocks\": MXFP4 weights of 80 columns");
    t = (struct tiny_moe)QWEN("BF16");
    t.less = "model.layers.1.mlp.experts.7.up_proj.weight";
    tiny_moe_write(dir, &t);
    not_loaded(dir, "\"model.layers.1.mlp.experts.7.up_proj.weight\" is missing");
    t.less = NULL;
    tiny_moe_write(dir, &t);
    t.experts = 7;
    t.config = ",\"num_local_experts\":7";
    tiny_moe_config(dir, &t);
    not_loaded(dir, "mlp.gate.weight\" is [8, 64]; config.json makes it [7, 64]");
}

/* ---- YaRN ----------------------------------------------------------------------- */

/* Between D(32) = 3.72 and D(1) = 11.74, or 3 and 12, the frequencies go over into a quarter.
 */
static void test_yarn(void)
{
    struct rope_spec r = {.kind = ROPE_YARN,
                          .theta = 1000,
                          .factor = 4,
                          .fast = 32,
                          .slow = 1,
                          .original = 1000,
                          .attention_factor = 1};
    float t[2 * 32];
    for (int whole = 0; whole < 2; whole++) {
        double lo = whole ? 3 : 3.715574, hi = whole ? 12 : 11.743041;
        r.truncate = whole;
        rope_fill(&r, 32, 2, t);
        for (int i = 0; i < 16; i++) {
            double f = pow(1000, -i / 16.0), ramp = (i - lo) / (hi - lo);
            ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
            f = ramp * f / 4 + (1 - ramp) * f;
            CHECK_MSG(fabs((double)t[32 + i] - cos(f)) < 1e-5 &&
                          fabs((double)t[48 + i] - sin(f)) < 1e-5,
                      "frequency %d: %g", i, f);
        }
    }
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    test_yarn();
    test_spellings();
    test_refused_configs();
    test_refused_tensors();
    test_twins();
    test_qwen_shapes();
    test_oss_shapes();
    char *command = xasprintf("rm -rf '%s'", root);
    if (system(command))
        unit_failed++;
    free(command);
    return unit_done("model_moe");
}
