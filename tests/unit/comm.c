/* comm.c - collective calls, and sums along the tree, on exactly representable numbers.  Run by
 * itself it is one rank; tests/train-step.bats runs it as several. */
#include "train/comm.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

/* Numbers whose sum in any other order has other bits. */
static float number(int64_t unit, int64_t i)
{
    uint64_t x = (uint64_t)(unit * 7919 + i * 104729 + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (float)((double)(x >> 40) / (1 << 20) - 8) * (unit % 3 ? 1e-3F : 1e3F);
}

/* T(o, s) of train/trainer.h. */
static float tree(int64_t o, int64_t s, int64_t units, int64_t i)
{
    if (o + s >= units)
        return number(o, i);
    return tree(o, 2 * s, units, i) + tree(o + s, 2 * s, units, i);
}

static void test_tree(struct comm *c, int64_t units, int64_t n)
{
    struct err e = {0};
    float *p = xcalloc((size_t)n + 1, sizeof *p), *scratch = xcalloc((size_t)n + 1, sizeof *p);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++)
        p[i] = c->rank < units ? tree(c->rank, c->size, units, i) : 1e30F;
    CHECK(comm_sum_tree(c, p, n, units, scratch, &e) == 0);
    for (int64_t i = 0; i < n; i++) {
        float right = tree(0, 1, units, i);
        wrong += memcmp(&p[i], &right, sizeof right) != 0;
    }
    CHECK(wrong == 0);
    free(p);
    free(scratch);
}

static void test_small(struct comm *c)
{
    struct err e = {0};
    int64_t most = 10 + c->rank, items[7];
    CHECK(comm_max(c, &most, &e) == 0 && most == 10 + c->size - 1);
    for (int64_t i = 0; i < 7; i++)
        items[i] = i % c->size == c->rank ? 100 + i : -1;
    CHECK(comm_collect(c, items, 7, sizeof *items, &e) == 0);
    for (int64_t i = 0; i < 7; i++)
        CHECK(items[i] == 100 + i);
    CHECK(comm_agree(c, 0, &e) == 0 && e.status == 0);
    int rc = c->rank == c->size - 1 ? err_set(&e, EXIT_DATA, "rank %d", c->rank) : 0;
    CHECK(comm_agree(c, rc, &e) < 0 && e.status == EXIT_DATA);
    char text[32];
    snprintf(text, sizeof text, "rank %d", c->size - 1);
    CHECK(!strcmp(e.text, text));
    CHECK(comm_barrier(c, &e) == 0);
}

static void test_fast(struct comm *c)
{
    enum { N = 5000 };
    struct err e = {0};
    float p[N];
    for (int i = 0; i < N; i++)
        p[i] = (float)(i % 64 + c->rank);
    CHECK(comm_sum_fast(c, p, N, &e) == 0);
    for (int i = 0; i < N; i++)
        CHECK(p[i] == (float)(i % 64 * c->size + c->size * (c->size - 1) / 2));
}

int main(void)
{
    struct err e = {0};
    struct comm *c = comm_open(&e);
    if (!c)
        die_err(&e);
    test_small(c);
    test_fast(c);
    for (int64_t units = 1; units < 20 && !(c->size & (c->size - 1)); units++)
        for (int64_t n = 1; n < 40; n += 6)
            test_tree(c, units, n);
    comm_close(c);
    return unit_done("comm");
}
