/* arch_mistral.c - Mistral: Llama with a window on every layer. */
#include "model/arch.h"

void arch_mistral(struct fields *f, struct spec *s)
{
    s->context = 131072;
    arch_common(f, s);
    fields_only_text(f, "hidden_act", "silu");
    arch_rope(f, s, 10000);
    arch_slide_all(f, s, arch_window(f, 4096));
}
