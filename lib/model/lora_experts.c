/* lora_experts.c - adapters of experts: all of a layer's in one parameter, or one by one.
 *
 * A parameter of E experts has two tensors as PEFT writes them, A [E * rank, …] with the
 * experts one behind the other, and B […, rank * E] with the experts side by side in each rank.
 * Which of inputs and outputs stands in A depends on the versions of PEFT and transformers:
 * mostly inputs, but outputs where a parameter that is stored as [E, in, out] was taken for [E,
 * out, in].  The product is the same sum either way, so the shapes tell what to do.
 */
#include "model/lora_load.h"

#include <stdlib.h>

/* ---- a parameter ---------------------------------------------------------- */

static void parameter_name(struct lora_loader *l, int32_t layer, const char *name)
{
    buf_clear(&l->module);
    buf_printf(&l->module, "%s%d.%s", l->m->spec.names.layers, (int)layer, name);
}

/* Another parameter of the same module, behind this one in it. */
static bool has_outer(struct lora_loader *l, int32_t layer, const struct lora_module *module)
{
    struct lora_module all[LORA_MODULES];
    int n = lora_modules(&l->m->spec, layer, all), i = 0;
    bool outer = false;
    while (strcmp(all[i].name, module->name) != 0 || all[i].form != LORA_PARAMETER)
        i++;
    for (i++; i < n && !outer; i++) {
        if (all[i].form != LORA_PARAMETER)
            continue;
        parameter_name(l, layer, all[i].name);
        outer = lora_targets_parameter(l, l->module.p);
    }
    return outer;
}

/* PEFT wraps a module once for each of its parameters, so that the first one's tensors are
 * named as those of the layer inside.  l->module: the parameter's name, l->name the tensor's.
 */
static void parameter_tensor(struct lora_loader *l, int32_t layer,
                             const struct lora_module *module, char letter)
{
    bool inner = has_outer(l, layer, module);
    struct buf holder = {0};
    parameter_name(l, layer, module->name);
    buf_add(&holder, l->module.p, (size_t)(strrchr(l->module.p, '.') - l->module.p));
    buf_puts(&holder, inner ? ".base_layer" : "");
    lora_tensor_name(l, holder.p, letter);
    buf_release(&holder);
}

void lora_find_sides(struct lora_loader *l)
{
    struct lora_module all[LORA_MODULES];
    for (int32_t layer = 0; layer < l->m->spec.layers; layer++) {
        int n = lora_modules(&l->m->spec, layer, all);
        for (int i = 0; i < n && l->sides == SIDES_UNKNOWN; i++) {
            if (all[i].form != LORA_PARAMETER || all[i].n == all[i].k)
                continue;
            parameter_name(l, layer, all[i].name);
            if (!lora_targets_parameter(l, l->module.p))
                continue;
            parameter_tensor(l, layer, &all[i], 'A');
            const struct ckpt_tensor *a = lora_tensor_if(l);
            if (a && a->nd == 2)
                l->sides = a->shape[1] == all[i].n ? SIDES_SWAPPED : SIDES_PLAIN;
        }
    }
}

/* Where expert e's element (row, col) stands in a tensor. */
struct place {
    int64_t expert, row, col; /* steps */
};

/* The experts' weights, [rows, cols] each, gathered from a tensor. */
static struct weight *gather(struct lora_loader *l, const struct ckpt_tensor *t,
                             enum dtype dtype, int64_t rows, int64_t cols, struct place p)
{
    struct dev *d = l->m->dev;
    struct weight_shape shape = {.n = rows,
                                 .k = cols,
                                 .experts = l->m->spec.experts,
                                 .dtype = dtype == DT_BF16 ? DT_BF16 : DT_F32};
    struct weight *w = d->ops->weight_new(d, &shape, l->e);
    float *one = xmalloc_n((size_t)(rows * cols), sizeof *one);
    struct weight_source src = {.data = one, .dtype = DT_F32, .stride = cols};
    int rc = w ? 0 : -1;
    for (int64_t e = 0; e < shape.experts && rc == 0; e++) {
        for (int64_t i = 0; i < rows * cols; i++)
            one[i] = ckpt_value(t, e * p.expert + i / cols * p.row + i % cols * p.col);
        rc = d->ops->weight_rows(d, w, e, 0, rows, &src, l->e);
    }
    free(one);
    if (rc < 0) {
        d->ops->weight_free(d, w);
        return NULL;
    }
    l->m->info.weight_bytes += rows * cols * shape.experts * dtype_size(shape.dtype);
    return w;
}

int lora_load_parameter(struct lora_loader *l, int32_t layer, const struct lora_module *module,
                        struct lora *to)
{
    int64_t E = l->m->spec.experts, K = module->k, N = module->n;
    enum dtype at, bt;
    parameter_name(l, layer, module->name);
    if (!lora_targets_parameter(l, l->module.p))
        return 0;
    if (lora_config_scale(&l->config, l->module.p, &to->rank, &to->scale, l->e) < 0)
        return -1;
    bool swapped = l->sides == SIDES_SWAPPED;
    int64_t r = to->rank, rE = r * E;
    parameter_tensor(l, layer, module, 'A');
    if (l->sides == SIDES_UNKNOWN && lora_tensor_if(l))
        return err_set(
            l->e, EXIT_CONFIG,
            "tensor \"%s\": %s has as many inputs as outputs, and no other parameter "
            "tells which of them stand in it",
            l->name.p, l->module.p);
    const struct ckpt_tensor *a = lora_tensor(l, rE, swapped ? N : K, &at);
    parameter_tensor(l, layer, module, 'B');
    const struct ckpt_tensor *b = a ? lora_tensor(l, swapped ? K : N, rE, &bt) : NULL;
    if (!b)
        return -1;
    if (swapped) {
        to->a = gather(l, b, bt, r, K, (struct place){1, E, rE});
        to->b = gather(l, a, at, N, r, (struct place){r * N, 1, N});
    } else {
        to->a = gather(l, a, at, r, K, (struct place){r * K, K, 1});
        to->b = gather(l, b, bt, N, r, (struct place){1, rE, E});
    }
    lora_note(l, to->rank);
    l->a->experts = true;
    return to->a && to->b ? 0 : -1;
}

/* ---- one by one ----------------------------------------------------------- */

/* Whether the module of expert e is changed; all experts' must be, by the same rank and factor,
 * since they share one product. */
static int check_apart(struct lora_loader *l, int32_t layer, int32_t e,
                       const struct lora_module *module, struct lora *to)
{
    int32_t rank;
    float scale;
    buf_clear(&l->module);
    buf_printf(&l->module, "%s%d.%s%d.%s", l->m->spec.names.layers, (int)layer,
               l->m->spec.names.experts, (int)e, module->name);
    int in = lora_targets(l, l->module.p, layer, false);
    if (in == 1 && l->config.target == TARGET_ALL) { /* linear in some versions alone */
        lora_tensor_name(l, l->module.p, 'A');
        in = lora_tensor_if(l) != NULL;
    }
    if (in < 0 ||
        (in == 1 && lora_config_scale(&l->config, l->module.p, &rank, &scale, l->e) < 0))
        return -1;
    if (in == 0)
        rank = 0;
    if (e == 0) {
        to->rank = rank;
        to->scale = in ? scale : 0;
    } else if (rank != to->rank || (in && scale != to->scale)) {
        return err_set(l->e, EXIT_CONFIG,
                       "adapter_config.json: %s has another rank or factor than its layer's "
                       "first expert, which is not supported",
                       l->module.p);
    }
    return in;
}

/* One expert's matrix into its place. */
static int load_one(struct lora_loader *l, struct weight **w, int32_t e, char letter,
                    int64_t rows, int64_t cols)
{
    struct dev *d = l->m->dev;
    enum dtype dtype;
    lora_tensor_name(l, l->module.p, letter);
    const struct ckpt_tensor *t = lora_tensor(l, rows, cols, &dtype);
    if (!t)
        return -1;
    if (!*w) {
        struct weight_shape shape = {.n = rows,
                                     .k = cols,
                                     .experts = l->m->spec.experts,
                                     .dtype = dtype == DT_BF16 ? DT_BF16 : DT_F32};
        *w = d->ops->weight_new(d, &shape, l->e);
        l->m->info.weight_bytes += rows * cols * shape.experts * dtype_size(shape.dtype);
    }
    struct weight_source src = {.data = t->data, .dtype = dtype, .stride = cols};
    return *w ? d->ops->weight_rows(d, *w, e, 0, rows, &src, l->e) : -1;
}

int lora_load_apart(struct lora_loader *l, int32_t layer, const struct lora_module *module,
                    struct lora *to)
{
    for (int32_t e = 0; e < l->m->spec.experts; e++) {
        int in = check_apart(l, layer, e, module, to);
        if (in < 0)
            return -1;
        if (in && (load_one(l, &to->a, e, 'A', to->rank, module->k) < 0 ||
                   load_one(l, &to->b, e, 'B', module->n, to->rank) < 0))
            return -1;
    }
    if (to->a) {
        lora_note(l, to->rank);
        l->a->experts = true;
    }
    return 0;
}
