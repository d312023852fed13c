/* attention.c - pages of keys and values, and attention cut into tiles. */
#include "base/half.h"
#include "dev/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

struct kv *cpu_kv_new(struct dev *d, const struct kv_shape *s, struct err *e)
{
    (void)d;
    if (kv_shape_check(s, e) < 0)
        return NULL;
    int64_t size = dtype_size(s->dtype), heads = (int64_t)s->kv_heads * KV_PAGE * size;
    struct kv kv = {.shape = *s};
    kv.key_bytes = heads * s->head_dim;
    kv.val_bytes = heads * ((s->head_dim + LANES - 1) / LANES * LANES);
    kv.page_bytes = s->layers * (kv.key_bytes + kv.val_bytes);
    kv.data = host_alloc(host_size(kv.page_bytes, s->pages, 1), "keys and values", e);
    if (!kv.data)
        return NULL;
    struct kv *out = xmalloc(sizeof *out);
    *out = kv;
    return out;
}

void cpu_kv_copy_page(struct dev *d, struct kv *kv, int32_t to, int32_t from)
{
    (void)d;
    EXPECT(to >= 0 && to < kv->shape.pages && from >= 0 && from < kv->shape.pages);
    if (to != from)
        memcpy(kv->data + to * kv->page_bytes, kv->data + from * kv->page_bytes,
               (size_t)kv->page_bytes);
}

void cpu_kv_free(struct dev *d, struct kv *kv)
{
    (void)d;
    if (!kv)
        return;
    host_free(kv->data);
    free(kv);
}

static void store(char *p, enum dtype t, int64_t i, float x)
{
    if (t == DT_F32)
        ((float *)(void *)p)[i] = x;
    else
        ((uint16_t *)(void *)p)[i] = bf16_from_f32(x);
}

/* One token's keys and values of one layer, into its slot of a page. */
static void write_slot(const struct kv *kv, char *layer, int32_t slot, const float *k,
                       const float *v)
{
    const struct kv_shape *n = &kv->shape;
    char *vals = layer + kv->key_bytes;
    int64_t width = (n->head_dim + LANES - 1) / LANES * LANES;
    for (int32_t g = 0; g < n->kv_heads; g++)
        for (int32_t c = 0; c < n->head_dim; c++) {
            int64_t i = (int64_t)g * n->head_dim + c;
            store(layer, n->dtype, i * KV_PAGE + slot, k[i]);
            store(vals, n->dtype, (g * KV_PAGE + slot) * width + c, v[i]);
        }
}

struct kv_write {
    struct kv *kv;
    int32_t layer;
    const struct tensor *k, *v;
    const struct spans *s;
};

static void write_span(void *arg, int i)
{
    const struct kv_write *j = arg;
    const struct kv *kv = j->kv;
    const struct span *sp = &j->s->host[i];
    for (int32_t t = 0; t < sp->count; t++) {
        int32_t pos = sp->start + t, page = j->s->host_pages[sp->page0 + pos / KV_PAGE];
        EXPECT(page >= 0 && page < kv->shape.pages);
        char *layer = kv->data + page * kv->page_bytes +
                      j->layer * (kv->key_bytes + kv->val_bytes);
        int64_t row = sp->first + t;
        write_slot(kv, layer, pos % KV_PAGE, (const float *)j->k->data + row * j->k->stride,
                   (const float *)j->v->data + row * j->v->stride);
    }
}

void cpu_kv_write(struct dev *d, struct kv *kv, int32_t layer, const struct tensor *k,
                  const struct tensor *v, const struct spans *s)
{
    int64_t cols = (int64_t)kv->shape.kv_heads * kv->shape.head_dim;
    EXPECT(layer >= 0 && layer < kv->shape.layers && k->cols == cols && v->cols == cols);
    EXPECT(k->dtype == DT_F32 && v->dtype == DT_F32);
    struct kv_write j = {kv, layer, k, v, s};
    cpu_pieces((struct cpu *)d, write_span, &j, s->n, k->rows * cols * 8);
}

/* ---- attention ---------------------------------------------------------------- */

struct attention_cut {
    const struct kernels *k;
    struct attention_job job;
    const int32_t *tiles;              /* before span i */
    int32_t heads, head_parts, tokens; /* of a tile; parts of a group's heads */
};

static void attention_piece(void *arg, int i)
{
    const struct attention_cut *c = arg;
    const struct attention_args *a = c->job.a;
    int32_t owner = cpu_owner(c->tiles, c->job.s->n, i);
    const struct span *sp = &c->job.s->host[owner];
    int32_t n = i - c->tiles[owner], group = a->heads / a->kv_heads;
    struct attention_tile t = {.span = sp};
    int32_t part = n % c->head_parts;
    t.g = n / c->head_parts % a->kv_heads;
    t.first = n / c->head_parts / a->kv_heads * c->tokens;
    t.count = sp->count - t.first < c->tokens ? sp->count - t.first : c->tokens;
    t.head = t.g * group + part * c->heads;
    t.heads = group - part * c->heads < c->heads ? group - part * c->heads : c->heads;
    c->k->attention(&c->job, &t);
}

void cpu_attention(struct dev *d, const struct tensor *y, const struct tensor *q,
                   const struct kv *kv, const struct spans *s, const struct attention_args *a)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(a->head_dim == kv->shape.head_dim && a->kv_heads == kv->shape.kv_heads);
    EXPECT(a->heads % a->kv_heads == 0 && a->layer >= 0 && a->layer < kv->shape.layers);
    EXPECT(q->cols == (int64_t)a->heads * a->head_dim && y->cols == q->cols);
    EXPECT(q->dtype == DT_F32 && s->n <= c->limits.tokens);
    struct attention_cut cut = {c->kernels, {*y, *q, kv, s, a}, c->tiles, 0, 0, 0};
    int32_t group = a->heads / a->kv_heads;
    cut.heads = group < ATTENTION_ROWS ? group : ATTENTION_ROWS;
    cut.head_parts = (group + cut.heads - 1) / cut.heads;
    cut.tokens = ATTENTION_ROWS / cut.heads;
    int64_t tiles = 0, work = 0;
    for (int32_t i = 0; i < s->n; i++) {
        const struct span *sp = &s->host[i];
        for (int32_t p = 0; p <= (sp->start + sp->count - 1) / KV_PAGE; p++) {
            int32_t page = s->host_pages[sp->page0 + p];
            EXPECT(page >= 0 && page < kv->shape.pages);
        }
        c->tiles[i] = (int32_t)tiles;
        tiles += (int64_t)(sp->count + cut.tokens - 1) / cut.tokens * a->kv_heads *
                 cut.head_parts;
        EXPECT(tiles <= INT32_MAX);
        work += (int64_t)sp->count * (sp->start + sp->count) * q->cols;
    }
    cpu_pieces(c, attention_piece, &cut, tiles, work);
}
