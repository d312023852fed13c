/* arch_granite.c - Granite: Llama with multipliers. */
#include "model/arch.h"

void arch_granite(struct fields *f, struct spec *s)
{
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", false);
    s->gate_up_bias = s->down_bias = fields_bool(f, "mlp_bias", false);
    s->embed_scale = (float)fields_positive(f, "embedding_multiplier", 1);
    s->attention_scale = (float)fields_positive(f, "attention_multiplier", 1);
    s->residual_scale = (float)fields_positive(f, "residual_multiplier", 1);
    s->head_scale = (float)(1 / fields_positive(f, "logits_scaling", 1));
    arch_rope(f, s, 10000);
}
