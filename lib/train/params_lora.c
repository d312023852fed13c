/* params_lora.c - the small matrices of an adapter, by PEFT's names and in its layout.
 *
 * The experts of a parameter share one tensor in the file; here each has its own A [rank, in]
 * and B [out, rank], one expert behind the other.
 */
#include "model/lora_config.h"
#include "train/train.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "base_model.model."

struct builder {
    struct trainer *t;
    const struct train_lora *l;
    bool *used;            /* [targets] */
    bool *used_parameters; /* [parameters] */
    uint64_t salt;
    struct err *e;
};

/* ---- which modules ------------------------------------------------------------- */

static bool listed(const char *const *list, size_t n, bool *used, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < n; i++)
        if (lora_name_is(name, list[i])) {
            used[i] = true;
            found = true;
        }
    return found;
}

/* "all-linear" is what PEFT takes it for: linear layers, and neither routers nor experts. */
static bool targeted(struct builder *b, const struct lora_module *m, const char *name)
{
    const struct train_lora *l = b->l;
    if (m->form == LORA_PARAMETER)
        return listed(l->parameters, l->n_parameters, b->used_parameters, name);
    bool plain = m->form == LORA_LINEAR && m->place != LORA_ROUTER;
    if (!l->n_targets)
        return plain && !l->n_parameters;
    for (size_t i = 0; i < l->n_targets; i++)
        if (!strcmp(l->targets[i], "all-linear") && plain) {
            b->used[i] = true;
            return true;
        }
    return listed(l->targets, l->n_targets, b->used, name);
}

static int check_used(struct builder *b, const char *const *list, size_t n, const bool *used,
                      const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!used[i])
            return err_set(b->e, EXIT_CONFIG,
                           "%.80s is no %s that takes an adapter in a %s; see its tensors' "
                           "names",
                           list[i], what, b->t->m->spec.type);
    return 0;
}

/* ---- one module ----------------------------------------------------------------- */

static struct weight *new_weight(struct builder *b, int64_t n, int64_t k, int64_t experts)
{
    struct weight_shape s = {n, k, experts, b->t->o.dtype};
    return b->t->ops->weight_new(b->t->d, &s, b->e);
}

static struct param *add(struct builder *b, struct weight *w, char *name, const int64_t *shape,
                         int64_t rows, int64_t cols)
{
    struct param *p = param_add(b->t, name, 2, shape);
    p->t.decay = true;
    p->weight = w;
    p->rows = rows;
    p->cols = cols;
    p->filled = false;
    return p;
}

/* "base_model.model.MODULE.lora_A.weight" */
static char *tensor_of(const char *module, char letter)
{
    return xasprintf(PREFIX "%s.lora_%c.weight", module, letter);
}

static void add_linear(struct builder *b, struct train_module *m, const char *module)
{
    int64_t R = m->rank;
    m->a_at = b->t->floats;
    add(b, m->a, tensor_of(module, 'A'), (int64_t[]){R, m->m.k}, R, m->m.k);
    param_align(b->t);
    m->b_at = b->t->floats;
    add(b, m->b, tensor_of(module, 'B'), (int64_t[]){m->m.n, R}, m->m.n, R)->is_b = true;
}

/* A linear layer of each expert. */
static void add_apart(struct builder *b, struct train_module *m, int32_t layer)
{
    const struct spec *s = &b->t->m->spec;
    int64_t R = m->rank, N = m->m.n, K = m->m.k;
    for (int side = 0; side < 2; side++) {
        param_align(b->t);
        *(side ? &m->b_at : &m->a_at) = b->t->floats;
        for (int32_t e = 0; e < s->experts; e++) {
            char *module = xasprintf("%s%d.%s%d.%s", s->names.layers, (int)layer,
                                     s->names.experts, (int)e, m->m.name);
            struct param *p = add(b, side ? m->b : m->a, tensor_of(module, side ? 'B' : 'A'),
                                  (int64_t[]){side ? N : R, side ? R : K}, side ? N : R,
                                  side ? R : K);
            p->expert = e;
            p->is_b = side;
            free(module);
        }
    }
}

/* PEFT wraps a module once for each of its parameters; the last one's wrapper is outermost. */
static bool is_inner(struct builder *b, const struct lora_module *all, int n, int i,
                     int32_t layer)
{
    bool inner = false;
    for (int k = i + 1; k < n && !inner; k++) {
        char *name = xasprintf("%s%d.%s", b->t->m->spec.names.layers, (int)layer, all[k].name);
        inner = all[k].form == LORA_PARAMETER && targeted(b, &all[k], name);
        free(name);
    }
    return inner;
}

/* A parameter of all experts: A [E * rank, in], B [out, rank * E]. */
static void add_parameter(struct builder *b, struct train_module *m, const char *name,
                          bool inner)
{
    int64_t R = m->rank, E = b->t->m->spec.experts, N = m->m.n, K = m->m.k;
    char *module = xasprintf("%.*s%s", (int)(strrchr(name, '.') - name), name,
                             inner ? ".base_layer" : "");
    m->a_at = b->t->floats;
    add(b, m->a, tensor_of(module, 'A'), (int64_t[]){E * R, K}, R, K)->experts = E;
    param_align(b->t);
    m->b_at = b->t->floats;
    struct param *p = add(b, m->b, tensor_of(module, 'B'), (int64_t[]){N, R * E}, N, R);
    p->experts = E;
    p->is_b = true;
    p->by_rank = true;
    free(module);
}

static int add_module(struct builder *b, const struct lora_module *all, int n, int i,
                      int32_t layer)
{
    const struct spec *s = &b->t->m->spec;
    struct train_module *m = &b->t->layer[layer].module[i];
    char name[256];
    m->m = all[i];
    snprintf(name, sizeof name, "%s%d.%s%s%s", s->names.layers, (int)layer,
             all[i].form == LORA_APART ? s->names.experts : "",
             all[i].form == LORA_APART ? "0." : "", all[i].name);
    if (!targeted(b, &all[i], name))
        return 0;
    double divisor = b->l->rslora ? sqrt((double)b->l->rank) : (double)b->l->rank;
    int64_t experts = all[i].form == LORA_LINEAR ? 0 : s->experts;
    m->on = true;
    m->rank = b->l->rank;
    m->scale = (float)(b->l->alpha / divisor);
    m->salt = ++b->salt;
    m->a = new_weight(b, m->rank, all[i].k, experts);
    m->b = m->a ? new_weight(b, all[i].n, m->rank, experts) : NULL;
    if (!m->b)
        return -1;
    param_align(b->t);
    if (all[i].form == LORA_LINEAR)
        add_linear(b, m, name);
    else if (all[i].form == LORA_APART)
        add_apart(b, m, layer);
    else
        add_parameter(b, m, name, is_inner(b, all, n, i, layer));
    return 0;
}

static int add_layer(struct builder *b, int32_t layer)
{
    struct lora_module all[LORA_MODULES];
    int n = lora_modules(&b->t->m->spec, layer, all);
    struct train_layer *y = &b->t->layer[layer];
    y->modules = n;
    y->at = (struct layer_at){-1, -1, -1, -1, -1, -1, -1,
                              -1, -1, -1, -1, -1, -1, {-1, -1, -1, -1}};
    for (int i = 0; i < n; i++)
        if (add_module(b, all, n, i, layer) < 0)
            return -1;
    y->has_bucket = bucket_end(b->t);
    return 0;
}

/* ---- modules_to_save --------------------------------------------------------------- */

static int add_saved(struct builder *b, const char *name, struct weight **w, int64_t *at)
{
    const struct spec *s = &b->t->m->spec;
    *w = new_weight(b, s->vocab, s->width, 0);
    if (!*w)
        return -1;
    param_align(b->t);
    *at = b->t->floats;
    add(b, *w, xasprintf(PREFIX "%s.weight", name), (int64_t[]){s->vocab, s->width}, s->vocab,
        s->width)
        ->filled = true;
    bucket_end(b->t);
    return 0;
}

static int check_saved(struct builder *b, bool *embed, bool *head)
{
    const struct names *n = &b->t->m->spec.names;
    for (size_t i = 0; i < b->l->n_save; i++) {
        bool e = lora_name_is(n->embed, b->l->save[i]),
             h = lora_name_is(n->head, b->l->save[i]);
        if (!e && !h)
            return err_set(b->e, EXIT_CONFIG,
                           "%.80s cannot be saved whole beside an adapter; there are %s and %s",
                           b->l->save[i], n->embed, n->head);
        *embed = *embed || e;
        *head = *head || h;
    }
    return 0;
}

/* ---- all of it ---------------------------------------------------------------------- */

static int build(struct builder *b)
{
    struct trainer *t = b->t;
    const struct names *n = &t->m->spec.names;
    bool embed = false, head = false;
    if (check_saved(b, &embed, &head) < 0)
        return -1;
    if (head && add_saved(b, n->head, &t->head, &t->head_at) < 0)
        return -1;
    for (int32_t i = t->m->spec.layers - 1; i >= 0; i--)
        if (add_layer(b, i) < 0)
            return -1;
    if (embed && add_saved(b, n->embed, &t->embed, &t->embed_at) < 0)
        return -1;
    t->gradient = t->floats;
    if (check_used(b, b->l->targets, b->l->n_targets, b->used, "module") < 0 ||
        check_used(b, b->l->parameters, b->l->n_parameters, b->used_parameters, "parameter") <
            0)
        return -1;
    if (!t->n_params)
        return err_set(b->e, EXIT_CONFIG, "this adapter would change nothing");
    return 0;
}

static void add_list(json_t *o, const char *name, const char *const *list, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_string(list[i]));
    json_object_set_new(o, name, a);
}

/* What PEFT reads; target_modules are the names that are in use. */
static void describe(struct builder *b)
{
    const struct train_lora *l = b->l;
    json_t *o = json_pack("{s:s, s:s, s:i, s:f, s:f, s:b, s:s, s:b, s:b, s:n}", "peft_type",
                          "LORA", "task_type", "CAUSAL_LM", "r", (int)l->rank, "lora_alpha",
                          l->alpha, "lora_dropout", l->dropout, "use_rslora", (int)l->rslora,
                          "bias", "none", "fan_in_fan_out", 0, "inference_mode", 1,
                          "base_model_name_or_path");
    json_t *names = json_array();
    const struct train_layer *y = &b->t->layer[0];
    for (int i = 0; i < y->modules; i++) {
        const struct train_module *m = &y->module[i];
        const char *dot = strrchr(m->m.name, '.');
        if (m->on && m->m.form != LORA_PARAMETER)
            json_array_append_new(names, json_string(dot ? dot + 1 : m->m.name));
    }
    json_object_set_new(o, "target_modules", names);
    if (l->n_parameters)
        add_list(o, "target_parameters", l->parameters, l->n_parameters);
    if (l->n_save)
        add_list(o, "modules_to_save", l->save, l->n_save);
    b->t->lora_text = json_dumps(o, 0);
    json_decref(o);
}

int params_lora(struct trainer *t, const struct train_lora *l, struct err *e)
{
    struct builder b = {.t = t, .l = l, .e = e};
    if (l->rank < 1 || !(l->alpha > 0) || !(l->dropout >= 0 && l->dropout < 1))
        return err_set(e, EXIT_USAGE,
                       "an adapter's rank is at least 1, its alpha above 0, its "
                       "dropout from 0 to less than 1");
    if (l->n_parameters && l->dropout > 0)
        return err_set(e, EXIT_USAGE, "adapters of experts' parameters take no dropout");
    b.used = xcalloc(l->n_targets + 1, sizeof *b.used);
    b.used_parameters = xcalloc(l->n_parameters + 1, sizeof *b.used_parameters);
    t->dropout = (float)l->dropout;
    int rc = build(&b);
    if (rc == 0)
        describe(&b);
    free(b.used);
    free(b.used_parameters);
    return rc;
}

void lora_modules_release(struct trainer *t)
{
    for (int32_t i = 0; t->layer && i < t->m->spec.layers; i++)
        for (int k = 0; k < LORA_MODULES; k++) {
            t->ops->weight_free(t->d, t->layer[i].module[k].a);
            t->ops->weight_free(t->d, t->layer[i].module[k].b);
        }
}

json_t *trainer_adapter_config(const struct trainer *t, const char *base_model)
{
    json_t *o = t->lora_text ? json_loads(t->lora_text, 0, NULL) : NULL;
    if (o && base_model)
        json_object_set_new(o, "base_model_name_or_path", json_string(base_model));
    return o;
}
