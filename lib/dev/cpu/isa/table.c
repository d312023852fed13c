/* table.c - the kernels of this instruction set. */
#include "dev/cpu/isa/train.h"

#if defined __AMX_BF16__
#define NAME "amx-bf16"
#define DOT true
#define TILES true
#elif defined __AVX512BF16__
#define NAME "avx512-bf16"
#define DOT true
#elif defined __AVX512F__
#define NAME "avx512"
#define DOT false
#else
#define NAME "avx2"
#define DOT false
#endif

#ifndef TILES
#define TILES false
#endif

const struct kernels SYM(kernels) = {
    .isa = NAME,
    .tiles = TILES,
    .dot = DOT,
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
