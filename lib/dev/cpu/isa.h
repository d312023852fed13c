/* isa.h - what the kernels of one instruction set share. */
#ifndef ISA_H
#define ISA_H

#include "base/half.h"
#include "dev/cpu/kernels.h"
#include "dev/cpu/vec.h"

/* linear.c */
void SYM(product_tile)(const struct product *p, int64_t row0, int64_t row1, int64_t block0,
                       int64_t block1, float *tile, int64_t ld);
int64_t SYM(linear_panel)(int64_t rows);
void SYM(linear)(const struct linear_job *j, int64_t row0, int64_t row1, int64_t block0,
                 int64_t block1);
void SYM(lora_add)(const struct lora_job *j, int64_t row0, int64_t row1, int64_t block0,
                   int64_t block1);
void SYM(widen)(float *dst, const uint16_t *src, int64_t n);
void SYM(transpose)(uint32_t *dst, const char *src, int64_t stride, int64_t n);
/* rows.c */
void SYM(norm)(const void *job, int64_t row0, int64_t row1);
void SYM(rope)(const void *job, int64_t row0, int64_t row1);
void SYM(gated)(const void *job, int64_t row0, int64_t row1);
/* experts.c */
void SYM(route)(const void *job, int64_t row0, int64_t row1);
void SYM(combine)(const void *job, int64_t row0, int64_t row1);
/* attention.c */
void SYM(attention)(const struct attention_job *j, const struct attention_tile *t);
/* head.c */
void SYM(head_chunk)(const struct head_job *j, int64_t chunk, int64_t row0, int64_t row1);
double SYM(head_merge)(const struct head_job *j, int64_t chunks, int64_t row, float max);

/* The first n lanes of v go to columns c.. of a row of f32 or bf16. */
INLINE void put(const struct tensor *t, int64_t row, int64_t c, int n, v16 v)
{
    if (t->dtype == DT_F32) {
        float *p = (float *)t->data + row * t->stride + c;
        if (n == LANES)
            v_store(p, v);
        else
            v_store_n(p, v, n);
    } else {
        uint16_t *p = (uint16_t *)t->data + row * t->stride + c;
        if (n == LANES)
            v_store_bf16(p, v);
        else
            v_store_bf16_n(p, v, n);
    }
}

INLINE const float *row_f32(const struct tensor *t, int64_t row)
{
    return (const float *)t->data + row * t->stride;
}

/* Lanes of the vector that begins at column c of n. */
INLINE int lanes_at(int64_t c, int64_t n)
{
    return n - c < LANES ? (int)(n - c) : LANES;
}

#endif
