/* train_tiny.h - trainers of small models, and the few steps that the tests of training share.
 */
#ifndef TRAIN_TINY_H
#define TRAIN_TINY_H

#include "train/trainer.h"
#include "unit.h"

#include "families.h"

#include <math.h>

enum { SEQS = 4, SEQ_MAX = 40, TINY_TOKENS = SEQS * SEQ_MAX };

/* Sequences of different lengths as units, every third token no target. */
struct tiny_batch {
    int32_t ids[SEQS][SEQ_MAX];
    float weight[SEQS][SEQ_MAX];
    struct train_seq seq[SEQS];
    struct train_unit unit[SEQS];
    double targets;
};

static inline void tiny_batch_make(struct tiny_batch *b, int vocab)
{
    static const int32_t tokens[SEQS] = {SEQ_MAX, 7, 2, 23};
    b->targets = 0;
    for (int i = 0; i < SEQS; i++) {
        for (int k = 0; k < tokens[i]; k++) {
            b->ids[i][k] = (i * 31 + k * k * 7 + k * 5) % vocab;
            b->weight[i][k] = k > 0 && (k % 3 || tokens[i] < 3) ? 1 : 0;
            b->targets += (double)b->weight[i][k];
        }
        b->seq[i] = (struct train_seq){tokens[i], (uint64_t)i + 1};
        b->unit[i] = (struct train_unit){b->ids[i], b->weight[i], &b->seq[i], tokens[i], 1};
    }
}

static inline struct dev *tiny_device(const char *isa, int threads)
{
    struct err e = {0};
    struct dev_config c = {.threads = threads, .isa = isa};
    return dev_find("cpu")->open(&c, &e);
}

/* The gradient of the mean; its loss. */
static inline double tiny_gradient(struct trainer *t, const struct tiny_batch *b)
{
    double nll[SEQS], sum = 0;
    struct err e = {0};
    int rc = trainer_gradient(t, b->unit, SEQS, (float)(1 / b->targets), nll, NULL, &e);
    CHECK_MSG(rc == 0, "%s", e.text);
    for (int i = 0; i < SEQS; i++)
        sum += nll[i];
    return sum / b->targets;
}

static inline float *tiny_flat(struct trainer *t, enum train_flat which, int64_t *n)
{
    struct trainer_info info;
    struct err e = {0};
    trainer_info(t, &info);
    *n = which == TRAIN_GRADIENT ? info.gradient : info.floats;
    float *p = xmalloc_n((size_t)*n, sizeof *p);
    CHECK(trainer_read(t, which, 0, *n, p, &e) == 0);
    return p;
}

/* The loss with tensor i moved by `by` along `along`. */
static inline double tiny_moved(struct trainer *t, const struct tiny_batch *b, size_t i,
                                const float *from, const float *along, double by)
{
    size_t n;
    struct err e = {0};
    const struct train_tensor *x = &trainer_tensors(t, &n)[i];
    float *moved = xmalloc_n((size_t)x->n, sizeof *moved);
    for (int64_t k = 0; k < x->n; k++)
        moved[k] = (float)((double)from[k] + by * (double)along[k]);
    CHECK(trainer_import(t, TRAIN_WEIGHT, i, moved, &e) == 0 && trainer_changed(t, &e) == 0);
    free(moved);
    return tiny_gradient(t, b);
}

/* Each tensor's gradient against the loss a little before and behind along it: the slope must
 * be the gradient's length.  f32 losses are good to about 1e-6. */
static inline void tiny_differences(struct trainer *t, const struct tiny_batch *b,
                                    const char *name)
{
    size_t n;
    struct err e = {0};
    const struct train_tensor *x = trainer_tensors(t, &n);
    double loss = tiny_gradient(t, b);
    float **g = xcalloc(n, sizeof *g);
    for (size_t i = 0; i < n; i++) {
        g[i] = xmalloc_n((size_t)x[i].n, sizeof **g);
        CHECK(trainer_export(t, TRAIN_GRADIENT, i, g[i], &e) == 0);
    }
    for (size_t i = 0; i < n; i++) {
        float *w = xmalloc_n((size_t)x[i].n, sizeof *w);
        double norm = 0;
        CHECK(trainer_export(t, TRAIN_WEIGHT, i, w, &e) == 0);
        for (int64_t k = 0; k < x[i].n; k++)
            norm += (double)g[i][k] * (double)g[i][k];
        norm = sqrt(norm);
        /* A step that changes the loss by about a thousandth each way. */
        double by = norm > 0 ? 1e-3 * loss / (norm * norm) : 0;
        if (by * norm > 0.05)
            by = 0.05 / norm;
        double up = tiny_moved(t, b, i, w, g[i], by), down = tiny_moved(t, b, i, w, g[i], -by);
        double slope = norm > 0 ? (up - down) / (2 * by * norm) : 0;
        double noise = norm > 0 ? 4e-7 * loss / (by * norm) : 0;
        double off = norm > 0 ? (fabs(slope - norm) - noise) / norm : 0;
        CHECK_MSG(off < 0.02, "%s: %s: slope %g, gradient %g (by %g)", name, x[i].name, slope,
                  norm, by);
        CHECK(trainer_import(t, TRAIN_WEIGHT, i, w, &e) == 0 && trainer_changed(t, &e) == 0);
        free(w);
    }
    for (size_t i = 0; i < n; i++)
        free(g[i]);
    free(g);
}

#endif
