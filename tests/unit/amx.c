/* amx.c - the kernel for AMX, with tiles in plain C: its order of sums bit by bit, in any
 * number of rows, through the backend that packs and cuts for it.  The instructions themselves
 * need a processor that has them.
 */
#define TILE_SHIM
#define ISA shim
#include "dev/cpu/cpu.h"
#include "dev/cpu/isa/tiles.c"

#include "unit.h"

#include <math.h>
#include <stdlib.h>

static uint32_t random_state = 1;

static uint16_t random_bf16(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return bf16_from_f32(((float)(random_state >> 8) * 0x1p-24f - 0.5f) * 4);
}

/* linear() of the kernels, f32 and no bias. */
static void shim_linear(const struct linear_job *j, int64_t row0, int64_t row1, int64_t block0,
                        int64_t block1)
{
    static _Thread_local float tile[TILE_ROWS * TILE_COLS];
    int64_t ld = (block1 - block0) * LANES;
    CHECK(j->p.tiled && row0 % TILE_ALIGN == 0 && row1 - row0 <= TILE_ROWS);
    SYM(product_tiles)(&j->p, row0, row1, block0, block1, tile, ld);
    for (int64_t r = row0; r < row1; r++)
        for (int64_t c = block0 * LANES; c < block1 * LANES && c < j->y.cols; c++)
            ((float *)j->y.data)[r * j->y.stride + c] =
                tile[(r - row0) * ld + c - block0 * LANES];
}

/* The order that docs/operations.md states. */
static float expected(const uint16_t *x, const uint16_t *w, int64_t k)
{
    float sum = 0;
    for (int64_t k0 = 0; k0 < k; k0 += 32) {
        float even = 0, odd = 0;
        for (int64_t i = k0; i < k0 + 32 && i < k; i += 2)
            even += bf16_to_f32(x[i]) * bf16_to_f32(w[i]);
        for (int64_t i = k0 + 1; i < k0 + 32 && i < k; i += 2)
            odd += bf16_to_f32(x[i]) * bf16_to_f32(w[i]);
        sum += even + odd;
    }
    return sum;
}

static void one(struct dev *d, int64_t rows, int64_t n, int64_t k)
{
    struct err e = {0};
    int64_t stride = k + 3, wrong = 0;
    uint16_t *x = xmalloc_n((size_t)(rows * stride), 2), *w = xmalloc_n((size_t)(n * k), 2);
    float *y = xmalloc_n((size_t)(rows * n), 4);
    for (int64_t i = 0; i < rows * stride; i++)
        x[i] = i % stride < k ? random_bf16() : 0x7fc0; /* NaN between the rows */
    for (int64_t i = 0; i < n * k; i++)
        w[i] = random_bf16();
    struct weight_shape shape = {.n = n, .k = k, .dtype = DT_BF16};
    struct weight_source src = {.data = w, .dtype = DT_BF16, .stride = k};
    struct weight *weight = d->ops->weight_new(d, &shape, &e);
    CHECK(weight && d->ops->weight_rows(d, weight, 0, 0, n, &src, &e) == 0);
    d->ops->linear(d, &(struct tensor){y, DT_F32, rows, n, n},
                   &(struct tensor){x, DT_BF16, rows, k, stride}, weight, NULL);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++) {
            float want = expected(x + r * stride, w + i * k, k);
            wrong += memcmp(&y[r * n + i], &want, sizeof want) != 0;
        }
    CHECK_MSG(wrong == 0, "%d rows of %d x %d: %d wrong", (int)rows, (int)n, (int)k,
              (int)wrong);
    d->ops->weight_free(d, weight);
    free(x);
    free(w);
    free(y);
}

int main(void)
{
    static const int64_t rows[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 96, 97, 100, 190, 200};
    static const int64_t shapes[][2] = {{1, 1},   {16, 32},   {17, 33},
                                        {80, 64}, {130, 100}, {33, 1030}};
    for (int threads = 1; threads <= 2; threads++) {
        struct err e = {0};
        struct dev_config config = {.threads = threads};
        struct dev_limits limits = {.tokens = 200, .rows = 200, .width = 1030};
        struct dev *d = dev_find("cpu")->open(&config, &e);
        if (!d) {
            SKIP("%s", e.text);
            break;
        }
        struct cpu *c = (struct cpu *)d;
        struct kernels shimmed = *c->kernels;
        shimmed.tiles = shimmed.dot = true;
        shimmed.linear = shim_linear;
        c->kernels = &shimmed;
        CHECK(d->ops->reserve(d, &limits, &e) == 0);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
                one(d, rows[i], shapes[s][0], shapes[s][1]);
        d->ops->close(d);
    }
    return unit_done("amx");
}
