/* load.c - weights from the map onto the device, every tensor of the checkpoint accounted for.
 */
#include "model/decoder.h"

#include "base/buf.h"
#include "dev/half.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PIECE_BYTES = 16 << 20, PARTS_MAX = 3 };

struct loader {
    struct model *m;
    const struct ckpt *c;
    bool *used;      /* [tensors] */
    struct buf name; /* of the tensor that is looked at */
    struct err *e;
};

/* A range of rows of a weight: a tensor, or where it is not the only one, a part of it. */
struct part {
    const char *name; /* without layer and suffix */
    int64_t rows;
};

/* "model.layers.3.mlp.down_proj.weight"; layer < 0: the name stands alone. */
static const char *full_name(struct loader *l, int32_t layer, const char *name,
                             const char *suffix)
{
    buf_clear(&l->name);
    if (layer >= 0)
        buf_printf(&l->name, "%s%d.", l->m->spec.names.layers, (int)layer);
    buf_printf(&l->name, "%s%s", name, suffix);
    return l->name.p;
}

static const struct ckpt_tensor *find(struct loader *l, const char *name)
{
    size_t lo = 0, hi = ckpt_count(l->c);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(name, ckpt_at(l->c, mid)->name);
        if (order == 0) {
            l->used[mid] = true;
            return ckpt_at(l->c, mid);
        }
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static int take_dtype(const struct ckpt_tensor *t, enum dtype *out, struct err *e)
{
    switch (t->dtype) {
    case CKPT_F32: *out = DT_F32; return 0;
    case CKPT_F16: *out = DT_F16; return 0;
    case CKPT_BF16: *out = DT_BF16; return 0;
    default:
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" is %s; weights must be F32, F16 or BF16",
                       t->name, t->dtype_name);
    }
}

static int wrong_shape(const struct ckpt_tensor *t, int64_t rows, int64_t cols, struct err *e)
{
    struct buf has = {0};
    for (int i = 0; i < t->nd; i++)
        buf_printf(&has, "%s%" PRId64, i ? ", " : "", t->shape[i]);
    if (cols)
        err_set(e, EXIT_CONFIG,
                "tensor \"%s\" is [%s]; config.json makes it [%" PRId64 ", %" PRId64 "]",
                t->name, has.p ? has.p : "", rows, cols);
    else
        err_set(e, EXIT_CONFIG, "tensor \"%s\" is [%s]; config.json makes it [%" PRId64 "]",
                t->name, has.p ? has.p : "", rows);
    buf_release(&has);
    return -1;
}

/* The tensor of that name, rows x cols of it, or for cols = 0 a vector; NULL after an error. */
static const struct ckpt_tensor *need(struct loader *l, const char *name, int64_t rows,
                                      int64_t cols, enum dtype *dtype)
{
    const struct ckpt_tensor *t = find(l, name);
    if (!t) {
        err_set(l->e, EXIT_CONFIG, "tensor \"%s\" is missing", name);
        return NULL;
    }
    bool fits = t->nd == (cols ? 2 : 1) && t->shape[0] == rows &&
                (!cols || t->shape[1] == cols);
    if (!fits) {
        wrong_shape(t, rows, cols, l->e);
        return NULL;
    }
    return take_dtype(t, dtype, l->e) < 0 ? NULL : t;
}

/* In pieces, so that a backend's staging memory stays small. */
static int fill_rows(struct loader *l, struct weight *w, int64_t at,
                     const struct ckpt_tensor *t, enum dtype dtype)
{
    struct dev *d = l->m->dev;
    int64_t rows = t->shape[0], cols = t->shape[1], row_bytes = cols * dtype_size(dtype);
    int64_t step = PIECE_BYTES / row_bytes / 64 * 64;
    if (step < 64)
        step = 64;
    for (int64_t r = 0; r < rows; r += step) {
        int64_t n = rows - r < step ? rows - r : step;
        struct weight_source src = {
            .data = (const char *)t->data + r * row_bytes, .dtype = dtype, .stride = cols};
        if (d->ops->weight_rows(d, w, 0, at + r, n, &src, l->e) < 0)
            return -1;
    }
    ckpt_done_with(l->c, t);
    return 0;
}

/* One weight from the parts, one under the other; each has `cols` columns.  Kept as bf16 where
 * nothing is lost, or where products are computed in it. */
static int load_matrix(struct loader *l, struct weight **out, int32_t layer,
                       const struct part *parts, int n, int64_t cols)
{
    const struct ckpt_tensor *t[PARTS_MAX];
    enum dtype dtype[PARTS_MAX], keep = DT_BF16;
    struct model *m = l->m;
    int64_t rows = 0;
    for (int i = 0; i < n; i++) {
        t[i] = need(l, full_name(l, layer, parts[i].name, ".weight"), parts[i].rows, cols,
                    &dtype[i]);
        if (!t[i])
            return -1;
        if (dtype[i] != DT_BF16 && m->config.dtype == DT_F32)
            keep = DT_F32;
        rows += parts[i].rows;
    }
    struct weight_shape s = {.n = rows, .k = cols, .dtype = keep};
    *out = m->dev->ops->weight_new(m->dev, &s, l->e);
    if (!*out)
        return -1;
    m->info.weight_bytes += rows * cols * dtype_size(keep);
    m->info.params += rows * cols;
    int64_t at = 0;
    for (int i = 0; i < n; at += parts[i++].rows)
        if (fill_rows(l, *out, at, t[i], dtype[i]) < 0)
            return -1;
    return 0;
}

static float element(const struct ckpt_tensor *t, enum dtype dtype, int64_t i)
{
    float f;
    uint16_t h;
    if (dtype == DT_F32) {
        memcpy(&f, (const char *)t->data + 4 * i, 4);
        return f;
    }
    memcpy(&h, (const char *)t->data + 2 * i, 2);
    return dtype == DT_BF16 ? bf16_to_f32(h) : f16_to_f32(h);
}

/* One f32 vector from the parts, end to end. */
static int load_vector(struct loader *l, float **out, int32_t layer, const struct part *parts,
                       int n, const char *suffix)
{
    struct dev *d = l->m->dev;
    int64_t total = 0, at = 0;
    for (int i = 0; i < n; i++)
        total += parts[i].rows;
    float *host = xmalloc_n((size_t)total, sizeof *host);
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        enum dtype dtype;
        const struct ckpt_tensor *t = need(l, full_name(l, layer, parts[i].name, suffix),
                                           parts[i].rows, 0, &dtype);
        rc = t ? 0 : -1;
        for (int64_t k = 0; t && k < parts[i].rows; k++)
            host[at++] = element(t, dtype, k);
    }
    if (rc == 0) {
        *out = d->ops->alloc(d, total * (int64_t)sizeof *host, l->e);
        rc = *out ? 0 : -1;
    }
    if (rc == 0) {
        d->ops->upload(d, *out, host, total * (int64_t)sizeof *host);
        rc = d->ops->sync(d, l->e);
        l->m->info.weight_bytes += total * (int64_t)sizeof *host;
        l->m->info.params += total;
    }
    free(host);
    return rc;
}

/* A matrix and, where the architecture has one, its bias. */
static int load_linear(struct loader *l, struct weight **w, float **bias, bool has_bias,
                       int32_t layer, const struct part *parts, int n, int64_t cols)
{
    if (load_matrix(l, w, layer, parts, n, cols) < 0)
        return -1;
    return has_bias ? load_vector(l, bias, layer, parts, n, ".bias") : 0;
}

static int load_norms(struct loader *l, struct layer *y, int32_t i)
{
    const struct spec *s = &l->m->spec;
    const struct names *n = &s->names;
    for (int p = 0; p < NORM_PLACES; p++)
        if (n->norm[p] &&
            load_vector(l, &y->norm[p], i, &(struct part){n->norm[p], s->width}, 1, ".weight"))
            return -1;
    int64_t q = s->head_dim, k = s->head_dim;
    if (s->qk_norm_whole) {
        q *= s->heads;
        k *= s->kv_heads;
    }
    if (!n->q_norm)
        return 0;
    if (load_vector(l, &y->q_norm, i, &(struct part){n->q_norm, q}, 1, ".weight") < 0)
        return -1;
    return load_vector(l, &y->k_norm, i, &(struct part){n->k_norm, k}, 1, ".weight");
}

static int load_layer(struct loader *l, struct layer *y, int32_t i)
{
    const struct spec *s = &l->m->spec;
    const struct names *n = &s->names;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    const struct part apart[] = {{n->q, q}, {n->k, kv}, {n->v, kv}};
    const struct part fused = {n->qkv, q + 2 * kv};
    const struct part gate_up[] = {{n->gate, s->ffn}, {n->up, s->ffn}};
    const struct part gate_up_fused = {n->gate_up, 2 * (int64_t)s->ffn};
    const struct part o = {n->o, s->width}, down = {n->down, s->width};
    if (load_norms(l, y, i) < 0)
        return -1;
    if (load_linear(l, &y->qkv, &y->qkv_bias, s->qkv_bias, i, n->qkv ? &fused : apart,
                    n->qkv ? 1 : 3, s->width) < 0 ||
        load_linear(l, &y->o, &y->o_bias, s->o_bias, i, &o, 1, q) < 0)
        return -1;
    if (load_linear(l, &y->gate_up, &y->gate_up_bias, s->gate_up_bias, i,
                    n->gate_up ? &gate_up_fused : gate_up, n->gate_up ? 1 : 2, s->width) < 0)
        return -1;
    return load_linear(l, &y->down, &y->down_bias, s->down_bias, i, &down, 1, s->ffn);
}

/* A tied model may have its head stored once more; anything but the same bytes is refused. */
static int check_tied(struct loader *l)
{
    const struct names *n = &l->m->spec.names;
    const struct ckpt_tensor *head = find(l, full_name(l, -1, n->head, ".weight"));
    const struct ckpt_tensor *embed = find(l, full_name(l, -1, n->embed, ".weight"));
    if (!head || (head->dtype == embed->dtype && head->bytes == embed->bytes &&
                  !memcmp(head->data, embed->data, (size_t)head->bytes)))
        return 0;
    return err_set(l->e, EXIT_CONFIG,
                   "tensor \"%s\" differs from \"%s\", though tie_word_embeddings is true",
                   head->name, embed->name);
}

/* Tables that old checkpoints hold and that are computed here. */
static bool computed_here(const char *name)
{
    static const char tail[] = ".rotary_emb.inv_freq";
    size_t n = strlen(name);
    return n >= sizeof tail && !strcmp(name + n - (sizeof tail - 1), tail);
}

static int check_surplus(struct loader *l)
{
    const char *first = NULL;
    size_t more = 0;
    for (size_t i = 0; i < ckpt_count(l->c); i++) {
        if (l->used[i] || computed_here(ckpt_at(l->c, i)->name))
            continue;
        if (first)
            more++;
        else
            first = ckpt_at(l->c, i)->name;
    }
    if (!first)
        return 0;
    return err_set(l->e, EXIT_CONFIG,
                   "tensor \"%s\" is not one of a %s with this config.json (and %zu more)",
                   first, l->m->spec.type, more);
}

static int load_all(struct loader *l)
{
    struct model *m = l->m;
    const struct spec *s = &m->spec;
    const struct part embed = {s->names.embed, s->vocab}, head = {s->names.head, s->vocab};
    if (load_matrix(l, &m->embed, -1, &embed, 1, s->width) < 0)
        return -1;
    for (int32_t i = 0; i < s->layers; i++)
        if (load_layer(l, &m->layer[i], i) < 0)
            return -1;
    if (load_vector(l, &m->final_norm, -1, &(struct part){s->names.final_norm, s->width}, 1,
                    ".weight") < 0)
        return -1;
    if (s->tied) {
        m->head = m->embed;
        if (check_tied(l) < 0)
            return -1;
    } else if (load_matrix(l, &m->head, -1, &head, 1, s->width) < 0) {
        return -1;
    }
    return check_surplus(l) < 0 ? -1 : m->dev->ops->sync(m->dev, l->e);
}

int load_weights(struct model *m, const struct ckpt *c, struct err *e)
{
    struct loader l = {.m = m, .c = c, .e = e, .used = xcalloc(ckpt_count(c), sizeof(bool))};
    m->layer = xcalloc((size_t)m->spec.layers, sizeof *m->layer);
    int rc = load_all(&l);
    buf_release(&l.name);
    free(l.used);
    return rc;
}

static void free_layer(struct dev *d, struct layer *y)
{
    struct weight *const weights[] = {y->qkv, y->o, y->gate_up, y->down};
    float *const vectors[] = {y->qkv_bias,  y->o_bias, y->gate_up_bias,
                              y->down_bias, y->q_norm, y->k_norm};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        d->ops->weight_free(d, weights[i]);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        d->ops->free(d, vectors[i]);
    for (int p = 0; p < NORM_PLACES; p++)
        d->ops->free(d, y->norm[p]);
}

void free_weights(struct model *m)
{
    for (int32_t i = 0; m->layer && i < m->spec.layers; i++)
        free_layer(m->dev, &m->layer[i]);
    free(m->layer);
    if (m->head != m->embed)
        m->dev->ops->weight_free(m->dev, m->head);
    m->dev->ops->weight_free(m->dev, m->embed);
    m->dev->ops->free(m->dev, m->final_norm);
}
