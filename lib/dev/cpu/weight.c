/* weight.c - packing weights for the kernels, and rows gathered from the packed form. */
#include "dev/cpu/cpu.h"
#include "dev/half.h"

#include <stdlib.h>
#include <string.h>

struct weight *cpu_weight_new(struct dev *d, const struct weight_shape *s, struct err *e)
{
    (void)d;
    if (weight_shape_check(s, e) < 0)
        return NULL;
    int64_t blocks = (s->n + LANES - 1) / LANES;
    int64_t bytes = (s->dtype == DT_F32 ? s->k : (s->k + 1) / 2) * LANES * 4;
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

/* Where element (row, k) of a block is kept, counted in elements. */
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

/* Element by element, for what the quick way does not take. */
static void pack_row(const struct pack *p, char *block, int64_t lane, int64_t row, int64_t k0)
{
    float x[256];
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

/* One block: whole ones of the type that is kept are transposed word by word. */
static void pack_block(void *arg, int i)
{
    const struct pack *p = arg;
    enum dtype t = p->shape->dtype;
    int64_t first = (p->row / LANES + i) * LANES; /* row of the weight */
    int64_t from = first > p->row ? first : p->row, end = p->row + p->rows;
    int64_t to = first + LANES < end ? first + LANES : end, k = 0;
    char *block = p->data + first / LANES * p->block_bytes;
    if (to - from == LANES && p->src->dtype == t && !p->src->transposed) {
        int64_t size = dtype_size(t), n = p->shape->k * size / 4 / LANES;
        const char *src = (const char *)p->src->data + (from - p->row) * p->src->stride * size;
        p->kernels->transpose((uint32_t *)(void *)block, src, p->src->stride * size, n);
        k = n * LANES * 4 / size;
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
    enum dtype type = j->w->shape.dtype;
    for (int64_t t = row0; t < row1; t++) {
        int64_t id = j->ids[t];
        EXPECT(id >= 0 && id < j->w->shape.n);
        const void *block = j->w->data + id / LANES * j->w->block_bytes;
        for (int64_t k = 0; k < j->y->cols; k++) {
            int64_t at = place(type, id % LANES, k);
            float x = type == DT_F32 ? ((const float *)block)[at]
                                     : bf16_to_f32(((const uint16_t *)block)[at]);
            x *= j->scale;
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
