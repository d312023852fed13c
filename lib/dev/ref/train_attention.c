/* train_attention.c - attention within the spans of a call, and the way back. */
#include "dev/ref/train.h"

#include <math.h>
#include <stdlib.h>

/* One head of one query. */
struct query {
    const struct attention_args *a;
    const struct tensor *q, *k, *v;
    int64_t t, first, low; /* its row, its span's first row, the first row that it sees */
    int64_t col, kv_col;   /* where its head begins in q, and in k and v */
};

static struct query query_at(const struct attention_args *a, const struct tensor *q,
                             const struct tensor *k, const struct tensor *v,
                             const struct train_span *s, int32_t i, int32_t h)
{
    int32_t low = a->window && i >= a->window ? i - a->window + 1 : 0;
    int64_t g = h / (a->heads / a->kv_heads);
    return (struct query){a,
                          q,
                          k,
                          v,
                          s->first + i,
                          s->first,
                          s->first + low,
                          (int64_t)h * a->head_dim,
                          g * a->head_dim};
}

static double dot(const struct tensor *x, int64_t t, int64_t col, const struct tensor *y,
                  int64_t j, int64_t col2, int32_t n)
{
    double sum = 0;
    for (int32_t c = 0; c < n; c++)
        sum += at(x, t, col + c) * at(y, j, col2 + c);
    return sum;
}

/* The score of a key; *slope: its derivative by q.k. */
static double score(const struct query *q, int64_t j, double *slope)
{
    double s = dot(q->q, q->t, q->col, q->k, j, q->kv_col, q->a->head_dim);
    double cap = (double)q->a->soft_cap, scale = (double)q->a->scale;
    s *= scale;
    *slope = scale;
    if (cap > 0) {
        double th = tanh(s / cap);
        s = cap * th;
        *slope = scale * (1 - th * th);
    }
    return s;
}

static void attend(const struct query *q, const struct tensor *y, const struct tensor *stats,
                   int32_t h, double *acc)
{
    const struct attention_args *a = q->a;
    double max = a->sinks ? (double)a->sinks[h] : -INFINITY, slope;
    for (int64_t j = q->low; j <= q->t; j++)
        max = fmax(max, score(q, j, &slope));
    double sum = a->sinks ? exp((double)a->sinks[h] - max) : 0;
    for (int32_t c = 0; c < a->head_dim; c++)
        acc[c] = 0;
    for (int64_t j = q->low; j <= q->t; j++) {
        double p = exp(score(q, j, &slope) - max);
        sum += p;
        for (int32_t c = 0; c < a->head_dim; c++)
            acc[c] += p * at(q->v, j, q->kv_col + c);
    }
    for (int32_t c = 0; c < a->head_dim; c++)
        put(y, q->t, q->col + c, acc[c] / sum);
    put(stats, q->t, h, max);
    put(stats, q->t, a->heads + h, sum);
}

void ref_train_attention(struct dev *d, const struct tensor *y, const struct tensor *stats,
                         const struct tensor *q, const struct tensor *k, const struct tensor *v,
                         const struct train_spans *s, const struct attention_args *a)
{
    (void)d;
    double *acc = xmalloc_n((size_t)a->head_dim, sizeof *acc);
    for (const struct train_span *sp = s->host; sp < s->host + s->n; sp++)
        for (int32_t i = 0; i < sp->count; i++)
            for (int32_t h = 0; h < a->heads; h++) {
                struct query one = query_at(a, q, k, v, sp, i, h);
                attend(&one, y, stats, h, acc);
            }
    free(acc);
}

/* ds_j = p_j (dp_j - sum of dy y), dp_j = dy . v_j; dk and dv are sums in double. */
static void back(const struct query *q, const struct tensor *dq, double *dk, double *dv,
                 const struct tensor *dy, const struct tensor *y, const struct tensor *stats,
                 int32_t h, double *acc)
{
    const struct attention_args *a = q->a;
    int32_t D = a->head_dim;
    double max = at(stats, q->t, h), sum = at(stats, q->t, a->heads + h), slope;
    double delta = dot(dy, q->t, q->col, y, q->t, q->col, D);
    for (int32_t c = 0; c < D; c++)
        acc[c] = 0;
    for (int64_t j = q->low; j <= q->t; j++) {
        double p = exp(score(q, j, &slope) - max) / sum;
        double dp = dot(dy, q->t, q->col, q->v, j, q->kv_col, D);
        double ds = p * (dp - delta) * slope;
        for (int32_t c = 0; c < D; c++) {
            int64_t to = j * q->k->cols + q->kv_col + c;
            acc[c] += ds * at(q->k, j, q->kv_col + c);
            dk[to] += ds * at(q->q, q->t, q->col + c);
            dv[to] += p * at(dy, q->t, q->col + c);
        }
    }
    for (int32_t c = 0; c < D; c++)
        put(dq, q->t, q->col + c, acc[c]);
}

void ref_attention_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                        const struct tensor *dv, const struct tensor *dsink,
                        const struct tensor *dy, const struct tensor *y,
                        const struct tensor *stats, const struct tensor *q,
                        const struct tensor *k, const struct tensor *v,
                        const struct train_spans *s, const struct attention_args *a)
{
    (void)d;
    size_t n = (size_t)(k->rows * k->cols);
    double *acc = xmalloc_n((size_t)a->head_dim, sizeof *acc);
    double *sk = xcalloc(n, sizeof *sk), *sv = xcalloc(n, sizeof *sv);
    for (const struct train_span *sp = s->host; sp < s->host + s->n; sp++)
        for (int32_t i = 0; i < sp->count; i++)
            for (int32_t h = 0; h < a->heads; h++) {
                struct query one = query_at(a, q, k, v, sp, i, h);
                if (dsink) {
                    double p = exp((double)a->sinks[h] - at(stats, one.t, h)) /
                               at(stats, one.t, a->heads + h);
                    put(dsink, one.t, h,
                        -p * dot(dy, one.t, one.col, y, one.t, one.col, a->head_dim));
                }
                back(&one, dq, sk, sv, dy, y, stats, h, acc);
            }
    for (int64_t t = 0; t < k->rows; t++)
        for (int64_t c = 0; c < k->cols; c++) {
            put(dk, t, c, sk[t * k->cols + c]);
            put(dv, t, c, sv[t * k->cols + c]);
        }
    free(acc);
    free(sk);
    free(sv);
}
