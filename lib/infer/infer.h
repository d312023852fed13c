/* infer.h - requests in, answers out: which tokens run together, and giving them back in order.
 *
 * An answer depends on its request, the model and the seed alone, never on the company.
 */
#ifndef INFER_H
#define INFER_H

#include "model/model.h"

struct infer_choice {
    const int32_t
        *ids; /* the label's tokens that are scored, end token included where wanted */
    int32_t n;
};

/* Everything that a request needs; the arrays stay the caller's until it is finished. */
struct infer_request {
    const int32_t *prompt;
    int32_t n_prompt; /* >= 1 */
    int32_t max_tokens;
    double temperature; /* 0: greedy */
    double top_p;       /* 1: off */
    int32_t top_k;      /* 0: off */
    /* The draw for output token t is keyed by (seed, source, repetition, sample, t). */
    uint64_t seed, source, repetition;
    const int32_t *stop; /* ids that end the answer */
    int32_t n_stop;
    /* Labels by scoring: nothing is generated.  All choices share the prompt. */
    const struct infer_choice *choices;
    int32_t n_choices;
    bool prompt_logprobs;
    void *owner; /* the caller's */
};

enum infer_finish { INFER_STOP, INFER_LENGTH, INFER_CHOICE };

struct infer_answer {
    enum infer_finish finish;
    const int32_t *ids; /* generated, the stop id not included */
    const float *logprobs;
    int32_t n;
    int32_t stop_id;               /* the id that ended it, -1 when none did */
    const float *prompt_logprobs;  /* n_prompt - 1 of them, or NULL */
    const double *choice_logprobs; /* n_choices of them, or NULL */
    int32_t best;                  /* index of the best choice */
};

struct infer;

struct infer_config {
    int32_t batch_tokens; /* most tokens a forward; as in model_config */
    int32_t max_requests; /* most requests in flight */
};

struct infer *infer_new(struct model *m, const struct infer_config *c);
void infer_free(struct infer *f);

/* Refuses what can never fit (prompt, answer or choices against context and KV memory):
 * EXIT_DATA with a sentence.  0: accepted; the request is copied, its arrays are not. */
int infer_add(struct infer *f, const struct infer_request *r, struct err *e) MUST_CHECK;
/* True while another request would be taken up. */
bool infer_has_room(const struct infer *f);
int32_t infer_in_flight(const struct infer *f);

/* Runs one forward over what is in flight, then calls done() for each request that finished, in
 * the order in which they were added among those; the answer is borrowed until done() returns.
 */
int infer_step(struct infer *f,
               void (*done)(void *arg, const struct infer_request *r,
                            const struct infer_answer *a),
               void *arg, struct err *e) MUST_CHECK;

struct infer_stats {
    int64_t prompt_tokens, computed_tokens, generated_tokens, forwards;
};
void infer_stats(const struct infer *f, struct infer_stats *out);

#endif
