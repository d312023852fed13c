/* table.c - the kernels of this instruction set. */
#include "dev/cpu/isa/train.h"

#define NAME_(isa) #isa
#define NAME(isa) NAME_(isa)

const struct kernels SYM(kernels) = {
    .isa = NAME(ISA),
    .panel = SYM(linear_panel),
    .linear = SYM(linear),
    .lora_add = SYM(lora_add),
    .norm = SYM(norm),
    .rope = SYM(rope),
    .gated = SYM(gated),
    .route = SYM(route),
    .combine = SYM(combine),
    .attention = SYM(attention),
    .head_chunk = SYM(head_chunk),
    .head_merge = SYM(head_merge),
    .widen = SYM(widen),
    .transpose = SYM(transpose),
    .train = &SYM(train_kernels),
};
