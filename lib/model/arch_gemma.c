/* arch_gemma.c - Gemma 2 and 3 (text): a norm on either side of each half layer, layers with a
 * window between full ones; soft caps in 2, norms on q and k and two kinds of rotary positions
 * in 3.
 */
#include "model/arch.h"

#include <math.h>

/* Sizes, four norms of 1 + weight, the embedding's scale, tanh-form GELU, the soft caps. */
static void read_gemma(struct fields *f, struct spec *s, double attention_cap, double head_cap)
{
    /* The first configurations have a hidden_act that was never what the model does. */
    static const char *const unused[] = {"hidden_act", "sliding_window_size", NULL};
    s->head_dim = 256;
    s->tied = true;
    arch_common(f, s);
    fields_only_text(f, "hidden_activation", "gelu_pytorch_tanh");
    fields_only_bool(f, "use_bidirectional_attention", false);
    fields_ignore(f, unused);
    s->gate = GATE_GELU_TANH;
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", false);
    s->norm_plus_one = true;
    s->names.norm[NORM_ATTN_OUT] = "post_attention_layernorm";
    s->names.norm[NORM_MLP_IN] = "pre_feedforward_layernorm";
    s->names.norm[NORM_MLP_OUT] = "post_feedforward_layernorm";
    s->embed_scale = (float)sqrt(s->width);
    s->attention_scale = (float)(1 / sqrt(fields_positive(f, "query_pre_attn_scalar", 256)));
    s->attention_cap = (float)fields_positive_or_none(f, "attn_logit_softcapping",
                                                      attention_cap);
    s->head_cap = (float)fields_positive_or_none(f, "final_logit_softcapping", head_cap);
}

void arch_gemma2(struct fields *f, struct spec *s)
{
    s->context = 8192;
    read_gemma(f, s, 50, 30);
    arch_rope(f, s, 10000);
    arch_slide_period(f, s, arch_window(f, 4096), 2);
}

/* Table 0 for full layers, 1 for those with a window: as one object for each kind of layer, or
 * as fields of their own, where scaling is for full layers alone. */
static void read_ropes(struct fields *f, struct spec *s)
{
    struct fields all, one;
    double local = fields_positive(f, "rope_local_base_freq", 10000);
    const json_t *p = json_object_get(f->object, "rope_parameters");
    bool apart = json_object_get(p, "full_attention") ||
                 json_object_get(p, "sliding_attention");
    if (!apart) {
        arch_rope(f, s, 1000000);
    } else if (fields_object(f, "rope_parameters", &all)) {
        static const char *const kinds[] = {"full_attention", "sliding_attention"};
        double theta[] = {fields_positive(f, "rope_theta", 1000000), local};
        for (int i = 0; i < 2; i++) {
            if (fields_object(&all, kinds[i], &one)) {
                arch_rope_parameters(&one, &s->rope[i], theta[i]);
                (void)!fields_done(&one); /* what fails here has failed f */
            } else {
                fields_refuse(&all, kinds[i], "an object");
            }
        }
        (void)!fields_done(&all);
    }
    if (!apart)
        s->rope[1] = (struct rope_spec){ROPE_DEFAULT, .theta = local, .attention_factor = 1};
    s->ropes = 2;
}

void arch_gemma3(struct fields *f, struct spec *s)
{
    s->context = 131072;
    read_gemma(f, s, 0, 0);
    s->names.q_norm = "self_attn.q_norm";
    s->names.k_norm = "self_attn.k_norm";
    read_ropes(f, s);
    int32_t period = fields_int(f, "_sliding_window_pattern", 6, 1, INT32_MAX);
    period = fields_int(f, "sliding_window_pattern", period, 1, INT32_MAX);
    arch_slide_period(f, s, arch_window(f, 4096), period);
    for (int32_t i = 0; i < s->layers; i++)
        s->layer[i].rope = s->layer[i].window ? 1 : 0;
}
