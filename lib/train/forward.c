/* forward.c - a layer on sequences that lie end to end, by the same data as the decoder. */
#include "train/train.h"

struct rope_args layer_rope(const struct trainer *t, int32_t i)
{
    const struct spec *s = &t->m->spec;
    const struct layer *y = &t->m->layer[i];
    int32_t table = s->layer[i].rope;
    return (struct rope_args){
        .heads = s->heads,
        .kv_heads = s->kv_heads,
        .head_dim = s->head_dim,
        .rotary = table < 0 ? 0 : s->rotary,
        .cos_sin = table < 0 ? NULL : t->cos_sin + (int64_t)table * t->positions * s->rotary,
        .pos = t->pass.pos,
        .q_norm = y->q_norm,
        .k_norm = y->k_norm,
        .eps = s->eps,
        .norm_plus_one = s->norm_plus_one,
        .norm_whole = s->qk_norm_whole};
}

struct attention_args layer_attention(const struct trainer *t, int32_t i)
{
    const struct spec *s = &t->m->spec;
    return (struct attention_args){.heads = s->heads,
                                   .kv_heads = s->kv_heads,
                                   .head_dim = s->head_dim,
                                   .layer = i,
                                   .scale = s->attention_scale,
                                   .window = s->layer[i].window,
                                   .soft_cap = s->attention_cap,
                                   .sinks = t->m->layer[i].sinks};
}

struct qkv layer_qkv(const struct trainer *t, float *data)
{
    const struct spec *s = &t->m->spec;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    struct qkv r = {.all = rows_of(data, DT_F32, t->pass.T, q + 2 * kv)};
    r.q = columns(&r.all, 0, q);
    r.k = columns(&r.all, q, kv);
    r.v = columns(&r.all, q + kv, kv);
    return r;
}

struct tensor layer_in(struct trainer *t, float *x, const float *norm)
{
    struct model *m = t->m;
    struct tensor from = rows_of(x, DT_F32, t->pass.T, m->spec.width);
    struct tensor in = rows_of(t->pass.in, m->act, t->pass.T, m->spec.width);
    if (!norm)
        return from;
    t->ops->norm(t->d, &in, &from, NULL, 1, norm, m->spec.eps, m->spec.norm_plus_one);
    return in;
}

/* to = x + the half layer's result, behind the norm that stands there */
static void leave(struct trainer *t, float *to, float *x, const struct tensor *out,
                  const float *norm)
{
    struct model *m = t->m;
    struct tensor from = rows_of(x, DT_F32, t->pass.T, m->spec.width);
    struct tensor sum = rows_of(to, DT_F32, t->pass.T, m->spec.width);
    struct tensor normed = rows_of(t->pass.norm, DT_F32, t->pass.T, m->spec.width);
    if (norm)
        t->ops->norm(t->d, &normed, out, NULL, 1, norm, m->spec.eps, m->spec.norm_plus_one);
    t->top->scaled(t->d, &sum, &from, 1);
    t->ops->norm(t->d, NULL, &sum, norm ? &normed : out, m->spec.residual_scale, NULL, 0,
                 false);
}

static void attend(struct trainer *t, int32_t i, const struct acts *a)
{
    struct model *m = t->m;
    const struct spec *s = &m->spec;
    const struct layer *y = &m->layer[i];
    struct qkv p = layer_qkv(t, a->qkv);
    struct tensor in = layer_in(t, a->x, y->norm[NORM_ATTN_IN]);
    struct tensor heads = rows_of(a->heads, m->act, t->pass.T, p.q.cols);
    struct tensor stats = rows_of(a->stats, DT_F32, t->pass.T, 2 * (int64_t)s->heads);
    struct tensor out = rows_of(a->attn ? a->attn : t->pass.out, DT_F32, t->pass.T, s->width);
    t->ops->linear(t->d, &p.all, &in, y->qkv, y->qkv_bias);
    lora_add(t, i, LORA_QKV, &in, &p.all, NULL);
    struct rope_args rope = layer_rope(t, i);
    if (a->raw) {
        struct tensor raw = rows_of(a->raw, DT_F32, t->pass.T, p.q.cols + p.k.cols);
        struct tensor both = columns(&p.all, 0, raw.cols);
        t->top->scaled(t->d, &raw, &both, 1);
    }
    if (rope.rotary || rope.q_norm)
        t->ops->qk_norm_rope(t->d, &p.q, &p.k, &rope);
    struct attention_args args = layer_attention(t, i);
    t->top->attention(t->d, &heads, &stats, &p.q, &p.k, &p.v, &t->pass.spans, &args);
    t->ops->linear(t->d, &out, &heads, y->o, y->o_bias);
    lora_add(t, i, LORA_O, &heads, &out, NULL);
    leave(t, a->mid, a->x, &out, y->norm[NORM_ATTN_OUT]);
}

static void feed(struct trainer *t, int32_t i, const struct acts *a, const struct tensor *in,
                 const struct tensor *out)
{
    const struct spec *s = &t->m->spec;
    const struct layer *y = &t->m->layer[i];
    struct tensor gate_up = rows_of(a->gate_up, DT_F32, t->pass.T, 2 * (int64_t)s->ffn);
    struct tensor gated = rows_of(t->pass.gated, t->m->act, t->pass.T, s->ffn);
    struct gated_args args = {.kind = s->gate};
    t->ops->linear(t->d, &gate_up, in, y->gate_up, y->gate_up_bias);
    lora_add(t, i, LORA_GATE_UP, in, &gate_up, NULL);
    t->ops->gated(t->d, &gated, &gate_up, &args);
    t->ops->linear(t->d, out, &gated, y->down, y->down_bias);
    lora_add(t, i, LORA_DOWN, &gated, out, NULL);
}

static void feed_experts(struct trainer *t, int32_t i, const struct acts *a,
                         const struct tensor *in, const struct tensor *out)
{
    const struct spec *s = &t->m->spec;
    const struct layer *y = &t->m->layer[i];
    const struct routing *r = &a->routing;
    int64_t S = (int64_t)t->pass.T * s->experts_used, F = s->expert_ffn;
    struct tensor choice = rows_of(a->choice, DT_F32, t->pass.T, s->experts);
    struct tensor sorted = rows_of(t->pass.sorted, in->dtype, S, s->width);
    struct tensor gate_up = rows_of(a->gate_up, DT_F32, S, 2 * F);
    struct tensor gated = rows_of(t->pass.gated, t->m->act, S, F);
    struct tensor down = rows_of(a->down, DT_F32, S, s->width);
    t->ops->linear(t->d, &choice, in, y->router, y->router_bias);
    lora_add(t, i, LORA_ROUTER, in, &choice, NULL);
    t->ops->route(t->d, r, &choice, &s->route);
    t->ops->gather_rows(t->d, &sorted, in, r->token);
    t->ops->linear_grouped(t->d, &gate_up, &sorted, y->gate_up, y->gate_up_bias, r);
    lora_add(t, i, LORA_EXPERTS_GATE_UP, &sorted, &gate_up, r);
    t->ops->gated(t->d, &gated, &gate_up, &s->expert_gate);
    t->ops->linear_grouped(t->d, &down, &gated, y->down, y->down_bias, r);
    lora_add(t, i, LORA_EXPERTS_DOWN, &gated, &down, r);
    t->ops->combine(t->d, out, &down, r);
}

void layer_forward(struct trainer *t, int32_t i, const struct acts *a, float *next)
{
    const struct spec *s = &t->m->spec;
    float *const *norm = t->m->layer[i].norm;
    attend(t, i, a);
    struct tensor in = layer_in(t, a->mid, norm[NORM_MLP_IN]);
    struct tensor out = rows_of(a->ffn ? a->ffn : t->pass.out, DT_F32, t->pass.T, s->width);
    (s->layer[i].sparse ? feed_experts : feed)(t, i, a, &in, &out);
    if (next)
        leave(t, next, a->mid, &out, norm[NORM_MLP_OUT]);
}
