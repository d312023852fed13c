/* arch_olmo2.c - OLMo 2: norms behind the half layers alone, and over all of q and k. */
#include "model/arch.h"

void arch_olmo2(struct fields *f, struct spec *s)
{
    s->eps = 1e-5f;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", false);
    s->names.norm[NORM_ATTN_IN] = s->names.norm[NORM_MLP_IN] = NULL;
    s->names.norm[NORM_ATTN_OUT] = "post_attention_layernorm";
    s->names.norm[NORM_MLP_OUT] = "post_feedforward_layernorm";
    s->names.q_norm = "self_attn.q_norm";
    s->names.k_norm = "self_attn.k_norm";
    s->qk_norm_whole = true;
    arch_rope(f, s, 10000);
}
