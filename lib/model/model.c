/* model.c - a model's life: configuration, memory, weights; and what its files say of it. */
#include "model/decoder.h"

#include <stdlib.h>

enum dtype model_auto_dtype(const struct ckpt *c)
{
    int64_t bf16 = 0, wide = 0;
    for (size_t i = 0; i < ckpt_count(c); i++) {
        const struct ckpt_tensor *t = ckpt_at(c, i);
        if (t->dtype == CKPT_BF16)
            bf16 += t->bytes;
        else if (t->dtype == CKPT_F32 || t->dtype == CKPT_F16)
            wide += t->bytes;
    }
    return bf16 > wide ? DT_BF16 : DT_F32;
}

static int add_eos(struct model_eos *out, const json_t *v, const char *file, struct err *e)
{
    enum { MAX = sizeof out->ids / sizeof *out->ids };
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
        return err_set(e, EXIT_CONFIG, "%s: eos_token_id is not an id or a list of ids", file);
    if (out->n == MAX)
        return err_set(e, EXIT_CONFIG, "%s: eos_token_id lists more than %d ids", file, MAX);
    out->ids[out->n++] = (int32_t)json_integer_value(v);
    return 0;
}

int model_eos(const struct ckpt *c, struct model_eos *out, struct err *e)
{
    const char *file = "generation_config.json";
    const json_t *v = json_object_get(ckpt_generation(c), "eos_token_id");
    *out = (struct model_eos){0};
    if (!v || json_is_null(v)) {
        file = "config.json";
        v = json_object_get(ckpt_config(c), "eos_token_id");
    }
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_array(v))
        return add_eos(out, v, file, e);
    for (size_t i = 0; i < json_array_size(v); i++)
        if (add_eos(out, json_array_get(v, i), file, e) < 0)
            return -1;
    return 0;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int make_kv(struct model *m, struct err *e)
{
    const struct spec *s = &m->spec;
    enum dtype dtype = m->config.dtype;
    int64_t position = (int64_t)s->layers * s->kv_heads * 2 * s->head_dim * dtype_size(dtype);
    m->info.page_bytes = position * KV_PAGE;
    int64_t pages = m->config.kv_bytes / m->info.page_bytes;
    int64_t most = ((int64_t)s->context + KV_PAGE - 1) / KV_PAGE * m->config.sequences;
    if (most && pages > most)
        pages = most;
    m->info.pages = pages < 1                     ? 1
                    : pages > INT32_MAX / KV_PAGE ? INT32_MAX / KV_PAGE
                                                  : (int32_t)pages;
    struct kv_shape shape = {s->layers, s->kv_heads, s->head_dim, m->info.pages, dtype};
    m->kv = m->dev->ops->kv_new(m->dev, &shape, e);
    return m->kv ? 0 : -1;
}

/* Rotary tables for the longest sequence that keys and values have room for. */
static int make_rope(struct model *m, struct err *e)
{
    const struct spec *s = &m->spec;
    struct dev *d = m->dev;
    int64_t room = (int64_t)m->info.pages * KV_PAGE;
    m->positions = room < s->context ? (int32_t)room : s->context;
    int64_t table = (int64_t)m->positions * s->rotary;
    int64_t bytes = table * s->ropes * (int64_t)sizeof(float);
    m->cos_sin = d->ops->alloc(d, bytes, e);
    if (!m->cos_sin)
        return -1;
    float *host = xmalloc((size_t)bytes);
    for (int32_t i = 0; i < s->ropes; i++)
        rope_fill(&s->rope[i], s->rotary, m->positions, host + i * table);
    d->ops->upload(d, m->cos_sin, host, bytes);
    int rc = d->ops->sync(d, e);
    free(host);
    if (s->long_after)
        m->places = xcalloc((size_t)m->config.batch_tokens, sizeof *m->places);
    return rc;
}

/* One buffer of the forward. */
struct need {
    void **at;
    int64_t rows, cols;
    enum dtype dtype;
};

static int make_work(struct model *m, struct err *e)
{
    const struct spec *s = &m->spec;
    struct work *w = &m->work;
    enum dtype act = m->act;
    int64_t T = m->config.batch_tokens, R = m->config.head_rows, C = s->width;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    int64_t a_list = (m->positions + KV_PAGE - 1) / KV_PAGE;
    int64_t E = s->experts, S = T * s->experts_used;
    int64_t ffn = larger(T * s->ffn, S * s->expert_ffn);
    struct routing *r = &w->routing;
    r->experts = s->experts;
    r->used = s->experts_used;
    bool norm_out = s->names.norm[NORM_ATTN_OUT] || s->names.norm[NORM_MLP_OUT];
    m->pages_max = 2 * T * a_list;
    const struct need needs[] = {
        {(void **)&w->x, T, C, DT_F32},
        {&w->in, T, C, act},
        {(void **)&w->qkv, T, q + 2 * kv, DT_F32},
        {&w->heads, T, q, act},
        {(void **)&w->gate_up, ffn, 2, DT_F32},
        {&w->gated, ffn, 1, act},
        {(void **)&w->choice, T, E, DT_F32},
        {(void **)&r->expert, S, 1, DT_I32},
        {(void **)&r->weight, S, 1, DT_F32},
        {(void **)&r->row, S, 1, DT_I32},
        {(void **)&r->token, S, 1, DT_I32},
        {(void **)&r->first, E ? E + 1 : 0, 1, DT_I32},
        {&w->sorted, S, C, DT_F32},
        {(void **)&w->out, T, C, DT_F32},
        {(void **)&w->normed, norm_out ? T : 0, C, DT_F32},
        {(void **)&w->last, R, C, DT_F32},
        {&w->kept, R, C, act},
        {&w->ids, T, 1, DT_I32},
        {&w->pos, T, 1, DT_I32},
        {&w->rows, R, 1, DT_I32},
        {&w->spans, T, sizeof(struct span), DT_U8},
        {&w->copies, T, sizeof(struct span), DT_U8},
        {&w->pages, m->pages_max, 1, DT_I32},
        {&w->picked, R, 1, DT_I32},
        {(void **)&w->logprobs, R, 1, DT_F32},
        {(void **)&w->logits, LOGIT_ROWS, s->vocab, DT_F32},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        const struct need *n = &needs[i];
        if (!n->rows || !n->cols)
            continue;
        *n->at = m->dev->ops->alloc(m->dev, n->rows * n->cols * dtype_size(n->dtype), e);
        if (!*n->at)
            return -1;
    }
    struct dev_limits limits = {
        .tokens = m->config.batch_tokens,
        .rows = m->config.head_rows,
        .heads = s->heads,
        .head_dim = s->head_dim,
        .vocab = s->vocab,
        .width = (int32_t)larger(larger(C, q), larger(s->ffn, s->expert_ffn)),
        .experts = s->experts,
        .used = s->experts_used};
    return m->dev->ops->reserve(m->dev, &limits, e);
}

static void free_work(struct model *m)
{
    struct work *w = &m->work;
    const struct routing *r = &w->routing;
    void *const all[] = {w->x,      w->in,     w->qkv,    w->heads,  w->gate_up,  w->gated,
                         w->out,    w->normed, w->last,   w->kept,   w->ids,      w->pos,
                         w->rows,   w->spans,  w->pages,  w->picked, w->logprobs, w->logits,
                         w->choice, w->sorted, r->expert, r->weight, r->row,      r->token,
                         r->first,  w->copies};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        m->dev->ops->free(m->dev, all[i]);
}

struct model *model_open(struct dev *d, const struct ckpt *c, const struct model_config *cfg,
                         struct err *e)
{
    if (cfg->batch_tokens < 1 || cfg->head_rows < 1 ||
        (cfg->dtype != DT_F32 && cfg->dtype != DT_BF16))
        BUG("model_config");
    struct dev_info info;
    struct model *m = xcalloc(1, sizeof *m);
    m->dev = d;
    m->config = *cfg;
    d->ops->info(d, &info);
    if (spec_read(&m->spec, ckpt_config(c), e) < 0 || load_weights(m, c, e) < 0) {
        err_prefix(e, "%s", ckpt_dir(c));
        model_close(m);
        return NULL;
    }
    /* A rounded activation may choose another expert, which changes far more than its bits. */
    m->act = info.bf16 && !m->spec.experts ? cfg->dtype : DT_F32;
    m->info.type = m->spec.type;
    m->info.vocab = m->spec.vocab;
    m->info.context = m->spec.context;
    if (m->spec.long_after && m->spec.long_after < m->spec.context)
        m->info.far_after = m->spec.long_after;
    if (make_kv(m, e) < 0 || make_rope(m, e) < 0 || make_work(m, e) < 0) {
        model_close(m);
        return NULL;
    }
    return m;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    lora_release(m);
    free_weights(m);
    free_work(m);
    m->dev->ops->free(m->dev, m->cos_sin);
    free(m->places);
    m->dev->ops->kv_free(m->dev, m->kv);
    spec_release(&m->spec);
    free(m);
}

void model_info(const struct model *m, struct model_info *out)
{
    *out = m->info;
}

void model_copy_page(struct model *m, int32_t to, int32_t from)
{
    m->dev->ops->kv_copy_page(m->dev, m->kv, to, from);
}
