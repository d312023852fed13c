/* train_pack.c - other orders of weights and activations, for the products of the way back. */
#include "dev/cpu/isa/train.h"

/* Row k of a block of 16 outputs, widened. */
INLINE v16 block_row(const struct weight *w, const char *block, int64_t k)
{
    if (w->shape.dtype == DT_F32)
        return v_load((const float *)(const void *)(block + k * LANES * 4));
    const uint16_t *pair = (const uint16_t *)(const void *)(block + k / 2 * LANES * 4);
    return k % 2 ? v_pair_hi(pair) : v_pair_lo(pair);
}

/* dst[k][16] for 16 k of MXFP4, which comes in whole blocks of 32 */
INLINE void rows_mxfp4(float *dst, const struct weight *w, const char *block, int64_t k0)
{
    v16 scale = v_mxfp4_scale(block + w->shape.k * 8 + k0 / MXFP4_BLOCK * LANES);
    for (int64_t k = k0; k < k0 + LANES; k += 8, dst += 8 * LANES) {
        UNROLL
        for (int i = 0; i < 8; i++)
            v_store(dst + i * LANES, v_mul(v_mxfp4(block + k * 8, i), scale));
    }
}

void SYM(train_unpack)(float *dst, const struct weight *w, const char *block, int64_t k0)
{
    float rows[LANES * LANES];
    int n = lanes_at(k0, w->shape.k);
    if (w->shape.dtype == DT_MXFP4)
        rows_mxfp4(rows, w, block, k0);
    else
        for (int k = 0; k < LANES; k++)
            v_store(rows + k * LANES, k < n ? block_row(w, block, k0 + k) : v_zero());
    SYM(transpose)((uint32_t *)(void *)dst, (const char *)rows, LANES * 4, 1);
}

INLINE v16 get(const struct tensor *t, int64_t row, int64_t c, int n)
{
    if (t->dtype == DT_F32)
        return v_load_n(row_f32(t, row) + c, n);
    uint16_t h[LANES] = {0};
    memcpy(h, (const uint16_t *)t->data + row * t->stride + c, (size_t)n * sizeof *h);
    return v_load_bf16(h);
}

void SYM(train_turn)(float *dst, int64_t ld, const struct tensor *x, int64_t row0, int64_t rows,
                     int64_t col0, int64_t cols)
{
    float from[LANES * LANES], to[LANES * LANES];
    for (int64_t r = 0; r < rows; r += LANES)
        for (int64_t c = 0; c < cols; c += LANES) {
            int n = lanes_at(r, rows), m = lanes_at(c, cols);
            for (int i = 0; i < n; i++)
                v_store(from + i * LANES, get(x, row0 + r + i, col0 + c, m));
            for (int i = n; i < LANES; i++)
                v_store(from + i * LANES, v_zero());
            SYM(transpose)((uint32_t *)(void *)to, (const char *)from, LANES * 4, 1);
            for (int i = 0; i < m; i++)
                v_store_n(dst + (c + i) * ld + r, v_load(to + i * LANES), n);
        }
}

void SYM(train_pack)(float *dst, const struct tensor *x, int64_t row0, int64_t rows,
                     int64_t col0)
{
    int n = lanes_at(col0, x->cols);
    for (int64_t r = 0; r < rows; r++)
        v_store(dst + r * LANES, get(x, row0 + r, col0, n));
}

/* ---- the same of bf16 values ------------------------------------------------------ */

/* dst[n / 2][16][2] from rows of 16 floats that are bf16 values. */
static void pair_rows(char *dst, const float *rows, int64_t n)
{
    for (int64_t r = 0; r < n; r += 2, dst += LANES * 4) {
        uint32_t even[LANES], odd[LANES] = {0}, pair[LANES];
        memcpy(even, rows + r * LANES, sizeof even);
        if (r + 1 < n)
            memcpy(odd, rows + (r + 1) * LANES, sizeof odd);
        for (int i = 0; i < LANES; i++)
            pair[i] = (odd[i] & UINT32_C(0xffff0000)) | even[i] >> 16;
        memcpy(dst, pair, sizeof pair);
    }
}

void SYM(train_unpack_pairs)(char *dst, const struct weight *w, const char *block, int64_t k0)
{
    float rows[LANES * LANES];
    SYM(train_unpack)(rows, w, block, k0);
    pair_rows(dst, rows, LANES);
}

void SYM(train_pack_pairs)(char *dst, const struct tensor *x, int64_t row0, int64_t rows,
                           int64_t col0)
{
    float some[2 * LANES];
    for (int64_t r = 0; r < rows; r += 2, dst += LANES * 4) {
        int64_t n = rows - r < 2 ? 1 : 2;
        SYM(train_pack)(some, x, row0 + r, n, col0);
        pair_rows(dst, some, n);
    }
}

void SYM(train_turn_half)(uint16_t *dst, int64_t ld, const struct tensor *x, int64_t row0,
                          int64_t rows, int64_t col0, int64_t cols)
{
    float turned[LANES * LANES] = {0};
    for (int64_t r = 0; r < rows; r += LANES)
        for (int64_t c = 0; c < cols; c += LANES) {
            int n = lanes_at(r, rows), m = lanes_at(c, cols);
            SYM(train_turn)(turned, LANES, x, row0 + r, n, col0 + c, m);
            for (int i = 0; i < m; i++) {
                v16 v = v_load(turned + i * LANES);
                if (n == LANES)
                    v_store_bf16(dst + (c + i) * ld + r, v);
                else
                    v_store_bf16_n(dst + (c + i) * ld + r, v, n);
            }
        }
}
