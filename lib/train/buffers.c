/* buffers.c - memory for the activations of a micro-batch, and rotary tables. */
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

struct need {
    void *at; /* of the pointer */
    int64_t rows, cols;
    int64_t size;
};

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int allocate(struct trainer *t, const struct need *needs, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int64_t bytes = needs[i].rows * needs[i].cols * needs[i].size;
        if (!bytes)
            continue;
        void *p = t->ops->alloc(t->d, bytes, e);
        if (!p)
            return -1;
        *(void **)needs[i].at = p;
        t->bytes += bytes;
    }
    return 0;
}

enum { ACTS_MAX = 16 };

/* What a layer keeps but x, for T tokens. */
static size_t acts_needs(const struct trainer *t, struct acts *a, struct need *out)
{
    const struct spec *s = &t->m->spec;
    const struct names *n = &s->names;
    struct routing *r = &a->routing;
    int64_t T = t->o.tokens, C = s->width, E = s->experts, S = T * s->experts_used;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    r->experts = s->experts;
    r->used = s->experts_used;
    const struct need needs[ACTS_MAX] = {
        {&a->qkv, T, q + 2 * kv, 4},
        {&a->raw, n->q_norm ? T : 0, q + kv, 4},
        {&a->stats, T, 2 * (int64_t)s->heads, 4},
        {&a->heads, T, q, dtype_size(t->m->act)},
        {&a->attn, n->norm[NORM_ATTN_OUT] ? T : 0, C, 4},
        {&a->mid, T, C, 4},
        {&a->choice, T, E, 4},
        {&r->expert, S, 1, 4},
        {&r->weight, S, 1, 4},
        {&r->row, S, 1, 4},
        {&r->token, S, 1, 4},
        {&r->first, E ? E + 1 : 0, 1, 4},
        {&a->gate_up, larger(T * s->ffn, S * s->expert_ffn), 2, 4},
        {&a->down, S, C, 4},
        {&a->ffn, n->norm[NORM_MLP_OUT] ? T : 0, C, 4},
    };
    memcpy(out, needs, sizeof needs);
    return ACTS_MAX - 1;
}

static int64_t acts_bytes(const struct trainer *t)
{
    struct acts a = {0};
    struct need needs[ACTS_MAX];
    int64_t bytes = 0;
    size_t n = acts_needs(t, &a, needs);
    for (size_t i = 0; i < n; i++)
        bytes += needs[i].rows * needs[i].cols * needs[i].size;
    return bytes;
}

/* The last layers keep theirs as long as the memory allows; the others share one set. */
static int make_acts(struct trainer *t, struct err *e)
{
    const struct spec *s = &t->m->spec;
    struct need needs[ACTS_MAX];
    int64_t one = acts_bytes(t), x = (int64_t)t->o.tokens * s->width * 4 * (s->layers + 1);
    int64_t keep = t->o.memory > x + one ? (t->o.memory - x - one) / one : 0;
    if (keep > s->layers)
        keep = s->layers;
    t->first_kept = s->layers - (int32_t)keep;
    t->acts = xcalloc((size_t)s->layers + 1, sizeof *t->acts);
    if (t->first_kept > 0 && allocate(t, needs, acts_needs(t, &t->shared, needs), e) < 0)
        return -1;
    for (int32_t i = 0; i <= s->layers; i++) {
        if (i < t->first_kept)
            t->acts[i] = t->shared;
        else if (i < s->layers && allocate(t, needs, acts_needs(t, &t->acts[i], needs), e) < 0)
            return -1;
        const struct need stream = {&t->acts[i].x, t->o.tokens, s->width, 4};
        if (allocate(t, &stream, 1, e) < 0)
            return -1;
    }
    return 0;
}

static int32_t largest_rank(const struct trainer *t)
{
    int32_t rank = 0;
    for (int32_t i = 0; i < t->m->spec.layers; i++)
        for (int k = 0; k < t->layer[i].modules; k++)
            rank = (int32_t)larger(rank, t->layer[i].module[k].rank);
    return rank;
}

static int make_pass(struct trainer *t, struct err *e)
{
    const struct spec *s = &t->m->spec;
    struct pass *p = &t->pass;
    int64_t T = t->o.tokens, C = s->width, E = s->experts, S = T * s->experts_used;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    int64_t ffn = larger(T * s->ffn, S * s->expert_ffn), act = dtype_size(t->m->act);
    int64_t rank = largest_rank(t), widest = larger(larger(C, q), s->ffn);
    bool norm_out = s->names.norm[NORM_ATTN_OUT] || s->names.norm[NORM_MLP_OUT];
    const struct need needs[] = {
        {&p->in, T, C, act},
        {&p->dy, act == 2 ? T : 0, larger(larger(q + 2 * kv, 2 * (int64_t)s->ffn), C), 2},
        {&p->gated, ffn, 1, act},
        {&p->sorted, S, C, 4},
        {&p->out, T, C, 4},
        {&p->norm, norm_out ? T : 0, C, 4},
        {&p->dx, T, C, 4},
        {&p->dhalf, s->residual_scale != 1 ? T : 0, C, 4},
        {&p->din, T, C, 4},
        {&p->dout, norm_out ? T : 0, C, 4},
        {&p->dqkv, T, q + 2 * kv, 4},
        {&p->dheads, T, q, 4},
        {&p->dgate_up, ffn, 2, 4},
        {&p->dgated, ffn, 1, 4},
        {&p->dsorted, S, C, 4},
        {&p->ddown, S, C, 4},
        {&p->dchoice, T, E, 4},
        {&p->dweight, S, 1, 4},
        {&p->dsink, s->names.sinks ? T : 0, s->heads, 4},
        {&p->lora_t, larger(T, S), rank, 4},
        {&p->lora_dt, larger(T, S), rank, 4},
        {&p->lora_x, t->dropout > 0 ? T : 0, widest, 4},
        {&p->zeros, T, 1, 4},
        {&p->last, T, C, 4},
        {&p->dlast, T, C, 4},
        {&p->dkept, T, C, 4},
        {&p->kept, T, C, act},
        {&p->nll, T, 1, 4},
        {&p->weights, T, 1, 4},
        {&p->ids, T, 1, 4},
        {&p->pos, T, 1, 4},
        {&p->rows, T, 1, 4},
        {&p->targets, T, 1, 4},
        {&p->keys, T, 1, 8},
    };
    if (allocate(t, needs, sizeof needs / sizeof *needs, e) < 0)
        return -1;
    size_t n = (size_t)T;
    p->host_ids = xmalloc_n(n, sizeof *p->host_ids);
    p->host_pos = xmalloc_n(n, sizeof *p->host_pos);
    p->host_rows = xmalloc_n(n, sizeof *p->host_rows);
    p->host_targets = xmalloc_n(n, sizeof *p->host_targets);
    p->host_weights = xmalloc_n(n, sizeof *p->host_weights);
    p->host_nll = xmalloc_n(n, sizeof *p->host_nll);
    p->host_keys = xmalloc_n(n, sizeof *p->host_keys);
    p->span = xmalloc_n(n, sizeof *p->span);
    p->first = xmalloc_n(n + 1, sizeof *p->first);
    p->row_first = xmalloc_n(n + 1, sizeof *p->row_first);
    return 0;
}

/* One table behind the other, for the longest sequence. */
static int make_rope(struct trainer *t, struct err *e)
{
    const struct spec *s = &t->m->spec;
    int64_t table = (int64_t)t->positions * s->rotary, n = table * s->ropes;
    const struct need need = {&t->cos_sin, n, 1, 4};
    if (!n)
        return 0;
    if (allocate(t, &need, 1, e) < 0)
        return -1;
    float *host = xmalloc_n((size_t)n, sizeof *host);
    for (int32_t i = 0; i < s->ropes; i++)
        rope_fill(&s->rope[i], s->rotary, t->positions, host + i * table);
    t->ops->upload(t->d, t->cos_sin, host, n * (int64_t)sizeof *host);
    int rc = t->ops->sync(t->d, e);
    free(host);
    return rc;
}

/* The widest of any product, and the largest single weight. */
static void limits_of(const struct trainer *t, struct dev_limits *l, struct train_limits *tl)
{
    const struct spec *s = &t->m->spec;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    int64_t rank = largest_rank(t), T = t->o.tokens;
    int64_t k = larger(larger(larger(s->width, q), larger(s->ffn, s->expert_ffn)), rank);
    int64_t n = larger(larger(q + 2 * kv, 2 * (int64_t)s->ffn),
                       larger(2 * (int64_t)s->expert_ffn, k));
    *l = (struct dev_limits){.tokens = t->o.tokens,
                             .rows = t->o.tokens,
                             .heads = s->heads,
                             .head_dim = s->head_dim,
                             .vocab = s->vocab,
                             .width = (int32_t)n,
                             .experts = s->experts,
                             .used = s->experts_used};
    *tl = (struct train_limits){.tokens = t->o.tokens,
                                .sequence = t->positions,
                                .rows = (int32_t)larger(T, T * s->experts_used),
                                .heads = s->heads,
                                .head_dim = s->head_dim,
                                .vocab = s->vocab,
                                .width = (int32_t)n,
                                .weight = n * k};
}

int buffers_allocate(struct trainer *t, struct err *e)
{
    struct dev_limits l;
    struct train_limits tl;
    limits_of(t, &l, &tl);
    if (t->ops->reserve(t->d, &l, e) < 0 || t->top->reserve(t->d, &tl, e) < 0)
        return -1;
    if (make_rope(t, e) < 0 || make_acts(t, e) < 0)
        return -1;
    return make_pass(t, e);
}

static void free_acts(struct trainer *t, const struct acts *a)
{
    const struct routing *r = &a->routing;
    void *const all[] = {a->qkv,   a->raw,    a->stats,   a->heads,  a->attn,
                         a->mid,   a->choice, r->expert,  r->weight, r->row,
                         r->token, r->first,  a->gate_up, a->down,   a->ffn};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        t->ops->free(t->d, all[i]);
}

void buffers_release(struct trainer *t)
{
    const struct pass *p = &t->pass;
    void *const device[] = {
        p->in,    p->gated,   p->sorted,  p->out,     p->norm,     p->dx,      p->dhalf,
        p->din,   p->dout,    p->dqkv,    p->dheads,  p->dgate_up, p->dgated,  p->dsorted,
        p->ddown, p->dchoice, p->dweight, p->dsink,   p->lora_t,   p->lora_dt, p->lora_x,
        p->zeros, p->last,    p->dlast,   p->dkept,   p->kept,     p->nll,     p->weights,
        p->ids,   p->pos,     p->rows,    p->targets, p->keys,     t->cos_sin, p->dy};
    void *const host[] = {p->host_ids,     p->host_pos, p->host_rows, p->host_targets,
                          p->host_weights, p->host_nll, p->host_keys, p->span,
                          p->first,        p->row_first};
    for (size_t i = 0; i < sizeof device / sizeof *device; i++)
        t->ops->free(t->d, device[i]);
    for (size_t i = 0; i < sizeof host / sizeof *host; i++)
        free(host[i]);
    for (int32_t i = 0; t->acts && i <= t->m->spec.layers; i++) {
        t->ops->free(t->d, t->acts[i].x);
        if (i >= t->first_kept)
            free_acts(t, &t->acts[i]);
    }
    free_acts(t, &t->shared);
    free(t->acts);
}
