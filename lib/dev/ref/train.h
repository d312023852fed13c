/* train.h - the plain backend's operations for training.
 *
 * Sums over rows run over all of them in ascending order, in double: units make no difference
 * here.
 */
#ifndef REF_TRAIN_H
#define REF_TRAIN_H

#include "dev/dev_train.h"
#include "dev/ref/ref.h"

extern const struct dev_train_ops ref_train;

static inline void put_add(const struct tensor *t, int64_t row, int64_t col, double x, bool add)
{
    put(t, row, col, add ? at(t, row, col) + x : x);
}

/* train_products.c */
void ref_linear_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                   const struct weight *w, float scale, bool add);
void ref_linear_dw(struct dev *d, const struct tensor *dw, const struct tensor *dy,
                   const struct tensor *x, const struct units *u, float scale);
void ref_bias_db(struct dev *d, float *db, const struct tensor *dy, const struct units *u);
void ref_grouped_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct weight *w, const struct routing *r, float scale, bool add);
void ref_grouped_dw(struct dev *d, const struct tensor *dw, int64_t dw_step,
                    const struct tensor *dy, const struct tensor *x, const struct routing *r,
                    const struct units *u, float scale);
void ref_grouped_db(struct dev *d, float *db, const struct tensor *dy, const struct routing *r,
                    const struct units *u);
void ref_embed_dw(struct dev *d, const struct tensor *dw, const struct tensor *dx,
                  const void *ids, const struct units *u, float scale);
/* train_norm.c */
void ref_norm_back(struct dev *d, const struct tensor *dx, float *dw, const struct tensor *dy,
                   const struct tensor *x, const float *w, float eps, bool plus_one,
                   const struct units *u, bool add);
void ref_qk_norm_rope_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                           const struct tensor *q, const struct tensor *k,
                           const struct rope_args *a, float *dq_norm, float *dk_norm,
                           const struct units *u);
/* train_attention.c */
void ref_train_attention(struct dev *d, const struct tensor *y, const struct tensor *stats,
                         const struct tensor *q, const struct tensor *k, const struct tensor *v,
                         const struct train_spans *s, const struct attention_args *a);
void ref_attention_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                        const struct tensor *dv, const struct tensor *dsink,
                        const struct tensor *dy, const struct tensor *y,
                        const struct tensor *stats, const struct tensor *q,
                        const struct tensor *k, const struct tensor *v,
                        const struct train_spans *s, const struct attention_args *a);
/* train_rows.c */
void ref_gated_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct tensor *x, const struct gated_args *a);
void ref_combine_back(struct dev *d, const struct tensor *dx, float *dweight,
                      const struct tensor *dy, const struct tensor *x, const struct routing *r);
void ref_route_back(struct dev *d, const struct tensor *dlogits, const float *dweight,
                    const struct tensor *logits, const struct routing *r,
                    const struct route_args *a);
void ref_sorted_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const struct routing *r, bool add);
void ref_gather_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const void *rows);
void ref_dropout(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct dropout_args *a, bool add);
/* train_loss.c */
void ref_cross_entropy(struct dev *d, float *nll, const struct tensor *dx,
                       const struct tensor *dw, const struct tensor *x, const struct head *h,
                       const void *ids, const float *weight, const struct units *u);

#endif
