/* dev_train.h - what the tests of the way back share: results of all subjects against ref's,
 * and ref's against differences of its forward.
 */
#ifndef DEV_TRAIN_TEST_H
#define DEV_TRAIN_TEST_H

#include "dev/dev_train.h"
#include "dev_subject.h"

/* Named arrays of floats in host memory; an operation's case sets some and runs. */
struct array {
    float *p;
    int64_t n;
};

static inline struct array array_new(int64_t n, float scale)
{
    float *p = scale == 0 ? xcalloc((size_t)n, sizeof *p) : random_floats(n, scale);
    return (struct array){p, n};
}

static inline void *on_device(const struct subject *s, const struct array *a)
{
    return dev_new(s, a->p, a->n * 4 > 0 ? a->n * 4 : 4);
}

static inline void back_to_host(const struct subject *s, struct array *a, void *p)
{
    dev_get(s, a->p, p, a->n * 4);
    s->o->free(s->d, p);
}

static inline struct tensor tensor_of(void *p, int64_t rows, int64_t cols)
{
    return (struct tensor){p, DT_F32, rows, cols, cols};
}

static inline struct weight *weight_of(const struct subject *s, const float *w, int64_t n,
                                       int64_t k, int64_t experts, enum dtype t)
{
    struct err e = {0};
    struct weight_shape shape = {n, k, experts, t};
    struct weight *to = s->o->weight_new(s->d, &shape, &e);
    for (int64_t i = 0; to && i < (experts ? experts : 1); i++) {
        struct weight_source src = {.data = w + i * n * k, .dtype = DT_F32, .stride = k};
        CHECK(s->o->weight_rows(s->d, to, i, 0, n, &src, &e) == 0);
    }
    return to;
}

static inline void reserve_train(const struct train_limits *l)
{
    struct err e = {0};
    for (int i = 0; i < n_subjects; i++)
        CHECK_MSG(subjects[i].o->train->reserve(subjects[i].d, l, &e) == 0, "%s", e.text);
}

/* A result against ref's, to so many units of 2^-24 of its own size; on all subjects of a
 * family the same bits.  first: ref's and each family's, kept from call to call. */
struct results {
    const char *what;
    double tol;
    struct array of[SUBJECTS_MAX];
};

static inline void result_check(struct results *r, int i, struct array got)
{
    const struct array *ref = &r->of[0];
    r->of[i] = got;
    if (i > 0)
        CHECK_MSG(row_error(got.p, ref->p, got.n, r->tol * 0x1p-24 * rms_of(ref->p, ref->n),
                            4e-6) <= 1,
                  "%s, %s: off by %g", r->what, subjects[i].name,
                  row_error(got.p, ref->p, got.n, 0x1p-24 * rms_of(ref->p, ref->n), 4e-6));
    if (sibling(i) != i)
        CHECK_MSG(same_bits(got.p, r->of[sibling(i)].p, got.n), "%s, %s: other bits", r->what,
                  subjects[i].name);
}

static inline void results_free(struct results *r)
{
    for (int i = 0; i < n_subjects; i++)
        free(r->of[i].p);
}

/* The slope of loss(arg) by some elements of x against `gradient`, on ref.  A step of `by` adds
 * an error of its square; results are rounded to f32, which adds 2^-24 of the loss over `by`.
 */
static inline void check_slope(const char *what, double (*loss)(void *arg), void *arg,
                               struct array x, const float *gradient, double by)
{
    double size = rms_of(gradient, x.n);
    for (int i = 0; i < 12 && x.n; i++) {
        int64_t k = (int64_t)random_u32() % x.n;
        float was = x.p[k];
        x.p[k] = (float)((double)was + by);
        double a = (double)x.p[k], up = loss(arg);
        x.p[k] = (float)((double)was - by);
        double b = (double)x.p[k], down = loss(arg);
        x.p[k] = was;
        double slope = (up - down) / (a - b), off = fabs(slope - (double)gradient[k]);
        CHECK_MSG(off <= 5e-3 * (size + fabs(slope)), "%s: [%d] slope %g, gradient %g", what,
                  (int)k, slope, (double)gradient[k]);
    }
}

#endif
