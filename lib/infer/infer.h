/* infer.h - requests in, answers out: which tokens run together, and giving them back in order.
 *
 * Many requests of different lengths share each forward: no padding, prompts cut in chunks,
 * finished requests leave at once.  An answer depends on its request, the model and the seed
 * alone, never on the company.
 */
#ifndef INFER_H
#define INFER_H

#include "model/model.h"

struct sample_bias;

/* What steers one answer while it is made: a constraint, texts that end it.  `allowed` and
 * `forced` may be NULL.  An answer depends on the guide's own state alone. */
enum infer_next { INFER_GO_ON, INFER_ENDS };
struct infer_guide {
    /* A bit for each id that may come next (a multiple of 64, those behind the vocabulary are
     * not read); NULL: all may.  Borrowed until the next call of any of the three. */
    const uint64_t *(*allowed)(void *state);
    /* Ids that come next for certain: the model is not asked for them.  Borrowed likewise. */
    int32_t (*forced)(void *state, const int32_t **ids);
    /* The answer's next id, chosen or forced; none that stands in `stop` comes here. */
    enum infer_next (*take)(void *state, int32_t id);
};

struct infer_choice {
    const int32_t *ids; /* the tokens that are scored, end token included where wanted */
    int32_t n;          /* >= 1 */
};

/* Lower temperatures would only overflow. */
#define INFER_GREEDY_BELOW 1e-5

/* The most of top_logprobs. */
enum { INFER_TOP_MAX = 100 };

/* Everything that a request needs; the arrays stay the caller's until it is finished. */
struct infer_request {
    const int32_t *prompt;
    int32_t n_prompt;   /* >= 1 */
    int32_t adapter;    /* a number of model_load_adapter(); 0: none */
    int32_t max_tokens; /* >= 0; the model's context may end the answer earlier */
    double temperature; /* below INFER_GREEDY_BELOW: greedy */
    double top_p;       /* 1: off */
    int32_t top_k;      /* 0: off */
    double min_p;       /* 0: off */
    double repetition_penalty, frequency_penalty, presence_penalty; /* 0: off */
    const struct sample_bias *bias;
    int32_t n_bias;
    int32_t top_logprobs;            /* how many of the likeliest ids are told for each token */
    bool logprobs;                   /* of forced ids too */
    const struct infer_guide *guide; /* or NULL */
    void *guide_state;
    /* The draw for output token t is keyed by (seed, source, repetition, sample, t). */
    uint64_t seed, source, repetition, sample;
    const int32_t *stop; /* ids that end the answer */
    int32_t n_stop;
    /* Labels by scoring: nothing is generated.  All choices stand behind the same prompt. */
    const struct infer_choice *choices;
    int32_t n_choices;
    bool choices_mean; /* the best is that of the largest mean log-probability of a token */
    bool prompt_logprobs;
    void *owner; /* the caller's */
};

/* INFER_GUIDE: the guide ended it, or (INFER_STUCK) allowed nothing. */
enum infer_finish { INFER_STOP, INFER_LENGTH, INFER_CHOICE, INFER_GUIDE, INFER_STUCK };

/* One of the likeliest ids at a place. */
struct infer_top {
    int32_t id;
    float logprob;
};

struct infer_answer {
    enum infer_finish finish;
    const int32_t *ids; /* generated; with INFER_STOP the last one is the id that ended it */
    /* Of ids, as the model gives them, before a constraint, penalties and filters.  0 where
     * they were not asked for and a guide allowed or forced the id. */
    const float *logprobs;
    int32_t n;
    const struct infer_top *top;   /* [n, top_logprobs], likeliest first, or NULL */
    const float *prompt_logprobs;  /* n_prompt - 1 of them, or NULL */
    const double *choice_logprobs; /* n_choices of them, or NULL */
    const float *choice_tokens;    /* of the choices' tokens, end to end, or NULL */
    int32_t best;                  /* index of the best choice, the first among equals */
};

struct infer;

struct infer_config {
    int32_t batch_tokens, head_rows; /* as in model_config */
    int32_t max_requests;            /* most requests in flight */
    bool prefix_cache;               /* full pages of prompts are computed once and shared */
};

struct infer *infer_new(struct model *m, const struct infer_config *c);
void infer_free(struct infer *f);

/* Takes a request: 0, the request is copied, its arrays are not.  -1, EXIT_DATA with a
 * sentence: it can never fit (prompt or choices against context and KV memory) or names ids
 * that the model does not have.  At most max_requests may be in flight (infer_has_room). */
int infer_add(struct infer *f, const struct infer_request *r, struct err *e) MUST_CHECK;
bool infer_has_room(const struct infer *f);
int32_t infer_in_flight(const struct infer *f);

/* Runs one forward over what is in flight, then calls done() for each request that finished, in
 * the order in which they were added among those; the answer is borrowed until done() returns.
 * done() may not call back.  -1: the device failed; what is in flight is lost. */
int infer_step(struct infer *f,
               void (*done)(void *arg, const struct infer_request *r,
                            const struct infer_answer *a),
               void *arg, struct err *e) MUST_CHECK;

struct infer_stats {
    int64_t prompt_tokens;    /* of the requests taken */
    int64_t cached_tokens;    /* of them, taken over from requests before */
    int64_t computed_tokens;  /* that went through a forward: prompts, answers, labels */
    int64_t generated_tokens; /* end tokens included */
    int64_t forwards;
};
void infer_stats(const struct infer *f, struct infer_stats *out);

#endif
