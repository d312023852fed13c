/* norm.c - RMS norm of rows and of heads, and rotary positions. */
#include "dev/ref/ref.h"

#include <math.h>

/* x[c] *= w[c] / sqrt(mean(x^2) + eps), or (1 + w[c]); y is where the result goes. */
static void rms(const struct tensor *y, const struct tensor *x, int64_t t, int64_t first,
                int64_t n, const float *w, float eps, bool plus_one)
{
    double sum = 0;
    for (int64_t c = 0; c < n; c++)
        sum += at(x, t, first + c) * at(x, t, first + c);
    double r = 1 / sqrt(sum / (double)n + (double)eps);
    for (int64_t c = 0; c < n; c++)
        put(y, t, first + c, at(x, t, first + c) * r * ((double)w[c] + (plus_one ? 1 : 0)));
}

/* x += add * add_scale; y = norm(x) */
void ref_norm(struct dev *d, const struct tensor *y, const struct tensor *x,
              const struct tensor *add, float add_scale, const float *w, float eps,
              bool plus_one)
{
    (void)d;
    EXPECT(!y || (y->rows == x->rows && y->cols == x->cols && w));
    EXPECT(!add || (add->rows == x->rows && add->cols == x->cols));
    for (int64_t t = 0; t < x->rows; t++) {
        for (int64_t c = 0; add && c < x->cols; c++)
            put(x, t, c, at(x, t, c) + at(add, t, c) * (double)add_scale);
        if (y)
            rms(y, x, t, 0, x->cols, w, eps, plus_one);
    }
}

/* Pairs (i, i + rotary/2) of each head turn by the position's angle. */
static void rotate(const struct tensor *x, int64_t t, int64_t first, int32_t rotary,
                   const float *cos_sin)
{
    int32_t half = rotary / 2;
    for (int32_t i = 0; i < half; i++) {
        double a = at(x, t, first + i), b = at(x, t, first + half + i);
        double c = (double)cos_sin[i], s = (double)cos_sin[half + i];
        put(x, t, first + i, a * c - b * s);
        put(x, t, first + half + i, b * c + a * s);
    }
}

static void norm_rope(const struct tensor *x, int32_t heads, const float *w,
                      const struct rope_args *a)
{
    const int32_t *pos = a->pos;
    int32_t width = a->head_dim;
    EXPECT(x->cols == (int64_t)heads * width && a->rotary <= width && a->rotary % 2 == 0);
    for (int64_t t = 0; t < x->rows; t++) {
        if (w && a->norm_whole)
            rms(x, x, t, 0, x->cols, w, a->eps, a->norm_plus_one);
        for (int64_t h = 0; h < heads; h++) {
            if (w && !a->norm_whole)
                rms(x, x, t, h * width, width, w, a->eps, a->norm_plus_one);
            if (a->rotary)
                rotate(x, t, h * width, a->rotary, a->cos_sin + (int64_t)pos[t] * a->rotary);
        }
    }
}

void ref_qk_norm_rope(struct dev *d, const struct tensor *q, const struct tensor *k,
                      const struct rope_args *a)
{
    (void)d;
    EXPECT(q->rows == k->rows);
    norm_rope(q, a->heads, a->q_norm, a);
    norm_rope(k, a->kv_heads, a->k_norm, a);
}
