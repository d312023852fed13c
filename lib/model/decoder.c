/* decoder.c - the one forward of every architecture, and the head on the rows it keeps. */
#include "model/decoder.h"

#include <stdlib.h>

/* What the steps of one forward share. */
struct forward {
    struct model *m;
    struct spans spans, copies;
    int64_t T;
    const struct tensor *pending; /* a half layer's result, not yet added to the residual */
};

/* ---- a batch ---------------------------------------------------------------- */

/* Ids and places may come from far; a wrong one is a bug of ours that must not reach memory. */
static void check_batch(const struct model *m, const struct batch *b)
{
    if (b->tokens < 1 || b->tokens > m->config.batch_tokens || b->n_rows < 0 ||
        b->n_rows > m->config.head_rows || b->n_pages > m->pages_max ||
        b->n_copies > m->config.batch_tokens)
        BUG("a batch of %d tokens, %d rows, %d pages", b->tokens, b->n_rows, b->n_pages);
    for (int32_t i = 0; i < b->n_rows; i++)
        if (b->rows[i] < 0 || b->rows[i] >= b->tokens)
            BUG("row %d of %d tokens", b->rows[i], b->tokens);
    int32_t next = 0;
    for (int32_t i = 0; i < b->n_spans; i++) {
        const struct span *s = &b->spans[i];
        int64_t end = (int64_t)s->start + s->count;
        if (s->first != next || s->count < 1 || s->start < 0 || end > m->positions ||
            s->page0 < 0 || s->page0 + (end + KV_PAGE - 1) / KV_PAGE > b->n_pages)
            BUG("span %d", i);
        for (int32_t t = 0; t < s->count; t++)
            if (b->pos[next + t] != s->start + t)
                BUG("token %d stands at %d", next + t, b->pos[next + t]);
        next += s->count;
    }
    for (int32_t i = 0; i < b->n_copies; i++) {
        const struct span *s = &b->copies[i];
        int64_t end = (int64_t)s->start + s->count;
        if (s->first < 0 || s->count < 1 || s->count > b->tokens - s->first ||
            b->pos[s->first] != s->start || end > m->positions || s->page0 < 0 ||
            s->page0 + (end + KV_PAGE - 1) / KV_PAGE > b->n_pages)
            BUG("copy %d", i);
    }
    if (next != b->tokens)
        BUG("the spans cover %d of %d tokens", next, b->tokens);
    for (int32_t i = 0; i < b->tokens; i++)
        if (b->ids[i] < 0 || b->ids[i] >= m->spec.vocab)
            BUG("id %d of %d", b->ids[i], m->spec.vocab);
    for (int32_t i = 0; i < b->n_pages; i++)
        if (b->pages[i] < 0 || b->pages[i] >= m->info.pages)
            BUG("page %d of %d", b->pages[i], m->info.pages);
}

static void send(struct model *m, void *to, const void *from, size_t n, size_t size)
{
    if (n)
        m->dev->ops->upload(m->dev, to, from, (int64_t)(n * size));
}

/* Rows of the rotary table: a far sequence's stand in the table behind the first. */
static const int32_t *places_of(struct model *m, const struct batch *b)
{
    if (!b->far)
        return b->pos;
    if (!m->info.far_after)
        BUG("a far sequence in a model that has none");
    for (int32_t i = 0; i < b->n_spans; i++)
        for (int32_t t = 0; t < b->spans[i].count; t++)
            m->places[b->spans[i].first + t] = b->pos[b->spans[i].first + t] +
                                               (b->far[i] ? m->positions : 0);
    return m->places;
}

static void send_batch(struct model *m, const struct batch *b, struct forward *f)
{
    struct work *w = &m->work;
    send(m, w->ids, b->ids, (size_t)b->tokens, sizeof *b->ids);
    send(m, w->pos, places_of(m, b), (size_t)b->tokens, sizeof *b->pos);
    send(m, w->rows, b->rows, (size_t)b->n_rows, sizeof *b->rows);
    send(m, w->spans, b->spans, (size_t)b->n_spans, sizeof *b->spans);
    send(m, w->copies, b->copies, (size_t)b->n_copies, sizeof *b->copies);
    send(m, w->pages, b->pages, (size_t)b->n_pages, sizeof *b->pages);
    f->spans = (struct spans){b->spans, b->pages, w->spans, w->pages, b->n_spans};
    f->copies = (struct spans){b->copies, b->pages, w->copies, w->pages, b->n_copies};
}

/* ---- the forward ------------------------------------------------------------ */

static struct tensor rows_of(void *data, enum dtype dtype, int64_t rows, int64_t cols)
{
    return (struct tensor){data, dtype, rows, cols, cols};
}

/* Columns first .. first+cols-1 of an f32 tensor. */
static struct tensor columns(const struct tensor *t, int64_t first, int64_t cols)
{
    return (struct tensor){(float *)t->data + first, DT_F32, t->rows, cols, t->stride};
}

/* Adds what is pending to the residual stream; then its norm into y, unless y is NULL. */
static void settle(struct forward *f, const struct tensor *y, const float *weight)
{
    struct model *m = f->m;
    struct tensor x = rows_of(m->work.x, DT_F32, f->T, m->spec.width);
    if (f->pending || y)
        m->dev->ops->norm(m->dev, y, &x, f->pending, m->spec.residual_scale, weight,
                          m->spec.eps, m->spec.norm_plus_one);
    f->pending = NULL;
}

/* What enters a half layer: the residual stream, behind the norm that stands there. */
static struct tensor enter(struct forward *f, const float *norm)
{
    struct model *m = f->m;
    struct tensor in = rows_of(m->work.in, m->act, f->T, m->spec.width);
    settle(f, norm ? &in : NULL, norm);
    return norm ? in : rows_of(m->work.x, DT_F32, f->T, m->spec.width);
}

/* The half layer's result waits to be added, behind the norm that stands there. */
static void leave(struct forward *f, const struct tensor *out, struct tensor *normed,
                  const float *norm)
{
    struct model *m = f->m;
    if (norm)
        m->dev->ops->norm(m->dev, normed, out, NULL, 1, norm, m->spec.eps,
                          m->spec.norm_plus_one);
    f->pending = norm ? normed : out;
}

static const float *table_of(const struct model *m, int32_t i)
{
    return m->cos_sin + (int64_t)i * m->positions * m->spec.rotary;
}

static void attend(struct forward *f, int32_t i, const struct tensor *in,
                   const struct tensor *out)
{
    struct model *m = f->m;
    const struct spec *s = &m->spec;
    const struct dev_ops *ops = m->dev->ops;
    const struct layer *y = &m->layer[i];
    int32_t table = s->layer[i].rope;
    int64_t q_cols = (int64_t)s->heads * s->head_dim;
    int64_t kv_cols = (int64_t)s->kv_heads * s->head_dim;
    struct tensor qkv = rows_of(m->work.qkv, DT_F32, f->T, q_cols + 2 * kv_cols);
    struct tensor q = columns(&qkv, 0, q_cols), k = columns(&qkv, q_cols, kv_cols);
    struct tensor v = columns(&qkv, q_cols + kv_cols, kv_cols);
    struct tensor heads = rows_of(m->work.heads, m->act, f->T, q_cols);
    ops->linear(m->dev, &qkv, in, y->qkv, y->qkv_bias);
    lora_apply(m, i, LORA_QKV, in, &qkv);
    struct rope_args rope = {.heads = s->heads,
                             .kv_heads = s->kv_heads,
                             .head_dim = s->head_dim,
                             .rotary = table < 0 ? 0 : s->rotary,
                             .cos_sin = table < 0 ? NULL : table_of(m, table),
                             .pos = m->work.pos,
                             .q_norm = y->q_norm,
                             .k_norm = y->k_norm,
                             .eps = s->eps,
                             .norm_plus_one = s->norm_plus_one,
                             .norm_whole = s->qk_norm_whole};
    if (rope.rotary || rope.q_norm)
        ops->qk_norm_rope(m->dev, &q, &k, &rope);
    ops->kv_write(m->dev, m->kv, i, &k, &v, &f->spans);
    if (f->copies.n)
        ops->kv_write(m->dev, m->kv, i, &k, &v, &f->copies);
    struct attention_args a = {.heads = s->heads,
                               .kv_heads = s->kv_heads,
                               .head_dim = s->head_dim,
                               .layer = i,
                               .scale = s->attention_scale,
                               .window = s->layer[i].window,
                               .soft_cap = s->attention_cap,
                               .sinks = y->sinks};
    ops->attention(m->dev, &heads, &q, m->kv, &f->spans, &a);
    ops->linear(m->dev, out, &heads, y->o, y->o_bias);
    lora_apply(m, i, LORA_O, &heads, out);
}

static void feed(struct forward *f, int32_t i, const struct tensor *in,
                 const struct tensor *out)
{
    struct model *m = f->m;
    const struct spec *s = &m->spec;
    const struct layer *y = &m->layer[i];
    struct tensor gate_up = rows_of(m->work.gate_up, DT_F32, f->T, 2 * (int64_t)s->ffn);
    struct tensor gated = rows_of(m->work.gated, m->act, f->T, s->ffn);
    struct gated_args a = {.kind = s->gate};
    m->dev->ops->linear(m->dev, &gate_up, in, y->gate_up, y->gate_up_bias);
    lora_apply(m, i, LORA_GATE_UP, in, &gate_up);
    m->dev->ops->gated(m->dev, &gated, &gate_up, &a);
    m->dev->ops->linear(m->dev, out, &gated, y->down, y->down_bias);
    lora_apply(m, i, LORA_DOWN, &gated, out);
}

/* The same by the experts that each token is sent to. */
static void feed_experts(struct forward *f, int32_t i, const struct tensor *in,
                         const struct tensor *out)
{
    struct model *m = f->m;
    const struct spec *s = &m->spec;
    const struct dev_ops *ops = m->dev->ops;
    const struct layer *y = &m->layer[i];
    const struct routing *r = &m->work.routing;
    int64_t S = f->T * s->experts_used, F = s->expert_ffn;
    struct tensor choice = rows_of(m->work.choice, DT_F32, f->T, s->experts);
    struct tensor sorted = rows_of(m->work.sorted, in->dtype, S, s->width);
    struct tensor gate_up = rows_of(m->work.gate_up, DT_F32, S, 2 * F);
    struct tensor gated = rows_of(m->work.gated, m->act, S, F);
    struct tensor down = rows_of(m->work.sorted, DT_F32, S, s->width);
    ops->linear(m->dev, &choice, in, y->router, y->router_bias);
    lora_apply(m, i, LORA_ROUTER, in, &choice);
    ops->route(m->dev, r, &choice, &s->route);
    ops->gather_rows(m->dev, &sorted, in, r->token);
    ops->linear_grouped(m->dev, &gate_up, &sorted, y->gate_up, y->gate_up_bias, r);
    lora_apply_experts(m, i, LORA_EXPERTS_GATE_UP, &sorted, &gate_up);
    ops->gated(m->dev, &gated, &gate_up, &s->expert_gate);
    ops->linear_grouped(m->dev, &down, &gated, y->down, y->down_bias, r);
    lora_apply_experts(m, i, LORA_EXPERTS_DOWN, &gated, &down);
    ops->combine(m->dev, out, &down, r);
}

/* Shows a [T, C] buffer to a test. */
static int tap(struct forward *f, const struct batch *b, int i, const float *from, float *host,
               struct err *e)
{
    struct model *m = f->m;
    int64_t bytes = f->T * m->spec.width * (int64_t)sizeof *host;
    if (!b->tap)
        return 0;
    m->dev->ops->download(m->dev, host, from, bytes);
    if (m->dev->ops->sync(m->dev, e) < 0)
        return -1;
    b->tap(b->tap_arg, i, host, f->T, m->spec.width);
    return 0;
}

static int run_layers(struct forward *f, const struct batch *b, float *host, struct err *e)
{
    struct model *m = f->m;
    int64_t C = m->spec.width;
    struct tensor x = rows_of(m->work.x, DT_F32, f->T, C);
    struct tensor out = rows_of(m->work.out, DT_F32, f->T, C);
    struct tensor normed = rows_of(m->work.normed, DT_F32, f->T, C);
    lora_embed(m, &x);
    for (int32_t i = 0; i < m->spec.layers; i++) {
        float *const *norm = m->layer[i].norm;
        if (b->tap)
            settle(f, NULL, NULL);
        if (tap(f, b, i, m->work.x, host, e) < 0)
            return -1;
        struct tensor in = enter(f, norm[NORM_ATTN_IN]);
        attend(f, i, &in, &out);
        leave(f, &out, &normed, norm[NORM_ATTN_OUT]);
        in = enter(f, norm[NORM_MLP_IN]);
        (m->spec.layer[i].sparse ? feed_experts : feed)(f, i, &in, &out);
        leave(f, &out, &normed, norm[NORM_MLP_OUT]);
    }
    settle(f, NULL, NULL);
    return 0;
}

/* The final norm, on the kept rows alone; of all tokens only where a test looks. */
static int keep_rows(struct forward *f, const struct batch *b, float *host, struct err *e)
{
    struct model *m = f->m;
    const struct spec *s = &m->spec;
    const struct dev_ops *ops = m->dev->ops;
    struct tensor x = rows_of(m->work.x, DT_F32, f->T, s->width);
    struct tensor out = rows_of(m->work.out, DT_F32, f->T, s->width);
    struct tensor last = rows_of(m->work.last, DT_F32, b->n_rows, s->width);
    struct tensor kept = rows_of(m->work.kept, m->act, b->n_rows, s->width);
    if (b->tap)
        ops->norm(m->dev, &out, &x, NULL, 1, m->final_norm, s->eps, s->norm_plus_one);
    if (tap(f, b, s->layers, m->work.out, host, e) < 0)
        return -1;
    if (b->n_rows) {
        ops->gather_rows(m->dev, &last, &x, m->work.rows);
        ops->norm(m->dev, &kept, &last, NULL, 1, m->final_norm, s->eps, s->norm_plus_one);
    }
    m->kept = b->n_rows;
    return 0;
}

int model_forward(struct model *m, const struct batch *b, struct err *e)
{
    check_batch(m, b);
    m->kept = 0;
    lora_begin(m, b);
    struct forward f = {.m = m, .T = b->tokens};
    send_batch(m, b, &f);
    float *host = b->tap ? xmalloc_n((size_t)(f.T * m->spec.width), sizeof *host) : NULL;
    int rc = run_layers(&f, b, host, e);
    if (rc == 0)
        rc = keep_rows(&f, b, host, e);
    free(host);
    /* Waits also because the batch's arrays are the caller's again from here on. */
    return rc < 0 ? rc : m->dev->ops->sync(m->dev, e);
}

/* ---- the head --------------------------------------------------------------- */

static struct tensor kept_rows(const struct model *m, int32_t r0, int32_t n)
{
    if (r0 < 0 || n < 0 || n > m->kept - r0)
        BUG("rows %d + %d of %d", r0, n, m->kept);
    int64_t row_bytes = m->spec.width * dtype_size(m->act);
    return rows_of((char *)m->work.kept + r0 * row_bytes, m->act, n, m->spec.width);
}

/* The kept rows from r0 on, n at most, that go through one head. */
static struct tensor head_rows(const struct model *m, int32_t r0, int32_t n, struct head *h)
{
    *h = (struct head){.scale = m->spec.head_scale, .soft_cap = m->spec.head_cap};
    return kept_rows(m, r0, lora_head(m, r0, n, &h->weight));
}

int model_logprob(struct model *m, int32_t r0, int32_t n, const int32_t *ids, float *out,
                  struct err *e)
{
    struct head h;
    (void)kept_rows(m, r0, n);
    for (int32_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= m->spec.vocab)
            BUG("id %d of %d", ids[i], m->spec.vocab);
    if (!n)
        return 0;
    send(m, m->work.picked, ids, (size_t)n, sizeof *ids);
    for (int64_t i = 0; i < n;) {
        struct tensor x = head_rows(m, r0 + (int32_t)i, n - (int32_t)i, &h);
        m->dev->ops->head_logprob(m->dev, m->work.logprobs + i, &x, &h,
                                  (int32_t *)m->work.picked + i);
        i += x.rows;
    }
    m->dev->ops->download(m->dev, out, m->work.logprobs, n * (int64_t)sizeof *out);
    return m->dev->ops->sync(m->dev, e);
}

int model_argmax(struct model *m, int32_t r0, int32_t n, int32_t *ids, float *logprob,
                 struct err *e)
{
    struct head h;
    (void)kept_rows(m, r0, n);
    if (!n)
        return 0;
    for (int64_t i = 0; i < n;) {
        struct tensor x = head_rows(m, r0 + (int32_t)i, n - (int32_t)i, &h);
        m->dev->ops->head_argmax(m->dev, (int32_t *)m->work.picked + i, m->work.logprobs + i,
                                 &x, &h);
        i += x.rows;
    }
    m->dev->ops->download(m->dev, ids, m->work.picked, n * (int64_t)sizeof *ids);
    m->dev->ops->download(m->dev, logprob, m->work.logprobs, n * (int64_t)sizeof *logprob);
    return m->dev->ops->sync(m->dev, e);
}

int model_logits(struct model *m, int32_t r0, int32_t n, float *out, struct err *e)
{
    struct head h;
    int64_t vocab = m->spec.vocab;
    (void)kept_rows(m, r0, n);
    for (int32_t i = 0, rows; i < n; i += rows) {
        rows = n - i < LOGIT_ROWS ? n - i : LOGIT_ROWS;
        struct tensor x = head_rows(m, r0 + i, rows, &h);
        rows = (int32_t)x.rows;
        struct tensor y = rows_of(m->work.logits, DT_F32, rows, vocab);
        m->dev->ops->head_logits(m->dev, &y, &x, &h);
        m->dev->ops->download(m->dev, out + i * vocab, m->work.logits,
                              rows * vocab * (int64_t)sizeof *out);
        if (m->dev->ops->sync(m->dev, e) < 0)
            return -1;
    }
    return 0;
}
