/* tiles.c - rows times packed weights by AMX.
 *
 * Every output has one sum in a tile, from 0, over ascending tiles of 32 k: inside one the even
 * and the odd k are summed apart, ascending, then added, then added to the sum.  Up to 16 rows
 * share a tile and are fewer in one that is not full; nothing of that is visible in a row.
 */
#include "dev/cpu/kernels.h"

#if defined __AMX_BF16__ || defined TILE_SHIM
#include "dev/cpu/isa/tile.h"

/* 32 rows by two blocks; r1 and two say whether the second group and the second block are. */
static void two_by_two(const struct product *p, int64_t row, bool r1, int64_t block, bool two,
                       float *tile, int64_t ld)
{
    const struct weight *w = p->w;
    const char *b0 = w->data + block * w->block_bytes, *b1 = b0 + w->block_bytes;
    const char *a0 = (const char *)p->tiled + row / 16 * p->tiles * TILE_BYTES;
    const char *a1 = a0 + p->tiles * TILE_BYTES;
    tile_zero(SUM00);
    tile_zero(SUM01);
    if (r1) {
        tile_zero(SUM10);
        tile_zero(SUM11);
    }
    for (int64_t i = 0; i < p->tiles * TILE_BYTES; i += TILE_BYTES) {
        tile_load(ROWS0, a0 + i, 64);
        tile_load(WEIGHTS0, b0 + i, 64);
        tile_dot_bf16(SUM00, ROWS0, WEIGHTS0);
        if (r1) {
            tile_load(ROWS1, a1 + i, 64);
            tile_dot_bf16(SUM10, ROWS1, WEIGHTS0);
        }
        if (!two)
            continue;
        tile_load(WEIGHTS1, b1 + i, 64);
        tile_dot_bf16(SUM01, ROWS0, WEIGHTS1);
        if (r1)
            tile_dot_bf16(SUM11, ROWS1, WEIGHTS1);
    }
    tile_store(SUM00, tile, ld * 4);
    if (r1)
        tile_store(SUM10, tile + 16 * ld, ld * 4);
    if (two)
        tile_store(SUM01, tile + LANES, ld * 4);
    if (two && r1)
        tile_store(SUM11, tile + 16 * ld + LANES, ld * 4);
}

void SYM(product_tiles)(const struct product *p, int64_t row0, int64_t row1, int64_t block0,
                        int64_t block1, float *tile, int64_t ld)
{
    struct tile_config config;
    for (int64_t r = row0; r < row1; r += 32) {
        int64_t n = row1 - r < 32 ? row1 - r : 32;
        if (r == row0 || n < 32) {
            tile_fill_config(&config, n < 16 ? (int)n : 16, n > 16 ? (int)n - 16 : 0);
            tile_configure(&config);
        }
        for (int64_t b = block0; b < block1; b += 2)
            two_by_two(p, r, n > 16, b, b + 1 < block1,
                       tile + (r - row0) * ld + (b - block0) * LANES, ld);
    }
    tile_release();
}
#endif
