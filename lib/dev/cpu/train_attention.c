/* train_attention.c - attention within the spans of a call, cut by span and key/value head. */
#include "dev/cpu/train.h"

#include <stdatomic.h>

/* Every thread takes the next piece and works in its own part of the scratch: a piece's result
 * does not depend on who took it. */
struct lanes {
    const struct train_attention_job *j;
    void (*fn)(const struct train_attention_job *j, int32_t span, int32_t g, float *scratch);
    struct cpu_train *t;
    atomic_int next;
    int pieces;
};

static void lane(void *arg, int i)
{
    struct lanes *l = arg;
    int32_t heads = l->j->a->kv_heads;
    for (int p; (p = atomic_fetch_add(&l->next, 1)) < l->pieces;)
        l->fn(l->j, p / heads, p % heads, l->t->lanes + i * l->t->lane);
}

static void run(struct cpu *c, const struct train_attention_job *j,
                void (*fn)(const struct train_attention_job *j, int32_t span, int32_t g,
                           float *scratch))
{
    struct lanes l = {.j = j, .fn = fn, .t = c->train};
    int64_t pieces = (int64_t)j->s->n * j->a->kv_heads, work = 0;
    EXPECT(pieces <= INT32_MAX && j->a->heads % j->a->kv_heads == 0);
    EXPECT(j->a->head_dim <= c->train->limits.head_dim);
    for (int32_t i = 0; i < j->s->n; i++) {
        EXPECT(j->s->host[i].count <= c->train->limits.sequence);
        work += (int64_t)j->s->host[i].count * j->s->host[i].count * j->q.cols;
    }
    l.pieces = (int)pieces;
    atomic_init(&l.next, 0);
    cpu_pieces(c, lane, &l, pool_threads(c->pool), work);
}

void cpu_train_attention(struct dev *d, const struct tensor *y, const struct tensor *stats,
                         const struct tensor *q, const struct tensor *k, const struct tensor *v,
                         const struct train_spans *s, const struct attention_args *a)
{
    struct cpu *c = (struct cpu *)d;
    struct train_attention_job j = {
        .y = *y, .stats = *stats, .q = *q, .k = *k, .v = *v, .s = s, .a = a};
    EXPECT(q->cols == (int64_t)a->heads * a->head_dim && y->cols == q->cols);
    EXPECT(k->cols == (int64_t)a->kv_heads * a->head_dim && v->cols == k->cols);
    EXPECT(stats->cols == 2 * (int64_t)a->heads);
    run(c, &j, c->kernels->train->attention);
}

void cpu_attention_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                        const struct tensor *dv, const struct tensor *dsink,
                        const struct tensor *dy, const struct tensor *y,
                        const struct tensor *stats, const struct tensor *q,
                        const struct tensor *k, const struct tensor *v,
                        const struct train_spans *s, const struct attention_args *a)
{
    struct cpu *c = (struct cpu *)d;
    struct train_attention_job j = {.y = *y,
                                    .stats = *stats,
                                    .q = *q,
                                    .k = *k,
                                    .v = *v,
                                    .dq = *dq,
                                    .dk = *dk,
                                    .dv = *dv,
                                    .dy = *dy,
                                    .s = s,
                                    .a = a};
    if (dsink)
        j.dsink = *dsink;
    EXPECT(dy->cols == q->cols && dq->cols == q->cols && dk->cols == k->cols);
    run(c, &j, c->kernels->train->attention_back);
}

int64_t train_attention_scratch(int64_t sequence, int64_t head_dim)
{
    int64_t keys = (sequence + LANES - 1) / LANES * LANES + LANES;
    int64_t dim = (head_dim + LANES - 1) / LANES * LANES;
    /* Keys and values in two orders each, gradients of both, three blocks of scores, and what a
     * block of queries needs: ATTENTION_BLOCK in isa/train_attention.c. */
    return 6 * keys * dim + 3 * keys * 64 + 8 * 64 * dim;
}
