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
static int32_t *prompt_of(const char *golden, const char *folder, const char *name, int i,
                          int32_t *n)
{
    char path[4600];
    snprintf(path, sizeof path, "%s/%s/%s.jsonl", golden, folder, name);
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
        v[made].ids = prompt_of(golden, "golden_lora", group[made % n]->name, 1 + made % 4,
                                &len);
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
        int32_t *ids = prompt_of(golden, "golden_lora", group[i]->name, 3, &tokens);
        run_alone(c, golden, group[i], ckpt);
        check_merged(c, ckpt, group[i], ids, tokens);
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

/* A projection of a layer, experts apart. */
static bool is_projection(const struct ckpt_tensor *t)
{
    return t->nd == 2 && strstr(t->name, "_proj.weight") && !strstr(t->name, ".experts.");
}

/* An adapter of rank 4 for every projection of a model, the way that the family stores them. */
static void write_adapter(const char *dir, const struct ckpt *base)
{
    static const char config[] = "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":16,"
                                 "\"target_modules\":\"all-linear\"}";
    struct tensor_file f = {0};
    uint64_t state = 1;
    char name[600];
    for (size_t i = 0; i < ckpt_count(base); i++) {
        const struct ckpt_tensor *t = ckpt_at(base, i);
        int64_t shape[2][2] = {{4, t->shape[1]}, {t->shape[0], 4}};
        for (int k = 0; k < 2 && is_projection(t); k++) {
            int64_t n = shape[k][0] * shape[k][1];
            float *x = xcalloc((size_t)n, sizeof *x);
            for (int64_t j = 0; j < n; j++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
                x[j] = (float)(int)(state >> 40) * 0x1p-27f - 0x1p-4f;
            }
            snprintf(name, sizeof name, "base_model.model.%.*s.lora_%c.weight",
                     (int)(strlen(t->name) - strlen(".weight")), t->name, "AB"[k]);
            tensor_file_add(&f, name, "F32", 2, shape[k], x, (size_t)n * sizeof *x);
            free(x);
        }
    }
    tensor_file_write(&f, dir, "adapter_model.safetensors");
    files_put(dir, "adapter_config.json", config, sizeof config - 1);
}

static void run_family(struct golden_count *c, const char *golden, const char *model)
{
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors",
                                        NULL};
    struct adapter_case a;
    struct err e = {0};
    char path[4600];
    int32_t n = 0;
    snprintf(a.name, sizeof a.name, "%s", model);
    snprintf(path, sizeof path, "%s/models/%s", golden, model);
    struct ckpt *ckpt = ckpt_open(path, &e);
    int32_t *ids = prompt_of(golden, "golden", model, 2, &n);
    if (!ckpt || !ids || !have_model(ckpt, &e)) {
        printf("golden/%s: %s skipped: %s\n", c->kind, model, e.text);
        c->skipped++;
    } else {
        char *dir = xstrdup(files_dir());
        write_adapter(dir, ckpt);
        a.peft = peft_open(dir, &e);
        if (a.peft)
            check_merged(c, ckpt, &a, ids, n);
        else
            golden_fail(c, "%s: %s", model, e.text);
        peft_close(a.peft);
        files_remove(dir, files);
        free(dir);
    }
    free(ids);
    ckpt_close(ckpt);
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
