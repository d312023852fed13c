/* weight.c - weights as plain rows. */
#include "dev/ref/ref.h"

#include <stdlib.h>

struct weight *ref_weight_new(struct dev *d, const struct weight_shape *s, struct err *e)
{
    (void)d;
    if (weight_shape_check(s, e) < 0)
        return NULL;
    int64_t experts = s->experts ? s->experts : 1;
    void *data = host_alloc(host_size(s->n, s->k, experts * dtype_size(s->dtype)), "a weight",
                            e);
    if (!data)
        return NULL;
    struct weight *w = xcalloc(1, sizeof *w);
    w->shape = *s;
    w->data = data;
    return w;
}

int ref_weight_rows(struct dev *d, struct weight *w, int64_t expert, int64_t row, int64_t rows,
                    const struct weight_source *src, struct err *e)
{
    (void)d;
    if (weight_source_check(&w->shape, expert, row, rows, src, e) < 0)
        return -1;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < w->shape.k; k++) {
            float x;
            weight_source_read(src, r, k, 1, &x);
            store(w->data, w->shape.dtype, (expert * w->shape.n + row + r) * w->shape.k + k, x);
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
