/* lora.c - a product, scaled and added to what is there. */
#include "dev/cpu/isa.h"

void SYM(lora_add)(const struct lora_job *j, int64_t row0, int64_t row1, int64_t block0,
                   int64_t block1)
{
    float tile[TILE_ROWS * TILE_COLS];
    const struct tensor *y = &j->linear.y;
    int64_t ld = (block1 - block0) * LANES;
    SYM(product_tile)(&j->linear.p, row0, row1, block0, block1, tile, ld);
    for (int64_t r = row0; r < row1; r++) {
        if (j->token && j->whose[j->token[r]] != j->mine)
            continue;
        for (int64_t b = block0; b < block1; b++) {
            int64_t c = b * LANES;
            int n = lanes_at(c, y->cols);
            v16 v = v_load(tile + (r - row0) * ld + (b - block0) * LANES);
            put(y, r, c, n, v_fma(v, v_set1(j->scale), v_load_n(row_f32(y, r) + c, n)));
        }
    }
}
