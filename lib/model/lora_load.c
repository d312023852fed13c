/* lora_load.c - an adapter from its files onto the device, every tensor accounted for. */
#include "model/lora_load.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

/* What PEFT puts in front of a module's name. */
#define PREFIX "base_model.model."

/* ---- tensors -------------------------------------------------------------- */

void lora_tensor_name(struct lora_loader *l, const char *module, char letter)
{
    buf_clear(&l->name);
    buf_printf(&l->name, PREFIX "%s.lora_%c.weight", module, letter);
}

const struct ckpt_tensor *lora_tensor_if(const struct lora_loader *l)
{
    return safetensors_find(l->file, l->name.p);
}

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

const struct ckpt_tensor *lora_tensor(struct lora_loader *l, int64_t rows, int64_t cols,
                                      enum dtype *dtype)
{
    const struct ckpt_tensor *t = lora_tensor_if(l);
    if (!t) {
        err_set(l->e, EXIT_CONFIG, "tensor \"%s\" is missing", l->name.p);
        return NULL;
    }
    l->used[t - safetensors_at(l->file, 0)] = true;
    if (t->nd == 2 && t->shape[0] == rows && t->shape[1] == cols)
        return dtype_of(t, dtype, l->e) < 0 ? NULL : t;
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
static struct weight *load(struct lora_loader *l, int64_t rows, int64_t cols, bool small)
{
    enum dtype dtype;
    struct dev *d = l->m->dev;
    const struct ckpt_tensor *t = lora_tensor(l, rows, cols, &dtype);
    if (!t)
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

/* ---- what is asked for ------------------------------------------------------ */

/* Marks the entries that name it. */
static void mark(const json_t *list, bool *matched, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (lora_name_is(name, json_string_value(json_array_get(list, i))))
            matched[i] = true;
}

int lora_targets(struct lora_loader *l, const char *module, int32_t layer, bool standard)
{
    mark(l->config.targets.list, l->matched, module);
    return lora_config_targets(&l->config, module, layer, standard, l->e);
}

bool lora_targets_parameter(struct lora_loader *l, const char *parameter)
{
    mark(l->config.parameters, l->matched_parameters, parameter);
    return lora_config_parameter(&l->config, parameter);
}

void lora_note(struct lora_loader *l, int32_t rank)
{
    l->any = true;
    if (rank > l->a->rank)
        l->a->rank = rank;
}

/* ---- modules -------------------------------------------------------------- */

/* A linear layer, or its weight as a parameter: 1, and its key in l->module. */
static int targets_linear(struct lora_loader *l, const char *name, int32_t layer,
                          const struct lora_module *module)
{
    buf_clear(&l->module);
    buf_printf(&l->module, "%s.weight", name);
    if (lora_targets_parameter(l, l->module.p))
        return 1;
    buf_clear(&l->module);
    buf_puts(&l->module, name);
    int in = lora_targets(l, name, layer, module->standard);
    if (in == 1 && l->config.target == TARGET_ALL && module->place == LORA_ROUTER) {
        lora_tensor_name(l, name, 'A'); /* linear in some versions of transformers alone */
        in = lora_tensor_if(l) != NULL;
    }
    return in;
}

static int load_linear(struct lora_loader *l, int32_t layer, const struct lora_module *module,
                       struct lora *to)
{
    char name[256];
    snprintf(name, sizeof name, "%s%d.%s", l->m->spec.names.layers, (int)layer, module->name);
    int in = targets_linear(l, name, layer, module);
    if (in <= 0)
        return in;
    if (lora_config_scale(&l->config, l->module.p, &to->rank, &to->scale, l->e) < 0)
        return -1;
    lora_tensor_name(l, name, 'A');
    to->a = load(l, to->rank, module->k, true);
    if (!to->a)
        return -1;
    lora_tensor_name(l, name, 'B');
    to->b = load(l, module->n, to->rank, true);
    lora_note(l, to->rank);
    return to->b ? 0 : -1;
}

static int load_layer(struct lora_loader *l, int32_t layer)
{
    struct lora_module all[LORA_MODULES];
    int n = lora_modules(&l->m->spec, layer, all), rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        struct lora *to = &l->a->layer[layer][i];
        switch (all[i].form) {
        case LORA_LINEAR: rc = load_linear(l, layer, &all[i], to); break;
        case LORA_PARAMETER: rc = lora_load_parameter(l, layer, &all[i], to); break;
        case LORA_APART: rc = lora_load_apart(l, layer, &all[i], to); break;
        }
    }
    return rc;
}

/* ---- what was not found ----------------------------------------------------- */

/* Names for a message: "self_attn.q_proj, ..."; of modules, or of parameters. */
static void list_modules(const struct lora_loader *l, bool parameters, struct buf *out)
{
    const struct spec *s = &l->m->spec;
    for (int32_t layer = 0; layer < s->layers; layer++) {
        struct lora_module all[LORA_MODULES];
        int n = lora_modules(s, layer, all);
        for (int i = 0; i < n; i++) {
            if ((all[i].form == LORA_PARAMETER) != parameters ||
                (out->n && strstr(out->p, all[i].name)))
                continue;
            buf_printf(out, "%s%s%s", out->n ? ", " : "",
                       all[i].form == LORA_APART ? s->names.experts : "", all[i].name);
        }
    }
    if (!out->n)
        buf_puts(out, "none");
}

/* The embedding and the head can be replaced, but take no small products. */
static int check_ends(struct lora_loader *l)
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

static int no_match(const struct lora_loader *l, const char *field, const char *entry)
{
    struct buf known = {0};
    bool parameters = !strcmp(field, "target_parameters");
    list_modules(l, parameters, &known);
    if (entry)
        err_set(l->e, EXIT_CONFIG,
                "adapter_config.json: \"%s\": %.80s is no %s that takes an adapter in a %s; "
                "there are %s",
                field, entry, parameters ? "parameter" : "module", l->m->spec.type, known.p);
    else
        err_set(l->e, EXIT_CONFIG,
                "adapter_config.json: \"%s\" takes in no module of a %s; there are %s", field,
                l->m->spec.type, known.p);
    buf_release(&known);
    return -1;
}

static int check_list(const struct lora_loader *l, const json_t *list, const bool *matched,
                      const char *field)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!matched[i])
            return no_match(l, field, json_string_value(json_array_get(list, i)));
    return 0;
}

static int check_matched(const struct lora_loader *l)
{
    if (check_list(l, l->config.targets.list, l->matched, "target_modules") < 0 ||
        check_list(l, l->config.parameters, l->matched_parameters, "target_parameters") < 0)
        return -1;
    return l->any || l->a->embed || l->a->head ? 0 : no_match(l, "target_modules", NULL);
}

/* ---- what is replaced ----------------------------------------------------- */

static int load_saved(struct lora_loader *l)
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

static int check_surplus(struct lora_loader *l)
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

static int load_all(struct lora_loader *l)
{
    struct dev *d = l->m->dev;
    if (check_ends(l) < 0)
        return -1;
    lora_find_sides(l);
    for (int32_t i = 0; i < l->m->spec.layers; i++)
        if (load_layer(l, i) < 0)
            return -1;
    if (load_saved(l) < 0 || check_matched(l) < 0 || check_surplus(l) < 0)
        return -1;
    return d->ops->sync(d, l->e);
}

int lora_load(struct model *m, struct adapter *a, const struct peft *p, struct err *e)
{
    struct lora_loader l = {.m = m, .a = a, .file = peft_tensors(p), .e = e};
    if (lora_config_read(&l.config, peft_config(p), e) < 0)
        return -1;
    a->layer = xcalloc((size_t)m->spec.layers, sizeof *a->layer);
    l.used = xcalloc(safetensors_count(l.file), sizeof *l.used);
    l.matched = xcalloc(json_array_size(l.config.targets.list), sizeof *l.matched);
    l.matched_parameters = xcalloc(json_array_size(l.config.parameters),
                                   sizeof *l.matched_parameters);
    int rc = load_all(&l);
    free(l.used);
    free(l.matched);
    free(l.matched_parameters);
    buf_release(&l.module);
    buf_release(&l.name);
    lora_config_release(&l.config);
    return rc;
}

void lora_free(struct model *m, struct adapter *a)
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

/* Room for the runs of a forward, and for the small products of this adapter. */
static int make_room(struct model *m, const struct adapter *a, struct err *e)
{
    struct lora_work *w = &m->lora;
    const struct dev_ops *ops = m->dev->ops;
    int64_t T = m->config.batch_tokens, rows = a->experts ? T * m->spec.experts_used : T;
    if (!w->runs) {
        w->runs = xcalloc((size_t)T, sizeof *w->runs);
        w->groups = xcalloc((size_t)T, sizeof *w->groups);
        w->whose = xcalloc((size_t)T, sizeof *w->whose);
        w->kept = xcalloc((size_t)m->config.head_rows, sizeof *w->kept);
    }
    if (a->experts && !w->dev_whose) {
        w->dev_whose = ops->alloc(m->dev, T * (int64_t)sizeof *w->dev_whose, e);
        if (!w->dev_whose)
            return -1;
    }
    rows = rows > w->rows ? rows : w->rows;
    int32_t rank = a->rank > w->rank ? a->rank : w->rank;
    if (rows == w->rows && rank == w->rank)
        return 0;
    float *t = ops->alloc(m->dev, rows * rank * (int64_t)sizeof *t, e);
    if (!t)
        return -1;
    ops->free(m->dev, w->t);
    w->t = t;
    w->rows = rows;
    w->rank = rank;
    return 0;
}

int32_t model_load_adapter(struct model *m, const struct peft *p, struct err *e)
{
    struct adapter a = {0};
    int64_t bytes = m->info.weight_bytes;
    if (lora_load(m, &a, p, e) < 0) {
        err_prefix(e, "%s", peft_dir(p));
        lora_free(m, &a);
        m->info.weight_bytes = bytes;
        return -1;
    }
    if (make_room(m, &a, e) < 0) {
        lora_free(m, &a);
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
        lora_free(m, &m->adapters[i]);
    free(m->adapters);
    m->dev->ops->free(m->dev, m->lora.t);
    m->dev->ops->free(m->dev, m->lora.dev_whose);
    free(m->lora.whose);
    free(m->lora.runs);
    free(m->lora.groups);
    free(m->lora.kept);
}
