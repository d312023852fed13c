/* arch_smollm3.c - SmolLM 3: Llama where every fourth layer has no positions. */
#include "model/arch.h"

/* no_rope_layers[i] = 1 means that layer i has rotary positions; so does its absence, but for
 * each no_rope_layer_interval-th layer. */
static void read_rope_layers(struct fields *f, struct spec *s)
{
    const json_t *list = fields_array(f, "no_rope_layers");
    int32_t interval = fields_int(f, "no_rope_layer_interval", 4, 1, INT32_MAX);
    if (list && json_array_size(list) != (size_t)s->layers)
        fields_refuse(f, "no_rope_layers", "one a layer");
    for (int32_t i = 0; i < s->layers; i++) {
        const json_t *v = json_array_get(list, (size_t)i);
        if (v && !json_is_integer(v))
            fields_refuse(f, "no_rope_layers", "of 0 and 1");
        bool has = list ? json_integer_value(v) != 0 : (i + 1) % interval != 0;
        s->layer[i].rope = has ? 0 : -1;
    }
}

void arch_smollm3(struct fields *f, struct spec *s)
{
    static const char *const unused[] = {"sliding_window", "max_window_layers", NULL};
    s->context = 32768;
    s->tied = true;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    s->qkv_bias = s->o_bias = fields_bool(f, "attention_bias", false);
    s->gate_up_bias = s->down_bias = fields_bool(f, "mlp_bias", false);
    arch_rope(f, s, 2000000);
    read_rope_layers(f, s);
    fields_only_bool(f, "use_sliding_window", false);
    fields_ignore(f, unused);
    arch_slide_all(f, s, 0);
}
