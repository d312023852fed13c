/* models.c - every model of the reference on every backend. */
#include "reference.h"

#include <dirent.h>

static void run_model(struct golden_count *c, const struct place *p)
{
    struct err e = {0};
    struct ckpt *ckpt = ckpt_open(p->dir, &e);
    if (!ckpt) {
        golden_fail(c, "%s: %s", p->model, e.text);
        return;
    }
    struct dev *ref = backend_open(&backends[0]);
    struct model *m = session_open(ref, ckpt, DT_F32, &e);
    if (!m && strstr(e.text, "model_type")) {
        printf("golden/models: %s\n", e.text);
        c->skipped++;
    } else if (!m) {
        golden_fail(c, "%s: %s", p->model, e.text);
    }
    bool ok = m != NULL;
    model_close(m);
    ref->ops->close(ref);
    for (int i = 0; ok && i < BACKENDS; i++) {
        run_backend(c, p, ckpt, &backends[i], DT_F32);
        run_backend(c, p, ckpt, &backends[i], DT_BF16);
    }
    ckpt_close(ckpt);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_models(struct golden_count *c, const char *golden)
{
    char dir[4096], model[4600], records[4600], hidden[4600];
    struct dirent **list;
    snprintf(dir, sizeof dir, "%s/models", golden);
    int n = scandir(dir, &list, NULL, by_name);
    if (n < 0) {
        printf("golden/models: no %s: skipped\n", dir);
        c->skipped++;
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        if (*name != '.') {
            snprintf(model, sizeof model, "%s/%s", dir, name);
            snprintf(records, sizeof records, "%.4000s/golden/%s.jsonl", golden, name);
            snprintf(hidden, sizeof hidden, "%.4000s/golden/%s.p1.hidden.safetensors", golden,
                     name);
            run_model(c, &(struct place){name, model, records, hidden, NULL});
        }
        free(list[i]);
    }
    free(list);
}

int main(int argc, char **argv)
{
    struct golden_count models = {.kind = "models"}, router = {.kind = "router-logits"};
    const char *golden = argc > 1 ? argv[1] : "";
    char dir[4096], records[4096];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < BACKENDS; i++) {
        struct dev *d = backend_open(&backends[i]);
        if (d)
            d->ops->close(d);
        else
            printf("golden/models: no %s here: left out\n", backends[i].name);
    }
    run_models(&models, golden);
    golden_report(&models);
    snprintf(dir, sizeof dir, "%s/router/model", golden);
    snprintf(records, sizeof records, "%s/router/golden_logits.jsonl", golden);
    if (golden_have(dir)) {
        run_model(&router, &(struct place){"router", dir, records, NULL, NULL});
    } else {
        printf("golden/models: no %s: skipped\n", dir);
        router.skipped++;
    }
    golden_report(&router);
    return golden_done();
}
