/* arch_qwen3.c - Qwen 3, dense: norms on each head of q and k. */
#include "model/arch.h"

void arch_qwen3(struct fields *f, struct spec *s)
{
    s->context = 32768;
    s->head_dim = 128;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", false);
    s->names.q_norm = "self_attn.q_norm";
    s->names.k_norm = "self_attn.k_norm";
    arch_rope(f, s, 10000);
    arch_slide_switch(f, s);
}
