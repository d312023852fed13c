/* merged.h - an adapter beside a model against a model that it was merged into. */
#ifndef MERGED_H
#define MERGED_H

#include "reference.h"

#include "files.h"
#include "model/merge.h"

/* Between merged and unmerged, which are rounded in other places: what is asked for.  The
 * reference's own two ways differ by 8.2e-5. */
static const double MERGED = 1e-3;

/* Of the adapters that are made here. */
enum { MADE_RANK = 4 };

struct adapter_case {
    char name[256], base[256]; /* adapter, and the model that it goes with */
    char prompts[300];         /* a file of the reference without its suffix */
    struct peft *peft;
    bool swapped; /* outputs of experts' parameters stand in A, inputs in B */
};

/* alpha / r or alpha / sqrt(r), known here from the reference's table and not from the code
 * that is tested: alpha is 16, and 32 for v_proj in the adapter of patterns. */
static double scale_of(const struct adapter_case *a, const char *tensor, int64_t r)
{
    bool pattern = strstr(a->name, "pattern") && strstr(tensor, ".v_proj.");
    return (pattern ? 32 : 16) / (strstr(a->name, "rslora") ? sqrt((double)r) : (double)r);
}

/* W + s B A in f32; NULL where the adapter does not change the tensor. */
static float *merge(const struct adapter_case *a, const struct ckpt_tensor *w)
{
    const struct safetensors *file = peft_tensors(a->peft);
    char name[600];
    int n = (int)strlen(w->name) - (int)strlen(".weight");
    snprintf(name, sizeof name, "base_model.model.%s", w->name);
    const struct ckpt_tensor *whole = safetensors_find(file, name);
    snprintf(name, sizeof name, "base_model.model.%.*s.lora_A.weight", n < 0 ? 0 : n, w->name);
    const struct ckpt_tensor *A = safetensors_find(file, name);
    snprintf(name, sizeof name, "base_model.model.%.*s.lora_B.weight", n < 0 ? 0 : n, w->name);
    const struct ckpt_tensor *B = safetensors_find(file, name);
    if (!whole && !(A && B))
        return NULL;
    int64_t rows = w->shape[0], cols = w->shape[1];
    float *out = xmalloc_n((size_t)(rows * cols), sizeof *out);
    for (int64_t i = 0; i < rows * cols; i++) {
        if (whole) {
            out[i] = ckpt_value(whole, i);
            continue;
        }
        double sum = 0;
        for (int64_t k = 0; k < A->shape[0]; k++)
            sum += (double)ckpt_value(B, i / cols * A->shape[0] + k) *
                   (double)ckpt_value(A, k * cols + i % cols);
        out[i] = ckpt_value(w, i) + (float)(scale_of(a, w->name, A->shape[0]) * sum);
    }
    return out;
}

/* s B A of expert e between input i and output o, where both tensors hold all E experts: A one
 * behind the other, B side by side in each rank. */
static double expert_delta(const struct adapter_case *a, const struct ckpt_tensor *A,
                           const struct ckpt_tensor *B, const int64_t *at, int64_t E)
{
    int64_t e = at[0], i = a->swapped ? at[2] : at[1], o = a->swapped ? at[1] : at[2];
    int64_t all = A->shape[0], r = all / E;
    double sum = 0;
    for (int64_t j = 0; j < r; j++)
        sum += (double)ckpt_value(A, (e * r + j) * A->shape[1] + i) *
               (double)ckpt_value(B, o * all + j * E + e);
    return scale_of(a, "", r) * sum;
}

/* The same for a tensor of one expert [out, in], or of all [E, in, out], that an adapter of
 * parameters changes; gate stands before up. */
static float *merge_experts(const struct adapter_case *a, const struct ckpt_tensor *w)
{
    const struct safetensors *file = peft_tensors(a->peft);
    const char *part = strstr(w->name, ".experts.");
    char name[600];
    if (!part || strstr(part, "_bias"))
        return NULL;
    part += strlen(".experts.");
    int prefix = (int)(part - 1 - w->name);
    int64_t e = w->nd == 2 ? strtol(part, NULL, 10) : 0;
    bool down = strstr(part, "down_proj"), up = w->nd == 2 && strstr(part, "up_proj");
    snprintf(name, sizeof name, "base_model.model.%.*s%s.lora_A.weight", prefix, w->name,
             down ? "" : ".base_layer");
    const struct ckpt_tensor *A = safetensors_find(file, name);
    snprintf(name, sizeof name, "base_model.model.%.*s%s.lora_B.weight", prefix, w->name,
             down ? "" : ".base_layer");
    const struct ckpt_tensor *B = safetensors_find(file, name);
    if (!A || !B)
        return NULL;
    int64_t E = A->shape[0] / MADE_RANK, rows = w->shape[w->nd - 2], cols = w->shape[w->nd - 1];
    int64_t n = (w->nd == 3 ? E : 1) * rows * cols;
    float *out = xmalloc_n((size_t)n, sizeof *out);
    for (int64_t x = 0; x < n; x++) {
        int64_t row = x / cols % rows, col = x % cols;
        const int64_t columns[] = {x / cols / rows, row, col}; /* expert, input, output */
        const int64_t apart[] = {e, col, row + (up ? rows : 0)};
        out[x] = ckpt_value(w, x) +
                 (float)expert_delta(a, A, B, w->nd == 3 ? columns : apart, E);
    }
    return out;
}

static const char *const model_files[] = {"config.json", "model.safetensors", NULL};

static void write_merged(const struct adapter_case *a, const struct ckpt *base, const char *dir)
{
    struct tensor_file f = {0};
    for (size_t i = 0; i < ckpt_count(base); i++) {
        const struct ckpt_tensor *t = ckpt_at(base, i);
        float *merged = t->nd > 1 ? merge_experts(a, t) : NULL;
        if (!merged && t->nd == 2)
            merged = merge(a, t);
        int64_t n = t->nd > 1 ? t->shape[0] * t->shape[1] : 0;
        n *= t->nd == 3 ? t->shape[2] : 1;
        size_t bytes = merged ? (size_t)n * 4 : (size_t)t->bytes;
        tensor_file_add(&f, t->name, merged ? "F32" : t->dtype_name, t->nd, t->shape,
                        merged ? (const void *)merged : t->data, bytes);
        free(merged);
    }
    tensor_file_write(&f, dir, "model.safetensors");
    files_copy(ckpt_dir(base), dir, "config.json");
}

static double run_pair(struct dev *d, const struct adapter_case *a, const struct ckpt *base,
                       const struct ckpt *merged, const int32_t *ids, int32_t n, struct err *e)
{
    struct model *x = session_open(d, base, DT_F32, e), *y = session_open(d, merged, DT_F32, e);
    struct model_info info;
    double worst = INFINITY;
    if (x && y && model_load_adapter(x, a->peft, e) == 1) {
        model_info(x, &info);
        struct result rx = result_new(n, 1, &info), ry = result_new(n, 0, &info);
        if (run_chunks(x, &rx, ids, n, NULL, e) == 0 &&
            run_chunks(y, &ry, ids, n, NULL, e) == 0)
            worst = worst_of(rx.logits, ry.logits, (size_t)n * (size_t)info.vocab, NULL);
        result_free(&rx);
        result_free(&ry);
    }
    model_close(x);
    model_close(y);
    return worst;
}

/* What the library makes of the tensors of `like` against what was merged here, both rounded
 * once: the same but for the last bit. */
static void check_library(struct golden_count *c, const struct adapter_case *a,
                          const struct ckpt *like, const struct ckpt *merged)
{
    struct err e = {0};
    struct merge *g = merge_open(like, a->peft, &e);
    struct save_tensor s;
    double worst = 0;
    size_t changed = 0, want = 0;
    for (size_t i = 0; g && i < ckpt_count(like); i++) {
        const struct ckpt_tensor *was = ckpt_at(like, i), *t = ckpt_find(merged, was->name);
        if (t->bytes != was->bytes || t->dtype != was->dtype ||
            memcmp(t->data, was->data, (size_t)t->bytes))
            want++;
        if (!merge_tensor(g, i, &s))
            continue;
        int64_t n = t->bytes / 4;
        float *v = xmalloc_n((size_t)n, sizeof *v);
        changed++;
        for (int64_t at = 0, part; at < n; at += part) { /* rows are cut anywhere */
            part = n - at < 1000 ? n - at : 1000;
            if (s.read(s.arg, at, part, v + at, &e) < 0)
                die_err(&e);
        }
        for (int64_t k = 0; k < n; k++)
            worst = fmax(worst, fabs((double)v[k] - (double)ckpt_value(t, k)));
        free(v);
    }
    if (!g || changed != want || worst > 1e-6)
        golden_fail(c, "%s merged by the library: %s, %zu tensors of %zu, %g off", a->name,
                    g ? "no error" : e.text, changed, want, worst);
    else
        c->passed++;
    merge_close(g);
}

/* On every backend, over the prompt ids[n].  `like` is merged into: the base, or one with the
 * same values in other types. */
static void check_merged(struct golden_count *c, const struct ckpt *base,
                         const struct ckpt *like, const struct adapter_case *a,
                         const int32_t *ids, int32_t n)
{
    struct err e = {0};
    const char *dir = files_dir();
    write_merged(a, like, dir);
    struct ckpt *merged = ckpt_open(dir, &e);
    for (int i = 0; i < BACKENDS; i++) {
        struct dev *d = merged ? backend_open(&backends[i]) : NULL;
        struct at at = {c, a->name, backends[i].name, "merged"};
        if (!d)
            continue;
        double worst = run_pair(d, a, base, merged, ids, n, &e);
        printf("golden/%s: %s %s merged: logits %.1e\n", c->kind, a->name, backends[i].name,
               worst);
        c->passed += bound(&at, e.status ? e.text : "logits", worst, MERGED);
        d->ops->close(d);
    }
    if (merged)
        check_library(c, a, like, merged);
    else
        golden_fail(c, "%s merged: %s", a->name, e.text);
    ckpt_close(merged);
    files_remove(dir, model_files);
}

#endif
