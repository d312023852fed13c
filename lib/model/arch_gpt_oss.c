/* arch_gpt_oss.c - gpt-oss: experts in every layer, stored as MXFP4 or as columns, with a
 * clamped gate; every other layer has a window, and each head a sink.
 */
#include "model/arch.h"

#include <string.h>

/* Weights that are not of experts are never quantised. */
static void read_quantization(struct fields *f, struct spec *s)
{
    static const char *const unused[] = {"modules_to_not_convert", "dequantize", NULL};
    struct fields sub;
    s->expert_storage = EXPERTS_COLUMNS;
    if (!fields_object(f, "quantization_config", &sub))
        return;
    if (strcmp(fields_text(&sub, "quant_method", ""), "mxfp4"))
        fields_refuse(&sub, "quant_method", "\"mxfp4\"");
    fields_ignore(&sub, unused);
    s->expert_storage = EXPERTS_MXFP4;
    (void)!fields_done(&sub); /* f has failed with it */
}

static void read_experts(struct fields *f, struct spec *s)
{
    arch_experts(f, s, 128, 4);
    int32_t used = fields_int(f, "experts_per_token", s->experts_used, 1, INT32_MAX);
    if (used != s->experts_used)
        fields_refuse(f, "experts_per_token", "num_experts_per_tok, if it is given");
    s->expert_ffn = s->ffn;
    s->router_bias = s->expert_bias = true;
    s->expert_gate = (struct gated_args){
        .kind = GATE_CLAMPED,
        .interleaved = true,
        .alpha = (float)fields_positive(f, "swiglu_alpha", 1.702),
        .limit = (float)fields_positive(f, "swiglu_limit", 7),
    };
    s->names.router = "mlp.router";
    s->names.expert_gate_up = "mlp.experts.gate_up_proj";
    s->names.expert_down = "mlp.experts.down_proj";
}

void arch_gpt_oss(struct fields *f, struct spec *s)
{
    static const char *const unused[] = {"initial_context_length", NULL};
    s->context = 131072;
    s->eps = 1e-5f;
    s->head_dim = 64;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    fields_ignore(f, unused);
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", true);
    s->names.sinks = "self_attn.sinks";
    read_experts(f, s);
    read_quantization(f, s);
    if (!fields_have(f, "rope_scaling") && !fields_have(f, "rope_parameters"))
        fields_refuse(f, "rope_scaling", "given");
    arch_rope(f, s, 150000);
    arch_slide_period(f, s, arch_window(f, 128), 2);
}
