/* lora_config.c - what an adapter_config.json says of a module. */
#include "model/lora_config.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_MAX = 1 << 14, LAYERS_MAX = 4096, LIST_MAX = 4096 };

/* ---- reading -------------------------------------------------------------- */

/* How weights were begun, training, loading, and where the base model came from. */
static const char *const does_not_matter[] = {"auto_mapping",      "base_model_name_or_path",
                                              "corda_config",      "eva_config",
                                              "inference_mode",    "loftq_config",
                                              "lora_dropout",      "lora_ga_config",
                                              "megatron_core",     "peft_version",
                                              "qalora_group_size", "revision",
                                              "runtime_config",    NULL};

/* Other forms of LoRA, each turned on by a field of its own. */
static const char *const switches[] = {
    "ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_dora", "use_qalora", NULL};
static const char *const forms[] = {"alora_invocation_tokens",
                                    "arrow_config",
                                    "kasa_config",
                                    "layer_replication",
                                    "megatron_config",
                                    "monteclora_config",
                                    "trainable_token_indices",
                                    "use_bdlora",
                                    "velora_config",
                                    NULL};

static void refuse_forms(struct fields *f)
{
    for (const char *const *s = switches; *s; s++)
        fields_only_bool(f, *s, false);
    for (const char *const *s = forms; *s; s++)
        if (fields_have(f, *s))
            fields_refuse(f, *s, "null");
    fields_ignore(f, forms);
    fields_only_text(f, "bias", "none");
    fields_only_text(f, "task_type", "CAUSAL_LM");
}

/* Some ways to begin leave the base model changed, so that the adapter alone is not the whole
 * difference; PEFT writes true here when it has converted one of them. */
static void check_init(struct fields *f)
{
    static const char *const fine[] = {"gaussian", "eva", "orthogonal", "mica"};
    static const char field[] = "init_lora_weights";
    const json_t *v = json_object_get(f->object, field);
    bool good = !v || json_is_null(v) || json_is_boolean(v);
    for (size_t i = 0; i < sizeof fine / sizeof *fine && !good; i++)
        good = json_is_string(v) && !strcasecmp(json_string_value(v), fine[i]);
    fields_ignore(f, (const char *const[]){field, NULL});
    if (!good)
        fields_refuse(f, field,
                      "true, false, gaussian, eva, orthogonal or mica (others change the base "
                      "weights; PEFT can convert the adapter when it saves it)");
}

/* The list in a field, where every element is a string. */
static const json_t *read_list(struct fields *f, const char *name)
{
    const json_t *list = fields_array(f, name);
    if (json_array_size(list) > LIST_MAX)
        fields_refuse(f, name, "a list of at most 4096 names");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            fields_refuse(f, name, "a list of names");
    return list;
}

static int add_pattern(struct fields *f, struct lora_config *c, enum match_form form,
                       const char *field, const char *text)
{
    int p = f->failed ? -1 : matcher_add(c->matcher, form, text, f->e);
    if (p < 0 && !f->failed) {
        err_prefix(f->e, "%s: \"%s\"", f->name, field);
        f->failed = true;
    }
    return p;
}

/* A list of names, or a pattern. */
static void read_names(struct fields *f, struct lora_config *c, const char *name,
                       struct lora_names *out)
{
    const json_t *v = json_object_get(f->object, name);
    *out = (struct lora_names){.pattern = -1};
    if (json_is_string(v))
        out->pattern = add_pattern(f, c, MATCH_WHOLE, name, fields_text(f, name, ""));
    else
        out->list = read_list(f, name);
}

static void read_targets(struct fields *f, struct lora_config *c)
{
    static const char field[] = "target_modules";
    const json_t *v = json_object_get(f->object, field);
    c->targets.pattern = -1;
    if (!v || json_is_null(v)) {
        c->target = TARGET_DEFAULT;
    } else if (json_is_string(v) && !strcasecmp(json_string_value(v), "all-linear")) {
        c->target = TARGET_ALL;
        (void)fields_text(f, field, "");
    } else {
        read_names(f, c, field, &c->targets);
    }
}

/* A number of layers, or one; only names that are listed can be cut down to them. */
static void read_layers(struct fields *f, struct lora_config *c)
{
    static const char field[] = "layers_to_transform";
    const json_t *v = json_object_get(f->object, field), *p;
    const json_t *pattern = json_object_get(f->object, "layers_pattern");
    fields_ignore(f, (const char *const[]){field, "layers_pattern", NULL});
    if (!v || json_is_null(v) || (json_is_array(v) && !json_array_size(v))) {
        if (json_is_string(pattern) ? *json_string_value(pattern)
                                    : json_array_size(pattern) > 0)
            fields_refuse(f, "layers_pattern", "null without layers_to_transform");
        return;
    }
    if (!c->targets.list)
        fields_refuse(f, field, "null where target_modules is no list");
    if (json_array_size(v) > LAYERS_MAX)
        fields_refuse(f, field, "a list of at most 4096 layers");
    for (size_t i = 0; i < (json_is_array(v) ? json_array_size(v) : 1); i++) {
        p = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_integer(p) || json_integer_value(p) < 0 ||
            json_integer_value(p) >= LAYERS_MAX)
            fields_refuse(f, field, "a layer's number, or a list of them");
    }
    for (size_t i = 0; i < (json_is_array(pattern) ? json_array_size(pattern) : 1); i++) {
        p = json_is_array(pattern) ? json_array_get(pattern, i) : pattern;
        const char *text = json_string_value(p);
        if (p && !json_is_null(p) && (!text || (*text && strcmp(text, "layers") != 0)))
            fields_refuse(f, "layers_pattern", "\"layers\"");
    }
    c->layers = v;
}

static struct lora_rule *read_rules(struct fields *f, struct lora_config *c, const char *name,
                                    bool whole, size_t *n)
{
    struct fields sub;
    const char *key;
    json_t *v;
    *n = 0;
    if (!fields_object(f, name, &sub))
        return NULL;
    struct lora_rule *rules = xcalloc(json_object_size(sub.object), sizeof *rules);
    json_object_foreach((json_t *)(uintptr_t)sub.object, key, v)
    {
        struct lora_rule *r = &rules[(*n)++];
        r->value = whole ? fields_int(&sub, key, FIELD_REQUIRED, 1, RANK_MAX)
                         : fields_positive(&sub, key, FIELD_REQUIRED);
        r->pattern = add_pattern(f, c, MATCH_TAIL, name, key);
        if (f->failed)
            break;
    }
    (void)!fields_done(&sub); /* f has failed with it */
    return rules;
}

/* A later PEFT may have fields that we do not know: one that is false is off. */
static void ignore_off(struct fields *f)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)f->object, key, v)
    {
        if (json_is_false(v))
            fields_ignore(f, (const char *const[]){key, NULL});
    }
}

int lora_config_read(struct lora_config *c, const json_t *config, struct err *e)
{
    struct fields f;
    *c = (struct lora_config){.matcher = matcher_new()};
    fields_open(&f, config, "adapter_config.json", e);
    f.whose = "of a LoRA adapter";
    if (!fields_have(&f, "peft_type"))
        fields_refuse(&f, "peft_type", "LORA");
    fields_only_text(&f, "peft_type", "LORA");
    refuse_forms(&f);
    check_init(&f);
    c->r = fields_int(&f, "r", 8, 1, RANK_MAX);
    c->alpha = fields_positive(&f, "lora_alpha", 8);
    c->rslora = fields_bool(&f, "use_rslora", false);
    read_targets(&f, c);
    read_names(&f, c, "exclude_modules", &c->exclude);
    read_layers(&f, c);
    c->ranks = read_rules(&f, c, "rank_pattern", true, &c->n_ranks);
    c->alphas = read_rules(&f, c, "alpha_pattern", false, &c->n_alphas);
    c->parameters = read_list(&f, "target_parameters");
    c->save = read_list(&f, "modules_to_save");
    fields_ignore(&f, does_not_matter);
    ignore_off(&f);
    if (fields_done(&f) == 0)
        return 0;
    lora_config_release(c);
    return -1;
}

void lora_config_release(struct lora_config *c)
{
    matcher_free(c->matcher);
    free(c->ranks);
    free(c->alphas);
    *c = (struct lora_config){0};
}

/* ---- asking --------------------------------------------------------------- */

bool lora_name_is(const char *name, const char *module)
{
    size_t n = strlen(name), k = strlen(module);
    return n >= k && !strcmp(name + n - k, module) && (n == k || name[n - k - 1] == '.');
}

static bool is_listed(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (lora_name_is(name, json_string_value(json_array_get(list, i))))
            return true;
    return false;
}

bool lora_config_parameter(const struct lora_config *c, const char *name)
{
    return is_listed(c->parameters, name);
}

static int matches(struct lora_config *c, const struct lora_names *names, const char *name,
                   struct err *e)
{
    if (names->pattern >= 0)
        return matcher_test(c->matcher, names->pattern, name, e);
    return is_listed(names->list, name);
}

/* A name that is listed as it stands is not cut down to some layers. */
static bool in_layers(const struct lora_config *c, const char *name, int32_t layer)
{
    if (!c->layers)
        return true;
    for (size_t i = 0; i < json_array_size(c->targets.list); i++)
        if (!strcmp(name, json_string_value(json_array_get(c->targets.list, i))))
            return true;
    if (json_is_integer(c->layers))
        return layer == json_integer_value(c->layers);
    for (size_t i = 0; i < json_array_size(c->layers); i++)
        if (layer == json_integer_value(json_array_get(c->layers, i)))
            return true;
    return false;
}

int lora_config_targets(struct lora_config *c, const char *name, int32_t layer, bool standard,
                        struct err *e)
{
    int out = matches(c, &c->exclude, name, e);
    if (out != 0)
        return out < 0 ? -1 : 0;
    if (c->target == TARGET_ALL)
        return layer >= 0;
    if (c->target == TARGET_DEFAULT)
        return standard;
    int in = matches(c, &c->targets, name, e);
    return in == 1 ? in_layers(c, name, layer) : in;
}

/* The number of the first rule that matches. */
static int first_rule(struct lora_config *c, const struct lora_rule *rules, size_t n,
                      const char *name, double *value, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int rc = matcher_test(c->matcher, rules[i].pattern, name, e);
        if (rc < 0)
            return -1;
        if (rc == 1) {
            *value = rules[i].value;
            return 0;
        }
    }
    return 0;
}

int lora_config_scale(struct lora_config *c, const char *name, int32_t *rank, float *scale,
                      struct err *e)
{
    double r = c->r, alpha = c->alpha;
    if (first_rule(c, c->ranks, c->n_ranks, name, &r, e) < 0 ||
        first_rule(c, c->alphas, c->n_alphas, name, &alpha, e) < 0)
        return -1;
    *rank = (int32_t)r;
    *scale = (float)(alpha / (c->rslora ? sqrt(r) : r));
    return 0;
}
