/* linear.c - rows of a weight: gathered, or multiplied with. */
#include "dev/ref/ref.h"

/* x[t] . w[row], where the rows of all experts count on */
double ref_dot(const struct tensor *x, int64_t t, const struct weight *w, int64_t row)
{
    double sum = 0;
    for (int64_t k = 0; k < x->cols; k++)
        sum += at(x, t, k) * weight_at(w, row, k);
    return sum;
}

/* y[t] = w[ids[t]] * scale */
void ref_embed(struct dev *d, const struct tensor *y, const struct weight *w, const void *ids,
               float scale)
{
    (void)d;
    const int32_t *id = ids;
    EXPECT(y->cols == w->shape.k);
    for (int64_t t = 0; t < y->rows; t++) {
        EXPECT(id[t] >= 0 && id[t] < w->shape.n);
        for (int64_t c = 0; c < y->cols; c++)
            put(y, t, c, weight_at(w, id[t], c) * scale);
    }
}

/* y = x w^T (+ bias) */
void ref_linear(struct dev *d, const struct tensor *y, const struct tensor *x,
                const struct weight *w, const float *bias)
{
    (void)d;
    EXPECT(!w->shape.experts && y->rows == x->rows && y->cols == w->shape.n &&
           x->cols == w->shape.k);
    for (int64_t t = 0; t < y->rows; t++)
        for (int64_t n = 0; n < y->cols; n++)
            put(y, t, n, ref_dot(x, t, w, n) + (bias ? (double)bias[n] : 0));
}

/* y[r] = x[rows[r]] */
void ref_gather_rows(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const void *rows)
{
    (void)d;
    const int32_t *row = rows;
    EXPECT(y->cols == x->cols && y->dtype == x->dtype);
    for (int64_t r = 0; r < y->rows; r++) {
        EXPECT(row[r] >= 0 && row[r] < x->rows);
        for (int64_t c = 0; c < y->cols; c++)
            put(y, r, c, at(x, row[r], c));
    }
}
