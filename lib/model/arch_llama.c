/* arch_llama.c - Llama 1 to 3, and everything that is published as one. */
#include "model/arch.h"

void arch_llama(struct fields *f, struct spec *s)
{
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", false);
    s->gate_up_bias = s->down_bias = fields_bool(f, "mlp_bias", false);
    fields_only_bool(f, "rope_interleaved", false);
    arch_rope(f, s, 10000);
}
