/* sample.c - filters against cases worked out by hand, draws that depend on their key alone. */
#include "infer/sample.h"

#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { V = 6 };

/* The filter leaves exactly the ids whose bit is set in `want`, divided by the temperature. */
static void check_filter(struct sampling s, const float *logits, unsigned want)
{
    struct sample_work *w = sample_work_new(V);
    float l[V];
    memcpy(l, logits, sizeof l);
    sample_filter(w, &s, l, V);
    for (int i = 0; i < V; i++) {
        bool kept = l[i] != -INFINITY;
        CHECK_MSG(kept == ((want >> i & 1) != 0), "k %d p %g: id %d", (int)s.top_k, s.top_p, i);
        CHECK(!kept || l[i] == logits[i] / (float)s.temperature);
    }
    sample_work_free(w);
}

static void test_filters(void)
{
    static const float plain[V] = {1, 5, 2, 4, 3, 0};
    check_filter((struct sampling){1, 1, 0, 0}, plain, 0x3f);
    check_filter((struct sampling){2, 1, 3, 0}, plain, 0x1a);
    check_filter((struct sampling){1, 1, 1, 0}, plain, 0x02);
    check_filter((struct sampling){1, 1, 100, 0}, plain, 0x3f);
    /* Ties with the k-th are all kept. */
    static const float ties[V] = {3, 3, 1, 3, 7, 1};
    check_filter((struct sampling){1, 1, 2, 0}, ties, 0x1b);
    check_filter((struct sampling){1, 1, 5, 0}, ties, 0x3f);

    /* Probabilities .5, .25, .125, .0625, .03125, .03125: with p = .75 the four least likely
     * sum to .25 = 1 - p and go; with p = .7 the sum is below .3 and the same four go; with p =
     * .76 the fourth stays. */
    float halves[V];
    static const double p[V] = {.0625, .5, .03125, .25, .125, .03125};
    for (int i = 0; i < V; i++)
        halves[i] = (float)(log(p[i]) + 3);
    check_filter((struct sampling){1, .7, 0, 0}, halves, 0x0a);
    check_filter((struct sampling){1, .76, 0, 0}, halves, 0x1a);
    check_filter((struct sampling){1, 0, 0, 0}, halves, 0x02);
    /* After top-k 2 the two left weigh 2/3 and 1/3. */
    check_filter((struct sampling){1, .6, 2, 0}, halves, 0x02);
    check_filter((struct sampling){1, .7, 2, 0}, halves, 0x0a);
    /* A higher temperature evens out before top-p looks. */
    check_filter((struct sampling){100, .7, 0, 0}, halves, 0x1b | 0x04);
    /* min-p: what is less likely than a fifth of the likeliest; then of what top-k left. */
    check_filter((struct sampling){1, 1, 0, .2}, halves, 0x1a);
    check_filter((struct sampling){1, 1, 2, .2}, halves, 0x0a);
    check_filter((struct sampling){1, 1, 0, 1}, halves, 0x02);
    static const float same[V] = {2, 2, 2, 2, 2, 2};
    check_filter((struct sampling){1, .4, 0, 0}, same, 0x07);
}

static void test_penalties(void)
{
    static const int32_t prompt[] = {1, 1, 4}, answer[] = {2, 1, 2, 2};
    struct sample_work *w = sample_work_new(V);
    float l[V] = {1, 2, -3, 4, -5, 6};
    sample_penalise(w, &(struct sample_penalties){.repetition = 2}, prompt, 3, answer, 4, l);
    static const float repeated[V] = {1, 1, -6, 4, -10, 6};
    CHECK(!memcmp(l, repeated, sizeof l));
    /* Of the answer alone; 2 stands there three times. */
    float m[V] = {1, 2, -3, 4, -5, 6};
    struct sample_penalties p = {.repetition = 1, .frequency = .5, .presence = .25};
    sample_penalise(w, &p, prompt, 3, answer, 4, m);
    static const float less[V] = {1, 1.25f, -4.75f, 4, -5, 6};
    CHECK(!memcmp(m, less, sizeof m));
    sample_work_free(w);
}

static void test_mask(void)
{
    enum { N = 130 };
    float l[N];
    uint64_t allowed[(N + 63) / 64] = {UINT64_MAX, UINT64_C(1) << 3, 2};
    for (int i = 0; i < N; i++)
        l[i] = 1;
    sample_mask(allowed, l, N);
    for (int i = 0; i < N; i++)
        CHECK((l[i] == 1) == (i < 64 || i == 67 || i == 129));
    l[67] = 3;
    CHECK(sample_best_of(allowed, l, N) == 67 && sample_best_of(allowed, l, 64) == 0);
    allowed[0] = allowed[1] = allowed[2] = 0;
    CHECK(sample_best_of(allowed, l, N) == -1);
}

static void test_top(void)
{
    static const float l[V] = {1, 5, 5, -INFINITY, 7, 1};
    int32_t ids[V];
    struct sample_work *w = sample_work_new(V);
    CHECK(sample_top(w, l, V, 4, ids) == 4);
    CHECK(ids[0] == 4 && ids[1] == 1 && ids[2] == 2 && ids[3] == 0);
    CHECK(sample_top(w, l, V, 100, ids) == V && ids[V - 1] == 3);
    CHECK(sample_top(w, l, V, 0, ids) == 0);
    CHECK(sample_best(l, V) == 4 && sample_best(l, 3) == 1);
    sample_work_free(w);
}

static void test_pick(void)
{
    float l[V] = {-INFINITY,      (float)log(.25), -INFINITY,
                  (float)log(.5), (float)log(.25), -INFINITY};
    CHECK(sample_pick(l, V, 0) == 1);
    CHECK(sample_pick(l, V, .24) == 1);
    CHECK(sample_pick(l, V, .26) == 3);
    CHECK(sample_pick(l, V, .74) == 3);
    CHECK(sample_pick(l, V, .76) == 4);
    CHECK(sample_pick(l, V, nextafter(1, 0)) == 4);
    float huge[V] = {-1e30f, 1e30f, 0, 0, 0, 0};
    CHECK(sample_pick(huge, V, .5) == 1);
}

static void test_draws(void)
{
    struct sample_key k = {1, 2, 3, 4, 5};
    double u = sample_uniform(&k);
    CHECK(u == sample_uniform(&k));
    for (int i = 0; i < 5; i++) {
        struct sample_key other = k;
        uint64_t *part[] = {&other.seed, &other.source, &other.repetition, &other.sample,
                            &other.token};
        (*part[i])++;
        CHECK(sample_uniform(&other) != u);
    }
    /* Mean and variance of 20,000 draws, each bound six standard deviations wide. */
    enum { N = 20000 };
    double sum = 0, square = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct sample_key key = {.source = i / 10, .token = i % 10};
        double x = sample_uniform(&key);
        CHECK(x >= 0 && x < 1);
        sum += x;
        square += (x - .5) * (x - .5);
    }
    CHECK(fabs(sum / N - .5) < 6 * sqrt(1. / 12 / N));
    CHECK(fabs(square / N - 1. / 12) < 6 * sqrt(1. / 180 / N));
}

static void test_lse(void)
{
    static const float l[V] = {1000, 1000, -INFINITY, -INFINITY, 0, 0};
    CHECK(fabs(logits_lse(l, V) - (1000 + log(2))) < 1e-12);
}

int main(void)
{
    test_filters();
    test_penalties();
    test_mask();
    test_top();
    test_pick();
    test_draws();
    test_lse();
    return unit_done("sample");
}
