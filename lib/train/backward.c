/* backward.c - the way back through a layer, by the same data as its forward. */
#include "train/train.h"

/* dy as it enters products: rounded as the activations are. */
static struct tensor entering(struct trainer *t, const struct tensor *dy)
{
    struct tensor to = rows_of(t->pass.dy, DT_BF16, dy->rows, dy->cols);
    if (t->m->act == DT_F32)
        return *dy;
    t->top->scaled(t->d, &to, dy, 1);
    return to;
}

/* A product's own part: y = x w^T + b.  dx NULL: nobody needs it. */
static void product_back(struct trainer *t, const struct tensor *dx, const struct tensor *x,
                         const struct tensor *dy, const struct weight *w, int64_t w_at,
                         int64_t b_at)
{
    struct tensor dw = rows_of(gradient_at(t, w_at), DT_F32, dy->cols, x->cols);
    struct tensor in = dx || w_at >= 0 ? entering(t, dy) : *dy;
    if (dx)
        t->top->linear_dx(t->d, dx, &in, w, 1, false);
    if (w_at >= 0)
        t->top->linear_dw(t->d, &dw, &in, x, &t->pass.units, 1);
    if (b_at >= 0)
        t->top->bias_db(t->d, gradient_at(t, b_at), dy, &t->pass.units);
}

/* The same of all experts; a tensor that is stored [E, in, out] has its gradient so. */
static void experts_back(struct trainer *t, const struct tensor *dx, const struct tensor *x,
                         const struct tensor *dy, const struct weight *w, int64_t w_at,
                         int64_t b_at, const struct routing *r)
{
    int64_t N = dy->cols, K = x->cols;
    bool swap = t->m->spec.expert_storage == EXPERTS_COLUMNS;
    struct tensor dw = rows_of(gradient_at(t, w_at), DT_F32, swap ? K : N, swap ? N : K);
    t->top->grouped_dx(t->d, dx, dy, w, r, 1, false);
    if (w_at >= 0)
        t->top->grouped_dw(t->d, &dw, N * K, swap ? x : dy, swap ? dy : x, r, &t->pass.units,
                           1);
    if (b_at >= 0)
        t->top->grouped_db(t->d, gradient_at(t, b_at), dy, r, &t->pass.units);
}

/* By a half layer's result, before the norm behind it; from that by the residual stream. */
static struct tensor enter_back(struct trainer *t, float *out, const float *norm, int64_t at)
{
    const struct spec *s = &t->m->spec;
    struct tensor dx = rows_of(t->pass.dx, DT_F32, t->pass.T, s->width);
    struct tensor dhalf = rows_of(t->pass.dhalf, DT_F32, t->pass.T, s->width);
    struct tensor dout = rows_of(t->pass.dout, DT_F32, t->pass.T, s->width);
    struct tensor half = rows_of(out, DT_F32, t->pass.T, s->width);
    if (s->residual_scale != 1) {
        t->top->scaled(t->d, &dhalf, &dx, s->residual_scale);
        dx = dhalf;
    }
    if (!norm)
        return dx;
    t->top->norm_back(t->d, &dout, gradient_at(t, at), &dx, &half, norm, s->eps,
                      s->norm_plus_one, &t->pass.units, false);
    return dout;
}

/* dx += the way back through what enters a half layer */
static void leave_back(struct trainer *t, const struct tensor *din, float *x, const float *norm,
                       int64_t at)
{
    const struct spec *s = &t->m->spec;
    struct tensor dx = rows_of(t->pass.dx, DT_F32, t->pass.T, s->width);
    struct tensor from = rows_of(x, DT_F32, t->pass.T, s->width);
    if (norm)
        t->top->norm_back(t->d, &dx, gradient_at(t, at), din, &from, norm, s->eps,
                          s->norm_plus_one, &t->pass.units, true);
    else
        t->ops->norm(t->d, NULL, &dx, din, 1, NULL, 0, false);
}

static void feed_back(struct trainer *t, int32_t i, const struct acts *a,
                      const struct tensor *din, const struct tensor *in,
                      const struct tensor *dout)
{
    const struct spec *s = &t->m->spec;
    const struct layer *y = &t->m->layer[i];
    const struct layer_at *at = &t->layer[i].at;
    struct tensor gate_up = rows_of(a->gate_up, DT_F32, t->pass.T, 2 * (int64_t)s->ffn);
    struct tensor dgate_up = rows_of(t->pass.dgate_up, DT_F32, t->pass.T, gate_up.cols);
    struct tensor gated = rows_of(t->pass.gated, t->m->act, t->pass.T, s->ffn);
    struct tensor dgated = rows_of(t->pass.dgated, DT_F32, t->pass.T, s->ffn);
    struct gated_args args = {.kind = s->gate};
    t->ops->gated(t->d, &gated, &gate_up, &args);
    product_back(t, &dgated, &gated, dout, y->down, at->down, at->down_bias);
    lora_back(t, i, LORA_DOWN, &dgated, &gated, dout, NULL);
    t->top->gated_back(t->d, &dgate_up, &dgated, &gate_up, &args);
    product_back(t, din, in, &dgate_up, y->gate_up, at->gate_up, at->gate_up_bias);
    lora_back(t, i, LORA_GATE_UP, din, in, &dgate_up, NULL);
}

static void feed_experts_back(struct trainer *t, int32_t i, const struct acts *a,
                              const struct tensor *din, const struct tensor *in,
                              const struct tensor *dout)
{
    const struct spec *s = &t->m->spec;
    const struct layer *y = &t->m->layer[i];
    const struct layer_at *at = &t->layer[i].at;
    const struct routing *r = &a->routing;
    int64_t S = (int64_t)t->pass.T * s->experts_used, F = s->expert_ffn;
    struct tensor choice = rows_of(a->choice, DT_F32, t->pass.T, s->experts);
    struct tensor dchoice = rows_of(t->pass.dchoice, DT_F32, t->pass.T, s->experts);
    struct tensor sorted = rows_of(t->pass.sorted, in->dtype, S, s->width);
    struct tensor dsorted = rows_of(t->pass.dsorted, DT_F32, S, s->width);
    struct tensor gate_up = rows_of(a->gate_up, DT_F32, S, 2 * F);
    struct tensor dgate_up = rows_of(t->pass.dgate_up, DT_F32, S, 2 * F);
    struct tensor gated = rows_of(t->pass.gated, t->m->act, S, F);
    struct tensor dgated = rows_of(t->pass.dgated, DT_F32, S, F);
    struct tensor down = rows_of(a->down, DT_F32, S, s->width);
    struct tensor ddown = rows_of(t->pass.ddown, DT_F32, S, s->width);
    t->ops->gather_rows(t->d, &sorted, in, r->token);
    t->ops->gated(t->d, &gated, &gate_up, &s->expert_gate);
    t->top->combine_back(t->d, &ddown, t->pass.dweight, dout, &down, r);
    experts_back(t, &dgated, &gated, &ddown, y->down, at->down, at->down_bias, r);
    lora_back(t, i, LORA_EXPERTS_DOWN, &dgated, &gated, &ddown, r);
    t->top->gated_back(t->d, &dgate_up, &dgated, &gate_up, &s->expert_gate);
    experts_back(t, &dsorted, &sorted, &dgate_up, y->gate_up, at->gate_up, at->gate_up_bias, r);
    lora_back(t, i, LORA_EXPERTS_GATE_UP, &dsorted, &sorted, &dgate_up, r);
    t->top->route_back(t->d, &dchoice, t->pass.dweight, &choice, r, &s->route);
    product_back(t, din, in, &dchoice, y->router, at->router, at->router_bias);
    lora_back(t, i, LORA_ROUTER, din, in, &dchoice, NULL);
    t->top->sorted_back(t->d, din, &dsorted, r, true);
}

static void attend_back(struct trainer *t, int32_t i, const struct acts *a,
                        const struct tensor *din, const struct tensor *in,
                        const struct tensor *dout)
{
    const struct spec *s = &t->m->spec;
    const struct layer *y = &t->m->layer[i];
    const struct layer_at *at = &t->layer[i].at;
    struct qkv p = layer_qkv(t, a->qkv), dp = layer_qkv(t, t->pass.dqkv);
    struct tensor heads = rows_of(a->heads, t->m->act, t->pass.T, p.q.cols);
    struct tensor dheads = rows_of(t->pass.dheads, DT_F32, t->pass.T, p.q.cols);
    struct tensor stats = rows_of(a->stats, DT_F32, t->pass.T, 2 * (int64_t)s->heads);
    struct tensor dsink = rows_of(t->pass.dsink, DT_F32, t->pass.T, s->heads);
    struct attention_args args = layer_attention(t, i);
    struct rope_args rope = layer_rope(t, i);
    product_back(t, &dheads, &heads, dout, y->o, at->o, at->o_bias);
    lora_back(t, i, LORA_O, &dheads, &heads, dout, NULL);
    t->top->attention_back(t->d, &dp.q, &dp.k, &dp.v, at->sinks >= 0 ? &dsink : NULL, &dheads,
                           &heads, &stats, &p.q, &p.k, &p.v, &t->pass.spans, &args);
    if (at->sinks >= 0)
        t->top->bias_db(t->d, gradient_at(t, at->sinks), &dsink, &t->pass.units);
    if (rope.rotary || rope.q_norm) {
        struct tensor raw = rows_of(a->raw, DT_F32, t->pass.T, p.q.cols + p.k.cols);
        struct tensor q = a->raw ? columns(&raw, 0, p.q.cols) : p.q;
        struct tensor k = a->raw ? columns(&raw, p.q.cols, p.k.cols) : p.k;
        t->top->qk_norm_rope_back(t->d, &dp.q, &dp.k, &q, &k, &rope, gradient_at(t, at->q_norm),
                                  gradient_at(t, at->k_norm), &t->pass.units);
    }
    product_back(t, din, in, &dp.all, y->qkv, at->qkv, at->qkv_bias);
    lora_back(t, i, LORA_QKV, din, in, &dp.all, NULL);
}

void layer_backward(struct trainer *t, int32_t i, const struct acts *a)
{
    const struct spec *s = &t->m->spec;
    float *const *norm = t->m->layer[i].norm;
    const int64_t *at = t->layer[i].at.norm;
    struct tensor din = rows_of(t->pass.din, DT_F32, t->pass.T, s->width);
    struct tensor in = layer_in(t, a->mid, norm[NORM_MLP_IN]);
    struct tensor dout = enter_back(t, a->ffn, norm[NORM_MLP_OUT], at[NORM_MLP_OUT]);
    (s->layer[i].sparse ? feed_experts_back : feed_back)(t, i, a, &din, &in, &dout);
    leave_back(t, &din, a->mid, norm[NORM_MLP_IN], at[NORM_MLP_IN]);
    /* Below the lowest layer that learns nobody asks for a gradient by what enters. */
    bool last = i == 0 && t->embed_at < 0 && t->lookup_at < 0;
    in = layer_in(t, a->x, norm[NORM_ATTN_IN]);
    dout = enter_back(t, a->attn, norm[NORM_ATTN_OUT], at[NORM_ATTN_OUT]);
    attend_back(t, i, a, last ? NULL : &din, &in, &dout);
    if (!last)
        leave_back(t, &din, a->x, norm[NORM_ATTN_IN], at[NORM_ATTN_IN]);
}
