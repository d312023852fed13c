/* lora.c - adapters' small products, for the rows of each adapter. */
#include "dev/ref/ref.h"

static struct tensor rows_of(const struct tensor *t, const struct lora_rows *g)
{
    struct tensor part = *t;
    EXPECT(g->first >= 0 && g->rows >= 0 && g->rows <= t->rows - g->first);
    part.data = (char *)t->data + g->first * t->stride * dtype_size(t->dtype);
    part.rows = g->rows;
    return part;
}

/* t = x a^T */
void ref_lora_a(struct dev *d, const struct tensor *t, const struct tensor *x,
                const struct lora_rows *groups, int32_t n)
{
    EXPECT(t->dtype == DT_F32);
    for (int32_t i = 0; i < n; i++) {
        struct tensor to = rows_of(t, &groups[i]), from = rows_of(x, &groups[i]);
        EXPECT(groups[i].a->shape.n <= t->cols);
        to.cols = groups[i].a->shape.n;
        ref_linear(d, &to, &from, groups[i].a, NULL);
    }
}

/* y += scale * t b^T */
void ref_lora_b(struct dev *d, const struct tensor *y, const struct tensor *t,
                const struct lora_rows *groups, int32_t n)
{
    (void)d;
    EXPECT(y->dtype == DT_F32);
    for (int32_t i = 0; i < n; i++) {
        const struct lora_rows *g = &groups[i];
        struct tensor to = rows_of(y, g), from = rows_of(t, g);
        EXPECT(!g->b->shape.experts && g->b->shape.k <= t->cols && g->b->shape.n == y->cols);
        from.cols = g->b->shape.k;
        for (int64_t r = 0; r < to.rows; r++)
            for (int64_t c = 0; c < to.cols; c++)
                put(&to, r, c, at(&to, r, c) + (double)g->scale * ref_dot(&from, r, g->b, c));
    }
}

/* y += scale * t b^T, each row by its expert, where its token is mine */
void ref_lora_b_grouped(struct dev *d, const struct tensor *y, const struct tensor *t,
                        const struct lora_grouped *g, const struct routing *r)
{
    (void)d;
    EXPECT(y->dtype == DT_F32 && y->rows == t->rows && r->first[r->experts] == t->rows);
    EXPECT(g->b->shape.experts == r->experts && g->b->shape.k == t->cols &&
           g->b->shape.n == y->cols);
    for (int64_t e = 0; e < r->experts; e++)
        for (int64_t row = r->first[e]; row < r->first[e + 1]; row++)
            for (int64_t c = 0; c < y->cols && g->whose[r->token[row]] == g->mine; c++)
                put(y, row, c,
                    at(y, row, c) + (double)g->scale * ref_dot(t, row, g->b, e * y->cols + c));
}
