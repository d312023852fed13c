/* train_loss.c - cross-entropy, flat buffers, and the table of what training needs. */
#include "dev/ref/train.h"

#include <math.h>
#include <stdlib.h>

static int ref_train_reserve(struct dev *d, const struct train_limits *l, struct err *e)
{
    (void)d;
    (void)l;
    (void)e;
    return 0;
}

static int ref_weight_take(struct dev *d, struct weight *w, int64_t expert, int64_t row,
                           int64_t rows, const float *from, int64_t stride, bool transposed,
                           struct err *e)
{
    struct weight_source src = {
        .data = from, .dtype = DT_F32, .stride = stride, .transposed = transposed};
    return ref_weight_rows(d, w, expert, row, rows, &src, e);
}

/* Logits of a row, and the derivative of each by its dot product. */
static void logits_of(const struct tensor *x, int64_t r, const struct head *h, double *logit,
                      double *slope)
{
    double cap = (double)h->soft_cap;
    for (int64_t n = 0; n < h->weight->shape.n; n++) {
        double l = ref_dot(x, r, h->weight, n) * (double)h->scale;
        slope[n] = (double)h->scale;
        if (cap > 0) {
            double th = tanh(l / cap);
            l = cap * th;
            slope[n] *= 1 - th * th;
        }
        logit[n] = l;
    }
}

void ref_cross_entropy(struct dev *d, float *nll, const struct tensor *dx,
                       const struct tensor *dw, const struct tensor *x, const struct head *h,
                       const void *ids, const float *weight, const struct units *u)
{
    (void)d;
    (void)u;
    const struct weight *w = h->weight;
    int64_t V = w->shape.n, C = w->shape.k;
    const int32_t *id = ids;
    double *logit = xmalloc_n((size_t)V, sizeof *logit), *slope = xmalloc_n((size_t)V, 8);
    double *sum = dw ? xcalloc((size_t)(V * C), sizeof *sum) : NULL;
    for (int64_t r = 0; r < x->rows; r++) {
        logits_of(x, r, h, logit, slope);
        double max = -INFINITY, all = 0;
        for (int64_t n = 0; n < V; n++)
            max = fmax(max, logit[n]);
        for (int64_t n = 0; n < V; n++)
            all += exp(logit[n] - max);
        nll[r] = (float)(max + log(all) - logit[id[r]]);
        for (int64_t n = 0; dx && n < V; n++) {
            double p = exp(logit[n] - max) / all - (n == id[r] ? 1 : 0);
            slope[n] *= p * (double)weight[r];
        }
        for (int64_t k = 0; dx && k < C; k++) {
            double s = 0;
            for (int64_t n = 0; n < V; n++)
                s += slope[n] * weight_at(w, n, k);
            put(dx, r, k, s);
        }
        for (int64_t i = 0; dw && i < V * C; i++)
            sum[i] += slope[i / C] * at(x, r, i % C);
    }
    for (int64_t i = 0; dw && i < V * C; i++)
        put(dw, i / C, i % C, sum[i]);
    free(logit);
    free(slope);
    free(sum);
}

static void ref_scaled(struct dev *d, const struct tensor *y, const struct tensor *x,
                       float scale)
{
    (void)d;
    for (int64_t t = 0; t < x->rows; t++)
        for (int64_t c = 0; c < x->cols; c++)
            put(y, t, c, at(x, t, c) * (double)scale);
}

static void ref_add(struct dev *d, float *y, const float *x, int64_t n)
{
    (void)d;
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void ref_sum_squares(struct dev *d, double *out, const float *x, int64_t n)
{
    (void)d;
    *out = 0;
    for (int64_t i = 0; i < n; i++)
        *out += (double)x[i] * (double)x[i];
}

static void ref_adamw(struct dev *d, float *w, float *m, float *v, const float *g, int64_t n,
                      const struct adamw_args *a)
{
    (void)d;
    double lr = (double)a->lr, b1 = (double)a->beta1, b2 = (double)a->beta2;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)g[i] * (double)a->scale;
        m[i] = (float)(b1 * (double)m[i] + (1 - b1) * x);
        v[i] = (float)(b2 * (double)v[i] + (1 - b2) * x * x);
        double step = (double)m[i] / (double)a->correct1;
        step /= sqrt((double)v[i] / (double)a->correct2) + (double)a->eps;
        w[i] = (float)((double)w[i] * (1 - lr * (double)a->decay) - lr * step);
    }
}

const struct dev_train_ops ref_train = {
    .reserve = ref_train_reserve,
    .weight_take = ref_weight_take,
    .linear_dx = ref_linear_dx,
    .linear_dw = ref_linear_dw,
    .bias_db = ref_bias_db,
    .grouped_dx = ref_grouped_dx,
    .grouped_dw = ref_grouped_dw,
    .grouped_db = ref_grouped_db,
    .embed_dw = ref_embed_dw,
    .norm_back = ref_norm_back,
    .qk_norm_rope_back = ref_qk_norm_rope_back,
    .attention = ref_train_attention,
    .attention_back = ref_attention_back,
    .gated_back = ref_gated_back,
    .combine_back = ref_combine_back,
    .route_back = ref_route_back,
    .sorted_back = ref_sorted_back,
    .gather_back = ref_gather_back,
    .dropout = ref_dropout,
    .cross_entropy = ref_cross_entropy,
    .scaled = ref_scaled,
    .add = ref_add,
    .sum_squares = ref_sum_squares,
    .adamw = ref_adamw,
};
