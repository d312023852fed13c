/* stand_in.h - a stand-in for the model whose "keys and values" are the token ids themselves,
 * so that every forward can check whose history a page really holds; and the answers that
 * requests must get, worked out without batches or pages.
 */
#ifndef STAND_IN_H
#define STAND_IN_H

#include "base/hash.h"
#include "infer/infer.h"
#include "infer/sample.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 50, CONTEXT = 200, PAGES_MAX = 400, ROWS_MAX = 64, CHOICES = 12 };

/* ---- the stand-in ----------------------------------------------------------- */

struct model {
    int32_t pages, head_rows;
    int32_t slot[PAGES_MAX][KV_PAGE];
    uint64_t row[ROWS_MAX]; /* the history's hash at each kept row */
    int32_t rows;
    int32_t far_after;
    bool fails;
};

/* What a slot holds: an id, as an adapter and its kind of rotary positions made it. */
static int32_t slot_of(int32_t variant, int32_t id)
{
    return id + variant * VOCAB;
}

static uint64_t history(uint64_t h, int32_t variant, int32_t id)
{
    int32_t slot = slot_of(variant, id);
    return hash_bytes(h, &slot, sizeof slot);
}

/* Logits between -4 and 4 that depend on the history alone; some of them tie. */
static void logits_of(uint64_t h, float *out)
{
    for (int32_t v = 0; v < VOCAB; v++) {
        uint64_t x = hash_bytes(h, &v, sizeof v);
        out[v] = (float)(x % 257) / 32 - 4;
    }
}

static float logprob_of(uint64_t h, int32_t id)
{
    float l[VOCAB];
    logits_of(h, l);
    return (float)((double)l[id] - logits_lse(l, VOCAB));
}

static int32_t best_of(uint64_t h)
{
    float l[VOCAB];
    int32_t best = 0;
    logits_of(h, l);
    for (int32_t v = 1; v < VOCAB; v++)
        if (l[v] > l[best])
            best = v;
    return best;
}

void model_info(const struct model *m, struct model_info *out)
{
    *out = (struct model_info){
        .vocab = VOCAB, .context = CONTEXT, .far_after = m->far_after, .pages = m->pages};
}

/* A page that is written stands in one span alone, at one place of its list. */
static bool written_alone(const struct batch *b, int32_t s, int32_t place)
{
    int32_t page = b->pages[b->spans[s].page0 + place];
    for (int32_t i = 0; i < b->n_spans; i++) {
        const struct span *o = &b->spans[i];
        for (int32_t k = 0; k <= (o->start + o->count - 1) / KV_PAGE; k++)
            if (b->pages[o->page0 + k] == page && (i != s || k != place))
                return false;
    }
    return true;
}

/* What tokens of the forward have in their slots, in another sequence's. */
static void copy(struct model *m, const struct batch *b, const struct span *c)
{
    for (int32_t s = 0; s < b->n_spans; s++) {
        const struct span *from = &b->spans[s];
        if (c->first < from->first || c->first >= from->first + from->count)
            continue;
        CHECK(c->count > 0 && c->first + c->count <= from->first + from->count);
        CHECK(c->start == from->start + c->first - from->first);
        for (int32_t pos = c->start; pos < c->start + c->count; pos++)
            m->slot[b->pages[c->page0 + pos / KV_PAGE]][pos % KV_PAGE] =
                m->slot[b->pages[from->page0 + pos / KV_PAGE]][pos % KV_PAGE];
        return;
    }
    CHECK(false);
}

int model_forward(struct model *m, const struct batch *b, struct err *e)
{
    if (m->fails)
        return err_set(e, EXIT_AGAIN, "device lost");
    static uint64_t state[4096];
    int32_t next = 0;
    for (int32_t s = 0; s < b->n_spans; s++) {
        const struct span *sp = &b->spans[s];
        const int32_t *pages = b->pages + sp->page0;
        CHECK(sp->first == next && sp->count > 0);
        next += sp->count;
        for (int32_t i = 0; i < sp->count; i++) {
            int32_t pos = sp->start + i, t = sp->first + i;
            CHECK(b->pos[t] == pos);
            if (i == 0 || pos % KV_PAGE == 0)
                CHECK(written_alone(b, s, pos / KV_PAGE));
            m->slot[pages[pos / KV_PAGE]][pos % KV_PAGE] = slot_of(
                2 * b->adapters[s] + (b->far && b->far[s]), b->ids[t]);
        }
    }
    CHECK(next == b->tokens);
    for (int32_t c = 0; c < b->n_copies; c++)
        copy(m, b, &b->copies[c]);
    for (int32_t s = 0; s < b->n_spans; s++) {
        const struct span *sp = &b->spans[s];
        uint64_t h = HASH_SEED;
        for (int32_t pos = 0; pos < sp->start + sp->count; pos++) {
            h = history(h, 0, m->slot[b->pages[sp->page0 + pos / KV_PAGE]][pos % KV_PAGE]);
            if (pos >= sp->start)
                state[sp->first + pos - sp->start] = h;
        }
    }
    CHECK(b->n_rows <= m->head_rows);
    m->rows = b->n_rows;
    for (int32_t r = 0; r < b->n_rows; r++)
        m->row[r] = state[b->rows[r]];
    return 0;
}

int model_logprob(struct model *m, int32_t r0, int32_t n, const int32_t *ids, float *out,
                  struct err *e)
{
    (void)e;
    CHECK(r0 >= 0 && r0 + n <= m->rows);
    for (int32_t i = 0; i < n; i++)
        out[i] = logprob_of(m->row[r0 + i], ids[i]);
    return 0;
}

int model_argmax(struct model *m, int32_t r0, int32_t n, int32_t *ids, float *logprob,
                 struct err *e)
{
    (void)e;
    CHECK(r0 >= 0 && r0 + n <= m->rows);
    for (int32_t i = 0; i < n; i++) {
        ids[i] = best_of(m->row[r0 + i]);
        logprob[i] = logprob_of(m->row[r0 + i], ids[i]);
    }
    return 0;
}

int model_logits(struct model *m, int32_t r0, int32_t n, float *out, struct err *e)
{
    (void)e;
    CHECK(r0 >= 0 && r0 + n <= m->rows);
    for (int32_t i = 0; i < n; i++)
        logits_of(m->row[r0 + i], out + (ptrdiff_t)i * VOCAB);
    return 0;
}

void model_copy_page(struct model *m, int32_t to, int32_t from)
{
    CHECK(to != from);
    memcpy(m->slot[to], m->slot[from], sizeof m->slot[to]);
}

/* ---- what a request must give ------------------------------------------------ */

/* The model's, in what is expected. */
static int32_t far_after;

struct expected {
    int number; /* the request's source */
    enum infer_finish finish;
    int32_t ids[CONTEXT], n;
    float logprobs[CONTEXT], prompt_logprobs[CONTEXT];
    double scores[CHOICES];
    int32_t best;
    int32_t again; /* tokens that were computed once more, in another variant */
};

static bool is_far(int32_t n)
{
    return far_after && n > far_after;
}

static int32_t longest(const struct infer_request *r)
{
    int32_t most = 0;
    for (int32_t i = 0; i < r->n_choices; i++)
        most = r->choices[i].n > most ? r->choices[i].n : most;
    return most;
}

/* The kind of keys and values that a whole request of n tokens has. */
static int32_t variant_of(const struct infer_request *r, int32_t n)
{
    return 2 * r->adapter + is_far(n);
}

static double mean(const struct infer_request *r, const struct expected *x, int32_t i)
{
    return x->scores[i] / (r->choices_mean ? r->choices[i].n : 1);
}

static void expect_choices(const struct infer_request *r, uint64_t h, struct expected *x)
{
    for (int32_t i = 0; i < r->n_choices; i++) {
        uint64_t c = h;
        int32_t variant = variant_of(r, r->n_prompt + longest(r));
        for (int32_t t = 0; t < r->choices[i].n; t++) {
            x->scores[i] += (double)logprob_of(c, r->choices[i].ids[t]);
            c = history(c, variant, r->choices[i].ids[t]);
        }
        if (mean(r, x, i) > mean(r, x, x->best))
            x->best = i;
    }
}

/* The next id, step by step as infer.h states them. */
static int32_t choose_next(const struct infer_request *r, uint64_t h, const struct expected *x)
{
    float l[VOCAB];
    struct sample_work *w = sample_work_new(VOCAB);
    const uint64_t *allowed = r->guide ? r->guide->allowed(r->guide_state) : NULL;
    const struct sample_penalties p = {r->repetition_penalty, r->frequency_penalty,
                                       r->presence_penalty};
    logits_of(h, l);
    if (allowed)
        sample_mask(allowed, l, VOCAB);
    for (int32_t i = 0; i < r->n_bias; i++)
        l[r->bias[i].id] += r->bias[i].bias;
    sample_penalise(w, &p, r->prompt, r->n_prompt, x->ids, x->n, l);
    int32_t id = sample_best(l, VOCAB);
    if (r->temperature > 0) {
        sample_filter(w, &(struct sampling){r->temperature, r->top_p, r->top_k, r->min_p}, l,
                      VOCAB);
        id = sample_pick(l, VOCAB,
                         sample_uniform(&(struct sample_key){r->seed, r->source, r->repetition,
                                                             r->sample, (uint64_t)x->n}));
    }
    sample_work_free(w);
    return id;
}

/* Adds an id; true where it is the last. */
static bool expect_id(const struct infer_request *r, uint64_t *h, int32_t id,
                      struct expected *x)
{
    x->logprobs[x->n] = logprob_of(*h, id);
    x->ids[x->n++] = id;
    int32_t n = r->n_prompt + x->n, variant = variant_of(r, n);
    *h = history(*h, variant, id);
    if (is_far(n) && !is_far(n - 1)) { /* all before it too */
        *h = HASH_SEED;
        for (int32_t i = 0; i < r->n_prompt; i++)
            *h = history(*h, variant, r->prompt[i]);
        for (int32_t i = 0; i < x->n; i++)
            *h = history(*h, variant, x->ids[i]);
    }
    x->again = is_far(n - 1) && !is_far(r->n_prompt) ? far_after : 0;
    for (int32_t s = 0; s < r->n_stop; s++)
        if (id == r->stop[s]) {
            x->finish = INFER_STOP;
            return true;
        }
    if (r->guide && r->guide->take(r->guide_state, id) == INFER_ENDS) {
        x->finish = INFER_GUIDE;
        return true;
    }
    return x->n == r->max_tokens || r->n_prompt + x->n == CONTEXT;
}

static void expect(const struct infer_request *r, struct expected *x)
{
    uint64_t h = HASH_SEED;
    int32_t variant = variant_of(r, r->n_prompt + longest(r));
    *x = (struct expected){.number = (int)r->source,
                           .finish = r->n_choices ? INFER_CHOICE : INFER_LENGTH};
    for (int32_t i = 0; i < r->n_prompt; i++) {
        if (i)
            x->prompt_logprobs[i - 1] = logprob_of(h, r->prompt[i]);
        h = history(h, variant, r->prompt[i]);
    }
    if (r->n_choices) {
        expect_choices(r, h, x);
        return;
    }
    bool ends = !r->max_tokens || r->n_prompt == CONTEXT;
    while (!ends) {
        const int32_t *forced;
        int32_t n = r->guide ? r->guide->forced(r->guide_state, &forced) : 0;
        for (int32_t i = 0; i < n && !ends; i++)
            ends = expect_id(r, &h, forced[i], x);
        if (!ends)
            ends = expect_id(r, &h, choose_next(r, h, x), x);
    }
}

/* The request's owner is what it must give. */
static void check_answer(void *arg, const struct infer_request *r, const struct infer_answer *a)
{
    const struct expected *x = r->owner;
    int i = x->number;
    if (arg)
        ++*(int *)arg;
    CHECK_MSG(a->finish == x->finish && a->n == x->n, "request %d", i);
    if (a->n == x->n) {
        CHECK(memcmp(a->ids, x->ids, (size_t)a->n * sizeof *a->ids) == 0);
        for (int32_t t = 0; t < a->n; t++)
            if (a->logprobs[t] != 0 || r->logprobs || r->top_logprobs || !r->guide)
                CHECK(a->logprobs[t] == x->logprobs[t]);
        for (int32_t t = 0; r->top_logprobs && t < a->n; t++) {
            const struct infer_top *top = a->top + (ptrdiff_t)t * r->top_logprobs;
            CHECK(top[0].logprob >= top[1].logprob && top[0].logprob >= a->logprobs[t]);
            CHECK(top[0].id != a->ids[t] || top[0].logprob == a->logprobs[t]);
        }
    }
    CHECK(!a->prompt_logprobs == !r->prompt_logprobs);
    if (a->prompt_logprobs)
        CHECK(memcmp(a->prompt_logprobs, x->prompt_logprobs,
                     (size_t)(r->n_prompt - 1) * sizeof(float)) == 0);
    CHECK(!a->choice_logprobs == !r->n_choices);
    for (int32_t k = 0; k < r->n_choices; k++)
        CHECK_MSG(a->choice_logprobs[k] == x->scores[k], "request %d choice %d", i, (int)k);
    CHECK(!r->n_choices || a->best == x->best);
}

#endif
