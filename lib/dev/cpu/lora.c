/* lora.c - adapters' small products, for the rows of each adapter. */
#include "dev/cpu/cpu.h"

/* The group's rows and the first `cols` columns. */
static struct tensor part_of(const struct tensor *t, const struct lora_rows *g, int64_t cols)
{
    struct tensor part = *t;
    EXPECT(g->first >= 0 && g->rows >= 0 && g->rows <= t->rows - g->first && cols <= t->cols);
    part.data = (char *)t->data + g->first * t->stride * dtype_size(t->dtype);
    part.rows = g->rows;
    part.cols = cols;
    return part;
}

void cpu_lora_a(struct dev *d, const struct tensor *t, const struct tensor *x,
                const struct lora_rows *groups, int32_t n)
{
    EXPECT(t->dtype == DT_F32);
    for (int32_t i = 0; i < n; i++) {
        struct tensor to = part_of(t, &groups[i], groups[i].a->shape.n);
        struct tensor from = part_of(x, &groups[i], x->cols);
        cpu_linear(d, &to, &from, groups[i].a, NULL);
    }
}

struct add_cut {
    const struct kernels *k;
    struct lora_job job;
    int64_t rows, panel, strips; /* as in a product */
};

static void add_piece(void *arg, int i)
{
    const struct add_cut *a = arg;
    int64_t block = i / a->strips * a->panel, strip = i % a->strips;
    int64_t blocks = a->job.linear.p.w->blocks, end = block + a->panel;
    a->k->lora_add(&a->job, a->rows * strip / a->strips, a->rows * (strip + 1) / a->strips,
                   block, end < blocks ? end : blocks);
}

void cpu_lora_b(struct dev *d, const struct tensor *y, const struct tensor *t,
                const struct lora_rows *groups, int32_t n)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(y->dtype == DT_F32 && t->dtype == DT_F32);
    for (int32_t i = 0; i < n; i++) {
        const struct weight *b = groups[i].b;
        EXPECT(b->shape.n == y->cols);
        struct tensor to = part_of(y, &groups[i], y->cols);
        struct tensor from = part_of(t, &groups[i], b->shape.k);
        if (to.rows == 0)
            continue;
        struct add_cut a = {
            .k = c->kernels,
            .job = {.linear = {cpu_product(c, &from, b), to, NULL}, .scale = groups[i].scale},
            .rows = to.rows,
            .panel = c->kernels->panel(to.rows),
            .strips = (to.rows + TILE_ROWS - 1) / TILE_ROWS};
        int64_t panels = (b->blocks + a.panel - 1) / a.panel;
        cpu_pieces(c, add_piece, &a, panels * a.strips, to.rows * b->shape.n * b->shape.k);
    }
}
