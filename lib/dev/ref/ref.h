/* ref.h - what the files of the plain backend share.
 *
 * Weights are rows as they came, keys and values stand at [page][layer][k, v][G][P][D]; every
 * sum is one ascending loop in double with the C library's functions, and only what a type says
 * is rounded.  Nothing here is clever: it is what the other backends are measured by.
 */
#ifndef REF_H
#define REF_H

#include "base/half.h"
#include "dev/backends.h"

struct ref {
    struct dev dev;
    struct dev_limits limits;
    double *scratch; /* as many as the widest vocabulary, product or head */
};

struct weight {
    struct weight_shape shape;
    void *data;      /* [experts][n][k] */
    uint8_t *scales; /* MXFP4: [experts][n][k / 32]; else NULL */
};

struct kv {
    struct kv_shape shape;
    void *data;
};

static inline double load(const void *p, enum dtype t, int64_t i)
{
    return t == DT_F32 ? ((const float *)p)[i] : bf16_to_f32(((const uint16_t *)p)[i]);
}

/* One rounding where the type is f32; bf16 is rounded from f32, as every backend does. */
static inline void store(void *p, enum dtype t, int64_t i, double x)
{
    if (t == DT_F32)
        ((float *)p)[i] = (float)x;
    else
        ((uint16_t *)p)[i] = bf16_from_f32((float)x);
}

/* Rows of all experts count on. */
static inline double weight_at(const struct weight *w, int64_t row, int64_t k)
{
    int64_t i = row * w->shape.k + k;
    return w->scales ? mxfp4_to_f32(w->data, i, w->scales[i / MXFP4_BLOCK])
                     : load(w->data, w->shape.dtype, i);
}

static inline double at(const struct tensor *t, int64_t row, int64_t col)
{
    return load(t->data, t->dtype, row * t->stride + col);
}

static inline void put(const struct tensor *t, int64_t row, int64_t col, double x)
{
    store(t->data, t->dtype, row * t->stride + col, x);
}

/* weight.c */
struct weight *ref_weight_new(struct dev *d, const struct weight_shape *s, struct err *e);
int ref_weight_rows(struct dev *d, struct weight *w, int64_t expert, int64_t row, int64_t rows,
                    const struct weight_source *src, struct err *e);
void ref_weight_free(struct dev *d, struct weight *w);
/* linear.c */
double ref_dot(const struct tensor *x, int64_t t, const struct weight *w, int64_t row);
void ref_embed(struct dev *d, const struct tensor *y, const struct weight *w, const void *ids,
               float scale);
void ref_linear(struct dev *d, const struct tensor *y, const struct tensor *x,
                const struct weight *w, const float *bias);
void ref_gather_rows(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const void *rows);
/* lora.c */
void ref_lora_a(struct dev *d, const struct tensor *t, const struct tensor *x,
                const struct lora_rows *groups, int32_t n);
void ref_lora_b(struct dev *d, const struct tensor *y, const struct tensor *t,
                const struct lora_rows *groups, int32_t n);
void ref_lora_b_grouped(struct dev *d, const struct tensor *y, const struct tensor *t,
                        const struct lora_grouped *g, const struct routing *r);
/* norm.c */
void ref_norm(struct dev *d, const struct tensor *y, const struct tensor *x,
              const struct tensor *add, float add_scale, const float *w, float eps,
              bool plus_one);
void ref_qk_norm_rope(struct dev *d, const struct tensor *q, const struct tensor *k,
                      const struct rope_args *a);
/* attention.c */
struct kv *ref_kv_new(struct dev *d, const struct kv_shape *s, struct err *e);
void ref_kv_copy_page(struct dev *d, struct kv *kv, int32_t to, int32_t from);
void ref_kv_free(struct dev *d, struct kv *kv);
void ref_kv_write(struct dev *d, struct kv *kv, int32_t layer, const struct tensor *k,
                  const struct tensor *v, const struct spans *s);
void ref_attention(struct dev *d, const struct tensor *y, const struct tensor *q,
                   const struct kv *kv, const struct spans *s, const struct attention_args *a);
/* experts.c */
void ref_route(struct dev *d, const struct routing *r, const struct tensor *logits,
               const struct route_args *a);
void ref_linear_grouped(struct dev *d, const struct tensor *y, const struct tensor *x,
                        const struct weight *w, const float *bias, const struct routing *r);
void ref_combine(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct routing *r);
/* gated.c */
void ref_gated(struct dev *d, const struct tensor *y, const struct tensor *x,
               const struct gated_args *a);
/* head.c */
void ref_head_logits(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const struct head *h);
void ref_head_logprob(struct dev *d, float *out, const struct tensor *x, const struct head *h,
                      const void *ids);
void ref_head_argmax(struct dev *d, void *ids, float *logprob, const struct tensor *x,
                     const struct head *h);

#endif
