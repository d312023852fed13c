/* lora.c - the small products of modules, and the way back through them. */
#include "train/train.h"

static struct tensor outputs_of(const struct tensor *y, const struct lora_module *m)
{
    return (struct tensor){(float *)y->data + m->first, DT_F32, y->rows, m->n, y->stride};
}

static struct dropout_args dropout_of(const struct trainer *t, const struct train_module *m)
{
    return (struct dropout_args){t->pass.keys, m->salt, t->dropout};
}

/* x as it enters A: some elements dropped, while there is something to learn.  Rows that are
 * sorted by expert are none of a token's alone, and keep theirs. */
static struct tensor entering(struct trainer *t, const struct train_module *m,
                              const struct tensor *x, const struct routing *r)
{
    if (!t->learning || t->dropout <= 0 || r)
        return *x;
    struct tensor to = rows_of(t->pass.lora_x, DT_F32, x->rows, x->cols);
    struct dropout_args a = dropout_of(t, m);
    t->top->dropout(t->d, &to, x, &a, false);
    return to;
}

/* lora_t = x A^T */
static struct tensor small_product(struct trainer *t, const struct train_module *m,
                                   const struct tensor *x, const struct routing *r)
{
    struct tensor to = rows_of(t->pass.lora_t, DT_F32, x->rows, m->rank);
    if (r)
        t->ops->linear_grouped(t->d, &to, x, m->a, NULL, r);
    else
        t->ops->linear(t->d, &to, x, m->a, NULL);
    return to;
}

void lora_add(struct trainer *t, int32_t i, enum lora_place p, const struct tensor *x,
              const struct tensor *y, const struct routing *r)
{
    for (int k = 0; k < t->layer[i].modules; k++) {
        const struct train_module *m = &t->layer[i].module[k];
        if (!m->on || m->m.place != p)
            continue;
        struct tensor from = entering(t, m, x, r);
        struct tensor small = small_product(t, m, &from, r), out = outputs_of(y, &m->m);
        struct lora_rows rows = {0, (int32_t)x->rows, m->a, m->b, m->scale};
        struct lora_grouped grouped = {m->b, m->scale, t->pass.zeros, 0};
        if (r)
            t->ops->lora_b_grouped(t->d, &out, &small, &grouped, r);
        else
            t->ops->lora_b(t->d, &out, &small, &rows, 1);
    }
}

static void back_experts(struct trainer *t, const struct train_module *m,
                         const struct tensor *dx, const struct tensor *x,
                         const struct tensor *dy, const struct routing *r)
{
    int64_t R = m->rank;
    struct tensor small = small_product(t, m, x, r), out = outputs_of(dy, &m->m);
    struct tensor dsmall = rows_of(t->pass.lora_dt, DT_F32, x->rows, R);
    struct tensor da = rows_of(gradient_at(t, m->a_at), DT_F32, R, m->m.k);
    struct tensor db = rows_of(gradient_at(t, m->b_at), DT_F32, m->m.n, R);
    t->top->grouped_dw(t->d, &db, m->m.n * R, &out, &small, r, &t->pass.units, m->scale);
    t->top->grouped_dx(t->d, &dsmall, &out, m->b, r, m->scale, false);
    t->top->grouped_dw(t->d, &da, m->m.k * R, &dsmall, x, r, &t->pass.units, 1);
    if (dx)
        t->top->grouped_dx(t->d, dx, &dsmall, m->a, r, 1, true);
}

static void back_rows(struct trainer *t, const struct train_module *m, const struct tensor *dx,
                      const struct tensor *x, const struct tensor *dy)
{
    int64_t R = m->rank;
    struct tensor from = entering(t, m, x, NULL);
    struct tensor small = small_product(t, m, &from, NULL), out = outputs_of(dy, &m->m);
    struct tensor dsmall = rows_of(t->pass.lora_dt, DT_F32, x->rows, R);
    struct tensor da = rows_of(gradient_at(t, m->a_at), DT_F32, R, m->m.k);
    struct tensor db = rows_of(gradient_at(t, m->b_at), DT_F32, m->m.n, R);
    t->top->linear_dw(t->d, &db, &out, &small, &t->pass.units, m->scale);
    t->top->linear_dx(t->d, &dsmall, &out, m->b, m->scale, false);
    t->top->linear_dw(t->d, &da, &dsmall, &from, &t->pass.units, 1);
    if (dx && t->dropout > 0) {
        struct tensor whole = rows_of(t->pass.lora_x, DT_F32, dx->rows, dx->cols);
        struct dropout_args a = dropout_of(t, m);
        t->top->linear_dx(t->d, &whole, &dsmall, m->a, 1, false);
        t->top->dropout(t->d, dx, &whole, &a, true);
    } else if (dx) {
        t->top->linear_dx(t->d, dx, &dsmall, m->a, 1, true);
    }
}

void lora_back(struct trainer *t, int32_t i, enum lora_place p, const struct tensor *dx,
               const struct tensor *x, const struct tensor *dy, const struct routing *r)
{
    for (int k = 0; k < t->layer[i].modules; k++) {
        const struct train_module *m = &t->layer[i].module[k];
        if (!m->on || m->m.place != p)
            continue;
        if (r)
            back_experts(t, m, dx, x, dy, r);
        else
            back_rows(t, m, dx, x, dy);
    }
}
