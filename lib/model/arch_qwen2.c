/* arch_qwen2.c - Qwen 2 and 2.5: Llama with biases on q, k and v. */
#include "model/arch.h"

void arch_qwen2(struct fields *f, struct spec *s)
{
    s->context = 32768;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    s->qkv_bias = true;
    fields_only_bool(f, "use_mrope", false);
    arch_rope(f, s, 10000);
    arch_slide_switch(f, s);
}
