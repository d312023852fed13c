/* gated.c - act(gate) * up of the feed-forward part. */
#include "dev/ref/ref.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double gate(const struct gated_args *a, double g, double u)
{
    double limit = (double)a->limit, alpha = (double)a->alpha;
    switch (a->kind) {
    case GATE_SILU: return g * sigmoid(g) * u;
    case GATE_GELU_TANH: /* (1 + tanh t) / 2 = sigmoid(2 t), with no cancellation */
        return g * sigmoid(2 * sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)) * u;
    case GATE_CLAMPED:
        g = fmin(g, limit);
        u = fmax(fmin(u, limit), -limit);
        return (u + 1) * g * sigmoid(alpha * g);
    }
    BUG("gate kind %d", (int)a->kind);
}

void ref_gated(struct dev *d, const struct tensor *y, const struct tensor *x,
               const struct gated_args *a)
{
    (void)d;
    int64_t n = y->cols;
    EXPECT(x->cols == 2 * n && x->rows == y->rows);
    for (int64_t t = 0; t < y->rows; t++)
        for (int64_t i = 0; i < n; i++)
            put(y, t, i,
                gate(a, at(x, t, a->interleaved ? 2 * i : i),
                     at(x, t, a->interleaved ? 2 * i + 1 : n + i)));
}
