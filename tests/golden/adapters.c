/* adapters.c - LoRA adapters on every backend: the reference's numbers, alone and in one batch
 * with the base model and other adapters, and against weights that they were merged into. */
#include "merged.h"

#include <dirent.h>

enum { ADAPTERS_MAX = 16, SEQUENCES_MAX = 2 * ADAPTERS_MAX + 1, MIXED_CHUNK = 7 };

/* ---- one batch for all ---------------------------------------------------- */

/* A sequence of the mixed batch, its own bits when it was alone, and those it gets in company.
 */
struct mixed {
    int32_t *ids;
    struct result alone, now;
};

/* All sequences advance together, MIXED_CHUNK tokens at a time, until the longest has ended. */
static int run_mixed(struct model *m, struct mixed *v, int32_t n, struct err *e)
{
    static int32_t ids[SEQUENCES_MAX * MIXED_CHUNK], pos[SEQUENCES_MAX * MIXED_CHUNK];
    static int32_t rows[SEQUENCES_MAX * MIXED_CHUNK], pages[SEQUENCES_MAX * LIST];
    struct span spans[SEQUENCES_MAX];
    int32_t adapters[SEQUENCES_MAX], whose[SEQUENCES_MAX];
    for (int32_t i = 0; i < n * LIST; i++)
        pages[i] = i;
    for (int32_t at = 0;; at += MIXED_CHUNK) {
        struct batch b = {.ids = ids,
                          .pos = pos,
                          .rows = rows,
                          .spans = spans,
                          .pages = pages,
                          .n_pages = n * LIST,
                          .adapters = adapters};
        for (int32_t i = 0; i < n; i++) {
            int32_t left = v[i].now.n - at, count = left < MIXED_CHUNK ? left : MIXED_CHUNK;
            if (count <= 0)
                continue;
            whose[b.n_spans] = i;
            adapters[b.n_spans] = v[i].now.adapter[0];
            spans[b.n_spans++] = (struct span){b.tokens, count, at, i * LIST};
            for (int32_t k = 0; k < count; k++, b.tokens++) {
                ids[b.tokens] = v[i].ids[at + k];
                pos[b.tokens] = at + k;
                rows[b.tokens] = b.tokens;
            }
        }
        if (!b.n_spans)
            return 0;
        b.n_rows = b.tokens;
        if (model_forward(m, &b, e) < 0)
            return -1;
        for (int32_t i = 0; i < b.n_spans; i++) {
            struct mixed *x = &v[whose[i]];
            if (take(m, &x->now, x->ids, spans[i].first, at, spans[i].count, e) < 0)
                return -1;
        }
    }
}

/* Prompts of several lengths: the i-th record of a reference, NULL where it has none. */
static int32_t *prompt_of(const char *golden, const struct adapter_case *a, int i, int32_t *n)
{
    char path[4600];
    snprintf(path, sizeof path, "%s/%s.jsonl", golden, a->prompts);
    FILE *f = fopen(path, "r");
    int32_t *ids = NULL;
    for (json_t *rec; (rec = next_record(f)); json_decref(rec))
        if (i-- == 0)
            ids = ids_of(json_object_get(rec, "input_ids"), n);
    if (f)
        fclose(f);
    return ids;
}

static struct model *open_mixed(struct dev *d, const struct ckpt *ckpt, enum dtype dtype,
                                int32_t n, struct err *e)
{
    struct model *m = session_open(d, ckpt, dtype, e);
    struct model_info info;
    if (!m)
        return NULL;
    model_info(m, &info);
    model_close(m);
    return model_open(
        d, ckpt,
        &(struct model_config){dtype, n * ROOM, n * ROOM, n * LIST * info.page_bytes, 0}, e);
}

/* Every adapter of a model twice and the model alone, none beside its like; the adapters are
 * loaded in the opposite order, so that their numbers are others than when each was alone. */
static void check_mixed(struct golden_count *c, const char *golden, const struct ckpt *ckpt,
                        struct adapter_case **group, int32_t n, const struct backend *backend,
                        enum dtype dtype)
{
    struct err e = {0};
    struct mixed v[SEQUENCES_MAX];
    struct model_info info;
    int32_t all = 2 * n + 1, wrong = 0;
    struct dev *d = backend_open(backend);
    if (!d)
        return;
    struct model *m = open_mixed(d, ckpt, dtype, all, &e);
    int rc = m ? 0 : -1;
    for (int32_t i = n; rc == 0 && i-- > 0;)
        rc = model_load_adapter(m, group[i]->peft, &e) < 0 ? -1 : 0;
    if (m)
        model_info(m, &info);
    int32_t made = 0;
    for (; rc == 0 && made < all; made++) { /* 1..n, none, 1..n */
        int32_t number = made == n ? 0 : n - made % (n + 1), len = 0;
        v[made].ids = prompt_of(golden, group[made % n], 1 + made % 4, &len);
        v[made].alone = result_new(len, number, &info);
        v[made].now = result_new(len, number, &info);
        rc = run_chunks(m, &v[made].alone, v[made].ids, len, NULL, &e);
    }
    if (rc == 0)
        rc = run_mixed(m, v, all, &e);
    for (int32_t i = 0; i < made; i++) {
        wrong += !result_same(&v[i].alone, &v[i].now);
        result_free(&v[i].alone);
        result_free(&v[i].now);
        free(v[i].ids);
    }
    if (rc < 0)
        golden_fail(c, "%s %s mixed: %s", group[0]->base, backend->name, e.text);
    else if (wrong)
        golden_fail(c, "%s %s: %d of %d sequences have other bits in one batch", group[0]->base,
                    backend->name, wrong, all);
    else
        c->passed++;
    model_close(m);
    d->ops->close(d);
}

/* ---- all adapters --------------------------------------------------------- */

static void run_alone(struct golden_count *c, const char *golden, const struct adapter_case *a,
                      const struct ckpt *ckpt)
{
    char records[4600], hidden[4600];
    snprintf(records, sizeof records, "%s/golden_lora/%s.jsonl", golden, a->name);
    snprintf(hidden, sizeof hidden, "%s/golden_lora/%s.p1.hidden.safetensors", golden, a->name);
    const struct place p = {a->name, ckpt_dir(ckpt), records, hidden, a->peft};
    for (int i = 0; i < BACKENDS; i++) {
        run_backend(c, &p, ckpt, &backends[i], DT_F32);
        run_backend(c, &p, ckpt, &backends[i], DT_BF16);
    }
}

/* Whether this version has the architecture, told by opening the model. */
static bool have_model(const struct ckpt *ckpt, struct err *e)
{
    struct dev *ref = backend_open(&backends[0]);
    struct model *m = session_open(ref, ckpt, DT_F32, e);
    model_close(m);
    ref->ops->close(ref);
    return m;
}

/* The adapters of one base model. */
static void run_group(struct golden_count *c, const char *golden, struct adapter_case **group,
                      int32_t n)
{
    char dir[4600];
    struct err e = {0};
    snprintf(dir, sizeof dir, "%s/models/%s", golden, group[0]->base);
    struct ckpt *ckpt = ckpt_open(dir, &e);
    if (!ckpt || !have_model(ckpt, &e)) {
        if (ckpt && strstr(e.text, "model_type")) {
            printf("golden/%s: %s and %d more skipped: %s\n", c->kind, group[0]->name, n - 1,
                   e.text);
            c->skipped += n;
        } else {
            golden_fail(c, "%s: %s", group[0]->name, e.text);
        }
        ckpt_close(ckpt);
        return;
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t tokens = 0;
        int32_t *ids = prompt_of(golden, group[i], 3, &tokens);
        run_alone(c, golden, group[i], ckpt);
        check_merged(c, ckpt, ckpt, group[i], ids, tokens);
        free(ids);
    }
    for (int i = 0; i < BACKENDS; i++) {
        check_mixed(c, golden, ckpt, group, n, &backends[i], DT_F32);
        check_mixed(c, golden, ckpt, group, n, &backends[i], DT_BF16);
    }
    ckpt_close(ckpt);
}

/* The adapter's name and the base model that its reference names. */
static bool read_case(struct adapter_case *a, const char *golden, const char *name,
                      struct golden_count *c)
{
    char path[4600];
    struct err e = {0};
    snprintf(path, sizeof path, "%s/golden_lora/%s.jsonl", golden, name);
    FILE *f = fopen(path, "r");
    json_t *rec = next_record(f);
    const char *base = json_string_value(json_object_get(rec, "base_model"));
    snprintf(a->name, sizeof a->name, "%s", name);
    snprintf(a->base, sizeof a->base, "%s", base ? base : "?");
    snprintf(a->prompts, sizeof a->prompts, "golden_lora/%.200s", name);
    json_decref(rec);
    if (f) {
        while ((rec = next_record(f))) /* to its end: the reader keeps a line */
            json_decref(rec);
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/adapters/%s", golden, name);
    a->peft = peft_open(path, &e);
    if (!a->peft)
        golden_fail(c, "%s: %s", name, e.text);
    return a->peft;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_adapters(struct golden_count *c, const char *golden)
{
    static struct adapter_case cases[ADAPTERS_MAX];
    struct adapter_case *group[ADAPTERS_MAX];
    char dir[4096];
    struct dirent **list;
    int32_t n = 0;
    snprintf(dir, sizeof dir, "%.4000s/adapters", golden);
    int entries = scandir(dir, &list, NULL, by_name);
    if (entries < 0) {
        printf("golden/%s: no %s: skipped\n", c->kind, dir);
        c->skipped++;
        return;
    }
    for (int i = 0; i < entries; i++) {
        if (list[i]->d_name[0] != '.' && n < ADAPTERS_MAX)
            n += read_case(&cases[n], golden, list[i]->d_name, c);
        free(list[i]);
    }
    free(list);
    for (int32_t i = 0; i < n; i++) { /* those of a base model stand together, by the first */
        int32_t in_group = 0;
        bool done = false;
        for (int32_t k = 0; k < n; k++)
            if (!strcmp(cases[k].base, cases[i].base)) {
                done = done || k < i;
                group[in_group++] = &cases[k];
            }
        if (!done)
            run_group(c, golden, group, in_group);
    }
    for (int32_t i = 0; i < n; i++)
        peft_close(cases[i].peft);
}

/* ---- every family --------------------------------------------------------- */

/* What an adapter of every projection is made of: experts' parameters, the way that PEFT writes
 * them now or did before; or a module for each expert. */
enum made { MADE_PARAMETERS, MADE_SWAPPED, MADE_APART, MADE };

struct maker {
    struct tensor_file file;
    uint64_t state;
};

/* A [a0, a1] and B [b0, b1] of a module. */
static void make_pair(struct maker *m, const char *module, int length, const int64_t a[2],
                      const int64_t b[2])
{
    char name[600];
    for (int k = 0; k < 2; k++) {
        const int64_t *shape = k ? b : a;
        int64_t n = shape[0] * shape[1];
        float *x = xcalloc((size_t)n, sizeof *x);
        for (int64_t j = 0; j < n; j++) {
            m->state = m->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            x[j] = (float)(int)(m->state >> 40) * 0x1p-27f - 0x1p-4f;
        }
        snprintf(name, sizeof name, "base_model.model.%.*s.lora_%c.weight", length, module,
                 "AB"[k]);
        tensor_file_add(&m->file, name, "F32", 2, shape, x, (size_t)n * sizeof *x);
        free(x);
    }
}

/* A linear layer of the model: PEFT's modules are named as their weights. */
static void make_linear(struct maker *m, const struct ckpt_tensor *t, enum made made)
{
    bool router = made == MADE_APART && strstr(t->name, ".mlp.gate.weight");
    bool expert = strstr(t->name, ".experts.");
    if (t->nd != 2 || (!strstr(t->name, "_proj.weight") && !router) ||
        (expert && made != MADE_APART))
        return;
    int64_t a[] = {MADE_RANK, t->shape[1]}, b[] = {t->shape[0], MADE_RANK};
    make_pair(m, t->name, (int)(strlen(t->name) - strlen(".weight")), a, b);
}

/* A layer's parameter of all experts, told by the tensor of all, or of the first one. */
static void make_parameter(struct maker *m, const struct ckpt *base,
                           const struct ckpt_tensor *t, enum made made)
{
    const char *part = strstr(t->name, ".experts.");
    char name[600];
    int prefix = part ? (int)(part - t->name + (int)strlen(".experts")) : 0;
    bool apart = t->nd == 2 && part && !strncmp(part, ".experts.0.", 11);
    if (!part || strstr(part, "_bias") || (t->nd != 3 && !apart) || strstr(part, "up_proj.w"))
        return;
    int64_t E = t->shape[0], K = t->shape[1], N = t->shape[2];
    bool down = strstr(part, "down_proj");
    if (apart) {
        for (E = 0;; E++) {
            snprintf(name, sizeof name, "%.*s.%d.down_proj.weight", prefix, t->name, (int)E);
            if (!ckpt_find(base, name))
                break;
        }
        N = down ? t->shape[0] : 2 * t->shape[0];
    }
    bool swapped = made == MADE_SWAPPED;
    int64_t a[] = {MADE_RANK * E, swapped ? N : K}, b[] = {swapped ? K : N, MADE_RANK * E};
    snprintf(name, sizeof name, "%.*s%s", prefix, t->name, down ? "" : ".base_layer");
    make_pair(m, name, (int)strlen(name), a, b);
}

static void write_adapter(const char *dir, const struct ckpt *base, enum made made)
{
    struct maker m = {.state = 1};
    struct buf config = {0};
    size_t plain = 0;
    for (size_t i = 0; i < ckpt_count(base); i++)
        make_linear(&m, ckpt_at(base, i), made);
    plain = m.file.data.n;
    for (size_t i = 0; i < ckpt_count(base) && made != MADE_APART; i++)
        make_parameter(&m, base, ckpt_at(base, i), made);
    buf_printf(&config,
               "{\"peft_type\":\"LORA\",\"r\":%d,\"lora_alpha\":16,"
               "\"target_modules\":\"all-linear\"%s}",
               MADE_RANK,
               m.file.data.n > plain ? ",\"target_parameters\":[\"experts.gate_up_proj\","
                                       "\"mlp.experts.down_proj\"]"
                                     : "");
    tensor_file_write(&m.file, dir, "adapter_model.safetensors");
    files_put(dir, "adapter_config.json", config.p, config.n);
    buf_release(&config);
}

static bool has_tensor(const struct ckpt *c, const char *part)
{
    for (size_t i = 0; i < ckpt_count(c); i++)
        if (strstr(ckpt_at(c, i)->name, part))
            return true;
    return false;
}

/* like: the same values as base has, in types that can be merged into. */
static void run_made(struct golden_count *c, const char *golden, struct adapter_case *a,
                     const struct ckpt *base, const struct ckpt *like, enum made made)
{
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors",
                                        NULL};
    static const char *const names[MADE] = {"", "-swapped", "-apart"};
    struct err e = {0};
    int32_t n = 0;
    int32_t *ids = prompt_of(golden, a, 2, &n);
    char *dir = xstrdup(files_dir());
    a->swapped = made == MADE_SWAPPED;
    snprintf(a->name, sizeof a->name, "%s%s", a->base, names[made]);
    write_adapter(dir, like, made);
    a->peft = peft_open(dir, &e);
    if (a->peft) {
        check_merged(c, base, like, a, ids, n);
        for (int i = 0; i < BACKENDS && has_tensor(like, ".experts."); i++)
            check_mixed(c, golden, base, &a, 1, &backends[i], DT_F32);
    } else {
        golden_fail(c, "%s: %s", a->name, e.text);
    }
    peft_close(a->peft);
    files_remove(dir, files);
    free(dir);
    free(ids);
}

/* What is stored in 4 bits has the values of the model beside it whose name ends in bf16. */
static struct ckpt *open_like(const char *golden, const char *model, struct err *e)
{
    char path[4600];
    int n = (int)strlen(model) - (int)strlen("mxfp4");
    bool packed = n > 0 && !strcmp(model + n, "mxfp4");
    snprintf(path, sizeof path, "%s/models/%.*s%s", golden, packed ? n : 255, model,
             packed ? "bf16" : "");
    return ckpt_open(path, e);
}

static void run_family(struct golden_count *c, const char *golden, const char *model)
{
    struct adapter_case a = {.peft = NULL};
    struct err e = {0};
    char path[4600];
    snprintf(a.base, sizeof a.base, "%s", model);
    snprintf(a.prompts, sizeof a.prompts, "golden/%.200s", model);
    snprintf(path, sizeof path, "%s/models/%s", golden, model);
    struct ckpt *ckpt = ckpt_open(path, &e), *like = open_like(golden, model, &e);
    if (!ckpt || !like || !have_model(ckpt, &e)) {
        printf("golden/%s: %s skipped: %s\n", c->kind, model, e.text);
        c->skipped++;
    } else {
        run_made(c, golden, &a, ckpt, like, MADE_PARAMETERS);
        if (has_tensor(like, ".experts."))
            run_made(c, golden, &a, ckpt, like, MADE_SWAPPED);
        if (has_tensor(like, ".experts.0."))
            run_made(c, golden, &a, ckpt, like, MADE_APART);
    }
    ckpt_close(ckpt);
    ckpt_close(like);
}

static void run_families(struct golden_count *c, const char *golden)
{
    char dir[4096];
    struct dirent **list;
    snprintf(dir, sizeof dir, "%.4000s/models", golden);
    int entries = scandir(dir, &list, NULL, by_name);
    if (entries < 0) {
        printf("golden/%s: no %s: skipped\n", c->kind, dir);
        c->skipped++;
        return;
    }
    for (int i = 0; i < entries; i++) {
        if (list[i]->d_name[0] != '.')
            run_family(c, golden, list[i]->d_name);
        free(list[i]);
    }
    free(list);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "adapters"}, made = {.kind = "adapters-families"};
    setvbuf(stdout, NULL, _IOLBF, 0);
    run_adapters(&c, argc > 1 ? argv[1] : "");
    golden_report(&c);
    run_families(&made, argc > 1 ? argv[1] : "");
    golden_report(&made);
    return golden_done();
}
