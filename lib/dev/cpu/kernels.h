/* kernels.h - what the CPU backend's instruction sets offer, one constant table each.
 *
 * A kernel works on a range of rows of a job that the dispatcher (lib/dev/cpu/) has checked and
 * cut.  A cut never changes a result: each row's bits depend on that row alone.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include "dev/backends.h"

/* name -> name_avx2, name_avx512: each set has its own symbols. */
#define SYM_(name, isa) name##_##isa
#define SYM2(name, isa) SYM_(name, isa)
#define SYM(name) SYM2(name, ISA)

/* Weights: blocks of LANES outputs, [n / LANES][k][LANES] in f32; in bf16 pairs of k stand in
 * one 32-bit word, [n / LANES][k / 2][LANES][2]; in MXFP4 eights, [k / 8][LANES], with the
 * scales [k / 32][LANES] behind them.  What lies beyond n and k is 0. */
enum { LANES = 16 };

struct weight {
    struct weight_shape shape;
    int64_t blocks;      /* of an expert */
    int64_t block_bytes; /* a multiple of 64 */
    char *data;
};

struct kv {
    struct kv_shape shape;
    int64_t key_bytes; /* keys of one layer of a page, [G][D][KV_PAGE] */
    int64_t val_bytes; /* values, [G][KV_PAGE][D rounded up to LANES] */
    int64_t page_bytes;
    char *data; /* [page][layer][keys, values] */
};

/* Rows of x times blocks of w, into a tile of f32. */
struct product {
    const float *x;
    const uint16_t *half; /* bf16 instead of x, where the kernels multiply it */
    int64_t stride, k;
    const struct weight *w;
    int64_t skip; /* w holds k from here on */
    /* bf16 rows in tiles of 16 by 32 k, [rows / 16][tiles][16][32], 0 beyond k; a piece of such
     * a product begins at a multiple of 32 rows. */
    const uint16_t *tiled;
    int64_t tiles;
};
enum { TILE_ALIGN = 32, TILE_K = 32, TILE_BYTES = 1024 };

/* The first row of one of so many strips. */
static inline int64_t strip_row(int64_t rows, int64_t strip, int64_t strips)
{
    int64_t row = (rows * strip / strips + TILE_ALIGN - 1) / TILE_ALIGN * TILE_ALIGN;
    return row < rows ? row : rows;
}

/* Most rows and columns of a tile. */
enum { TILE_ROWS = 96, TILE_COLS = 128 };

struct linear_job {
    struct product p;
    struct tensor y;
    const float *bias;
};

/* y += scale * product; a linear_job with f32 y and no bias. */
struct lora_job {
    struct linear_job linear;
    float scale;
    const int32_t *token; /* NULL: all rows; else those whose token is mine */
    const int32_t *whose;
    int32_t mine;
};

struct norm_job {
    struct tensor y, x, add;
    bool has_y, has_add, plus_one;
    float add_scale, eps;
    const float *w;
};

struct rope_job {
    struct tensor q, k;
    const struct rope_args *a;
};

struct gated_job {
    struct tensor y, x;
    const struct gated_args *a;
};

struct route_job {
    struct tensor logits;
    const struct routing *r;
    const struct route_args *a;
};

struct combine_job {
    struct tensor y, x;
    const struct routing *r;
};

struct attention_job {
    struct tensor y, q;
    const struct kv *kv;
    const struct spans *s;
    const struct attention_args *a;
};

/* One (span, key/value head, some of its query heads, some tokens). */
struct attention_tile {
    const struct span *span;
    int32_t g, head, heads, first, count; /* first: token of the span */
};
enum { ATTENTION_ROWS = 32 }; /* heads * count of a tile, at most */

/* Logits in chunks of fixed size: what a chunk leaves of a row. */
enum { HEAD_CHUNK = 512, HEAD_ROWS = 64 };
struct head_part {
    float max, sum; /* sum of exp(logit - max) */
    int32_t best;   /* the lowest id of a logit that is max */
};
struct head_job {
    struct product p;
    float scale, soft_cap;
    struct tensor y;         /* logits asked for where y.data */
    const int32_t *ids;      /* picked[r] = logit of ids[r] where not NULL */
    float *picked;           /* [R] */
    struct head_part *parts; /* [chunks][R] where not NULL */
    int64_t rows;
};

struct train_kernels;

struct kernels {
    const char *isa;
    bool tiles; /* bf16 times bf16 by AMX: struct product.tiled */
    bool dot;   /* bf16 times bf16 (or MXFP4) needs no widening: struct product.half */
    int64_t (*panel)(int64_t rows); /* blocks a tile should have for so many rows */
    void (*linear)(const struct linear_job *j, int64_t row0, int64_t row1, int64_t block0,
                   int64_t block1);
    void (*lora_add)(const struct lora_job *j, int64_t row0, int64_t row1, int64_t block0,
                     int64_t block1);
    void (*norm)(const void *norm_job, int64_t row0, int64_t row1);
    void (*rope)(const void *rope_job, int64_t row0, int64_t row1);
    void (*gated)(const void *gated_job, int64_t row0, int64_t row1);
    void (*route)(const void *route_job, int64_t row0, int64_t row1); /* experts and weights */
    void (*combine)(const void *combine_job, int64_t row0, int64_t row1);
    void (*attention)(const struct attention_job *j, const struct attention_tile *t);
    void (*head_chunk)(const struct head_job *j, int64_t chunk, int64_t row0, int64_t row1);
    /* sum of exp(logit - max) over all chunks, ascending; max is that of all */
    double (*head_merge)(const struct head_job *j, int64_t chunks, int64_t row, float max);
    void (*widen)(float *dst, const uint16_t *src, int64_t n);
    /* 16 rows of n * 16 32-bit words, `stride` bytes apart and perhaps unaligned, become
     * dst[n * 16][16]. */
    void (*transpose)(uint32_t *dst, const char *src, int64_t stride, int64_t n);
    const struct train_kernels *train; /* train_kernels.h */
};

extern const struct kernels kernels_avx2, kernels_avx512, kernels_avx512_bf16, kernels_amx_bf16;

#endif
