/* adapter.c - adapters: patterns in bounded time, configurations refused by name, tensors that
 * do not fit, and which modules each spelling changes.
 */
#include "unit.h"

#include "ckpt/match.h"
#include "ckpt/peft.h"
#include "infer/infer.h"
#include "model/lora_config.h"
#include "model/model.h"
#include "tiny_model.h"

#include <jansson.h>
#include <math.h>
#include <time.h>

static char root[] = "/tmp/millrace-adapter.XXXXXX";

static const char *folder(void)
{
    static char path[64];
    static int number;
    snprintf(path, sizeof path, "%s/%d", root, number++);
    if (mkdir(path, 0777))
        abort();
    return path;
}

/* ---- patterns ------------------------------------------------------------- */

#define Q "model.layers.1.self_attn.q_proj"
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static int test_one(enum match_form form, const char *pattern, const char *name, struct err *e)
{
    struct matcher *m = matcher_new();
    int p = matcher_add(m, form, pattern, e);
    int rc = p < 0 ? -2 : matcher_test(m, p, name, e);
    matcher_free(m);
    return rc;
}

/* The verdicts are those of Python's re. */
static void test_patterns(void)
{
    static const struct {
        enum match_form form;
        const char *pattern, *name;
        int match;
    } cases[] = {
        {MATCH_TAIL, "q_proj", Q, 1},
        {MATCH_TAIL, "q_proj", "q_proj", 1},
        {MATCH_TAIL, "_proj", Q, 0},
        {MATCH_TAIL, "proj", Q, 0},
        {MATCH_TAIL, "attn.q_proj", Q, 0},
        {MATCH_TAIL, "self_attn.q_proj", Q, 1},
        {MATCH_TAIL, "self_attnXq_proj", Q, 0},
        {MATCH_TAIL, "self.attn.q.proj", Q, 1}, /* a dot is any character */
        {MATCH_TAIL, Q, Q, 1},
        {MATCH_TAIL, "x" Q, Q, 0},
        {MATCH_TAIL, "layers.1.self_attn.q_proj", "model.layers.11.self_attn.q_proj", 0},
        {MATCH_TAIL, "(q|v)_proj", Q, 1},
        {MATCH_TAIL, "q_proj|x", Q, 1},
        {MATCH_TAIL, "^model.*q_proj", Q, 1},
        {MATCH_TAIL, "^self_attn.q_proj", Q, 0},
        {MATCH_TAIL, "layers\\.[0-3]\\..*", Q, 1},
        {MATCH_TAIL, "layers\\.[2-3]\\..*", Q, 0},
        {MATCH_WHOLE, "q_proj", Q, 0},
        {MATCH_WHOLE, Q, Q, 1},
        {MATCH_WHOLE, ".*q_proj", Q, 1},
        {MATCH_WHOLE, ".*q_pro", Q, 0},
        {MATCH_WHOLE, "model|model.*", Q,
         1}, /* the whole name, though the first part is less */
        {MATCH_WHOLE, ".*\\.(q|k)_proj$", Q, 1},
        {MATCH_WHOLE, "(?!.*vision).*attn.*", Q, 1},
        {MATCH_WHOLE, "(?!.*layers\\.1).*attn.*", Q, 0},
        {MATCH_WHOLE,
         "(?:.*?(?:language|text).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\."
         "(?:self_attn|mlp)\\.(?:q_proj|down_proj))",
         Q, 1},
        {MATCH_WHOLE, "(?i:MODEL).*", Q, 1},
        {MATCH_WHOLE, "", Q, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        int rc = test_one(cases[i].form, cases[i].pattern, cases[i].name, &e);
        CHECK_MSG(rc == cases[i].match, "%s on %s: %d %s", cases[i].pattern, cases[i].name, rc,
                  e.text);
    }
}

/* What backtracks for ever, recurses or grows ends, refused; the time is one budget for all. */
static void test_hostile_patterns(void)
{
    /* The last class keeps PCRE2 from seeing at once that no letter of the name ends it. */
    static const char *const slow[] = {
        "(a*)*[bc]",  "(a|a)*[bc]",        "(.*)*(.*)*(.*)*[xy]", "(?:a+a+)+[bc]",
        "(a|(?1)a)*", "(?=(a*)*[bc]).*",   "(a?){60}a{60}[bc]",   "(.*?){50}[bc]",
        "(?>a|b)*c",  "(?:(a*)*|b*)*[xy]",
    };
    static const char *const no_patterns[] = {
        "(",
        "[a",
        "a)b(",
        "(?P<x>a)(?P<x>b)",
        "a{3,2}",
        "(?<=a*)b",
        "\\C",
        "((((((((((((((((((((((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))"
        ")"
        "))))))))))))))))))))))",
        "(?:(?:(?:a{1,999}){1,999}){1,999}){1,999}",
    };
    struct err e = {0};
    struct timespec t0, t1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
    struct matcher *m = matcher_new();
    int refused = 0, tests = 0;
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
        e = (struct err){0};
        int rc = test_one(MATCH_WHOLE, slow[i], LONG, &e);
        CHECK_MSG(rc == 0 || (rc == -1 && e.status == EXIT_CONFIG && strstr(e.text, slow[i])),
                  "%s: %d %s", slow[i], rc, e.text);
        refused += rc < 0;
        int p = matcher_add(m, MATCH_TAIL, slow[i], &e);
        CHECK(p >= 0);
        for (int k = 0; k < 1000 && p >= 0; k++) /* one budget for all of them */
            tests += matcher_test(m, p, LONG, &e) < 0;
    }
    CHECK(refused >= 5 && tests > 5000);
    matcher_free(m);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
    CHECK(t1.tv_sec - t0.tv_sec <
          60); /* of a second or two; sanitizers and valgrind are slow */
    for (size_t i = 0; i < sizeof no_patterns / sizeof *no_patterns; i++) {
        e = (struct err){0};
        CHECK_MSG(test_one(MATCH_TAIL, no_patterns[i], Q, &e) == (i == 2 ? 0 : -2) &&
                      (i == 2 || e.status == EXIT_CONFIG),
                  "%s: %s", no_patterns[i], e.text);
    }
    char *big = xcalloc(5000, 1);
    memset(big, 'a', 4999);
    CHECK(test_one(MATCH_TAIL, big, Q, &e) == -2 && strstr(e.text, "4096"));
    free(big);
    m = matcher_new();
    int added = 0;
    while (added < 2000 && matcher_add(m, MATCH_TAIL, "(a|b)", &e) >= 0)
        added++;
    CHECK(added == 1024 && strstr(e.text, "1024"));
    matcher_free(m);
}

/* ---- configurations ------------------------------------------------------- */

#define LORA "\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8"

static void refused(const char *text, const char *const *words)
{
    struct lora_config c;
    struct err e = {0};
    json_t *config = json_loads(text, 0, NULL);
    if (!config)
        abort();
    int rc = lora_config_read(&c, config, &e);
    CHECK_MSG(rc < 0 && e.status == EXIT_CONFIG, "%s", text);
    for (; *words; words++)
        CHECK_MSG(strstr(e.text, *words), "%s: no '%s' in: %s", text, *words, e.text);
    if (rc == 0)
        lora_config_release(&c);
    json_decref(config);
}
#define REFUSED(config, ...) refused(config, (const char *const[]){__VA_ARGS__, NULL})
#define WITH(members) "{" LORA "," members "}"

static void test_refused(void)
{
    REFUSED("{}", "peft_type", "LORA");
    REFUSED("{\"peft_type\":\"IA3\"}", "peft_type", "IA3");
    REFUSED("{\"peft_type\":\"LORA\",\"r\":0}", "\"r\": 0");
    REFUSED("{\"peft_type\":\"LORA\",\"r\":1e3}", "\"r\"");
    REFUSED("{\"peft_type\":\"LORA\",\"r\":1000000}", "16384");
    REFUSED("{\"peft_type\":\"LORA\",\"lora_alpha\":-1}", "lora_alpha");
    REFUSED(WITH("\"use_dora\":true"), "use_dora", "true");
    REFUSED(WITH("\"use_qalora\":true"), "use_qalora");
    REFUSED(WITH("\"use_rslora\":1"), "use_rslora", "true or false");
    REFUSED(WITH("\"bias\":\"lora_only\""), "bias", "lora_only", "none");
    REFUSED(WITH("\"lora_bias\":true"), "lora_bias");
    REFUSED(WITH("\"fan_in_fan_out\":true"), "fan_in_fan_out");
    REFUSED(WITH("\"ensure_weight_tying\":true"), "ensure_weight_tying");
    REFUSED(WITH("\"task_type\":\"SEQ_CLS\""), "task_type", "SEQ_CLS");
    REFUSED(WITH("\"layer_replication\":[[0,2],[1,3]]"), "layer_replication", "[[0,2],[1,3]]");
    REFUSED(WITH("\"alora_invocation_tokens\":[]"), "alora_invocation_tokens");
    REFUSED(WITH("\"kasa_config\":{}"), "kasa_config");
    REFUSED(WITH("\"use_bdlora\":{\"nblocks\":2}"), "use_bdlora");
    REFUSED(WITH("\"trainable_token_indices\":[1]"), "trainable_token_indices");
    REFUSED(WITH("\"init_lora_weights\":\"pissa_niter_4\""), "init_lora_weights",
            "pissa_niter_4");
    REFUSED(WITH("\"init_lora_weights\":\"olora\""), "olora");
    REFUSED(WITH("\"init_lora_weights\":7"), "init_lora_weights");
    REFUSED(WITH("\"use_moon_phase\":true"), "use_moon_phase", "not known of a LoRA adapter");
    REFUSED(WITH("\"target_modules\":7"), "target_modules", "7");
    REFUSED(WITH("\"target_modules\":[1]"), "target_modules", "a list of names");
    REFUSED(WITH("\"target_modules\":\"(q_proj\""), "target_modules", "(q_proj");
    REFUSED(WITH("\"modules_to_save\":\"lm_head\""), "modules_to_save", "an array");
    REFUSED(WITH("\"rank_pattern\":{\"q_proj\":0}"), "q_proj", "0");
    REFUSED(WITH("\"rank_pattern\":{\"q_(proj\":4}"), "rank_pattern", "q_(proj");
    REFUSED(WITH("\"rank_pattern\":[]"), "rank_pattern", "an object");
    REFUSED(WITH("\"alpha_pattern\":{\"q_proj\":\"x\"}"), "q_proj", "> 0");
    REFUSED(WITH("\"layers_to_transform\":[0]"), "layers_to_transform", "no list");
    REFUSED(WITH("\"target_modules\":[\"q\"],\"layers_to_transform\":[-1]"),
            "layers_to_transform", "-1");
    REFUSED(WITH("\"target_modules\":[\"q\"],\"layers_to_transform\":[0],"
                 "\"layers_pattern\":\"h\""),
            "layers_pattern", "layers");
    REFUSED(WITH("\"layers_pattern\":\"layers\""), "layers_pattern");
}

/* Rank and factor of a module, by the first rule that matches. */
static void test_scale(void)
{
    static const struct {
        const char *config, *name;
        int32_t rank;
        float scale;
    } cases[] = {
        {"{\"peft_type\":\"LORA\"}", "q_proj", 8, 1},
        {"{" LORA "}", "q_proj", 4, 2},
        {WITH("\"use_rslora\":true"), "q_proj", 4, 4},
        {WITH("\"rank_pattern\":{\"q_proj\":16},\"use_rslora\":true"), "a.q_proj", 16, 2},
        {WITH("\"rank_pattern\":{\"x\":1,\"q_proj\":2,\"a.q_proj\":16}"), "a.q_proj", 2, 4},
        {WITH("\"alpha_pattern\":{\"(q|v)_proj\":2.5},\"rank_pattern\":{\"v_proj\":5}"),
         "a.v_proj", 5, 0.5f},
        {WITH("\"alpha_pattern\":{\"_proj\":64}"), "a.v_proj", 4, 2},
        {WITH("\"use_new_thing\":false,\"later\":null,\"peft_version\":\"9\""), "a", 4, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lora_config c;
        struct err e = {0};
        int32_t rank = 0;
        float scale = 0;
        json_t *config = json_loads(cases[i].config, 0, NULL);
        CHECK(lora_config_read(&c, config, &e) == 0 &&
              lora_config_scale(&c, cases[i].name, &rank, &scale, &e) == 0);
        CHECK_MSG(rank == cases[i].rank && scale == cases[i].scale, "%s: rank %d scale %g %s",
                  cases[i].config, rank, (double)scale, e.text);
        lora_config_release(&c);
        json_decref(config);
    }
}

/* ---- onto a model --------------------------------------------------------- */

static const struct tiny_model model = TINY_MODEL;

/* What an adapter's directory is made of. */
struct files {
    const char *config;
    const char *modules; /* ends of names, with blanks between, in every layer … */
    int layers;          /* … from 0 to this one */
    int rank;
    const char *less, *more; /* a tensor that is left out, one [2, 3] that is put in */
    const char *saved;       /* "lm_head", "model.embed_tokens" */
    const char *dtype;
};

static void put_module(struct tiny_writer *w, const struct files *f, int layer, int i)
{
    const struct tiny_model *t = &model;
    int q = t->heads * t->head_dim, kv = t->kv_heads * t->head_dim;
    const struct {
        const char *name;
        int rows, cols;
    } all[] = {
        {"self_attn.q_proj", q, t->width},   {"self_attn.k_proj", kv, t->width},
        {"self_attn.v_proj", kv, t->width},  {"self_attn.o_proj", t->width, q},
        {"mlp.gate_proj", t->ffn, t->width}, {"mlp.up_proj", t->ffn, t->width},
        {"mlp.down_proj", t->width, t->ffn},
    };
    char name[200];
    if (!strstr(f->modules, strchr(all[i].name, '.') + 1))
        return;
    snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_A.weight", layer,
             all[i].name);
    tiny_tensor(w, name, f->rank, all[i].cols, 0, 0.2f);
    snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_B.weight", layer,
             all[i].name);
    tiny_tensor(w, name, all[i].rows, f->rank, 0, 0.2f);
}

static struct peft *make(const struct files *f, struct err *e)
{
    const char *dir = folder();
    struct tiny_model t = {.dtype = f->dtype ? f->dtype : "F32", .less = f->less};
    struct tiny_writer w = {.t = &t, .state = 9};
    struct buf b = {0};
    char name[200];
    buf_puts(&b, f->config);
    tiny_file(dir, "adapter_config.json", &b);
    buf_release(&b);
    for (int layer = 0; layer < f->layers; layer++)
        for (int i = 0; i < 7; i++)
            put_module(&w, f, layer, i);
    if (f->saved) {
        snprintf(name, sizeof name, "base_model.model.%s.weight", f->saved);
        tiny_tensor(&w, name, model.vocab, model.width, 0, 0.3f);
    }
    if (f->more)
        tiny_tensor(&w, f->more, 2, 3, 0, 1);
    tiny_save(&w, dir, "adapter_model.safetensors");
    return peft_open(dir, e);
}

static struct dev *dev;
static struct model *base;

static int load(const struct files *f, struct err *e)
{
    struct peft *p = make(f, e);
    int rc = p ? model_load_adapter(base, p, e) : -1;
    peft_close(p);
    return rc;
}

static void not_loaded(const struct files *f, const char *const *words)
{
    struct err e = {0};
    struct model_info before, after;
    model_info(base, &before);
    int rc = load(f, &e);
    model_info(base, &after);
    CHECK_MSG(rc < 0 && e.status == EXIT_CONFIG, "%s: loaded as %d", f->config, rc);
    CHECK(before.weight_bytes == after.weight_bytes);
    for (; *words; words++)
        CHECK_MSG(strstr(e.text, *words), "%s: no '%s' in: %s", f->config, *words, e.text);
}
#define NOT_LOADED(files, ...) not_loaded(files, (const char *const[]){__VA_ARGS__, NULL})

#define L1 "base_model.model.model.layers.1.self_attn.q_proj."

static void test_not_loaded(void)
{
    const char *qv = WITH("\"target_modules\":[\"q_proj\",\"v_proj\"]");
    struct files f = {.config = qv, .modules = "q_proj v_proj", .layers = 2, .rank = 4};
    struct files g = f;
    g.less = L1 "lora_B.weight";
    NOT_LOADED(&g, g.less, "missing");
    g.less = L1 "lora_A.weight";
    NOT_LOADED(&g, g.less, "missing");
    g = f;
    g.more = L1 "lora_magnitude_vector";
    NOT_LOADED(&g, g.more, "no place");
    g = f;
    g.modules = "q_proj v_proj k_proj";
    NOT_LOADED(&g, "layers.0.self_attn.k_proj.lora_A.weight", "3 more");
    g = f;
    g.layers = 3;
    NOT_LOADED(&g, "layers.2.self_attn.q_proj", "no place");
    g = f;
    g.rank = 5;
    NOT_LOADED(&g, "[5, 64]", "[4, 64]");
    g = f;
    g.saved = "lm_head"; /* there, but not named in modules_to_save */
    NOT_LOADED(&g, "lm_head.weight", "no place");
    g.config = WITH(
        "\"target_modules\":[\"q_proj\",\"v_proj\"],\"modules_to_save\":[\"lm_head\","
        "\"norm\"]");
    NOT_LOADED(&g, "modules_to_save", "norm", "embed_tokens", "lm_head");
    g = f;
    g.config = WITH(
        "\"target_modules\":[\"q_proj\",\"v_proj\"],\"modules_to_save\":[\"lm_head\"]");
    NOT_LOADED(&g, "lm_head.weight", "missing");
    g = f;
    g.config = WITH("\"target_modules\":[\"q_proj\",\"v_proj\",\"c_attn\"]");
    NOT_LOADED(&g, "target_modules", "c_attn", "self_attn.q_proj");
    g.config = WITH("\"target_modules\":[\"q_proj\",\"v_proj\",\"lm_head\"]");
    NOT_LOADED(&g, "target_modules", "lm_head", "modules_to_save");
    g.config = WITH("\"target_modules\":[\"q_proj\",\"v_proj\"],"
                    "\"target_parameters\":[\"mlp.experts.down_proj\"]");
    NOT_LOADED(&g, "target_parameters", "mlp.experts.down_proj", "there are none");
    g.config = WITH("\"target_modules\":\".*(q_proj|v_proj|embed_tokens)\"");
    NOT_LOADED(&g, "target_modules", "embed_tokens");
    g.config = WITH("\"target_modules\":\"q_proj\"");
    NOT_LOADED(&g, "target_modules", "no module");
    g.config = WITH("\"target_modules\":[]");
    NOT_LOADED(&g, "target_modules", "no module");
    g.config = WITH("\"target_modules\":\"(([a-z_.0-9]*)*)*[XY]\"");
    NOT_LOADED(&g, "too many steps");
    g.config = WITH("\"target_modules\":[\"q_proj\",\"v_proj\"],\"rank_pattern\":{"
                    "\"(([a-z_.0-9]*)*)*[XY]\":3}");
    NOT_LOADED(&g, "too many steps");
}

static void test_directories(void)
{
    struct err e = {0};
    struct buf b = {0};
    CHECK(!peft_open("/nowhere/adapter", &e) && e.status == EXIT_NOINPUT);
    char *dir = xstrdup(folder());
    CHECK(!peft_open(dir, &e) && e.status == EXIT_CONFIG && strstr(e.text, "adapter_config"));
    tiny_file(dir, "config.json", &b);
    CHECK(!peft_open(dir, &e) && strstr(e.text, "a model"));
    buf_puts(&b, "{\"peft_type\":");
    tiny_file(dir, "adapter_config.json", &b);
    CHECK(!peft_open(dir, &e) && strstr(e.text, "adapter_model.safetensors"));
    tiny_file(dir, "adapter_model.bin", &b);
    CHECK(!peft_open(dir, &e) && strstr(e.text, "pickle"));
    tiny_file(dir, "adapter_model.safetensors", &b);
    CHECK(!peft_open(dir, &e) && e.status == EXIT_CONFIG && strstr(e.text, "line 1"));
    buf_puts(&b, "\"LORA\"}");
    tiny_file(dir, "adapter_config.json", &b);
    CHECK(!peft_open(dir, &e) && e.status == EXIT_CONFIG && strstr(e.text, "safetensors"));
    char *file = xasprintf("%s/adapter_config.json", dir);
    CHECK(!peft_open(file, &e) && e.status == EXIT_CONFIG && strstr(e.text, "directory"));
    free(file);
    free(dir);
    buf_release(&b);
}

enum { N = 9 };

/* Log-probabilities of the likeliest tokens, with an adapter (0: none). */
static void run(int32_t adapter, float *out)
{
    static const int32_t ids[N] = {3, 1, 4, 1, 5, 9, 2, 6, 5},
                         pos[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    const struct span span = {0, N, 0, 0};
    int32_t page = 0, best[N];
    struct err e = {0};
    struct batch b = {ids,         pos,        N, &span, 1, &page, 1, .adapters = &adapter,
                      .rows = pos, .n_rows = N};
    CHECK(model_forward(base, &b, &e) == 0 && model_argmax(base, 0, N, best, out, &e) == 0);
}

/* Loads and runs; fails where it is not loaded. */
static void run_files(const struct files *f, float *out)
{
    struct err e = {0};
    int32_t number = load(f, &e);
    CHECK_MSG(number > 0, "%s: %s", f->config, e.text);
    if (number > 0)
        run(number, out);
}

static bool same(const float *a, const float *b)
{
    return !memcmp(a, b, N * sizeof *a);
}

/* The same change spelled in many ways, and what each leaves out. */
static void test_spellings(void)
{
    static const char *const like_list[] = {
        WITH("\"target_modules\":\".*\\\\.(q|v)_proj\""),
        WITH("\"target_modules\":null"), /* PEFT's choice for this family */
        "{" LORA "}",
        WITH("\"target_modules\":[\"self_attn.q_proj\",\"model.layers.0.self_attn.v_proj\","
             "\"model.layers.1.self_attn.v_proj\"]"),
        WITH("\"target_modules\":\"all-linear\",\"exclude_modules\":[\"k_proj\",\"o_proj\","
             "\"gate_proj\",\"up_proj\",\"mlp.down_proj\"]"),
        WITH(
            "\"target_modules\":\".*_proj\",\"exclude_modules\":\".*(k|o|gate|up|down)_proj\""),
        WITH("\"target_modules\":[\"q_proj\",\"v_proj\"],\"layers_to_transform\":[0,1],"
             "\"layers_pattern\":\"layers\""),
        WITH("\"target_modules\":[\"q_proj\",\"v_proj\"],\"rank_pattern\":{\"down_proj\":7,"
             "\"q_proj\":4}"),
        "{\"peft_type\":\"LORA\",\"r\":9,\"lora_alpha\":18,\"target_modules\":[\"q_proj\","
        "\"v_proj\"],\"rank_pattern\":{\".*\":4},\"alpha_pattern\":{\".*_proj\":8}}",
    };
    struct files f = {.config = WITH("\"target_modules\":[\"v_proj\",\"q_proj\"]"),
                      .modules = "q_proj v_proj",
                      .layers = 2,
                      .rank = 4};
    float none[N], want[N], got[N];
    run(0, none);
    run_files(&f, want);
    CHECK(!same(none, want));
    for (size_t i = 0; i < sizeof like_list / sizeof *like_list; i++) {
        f.config = like_list[i];
        run_files(&f, got);
        CHECK_MSG(same(want, got), "%s", f.config);
    }
    f.config = WITH("\"target_modules\":[\"v_proj\",\"q_proj\"],\"alpha_pattern\":{"
                    "\"layers.1.*q_proj\":9}");
    run_files(&f, got);
    CHECK(!same(want, got));
    run(0, got);
    CHECK(same(none, got)); /* adapters leave the model alone */
}

/* One layer of two, by number and in a list; a name in full is not cut down. */
static void test_layers(void)
{
    struct files f = {
        .config = WITH("\"target_modules\":[\"q_proj\"],\"layers_to_transform\":0"),
        .modules = "q_proj",
        .layers = 1,
        .rank = 4};
    float one[N], got[N];
    run_files(&f, one);
    f.config = WITH("\"target_modules\":[\"q_proj\"],\"layers_to_transform\":[0]");
    run_files(&f, got);
    CHECK(same(one, got));
    f.config = WITH("\"target_modules\":\"model.layers.0.self_attn.q_proj\"");
    run_files(&f, got);
    CHECK(same(one, got));
    f.config = WITH("\"target_modules\":[\"model.layers.0.self_attn.q_proj\"],"
                    "\"layers_to_transform\":[1]");
    run_files(&f, got);
    CHECK(same(one, got));
    f.config = WITH("\"target_modules\":[\"q_proj\"],\"layers_to_transform\":[1]");
    NOT_LOADED(&f, "layers.1.self_attn.q_proj.lora_A.weight", "missing");
}

/* f16 and bf16 tensors, and an adapter that only replaces. */
static void test_forms(void)
{
    struct files f = {.config = WITH("\"target_modules\":\"all-linear\""),
                      .modules = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj",
                      .layers = 2,
                      .rank = 4};
    float f32[N], got[N], none[N];
    run(0, none);
    run_files(&f, f32);
    static const char *const types[] = {"F16", "BF16"};
    for (int i = 0; i < 2; i++) {
        f.dtype = types[i];
        run_files(&f, got);
        double worst = 0;
        for (int k = 0; k < N; k++)
            worst = fmax(worst, fabs((double)got[k] - (double)f32[k]));
        CHECK_MSG(worst > 0 && worst < (i ? 0.2 : 0.05), "%s: %g", types[i], worst);
    }
    f = (struct files){
        .config = WITH("\"target_modules\":[],\"modules_to_save\":[\"lm_head\"]"),
        .modules = "",
        .saved = "lm_head"};
    run_files(&f, got);
    CHECK(!same(none, got));
    f.config = WITH("\"target_modules\":[],\"modules_to_save\":[\"model.embed_tokens\"]");
    f.saved = "model.embed_tokens";
    run_files(&f, f32);
    CHECK(!same(none, f32) && !same(got, f32));
}

/* ---- chosen by requests --------------------------------------------------- */

enum { REQUESTS = 4, TOKENS = 6, CHOICES = 2 };

struct answer {
    int32_t ids[TOKENS], n;
    float logprobs[TOKENS];
    double choices[CHOICES];
};

static void take_answer(void *arg, const struct infer_request *r, const struct infer_answer *a)
{
    struct answer *to = r->owner;
    (void)arg;
    to->n = a->n;
    memcpy(to->ids, a->ids, (size_t)a->n * sizeof *a->ids);
    memcpy(to->logprobs, a->logprobs, (size_t)a->n * sizeof *a->logprobs);
    if (a->choice_logprobs)
        memcpy(to->choices, a->choice_logprobs, sizeof to->choices);
}

/* The requests first .. first+n-1, all at once. */
static void answer(const struct infer_request *requests, int first, int n, struct answer *out)
{
    struct err e = {0};
    struct infer *f = infer_new(base, &(struct infer_config){N, N, REQUESTS, true});
    int rc = 0;
    for (int i = first; i < first + n && rc == 0; i++) {
        struct infer_request r = requests[i];
        r.owner = &out[i];
        rc = infer_add(f, &r, &e);
    }
    while (rc == 0 && infer_in_flight(f))
        rc = infer_step(f, take_answer, NULL, &e);
    CHECK_MSG(rc == 0, "%s", e.text);
    infer_free(f);
}

static void test_requests(void)
{
    static const int32_t prompt[] = {7, 3, 9, 1, 5}, label[] = {4, 8, 2};
    static const struct infer_choice choices[CHOICES] = {{label, 3}, {label + 1, 2}};
    struct files f = {.config = WITH("\"target_modules\":\"all-linear\""),
                      .modules = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj",
                      .layers = 2,
                      .rank = 4};
    struct err e = {0};
    struct infer_request r[REQUESTS];
    struct answer alone[REQUESTS] = {0}, together[REQUESTS] = {0};
    int32_t number = load(&f, &e);
    CHECK(number > 0);
    for (int labels = 0; labels < 2; labels++) {
        for (int i = 0; i < REQUESTS; i++)
            r[i] = (struct infer_request){.prompt = prompt,
                                          .n_prompt = 5,
                                          .max_tokens = TOKENS,
                                          .top_p = 1,
                                          .adapter = i % 2 ? number : 0,
                                          .choices = choices,
                                          .n_choices = labels ? CHOICES : 0};
        for (int i = 0; i < REQUESTS; i++)
            answer(r, i, 1, alone);
        answer(r, 0, REQUESTS, together);
        CHECK(!memcmp(alone, together, sizeof alone));
        CHECK(!memcmp(&alone[0], &alone[2], sizeof *alone));
        CHECK(memcmp(&alone[0], &alone[1], sizeof *alone) != 0);
    }
}

/* Numbers alone tell two trainings apart. */
static void test_hash(void)
{
    struct err e = {0};
    struct files f = {.config = WITH("\"target_modules\":[\"q_proj\"]"),
                      .modules = "q_proj",
                      .layers = 2,
                      .rank = 4};
    struct peft *a = make(&f, &e), *b = make(&f, &e);
    CHECK(a && b && peft_hash(a) == peft_hash(b));
    char *path = xasprintf("%s/adapter_model.safetensors", peft_dir(b));
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, -1, SEEK_END) == 0 && putc(0x3f, file) != EOF && !fclose(file));
    struct peft *c = peft_open(peft_dir(b), &e);
    CHECK(c && peft_hash(c) != peft_hash(a));
    free(path);
    peft_close(a);
    peft_close(b);
    peft_close(c);
}

int main(void)
{
    struct err e = {0};
    if (!mkdtemp(root))
        return 1;
    char *dir = xstrdup(folder());
    tiny_model_write(dir, &model);
    struct ckpt *c = ckpt_open(dir, &e);
    dev = dev_find("ref")->open(&(struct dev_config){.threads = 1}, &e);
    base = c ? model_open(dev, c, &(struct model_config){DT_F32, N, N, 1 << 20, 0}, &e) : NULL;
    free(dir);
    if (!base)
        die_err(&e);
    ckpt_close(c);
    test_patterns();
    test_hostile_patterns();
    test_refused();
    test_scale();
    test_directories();
    test_not_loaded();
    test_spellings();
    test_layers();
    test_forms();
    test_requests();
    test_hash();
    model_close(base);
    dev->ops->close(dev);
    char *command = xasprintf("rm -rf '%s'", root);
    if (system(command))
        unit_failed++;
    free(command);
    return unit_done("adapter");
}
