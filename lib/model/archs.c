/* archs.c - the table of architectures (archs.def), and what their rows share. */
#include "model/arch.h"

#include "base/buf.h"

#include <math.h>
#include <stdlib.h>

static const struct arch {
    const char *type; /* model_type */
    void (*read)(struct fields *f, struct spec *s);
} archs[] = {
#define ARCH(type, read) {type, read},
#include "model/archs.def"
#undef ARCH
};

enum { ARCHS = sizeof archs / sizeof *archs };

/* Bounds that keep every product of two or three of them within 63 bits. */
enum {
    WIDTH_MAX = 1 << 20,
    LAYERS_MAX = 4096,
    HEADS_MAX = 4096,
    EXPERTS_MAX = 4096,
    USED_MAX = 256,
    VOCAB_MAX = 1 << 24,
    HEAD_MAX = 1 << 16
};

/* Fields of any config.json that say nothing about the decoder's results: bookkeeping, training
 * and generation defaults, code to load (auto_map), which is never loaded. */
static const char *const does_not_matter[] = {"_attn_implementation",
                                              "_attn_implementation_autoset",
                                              "_from_model_config",
                                              "_name_or_path",
                                              "attention_dropout",
                                              "auto_map",
                                              "bos_token_id",
                                              "cache_implementation",
                                              "dtype",
                                              "eos_token_id",
                                              "gradient_checkpointing",
                                              "hidden_dropout",
                                              "initializer_range",
                                              "is_decoder",
                                              "is_llama_config",
                                              "max_length",
                                              "max_sequence_length",
                                              "model_max_length",
                                              "output_attentions",
                                              "output_hidden_states",
                                              "output_router_logits",
                                              "pad_token_id",
                                              "pretraining_tp",
                                              "return_dict",
                                              "router_aux_loss_coef",
                                              "tokenizer_class",
                                              "torch_dtype",
                                              "torchscript",
                                              "transformers.js_config",
                                              "transformers_version",
                                              "unsloth_fixed",
                                              "unsloth_version",
                                              "use_bfloat16",
                                              "use_cache",
                                              NULL};

void arch_common(struct fields *f, struct spec *s)
{
    s->layers = fields_int(f, "num_hidden_layers", FIELD_REQUIRED, 1, LAYERS_MAX);
    s->width = fields_int(f, "hidden_size", FIELD_REQUIRED, 1, WIDTH_MAX);
    s->ffn = fields_int(f, "intermediate_size", FIELD_REQUIRED, 1, WIDTH_MAX);
    s->heads = fields_int(f, "num_attention_heads", FIELD_REQUIRED, 1, HEADS_MAX);
    s->kv_heads = fields_int(f, "num_key_value_heads", s->heads, 1, HEADS_MAX);
    s->head_dim = fields_int(f, "head_dim", s->head_dim ? s->head_dim : s->width / s->heads, 1,
                             HEAD_MAX);
    s->vocab = fields_int(f, "vocab_size", FIELD_REQUIRED, 1, VOCAB_MAX);
    s->context = fields_int(f, "max_position_embeddings", s->context, 1, INT32_MAX / 2);
    s->eps = (float)fields_positive(f, "rms_norm_eps", s->eps);
    s->tied = fields_bool(f, "tie_word_embeddings", s->tied);
    if (s->heads % s->kv_heads)
        fields_refuse(f, "num_key_value_heads", "a divisor of num_attention_heads");
    s->rotary = s->head_dim;
    s->attention_scale = (float)(1 / sqrt(s->head_dim));
    s->layer = xcalloc((size_t)s->layers, sizeof *s->layer);
}

static void read_yarn(struct fields *f, struct rope_spec *r)
{
    r->kind = ROPE_YARN;
    r->factor = fields_positive(f, "factor", FIELD_REQUIRED);
    r->original = fields_positive(f, "original_max_position_embeddings", FIELD_REQUIRED);
    r->fast = fields_positive(f, "beta_fast", 32);
    r->slow = fields_positive(f, "beta_slow", 1);
    r->truncate = fields_bool(f, "truncate", true);
    double attention = r->factor > 1 ? 0.1 * log(r->factor) + 1 : 1;
    r->attention_factor = fields_positive(f, "attention_factor", attention);
    if (r->theta <= 1)
        fields_refuse(f, "rope_theta", "larger than 1");
}

void arch_rope_parameters(struct fields *f, struct rope_spec *r, double theta)
{
    const char *type = fields_text(f, "type", "default");
    type = fields_text(f, "rope_type", type);
    *r = (struct rope_spec){.attention_factor = 1};
    r->theta = fields_positive(f, "rope_theta", theta);
    if (!strcmp(type, "default")) {
        r->kind = ROPE_DEFAULT;
    } else if (!strcmp(type, "linear")) {
        r->kind = ROPE_LINEAR;
        r->factor = fields_positive(f, "factor", FIELD_REQUIRED);
    } else if (!strcmp(type, "llama3")) {
        r->kind = ROPE_LLAMA3;
        r->factor = fields_positive(f, "factor", FIELD_REQUIRED);
        r->low_freq = fields_positive(f, "low_freq_factor", FIELD_REQUIRED);
        r->high_freq = fields_positive(f, "high_freq_factor", FIELD_REQUIRED);
        r->original = fields_positive(f, "original_max_position_embeddings", FIELD_REQUIRED);
        if (r->high_freq <= r->low_freq)
            fields_refuse(f, "high_freq_factor", "larger than low_freq_factor");
    } else if (!strcmp(type, "yarn")) {
        read_yarn(f, r);
    } else {
        fields_refuse(f, fields_have(f, "rope_type") ? "rope_type" : "type",
                      "\"default\", \"linear\", \"llama3\" or \"yarn\"");
    }
}

void arch_rope_part(struct fields *f, const struct spec *s)
{
    double part = fields_positive(f, "partial_rotary_factor", (double)s->rotary / s->head_dim);
    if ((int32_t)(s->head_dim * part) != s->rotary)
        fields_refuse(f, "partial_rotary_factor", "1, or what the family rotates of a head");
}

void arch_rope(struct fields *f, struct spec *s, double theta)
{
    struct fields sub;
    theta = fields_positive(f, "rope_theta", theta);
    s->rope[0] = (struct rope_spec){ROPE_DEFAULT, .theta = theta, .attention_factor = 1};
    s->ropes = 1;
    if (fields_have(f, "rope_parameters") && fields_have(f, "rope_scaling"))
        fields_refuse(f, "rope_scaling", "absent where there are rope_parameters");
    if (fields_object(f, "rope_scaling", &sub) || fields_object(f, "rope_parameters", &sub)) {
        arch_rope_parameters(&sub, &s->rope[0], theta);
        arch_rope_part(&sub, s);
        (void)!fields_done(&sub); /* f has failed with it */
    }
}

void arch_experts(struct fields *f, struct spec *s, int32_t experts, int32_t used)
{
    s->experts = fields_int(f, "num_local_experts", experts, 1, EXPERTS_MAX);
    experts = fields_int(f, "num_experts", s->experts, 1, EXPERTS_MAX);
    if (fields_have(f, "num_local_experts") && experts != s->experts)
        fields_refuse(f, "num_experts", "num_local_experts, where both are given");
    s->experts = experts;
    s->experts_used = fields_int(f, "num_experts_per_tok", used, 1,
                                 experts < USED_MAX ? experts : USED_MAX);
    s->expert_gate.kind = s->gate;
    s->route.scale = 1;
    for (int32_t i = 0; i < s->layers; i++)
        s->layer[i].sparse = true;
}

/* layer_types, where present, says which layers have the window. */
static void layer_types(struct fields *f, struct spec *s, int32_t window)
{
    const json_t *types = fields_array(f, "layer_types");
    if (!types)
        return;
    if (json_array_size(types) != (size_t)s->layers) {
        fields_refuse(f, "layer_types", "one a layer");
        return;
    }
    for (int32_t i = 0; i < s->layers; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        if (type && !strcmp(type, "full_attention"))
            s->layer[i].window = 0;
        else if (type && !strcmp(type, "sliding_attention") && window)
            s->layer[i].window = window;
        else
            fields_refuse(f, "layer_types",
                          window ? "\"full_attention\" or \"sliding_attention\""
                                 : "\"full_attention\" where there is no sliding_window");
    }
}

int32_t arch_window(struct fields *f, int32_t fallback)
{
    bool none = json_is_null(json_object_get(f->object, "sliding_window"));
    return fields_int(f, "sliding_window", none ? 0 : fallback, 1, INT32_MAX);
}

void arch_slide_all(struct fields *f, struct spec *s, int32_t window)
{
    for (int32_t i = 0; i < s->layers; i++)
        s->layer[i].window = window;
    layer_types(f, s, window);
}

void arch_slide_period(struct fields *f, struct spec *s, int32_t window, int32_t period)
{
    for (int32_t i = 0; i < s->layers; i++)
        s->layer[i].window = (i + 1) % period ? window : 0;
    layer_types(f, s, window);
}

void arch_slide_switch(struct fields *f, struct spec *s)
{
    bool on = fields_bool(f, "use_sliding_window", false);
    int32_t window = arch_window(f, 4096);
    int32_t from = fields_int(f, "max_window_layers", 28, 0, INT32_MAX);
    for (int32_t i = from; on && i < s->layers; i++)
        s->layer[i].window = window;
    layer_types(f, s, on ? window : 0);
}

/* The names that published checkpoints of nearly all families have; a row changes what differs
 * before or after it calls arch_common(). */
static const struct names usual_names = {
    .embed = "model.embed_tokens",
    .final_norm = "model.norm",
    .head = "lm_head",
    .layers = "model.layers.",
    .norm = {[NORM_ATTN_IN] = "input_layernorm", [NORM_MLP_IN] = "post_attention_layernorm"},
    .q = "self_attn.q_proj",
    .k = "self_attn.k_proj",
    .v = "self_attn.v_proj",
    .o = "self_attn.o_proj",
    .gate = "mlp.gate_proj",
    .up = "mlp.up_proj",
    .down = "mlp.down_proj",
};

static const struct arch *find_arch(const json_t *config, struct err *e)
{
    const json_t *v = json_object_get(config, "model_type");
    const char *type = json_string_value(v);
    struct buf known = {0};
    for (size_t i = 0; type && i < ARCHS; i++)
        if (!strcmp(type, archs[i].type))
            return &archs[i];
    for (size_t i = 0; i < ARCHS; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", archs[i].type);
    if (type)
        err_set(e, EXIT_CONFIG, "config.json: model_type \"%s\" is not known; there are %s",
                type, known.p);
    else
        err_set(e, EXIT_CONFIG, "config.json has no model_type; there are %s", known.p);
    buf_release(&known);
    return NULL;
}

/* A directory may hold the same decoder under another head (a classifier, a reward model). */
static void check_task(struct fields *f)
{
    const json_t *list = fields_array(f, "architectures");
    static const char task[] = "ForCausalLM";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        size_t n = name ? strlen(name) : 0;
        if (n < sizeof task || strcmp(name + n - (sizeof task - 1), task))
            fields_refuse(f, "architectures", "a ...ForCausalLM");
    }
}

int spec_read(struct spec *s, const json_t *config, struct err *e)
{
    const struct arch *a = find_arch(config, e);
    struct fields f;
    *s = (struct spec){.names = usual_names,
                       .eps = 1e-6f,
                       .context = 2048,
                       .embed_scale = 1,
                       .residual_scale = 1,
                       .head_scale = 1,
                       .gate = GATE_SILU};
    if (!a)
        return -1;
    s->type = a->type;
    fields_open(&f, config, "config.json", e);
    (void)fields_text(&f, "model_type", a->type);
    check_task(&f);
    fields_only_bool(&f, "is_encoder_decoder", false);
    fields_only_bool(&f, "add_cross_attention", false);
    a->read(&f, s);
    if (!f.failed && s->ropes && (s->rotary < 2 || s->rotary % 2 || s->rotary > s->head_dim))
        fields_refuse(&f, "head_dim", "even, to be rotated in pairs");
    fields_ignore(&f, does_not_matter);
    if (fields_done(&f) == 0)
        return 0;
    spec_release(s);
    return -1;
}

void spec_release(struct spec *s)
{
    for (int i = 0; i < ROPE_TABLES; i++) {
        free(s->rope[i].factors);
        s->rope[i].factors = NULL;
    }
    free(s->layer);
    s->layer = NULL;
}
