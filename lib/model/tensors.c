/* tensors.c - tensors of a checkpoint as weights and vectors on the device. */
#include "model/tensors.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PIECE_BYTES = 16 << 20 };

/* ---- finding them ----------------------------------------------------------- */

const char *tensor_name(struct loader *l, int32_t layer, const char *name, const char *suffix)
{
    buf_clear(&l->name);
    if (layer >= 0)
        buf_printf(&l->name, "%s%d.", l->m->spec.names.layers, (int)layer);
    buf_printf(&l->name, "%s%s", name, suffix);
    return l->name.p;
}

const struct ckpt_tensor *tensor_find(struct loader *l, const char *name)
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

static void list_shape(struct buf *b, const int64_t *shape, int nd)
{
    for (int i = 0; i < nd; i++)
        buf_printf(b, "%s%" PRId64, i ? ", " : "", shape[i]);
}

static int check_shape(const struct ckpt_tensor *t, const int64_t *shape, int nd, struct err *e)
{
    bool fits = t->nd == nd;
    for (int i = 0; i < nd && fits; i++)
        fits = t->shape[i] == shape[i];
    if (fits)
        return 0;
    struct buf has = {0}, want = {0};
    list_shape(&has, t->shape, t->nd);
    list_shape(&want, shape, nd);
    err_set(e, EXIT_CONFIG, "tensor \"%s\" is [%s]; config.json makes it [%s]", t->name,
            has.p ? has.p : "", want.p);
    buf_release(&has);
    buf_release(&want);
    return -1;
}

/* The tensor of that name and shape; NULL after an error. */
static const struct ckpt_tensor *need_shape(struct loader *l, const char *name,
                                            const int64_t *shape, int nd)
{
    const struct ckpt_tensor *t = tensor_find(l, name);
    if (!t) {
        err_set(l->e, EXIT_CONFIG, "tensor \"%s\" is missing", name);
        return NULL;
    }
    return check_shape(t, shape, nd, l->e) < 0 ? NULL : t;
}

static const struct ckpt_tensor *need(struct loader *l, const char *name, const int64_t *shape,
                                      int nd, enum dtype *dtype)
{
    const struct ckpt_tensor *t = need_shape(l, name, shape, nd);
    return t && take_dtype(t, dtype, l->e) < 0 ? NULL : t;
}

static const struct ckpt_tensor *need_bytes(struct loader *l, const char *name,
                                            const int64_t *shape, int nd)
{
    const struct ckpt_tensor *t = need_shape(l, name, shape, nd);
    if (t && t->dtype != CKPT_U8) {
        err_set(l->e, EXIT_CONFIG, "tensor \"%s\" is %s; MXFP4 must be U8", t->name,
                t->dtype_name);
        return NULL;
    }
    return t;
}

/* ---- weights ---------------------------------------------------------------- */

/* bf16 where nothing is lost, or where products are computed in it. */
static enum dtype keep_as(const struct loader *l, enum dtype stored)
{
    return stored == DT_BF16 || l->m->config.dtype == DT_BF16 ? DT_BF16 : DT_F32;
}

static int make_weight(struct loader *l, struct weight **out, const struct weight_shape *s)
{
    struct model *m = l->m;
    *out = m->dev->ops->weight_new(m->dev, s, l->e);
    if (!*out)
        return -1;
    int64_t params = s->n * s->k * (s->experts ? s->experts : 1);
    m->info.weight_bytes += dtype_bytes(s->dtype, params);
    m->info.params += params;
    return 0;
}

/* In pieces, so that a backend's staging memory stays small; src stands at the first row. */
static int fill_rows(struct loader *l, struct weight *w, int64_t expert, int64_t at,
                     int64_t rows, const struct weight_source *src)
{
    struct dev *d = l->m->dev;
    int64_t row_bytes = src->dtype == DT_MXFP4 ? src->stride / 2
                                               : src->stride * dtype_size(src->dtype);
    int64_t step = PIECE_BYTES / row_bytes / 64 * 64;
    if (step < 64)
        step = 64;
    if (src->transposed) /* a part of its rows would be a part of every line */
        step = rows;
    for (int64_t r = 0; r < rows; r += step) {
        struct weight_source piece = *src;
        piece.data = (const char *)src->data + r * row_bytes;
        if (src->scales)
            piece.scales = src->scales + r * (src->stride / MXFP4_BLOCK);
        if (d->ops->weight_rows(d, w, expert, at + r, rows - r < step ? rows - r : step, &piece,
                                l->e) < 0)
            return -1;
    }
    return 0;
}

/* Part i of n equal ones of a tensor has been packed.  The kernel maps some pages around those
 * that are touched, so the whole is let go once more behind its last part. */
static void let_go(const struct loader *l, const struct ckpt_tensor *t, int64_t i, int64_t n)
{
    struct ckpt_tensor part = *t;
    part.bytes = t->bytes / n;
    part.data = (const char *)t->data + i * part.bytes;
    ckpt_done_with(l->c, &part);
}

static int load_apart(struct loader *l, struct weight **out, int32_t layer, int32_t experts,
                      const char *prefix, const struct part *parts, int n, int64_t cols)
{
    int64_t count = experts ? experts : 1, rows = 0, at = 0;
    const struct ckpt_tensor **t = xcalloc((size_t)(count * n), sizeof *t);
    enum dtype *dtype = xcalloc((size_t)(count * n), sizeof *dtype), keep = DT_BF16;
    struct buf name = {0};
    int rc = 0;
    for (int64_t i = 0; i < count * n && rc == 0; i++) {
        const struct part *p = &parts[i % n];
        buf_clear(&name);
        if (experts)
            buf_printf(&name, "%s%d.", prefix, (int)(i / n));
        buf_puts(&name, p->name);
        t[i] = need(l, tensor_name(l, layer, name.p, ".weight"), (int64_t[]){p->rows, cols}, 2,
                    &dtype[i]);
        rc = t[i] ? 0 : -1;
        if (t[i] && keep_as(l, dtype[i]) == DT_F32)
            keep = DT_F32;
        rows += i < n ? p->rows : 0;
    }
    struct weight_shape s = {.n = rows, .k = cols, .experts = experts, .dtype = keep};
    if (rc == 0)
        rc = make_weight(l, out, &s);
    for (int64_t i = 0; i < count * n && rc == 0; at += parts[i++ % n].rows) {
        struct weight_source src = {.data = t[i]->data, .dtype = dtype[i], .stride = cols};
        rc = fill_rows(l, *out, i / n, at % rows, parts[i % n].rows, &src);
        let_go(l, t[i], 0, 1);
    }
    buf_release(&name);
    free(t);
    free(dtype);
    return rc;
}

int load_matrix(struct loader *l, struct weight **out, int32_t layer, const struct part *parts,
                int n, int64_t cols)
{
    return load_apart(l, out, layer, 0, NULL, parts, n, cols);
}

int load_experts_apart(struct loader *l, struct weight **out, int32_t layer, int32_t experts,
                       const char *prefix, const struct part *parts, int n, int64_t cols)
{
    return load_apart(l, out, layer, experts, prefix, parts, n, cols);
}

int load_experts_columns(struct loader *l, struct weight **out, int32_t layer, int32_t experts,
                         const struct part *part, int64_t cols)
{
    enum dtype dtype;
    const struct ckpt_tensor *t = need(l, tensor_name(l, layer, part->name, ""),
                                       (int64_t[]){experts, cols, part->rows}, 3, &dtype);
    if (!t)
        return -1;
    struct weight_shape s = {part->rows, cols, experts, keep_as(l, dtype)};
    if (make_weight(l, out, &s) < 0)
        return -1;
    for (int64_t e = 0; e < experts; e++) {
        struct weight_source src = {.data = (const char *)t->data + t->bytes / experts * e,
                                    .dtype = dtype,
                                    .stride = part->rows,
                                    .transposed = true};
        if (fill_rows(l, *out, e, 0, part->rows, &src) < 0)
            return -1;
        let_go(l, t, e, experts);
    }
    let_go(l, t, 0, 1);
    return 0;
}

int load_experts_mxfp4(struct loader *l, struct weight **out, int32_t layer, int32_t experts,
                       const struct part *part, int64_t cols)
{
    const int64_t shape[] = {experts, part->rows, cols / MXFP4_BLOCK, MXFP4_BLOCK / 2};
    const struct ckpt_tensor *blocks, *scales = NULL;
    blocks = need_bytes(l, tensor_name(l, layer, part->name, "_blocks"), shape, 4);
    if (blocks)
        scales = need_bytes(l, tensor_name(l, layer, part->name, "_scales"), shape, 3);
    if (!scales)
        return -1;
    struct weight_shape s = {part->rows, cols, experts, DT_MXFP4};
    if (make_weight(l, out, &s) < 0)
        return err_prefix(l->e, "tensor \"%s\"", blocks->name);
    for (int64_t e = 0; e < experts; e++) {
        struct weight_source src = {
            .data = (const char *)blocks->data + blocks->bytes / experts * e,
            .dtype = DT_MXFP4,
            .stride = cols,
            .scales = (const uint8_t *)scales->data + scales->bytes / experts * e};
        if (fill_rows(l, *out, e, 0, part->rows, &src) < 0)
            return -1;
        let_go(l, blocks, e, experts);
        let_go(l, scales, e, experts);
    }
    let_go(l, blocks, 0, 1);
    let_go(l, scales, 0, 1);
    return 0;
}

/* ---- vectors ---------------------------------------------------------------- */

/* experts > 0: each part is [experts, rows] */
static int load_floats(struct loader *l, float **out, int32_t layer, const struct part *parts,
                       int n, int32_t experts, const char *suffix)
{
    struct dev *d = l->m->dev;
    int64_t total = 0, at = 0, count = experts ? experts : 1;
    for (int i = 0; i < n; i++)
        total += parts[i].rows * count;
    float *host = xmalloc_n((size_t)total, sizeof *host);
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        enum dtype dtype;
        const int64_t shape[] = {count, parts[i].rows};
        const struct ckpt_tensor *t = need(l, tensor_name(l, layer, parts[i].name, suffix),
                                           experts ? shape : shape + 1, experts ? 2 : 1,
                                           &dtype);
        rc = t ? 0 : -1;
        for (int64_t k = 0; t && k < parts[i].rows * count; k++)
            host[at++] = ckpt_value(t, k);
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

int load_vector(struct loader *l, float **out, int32_t layer, const struct part *parts, int n,
                const char *suffix)
{
    return load_floats(l, out, layer, parts, n, 0, suffix);
}

int load_expert_bias(struct loader *l, float **out, int32_t layer, int32_t experts,
                     const struct part *part, const char *suffix)
{
    return load_floats(l, out, layer, part, 1, experts, suffix);
}

int load_linear(struct loader *l, struct weight **w, float **bias, bool has_bias, int32_t layer,
                const struct part *parts, int n, int64_t cols)
{
    if (load_matrix(l, w, layer, parts, n, cols) < 0)
        return -1;
    return has_bias ? load_vector(l, bias, layer, parts, n, ".bias") : 0;
}
