/* train_rows.c - the operations of training that are cut by rows. */
#include "dev/cpu/train.h"

#include <string.h>

/* ---- norms --------------------------------------------------------------------- */

static void norm_sum(float *out, const void *arg, int64_t row0, int64_t row1, int64_t col0,
                     int64_t cols)
{
    const struct tree *t = arg;
    t->k->norm_sum(out, t->arg, row0, row1, col0, cols);
}

/* dx may be dy itself, so the weight's gradient comes first. */
static void norm_back(struct cpu *c, struct norm_back_job *j, float *dw, const struct units *u)
{
    const struct train_kernels *k = c->kernels->train;
    int64_t rows = j->x.rows * j->heads;
    struct tree inner = {.k = k, .arg = j}, t = {k, u, norm_sum, &inner};
    EXPECT(j->dx.dtype == DT_F32 && j->dy.dtype == DT_F32 && j->x.dtype == DT_F32);
    j->factor = c->train->factors;
    cpu_rows(c, k->norm_factors, j, rows, j->width);
    if (dw)
        cpu_tree_row(c, &t, dw, j->width, rows);
    cpu_rows(c, k->norm_back, j, rows, 2 * j->width);
}

void cpu_norm_back(struct dev *d, const struct tensor *dx, float *dw, const struct tensor *dy,
                   const struct tensor *x, const float *w, float eps, bool plus_one,
                   const struct units *u, bool add)
{
    struct norm_back_job j = {.dx = *dx,
                              .dy = *dy,
                              .x = *x,
                              .heads = 1,
                              .width = x->cols,
                              .w = w,
                              .eps = eps,
                              .plus_one = plus_one,
                              .add = add};
    EXPECT(dx->cols == x->cols && dy->cols == x->cols && dx->rows == x->rows);
    norm_back((struct cpu *)d, &j, dw, u);
}

static void heads_back(struct cpu *c, const struct tensor *dx, const struct tensor *x,
                       int32_t heads, const float *w, float *dw, const struct rope_args *a,
                       const struct units *u)
{
    struct norm_back_job j = {.dx = *dx,
                              .dy = *dx,
                              .x = *x,
                              .heads = a->norm_whole ? 1 : heads,
                              .width = a->norm_whole ? dx->cols : a->head_dim,
                              .w = w,
                              .eps = a->eps,
                              .plus_one = a->norm_plus_one};
    if (w)
        norm_back(c, &j, dw, u);
}

void cpu_qk_norm_rope_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                           const struct tensor *q, const struct tensor *k,
                           const struct rope_args *a, float *dq_norm, float *dk_norm,
                           const struct units *u)
{
    struct cpu *c = (struct cpu *)d;
    struct rope_job j = {*dq, *dk, a};
    EXPECT(dq->cols == (int64_t)a->heads * a->head_dim && dq->rows == dk->rows);
    if (a->rotary)
        cpu_rows(c, c->kernels->train->unrotate, &j, dq->rows, dq->cols + dk->cols);
    heads_back(c, dq, q, a->heads, a->q_norm, dq_norm, a, u);
    heads_back(c, dk, k, a->kv_heads, a->k_norm, dk_norm, a, u);
}

/* ---- the rest --------------------------------------------------------------------- */

void cpu_gated_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct tensor *x, const struct gated_args *a)
{
    struct cpu *c = (struct cpu *)d;
    struct gated_back_job j = {*dx, *dy, *x, a};
    EXPECT(x->cols == 2 * dy->cols && dx->cols == x->cols && dx->rows == dy->rows);
    cpu_rows(c, c->kernels->train->gated_back, &j, dy->rows, 8 * dy->cols);
}

void cpu_combine_back(struct dev *d, const struct tensor *dx, float *dweight,
                      const struct tensor *dy, const struct tensor *x, const struct routing *r)
{
    struct cpu *c = (struct cpu *)d;
    struct combine_back_job j = {*dx, *dy, *x, dweight, r};
    EXPECT(dx->rows == dy->rows * r->used && x->rows == dx->rows && x->cols == dy->cols);
    cpu_rows(c, c->kernels->train->combine_back, &j, dy->rows, 2 * dy->cols * r->used);
}

void cpu_route_back(struct dev *d, const struct tensor *dlogits, const float *dweight,
                    const struct tensor *logits, const struct routing *r,
                    const struct route_args *a)
{
    struct cpu *c = (struct cpu *)d;
    struct route_back_job j = {*dlogits, *logits, dweight, r, a};
    EXPECT(dlogits->cols == r->experts && logits->cols == r->experts);
    cpu_rows(c, c->kernels->train->route_back, &j, logits->rows, 8 * logits->cols);
}

void cpu_sorted_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const struct routing *r, bool add)
{
    struct cpu *c = (struct cpu *)d;
    struct sorted_back_job j = {*dx, *dy, r, add};
    EXPECT(dy->rows == dx->rows * r->used && dy->cols == dx->cols);
    cpu_rows(c, c->kernels->train->sorted_back, &j, dx->rows, dx->cols * r->used);
}

struct zero_job {
    struct tensor x;
};

static void zero_rows(const void *job, int64_t row0, int64_t row1)
{
    const struct tensor *x = &((const struct zero_job *)job)->x;
    for (int64_t r = row0; r < row1; r++)
        memset((float *)x->data + r * x->stride, 0, (size_t)x->cols * sizeof(float));
}

void cpu_gather_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const void *rows)
{
    const int32_t *row = rows;
    struct zero_job j = {*dx};
    cpu_rows((struct cpu *)d, zero_rows, &j, dx->rows, dx->cols);
    for (int64_t r = 0; r < dy->rows; r++) {
        EXPECT(row[r] >= 0 && row[r] < dx->rows);
        memcpy((float *)dx->data + row[r] * dx->stride, (float *)dy->data + r * dy->stride,
               (size_t)dy->cols * sizeof(float));
    }
}

void cpu_dropout(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct dropout_args *a, bool add)
{
    struct cpu *c = (struct cpu *)d;
    struct dropout_job j = {*y, *x, a, add};
    EXPECT(y->rows == x->rows && y->cols == x->cols && (!add || y->dtype == DT_F32));
    cpu_rows(c, c->kernels->train->dropout, &j, x->rows, 4 * x->cols);
}

void cpu_scaled(struct dev *d, const struct tensor *y, const struct tensor *x, float scale)
{
    struct cpu *c = (struct cpu *)d;
    struct scaled_job j = {*y, *x, scale};
    EXPECT(y->rows == x->rows && y->cols == x->cols);
    cpu_rows(c, c->kernels->train->scaled, &j, x->rows, x->cols);
}
