/* train.h - the kernels of one instruction set for training. */
#ifndef ISA_TRAIN_H
#define ISA_TRAIN_H

#include "dev/cpu/isa.h"
#include "dev/cpu/train_kernels.h"

/* train_pack.c */
void SYM(train_unpack)(float *dst, const struct weight *w, const char *block, int64_t k0);
void SYM(train_turn)(float *dst, int64_t ld, const struct tensor *x, int64_t row0, int64_t rows,
                     int64_t col0, int64_t cols);
void SYM(train_pack)(float *dst, const struct tensor *x, int64_t row0, int64_t rows,
                     int64_t col0);
void SYM(train_unpack_pairs)(char *dst, const struct weight *w, const char *block, int64_t k0);
void SYM(train_turn_half)(uint16_t *dst, int64_t ld, const struct tensor *x, int64_t row0,
                          int64_t rows, int64_t col0, int64_t cols);
void SYM(train_pack_pairs)(char *dst, const struct tensor *x, int64_t row0, int64_t rows,
                           int64_t col0);
/* train_rows.c */
void SYM(train_norm_factors)(const void *job, int64_t row0, int64_t row1);
void SYM(train_norm_sum)(float *out, const struct norm_back_job *j, int64_t row0, int64_t row1,
                         int64_t col0, int64_t cols);
void SYM(train_norm_back)(const void *job, int64_t row0, int64_t row1);
void SYM(train_unrotate)(const void *job, int64_t row0, int64_t row1);
void SYM(train_gated_back)(const void *job, int64_t row0, int64_t row1);
void SYM(train_combine_back)(const void *job, int64_t row0, int64_t row1);
void SYM(train_route_back)(const void *job, int64_t row0, int64_t row1);
void SYM(train_sorted_back)(const void *job, int64_t row0, int64_t row1);
void SYM(train_dropout)(const void *job, int64_t row0, int64_t row1);
void SYM(train_scaled)(const void *job, int64_t row0, int64_t row1);
void SYM(train_add)(float *y, const float *x, int64_t n);
void SYM(train_sum_rows)(float *out, const struct tensor *x, int64_t row0, int64_t row1,
                         int64_t col0, int64_t cols);
void SYM(train_adamw)(const void *job, int64_t chunk0, int64_t chunk1);
void SYM(train_squares)(const void *job, int64_t chunk0, int64_t chunk1);
/* train_loss.c */
void SYM(train_logits)(const void *job, int64_t row0, int64_t row1);
void SYM(train_logits_back)(const void *job, int64_t row0, int64_t row1);
/* train_attention.c */
void SYM(train_attention)(const struct train_attention_job *j, int32_t span, int32_t g,
                          float *scratch);
void SYM(train_attention_back)(const struct train_attention_job *j, int32_t span, int32_t g,
                               float *scratch);

#endif
