/* dev_train.h - what a device does for training alone: the way back, losses and the update.
 *
 * A second table behind the first (dev_ops.train; NULL: this backend cannot train).  The rules
 * of dev.h hold, and this one: a sum over rows that makes a gradient of a weight runs over the
 * rows of each unit in ascending order, and over the units by the tree T(0, 1), where
 * T(o, s) = T(o, 2s) + T(o + s, 2s), and T(o, s) = unit o where o + s >= n.  So a gradient does
 * not depend on how a batch was cut into calls or dealt out to processes.
 *
 * Names: dy is the gradient of the loss by y.  Gradients are f32.  Results replace what was
 * there, unless `add` says otherwise.
 */
#ifndef DEV_TRAIN_H
#define DEV_TRAIN_H

#include "dev/dev.h"

/* Unit u has rows first[u] .. first[u + 1] - 1 of a call, perhaps none.  Host memory. */
struct units {
    const int32_t *first;
    int32_t n; /* 1 .. UNITS_MAX */
};
enum { UNITS_MAX = 8192 };

/* Sequences of a call, which do not see each other; positions begin at 0.  Host memory. */
struct train_span {
    int32_t first, count;
};
struct train_spans {
    const struct train_span *host;
    int32_t n;
};

struct adamw_args {
    float lr, beta1, beta2, eps, decay; /* decay: 0 where there is none */
    float correct1, correct2;           /* 1 - beta^step */
    float scale;                        /* of the gradient: clipping */
};

/* Which elements of a call's rows are dropped: a function of the row's key, the salt and the
 * column alone. */
struct dropout_args {
    const uint64_t *keys; /* device, [T] */
    uint64_t salt;
    float p; /* 0 <= p < 1 */
};

/* The largest calls to come. */
struct train_limits {
    int32_t tokens;          /* T */
    int32_t sequence;        /* tokens of a span */
    int32_t rows;            /* S of grouped products, or T */
    int32_t heads, head_dim; /* H, D */
    int32_t vocab, width;    /* V; the widest N or K of a product */
    int64_t weight;          /* elements of the largest plain weight, or of one expert's */
};

struct dev_train_ops {
    int (*reserve)(struct dev *d, const struct train_limits *l, struct err *e);

    /* As weight_rows(), from f32 on the device. */
    int (*weight_take)(struct dev *d, struct weight *w, int64_t expert, int64_t row,
                       int64_t rows, const float *from, int64_t stride, bool transposed,
                       struct err *e);

    /* -- products -- */

    /* dx = scale * dy w, or dx += it.  dy [T, N], w [N, K], dx [T, K].  dy f32; or bf16 where
     * the device multiplies bf16 (dev_info) and w is not f32. */
    void (*linear_dx)(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                      const struct weight *w, float scale, bool add);
    /* dw [N, K] = scale * the sum over rows of dy^T x; dy and x f32 or bf16. */
    void (*linear_dw)(struct dev *d, const struct tensor *dw, const struct tensor *dy,
                      const struct tensor *x, const struct units *u, float scale);
    /* db [N] = the sum over rows of dy. */
    void (*bias_db)(struct dev *d, float *db, const struct tensor *dy, const struct units *u);
    /* The same on rows sorted by expert; u is in tokens, as r.token.  dw: expert e's [N, K]
     * stands at dw + e * dw_step floats.  db [E, N]. */
    void (*grouped_dx)(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                       const struct weight *w, const struct routing *r, float scale, bool add);
    void (*grouped_dw)(struct dev *d, const struct tensor *dw, int64_t dw_step,
                       const struct tensor *dy, const struct tensor *x, const struct routing *r,
                       const struct units *u, float scale);
    void (*grouped_db)(struct dev *d, float *db, const struct tensor *dy,
                       const struct routing *r, const struct units *u);
    /* dw [V, C] = scale * the sum of dx's rows by id. */
    void (*embed_dw)(struct dev *d, const struct tensor *dw, const struct tensor *dx,
                     const void *ids, const struct units *u, float scale);

    /* -- norms and rotation -- */

    /* dx = or += the way back through norm() without its addition; dw [C] or NULL. */
    void (*norm_back)(struct dev *d, const struct tensor *dx, float *dw,
                      const struct tensor *dy, const struct tensor *x, const float *w,
                      float eps, bool plus_one, const struct units *u, bool add);
    /* In place on dq and dk; q and k are what qk_norm_rope() was given, where there is a norm.
     * dq_norm, dk_norm: gradients of its weights, or NULL. */
    void (*qk_norm_rope_back)(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                              const struct tensor *q, const struct tensor *k,
                              const struct rope_args *a, float *dq_norm, float *dk_norm,
                              const struct units *u);

    /* -- attention, without pages -- */

    /* As attention() on keys and values of the call itself.  stats [T, 2H]: the largest score
     * of a row, then its sum of exponentials, by which probabilities are found again. */
    void (*attention)(struct dev *d, const struct tensor *y, const struct tensor *stats,
                      const struct tensor *q, const struct tensor *k, const struct tensor *v,
                      const struct train_spans *s, const struct attention_args *a);
    /* dsink [T, H] where there are sinks: what each row adds to their gradient; or NULL. */
    void (*attention_back)(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                           const struct tensor *dv, const struct tensor *dsink,
                           const struct tensor *dy, const struct tensor *y,
                           const struct tensor *stats, const struct tensor *q,
                           const struct tensor *k, const struct tensor *v,
                           const struct train_spans *s, const struct attention_args *a);

    /* -- the rest of a layer -- */

    void (*gated_back)(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                       const struct tensor *x, const struct gated_args *a);
    /* dx [S, C] and dweight [T, U] from dy [T, C]; x [S, C]: what was combined. */
    void (*combine_back)(struct dev *d, const struct tensor *dx, float *dweight,
                         const struct tensor *dy, const struct tensor *x,
                         const struct routing *r);
    /* dlogits [T, E]. */
    void (*route_back)(struct dev *d, const struct tensor *dlogits, const float *dweight,
                       const struct tensor *logits, const struct routing *r,
                       const struct route_args *a);
    /* dx[t] = or += the sum of the token's rows of dy [S, C], experts ascending. */
    void (*sorted_back)(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                        const struct routing *r, bool add);
    /* dx[rows[r]] = dy[r], all other rows 0; no row stands in `rows` twice. */
    void (*gather_back)(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                        const void *rows);

    /* y = or += x, some elements 0 and the others divided by 1 - p; y f32 or x's type. */
    void (*dropout)(struct dev *d, const struct tensor *y, const struct tensor *x,
                    const struct dropout_args *a, bool add);

    /* -- the loss -- */

    /* nll[r] = -log p(ids[r] | row r of x).  Where dx is not NULL also the gradient of the sum
     * of weight[r] * nll[r], by x and, where dw [V, C] is not NULL, by the head's weight. */
    void (*cross_entropy)(struct dev *d, float *nll, const struct tensor *dx,
                          const struct tensor *dw, const struct tensor *x, const struct head *h,
                          const void *ids, const float *weight, const struct units *u);

    /* -- flat buffers -- */

    void (*scaled)(struct dev *d, const struct tensor *y, const struct tensor *x, float scale);
    void (*add)(struct dev *d, float *y, const float *x, int64_t n);
    /* *out, in host memory after sync(). */
    void (*sum_squares)(struct dev *d, double *out, const float *x, int64_t n);
    void (*adamw)(struct dev *d, float *w, float *m, float *v, const float *g, int64_t n,
                  const struct adamw_args *a);
};

#endif
