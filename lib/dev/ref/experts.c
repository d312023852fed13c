/* experts.c - which experts a token goes to, their products, and their weighted sum. */
#include "dev/ref/ref.h"

#include <math.h>

/* Is expert a chosen before expert b? */
static bool before(const struct tensor *logits, int64_t t, int32_t a, int32_t b)
{
    double x = at(logits, t, a), y = at(logits, t, b);
    return x > y || (x == y && a < b);
}

/* A token's experts, ascending: those that fewer than `used` others come before. */
static void choose(const struct routing *r, const struct tensor *logits, int64_t t)
{
    int32_t n = 0;
    for (int32_t e = 0; e < r->experts && n < r->used; e++) {
        int32_t better = 0;
        for (int32_t o = 0; o < r->experts; o++)
            better += before(logits, t, o, e);
        if (better < r->used)
            r->expert[t * r->used + n++] = e;
    }
    EXPECT(n == r->used);
}

/* The softmax of the chosen experts' logits. */
static void weigh(const struct routing *r, const struct tensor *logits, int64_t t,
                  const struct route_args *a)
{
    const int32_t *expert = r->expert + t * r->used;
    double max = -INFINITY, sum = 0;
    for (int32_t e = 0; e < r->experts; e++)
        max = fmax(max, at(logits, t, e));
    for (int32_t i = 0; i < (a->over_all ? r->experts : r->used); i++)
        sum += exp(at(logits, t, a->over_all ? i : expert[i]) - max);
    for (int32_t i = 0; i < r->used; i++)
        r->weight[t * r->used + i] = (float)(exp(at(logits, t, expert[i]) - max) / sum *
                                             (double)a->scale);
}

void ref_route(struct dev *d, const struct routing *r, const struct tensor *logits,
               const struct route_args *a)
{
    (void)d;
    int32_t rows = 0;
    EXPECT(logits->cols == r->experts && r->used >= 1 && r->used <= r->experts);
    for (int64_t t = 0; t < logits->rows; t++) {
        choose(r, logits, t);
        weigh(r, logits, t, a);
    }
    for (int32_t e = 0; e < r->experts; e++) {
        r->first[e] = rows;
        for (int64_t i = 0; i < logits->rows * r->used; i++) {
            if (r->expert[i] != e)
                continue;
            r->token[rows] = (int32_t)(i / r->used);
            r->row[i] = rows++;
        }
    }
    r->first[r->experts] = rows;
}

/* y = x w^T (+ bias), each row by its expert */
void ref_linear_grouped(struct dev *d, const struct tensor *y, const struct tensor *x,
                        const struct weight *w, const float *bias, const struct routing *r)
{
    (void)d;
    EXPECT(w->shape.experts == r->experts && y->rows == x->rows && y->cols == w->shape.n &&
           x->cols == w->shape.k && r->first[r->experts] == x->rows);
    for (int64_t e = 0; e < r->experts; e++)
        for (int64_t t = r->first[e]; t < r->first[e + 1]; t++)
            for (int64_t n = 0; n < y->cols; n++)
                put(y, t, n,
                    ref_dot(x, t, w, e * y->cols + n) +
                        (bias ? (double)bias[e * y->cols + n] : 0));
}

/* y[t] = the weighted sum of the token's rows */
void ref_combine(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct routing *r)
{
    (void)d;
    EXPECT(x->cols == y->cols && x->rows == y->rows * r->used);
    for (int64_t t = 0; t < y->rows; t++)
        for (int64_t c = 0; c < y->cols; c++) {
            double sum = 0;
            for (int64_t i = t * r->used; i < (t + 1) * r->used; i++)
                sum += (double)r->weight[i] * at(x, r->row[i], c);
            put(y, t, c, sum);
        }
}
