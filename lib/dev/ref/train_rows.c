/* train_rows.c - the way back through gates, experts' choice and gathered rows; dropout. */
#include "dev/dropout.h"
#include "dev/ref/train.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* act(g) and its derivative; the value of up that multiplies it, and whether up passes. */
static double act(const struct gated_args *a, double g, double *slope)
{
    double s, limit = (double)a->limit, alpha = (double)a->alpha;
    switch (a->kind) {
    case GATE_SILU:
        s = sigmoid(g);
        *slope = s * (1 + g * (1 - s));
        return g * s;
    case GATE_GELU_TANH:
        s = sigmoid(2 * sqrt(2 / M_PI) * (g + 0.044715 * g * g * g));
        *slope = s + g * s * (1 - s) * 2 * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * g * g);
        return g * s;
    case GATE_CLAMPED:
        s = sigmoid(alpha * fmin(g, limit));
        *slope = g > limit ? 0 : s * (1 + alpha * g * (1 - s));
        return fmin(g, limit) * s;
    }
    BUG("gate kind %d", (int)a->kind);
}

void ref_gated_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct tensor *x, const struct gated_args *a)
{
    (void)d;
    int64_t n = dy->cols;
    EXPECT(x->cols == 2 * n && dx->cols == 2 * n);
    for (int64_t t = 0; t < dy->rows; t++)
        for (int64_t i = 0; i < n; i++) {
            int64_t gi = a->interleaved ? 2 * i : i, ui = a->interleaved ? 2 * i + 1 : n + i;
            double u = at(x, t, ui), pass = 1, slope, limit = (double)a->limit;
            double y = act(a, at(x, t, gi), &slope);
            if (a->kind == GATE_CLAMPED) {
                pass = u > limit || u < -limit ? 0 : 1;
                u = fmax(fmin(u, limit), -limit) + 1;
            }
            double g = at(dy, t, i);
            put(dx, t, gi, g * u * slope);
            put(dx, t, ui, g * y * pass);
        }
}

void ref_combine_back(struct dev *d, const struct tensor *dx, float *dweight,
                      const struct tensor *dy, const struct tensor *x, const struct routing *r)
{
    (void)d;
    for (int64_t t = 0; t < dy->rows; t++)
        for (int64_t i = t * r->used; i < (t + 1) * r->used; i++) {
            double sum = 0;
            for (int64_t c = 0; c < dy->cols; c++) {
                sum += at(dy, t, c) * at(x, r->row[i], c);
                put(dx, r->row[i], c, (double)r->weight[i] * at(dy, t, c));
            }
            dweight[i] = (float)sum;
        }
}

/* w_i = scale * p_i: dl_e = p_e (dp_e - sum dp p), over all experts or the chosen ones. */
void ref_route_back(struct dev *d, const struct tensor *dlogits, const float *dweight,
                    const struct tensor *logits, const struct routing *r,
                    const struct route_args *a)
{
    (void)d;
    for (int64_t t = 0; t < logits->rows; t++) {
        const int32_t *expert = r->expert + t * r->used;
        const float *weight = r->weight + t * r->used, *dw = dweight + t * r->used;
        double max = -INFINITY, sum = 0, dot = 0;
        for (int32_t i = 0; i < r->used; i++)
            dot += (double)dw[i] * (double)weight[i];
        for (int32_t e = 0; e < r->experts; e++)
            max = fmax(max, at(logits, t, e));
        for (int32_t e = 0; e < r->experts; e++)
            sum += exp(at(logits, t, e) - max);
        for (int32_t e = 0; e < r->experts; e++)
            put(dlogits, t, e, a->over_all ? -exp(at(logits, t, e) - max) / sum * dot : 0);
        for (int32_t i = 0; i < r->used; i++) {
            double w = (double)weight[i], all = a->over_all ? 0 : dot / (double)a->scale;
            put_add(dlogits, t, expert[i], w * ((double)dw[i] - all), true);
        }
    }
}

void ref_sorted_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const struct routing *r, bool add)
{
    (void)d;
    for (int64_t t = 0; t < dx->rows; t++)
        for (int64_t c = 0; c < dx->cols; c++) {
            double sum = 0;
            for (int64_t i = t * r->used; i < (t + 1) * r->used; i++)
                sum += at(dy, r->row[i], c);
            put_add(dx, t, c, sum, add);
        }
}

void ref_gather_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const void *rows)
{
    (void)d;
    const int32_t *row = rows;
    for (int64_t t = 0; t < dx->rows; t++)
        for (int64_t c = 0; c < dx->cols; c++)
            put(dx, t, c, 0);
    for (int64_t r = 0; r < dy->rows; r++) {
        EXPECT(row[r] >= 0 && row[r] < dx->rows);
        for (int64_t c = 0; c < dx->cols; c++)
            put(dx, row[r], c, at(dy, r, c));
    }
}

void ref_dropout(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct dropout_args *a, bool add)
{
    (void)d;
    uint32_t below = dropout_below(a->p);
    double up = 1 / (1 - (double)a->p);
    for (int64_t t = 0; t < x->rows; t++) {
        uint64_t row = dropout_row(a->keys[t], a->salt);
        for (int64_t c = 0; c < x->cols; c++)
            put_add(y, t, c, dropout_bits(row, (uint32_t)c) < below ? 0 : at(x, t, c) * up,
                    add);
    }
}
