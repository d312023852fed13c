/* arch_qwen3_moe.c - Qwen 3 with experts: as the dense one, with a router and many small
 * feed-forward parts in all layers but those that are named.
 */
#include "model/arch.h"

/* A layer is sparse unless mlp_only_layers lists it, or decoder_sparse_step passes it by. */
static void read_sparse_layers(struct fields *f, struct spec *s)
{
    const json_t *dense = fields_array(f, "mlp_only_layers");
    int32_t step = fields_int(f, "decoder_sparse_step", 1, 1, INT32_MAX);
    for (int32_t i = 0; i < s->layers; i++)
        s->layer[i].sparse = (i + 1) % step == 0;
    for (size_t i = 0; i < json_array_size(dense); i++) {
        const json_t *v = json_array_get(dense, i);
        json_int_t at = json_integer_value(v);
        if (!json_is_integer(v) || at < 0 || at >= s->layers)
            fields_refuse(f, "mlp_only_layers", "a list of the layers' numbers, from 0");
        else
            s->layer[at].sparse = false;
    }
}

void arch_qwen3_moe(struct fields *f, struct spec *s)
{
    s->context = 32768;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", false);
    s->names.q_norm = "self_attn.q_norm";
    s->names.k_norm = "self_attn.k_norm";
    arch_rope(f, s, 10000);
    /* A window, where it is turned on, is every layer's: max_window_layers says nothing here.
     */
    int32_t window = arch_window(f, 4096);
    (void)fields_int(f, "max_window_layers", 28, 0, INT32_MAX);
    arch_slide_all(f, s, fields_bool(f, "use_sliding_window", false) ? window : 0);

    arch_experts(f, s, 128, 8);
    s->expert_ffn = fields_int(f, "moe_intermediate_size", 768, 1, EXPERT_FFN_MAX);
    s->names.router = "mlp.gate";
    s->names.experts = "mlp.experts.";
    s->names.expert_gate = "gate_proj";
    s->names.expert_up = "up_proj";
    s->names.expert_down = "down_proj";
    s->route.over_all = !fields_bool(f, "norm_topk_prob", false);
    read_sparse_layers(f, s);
    /* Fields of some published configurations. */
    fields_only_bool(f, "qkv_bias", false);
    fields_only_bool(f, "use_qk_norm", true);
    (void)fields_int(f, "shared_expert_intermediate_size", 0, 0, 0);
}
