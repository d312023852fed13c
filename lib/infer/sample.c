/* sample.c - temperature, top-k, top-p, and draws that depend on their key alone. */
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
};

struct sample_work *sample_work_new(int32_t n)
{
    struct sample_work *w = xcalloc(1, sizeof *w);
    w->heap = xcalloc((size_t)n, sizeof *w->heap);
    w->candidates = xcalloc((size_t)n, sizeof *w->candidates);
    return w;
}

void sample_work_free(struct sample_work *w)
{
    if (!w)
        return;
    free(w->heap);
    free(w->candidates);
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
}

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
