/* sample.h - from a row of logits to the next token.
 *
 * Order of the steps, each on what the one before left: bias, repetition, frequency and
 * presence penalties, temperature, top-k, top-p, min-p.  Their edge cases are those of Hugging
 * Face's transformers; frequency and presence are the OpenAI API's.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdint.h>

struct sampling {
    double temperature; /* > 0 */
    double top_p;       /* 1: off */
    int32_t top_k;      /* 0: off */
    double min_p;       /* 0: off */
};

/* 0, and 1 for repetition, are off. */
struct sample_penalties {
    double repetition;          /* of ids in the prompt or the answer, once each */
    double frequency, presence; /* of ids in the answer, for each time and once */
};

/* Added to an id's logit. */
struct sample_bias {
    int32_t id;
    float bias;
};

struct sample_work; /* scratch memory for n logits */
struct sample_work *sample_work_new(int32_t n);
void sample_work_free(struct sample_work *w);

/* Makes ids that were there less likely (or more, where a penalty says so). */
void sample_penalise(struct sample_work *w, const struct sample_penalties *p,
                     const int32_t *prompt, int32_t n_prompt, const int32_t *answer,
                     int32_t n_answer, float *logits);
/* Sets the logits of ids whose bit is not set to -INFINITY. */
void sample_mask(const uint64_t *allowed, float *logits, int32_t n);

/* Divides the n logits by the temperature and sets those that are filtered out to -INFINITY.
 * top-k keeps everything >= the k-th largest, ties included; top-p removes the least likely
 * while their sum, itself included, is <= 1 - top_p, and always keeps the likeliest; min-p
 * removes what is less likely than min_p times the likeliest. */
void sample_filter(struct sample_work *w, const struct sampling *s, float *logits, int32_t n);

/* The id of the largest logit, the lowest among equals. */
int32_t sample_best(const float *logits, int32_t n);

/* The same among the ids whose bit is set; -1 where none is. */
int32_t sample_best_of(const uint64_t *allowed, const float *logits, int32_t n);

/* The k largest logits, largest first, the lower id among equals; how many there are. */
int32_t sample_top(struct sample_work *w, const float *logits, int32_t n, int32_t k,
                   int32_t *ids);

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
