/* train.c - training on every backend: the reference's 20 steps, their gradients, and the
 * weights that they end in; any run of the folder train/. */
#include "session.h"

#include "base/buf.h"
#include "ckpt/peft.h"
#include "train/trainer.h"

#include <dirent.h>
#include <inttypes.h>

/* The plain backend is slow: it goes as far as the last gradients that are compared. */
enum { REF_STEPS = 5, ROWS_MAX = 64, TARGETS_MAX = 32 };

/* One row of a batch, and where its step put it. */
struct row {
    struct train_unit unit;
    struct train_seq seq;
    int32_t *ids;
    float *weight;
    int step, micro, rank;
};

struct run {
    struct golden_count *c;
    const char *dir, *name, *backend;
    json_t *config;
    struct row *rows;
    int n_rows;
    double worst_loss, worst_norm, worst_grad, worst_final;
    bool ok;
};

#define FAIL(r, ...)                                                      \
    do {                                                                  \
        char *told_ = xasprintf(__VA_ARGS__);                             \
        golden_fail((r)->c, "%s %s: %s", (r)->name, (r)->backend, told_); \
        free(told_);                                                      \
        (r)->ok = false;                                                  \
    } while (0)

static json_t *load_json(const char *dir, const char *file)
{
    char *path = xasprintf("%s/%s", dir, file);
    json_t *j = json_load_file(path, 0, NULL);
    free(path);
    return j;
}

/* ---- rows ------------------------------------------------------------------- */

static int int_at(const json_t *o, const char *name)
{
    return (int)json_integer_value(json_object_get(o, name));
}

static struct row row_of(const json_t *o)
{
    int32_t n, m;
    struct row r = {
        .step = int_at(o, "step"), .micro = int_at(o, "micro"), .rank = int_at(o, "dp2_rank")};
    r.ids = ids_of(json_object_get(o, "input_ids"), &n);
    int32_t *mask = ids_of(json_object_get(o, "loss_mask"), &m);
    r.weight = xcalloc((size_t)n, sizeof *r.weight);
    for (int32_t i = 0; i < n && i < m; i++)
        r.weight[i] = (float)mask[i];
    free(mask);
    r.seq = (struct train_seq){.tokens = n};
    r.unit = (struct train_unit){.ids = r.ids, .weight = r.weight, .tokens = n, .n_seqs = 1};
    return r;
}

static void read_rows(struct run *r, const char *file)
{
    size_t cap = 0;
    char *path = xasprintf("%s/%s", r->dir, file);
    FILE *f = fopen(path, "r");
    free(path);
    r->rows = NULL;
    r->n_rows = 0;
    for (json_t *o; f && (o = next_record(f)); json_decref(o)) {
        GROW(r->rows, cap, r->n_rows + 1);
        r->rows[r->n_rows++] = row_of(o);
    }
    if (f)
        fclose(f);
    for (int i = 0; i < r->n_rows; i++)
        r->rows[i].unit.seqs = &r->rows[i].seq;
}

static void free_rows(struct run *r)
{
    for (int i = 0; i < r->n_rows; i++) {
        free(r->rows[i].ids);
        free(r->rows[i].weight);
    }
    free(r->rows);
}

/* The units of a step; *tokens: those that count. */
static int units_of(const struct run *r, int step, struct train_unit *units, double *tokens)
{
    int n = 0;
    *tokens = 0;
    for (int i = 0; i < r->n_rows; i++) {
        if (r->rows[i].step != step || n == ROWS_MAX)
            continue;
        units[n++] = r->rows[i].unit;
        for (int32_t k = 0; k < r->rows[i].unit.tokens; k++)
            *tokens += (double)r->rows[i].weight[k];
    }
    return n;
}

/* ---- tensors ------------------------------------------------------------------ */

static struct safetensors *open_tensors(struct run *r, const char *file)
{
    struct err e = {0};
    char *path = xasprintf("%s/%s", r->dir, file);
    struct safetensors *s = safetensors_open(path, &e);
    free(path);
    if (!s)
        FAIL(r, "%s", e.text);
    return s;
}

/* The reference's values of tensor i; NULL where it has none of that name and size. */
static const float *reference(struct run *r, const struct safetensors *s,
                              const struct train_tensor *t)
{
    const struct ckpt_tensor *c = safetensors_find(s, t->name);
    if (c && c->dtype == CKPT_F32 && c->bytes == t->n * 4)
        return c->data;
    FAIL(r, "no tensor %s of %" PRId64 " values in the reference", t->name, t->n);
    return NULL;
}

static float at(const float *p, int64_t i)
{
    float x;
    memcpy(&x, (const char *)p + 4 * i, 4);
    return x;
}

static void compare_gradients(struct run *r, struct trainer *t, const char *file, double rel)
{
    struct safetensors *s = open_tensors(r, file);
    size_t n;
    const struct train_tensor *tensors = trainer_tensors(t, &n);
    struct err e = {0};
    if (s && safetensors_count(s) != n)
        FAIL(r, "%zu tensors are trained, the reference has %zu", n, safetensors_count(s));
    for (size_t i = 0; s && i < n; i++) {
        float *have = xmalloc_n((size_t)tensors[i].n, sizeof *have);
        const float *want = reference(r, s, &tensors[i]);
        double worst = 0, largest = 0;
        if (want && trainer_export(t, TRAIN_GRADIENT, i, have, &e) < 0)
            FAIL(r, "%s", e.text);
        for (int64_t k = 0; want && k < tensors[i].n; k++) {
            double w = (double)at(want, k), d = fabs((double)have[k] - w);
            largest = fmax(largest, fabs(w));
            worst = d > worst || isnan(d) ? d : worst;
        }
        free(have);
        if (!(worst <= rel * largest + 1e-7))
            FAIL(r, "%s: %s is off by %.2e of %.2e", file, tensors[i].name, worst, largest);
        if (largest > 0)
            r->worst_grad = fmax(r->worst_grad, worst / largest);
    }
    safetensors_close(s);
}

static void compare_final(struct run *r, struct trainer *t, bool lora)
{
    struct safetensors *s = open_tensors(r, lora ? "adapter_final/adapter_model.safetensors"
                                                 : "final.safetensors");
    json_t *stats = load_json(r->dir, "final_stats.json");
    size_t n;
    const struct train_tensor *tensors = trainer_tensors(t, &n);
    struct err e = {0};
    for (size_t i = 0; s && i < n; i++) {
        float *have = xmalloc_n((size_t)tensors[i].n, sizeof *have);
        const float *want = reference(r, s, &tensors[i]);
        double update = json_number_value(
            json_object_get(json_object_get(stats, tensors[i].name), "update_l2"));
        double worst = 0, norm = 0;
        if (want && trainer_export(t, TRAIN_WEIGHT, i, have, &e) < 0)
            FAIL(r, "%s", e.text);
        for (int64_t k = 0; want && k < tensors[i].n; k++) {
            double d = fabs((double)have[k] - (double)at(want, k));
            worst = d > worst || isnan(d) ? d : worst;
            norm += d * d;
        }
        free(have);
        if (!(worst <= 1e-3) || !(sqrt(norm) <= 0.02 * update))
            FAIL(r, "final %s is off by %.2e, in all %.2e of an update of %.2e",
                 tensors[i].name, worst, sqrt(norm), update);
        r->worst_final = fmax(r->worst_final, worst);
    }
    safetensors_close(s);
    json_decref(stats);
}

/* ---- a run ---------------------------------------------------------------------- */

static double number(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

static double relative(double a, double b)
{
    return fabs(a - b) / fabs(b);
}

/* The sums of the micro-batches and ranks that the reference lists. */
static void compare_parts(struct run *r, const json_t *want, int step, const double *nll)
{
    double micro[2] = {0}, rank[2] = {0};
    for (int i = 0, n = 0; i < r->n_rows; i++)
        if (r->rows[i].step == step) {
            micro[r->rows[i].micro & 1] += nll[n];
            rank[r->rows[i].rank & 1] += nll[n++];
        }
    for (int i = 0; i < 2; i++)
        if (relative(micro[i], number_at(json_object_get(want, "nll_sum_micro"), i)) > 1e-4 ||
            relative(rank[i], number_at(json_object_get(want, "nll_sum_rank_dp2"), i)) > 1e-4)
            FAIL(r, "step %d: the parts' losses are %g %g, %g %g", step, micro[0], micro[1],
                 rank[0], rank[1]);
}

static void run_step(struct run *r, struct trainer *t, const json_t *want, bool lora)
{
    struct train_unit units[ROWS_MAX];
    struct err e = {0};
    double nll[ROWS_MAX], tokens, norm, sum = 0;
    int step = int_at(want, "step"), n = units_of(r, step, units, &tokens);
    struct train_update u = {.lr = number(want, "lr"),
                             .beta1 = number_at(json_object_get(r->config, "betas"), 0),
                             .beta2 = number_at(json_object_get(r->config, "betas"), 1),
                             .eps = number(r->config, "eps"),
                             .weight_decay = number(r->config, "weight_decay"),
                             .max_norm = number(r->config, "max_grad_norm")};
    if (tokens != number(want, "n_tokens"))
        FAIL(r, "step %d has %g tokens", step, tokens);
    if (trainer_gradient(t, units, n, (float)(1 / tokens), nll, NULL, &e) < 0) {
        FAIL(r, "step %d: %s", step, e.text);
        return;
    }
    if (step == 1)
        compare_gradients(r, t, "grads_step1.safetensors", 1e-4);
    if (step == 5)
        compare_gradients(r, t, "grads_step5.safetensors", lora ? 5e-3 : 1e-4);
    for (int i = 0; i < n; i++)
        sum += nll[i];
    compare_parts(r, want, step, nll);
    if (trainer_apply(t, &u, &norm, &e) < 0)
        FAIL(r, "step %d: %s", step, e.text);
    double loss_off = relative(sum / tokens, number(want, "loss"));
    double norm_off = relative(norm, number(want, "grad_norm"));
    if (!(loss_off <= 1e-4) || !(norm_off <= 5e-4))
        FAIL(r, "step %d: loss %.6f for %.6f, norm %.6f for %.6f", step, sum / tokens,
             number(want, "loss"), norm, number(want, "grad_norm"));
    r->worst_loss = fmax(r->worst_loss, loss_off);
    r->worst_norm = fmax(r->worst_norm, norm_off);
}

static void run_steps(struct run *r, struct trainer *t, bool lora)
{
    char *path = xasprintf("%s/steps.jsonl", r->dir);
    FILE *f = fopen(path, "r");
    free(path);
    int steps = 0;
    read_rows(r, "batches.jsonl");
    for (json_t *o; f && (o = next_record(f)); json_decref(o))
        if (steps++ < REF_STEPS || strcmp(r->backend, "ref") != 0)
            run_step(r, t, o, lora);
    if (!steps)
        FAIL(r, "no steps.jsonl");
    if (f)
        fclose(f);
    free_rows(r);
}

static void evaluate(struct run *r, struct trainer *t, const char *which)
{
    struct train_unit units[ROWS_MAX];
    double nll[ROWS_MAX], tokens, sum = 0;
    struct err e = {0};
    read_rows(r, "eval.jsonl");
    int n = units_of(r, 0, units, &tokens);
    if (trainer_evaluate(t, units, n, nll, NULL, &e) < 0)
        FAIL(r, "%s", e.text);
    for (int i = 0; i < n; i++)
        sum += nll[i];
    if (!(relative(sum / tokens, number(r->config, which)) <= 5e-4))
        FAIL(r, "%s: %.6f for %.6f", which, sum / tokens, number(r->config, which));
    free_rows(r);
}

/* The reference's own first A and B. */
static void load_first(struct run *r, struct trainer *t)
{
    struct safetensors *s = open_tensors(r, "adapter_init/adapter_model.safetensors");
    size_t n;
    const struct train_tensor *tensors = trainer_tensors(t, &n);
    struct err e = {0};
    for (size_t i = 0; s && i < n; i++) {
        const float *from = reference(r, s, &tensors[i]);
        float *copy = xmalloc_n((size_t)tensors[i].n, sizeof *copy);
        if (from)
            memcpy(copy, from, (size_t)tensors[i].n * sizeof *copy);
        if (from && trainer_import(t, TRAIN_WEIGHT, i, copy, &e) < 0)
            FAIL(r, "%s", e.text);
        free(copy);
    }
    if (trainer_changed(t, &e) < 0)
        FAIL(r, "%s", e.text);
    safetensors_close(s);
}

/* What decays is what the reference says. */
static void compare_decay(struct run *r, struct trainer *t)
{
    size_t n, decays = 0;
    const struct train_tensor *tensors = trainer_tensors(t, &n);
    const json_t *list = json_object_get(r->config, "decay_params");
    for (size_t i = 0; i < n; i++) {
        bool want = false;
        for (size_t k = 0; k < json_array_size(list) && !want; k++)
            want = !strcmp(json_string_value(json_array_get(list, k)), tensors[i].name);
        if (want != tensors[i].decay)
            FAIL(r, "%s: decay %d", tensors[i].name, tensors[i].decay);
        decays += want;
    }
    if (decays != json_array_size(list))
        FAIL(r, "%zu of %zu tensors that decay", decays, json_array_size(list));
}

static struct trainer *open_run(struct run *r, struct dev *d, bool lora, struct err *e)
{
    const json_t *l = json_object_get(r->config, "lora");
    const json_t *list = json_object_get(l, "target_modules");
    const char *targets[TARGETS_MAX];
    struct train_lora adapter = {.rank = int_at(l, "r"),
                                 .alpha = number(l, "lora_alpha"),
                                 .rslora = json_is_true(json_object_get(l, "use_rslora")),
                                 .targets = targets};
    struct trainer_options o = {.dtype = DT_F32, .tokens = 512};
    for (size_t i = 0; i < json_array_size(list) && i < TARGETS_MAX; i++)
        targets[adapter.n_targets++] = json_string_value(json_array_get(list, i));
    o.lora = lora ? &adapter : NULL;
    char *path = xasprintf("%s/%s", r->dir,
                           json_string_value(json_object_get(r->config, "model")));
    struct ckpt *c = ckpt_open(path, e);
    free(path);
    struct trainer *t = c ? trainer_open(d, c, &o, e) : NULL;
    ckpt_close(c);
    return t;
}

static void run_backend(struct golden_count *c, const char *dir, const char *name,
                        const struct backend *backend)
{
    struct run r = {.c = c, .dir = dir, .name = name, .backend = backend->name, .ok = true};
    struct err e = {0};
    struct dev *d = backend_open(backend);
    if (!d)
        return;
    if (!d->ops->train) {
        printf("golden/%s: %s cannot train: skipped\n", c->kind, backend->name);
        c->skipped++;
        d->ops->close(d);
        return;
    }
    r.config = load_json(dir, "config.json");
    const char *kind = json_string_value(json_object_get(r.config, "kind"));
    bool lora = kind && !strcmp(kind, "lora");
    struct trainer *t = open_run(&r, d, lora, &e);
    if (!t)
        FAIL(&r, "%s", e.text);
    if (t && lora)
        load_first(&r, t);
    if (t) {
        compare_decay(&r, t);
        evaluate(&r, t, "eval_loss_before");
        run_steps(&r, t, lora);
        if (strcmp(r.backend, "ref") != 0) {
            compare_final(&r, t, lora);
            evaluate(&r, t, "eval_loss_after");
        }
        printf("golden/%s: %s %s: loss %.1e, norm %.1e, gradients %.1e, final %.1e\n", c->kind,
               name, backend->name, r.worst_loss, r.worst_norm, r.worst_grad, r.worst_final);
    }
    c->passed += r.ok;
    trainer_close(t);
    json_decref(r.config);
    d->ops->close(d);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "train"};
    char folder[512];
    snprintf(folder, sizeof folder, "%s/train", argc > 1 ? argv[1] : "");
    struct dirent **names;
    int n = golden_have(folder) ? scandir(folder, &names, NULL, alphasort) : 0;
    if (n <= 0) {
        printf("golden/train: no folder %s: skipped\n", folder);
        c.skipped++;
    }
    for (int i = 0; i < n; i++) {
        char *dir = xasprintf("%s/%s", folder, names[i]->d_name);
        for (int b = 0; names[i]->d_name[0] != '.' && b < BACKENDS; b++)
            run_backend(&c, dir, names[i]->d_name, &backends[b]);
        free(dir);
        free(names[i]);
    }
    if (n > 0)
        free(names);
    golden_report(&c);
    return golden_done();
}
