/* weight.c - weights as plain rows. */
#include "dev/ref/ref.h"

#include <stdlib.h>

struct weight *ref_weight_new(struct dev *d, const struct weight_shape *s, struct err *e)
{
    (void)d;
    if (weight_shape_check(s, e) < 0)
        return NULL;
    int64_t n = s->n * s->k * (s->experts ? s->experts : 1);
    char *data = host_alloc(dtype_bytes(s->dtype, n), "a weight", e);
    if (!data)
        return NULL;
    struct weight *w = xcalloc(1, sizeof *w);
    w->shape = *s;
    w->data = data;
    if (s->dtype == DT_MXFP4)
        w->scales = (uint8_t *)data + n / 2;
    return w;
}

/* Blocks and scales as they come. */
static void copy_mxfp4(struct weight *w, int64_t row, int64_t rows,
                       const struct weight_source *src)
{
    int64_t k = w->shape.k;
    for (int64_t r = 0; r < rows; r++) {
        memcpy((char *)w->data + (row + r) * k / 2,
               (const char *)src->data + r * src->stride / 2, (size_t)k / 2);
        memcpy(w->scales + (row + r) * k / MXFP4_BLOCK,
               src->scales + r * src->stride / MXFP4_BLOCK, (size_t)k / MXFP4_BLOCK);
    }
}

int ref_weight_rows(struct dev *d, struct weight *w, int64_t expert, int64_t row, int64_t rows,
                    const struct weight_source *src, struct err *e)
{
    (void)d;
    if (weight_source_check(&w->shape, expert, row, rows, src, e) < 0)
        return -1;
    row += expert * w->shape.n;
    if (w->scales)
        copy_mxfp4(w, row, rows, src);
    else
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < w->shape.k; k++) {
                float x;
                weight_source_read(src, r, k, 1, &x);
                store(w->data, w->shape.dtype, (row + r) * w->shape.k + k, x);
            }
    return 0;
}

void ref_weight_free(struct dev *d, struct weight *w)
{
    (void)d;
    if (!w)
        return;
    host_free(w->data);
    free(w);
}
