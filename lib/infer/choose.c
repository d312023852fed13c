/* choose.c - the next id of an answer: what its guide allows, penalties, filters, a draw. */
#include "infer/sched.h"

#include <string.h>

static bool is_greedy(const struct infer_request *r)
{
    return r->temperature < INFER_GREEDY_BELOW;
}

bool choose_wants_best(const struct infer_request *r)
{
    return is_greedy(r) && !r->n_choices && !r->top_logprobs && !r->n_bias &&
           !(r->guide && r->guide->allowed) && r->repetition_penalty == 0 &&
           r->frequency_penalty == 0 && r->presence_penalty == 0;
}

void choose_top(struct infer *f, struct job *j, int32_t index, const float *logits, double lse)
{
    int32_t k = j->r.top_logprobs;
    struct infer_top *top = j->top + (size_t)index * (size_t)k;
    int32_t ids[INFER_TOP_MAX];
    int32_t n = sample_top(f->sampling, logits, f->info.vocab, k, ids);
    for (int32_t i = 0; i < k; i++)
        top[i] = i < n ? (struct infer_top){ids[i], (float)((double)logits[ids[i]] - lse)}
                       : (struct infer_top){-1, 0};
}

int32_t choose(struct infer *f, struct job *j, const float *logits)
{
    const struct infer_request *r = &j->r;
    int32_t vocab = f->info.vocab;
    const uint64_t *allowed = r->guide && r->guide->allowed ? r->guide->allowed(r->guide_state)
                                                            : NULL;
    const struct sample_penalties p = {r->repetition_penalty, r->frequency_penalty,
                                       r->presence_penalty};
    bool plain = !r->n_bias && p.repetition == 0 && p.frequency == 0 && p.presence == 0;
    if (allowed && is_greedy(r) && plain)
        return sample_best_of(allowed, logits, vocab);
    memcpy(f->filtered, logits, (size_t)vocab * sizeof *logits);
    if (allowed)
        sample_mask(allowed, f->filtered, vocab);
    for (int32_t i = 0; i < r->n_bias; i++)
        f->filtered[r->bias[i].id] += r->bias[i].bias;
    sample_penalise(f->sampling, &p, r->prompt, r->n_prompt, j->ids, j->n, f->filtered);
    int32_t best = sample_best(f->filtered, vocab);
    if (allowed && !(allowed[best / 64] >> best % 64 & 1))
        return -1;
    if (is_greedy(r))
        return best;
    struct sample_key key = {r->seed, r->source, r->repetition, r->sample, (uint64_t)j->n};
    struct sampling s = {r->temperature, r->top_p, r->top_k, r->min_p};
    sample_filter(f->sampling, &s, f->filtered, vocab);
    return sample_pick(f->filtered, vocab, sample_uniform(&key));
}
