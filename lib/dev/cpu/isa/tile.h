/* tile.h - the few operations on AMX tiles that kernels use; TILE_SHIM, for tests, has them in
 * plain C as the processor's manual defines them, for machines without AMX.
 *
 * Eight tiles, each up to 16 rows of 64 bytes.  A kernel configures them, works, and lets them
 * go.
 */
#ifndef TILE_H
#define TILE_H

#include "dev/cpu/kernels.h"

#include <stdint.h>
#include <string.h>

/* tiles.c */
void SYM(product_tiles)(const struct product *p, int64_t row0, int64_t row1, int64_t block0,
                        int64_t block1, float *tile, int64_t ld);

/* Sums of two groups of rows by two blocks of outputs; rows; weights.  Macros, since the
 * numbers become part of an instruction's text. */
#define SUM00 0
#define SUM10 1
#define SUM01 2
#define SUM11 3
#define ROWS0 4
#define ROWS1 5
#define WEIGHTS0 6
#define WEIGHTS1 7
enum { TILES = 8 };

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* r0 and r1 rows in the two groups; r1 may be 0. */
static inline void tile_fill_config(struct tile_config *c, int r0, int r1)
{
    const int rows[TILES] = {r0, r1, r0, r1, r0, r1, 16, 16};
    memset(c, 0, sizeof *c);
    c->palette = 1;
    for (int i = 0; i < TILES; i++) {
        c->rows[i] = (uint8_t)rows[i];
        c->row_bytes[i] = rows[i] ? 64 : 0;
    }
}

#ifndef TILE_SHIM

#include <immintrin.h>

/* GCC 12 takes the configuration for 8 bytes and may drop the stores behind them. */
#define tile_configure(c)                           \
    do {                                            \
        __asm__ volatile("" : : "r"(c) : "memory"); \
        _tile_loadconfig(c);                        \
    } while (0)
#define tile_release() _tile_release()
#define tile_zero(t) _tile_zero(t)
#define tile_load(t, p, stride) _tile_loadd(t, p, stride)
#define tile_store(t, p, stride) _tile_stored(t, p, stride)
#define tile_dot_bf16(sum, rows, weights) _tile_dpbf16ps(sum, rows, weights)

#else

#include "dev/half.h"

static _Thread_local struct {
    struct tile_config config;
    uint8_t data[TILES][16][64];
} shim;

static inline void tile_configure(const struct tile_config *c)
{
    memset(&shim, 0, sizeof shim);
    shim.config = *c;
}

static inline void tile_release(void)
{
    memset(&shim, 0xff, sizeof shim);
}

static inline void tile_zero(int t)
{
    memset(shim.data[t], 0, sizeof shim.data[t]);
}

static inline void tile_load(int t, const void *p, int64_t stride)
{
    tile_zero(t);
    for (int r = 0; r < shim.config.rows[t]; r++)
        memcpy(shim.data[t][r], (const char *)p + r * stride, shim.config.row_bytes[t]);
}

static inline void tile_store(int t, void *p, int64_t stride)
{
    for (int r = 0; r < shim.config.rows[t]; r++)
        memcpy((char *)p + r * stride, shim.data[t][r], shim.config.row_bytes[t]);
}

/* What is subnormal counts 0. */
static inline float tile_flush(float x)
{
    return f32_bits(x) & 0x7f800000 ? x : 0 * x;
}

static inline float tile_half(const uint8_t *row, int i)
{
    uint16_t h;
    memcpy(&h, row + 2 * i, 2);
    return tile_flush(bf16_to_f32(h));
}

/* Even and odd k are summed apart over the tile's 32, then together, then into the sum. */
static inline void tile_dot_bf16(int sum, int rows, int weights)
{
    for (int m = 0; m < shim.config.rows[sum]; m++)
        for (int n = 0; n < 16; n++) {
            float part[2] = {0, 0}, total;
            for (int k = 0; k < shim.config.rows[weights]; k++)
                for (int i = 0; i < 2; i++)
                    part[i] = tile_flush(part[i] +
                                         tile_half(shim.data[rows][m], 2 * k + i) *
                                             tile_half(shim.data[weights][k], 2 * n + i));
            memcpy(&total, &shim.data[sum][m][4 * n], 4);
            total = tile_flush(total + tile_flush(part[0] + part[1]));
            memcpy(&shim.data[sum][m][4 * n], &total, 4);
        }
}

#endif
#endif
