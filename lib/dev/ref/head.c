/* head.c - logits, log-probabilities and the largest logit. */
#include "dev/ref/ref.h"

#include <math.h>

/* The logits of one row, into scratch. */
static const double *row_logits(struct dev *d, const struct tensor *x, int64_t r,
                                const struct head *h)
{
    const struct ref *ref = (struct ref *)d;
    int64_t vocab = h->weight->shape.n;
    double cap = (double)h->soft_cap;
    EXPECT(vocab <= ref->limits.vocab && x->cols == h->weight->shape.k);
    for (int64_t v = 0; v < vocab; v++) {
        double s = ref_dot(x, r, h->weight, v) * (double)h->scale;
        ref->scratch[v] = cap > 0 ? cap * tanh(s / cap) : s;
    }
    return ref->scratch;
}

static double log_sum_exp(const double *l, int64_t n)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        max = fmax(max, l[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp(l[i] - max);
    return max + log(sum);
}

void ref_head_logits(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const struct head *h)
{
    EXPECT(y->rows == x->rows && y->cols == h->weight->shape.n);
    for (int64_t r = 0; r < x->rows; r++) {
        const double *l = row_logits(d, x, r, h);
        for (int64_t v = 0; v < y->cols; v++)
            put(y, r, v, l[v]);
    }
}

void ref_head_logprob(struct dev *d, float *out, const struct tensor *x, const struct head *h,
                      const void *ids)
{
    const int32_t *id = ids;
    int64_t vocab = h->weight->shape.n;
    for (int64_t r = 0; r < x->rows; r++) {
        EXPECT(id[r] >= 0 && id[r] < vocab);
        const double *l = row_logits(d, x, r, h);
        out[r] = (float)(l[id[r]] - log_sum_exp(l, vocab));
    }
}

void ref_head_argmax(struct dev *d, void *ids, float *logprob, const struct tensor *x,
                     const struct head *h)
{
    int32_t *id = ids;
    int64_t vocab = h->weight->shape.n;
    for (int64_t r = 0; r < x->rows; r++) {
        const double *l = row_logits(d, x, r, h);
        int64_t best = 0;
        for (int64_t v = 1; v < vocab; v++)
            if (l[v] > l[best])
                best = v;
        id[r] = (int32_t)best;
        logprob[r] = (float)(l[best] - log_sum_exp(l, vocab));
    }
}
