/* merge.c - a LoRA adapter added into the weights that it goes with.
 *
 * The adapter is read by the same code that loads it beside a model, onto a device that only
 * keeps what it is given: so the two agree on what an adapter says.  A change of a tensor is a
 * product of two small matrices, computed row by row, in double, when the tensor is written.
 */
#include "model/merge.h"

#include "model/lora_load.h"

#include <stdlib.h>

/* ---- a device that keeps ---------------------------------------------------- */

struct weight {
    int64_t n, k, experts;
    float *v; /* [experts, n, k] */
};

static struct weight *keep_new(struct dev *d, const struct weight_shape *s, struct err *e)
{
    (void)d, (void)e;
    struct weight *w = xcalloc(1, sizeof *w);
    *w = (struct weight){.n = s->n, .k = s->k, .experts = s->experts ? s->experts : 1};
    w->v = xcalloc((size_t)(w->n * w->k), (size_t)w->experts * sizeof *w->v);
    return w;
}

static int keep_rows(struct dev *d, struct weight *w, int64_t expert, int64_t row, int64_t rows,
                     const struct weight_source *src, struct err *e)
{
    (void)d, (void)e;
    struct ckpt_tensor t = {.data = src->data,
                            .dtype = src->dtype == DT_F32    ? CKPT_F32
                                     : src->dtype == DT_BF16 ? CKPT_BF16
                                                             : CKPT_F16};
    float *to = w->v + (expert * w->n + row) * w->k;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < w->k; c++)
            to[r * w->k + c] = ckpt_value(&t, r * src->stride + c);
    return 0;
}

static void keep_free(struct dev *d, struct weight *w)
{
    (void)d;
    if (w)
        free(w->v);
    free(w);
}

static int keep_sync(struct dev *d, struct err *e)
{
    (void)d, (void)e;
    return 0;
}

static const struct dev_ops keep_ops = {.weight_new = keep_new,
                                        .weight_rows = keep_rows,
                                        .weight_free = keep_free,
                                        .sync = keep_sync};

/* ---- changes ---------------------------------------------------------------- */

struct merge;

/* A tensor [groups, rows, cols] gets scale * left right, left [groups, rows, rank] and right
 * [groups, rank, cols]; or it becomes `value`. */
struct change {
    struct merge *owner;
    char *name;
    int64_t groups, rows, cols, rank;
    const float *left, *right, *value;
    double scale;
    const struct ckpt_tensor *base;
};

struct merge {
    struct dev dev;
    struct model m; /* its spec, and the device that keeps */
    struct adapter a;
    const struct ckpt *base;
    struct change *v; /* by name */
    size_t n, cap;
    float **own; /* turned copies */
    size_t n_own, cap_own;
    double *sums;
    size_t cap_sums;
};

static void add(struct merge *g, struct change c, char *name)
{
    c.name = name;
    c.owner = g;
    GROW(g->v, g->cap, g->n + 1);
    g->v[g->n++] = c;
}

/* [groups, cols, rows] of [groups, rows, cols]. */
static const float *turned(struct merge *g, const struct weight *w)
{
    float *out = xcalloc((size_t)(w->n * w->k), (size_t)w->experts * sizeof *out);
    for (int64_t e = 0; e < w->experts; e++)
        for (int64_t r = 0; r < w->n; r++)
            for (int64_t c = 0; c < w->k; c++)
                out[(e * w->k + c) * w->n + r] = w->v[(e * w->n + r) * w->k + c];
    GROW(g->own, g->cap_own, g->n_own + 1);
    g->own[g->n_own++] = out;
    return out;
}

/* Rows first .. first+rows-1 of what the adapter adds to expert e's product, on a tensor of its
 * own. */
static void add_rows(struct merge *g, const struct lora *l, int32_t e, int64_t first,
                     int64_t rows, char *name)
{
    add(g,
        (struct change){.groups = 1,
                        .rows = rows,
                        .cols = l->a->k,
                        .rank = l->rank,
                        .left = l->b->v + (e * l->b->n + first) * l->rank,
                        .right = l->a->v + (int64_t)e * l->rank * l->a->k,
                        .scale = l->scale},
        name);
}

/* "model.layers.3.mlp.experts.7.up_proj.weight" */
static char *expert_name(const struct merge *g, int32_t layer, int32_t e, const char *module)
{
    const struct names *n = &g->m.spec.names;
    return xasprintf("%s%d.%s%d.%s.weight", n->layers, (int)layer, n->experts, (int)e, module);
}

static int add_parameter(struct merge *g, int32_t layer, const struct lora_module *module,
                         const struct lora *l, struct err *e)
{
    const struct spec *s = &g->m.spec;
    const struct names *n = &s->names;
    if (s->expert_storage == EXPERTS_MXFP4)
        return err_set(e, EXIT_CONFIG,
                       "%s: the base keeps its experts as MXFP4, which cannot take what an "
                       "adapter adds; merge into the bf16 model",
                       module->name);
    if (s->expert_storage == EXPERTS_COLUMNS) {
        add(g,
            (struct change){.groups = s->experts,
                            .rows = module->k,
                            .cols = module->n,
                            .rank = l->rank,
                            .left = turned(g, l->a),
                            .right = turned(g, l->b),
                            .scale = l->scale},
            xasprintf("%s%d.%s", n->layers, (int)layer, module->name));
        return 0;
    }
    for (int32_t i = 0; i < s->experts; i++) {
        if (module->place == LORA_EXPERTS_DOWN) {
            add_rows(g, l, i, 0, s->width, expert_name(g, layer, i, n->expert_down));
            continue;
        }
        add_rows(g, l, i, 0, s->expert_ffn, expert_name(g, layer, i, n->expert_gate));
        add_rows(g, l, i, s->expert_ffn, s->expert_ffn, expert_name(g, layer, i, n->expert_up));
    }
    return 0;
}

static int add_module(struct merge *g, int32_t layer, const struct lora_module *module,
                      const struct lora *l, struct err *e)
{
    if (!l->a)
        return 0;
    switch (module->form) {
    case LORA_LINEAR:
        add_rows(g, l, 0, 0, module->n,
                 xasprintf("%s%d.%s.weight", g->m.spec.names.layers, (int)layer, module->name));
        return 0;
    case LORA_PARAMETER: return add_parameter(g, layer, module, l, e);
    case LORA_APART:
        for (int32_t i = 0; i < g->m.spec.experts; i++)
            add_rows(g, l, i, 0, module->n, expert_name(g, layer, i, module->name));
        return 0;
    }
    BUG("a module of form %d", (int)module->form);
}

static void add_whole(struct merge *g, const struct weight *w, const char *name)
{
    char *full = xasprintf("%s.weight", name);
    add(g, (struct change){.groups = 1, .rows = w->n, .cols = w->k, .value = w->v}, full);
}

static int add_ends(struct merge *g, struct err *e)
{
    const struct weight *embed = g->a.embed, *head = g->a.head;
    const struct names *n = &g->m.spec.names;
    bool both = embed && head &&
                !memcmp(embed->v, head->v, (size_t)(embed->n * embed->k) * sizeof *embed->v);
    if (g->m.spec.tied && (embed || head) && !both)
        return err_set(e, EXIT_CONFIG,
                       "the adapter has %s apart from %s, which are one in the base "
                       "(tie_word_embeddings): it cannot be merged",
                       head ? n->head : n->embed, head ? n->embed : n->head);
    char *stored = xasprintf("%s.weight", n->head);
    if (embed)
        add_whole(g, embed, n->embed);
    if (head && (!g->m.spec.tied || ckpt_find(g->base, stored)))
        add_whole(g, head, n->head);
    free(stored);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Each change has a tensor of its shape in the base. */
static int find_bases(struct merge *g, struct err *e)
{
    for (size_t i = 0; i < g->n; i++) {
        struct change *c = &g->v[i];
        const struct ckpt_tensor *t = ckpt_find(g->base, c->name);
        if (!t)
            return err_set(e, EXIT_CONFIG, "the base has no tensor \"%s\"", c->name);
        if (t->dtype != CKPT_F32 && t->dtype != CKPT_F16 && t->dtype != CKPT_BF16)
            return err_set(e, EXIT_CONFIG,
                           "tensor \"%s\" is %s; weights must be F32, F16 or "
                           "BF16",
                           c->name, t->dtype_name);
        int64_t groups = t->nd == 3 ? t->shape[0] : 1;
        if ((t->nd != 2 && t->nd != 3) || groups != c->groups ||
            t->shape[t->nd - 2] != c->rows || t->shape[t->nd - 1] != c->cols)
            return err_set(e, EXIT_CONFIG,
                           "tensor \"%s\" of the base has another shape than "
                           "its config.json says",
                           c->name);
        c->base = t;
    }
    return 0;
}

static int find_changes(struct merge *g, struct err *e)
{
    struct lora_module all[LORA_MODULES];
    for (int32_t i = 0; i < g->m.spec.layers; i++) {
        int n = lora_modules(&g->m.spec, i, all);
        for (int k = 0; k < n; k++)
            if (add_module(g, i, &all[k], &g->a.layer[i][k], e) < 0)
                return -1;
    }
    if (add_ends(g, e) < 0)
        return -1;
    if (g->n)
        qsort(g->v, g->n, sizeof *g->v, by_name);
    return find_bases(g, e);
}

struct merge *merge_open(const struct ckpt *base, const struct peft *p, struct err *e)
{
    struct merge *g = xcalloc(1, sizeof *g);
    g->dev.ops = &keep_ops;
    g->m.dev = &g->dev;
    g->m.config.dtype = DT_F32;
    g->base = base;
    int rc = spec_read(&g->m.spec, ckpt_config(base), e);
    if (rc < 0)
        err_prefix(e, "%s", ckpt_dir(base));
    else if (lora_load(&g->m, &g->a, p, e) < 0 || find_changes(g, e) < 0)
        rc = err_prefix(e, "%s", peft_dir(p));
    if (rc == 0)
        return g;
    merge_close(g);
    return NULL;
}

void merge_close(struct merge *g)
{
    if (!g)
        return;
    lora_free(&g->m, &g->a);
    spec_release(&g->m.spec);
    for (size_t i = 0; i < g->n; i++)
        free(g->v[i].name);
    for (size_t i = 0; i < g->n_own; i++)
        free(g->own[i]);
    free(g->v);
    free(g->own);
    free(g->sums);
    free(g);
}

int32_t merge_vocab(const struct merge *g)
{
    return g->m.spec.vocab;
}

/* ---- a tensor --------------------------------------------------------------- */

/* Adds the change to elements first .. first+n-1. */
static void add_product(const struct change *c, int64_t first, int64_t n, double *sums)
{
    for (int64_t at = 0, part; at < n; at += part) {
        int64_t row = (first + at) / c->cols, col = (first + at) % c->cols;
        part = c->cols - col < n - at ? c->cols - col : n - at;
        const float *left = c->left + row * c->rank;
        const float *right = c->right + row / c->rows * c->rank * c->cols + col;
        for (int64_t r = 0; r < c->rank; r++, right += c->cols) {
            double f = c->scale * (double)left[r];
            for (int64_t k = 0; k < part; k++)
                sums[at + k] += f * (double)right[k];
        }
    }
}

static int read_changed(void *arg, int64_t first, int64_t n, void *to, struct err *e)
{
    (void)e;
    const struct change *c = arg, *end;
    struct merge *g = c->owner;
    GROW(g->sums, g->cap_sums, n);
    memset(g->sums, 0, (size_t)n * sizeof *g->sums);
    end = g->v + g->n;
    const float *value = c->value;
    for (const struct change *x = c; x < end && !strcmp(x->name, c->name); x++) {
        if (!x->value)
            add_product(x, first, n, g->sums);
        value = x->value ? x->value : value;
    }
    for (int64_t i = 0; i < n; i++) {
        double base = (double)(value ? value[first + i] : ckpt_value(c->base, first + i));
        float f = (float)(base + g->sums[i]);
        memcpy((char *)to + i * (int64_t)sizeof f, &f, sizeof f);
    }
    return 0;
}

/* The first change of that tensor, or NULL. */
static struct change *change_of(const struct merge *g, const char *name)
{
    size_t lo = 0, hi = g->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(g->v[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < g->n && !strcmp(g->v[lo].name, name) ? &g->v[lo] : NULL;
}

bool merge_tensor(struct merge *g, size_t i, struct save_tensor *out)
{
    const struct ckpt_tensor *t = ckpt_at(g->base, i);
    struct change *c = change_of(g, t->name);
    *out = (struct save_tensor){
        .name = t->name, .dtype = t->dtype, .from = t->dtype, .nd = t->nd, .data = t->data};
    memcpy(out->shape, t->shape, sizeof out->shape);
    if (c) {
        out->from = CKPT_F32;
        out->data = NULL;
        out->read = read_changed;
        out->arg = c;
    }
    return c != NULL;
}
