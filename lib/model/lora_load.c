/* lora_load.c - an adapter from its files onto the device, every tensor accounted for. */
#include "base/buf.h"
#include "ckpt/peft.h"
#include "model/decoder.h"
#include "model/lora_config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

/* What PEFT puts in front of a module's name. */
#define PREFIX "base_model.model."

struct loader {
    struct model *m;
    struct adapter *a;
    const struct safetensors *file;
    struct lora_config config;
    struct lora_module modules[LORA_MODULES];
    int n_modules;
    bool *used;      /* [tensors] */
    bool *matched;   /* [entries of target_modules] */
    bool any;        /* a module is changed */
    struct buf name; /* of the tensor that is looked at */
    struct err *e;
};

/* ---- tensors -------------------------------------------------------------- */

static int dtype_of(const struct ckpt_tensor *t, enum dtype *out, struct err *e)
{
    switch (t->dtype) {
    case CKPT_F32: *out = DT_F32; return 0;
    case CKPT_F16: *out = DT_F16; return 0;
    case CKPT_BF16: *out = DT_BF16; return 0;
    default:
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" is %s; it must be F32, F16 or BF16",
                       t->name, t->dtype_name);
    }
}

/* The tensor of that name, rows x cols of it; NULL after an error. */
static const struct ckpt_tensor *need(struct loader *l, int64_t rows, int64_t cols)
{
    const struct ckpt_tensor *t = safetensors_find(l->file, l->name.p);
    if (!t) {
        err_set(l->e, EXIT_CONFIG, "tensor \"%s\" is missing", l->name.p);
        return NULL;
    }
    l->used[t - safetensors_at(l->file, 0)] = true;
    if (t->nd == 2 && t->shape[0] == rows && t->shape[1] == cols)
        return t;
    struct buf has = {0};
    for (int i = 0; i < t->nd; i++)
        buf_printf(&has, "%s%" PRId64, i ? ", " : "", t->shape[i]);
    err_set(l->e, EXIT_CONFIG,
            "tensor \"%s\" is [%s]; this model and adapter_config.json make it [%" PRId64
            ", %" PRId64 "]",
            t->name, has.p ? has.p : "", rows, cols);
    buf_release(&has);
    return NULL;
}

/* Small products are worth f32 wherever something would be lost; what replaces a weight of the
 * model is kept as the model keeps its own. */
static struct weight *load(struct loader *l, int64_t rows, int64_t cols, bool small)
{
    enum dtype dtype;
    struct dev *d = l->m->dev;
    const struct ckpt_tensor *t = need(l, rows, cols);
    if (!t || dtype_of(t, &dtype, l->e) < 0)
        return NULL;
    bool bf16 = dtype == DT_BF16 || (!small && l->m->config.dtype == DT_BF16);
    struct weight_shape shape = {.n = rows, .k = cols, .dtype = bf16 ? DT_BF16 : DT_F32};
    struct weight_source src = {.data = t->data, .dtype = dtype, .stride = cols};
    struct weight *w = d->ops->weight_new(d, &shape, l->e);
    if (w && d->ops->weight_rows(d, w, 0, 0, rows, &src, l->e) < 0) {
        d->ops->weight_free(d, w);
        return NULL;
    }
    l->m->info.weight_bytes += rows * cols * dtype_size(shape.dtype);
    return w;
}

/* ---- modules -------------------------------------------------------------- */

/* Marks the entries of target_modules that name it. */
static void mark(struct loader *l, const char *module)
{
    const json_t *list = l->config.targets.list;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (lora_name_is(module, json_string_value(json_array_get(list, i))))
            l->matched[i] = true;
}

static int load_module(struct loader *l, int32_t layer, int i)
{
    const struct lora_module *module = &l->modules[i];
    struct lora *to = &l->a->layer[layer][i];
    int32_t rank;
    char name[256];
    bool mlp = module->place == LORA_GATE_UP || module->place == LORA_DOWN;
    if (mlp && l->m->spec.layer[layer].sparse)
        return 0; /* experts stand there, which take no adapter: their tensors are surplus */
    snprintf(name, sizeof name, "%s%d.%s", l->m->spec.names.layers, (int)layer, module->name);
    mark(l, name);
    int in = lora_config_targets(&l->config, name, layer, module->standard, l->e);
    if (in <= 0)
        return in;
    if (lora_config_scale(&l->config, name, &rank, &to->scale, l->e) < 0)
        return -1;
    buf_clear(&l->name);
    buf_printf(&l->name, PREFIX "%s.lora_A.weight", name);
    to->a = load(l, rank, module->k, true);
    if (!to->a)
        return -1;
    buf_clear(&l->name);
    buf_printf(&l->name, PREFIX "%s.lora_B.weight", name);
    to->b = load(l, module->n, rank, true);
    l->any = true;
    if (rank > l->a->rank)
        l->a->rank = rank;
    return to->b ? 0 : -1;
}

/* Names for a message: "self_attn.q_proj, ...". */
static void list_modules(const struct loader *l, struct buf *out)
{
    for (int i = 0; i < l->n_modules; i++)
        buf_printf(out, "%s%s", i ? ", " : "", l->modules[i].name);
}

/* The embedding and the head can be replaced, but take no small products. */
static int check_ends(struct loader *l)
{
    const char *const ends[] = {l->m->spec.names.embed, l->m->spec.names.head};
    for (int i = 0; i < 2; i++) {
        int in = lora_config_targets(&l->config, ends[i], -1, false, l->e);
        if (in == 1)
            err_set(
                l->e, EXIT_CONFIG,
                "adapter_config.json: \"target_modules\" takes in %s, which can be replaced "
                "(modules_to_save) but takes no LoRA here",
                ends[i]);
        if (in)
            return -1;
    }
    return 0;
}

static int check_matched(struct loader *l)
{
    const json_t *list = l->config.targets.list;
    struct buf known = {0};
    int rc = 0;
    list_modules(l, &known);
    for (size_t i = 0; i < json_array_size(list) && rc == 0; i++)
        if (!l->matched[i])
            rc = err_set(
                l->e, EXIT_CONFIG,
                "adapter_config.json: \"target_modules\": %.80s is no module that takes "
                "an adapter in a %s; there are %s",
                json_string_value(json_array_get(list, i)), l->m->spec.type, known.p);
    if (rc == 0 && !l->any && !l->a->embed && !l->a->head)
        rc = err_set(
            l->e, EXIT_CONFIG,
            "adapter_config.json: \"target_modules\" takes in no module of a %s; there "
            "are %s",
            l->m->spec.type, known.p);
    buf_release(&known);
    return rc;
}

/* ---- what is replaced ----------------------------------------------------- */

static int load_saved(struct loader *l)
{
    const struct spec *s = &l->m->spec;
    const json_t *list = l->config.save;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *entry = json_string_value(json_array_get(list, i));
        bool embed = lora_name_is(s->names.embed, entry);
        struct weight **to = embed ? &l->a->embed : &l->a->head;
        const char *name = embed ? s->names.embed : s->names.head;
        if (!embed && !lora_name_is(s->names.head, entry))
            return err_set(l->e, EXIT_CONFIG,
                           "adapter_config.json: \"modules_to_save\": %.80s is not supported; "
                           "there are %s and %s",
                           entry, s->names.embed, s->names.head);
        if (*to)
            continue;
        buf_clear(&l->name);
        buf_printf(&l->name, PREFIX "%s.weight", name);
        *to = load(l, s->vocab, s->width, false);
        if (!*to)
            return -1;
    }
    return 0;
}

static int check_surplus(struct loader *l)
{
    const char *first = NULL;
    size_t more = 0;
    for (size_t i = 0; i < safetensors_count(l->file); i++) {
        if (l->used[i])
            continue;
        if (first)
            more++;
        else
            first = safetensors_at(l->file, i)->name;
    }
    if (!first)
        return 0;
    return err_set(l->e, EXIT_CONFIG,
                   "tensor \"%s\" has no place in a %s with this adapter_config.json (and %zu "
                   "more)",
                   first, l->m->spec.type, more);
}

/* ---- all of it ------------------------------------------------------------ */

static int load_all(struct loader *l)
{
    struct dev *d = l->m->dev;
    if (check_ends(l) < 0)
        return -1;
    for (int32_t i = 0; i < l->m->spec.layers; i++)
        for (int k = 0; k < l->n_modules; k++)
            if (load_module(l, i, k) < 0)
                return -1;
    if (load_saved(l) < 0 || check_matched(l) < 0 || check_surplus(l) < 0)
        return -1;
    return d->ops->sync(d, l->e);
}

static int lora_load(struct model *m, struct adapter *a, const struct peft *p, struct err *e)
{
    struct loader l = {.m = m, .a = a, .file = peft_tensors(p), .e = e};
    if (lora_config_read(&l.config, peft_config(p), e) < 0)
        return -1;
    a->layer = xcalloc((size_t)m->spec.layers, sizeof *a->layer);
    l.n_modules = lora_modules(&m->spec, l.modules);
    l.used = xcalloc(safetensors_count(l.file), sizeof *l.used);
    l.matched = xcalloc(json_array_size(l.config.targets.list), sizeof *l.matched);
    int rc = load_all(&l);
    free(l.used);
    free(l.matched);
    buf_release(&l.name);
    lora_config_release(&l.config);
    return rc;
}

static void release(struct model *m, struct adapter *a)
{
    struct dev *d = m->dev;
    for (int32_t i = 0; a->layer && i < m->spec.layers; i++)
        for (int k = 0; k < LORA_MODULES; k++) {
            d->ops->weight_free(d, a->layer[i][k].a);
            d->ops->weight_free(d, a->layer[i][k].b);
        }
    free(a->layer);
    d->ops->weight_free(d, a->embed);
    d->ops->weight_free(d, a->head);
    *a = (struct adapter){0};
}

/* Room for the runs of a forward, and for products of this rank. */
static int make_room(struct model *m, int32_t rank, struct err *e)
{
    struct lora_work *w = &m->lora;
    size_t tokens = (size_t)m->config.batch_tokens;
    if (!w->runs) {
        w->runs = xcalloc(tokens, sizeof *w->runs);
        w->groups = xcalloc(tokens, sizeof *w->groups);
        w->kept = xcalloc((size_t)m->config.head_rows, sizeof *w->kept);
    }
    if (rank <= w->rank)
        return 0;
    int64_t bytes = (int64_t)m->config.batch_tokens * rank * (int64_t)sizeof *w->t;
    float *t = m->dev->ops->alloc(m->dev, bytes, e);
    if (!t)
        return -1;
    m->dev->ops->free(m->dev, w->t);
    w->t = t;
    w->rank = rank;
    return 0;
}

int32_t model_load_adapter(struct model *m, const struct peft *p, struct err *e)
{
    struct adapter a = {0};
    int64_t bytes = m->info.weight_bytes;
    if (lora_load(m, &a, p, e) < 0) {
        err_prefix(e, "%s", peft_dir(p));
        release(m, &a);
        m->info.weight_bytes = bytes;
        return -1;
    }
    if (make_room(m, a.rank, e) < 0) {
        release(m, &a);
        m->info.weight_bytes = bytes;
        return -1;
    }
    GROW(m->adapters, m->cap_adapters, m->n_adapters + 1);
    m->adapters[m->n_adapters++] = a;
    return m->n_adapters;
}

void lora_release(struct model *m)
{
    for (int32_t i = 0; i < m->n_adapters; i++)
        release(m, &m->adapters[i]);
    free(m->adapters);
    m->dev->ops->free(m->dev, m->lora.t);
    free(m->lora.runs);
    free(m->lora.groups);
    free(m->lora.kept);
}
