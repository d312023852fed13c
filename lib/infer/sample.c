/* sample.c - penalties, filters, and draws that depend on their key alone. */
#include "infer/sample.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

struct candidate {
    double p;
    int32_t id;
};

struct sample_work {
    float *heap;
    struct candidate *candidates;
    int32_t *seen; /* [n], all 0 between calls */
};

struct sample_work *sample_work_new(int32_t n)
{
    struct sample_work *w = xcalloc(1, sizeof *w);
    w->heap = xcalloc((size_t)n, sizeof *w->heap);
    w->candidates = xcalloc((size_t)n, sizeof *w->candidates);
    w->seen = xcalloc((size_t)n, sizeof *w->seen);
    return w;
}

void sample_work_free(struct sample_work *w)
{
    if (!w)
        return;
    free(w->heap);
    free(w->candidates);
    free(w->seen);
    free(w);
}

static float largest(const float *logits, int32_t n)
{
    float max = -INFINITY;
    for (int32_t i = 0; i < n; i++)
        if (logits[i] > max)
            max = logits[i];
    return max;
}

/* ---- before the filters -------------------------------------------------------- */

static void penalise_repeated(int32_t *seen, double penalty, const int32_t *ids, int32_t n,
                              float *logits)
{
    for (int32_t i = 0; i < n; i++) {
        float *l = &logits[ids[i]];
        if (!seen[ids[i]]++)
            *l = *l < 0 ? *l * (float)penalty : *l / (float)penalty;
    }
}

static void forget(int32_t *seen, const int32_t *ids, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        seen[ids[i]] = 0;
}

void sample_penalise(struct sample_work *w, const struct sample_penalties *p,
                     const int32_t *prompt, int32_t n_prompt, const int32_t *answer,
                     int32_t n_answer, float *logits)
{
    if (p->repetition > 0 && p->repetition != 1) {
        penalise_repeated(w->seen, p->repetition, prompt, n_prompt, logits);
        penalise_repeated(w->seen, p->repetition, answer, n_answer, logits);
        forget(w->seen, prompt, n_prompt);
        forget(w->seen, answer, n_answer);
    }
    if (p->frequency == 0 && p->presence == 0)
        return;
    for (int32_t i = 0; i < n_answer; i++)
        w->seen[answer[i]]++;
    for (int32_t i = 0; i < n_answer; i++) {
        int32_t id = answer[i], count = w->seen[id];
        if (count)
            logits[id] -= (float)(p->frequency * count + p->presence);
        w->seen[id] = 0;
    }
}

void sample_mask(const uint64_t *allowed, float *logits, int32_t n)
{
    for (int32_t i = 0; i < n; i += 64) {
        uint64_t bits = allowed[i / 64];
        int32_t end = n - i < 64 ? n - i : 64;
        if (bits == UINT64_MAX)
            continue;
        for (int32_t k = 0; k < end; k++)
            if (!(bits >> k & 1))
                logits[i + k] = -INFINITY;
    }
}

int32_t sample_best(const float *logits, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

int32_t sample_best_of(const uint64_t *allowed, const float *logits, int32_t n)
{
    int32_t best = -1;
    for (int32_t i = 0; i < n; i += 64)
        for (uint64_t bits = allowed[i / 64]; bits; bits &= bits - 1) {
            int32_t id = i + __builtin_ctzll(bits);
            if (id < n && (best < 0 || logits[id] > logits[best]))
                best = id;
        }
    return best;
}

/* ---- filters -------------------------------------------------------------------- */

/* Lets the root of a heap with the least on top sink to its place. */
static void sink(float *heap, int32_t n)
{
    for (int32_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[i] <= heap[child])
            return;
        float t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
    }
}

/* The k-th largest of n values, k <= n: the top of a heap that keeps the k largest so far. */
static float kth_largest(float *heap, const float *logits, int32_t n, int32_t k)
{
    for (int32_t i = 0; i < k; i++)
        heap[i] = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
        if (logits[i] > heap[0]) {
            heap[0] = logits[i];
            sink(heap, k);
        }
    }
    return heap[0];
}

/* Least likely first; among equals the higher id first, so that it goes first. */
static int by_probability(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->id > y->id ? -1 : x->id < y->id;
}

static void keep_top_p(struct candidate *c, double top_p, float *logits, int32_t n)
{
    float max = largest(logits, n);
    int32_t count = 0;
    double total = 0;
    for (int32_t i = 0; i < n; i++) {
        if (logits[i] == -INFINITY)
            continue;
        c[count] = (struct candidate){exp((double)logits[i] - (double)max), i};
        total += c[count++].p;
    }
    if (!count)
        return;
    qsort(c, (size_t)count, sizeof *c, by_probability);
    double sum = 0;
    for (int32_t i = 0; i < count - 1; i++) {
        sum += c[i].p / total;
        if (sum > 1 - top_p)
            return;
        logits[c[i].id] = -INFINITY;
    }
}

static void keep_min_p(double min_p, float *logits, int32_t n)
{
    double max = (double)largest(logits, n);
    for (int32_t i = 0; i < n; i++)
        if (exp((double)logits[i] - max) < min_p)
            logits[i] = -INFINITY;
}

void sample_filter(struct sample_work *w, const struct sampling *s, float *logits, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        logits[i] /= (float)s->temperature;
    if (s->top_k > 0 && s->top_k < n) {
        float least = kth_largest(w->heap, logits, n, s->top_k);
        for (int32_t i = 0; i < n; i++)
            if (logits[i] < least)
                logits[i] = -INFINITY;
    }
    if (s->top_p < 1)
        keep_top_p(w->candidates, s->top_p, logits, n);
    if (s->min_p > 0)
        keep_min_p(s->min_p, logits, n);
}

/* Likeliest first; the lower id among equals. */
static int by_rank(const void *a, const void *b)
{
    return -by_probability(a, b);
}

int32_t sample_top(struct sample_work *w, const float *logits, int32_t n, int32_t k,
                   int32_t *ids)
{
    int32_t count = 0;
    if (k > n)
        k = n;
    if (k < 1)
        return 0;
    float least = kth_largest(w->heap, logits, n, k);
    for (int32_t i = 0; i < n; i++)
        if (logits[i] >= least)
            w->candidates[count++] = (struct candidate){(double)logits[i], i};
    qsort(w->candidates, (size_t)count, sizeof *w->candidates, by_rank);
    for (int32_t i = 0; i < k && i < count; i++)
        ids[i] = w->candidates[i].id;
    return k < count ? k : count;
}

/* ---- draws ---------------------------------------------------------------------- */

int32_t sample_pick(const float *logits, int32_t n, double u)
{
    float max = largest(logits, n);
    double total = 0, sum = 0;
    for (int32_t i = 0; i < n; i++)
        total += exp((double)logits[i] - (double)max);
    int32_t last = 0;
    for (int32_t i = 0; i < n; i++) {
        double p = exp((double)logits[i] - (double)max);
        if (!(p > 0))
            continue;
        last = i;
        sum += p;
        if (sum > u * total)
            break;
    }
    return last;
}

/* splitmix64's finaliser: every bit of the result depends on every bit of x. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

double sample_uniform(const struct sample_key *k)
{
    uint64_t x = mix(k->seed);
    x = mix(x ^ k->source);
    x = mix(x ^ k->repetition);
    x = mix(x ^ k->sample);
    x = mix(x ^ k->token);
    return (double)(x >> 11) * 0x1p-53;
}

double logits_lse(const float *logits, int32_t n)
{
    double max = (double)largest(logits, n), sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum);
}
