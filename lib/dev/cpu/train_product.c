/* train_product.c - gradients of products: both operands are packed into scratch as weights and
 * rows, and the kernels of the forward multiply them.
 *
 * The gradient of a weight is computed tile by tile: one product for every unit, and their
 * tree, before the tile is written.  It is the same whatever the batch was cut into.
 */
#include "dev/cpu/train.h"

#include <string.h>

/* ---- a product of packed operands ------------------------------------------------ */

struct product_cut {
    const struct kernels *k;
    struct lora_job job;
    bool add;
    int64_t rows, panel, strips; /* as in cpu_linear() */
};

static void product_piece(void *arg, int i)
{
    const struct product_cut *p = arg;
    int64_t block = i / p->strips * p->panel, strip = i % p->strips;
    int64_t blocks = p->job.linear.p.w->blocks, end = block + p->panel;
    int64_t row0 = strip_row(p->rows, strip, p->strips);
    int64_t row1 = strip_row(p->rows, strip + 1, p->strips);
    end = end < blocks ? end : blocks;
    if (p->add)
        p->k->lora_add(&p->job, row0, row1, block, end);
    else
        p->k->linear(&p->job.linear, row0, row1, block, end);
}

static void zero_rows(const struct tensor *y)
{
    for (int64_t r = 0; r < y->rows; r++)
        memset((float *)y->data + r * y->stride, 0, (size_t)y->cols * sizeof(float));
}

void cpu_run_product(struct cpu *c, const struct tensor *y, const struct product *p,
                     float scale, bool add)
{
    struct product_cut cut = {.k = c->kernels,
                              .job = {.linear = {.p = *p, .y = *y}, .scale = scale},
                              .add = add || scale != 1,
                              .rows = y->rows,
                              .panel = c->kernels->panel(y->rows),
                              .strips = (y->rows + TILE_ROWS - 1) / TILE_ROWS};
    if (!y->rows)
        return;
    if (!add && scale != 1)
        zero_rows(y);
    int64_t panels = (p->w->blocks + cut.panel - 1) / cut.panel;
    cpu_pieces(c, product_piece, &cut, panels * cut.strips, y->rows * y->cols * p->k);
}

/* ---- by the input ----------------------------------------------------------------- */

/* Columns block0*16 .. of rows n0 .. n0+n-1 of w, as a weight with as many inputs. */
struct turned {
    const struct train_kernels *k;
    const struct weight *w;
    const char *data; /* of the expert */
    int64_t block0, n0, n;
    struct weight to; /* bf16 where the products are of such */
};

static void turn_block(void *arg, int i)
{
    const struct turned *t = arg;
    char *dst = t->to.data + i * t->to.block_bytes;
    int64_t k0 = (t->block0 + i) * LANES;
    bool half = t->to.shape.dtype == DT_BF16;
    for (int64_t n = 0; n < t->n; n += LANES, dst += LANES * LANES * (half ? 2 : 4)) {
        const char *block = t->data + (t->n0 + n) / LANES * t->w->block_bytes;
        if (half)
            t->k->unpack_pairs(dst, t->w, block, k0);
        else
            t->k->unpack((float *)(void *)dst, t->w, block, k0);
    }
}

/* Of the weight of an expert; the scratch holds as much as it can at once. */
static void input_back(struct cpu *c, const struct tensor *dx, const struct tensor *dy,
                       const struct weight *w, int64_t expert, float scale, bool add)
{
    enum { INPUTS = 1 << 14 };
    int64_t N = w->shape.n, K = w->shape.k, blocks = (K + LANES - 1) / LANES;
    bool half = dy->dtype == DT_BF16;
    struct turned t = {
        .k = c->kernels->train, .w = w, .data = w->data + expert * w->blocks * w->block_bytes};
    for (t.n0 = 0; t.n0 < N; t.n0 += INPUTS) {
        t.n = N - t.n0 < INPUTS ? N - t.n0 : INPUTS;
        /* Whole blocks, so that the last one needs no care. */
        int64_t wide = (t.n + LANES - 1) / LANES * LANES, fit = PACK / (wide * LANES);
        for (t.block0 = 0; t.block0 < blocks; t.block0 += fit) {
            int64_t some = blocks - t.block0 < fit ? blocks - t.block0 : fit;
            int64_t col = t.block0 * LANES, cols = some * LANES;
            struct tensor y = *dx;
            y.data = (float *)dx->data + col;
            y.cols = K - col < cols ? K - col : cols;
            t.to = (struct weight){
                .shape = {.n = y.cols, .k = t.n, .dtype = half ? DT_BF16 : DT_F32},
                .blocks = some,
                .block_bytes = wide * LANES * (half ? 2 : 4),
                .data = (char *)c->train->a};
            cpu_pieces(c, turn_block, &t, some, some * t.n * LANES * 4);
            struct product p = {.stride = dy->stride, .k = t.n, .w = &t.to};
            if (half)
                p.half = (const uint16_t *)dy->data + t.n0;
            else
                p.x = (const float *)dy->data + t.n0;
            cpu_run_product(c, &y, &p, scale, add || t.n0);
        }
    }
}

void cpu_linear_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                   const struct weight *w, float scale, bool add)
{
    EXPECT(dx->rows == dy->rows && dy->cols == w->shape.n && dx->cols == w->shape.k);
    EXPECT(dx->dtype == DT_F32 && !w->shape.experts);
    EXPECT(dy->dtype == DT_F32 ||
           (((struct cpu *)d)->kernels->dot && w->shape.dtype != DT_F32));
    input_back((struct cpu *)d, dx, dy, w, 0, scale, add);
}

static struct tensor some_rows(const struct tensor *t, int64_t first, int64_t rows)
{
    struct tensor part = *t;
    part.data = (char *)t->data + first * t->stride * dtype_size(t->dtype);
    part.rows = rows;
    return part;
}

void cpu_grouped_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct weight *w, const struct routing *r, float scale, bool add)
{
    EXPECT(dx->rows == dy->rows && dy->cols == w->shape.n && dx->cols == w->shape.k);
    EXPECT(w->shape.experts == r->experts && r->first[r->experts] == dy->rows);
    EXPECT(dy->dtype == DT_F32);
    for (int32_t e = 0; e < r->experts; e++) {
        int64_t first = r->first[e], rows = r->first[e + 1] - first;
        struct tensor to = some_rows(dx, first, rows), from = some_rows(dy, first, rows);
        if (rows)
            input_back((struct cpu *)d, &to, &from, w, e, scale, add);
    }
}

/* ---- by the weight ------------------------------------------------------------------ */

enum { DW_ROWS = 48, DW_BLOCKS = 4, DW_COLS = DW_BLOCKS * LANES };

/* Some outputs (rows of dw) and some inputs (columns) whose operands are packed. */
struct weight_back {
    const struct kernels *k;
    const struct tensor *dw, *dy, *x;
    const struct units *u;
    float scale;
    int64_t row0, rows, block0, blocks; /* of dw */
    int64_t tokens, ld;                 /* packed rows; from one output's to the next's */
    const int32_t *starts;              /* where a unit's rows are packed: at even places */
    bool half;                          /* a and b are bf16, b in pairs */
    char *a, *b;                        /* [rows][ld], [blocks][tokens][16] */
};

static void pack_a(void *arg, int i)
{
    const struct weight_back *w = arg;
    const struct train_kernels *k = w->k->train;
    int64_t row = (int64_t)i * LANES, n = w->rows - row < LANES ? w->rows - row : LANES;
    for (int32_t u = 0; u < w->u->n; u++) {
        int64_t first = w->u->first[u], count = w->u->first[u + 1] - first;
        int64_t at = row * w->ld + w->starts[u];
        if (w->half)
            k->turn_half((uint16_t *)(void *)w->a + at, w->ld, w->dy, first, count,
                         w->row0 + row, n);
        else
            k->turn((float *)(void *)w->a + at, w->ld, w->dy, first, count, w->row0 + row, n);
    }
}

static void pack_b(void *arg, int i)
{
    const struct weight_back *w = arg;
    int64_t size = w->half ? 2 : 4, col = (w->block0 + i) * LANES;
    for (int32_t u = 0; u < w->u->n; u++) {
        int64_t first = w->u->first[u], count = w->u->first[u + 1] - first;
        char *to = w->b + (i * w->tokens + w->starts[u]) * LANES * size;
        if (w->half)
            w->k->train->pack_pairs(to, w->x, first, count, col);
        else
            w->k->train->pack((float *)(void *)to, w->x, first, count, col);
    }
}

/* One tile of dw. */
struct dw_tile {
    const struct weight_back *w;
    int64_t row, rows, block, blocks; /* within what is packed */
    float tile[TREE_DEPTH][DW_ROWS * DW_COLS];
};

static void tile_leaf(struct dw_tile *t, int32_t unit, float *out)
{
    const struct weight_back *w = t->w;
    int64_t first = w->starts[unit], n = w->u->first[unit + 1] - w->u->first[unit];
    int64_t size = w->half ? 2 : 4;
    if (!n) {
        memset(out, 0, sizeof t->tile[0]);
        return;
    }
    struct weight b = {
        .shape = {.n = t->blocks * LANES, .k = n, .dtype = w->half ? DT_BF16 : DT_F32},
        .blocks = t->blocks,
        .block_bytes = w->tokens * LANES * size,
        .data = w->b + (t->block * w->tokens + first) * LANES * size};
    struct linear_job job = {.p = {.stride = w->ld, .k = n, .w = &b},
                             .y = {out, DT_F32, t->rows, t->blocks * LANES, DW_COLS}};
    if (w->half)
        job.p.half = (const uint16_t *)(const void *)w->a + t->row * w->ld + first;
    else
        job.p.x = (const float *)(const void *)w->a + t->row * w->ld + first;
    w->k->linear(&job, 0, t->rows, 0, t->blocks);
    /* Here and not behind the tree, whose parts may be in other processes. */
    for (int64_t i = 0; w->scale != 1 && i < t->rows * DW_COLS; i++)
        out[i] *= w->scale;
}

/* T(o, s) of the units' products, into tile[depth]. */
static void tile_tree(struct dw_tile *t, int depth, int32_t o, int32_t s)
{
    EXPECT(depth < TREE_DEPTH);
    if (o + s >= t->w->u->n) {
        tile_leaf(t, o, t->tile[depth]);
        return;
    }
    tile_tree(t, depth, o, 2 * s);
    tile_tree(t, depth + 1, o + s, 2 * s);
    t->w->k->train->add(t->tile[depth], t->tile[depth + 1], t->rows * DW_COLS);
}

static void dw_piece(void *arg, int i)
{
    const struct weight_back *w = arg;
    int64_t strips = (w->rows + DW_ROWS - 1) / DW_ROWS;
    int64_t block = i / strips * DW_BLOCKS, strip = i % strips;
    struct dw_tile t;
    t.w = w;
    t.row = w->rows * strip / strips;
    t.rows = w->rows * (strip + 1) / strips - t.row;
    t.block = block;
    t.blocks = w->blocks - block < DW_BLOCKS ? w->blocks - block : DW_BLOCKS;
    tile_tree(&t, 0, 0, 1);
    int64_t col = (w->block0 + block) * LANES, cols = w->dw->cols - col;
    if (cols > t.blocks * LANES)
        cols = t.blocks * LANES;
    for (int64_t r = 0; r < t.rows; r++) {
        float *to = (float *)w->dw->data + (w->row0 + t.row + r) * w->dw->stride + col;
        const float *from = t.tile[0] + r * DW_COLS;
        for (int64_t k = 0; k < cols; k++)
            to[k] = from[k];
    }
}

/* u: rows of dy and x, from its first to its last. */
static void weight_back(struct cpu *c, const struct tensor *dw, const struct tensor *dy,
                        const struct tensor *x, const struct units *u, float scale)
{
    struct weight_back w = {.k = c->kernels,
                            .dw = dw,
                            .dy = dy,
                            .x = x,
                            .u = u,
                            .scale = scale,
                            .starts = c->train->starts,
                            .half = c->kernels->dot && dy->dtype == DT_BF16 &&
                                    x->dtype == DT_BF16,
                            .a = (char *)c->train->a,
                            .b = (char *)c->train->b};
    for (int32_t i = 0; i < u->n; i++) {
        c->train->starts[i] = (int32_t)w.tokens;
        w.tokens += (u->first[i + 1] - u->first[i] + 1) / 2 * 2;
    }
    /* Not a power of two, so that rows do not fall into the same sets of a cache. */
    w.ld = (w.tokens + 15) / 16 * 16 + 16;
    int64_t blocks = (dw->cols + LANES - 1) / LANES;
    int64_t fit_a = PACK / w.ld / LANES * LANES, fit_b = PACK / (w.ld * LANES);
    EXPECT(fit_a > 0 && fit_b > 0);
    for (w.block0 = 0; w.block0 < blocks; w.block0 += fit_b) {
        w.blocks = blocks - w.block0 < fit_b ? blocks - w.block0 : fit_b;
        cpu_pieces(c, pack_b, &w, w.blocks, w.blocks * w.tokens * LANES * 4);
        for (w.row0 = 0; w.row0 < dw->rows; w.row0 += fit_a) {
            w.rows = dw->rows - w.row0 < fit_a ? dw->rows - w.row0 : fit_a;
            int64_t pieces = (w.rows + DW_ROWS - 1) / DW_ROWS *
                             ((w.blocks + DW_BLOCKS - 1) / DW_BLOCKS);
            cpu_pieces(c, pack_a, &w, (w.rows + LANES - 1) / LANES, w.rows * w.tokens * 4);
            cpu_pieces(c, dw_piece, &w, pieces, w.rows * w.blocks * LANES * (w.tokens + u->n));
        }
    }
}

void cpu_linear_dw(struct dev *d, const struct tensor *dw, const struct tensor *dy,
                   const struct tensor *x, const struct units *u, float scale)
{
    EXPECT(dw->rows == dy->cols && dw->cols == x->cols && dw->dtype == DT_F32);
    EXPECT(u->n >= 1 && u->n <= UNITS_MAX && u->first[u->n] <= dy->rows && dy->rows == x->rows);
    weight_back((struct cpu *)d, dw, dy, x, u, scale);
}

/* Where each unit's rows of an expert begin. */
static struct units bounds_of(struct cpu *c, const struct routing *r, int32_t e,
                              const struct units *u)
{
    int32_t row = r->first[e];
    for (int32_t i = 0; i <= u->n; i++) {
        while (row < r->first[e + 1] && r->token[row] < u->first[i])
            row++;
        c->train->bounds[i] = row;
    }
    return (struct units){c->train->bounds, u->n};
}

void cpu_grouped_dw(struct dev *d, const struct tensor *dw, int64_t dw_step,
                    const struct tensor *dy, const struct tensor *x, const struct routing *r,
                    const struct units *u, float scale)
{
    EXPECT(dw->rows == dy->cols && dw->cols == x->cols && dw->dtype == DT_F32);
    for (int32_t e = 0; e < r->experts; e++) {
        struct units mine = bounds_of((struct cpu *)d, r, e, u);
        struct tensor to = *dw;
        to.data = (float *)dw->data + e * dw_step;
        weight_back((struct cpu *)d, &to, dy, x, &mine, scale);
    }
}

/* ---- biases --------------------------------------------------------------------------- */

void cpu_tree(const struct tree *t, float *out, int64_t col0, int64_t cols)
{
    /* The tree without recursion: what stands at a depth waits for its other half. */
    struct {
        int32_t o, s;
        float sum[TREE_COLS];
    } wait[TREE_DEPTH];
    int depth = 0;
    int32_t o = 0, s = 1;
    for (;;) {
        for (; o + s < t->u->n; s *= 2) {
            EXPECT(depth < TREE_DEPTH);
            wait[depth].o = o;
            wait[depth++].s = -s; /* its first half is on the way */
        }
        t->sum(out, t->arg, t->u->first[o], t->u->first[o + 1], col0, cols);
        while (depth && wait[depth - 1].s > 0) {
            depth--;
            t->k->add(wait[depth].sum, out, cols);
            memcpy(out, wait[depth].sum, (size_t)cols * sizeof *out);
        }
        if (!depth)
            return;
        wait[depth - 1].s = -wait[depth - 1].s;
        memcpy(wait[depth - 1].sum, out, (size_t)cols * sizeof *out);
        o = wait[depth - 1].o + wait[depth - 1].s;
        s = 2 * wait[depth - 1].s;
    }
}

struct tree_cut {
    const struct tree *t;
    float *out;
    int64_t n;
};

static void tree_piece(void *arg, int i)
{
    const struct tree_cut *c = arg;
    int64_t col = (int64_t)i * TREE_COLS,
            cols = c->n - col < TREE_COLS ? c->n - col : TREE_COLS;
    cpu_tree(c->t, c->out + col, col, cols);
}

void cpu_tree_row(struct cpu *c, const struct tree *t, float *out, int64_t n, int64_t rows)
{
    struct tree_cut cut = {t, out, n};
    cpu_pieces(c, tree_piece, &cut, (n + TREE_COLS - 1) / TREE_COLS, rows * n * 4);
}

struct bias_sum {
    const struct train_kernels *k;
    const struct tensor *dy;
};

static void bias_sum(float *out, const void *arg, int64_t row0, int64_t row1, int64_t col0,
                     int64_t cols)
{
    const struct bias_sum *b = arg;
    b->k->sum_rows(out, b->dy, row0, row1, col0, cols);
}

static void bias_back(struct cpu *c, float *db, const struct tensor *dy, const struct units *u)
{
    struct bias_sum b = {c->kernels->train, dy};
    struct tree t = {c->kernels->train, u, bias_sum, &b};
    cpu_tree_row(c, &t, db, dy->cols, dy->rows);
}

void cpu_bias_db(struct dev *d, float *db, const struct tensor *dy, const struct units *u)
{
    EXPECT(dy->dtype == DT_F32 && u->first[u->n] <= dy->rows);
    bias_back((struct cpu *)d, db, dy, u);
}

void cpu_grouped_db(struct dev *d, float *db, const struct tensor *dy, const struct routing *r,
                    const struct units *u)
{
    for (int32_t e = 0; e < r->experts; e++) {
        struct units mine = bounds_of((struct cpu *)d, r, e, u);
        bias_back((struct cpu *)d, db + e * dy->cols, dy, &mine);
    }
}
