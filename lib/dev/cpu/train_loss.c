/* train_loss.c - cross-entropy behind the head.
 *
 * The vocabulary is taken in pieces of LOSS_IDS, in ascending order, by as many rows as there
 * is room for.  Where all of a row's logits fit they are computed once; else once for the sums,
 * and again for the gradients.  Neither changes a bit.
 */
#include "dev/cpu/train.h"

#include <math.h>
#include <string.h>

enum { LOSS_IDS = 4096 };

struct loss {
    struct cpu *c;
    const struct tensor *dx, *dw, *x;
    const struct head *h;
    const struct units *u;
    struct logits_job job;
    float *max, *sum, *picked; /* [rows] */
    int64_t vocab;
};

static struct tensor rows_from(const struct tensor *t, int64_t row, int64_t rows)
{
    struct tensor part = *t;
    part.data = (char *)t->data + row * t->stride * dtype_size(t->dtype);
    part.rows = rows;
    return part;
}

/* So many ids of the head from id0 on, as a weight of their own. */
static struct weight ids_of(const struct head *h, int64_t id0, int64_t n)
{
    struct weight w = *h->weight;
    w.data += id0 / LANES * w.block_bytes;
    w.blocks = (n + LANES - 1) / LANES;
    w.shape.n = n;
    return w;
}

/* Logits of ids id0 .. id0+n-1, not yet finished, into job.l. */
static void products(struct loss *s, const struct tensor *x, int64_t id0, int64_t n, float *to,
                     int64_t stride)
{
    struct weight w = ids_of(s->h, id0, n);
    struct tensor y = {to, DT_F32, x->rows, n, stride};
    struct product p = cpu_product(s->c, x, &w);
    cpu_run_product(s->c, &y, &p, 1, false);
    s->job.l = to;
    s->job.cols = n;
    s->job.stride = stride;
    s->job.id0 = id0;
}

static void merge_rows(const struct loss *s, int64_t row, int64_t rows, float *nll)
{
    int64_t chunks = s->job.chunks;
    for (int64_t r = 0; r < rows; r++) {
        const struct head_part *p = s->job.parts + r * chunks;
        float max = -INFINITY;
        double sum = 0;
        for (int64_t i = 0; i < chunks; i++)
            max = p[i].max > max ? p[i].max : max;
        for (int64_t i = 0; i < chunks; i++)
            sum += (double)p[i].sum * exp((double)(p[i].max - max));
        s->max[r] = max;
        s->sum[r] = (float)sum;
        nll[row + r] = (float)((double)max + log(sum) - (double)s->picked[r]);
    }
}

/* Gradients of one piece: its logits are finished. */
static void piece_back(struct loss *s, const struct tensor *x, const struct tensor *dx,
                       float *l, int64_t id0, int64_t n, int64_t stride)
{
    struct weight w = ids_of(s->h, id0, n);
    struct tensor dl = {l, DT_F32, x->rows, n, stride};
    s->job.l = l;
    s->job.cols = n;
    s->job.stride = stride;
    s->job.id0 = id0;
    cpu_rows(s->c, s->c->kernels->train->logits_back, &s->job, x->rows, 4 * n);
    if (x->dtype == DT_BF16 && s->c->kernels->dot && w.shape.dtype == DT_BF16) {
        struct tensor half = {l, DT_BF16, x->rows, n, 2 * stride}; /* in place, row by row */
        cpu_scaled(&s->c->dev, &half, &dl, 1);
        dl = half;
    }
    cpu_linear_dx(&s->c->dev, dx, &dl, &w, 1, id0 > 0);
    if (s->dw) {
        struct tensor dw = rows_from(s->dw, id0, n);
        cpu_linear_dw(&s->c->dev, &dw, &dl, x, s->u, 1);
    }
}

/* Rows row .. row+rows-1; `whole`: all of their logits are kept. */
static void some_rows(struct loss *s, int64_t row, int64_t rows, bool whole, float *nll,
                      const int32_t *ids, const float *weight)
{
    struct tensor x = rows_from(s->x, row, rows), dx = {0};
    float *l = s->c->train->logits;
    int64_t stride = whole ? (s->vocab + 15) / 16 * 16 : LOSS_IDS;
    s->job.ids = ids + row;
    s->job.weight = weight ? weight + row : NULL;
    for (int64_t id = 0; id < s->vocab; id += LOSS_IDS) {
        int64_t n = s->vocab - id < LOSS_IDS ? s->vocab - id : LOSS_IDS;
        products(s, &x, id, n, whole ? l + id : l, stride);
        cpu_rows(s->c, s->c->kernels->train->logits, &s->job, rows, 4 * n);
    }
    merge_rows(s, row, rows, nll);
    if (!s->dx)
        return;
    dx = rows_from(s->dx, row, rows);
    for (int64_t id = 0; id < s->vocab; id += LOSS_IDS) {
        int64_t n = s->vocab - id < LOSS_IDS ? s->vocab - id : LOSS_IDS;
        if (!whole) {
            products(s, &x, id, n, l, stride);
            cpu_rows(s->c, s->c->kernels->train->logits, &s->job, rows, 4 * n);
        }
        piece_back(s, &x, &dx, whole ? l + id : l, id, n, stride);
    }
}

void cpu_cross_entropy(struct dev *d, float *nll, const struct tensor *dx,
                       const struct tensor *dw, const struct tensor *x, const struct head *h,
                       const void *ids, const float *weight, const struct units *u)
{
    struct cpu *c = (struct cpu *)d;
    struct cpu_train *t = c->train;
    int64_t R = x->rows, V = h->weight->shape.n;
    EXPECT(R <= t->limits.tokens && x->cols == h->weight->shape.k && !h->weight->shape.experts);
    EXPECT(!dw || (dx && dw->rows == V && dw->cols == x->cols));
    struct loss s = {.c = c,
                     .dx = dx,
                     .dw = dw,
                     .x = x,
                     .h = h,
                     .u = u,
                     .max = t->row,
                     .sum = t->row + t->limits.tokens,
                     .picked = t->row + 2 * (int64_t)t->limits.tokens,
                     .vocab = V,
                     .job = {.scale = h->scale,
                             .soft_cap = h->soft_cap,
                             .parts = t->parts,
                             .chunks = (V + HEAD_CHUNK - 1) / HEAD_CHUNK}};
    s.job.picked = s.picked;
    s.job.max = s.max;
    s.job.sum = s.sum;
    int64_t fit = LOGITS / ((V + 15) / 16 * 16), piece = LOGITS / LOSS_IDS;
    /* The head's gradient needs all rows at once. */
    if (fit >= R || (fit > 0 && !dw)) {
        for (int64_t r = 0; r < R; r += fit)
            some_rows(&s, r, R - r < fit ? R - r : fit, true, nll, ids, weight);
        return;
    }
    EXPECT(!dw || R <= piece);
    for (int64_t r = 0; r < R; r += piece)
        some_rows(&s, r, R - r < piece ? R - r : piece, false, nll, ids, weight);
}
