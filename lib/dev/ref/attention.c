/* attention.c - keys and values in pages, and attention over them. */
#include "dev/ref/ref.h"

#include <math.h>
#include <stdlib.h>

/* Elements of one page, all layers. */
static int64_t page_elems(const struct kv_shape *s)
{
    return (int64_t)s->layers * 2 * s->kv_heads * KV_PAGE * s->head_dim;
}

/* Index of element 0 of a key (v = 0) or value (v = 1). */
static int64_t slot(const struct kv_shape *s, int64_t page, int32_t layer, int v, int32_t g,
                    int32_t pos)
{
    int64_t i = ((page * s->layers + layer) * 2 + v) * s->kv_heads + g;
    return (i * KV_PAGE + pos % KV_PAGE) * s->head_dim;
}

struct kv *ref_kv_new(struct dev *d, const struct kv_shape *s, struct err *e)
{
    (void)d;
    if (kv_shape_check(s, e) < 0)
        return NULL;
    void *data = host_alloc(host_size(page_elems(s), s->pages, dtype_size(s->dtype)),
                            "keys and values", e);
    if (!data)
        return NULL;
    struct kv *kv = xcalloc(1, sizeof *kv);
    kv->shape = *s;
    kv->data = data;
    return kv;
}

void ref_kv_copy_page(struct dev *d, struct kv *kv, int32_t to, int32_t from)
{
    (void)d;
    EXPECT(to >= 0 && to < kv->shape.pages && from >= 0 && from < kv->shape.pages);
    int64_t bytes = page_elems(&kv->shape) * dtype_size(kv->shape.dtype);
    if (to != from)
        memcpy((char *)kv->data + to * bytes, (char *)kv->data + from * bytes, (size_t)bytes);
}

void ref_kv_free(struct dev *d, struct kv *kv)
{
    (void)d;
    if (!kv)
        return;
    host_free(kv->data);
    free(kv);
}

static int32_t page_of(const struct kv *kv, const struct spans *s, const struct span *sp,
                       int32_t pos)
{
    int32_t page = s->host_pages[sp->page0 + pos / KV_PAGE];
    EXPECT(page >= 0 && page < kv->shape.pages);
    return page;
}

void ref_kv_write(struct dev *d, struct kv *kv, int32_t layer, const struct tensor *k,
                  const struct tensor *v, const struct spans *s)
{
    (void)d;
    const struct kv_shape *n = &kv->shape;
    int64_t cols = (int64_t)n->kv_heads * n->head_dim;
    EXPECT(layer >= 0 && layer < n->layers && k->cols == cols && v->cols == cols);
    for (const struct span *sp = s->host; sp < s->host + s->n; sp++)
        for (int32_t i = 0; i < sp->count; i++) {
            int32_t pos = sp->start + i, page = page_of(kv, s, sp, pos);
            for (int32_t g = 0; g < n->kv_heads; g++)
                for (int32_t c = 0; c < n->head_dim; c++) {
                    store(kv->data, n->dtype, slot(n, page, layer, 0, g, pos) + c,
                          at(k, sp->first + i, g * n->head_dim + c));
                    store(kv->data, n->dtype, slot(n, page, layer, 1, g, pos) + c,
                          at(v, sp->first + i, g * n->head_dim + c));
                }
        }
}

/* One query against one key: scaled and capped. */
static double score(const struct kv *kv, const struct spans *s, const struct span *sp,
                    const struct tensor *q, int64_t t, int32_t h, int32_t key,
                    const struct attention_args *a)
{
    int32_t g = h / (a->heads / a->kv_heads);
    int64_t k = slot(&kv->shape, page_of(kv, s, sp, key), a->layer, 0, g, key);
    double sum = 0;
    for (int32_t c = 0; c < a->head_dim; c++)
        sum += at(q, t, (int64_t)h * a->head_dim + c) * load(kv->data, kv->shape.dtype, k + c);
    sum *= (double)a->scale;
    double cap = (double)a->soft_cap;
    return cap > 0 ? cap * tanh(sum / cap) : sum;
}

/* One head of one token: the maximum first, then the weighted sum. */
static void attend(const struct ref *r, const struct tensor *y, const struct kv *kv,
                   const struct spans *s, const struct span *sp, const struct tensor *q,
                   int32_t i, int32_t h, const struct attention_args *a)
{
    int64_t t = sp->first + i;
    int32_t pos = sp->start + i,
            first = a->window && pos >= a->window ? pos - a->window + 1 : 0;
    int32_t g = h / (a->heads / a->kv_heads);
    double max = a->sinks ? (double)a->sinks[h] : -INFINITY;
    for (int32_t j = first; j <= pos; j++)
        max = fmax(max, score(kv, s, sp, q, t, h, j, a));
    double sum = a->sinks ? exp((double)a->sinks[h] - max) : 0, *acc = r->scratch;
    for (int32_t c = 0; c < a->head_dim; c++)
        acc[c] = 0;
    for (int32_t j = first; j <= pos; j++) {
        double p = exp(score(kv, s, sp, q, t, h, j, a) - max);
        int64_t v = slot(&kv->shape, page_of(kv, s, sp, j), a->layer, 1, g, j);
        sum += p;
        for (int32_t c = 0; c < a->head_dim; c++)
            acc[c] += p * load(kv->data, kv->shape.dtype, v + c);
    }
    for (int32_t c = 0; c < a->head_dim; c++)
        put(y, t, (int64_t)h * a->head_dim + c, acc[c] / sum);
}

void ref_attention(struct dev *d, const struct tensor *y, const struct tensor *q,
                   const struct kv *kv, const struct spans *s, const struct attention_args *a)
{
    const struct ref *r = (struct ref *)d;
    EXPECT(r->scratch && a->head_dim == kv->shape.head_dim &&
           a->kv_heads == kv->shape.kv_heads);
    EXPECT(a->heads % a->kv_heads == 0 && a->layer >= 0 && a->layer < kv->shape.layers);
    EXPECT(q->cols == (int64_t)a->heads * a->head_dim && y->cols == q->cols);
    for (const struct span *sp = s->host; sp < s->host + s->n; sp++)
        for (int32_t i = 0; i < sp->count; i++)
            for (int32_t h = 0; h < a->heads; h++)
                attend(r, y, kv, s, sp, q, i, h, a);
}
