/* weight.c - packing weights for the kernels, and rows gathered from the packed form. */
#include "base/half.h"
#include "dev/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

static int64_t block_bytes(const struct weight_shape *s)
{
    switch (s->dtype) {
    case DT_F32: return s->k * LANES * 4;
    case DT_BF16: return (s->k + TILE_K - 1) / TILE_K * TILE_BYTES;
    default: return (dtype_bytes(DT_MXFP4, s->k * LANES) + 63) / 64 * 64;
    }
}

struct weight *cpu_weight_new(struct dev *d, const struct weight_shape *s, struct err *e)
{
    (void)d;
    if (weight_shape_check(s, e) < 0)
        return NULL;
    int64_t blocks = (s->n + LANES - 1) / LANES, bytes = block_bytes(s);
    int64_t experts = s->experts ? s->experts : 1;
    char *data = host_alloc(host_size(blocks, bytes, experts), "a weight", e);
    if (!data)
        return NULL;
    struct weight *w = xcalloc(1, sizeof *w);
    *w = (struct weight){.shape = *s, .blocks = blocks, .block_bytes = bytes, .data = data};
    return w;
}

void cpu_weight_free(struct dev *d, struct weight *w)
{
    (void)d;
    if (!w)
        return;
    host_free(w->data);
    free(w);
}

/* The scales of a block of MXFP4. */
static uint8_t *scales_of(char *block, int64_t k)
{
    return (uint8_t *)block + k / 2 * LANES;
}

/* Where element (lane, k) of a block of f32 or bf16 is kept, counted in elements. */
static int64_t place(enum dtype t, int64_t lane, int64_t k)
{
    return t == DT_F32 ? k * LANES + lane : (k / 2 * LANES + lane) * 2 + k % 2;
}

struct pack {
    const struct kernels *kernels;
    const struct weight_shape *shape;
    const struct weight_source *src;
    char *data; /* of the expert */
    int64_t block_bytes, row, rows;
};

/* A row of MXFP4 from k0 on, eight elements at a time; and all its scales. */
static void pack_mxfp4(const struct pack *p, char *block, int64_t lane, int64_t row, int64_t k0)
{
    int64_t n = p->shape->k;
    const char *src = (const char *)p->src->data + row * p->src->stride / 2;
    const uint8_t *scales = p->src->scales + row * p->src->stride / MXFP4_BLOCK;
    for (int64_t k = k0; k < n; k += 8)
        memcpy(block + (k / 8 * LANES + lane) * 4, src + k / 2, 4);
    for (int64_t g = 0; g < n / MXFP4_BLOCK; g++)
        scales_of(block, n)[g * LANES + lane] = scales[g];
}

/* Element by element, for what the quick ways do not take. */
static void pack_row(const struct pack *p, char *block, int64_t lane, int64_t row, int64_t k0)
{
    float x[256];
    if (p->shape->dtype == DT_MXFP4) {
        pack_mxfp4(p, block, lane, row, k0);
        return;
    }
    for (int64_t k = k0, n; k < p->shape->k; k += n) {
        n = p->shape->k - k < 256 ? p->shape->k - k : 256;
        weight_source_read(p->src, row, k, n, x);
        for (int64_t i = 0; i < n; i++) {
            int64_t at = place(p->shape->dtype, lane, k + i);
            if (p->shape->dtype == DT_F32)
                ((float *)(void *)block)[at] = x[i];
            else
                ((uint16_t *)(void *)block)[at] = bf16_from_f32(x[i]);
        }
    }
}

/* A block of LANES rows that stand as columns, in the type that is kept. */
static void pack_columns(const struct pack *p, char *block, int64_t row)
{
    int64_t size = dtype_size(p->src->dtype), step = p->src->stride * size;
    const char *src = (const char *)p->src->data + row * size;
    uint16_t *to = (uint16_t *)(void *)block, pair[LANES];
    for (int64_t k = 0; k < p->shape->k; k++, src += step) {
        if (size == 4) {
            memcpy(block + k * LANES * 4, src, LANES * 4);
            continue;
        }
        memcpy(pair, src, sizeof pair);
        for (int64_t i = 0; i < LANES; i++)
            to[k / 2 * LANES * 2 + i * 2 + k % 2] = pair[i];
    }
}

/* One block: whole ones of the type that is kept are transposed word by word. */
static void pack_block(void *arg, int i)
{
    const struct pack *p = arg;
    enum dtype t = p->shape->dtype;
    int64_t first = (p->row / LANES + i) * LANES; /* row of the weight */
    int64_t from = first > p->row ? first : p->row, end = p->row + p->rows;
    int64_t to = first + LANES < end ? first + LANES : end, k = 0;
    char *block = p->data + first / LANES * p->block_bytes;
    if (to - from == LANES && p->src->dtype == t && p->src->transposed) {
        pack_columns(p, block, from - p->row);
        return;
    }
    if (to - from == LANES && p->src->dtype == t) {
        int64_t per_word = t == DT_MXFP4 ? 8 : 4 / dtype_size(t);
        int64_t n = p->shape->k / per_word / LANES, wide = p->src->stride;
        int64_t stride = t == DT_MXFP4 ? wide / 2 : wide * dtype_size(t);
        p->kernels->transpose((uint32_t *)(void *)block,
                              (const char *)p->src->data + (from - p->row) * stride, stride, n);
        k = n * LANES * per_word;
    }
    for (int64_t r = from; r < to; r++)
        pack_row(p, block, r - first, r - p->row, k);
}

int cpu_weight_rows(struct dev *d, struct weight *w, int64_t expert, int64_t row, int64_t rows,
                    const struct weight_source *src, struct err *e)
{
    struct cpu *c = (struct cpu *)d;
    if (weight_source_check(&w->shape, expert, row, rows, src, e) < 0)
        return -1;
    if (rows == 0)
        return 0;
    struct pack p = {
        c->kernels,     &w->shape, src, w->data + expert * w->blocks * w->block_bytes,
        w->block_bytes, row,       rows};
    int64_t blocks = (row + rows - 1) / LANES - row / LANES + 1;
    cpu_pieces(c, pack_block, &p, blocks, rows * w->shape.k);
    return 0;
}

static float element(const struct weight *w, int64_t row, int64_t k)
{
    char *block = w->data + row / LANES * w->block_bytes;
    enum dtype t = w->shape.dtype;
    int64_t lane = row % LANES;
    if (t == DT_MXFP4)
        return mxfp4_to_f32((uint8_t *)block + (k / 8 * LANES + lane) * 4, k % 8,
                            scales_of(block, w->shape.k)[k / MXFP4_BLOCK * LANES + lane]);
    int64_t at = place(t, lane, k);
    return t == DT_F32 ? ((const float *)(void *)block)[at]
                       : bf16_to_f32(((const uint16_t *)(void *)block)[at]);
}

/* y[t] = w[ids[t]] * scale, gathered from the packed blocks. */
struct embed {
    const struct tensor *y;
    const struct weight *w;
    const int32_t *ids;
    float scale;
};

static void embed_rows(const void *job, int64_t row0, int64_t row1)
{
    const struct embed *j = job;
    for (int64_t t = row0; t < row1; t++) {
        int64_t id = j->ids[t];
        EXPECT(id >= 0 && id < j->w->shape.n);
        for (int64_t k = 0; k < j->y->cols; k++) {
            float x = element(j->w, id, k) * j->scale;
            if (j->y->dtype == DT_F32)
                ((float *)j->y->data)[t * j->y->stride + k] = x;
            else
                ((uint16_t *)j->y->data)[t * j->y->stride + k] = bf16_from_f32(x);
        }
    }
}

void cpu_embed(struct dev *d, const struct tensor *y, const struct weight *w, const void *ids,
               float scale)
{
    EXPECT(y->cols == w->shape.k && !w->shape.experts);
    struct embed j = {y, w, ids, scale};
    cpu_rows((struct cpu *)d, embed_rows, &j, y->rows, 4 * y->cols);
}
