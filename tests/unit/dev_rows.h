/* dev_rows.h - one driver for all operations that turn rows into rows.
 *
 * check_rows() runs an operation on T rows with every subject and checks that
 *  - the result is within the stated tolerance of ref's;
 *  - a row's bits are the same in any company: other numbers of rows, other places, other
 *    neighbours, other numbers of threads, and on every subject of a family;
 *  - nothing is written between the rows (strides wider than the rows), and what stands there
 *    (NaN) is not read.
 */
#ifndef DEV_ROWS_H
#define DEV_ROWS_H

#include "dev_subject.h"

struct row_op {
    char what[96];
    int64_t in, out; /* columns of x and y */
    enum dtype xt, yt;
    /* y and x are on the device, pos too: an id, position or row number per row. */
    void (*run)(const struct subject *s, const struct row_op *op, const struct tensor *y,
                const struct tensor *x, const void *pos);
    const void *arg;  /* the operation's own arguments */
    const float *aux; /* n_aux floats, copied to the device */
    int64_t n_aux;
    const float *w; /* a weight, [n, k], kept as wt; NULL: none */
    int64_t n, k;
    enum dtype wt;
    int64_t experts;                /* so many weights, one behind the other; 0: a plain one */
    const uint8_t *blocks, *scales; /* MXFP4 instead of w */
    bool flat;                      /* the rows of y are not to be strided */
    double tol;                     /* of the row's root mean square */
    double rel;                     /* of the element itself */
    /* set while a subject runs */
    struct weight *weight;
    float *dev_aux;
};

/* A chain of K roundings, each at most half a unit of a partial sum that grows as a random
 * walk: the error is about 2^-24 sqrt(K) of the result's own size; three times that, and a few
 * roundings more for what follows the chain. */
static inline double chain_tol(int64_t k)
{
    return 0x1p-24 * (8 + 3 * sqrt((double)k));
}

/* The rows x[order[0..n-1]] go through the operation; out [n, op->out]. */
static void apply(const struct subject *s, const struct row_op *op, const float *x,
                  const int32_t *pos, const int32_t *order, int64_t n, float *out)
{
    int64_t xs = op->in + 3, ys = op->flat ? op->out : op->out + 5;
    int64_t xbytes = n * xs * dtype_size(op->xt), ybytes = n * ys * dtype_size(op->yt);
    char *hx = xmalloc((size_t)xbytes), *hy = xmalloc((size_t)ybytes);
    int32_t *hpos = xmalloc_n((size_t)n, sizeof *hpos);
    for (int64_t r = 0; r < n; r++) {
        hpos[r] = pos[order[r]];
        for (int64_t c = 0; c < xs; c++)
            to_type(hx, op->xt, r * xs + c, c < op->in ? x[order[r] * op->in + c] : (float)NAN);
    }
    memset(hy, 0x5a, (size_t)ybytes);
    void *dx = dev_new(s, hx, xbytes), *dy = dev_new(s, hy, ybytes);
    void *dpos = dev_new(s, hpos, n * 4);
    struct tensor tx = {dx, op->xt, n, op->in, xs}, ty = {dy, op->yt, n, op->out, ys};
    op->run(s, op, &ty, &tx, dpos);
    dev_get(s, hy, dy, ybytes);
    int64_t touched = 0, size = dtype_size(op->yt);
    for (int64_t r = 0; r < n; r++) {
        for (int64_t c = 0; c < op->out; c++)
            out[r * op->out + c] = from_type(hy, op->yt, r * ys + c);
        for (int64_t b = op->out * size; b < ys * size; b++)
            touched += hy[r * ys * size + b] != 0x5a;
    }
    CHECK_MSG(touched == 0, "%s, %s: %d bytes between rows", op->what, s->name, (int)touched);
    s->o->free(s->d, dx);
    s->o->free(s->d, dy);
    s->o->free(s->d, dpos);
    free(hx);
    free(hy);
    free(hpos);
}

static void prepare(const struct subject *s, struct row_op *op)
{
    struct err e = {0};
    op->dev_aux = op->aux ? dev_new(s, op->aux, op->n_aux * 4) : NULL;
    op->weight = NULL;
    if (!op->w && !op->blocks)
        return;
    struct weight_shape shape = {op->n, op->k, op->experts, op->wt};
    op->weight = s->o->weight_new(s->d, &shape, &e);
    if (!op->weight)
        die_err(&e);
    for (int64_t i = 0; i < (op->experts ? op->experts : 1); i++) {
        int64_t at = i * op->n * op->k;
        struct weight_source src = {op->w ? op->w + at : NULL, DT_F32, op->k, false, NULL};
        if (op->blocks)
            src = (struct weight_source){op->blocks + at / 2, DT_MXFP4, op->k, false,
                                         op->scales + at / MXFP4_BLOCK};
        if (s->o->weight_rows(s->d, op->weight, i, 0, op->n, &src, &e) < 0)
            die_err(&e);
    }
}

static void unprepare(const struct subject *s, struct row_op *op)
{
    s->o->weight_free(s->d, op->weight);
    s->o->free(s->d, op->dev_aux);
}

static void shuffle(int32_t *order, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = random_u32() % (uint32_t)(i + 1);
        int32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

/* Fewer rows, in another order: the same bits. */
static void check_company(const struct subject *s, const struct row_op *op, const float *x,
                          const int32_t *pos, int64_t rows, const float *whole, float *out)
{
    int32_t *order = xmalloc_n((size_t)rows, sizeof *order);
    for (int64_t i = 0; i < rows; i++)
        order[i] = (int32_t)i;
    int64_t wrong = 0;
    for (int64_t n = 1; n <= rows; n += n < 14 || n + 11 > rows ? 1 : 11) {
        shuffle(order, rows);
        apply(s, op, x, pos, order, n, out);
        for (int64_t i = 0; i < n; i++)
            wrong += !same_bits(out + i * op->out, whole + order[i] * op->out, op->out);
    }
    CHECK_MSG(wrong == 0, "%s, %s: %d rows differ in other company", op->what, s->name,
              (int)wrong);
    free(order);
}

/* x [rows, op->in], pos [rows]. */
static void check_rows(struct row_op *op, const float *x, const int32_t *pos, int64_t rows)
{
    size_t n = (size_t)(rows * op->out);
    float *out[SUBJECTS_MAX], *part = xmalloc_n(n, sizeof *part);
    int32_t *order = xmalloc_n((size_t)rows, sizeof *order);
    for (int64_t i = 0; i < rows; i++)
        order[i] = (int32_t)i;
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        prepare(s, op);
        out[i] = xmalloc_n(n, sizeof *out[i]);
        apply(s, op, x, pos, order, rows, out[i]);
        if (i > 0) {
            double worst = 0;
            for (int64_t r = 0; r < rows; r++) {
                const float *want = out[0] + r * op->out;
                double e = row_error(out[i] + r * op->out, want, op->out,
                                     op->tol * rms_of(want, op->out), op->rel);
                worst = e > worst ? e : worst;
            }
            CHECK_MSG(worst <= 1, "%s, %s: %g tolerances from ref", op->what, s->name, worst);
            CHECK_MSG(same_bits(out[i], out[sibling(i)], (int64_t)n), "%s: %s and %s differ",
                      op->what, s->name, subjects[sibling(i)].name);
            check_company(s, op, x, pos, rows, out[i], part);
        }
        unprepare(s, op);
    }
    for (int i = 0; i < n_subjects; i++)
        free(out[i]);
    free(part);
    free(order);
}

#endif
