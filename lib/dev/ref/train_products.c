/* train_products.c - gradients of products, biases and the embedding. */
#include "dev/ref/train.h"

#include <stdlib.h>

/* scale * sum over n of dy[t][n] w[row0 + n][k] */
static void back_row(const struct tensor *dx, const struct tensor *dy, int64_t t,
                     const struct weight *w, int64_t row0, float scale, bool add)
{
    for (int64_t k = 0; k < dx->cols; k++) {
        double sum = 0;
        for (int64_t n = 0; n < dy->cols; n++)
            sum += at(dy, t, n) * weight_at(w, row0 + n, k);
        put_add(dx, t, k, sum * (double)scale, add);
    }
}

void ref_linear_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                   const struct weight *w, float scale, bool add)
{
    (void)d;
    EXPECT(dx->rows == dy->rows && dy->cols == w->shape.n && dx->cols == w->shape.k);
    for (int64_t t = 0; t < dx->rows; t++)
        back_row(dx, dy, t, w, 0, scale, add);
}

void ref_grouped_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct weight *w, const struct routing *r, float scale, bool add)
{
    (void)d;
    EXPECT(w->shape.experts == r->experts && dy->cols == w->shape.n && dx->cols == w->shape.k);
    for (int64_t e = 0; e < r->experts; e++)
        for (int64_t t = r->first[e]; t < r->first[e + 1]; t++)
            back_row(dx, dy, t, w, e * w->shape.n, scale, add);
}

/* dw = scale * the sum over rows row0 .. row1-1 of dy^T x */
static void weight_rows(const struct tensor *dw, const struct tensor *dy,
                        const struct tensor *x, int64_t row0, int64_t row1, float scale)
{
    EXPECT(dw->rows == dy->cols && dw->cols == x->cols);
    for (int64_t n = 0; n < dw->rows; n++)
        for (int64_t k = 0; k < dw->cols; k++) {
            double sum = 0;
            for (int64_t t = row0; t < row1; t++)
                sum += at(dy, t, n) * at(x, t, k);
            put(dw, n, k, sum * (double)scale);
        }
}

void ref_linear_dw(struct dev *d, const struct tensor *dw, const struct tensor *dy,
                   const struct tensor *x, const struct units *u, float scale)
{
    (void)d;
    weight_rows(dw, dy, x, u->first[0], u->first[u->n], scale);
}

void ref_grouped_dw(struct dev *d, const struct tensor *dw, int64_t dw_step,
                    const struct tensor *dy, const struct tensor *x, const struct routing *r,
                    const struct units *u, float scale)
{
    (void)d;
    (void)u;
    for (int64_t e = 0; e < r->experts; e++) {
        struct tensor one = *dw;
        one.data = (float *)dw->data + e * dw_step;
        weight_rows(&one, dy, x, r->first[e], r->first[e + 1], scale);
    }
}

static void bias_rows(float *db, const struct tensor *dy, int64_t row0, int64_t row1)
{
    for (int64_t n = 0; n < dy->cols; n++) {
        double sum = 0;
        for (int64_t t = row0; t < row1; t++)
            sum += at(dy, t, n);
        db[n] = (float)sum;
    }
}

void ref_bias_db(struct dev *d, float *db, const struct tensor *dy, const struct units *u)
{
    (void)d;
    bias_rows(db, dy, u->first[0], u->first[u->n]);
}

void ref_grouped_db(struct dev *d, float *db, const struct tensor *dy, const struct routing *r,
                    const struct units *u)
{
    (void)d;
    (void)u;
    for (int64_t e = 0; e < r->experts; e++)
        bias_rows(db + e * dy->cols, dy, r->first[e], r->first[e + 1]);
}

void ref_embed_dw(struct dev *d, const struct tensor *dw, const struct tensor *dx,
                  const void *ids, const struct units *u, float scale)
{
    (void)d;
    const int32_t *id = ids;
    double *sum = xmalloc_n((size_t)dw->cols, sizeof *sum);
    for (int64_t n = 0; n < dw->rows; n++) {
        for (int64_t c = 0; c < dw->cols; c++)
            sum[c] = 0;
        for (int64_t t = u->first[0]; t < u->first[u->n]; t++)
            for (int64_t c = 0; id[t] == n && c < dw->cols; c++)
                sum[c] += at(dx, t, c);
        for (int64_t c = 0; c < dw->cols; c++)
            put(dw, n, c, sum[c] * (double)scale);
    }
    free(sum);
}
