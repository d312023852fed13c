/* model_seqs.h - a model's sequences alone and in company: the same bits.
 *
 *     model_company("cpu", "avx2", dir, DT_F32, vocab, false, seqs);
 */
#ifndef MODEL_SEQS_H
#define MODEL_SEQS_H

#include "unit.h"

#include "model/model.h"
#include "tiny_model.h"

#include <math.h>

enum { SEQS = 33, LONGEST = 40, SEQ_PAGES = (LONGEST + KV_PAGE - 1) / KV_PAGE };

struct seq {
    int32_t n, ids[LONGEST];
    float alone[LONGEST], best[LONGEST]; /* log-probabilities of the next token, of the best */
};

static void make_seqs(struct seq *s, int32_t vocab)
{
    uint64_t state = 7;
    for (int32_t i = 0; i < SEQS; i++) {
        s[i].n = i % 6 == 0 ? LONGEST - i % 5 : 2 + i % 7; /* of one page and of two */
        for (int32_t k = 0; k < s[i].n; k++)
            s[i].ids[k] = (int32_t)((tiny_random(&state) + 1) / 2 * (float)vocab) % vocab;
    }
}

/* Runs sequences order[0..n-1] in one forward; out: log-probabilities, end to end. */
static void run_seqs(struct model *m, const struct seq *s, const int *order, int n, float *next,
                     float *best)
{
    static int32_t ids[SEQS * LONGEST], pos[SEQS * LONGEST], rows[SEQS * LONGEST];
    static int32_t targets[SEQS * LONGEST], picked[SEQS * LONGEST], pages[SEQS * SEQ_PAGES];
    struct span spans[SEQS];
    struct err e = {0};
    int32_t T = 0;
    for (int i = 0; i < n; i++) {
        const struct seq *q = &s[order[i]];
        spans[i] = (struct span){T, q->n, 0, i * SEQ_PAGES};
        for (int32_t k = 0; k < q->n; k++, T++) {
            ids[T] = q->ids[k];
            pos[T] = k;
            rows[T] = T;
            targets[T] = q->ids[(k + 1) % q->n];
        }
        for (int k = 0; k < SEQ_PAGES; k++) /* far apart and not in order */
            pages[i * SEQ_PAGES + k] = (SEQS - 1 - i) + k * SEQS;
    }
    struct batch b = {.ids = ids,
                      .pos = pos,
                      .tokens = T,
                      .spans = spans,
                      .n_spans = n,
                      .pages = pages,
                      .n_pages = n * SEQ_PAGES,
                      .rows = rows,
                      .n_rows = T};
    CHECK(model_forward(m, &b, &e) == 0 && model_logprob(m, 0, T, targets, next, &e) == 0 &&
          model_argmax(m, 0, T, picked, best, &e) == 0);
}

/* Every sequence's bits in groups of `size`, drawn in another order each. */
static int count_other_bits(struct model *m, const struct seq *s, int size)
{
    static float next[SEQS * LONGEST], best[SEQS * LONGEST];
    int order[SEQS], other = 0;
    for (int i = 0; i < SEQS; i++)
        order[i] = (i * 10 + size) % SEQS; /* 10 and 33 have no divisor in common */
    for (int at = 0; at < SEQS; at += size) {
        int n = SEQS - at < size ? SEQS - at : size;
        size_t t = 0;
        run_seqs(m, s, order + at, n, next, best);
        for (int i = 0; i < n; i++) {
            const struct seq *q = &s[order[at + i]];
            size_t bytes = (size_t)q->n * sizeof(float);
            other += memcmp(next + t, q->alone, bytes) || memcmp(best + t, q->best, bytes);
            t += (size_t)q->n;
        }
    }
    return other;
}

static double spread(const struct seq *s)
{
    double low = 0, high = -INFINITY;
    for (int i = 0; i < SEQS; i++)
        for (int k = 0; k < s[i].n; k++) {
            low = fmin(low, (double)s[i].alone[k]);
            high = fmax(high, (double)s[i].alone[k]);
        }
    return high - low;
}

static inline struct dev *open_dev(const char *name, const char *isa)
{
    const struct dev_ops *ops = dev_find(name);
    struct dev_config c = {.threads = 2, .isa = isa};
    struct err e = {0};
    return ops ? ops->open(&c, &e) : NULL;
}

static inline struct model *open_model(struct dev *d, const char *dir, enum dtype dtype,
                                       int32_t tokens, int64_t kv_bytes, struct err *e)
{
    struct ckpt *c = ckpt_open(dir, e);
    struct model_config cfg = {dtype, tokens, tokens, kv_bytes, 0};
    struct model *m = c ? model_open(d, c, &cfg, e) : NULL;
    ckpt_close(c);
    return m;
}

/* Runs each sequence by itself, and, where not `only_alone`, compares groups of several with
 * it; what came out alone stays in s.  False: no such device. */
static bool model_company(const char *dev, const char *isa, const char *dir, enum dtype dtype,
                          int32_t vocab, bool only_alone, struct seq *s)
{
    static const int sizes[] = {2, 7, 33};
    struct err e = {0};
    struct dev *d = open_dev(dev, isa);
    if (!d) {
        SKIP("no %s %s here", dev, isa ? isa : "");
        return false;
    }
    make_seqs(s, vocab);
    struct model *m = open_model(d, dir, dtype, SEQS * LONGEST, 8 << 20, &e);
    CHECK_MSG(m, "%s", e.text);
    for (int i = 0; m && i < SEQS; i++)
        run_seqs(m, s, &i, 1, s[i].alone, s[i].best);
    /* The values are some that a mistake would change. */
    CHECK_MSG(spread(s) > 1 && spread(s) < 1000, "%g", spread(s));
    for (size_t i = 0; m && !only_alone && i < sizeof sizes / sizeof *sizes; i++) {
        int other = count_other_bits(m, s, sizes[i]);
        CHECK_MSG(other == 0, "%s %s: %d of %d sequences in batches of %d have other bits", dev,
                  isa ? isa : "", other, SEQS, sizes[i]);
    }
    model_close(m);
    d->ops->close(d);
    return true;
}

#endif
