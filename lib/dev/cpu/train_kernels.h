/* train_kernels.h - what the CPU backend's instruction sets offer for training, one table each.
 */
#ifndef TRAIN_KERNELS_H
#define TRAIN_KERNELS_H

#include "dev/cpu/kernels.h"
#include "dev/dev_train.h"

/* Rows of `heads` parts of `width` columns, each with a norm of its own: row i is part
 * i % heads of row i / heads. */
struct norm_back_job {
    struct tensor dx, dy, x;
    int32_t heads;
    int64_t width;
    const float *w;
    float eps;
    bool plus_one, add;
    float *factor; /* [rows * heads] 1 / sqrt(mean(x^2) + eps) */
};

struct gated_back_job {
    struct tensor dx, dy, x;
    const struct gated_args *a;
};

struct combine_back_job {
    struct tensor dx, dy, x;
    float *dweight;
    const struct routing *r;
};

struct route_back_job {
    struct tensor dlogits, logits;
    const float *dweight;
    const struct routing *r;
    const struct route_args *a;
};

struct sorted_back_job {
    struct tensor dx, dy;
    const struct routing *r;
    bool add;
};

struct dropout_job {
    struct tensor y, x;
    const struct dropout_args *a;
    bool add;
};

struct scaled_job {
    struct tensor y, x;
    float scale;
};

struct adamw_job {
    float *w, *m, *v;
    const float *g;
    int64_t n;
    const struct adamw_args *a;
};
enum { FLAT_CHUNK = 1 << 14 }; /* elements of a flat buffer that are one row of a job */

struct squares_job {
    const float *x;
    int64_t n;
    double *sums; /* of each chunk */
};

/* Dot products of rows and some of the vocabulary, which become logits and then gradients. */
struct logits_job {
    float *l; /* [rows, cols], `stride` apart */
    int64_t cols, stride, id0;
    float scale, soft_cap;
    const int32_t *ids;
    float *picked;
    struct head_part *parts; /* [rows, chunks of the whole vocabulary] */
    int64_t chunks;
    const float *max, *sum; /* [rows] of the whole vocabulary */
    const float *weight;
};

struct train_attention_job {
    struct tensor y, stats, q, k, v;
    struct tensor dq, dk, dv, dsink, dy; /* dsink.data may be NULL */
    const struct train_spans *s;
    const struct attention_args *a;
};

struct train_kernels {
    /* dst[n][16], n < 16: rows of a block of w are columns k0 .. k0+15, zeros beyond K. */
    void (*unpack)(float *dst, const struct weight *w, const char *block, int64_t k0);
    /* dst[c * ld + r] = x[row0 + r][col0 + c] of rows x cols elements. */
    void (*turn)(float *dst, int64_t ld, const struct tensor *x, int64_t row0, int64_t rows,
                 int64_t col0, int64_t cols);
    /* dst[r][16] = x[row0 + r][col0 ..], zeros beyond its columns. */
    void (*pack)(float *dst, const struct tensor *x, int64_t row0, int64_t rows, int64_t col0);
    /* The three of bf16 values, in pairs of rows where the kernels multiply such: exact. */
    void (*unpack_pairs)(char *dst, const struct weight *w, const char *block, int64_t k0);
    void (*turn_half)(uint16_t *dst, int64_t ld, const struct tensor *x, int64_t row0,
                      int64_t rows, int64_t col0, int64_t cols);
    void (*pack_pairs)(char *dst, const struct tensor *x, int64_t row0, int64_t rows,
                       int64_t col0);
    void (*add)(float *y, const float *x, int64_t n);
    /* out[cols] = the sum of rows row0 .. row1-1, columns col0 on. */
    void (*sum_rows)(float *out, const struct tensor *x, int64_t row0, int64_t row1,
                     int64_t col0, int64_t cols);
    void (*norm_factors)(const void *norm_back_job, int64_t row0, int64_t row1);
    void (*norm_sum)(float *out, const struct norm_back_job *j, int64_t row0, int64_t row1,
                     int64_t col0, int64_t cols);
    void (*norm_back)(const void *norm_back_job, int64_t row0, int64_t row1);
    void (*unrotate)(const void *rope_job, int64_t row0, int64_t row1);
    void (*gated_back)(const void *gated_back_job, int64_t row0, int64_t row1);
    void (*combine_back)(const void *combine_back_job, int64_t row0, int64_t row1);
    void (*route_back)(const void *route_back_job, int64_t row0, int64_t row1);
    void (*sorted_back)(const void *sorted_back_job, int64_t row0, int64_t row1);
    void (*dropout)(const void *dropout_job, int64_t row0, int64_t row1);
    void (*scaled)(const void *scaled_job, int64_t row0, int64_t row1);
    void (*adamw)(const void *adamw_job, int64_t chunk0, int64_t chunk1);
    void (*squares)(const void *squares_job, int64_t chunk0, int64_t chunk1);
    void (*logits)(const void *logits_job, int64_t row0, int64_t row1);
    void (*logits_back)(const void *logits_job, int64_t row0, int64_t row1);
    /* A span and key/value head; scratch: attention_scratch() floats. */
    void (*attention)(const struct train_attention_job *j, int32_t span, int32_t g,
                      float *scratch);
    void (*attention_back)(const struct train_attention_job *j, int32_t span, int32_t g,
                           float *scratch);
};

/* Floats that attention of so many tokens needs for one thread. */
int64_t train_attention_scratch(int64_t sequence, int64_t head_dim);

extern const struct train_kernels train_kernels_avx2, train_kernels_avx512,
    train_kernels_avx512_bf16, train_kernels_amx_bf16;

#endif
