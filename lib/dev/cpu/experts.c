/* experts.c - tokens sorted by expert, and products cut by expert. */
#include "dev/cpu/cpu.h"

/* Counting sort of the tokens' experts, in the order of the tokens. */
static void sort_rows(const struct routing *r, int64_t tokens)
{
    int32_t *next = r->first; /* expert e's next row, which ends where the next one's begin */
    for (int32_t e = 0; e <= r->experts; e++)
        next[e] = 0;
    for (int64_t i = 0; i < tokens * r->used; i++)
        next[r->expert[i] + 1]++;
    for (int32_t e = 0; e < r->experts; e++)
        next[e + 1] += next[e];
    for (int64_t i = 0; i < tokens * r->used; i++) {
        int32_t row = next[r->expert[i]]++;
        r->row[i] = row;
        r->token[row] = (int32_t)(i / r->used);
    }
    for (int32_t e = r->experts; e > 0; e--)
        r->first[e] = r->first[e - 1];
    r->first[0] = 0;
}

void cpu_route(struct dev *d, const struct routing *r, const struct tensor *logits,
               const struct route_args *a)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(logits->cols == r->experts && r->used >= 1 && r->used <= r->experts);
    EXPECT(logits->dtype == DT_F32 && logits->rows * r->used <= INT32_MAX);
    struct route_job j = {*logits, r, a};
    cpu_rows(c, c->kernels->route, &j, logits->rows, 4 * logits->cols);
    sort_rows(r, logits->rows);
}

struct grouped_cut {
    const struct kernels *k;
    struct lora_job job; /* of the first expert; scale counts where `add` */
    bool add;
    const struct routing *r;
    const int32_t *tiles; /* before expert e */
};

/* A panel of one expert's outputs, a strip of its rows. */
static void grouped_piece(void *arg, int i)
{
    const struct grouped_cut *g = arg;
    int32_t e = cpu_owner(g->tiles, g->r->experts, i), first = g->r->first[e];
    int64_t rows = g->r->first[e + 1] - first, n = i - g->tiles[e];
    int64_t strips = (rows + TILE_ROWS - 1) / TILE_ROWS, strip = n % strips;
    int64_t panel = g->k->panel(rows), block = n / strips * panel;
    int64_t row0 = rows * strip / strips, row1 = rows * (strip + 1) / strips;
    struct lora_job job = g->job;
    struct linear_job *l = &job.linear;
    struct weight w = *l->p.w;
    int64_t end = block + panel < w.blocks ? block + panel : w.blocks;
    w.data += e * w.blocks * w.block_bytes;
    l->p.w = &w;
    if (l->p.half)
        l->p.half += first * l->p.stride;
    else
        l->p.x += first * l->p.stride;
    l->y.data = (char *)l->y.data + first * l->y.stride * dtype_size(l->y.dtype);
    if (l->bias)
        l->bias += e * w.shape.n;
    if (job.token)
        job.token += first;
    if (g->add)
        g->k->lora_add(&job, row0, row1, block, end);
    else
        g->k->linear(l, row0, row1, block, end);
}

/* Cuts the job's product, each row by its expert's part of w. */
static void run_grouped(struct cpu *c, struct grouped_cut *g, const struct tensor *x,
                        const struct weight *w)
{
    const struct tensor *y = &g->job.linear.y;
    const struct routing *r = g->r;
    EXPECT(w->shape.experts == r->experts && r->experts <= c->limits.experts);
    EXPECT(y->rows == x->rows && y->cols == w->shape.n && r->first[r->experts] == x->rows);
    if (y->rows == 0)
        return;
    struct weight one = *w; /* the first expert's; a piece moves on to its own */
    one.shape.experts = 0;
    g->k = c->kernels;
    g->tiles = c->tiles;
    g->job.linear.p = cpu_rows_product(c, x, &one);
    int64_t tiles = 0;
    for (int32_t e = 0; e < r->experts; e++) {
        int64_t rows = r->first[e + 1] - r->first[e], panel = c->kernels->panel(rows);
        EXPECT(rows >= 0);
        c->tiles[e] = (int32_t)tiles;
        tiles += (rows + TILE_ROWS - 1) / TILE_ROWS * ((w->blocks + panel - 1) / panel);
        EXPECT(tiles <= INT32_MAX);
    }
    cpu_pieces(c, grouped_piece, g, tiles, y->rows * w->shape.n * w->shape.k);
}

void cpu_linear_grouped(struct dev *d, const struct tensor *y, const struct tensor *x,
                        const struct weight *w, const float *bias, const struct routing *r)
{
    struct grouped_cut g = {.job.linear = {.y = *y, .bias = bias}, .r = r};
    run_grouped((struct cpu *)d, &g, x, w);
}

void cpu_lora_b_grouped(struct dev *d, const struct tensor *y, const struct tensor *t,
                        const struct lora_grouped *l, const struct routing *r)
{
    struct grouped_cut g = {.job = {.linear.y = *y,
                                    .scale = l->scale,
                                    .token = r->token,
                                    .whose = l->whose,
                                    .mine = l->mine},
                            .add = true,
                            .r = r};
    EXPECT(y->dtype == DT_F32 && t->dtype == DT_F32);
    run_grouped((struct cpu *)d, &g, t, l->b);
}

void cpu_combine(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct routing *r)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(x->cols == y->cols && x->rows == y->rows * r->used && x->dtype == DT_F32);
    struct combine_job j = {*y, *x, r};
    cpu_rows(c, c->kernels->combine, &j, y->rows, y->cols * r->used);
}
