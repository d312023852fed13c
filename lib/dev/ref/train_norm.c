/* train_norm.c - the way back through RMS norms and rotary positions. */
#include "dev/ref/train.h"

#include <math.h>
#include <stdlib.h>

/* y = x r w with r = 1 / sqrt(mean(x^2) + eps): dx = r (dy w) - x r^3 / n sum(dy w x).  dw
 * gets dy x r added.  Columns first .. first+n-1 of a row. */
static void back(const struct tensor *dx, double *dw, const struct tensor *dy,
                 const struct tensor *x, int64_t t, int64_t first, int64_t n, const float *w,
                 float eps, bool plus_one, bool add)
{
    double sum = 0, dot = 0;
    for (int64_t c = 0; c < n; c++) {
        double g = at(dy, t, first + c) * ((double)w[c] + (plus_one ? 1 : 0));
        sum += at(x, t, first + c) * at(x, t, first + c);
        dot += g * at(x, t, first + c);
    }
    double r = 1 / sqrt(sum / (double)n + (double)eps);
    for (int64_t c = 0; c < n; c++) {
        double g = at(dy, t, first + c), xc = at(x, t, first + c);
        if (dw)
            dw[c] += g * xc * r;
        g *= (double)w[c] + (plus_one ? 1 : 0);
        put_add(dx, t, first + c, r * g - xc * r * r * r / (double)n * dot, add);
    }
}

static double *sums_new(const float *dw, int64_t n)
{
    return dw ? xcalloc((size_t)n, sizeof(double)) : NULL;
}

static void sums_take(float *dw, double *sums, int64_t n)
{
    for (int64_t c = 0; dw && c < n; c++)
        dw[c] = (float)sums[c];
    free(sums);
}

void ref_norm_back(struct dev *d, const struct tensor *dx, float *dw, const struct tensor *dy,
                   const struct tensor *x, const float *w, float eps, bool plus_one,
                   const struct units *u, bool add)
{
    (void)d;
    (void)u;
    double *sums = sums_new(dw, x->cols);
    for (int64_t t = 0; t < x->rows; t++)
        back(dx, sums, dy, x, t, 0, x->cols, w, eps, plus_one, add);
    sums_take(dw, sums, x->cols);
}

/* The rotation by the other direction. */
static void unrotate(const struct tensor *x, int64_t t, int64_t first, int32_t rotary,
                     const float *cos_sin)
{
    int32_t half = rotary / 2;
    for (int32_t i = 0; i < half; i++) {
        double a = at(x, t, first + i), b = at(x, t, first + half + i);
        double c = (double)cos_sin[i], s = (double)cos_sin[half + i];
        put(x, t, first + i, a * c + b * s);
        put(x, t, first + half + i, b * c - a * s);
    }
}

static void heads_back(const struct tensor *dx, const struct tensor *x, int32_t heads,
                       const float *w, float *dw, const struct rope_args *a)
{
    const int32_t *pos = a->pos;
    int32_t width = a->head_dim;
    int64_t n = a->norm_whole ? dx->cols : width;
    double *sums = sums_new(dw, n);
    for (int64_t t = 0; t < dx->rows; t++) {
        for (int64_t h = 0; h < heads && a->rotary; h++)
            unrotate(dx, t, h * width, a->rotary, a->cos_sin + (int64_t)pos[t] * a->rotary);
        for (int64_t c = 0; w && c < dx->cols; c += n)
            back(dx, sums, dx, x, t, c, n, w, a->eps, a->norm_plus_one, false);
    }
    sums_take(dw, sums, n);
}

void ref_qk_norm_rope_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                           const struct tensor *q, const struct tensor *k,
                           const struct rope_args *a, float *dq_norm, float *dk_norm,
                           const struct units *u)
{
    (void)d;
    (void)u;
    heads_back(dq, q, a->heads, a->q_norm, dq_norm, a);
    heads_back(dk, k, a->kv_heads, a->k_norm, dk_norm, a);
}
