/* head.c - the last product in chunks of the vocabulary, and what is made of the logits. */
#include "dev/cpu/cpu.h"

#include <math.h>

struct head_cut {
    const struct kernels *k;
    struct head_job job;
    int64_t strips; /* of rows; a chunk's strips are neighbours */
};

static void head_piece(void *arg, int i)
{
    const struct head_cut *h = arg;
    int64_t strip = i % h->strips, rows = h->job.rows;
    h->k->head_chunk(&h->job, i / h->strips, strip_row(rows, strip, h->strips),
                     strip_row(rows, strip + 1, h->strips));
}

/* Runs all chunks; returns how many there are. */
static int64_t run_chunks(struct cpu *c, struct head_job *j, const struct tensor *x,
                          const struct head *h)
{
    int64_t vocab = h->weight->shape.n, chunks = (vocab + HEAD_CHUNK - 1) / HEAD_CHUNK;
    EXPECT(x->rows <= c->limits.rows && vocab <= c->limits.vocab);
    j->scale = h->scale;
    j->soft_cap = h->soft_cap;
    j->rows = x->rows;
    j->p = cpu_product(c, x, h->weight);
    struct head_cut cut = {c->kernels, *j, (x->rows + HEAD_ROWS - 1) / HEAD_ROWS};
    cpu_pieces(c, head_piece, &cut, chunks * cut.strips, x->rows * x->cols * vocab);
    return chunks;
}

/* The natural logarithm of a finite x > 0 by exactly rounded operations alone, so that it is
 * the same whatever the C library: x = m 2^e, m near 1, s = (m - 1) / (m + 1), and
 * log m = 2 (s + s^3/3 + s^5/5 + ...), whose rest is below 1e-17 since |s| < 0.172. */
static double natural_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int i = 21; i >= 1; i -= 2)
        sum = sum * z + 1.0 / i;
    return 2 * s * sum + e * 0.69314718055994531;
}

/* log of the sum of exp over a row's logits, less the largest of them. */
static double log_sum(const struct cpu *c, const struct head_job *j, int64_t chunks, int64_t r,
                      float *max, int32_t *best)
{
    *max = j->parts[r].max;
    *best = j->parts[r].best;
    for (int64_t i = 1; i < chunks; i++) {
        const struct head_part *p = &j->parts[i * j->rows + r];
        if (p->max > *max) {
            *max = p->max;
            *best = p->best;
        }
    }
    double sum = c->kernels->head_merge(j, chunks, r, *max);
    return sum > 0 && isfinite(sum) ? natural_log(sum) : (double)NAN;
}

void cpu_head_logits(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const struct head *h)
{
    EXPECT(y->rows == x->rows && y->cols == h->weight->shape.n);
    struct head_job j = {.y = *y};
    run_chunks((struct cpu *)d, &j, x, h);
}

void cpu_head_logprob(struct dev *d, float *out, const struct tensor *x, const struct head *h,
                      const void *ids)
{
    struct cpu *c = (struct cpu *)d;
    struct head_job j = {.ids = ids, .picked = c->picked, .parts = c->parts};
    for (int64_t r = 0; r < x->rows; r++)
        EXPECT(j.ids[r] >= 0 && j.ids[r] < h->weight->shape.n);
    int64_t chunks = run_chunks(c, &j, x, h);
    for (int64_t r = 0; r < x->rows; r++) {
        float max;
        int32_t best;
        double log = log_sum(c, &j, chunks, r, &max, &best);
        out[r] = (float)((double)c->picked[r] - (double)max - log);
    }
}

void cpu_head_argmax(struct dev *d, void *ids, float *logprob, const struct tensor *x,
                     const struct head *h)
{
    struct cpu *c = (struct cpu *)d;
    struct head_job j = {.parts = c->parts};
    int32_t *best = ids;
    int64_t chunks = run_chunks(c, &j, x, h);
    for (int64_t r = 0; r < x->rows; r++) {
        float max;
        logprob[r] = (float)-log_sum(c, &j, chunks, r, &max, &best[r]);
    }
}
