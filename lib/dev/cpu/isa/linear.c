/* linear.c - rows times packed weights, and what a product starts and ends with.
 *
 * Every output is one chain of fused multiply-adds along ascending k that begins at 0; lanes
 * run over outputs.  How many rows and blocks are worked on together, and where the chain is
 * put down in memory and taken up again, changes no bit of it.
 */
#include "dev/cpu/isa.h"
#ifdef __AMX_BF16__
#include "dev/cpu/isa/tile.h"
#endif

/* Bytes of one block between two interruptions of the chain: four blocks fit a small L2. */
enum { RUN_BYTES = 64 << 10 };
/* How far before its use a weight is fetched: the hardware alone does not keep up with one or
 * two streams of a wide product. */
enum { AHEAD = 1024 };

/* acc[r][b] += x[r][k0..k1) * w[b][k0..k1); at: where k0 of block 0 stands */
INLINE void chain_f32(int rows, int blocks, v16 acc[6][8], const float *x, int64_t stride,
                      const char *at, int64_t block_bytes, int64_t k0, int64_t k1)
{
    for (int64_t k = k0; k < k1; k++, at += 64) {
        v16 wv[8];
        UNROLL
        for (int b = 0; b < blocks; b++) {
            _mm_prefetch(at + b * block_bytes + AHEAD, _MM_HINT_T0);
            wv[b] = v_load((const float *)(const void *)(at + b * block_bytes));
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            v16 xv = v_set1(x[r * stride + k]);
            UNROLL
            for (int b = 0; b < blocks; b++)
                acc[r][b] = v_fma(xv, wv[b], acc[r][b]);
        }
    }
}

/* The same; k0 is even.  An odd last k has the low half of its pair alone. */
INLINE void chain_bf16(int rows, int blocks, v16 acc[6][8], const float *x, int64_t stride,
                       const char *at, int64_t block_bytes, int64_t k0, int64_t k1)
{
    int64_t k = k0;
    for (; k < k1; k += 2, at += 64) {
        v16 wv[8];
        UNROLL
        for (int b = 0; b < blocks; b++) {
            _mm_prefetch(at + b * block_bytes + AHEAD, _MM_HINT_T0);
            wv[b] = v_pair_lo((const uint16_t *)(const void *)(at + b * block_bytes));
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            v16 xv = v_set1(x[r * stride + k]);
            UNROLL
            for (int b = 0; b < blocks; b++)
                acc[r][b] = v_fma(xv, wv[b], acc[r][b]);
        }
        if (k + 1 == k1)
            break;
        UNROLL
        for (int b = 0; b < blocks; b++)
            wv[b] = v_pair_hi((const uint16_t *)(const void *)(at + b * block_bytes));
        UNROLL
        for (int r = 0; r < rows; r++) {
            v16 xv = v_set1(x[r * stride + k + 1]);
            UNROLL
            for (int b = 0; b < blocks; b++)
                acc[r][b] = v_fma(xv, wv[b], acc[r][b]);
        }
    }
}

/* The same; k0 and k1 are multiples of 32.  The product of a value and its scale is exact. */
INLINE void chain_mxfp4(int rows, int blocks, v16 acc[6][8], const float *x, int64_t stride,
                        const char *at, const char *scales, int64_t block_bytes, int64_t k0,
                        int64_t k1)
{
    for (int64_t k = k0; k < k1; k += MXFP4_BLOCK, scales += LANES) {
        v16 scale[8];
        UNROLL
        for (int b = 0; b < blocks; b++)
            scale[b] = v_mxfp4_scale(scales + b * block_bytes);
        for (int64_t k8 = k; k8 < k + MXFP4_BLOCK; k8 += 8, at += 64) {
            UNROLL
            for (int b = 0; b < blocks; b++)
                _mm_prefetch(at + b * block_bytes + AHEAD, _MM_HINT_T0);
            UNROLL
            for (int i = 0; i < 8; i++) {
                v16 wv[8];
                UNROLL
                for (int b = 0; b < blocks; b++)
                    wv[b] = v_mul(v_mxfp4(at + b * block_bytes, i), scale[b]);
                UNROLL
                for (int r = 0; r < rows; r++) {
                    v16 xv = v_set1(x[r * stride + k8 + i]);
                    UNROLL
                    for (int b = 0; b < blocks; b++)
                        acc[r][b] = v_fma(xv, wv[b], acc[r][b]);
                }
            }
        }
    }
}

#ifdef __AVX512BF16__
/* acc[r][b] += x[r][k0..k1) * w[b][k0..k1), both bf16: of each pair the odd k comes first, and
 * what is subnormal counts 0.  k0 is even; an odd last k is paired with 0. */
INLINE void chain_dot(int rows, int blocks, v16 acc[6][8], const uint16_t *x, int64_t stride,
                      const char *at, int64_t block_bytes, int64_t k0, int64_t k1)
{
    for (int64_t k = k0; k < k1; k += 2, at += 64) {
        v_pairs wv[8];
        UNROLL
        for (int b = 0; b < blocks; b++) {
            _mm_prefetch(at + b * block_bytes + AHEAD, _MM_HINT_T0);
            wv[b] = v_pairs_load(at + b * block_bytes);
        }
        if (k + 1 == k1) {
            UNROLL
            for (int r = 0; r < rows; r++) {
                v_pairs xv = v_pairs_set1(x[r * stride + k]);
                UNROLL
                for (int b = 0; b < blocks; b++)
                    acc[r][b] = v_dot(xv, wv[b], acc[r][b]);
            }
            break;
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            v_pairs xv = v_pairs_set1_at(x + r * stride + k);
            UNROLL
            for (int b = 0; b < blocks; b++)
                acc[r][b] = v_dot(xv, wv[b], acc[r][b]);
        }
    }
}

/* The same from MXFP4; k0 and k1 are multiples of 32. */
INLINE void chain_dot_mxfp4(int rows, int blocks, v16 acc[6][8], const uint16_t *x,
                            int64_t stride, const char *at, const char *scales,
                            int64_t block_bytes, int64_t k0, int64_t k1)
{
    for (int64_t k = k0; k < k1; k += MXFP4_BLOCK, scales += LANES) {
        v16 scale[8];
        UNROLL
        for (int b = 0; b < blocks; b++)
            scale[b] = v_mxfp4_scale(scales + b * block_bytes);
        for (int64_t k8 = k; k8 < k + MXFP4_BLOCK; k8 += 8, at += 64) {
            UNROLL
            for (int b = 0; b < blocks; b++)
                _mm_prefetch(at + b * block_bytes + AHEAD, _MM_HINT_T0);
            UNROLL
            for (int i = 0; i < 8; i += 2) {
                v_pairs wv[8];
                UNROLL
                for (int b = 0; b < blocks; b++)
                    wv[b] = v_pairs_of(v_mul(v_mxfp4(at + b * block_bytes, i), scale[b]),
                                       v_mul(v_mxfp4(at + b * block_bytes, i + 1), scale[b]));
                UNROLL
                for (int r = 0; r < rows; r++) {
                    v_pairs xv = v_pairs_set1_at(x + r * stride + k8 + i);
                    UNROLL
                    for (int b = 0; b < blocks; b++)
                        acc[r][b] = v_dot(xv, wv[b], acc[r][b]);
                }
            }
        }
    }
}
#endif

/* One group of rows, one group of blocks, k0 <= k < k1; the tile holds the chains so far. */
INLINE void group(int rows, int blocks, const struct product *p, int64_t row, int64_t block,
                  int64_t k0, int64_t k1, float *tile, int64_t ld)
{
    v16 acc[6][8];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int b = 0; b < blocks; b++)
        acc[r][b] = k0 ? v_load(tile + r * ld + b * LANES) : v_zero();
    const struct weight *w = p->w;
    const float *x = p->x + row * p->stride;
    const char *at = w->data + block * w->block_bytes;
#ifdef __AVX512BF16__
    if (p->half && w->shape.dtype == DT_BF16)
        chain_dot(rows, blocks, acc, p->half + row * p->stride, p->stride,
                  at + (k0 - p->skip) * 32, w->block_bytes, k0, k1);
    else if (p->half)
        chain_dot_mxfp4(rows, blocks, acc, p->half + row * p->stride, p->stride, at + k0 * 8,
                        at + p->k * 8 + k0 / MXFP4_BLOCK * LANES, w->block_bytes, k0, k1);
    else
#endif
        if (w->shape.dtype == DT_F32)
        chain_f32(rows, blocks, acc, x, p->stride, at + (k0 - p->skip) * 64, w->block_bytes, k0,
                  k1);
    else if (w->shape.dtype == DT_BF16)
        chain_bf16(rows, blocks, acc, x, p->stride, at + k0 * 32, w->block_bytes, k0, k1);
    else
        chain_mxfp4(rows, blocks, acc, x, p->stride, at + k0 * 8,
                    at + p->k * 8 + k0 / MXFP4_BLOCK * LANES, w->block_bytes, k0, k1);
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int b = 0; b < blocks; b++)
        v_store(tile + r * ld + b * LANES, acc[r][b]);
}

typedef void group_fn(const struct product *p, int64_t row, int64_t block, int64_t k0,
                      int64_t k1, float *tile, int64_t ld);

#define GROUP(r, b)                                                                  \
    static void group_##r##_##b(const struct product *p, int64_t row, int64_t block, \
                                int64_t k0, int64_t k1, float *tile, int64_t ld)     \
    {                                                                                \
        group(r, b, p, row, block, k0, k1, tile, ld);                                \
    }
#define GROUPS(b) GROUP(1, b) GROUP(2, b) GROUP(3, b) GROUP(4, b) GROUP(5, b) GROUP(6, b)
#define ALL(b) group_1_##b, group_2_##b, group_3_##b, group_4_##b, group_5_##b, group_6_##b

/* Blocks at a time, and for which numbers of rows the registers are enough; the first that is
 * is taken.  At least four chains hide the latency of one multiply-add. */
struct width {
    int64_t blocks;
    group_fn *rows[7];
};
GROUPS(1)
#ifdef __AVX512F__
/* 32 registers: 24 chains, 4 weights and a broadcast. */
enum { ONE_ROW = 8 };
GROUPS(4)
GROUP(1, 8)
GROUP(2, 8)
static const struct width widths[] = {
    {8, {NULL, group_1_8, group_2_8}}, {4, {NULL, ALL(4)}}, {1, {NULL, ALL(1)}}};
#else
/* 16 registers of half the width: 12 chains, 2 weights and a broadcast. */
enum { ONE_ROW = 4 };
GROUP(1, 4)
GROUP(1, 2)
GROUP(2, 2)
static const struct width widths[] = {
    {4, {NULL, group_1_4}}, {2, {NULL, group_1_2, group_2_2}}, {1, {NULL, ALL(1)}}};
#endif

/* Where many rows share weights, so much of them at once is made what the rows are multiplied
 * with: MXFP4 always, bf16 where widening it takes registers that the chains need. */
enum { EXPAND = 256, EXPAND_BLOCKS = 4 };
#ifdef __AVX512F__
enum { EXPAND_BF16 = 0 };
#else
enum { EXPAND_BF16 = 1 };
#endif

/* dst[k1 - k0][16] = the weights of a block */
static void expand_mxfp4(float *dst, const struct weight *w, int64_t block, int64_t k0,
                         int64_t k1)
{
    const char *at = w->data + block * w->block_bytes;
    const char *scales = at + w->shape.k * 8;
    for (int64_t k = k0; k < k1; k += 8, dst += 8 * LANES) {
        v16 scale = v_mxfp4_scale(scales + k / MXFP4_BLOCK * LANES);
        UNROLL
        for (int i = 0; i < 8; i++)
            v_store(dst + i * LANES, v_mul(v_mxfp4(at + k * 8, i), scale));
    }
}

static void expand_bf16(float *dst, const struct weight *w, int64_t block, int64_t k0,
                        int64_t k1)
{
    const uint16_t *at = (const uint16_t *)(void *)(w->data + block * w->block_bytes);
    for (int64_t k = k0; k < k1; k += 2, dst += 2 * LANES) {
        v_store(dst, v_pair_lo(at + k * LANES));
        v_store(dst + LANES, v_pair_hi(at + k * LANES));
    }
}

#ifdef __AVX512BF16__
/* dst[(k1 - k0) / 2][16] = pairs of a block's weights */
static void expand_pairs(uint16_t *dst, const struct weight *w, int64_t block, int64_t k0,
                         int64_t k1)
{
    const char *at = w->data + block * w->block_bytes;
    const char *scales = at + w->shape.k * 8;
    for (int64_t k = k0; k < k1; k += 8, dst += 8 * LANES) {
        v16 scale = v_mxfp4_scale(scales + k / MXFP4_BLOCK * LANES);
        UNROLL
        for (int i = 0; i < 8; i += 2)
            v_pairs_store(dst + i * LANES,
                          v_pairs_of(v_mul(v_mxfp4(at + k * 8, i), scale),
                                     v_mul(v_mxfp4(at + k * 8, i + 1), scale)));
    }
}
#endif

/* One block of the source's rows that stand k0..k1 in `values`, as `wide` says. */
static void expand(struct weight *wide, bool half, float *values, const struct weight *w,
                   int64_t block, int64_t k0, int64_t k1)
{
    wide->block_bytes = EXPAND * LANES * 4;
    wide->data = (char *)values;
    wide->shape.dtype = half ? DT_BF16 : DT_F32;
    for (int64_t i = 0; i < wide->blocks; i++, values += EXPAND * LANES)
#ifdef __AVX512BF16__
        if (half)
            expand_pairs((uint16_t *)values, w, block + i, k0, k1);
        else
#endif
            if (w->shape.dtype == DT_MXFP4)
            expand_mxfp4(values, w, block + i, k0, k1);
        else
            expand_bf16(values, w, block + i, k0, k1);
}

static bool expands(const struct product *p, int64_t groups)
{
    enum dtype t = p->w->shape.dtype;
    return (groups > 1 && t == DT_MXFP4) || (groups > 3 && EXPAND_BF16 && t == DT_BF16);
}

/* All groups of rows times one group of blocks. */
static void groups_of(const struct product *p, const struct width *w, int64_t row0,
                      int64_t row1, int64_t block, int64_t k0, int64_t k1, float *tile,
                      int64_t ld)
{
    int64_t rows = row1 - row0, groups = (rows + 5) / 6;
    float values[EXPAND * EXPAND_BLOCKS * LANES];
    struct weight wide = {.blocks = w->blocks};
    struct product q = {
        .x = p->x, .half = p->half, .stride = p->stride, .k = p->k, .w = &wide, .skip = k0};
    if (expands(p, groups)) {
        expand(&wide, p->half, values, p->w, block, k0, k1);
        p = &q;
        block = 0;
    }
    for (int64_t g = 0; g < groups; g++) {
        int64_t r = rows * g / groups, next = rows * (g + 1) / groups;
        w->rows[next - r](p, row0 + r, block, k0, k1, tile + r * ld, ld);
    }
}

/* tile[r][c] = x[row0 + r] . w[block0 * 16 + c] */
void SYM(product_tile)(const struct product *p, int64_t row0, int64_t row1, int64_t block0,
                       int64_t block1, float *tile, int64_t ld)
{
#ifdef __AMX_BF16__
    if (p->tiled) {
        SYM(product_tiles)(p, row0, row1, block0, block1, tile, ld);
        return;
    }
#endif
    enum dtype t = p->w->shape.dtype == DT_F32 ? DT_F32 : DT_BF16;
    int64_t rows = row1 - row0, groups = (rows + 5) / 6, most = (rows + groups - 1) / groups;
    int64_t run = expands(p, groups) ? EXPAND : RUN_BYTES / (LANES * dtype_size(t));
    if (groups == 1)
        run = p->k;
    for (int64_t k0 = 0; k0 < p->k; k0 += run) {
        int64_t k1 = k0 + run < p->k ? k0 + run : p->k;
        for (int64_t b = block0; b < block1;) {
            const struct width *w = widths;
            while (w->blocks > block1 - b || !w->rows[most])
                w++;
            groups_of(p, w, row0, row1, b, k0, k1, tile + (b - block0) * LANES, ld);
            b += w->blocks;
        }
    }
}

int64_t SYM(linear_panel)(int64_t rows)
{
    return rows <= 2 ? ONE_ROW : 4;
}

void SYM(linear)(const struct linear_job *j, int64_t row0, int64_t row1, int64_t block0,
                 int64_t block1)
{
    float tile[TILE_ROWS * TILE_COLS];
    int64_t ld = (block1 - block0) * LANES;
    SYM(product_tile)(&j->p, row0, row1, block0, block1, tile, ld);
    for (int64_t r = row0; r < row1; r++)
        for (int64_t b = block0; b < block1; b++) {
            int64_t c = b * LANES;
            int n = j->y.cols - c < LANES ? (int)(j->y.cols - c) : LANES;
            v16 v = v_load(tile + (r - row0) * ld + (b - block0) * LANES);
            if (j->bias)
                v = v_add(v, v_load_n(j->bias + c, n));
            put(&j->y, r, c, n, v);
        }
}

void SYM(widen)(float *dst, const uint16_t *src, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(dst + i, v_load_bf16(src + i));
    for (; i < n; i++)
        dst[i] = bf16_to_f32(src[i]);
}

/* Eight rows of eight words become eight columns. */
static void transpose8(uint32_t *dst, const char *src, int64_t stride)
{
    __m256 r[8], a[8], b[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps((const void *)(src + i * stride));
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        __m256 lo = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        __m256 hi = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
        _mm256_storeu_ps((void *)(dst + i * LANES), lo);
        _mm256_storeu_ps((void *)(dst + (i + 4) * LANES), hi);
    }
}

void SYM(transpose)(uint32_t *dst, const char *src, int64_t stride, int64_t n)
{
    for (int64_t i = 0; i < n * 2; i++)
        for (int half = 0; half < 2; half++)
            transpose8(dst + i * 8 * LANES + half * 8, src + half * 8 * stride + i * 32,
                       stride);
}
