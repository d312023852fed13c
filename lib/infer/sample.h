/* sample.h - from a row of logits to the next token.
 *
 * Order of the filters and their edge cases as in Hugging Face's transformers: temperature,
 * top-k, top-p, each on what the one before left.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdint.h>

struct sampling {
    double temperature; /* > 0 */
    double top_p;       /* 1: off */
    int32_t top_k;      /* 0: off */
};

struct sample_work; /* scratch memory for n logits */
struct sample_work *sample_work_new(int32_t n);
void sample_work_free(struct sample_work *w);

/* Divides the n logits by the temperature and sets those that are filtered out to -INFINITY.
 * top-k keeps everything >= the k-th largest, ties included; top-p removes the least likely
 * while their sum, itself included, is <= 1 - top_p, and always keeps the likeliest. */
void sample_filter(struct sample_work *w, const struct sampling *s, float *logits, int32_t n);

/* The id on which u (0 <= u < 1) falls when the probabilities are laid end to end by id. */
int32_t sample_pick(const float *logits, int32_t n, double u);

/* What a draw is keyed by: no state, so that neither order nor company can change it. */
struct sample_key {
    uint64_t seed, source, repetition, sample, token;
};
double sample_uniform(const struct sample_key *k); /* 0 <= u < 1 */

/* Log of the sum of exp(logits), in double. */
double logits_lse(const float *logits, int32_t n);

#endif
