/* peft.c - published adapters: each is loaded, or refused for the reason that is stated here.
 *
 * The configurations come without tensors, so those that a configuration asks for are made here
 * for a small model of its family; the two whole adapters are of other families and are
 * refused.
 */
#include "session.h"

#include "ckpt/peft.h"
#include "files.h"

#include <dirent.h>

/* What a name begins with, the small model that it is tried on, and why it is refused: a part
 * of the message, or NULL where it must load.  The first line that fits counts. */
static const struct verdict {
    const char *name, *model, *why;
    int rank;
    const char *targets; /* for tensors: ends of module names */
} verdicts[] = {
    {"peft-MetaMathQA-llama-3.2-3B-rank10-target-mlp.", "llama-gqa-f32", NULL, 10,
     "gate_proj up_proj down_proj"},
    {"peft-MetaMathQA-llama-3.2-3B-rank14-target-mlp-bdlora.", "llama-gqa-f32", "use_bdlora",
     14, "gate_proj up_proj down_proj"},
    {"peft-MetaMathQA-llama-3.2-3B-rank32-dora.", "llama-gqa-f32", "use_dora", 32,
     "q_proj v_proj"},
    {"peft-MetaMathQA-llama-3.2-3B-rank32-kasa.", "llama-gqa-f32", "kasa_config", 32,
     "q_proj v_proj"},
    /* LoRA-FA, MiCA and Riemannian training change how A and B are found, not what they mean.
     */
    {"peft-MetaMathQA-llama-3.2-3B-rank32", "llama-gqa-f32", NULL, 32, "q_proj v_proj"},
    {"peft-MetaMathQA-llama-3.2-3B-rank64", "llama-gqa-f32", NULL, 64, "q_proj v_proj"},
    {"peft-image-gen-flux2-klein-rank64-kasa.", "llama-gqa-f32", "kasa_config", 64, ""},
    {"peft-image-gen-flux2-klein-", "llama-gqa-f32", "to_out.0 is no module", 64, ""},
    {"peft-text_generation_benchmark-lora_r8.", "llama-gqa-f32", NULL, 8, "q_proj v_proj"},
    {"phishing-qwen-lora.", "qwen2-bias-f32", NULL, 8,
     "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"},
    {"qwen2.5-lora.", "qwen2-bias-bf16", NULL, 32,
     "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"},
    {"qwen3-lora.", "qwen3-qknorm-bf16", NULL, 32,
     "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"},
    {"distilbert-emotion-lora", "llama-gqa-f32", "task_type", 0, ""},
    {"gpt2-lora", "llama-gqa-f32", "fan_in_fan_out", 0, ""},
};

static const struct verdict *verdict_of(const char *name)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (!strncmp(name, verdicts[i].name, strlen(verdicts[i].name)))
            return &verdicts[i];
    return NULL;
}

/* ---- tensors for a configuration ------------------------------------------ */

/* The module's last name is one of the words. */
static bool is_target(const char *words, const char *module, size_t n)
{
    size_t from = n;
    while (from && module[from - 1] != '.')
        from--;
    for (const char *w = words; *w; w += strcspn(w, " "), w += *w == ' ')
        if (strcspn(w, " ") == n - from && !memcmp(w, module + from, n - from))
            return true;
    return false;
}

static void write_tensors(const char *dir, const struct ckpt *base, const struct verdict *v)
{
    struct tensor_file f = {0};
    char name[600];
    for (size_t i = 0; i < ckpt_count(base); i++) {
        const struct ckpt_tensor *t = ckpt_at(base, i);
        size_t n = strlen(t->name), tail = strlen(".weight");
        if (t->nd != 2 || n <= tail || !is_target(v->targets, t->name, n - tail))
            continue;
        int64_t a[] = {v->rank, t->shape[1]}, b[] = {t->shape[0], v->rank};
        float *x = xcalloc((size_t)(a[0] * a[1] + b[0] * b[1]), sizeof *x);
        for (int64_t k = 0; k < a[0] * a[1] + b[0] * b[1]; k++)
            x[k] = (float)((k * 7919 + (int64_t)i) % 17 - 8) * 0x1p-8f;
        snprintf(name, sizeof name, "base_model.model.%.*s.lora_A.weight", (int)(n - tail),
                 t->name);
        tensor_file_add(&f, name, "F32", 2, a, x, (size_t)(a[0] * a[1] * 4));
        snprintf(name, sizeof name, "base_model.model.%.*s.lora_B.weight", (int)(n - tail),
                 t->name);
        tensor_file_add(&f, name, "F32", 2, b, x + a[0] * a[1], (size_t)(b[0] * b[1] * 4));
        free(x);
    }
    tensor_file_write(&f, dir, "adapter_model.safetensors");
}

/* ---- one adapter ---------------------------------------------------------- */

/* Loaded beside the model, it must change what the model says. */
static int load_and_run(const struct ckpt *base, const struct peft *p, bool *changed,
                        struct err *e)
{
    static const int32_t ids[] = {3, 1, 4, 1, 5, 9, 2, 6};
    enum { N = sizeof ids / sizeof *ids };
    const int32_t with[] = {1};
    const struct batch extra = {.adapters = with};
    float alone[N], now[N];
    int32_t best[N];
    struct dev *d = backend_open(&backends[0]);
    struct model *m = session_open(d, base, DT_F32, e);
    int rc = m && model_load_adapter(m, p, e) == 1 ? 0 : -1;
    if (rc == 0)
        rc = session_step(m, ids, 0, N, NULL, e);
    if (rc == 0)
        rc = model_argmax(m, 0, N, best, alone, e);
    if (rc == 0)
        rc = session_step(m, ids, 0, N, &extra, e);
    if (rc == 0)
        rc = model_argmax(m, 0, N, best, now, e);
    *changed = rc == 0 && memcmp(alone, now, sizeof now) != 0;
    model_close(m);
    d->ops->close(d);
    return rc;
}

static void judge(struct golden_count *c, const char *golden, const char *name, const char *dir,
                  bool make)
{
    char path[4600];
    struct err e = {0};
    const struct verdict *v = verdict_of(name);
    bool changed = false;
    if (!v) {
        golden_fail(c, "%s: no verdict is stated for it", name);
        return;
    }
    snprintf(path, sizeof path, "%s/models/%s", golden, v->model);
    struct ckpt *base = ckpt_open(path, &e);
    if (base && make)
        write_tensors(dir, base, v);
    struct peft *p = base ? peft_open(dir, &e) : NULL;
    int rc = p ? load_and_run(base, p, &changed, &e) : -1;
    const char *text = strstr(e.text, "adapter_config.json");
    printf("golden/peft: %s: %s\n", name, rc == 0 ? "loaded" : text ? text : e.text);
    if (v->why ? rc < 0 && e.status == EXIT_CONFIG && strstr(e.text, v->why) != NULL
               : rc == 0 && changed)
        c->passed++;
    else
        golden_fail(c, "%s: %s", name, v->why ? v->why : rc < 0 ? e.text : "nothing changed");
    peft_close(p);
    ckpt_close(base);
}

static const char *const adapter_files[] = {"adapter_config.json", "adapter_model.safetensors",
                                            NULL};

static void judge_config(struct golden_count *c, const char *golden, const char *folder,
                         const char *name)
{
    char path[4600];
    struct buf b = {0};
    struct err e = {0};
    const char *dir = files_dir();
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_read(&b, path, 1 << 20, &e) < 0)
        die_err(&e);
    files_put(dir, "adapter_config.json", b.p, b.n);
    buf_release(&b);
    judge(c, golden, name, dir, true);
    files_remove(dir, adapter_files);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_folder(struct golden_count *c, const char *golden, const char *folder,
                       bool configs)
{
    struct dirent **list;
    int n = scandir(folder, &list, NULL, by_name);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        char path[4600];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (*name != '.' && configs)
            judge_config(c, golden, folder, name);
        else if (*name != '.' && strcmp(name, "configs") != 0)
            judge(c, golden, name, path, false);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "peft"};
    const char *golden = argc > 2 ? argv[1] : "", *material = argc > 2 ? argv[2] : "";
    char folder[4096], configs[4600], models[4096];
    snprintf(folder, sizeof folder, "%s/conformance/peft", material);
    snprintf(configs, sizeof configs, "%s/configs", folder);
    snprintf(models, sizeof models, "%s/models", golden);
    if (!golden_have(folder) || !golden_have(models)) {
        printf("golden/peft: no %s: skipped\n", golden_have(folder) ? models : folder);
        c.skipped++;
    } else {
        run_folder(&c, golden, configs, true);
        run_folder(&c, golden, folder, false);
    }
    golden_report(&c);
    return golden_done();
}
