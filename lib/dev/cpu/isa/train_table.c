/* train_table.c - the kernels of this instruction set for training. */
#include "dev/cpu/isa/train.h"

const struct train_kernels SYM(train_kernels) = {
    .unpack = SYM(train_unpack),
    .turn = SYM(train_turn),
    .pack = SYM(train_pack),
    .unpack_pairs = SYM(train_unpack_pairs),
    .turn_half = SYM(train_turn_half),
    .pack_pairs = SYM(train_pack_pairs),
    .add = SYM(train_add),
    .sum_rows = SYM(train_sum_rows),
    .norm_factors = SYM(train_norm_factors),
    .norm_sum = SYM(train_norm_sum),
    .norm_back = SYM(train_norm_back),
    .unrotate = SYM(train_unrotate),
    .gated_back = SYM(train_gated_back),
    .combine_back = SYM(train_combine_back),
    .route_back = SYM(train_route_back),
    .sorted_back = SYM(train_sorted_back),
    .dropout = SYM(train_dropout),
    .scaled = SYM(train_scaled),
    .adamw = SYM(train_adamw),
    .squares = SYM(train_squares),
    .logits = SYM(train_logits),
    .logits_back = SYM(train_logits_back),
    .attention = SYM(train_attention),
    .attention_back = SYM(train_attention_back),
};
