/* rows.c - cutting calls into rows and pieces, and the operations that are cut so. */
#include "dev/cpu/cpu.h"

#include <string.h>

/* Below this many multiply-adds (some microseconds) waking a thread costs more than it saves.
 */
enum { WORTH_WAKING = 1 << 18 };

void cpu_pieces(struct cpu *c, void (*fn)(void *arg, int i), void *arg, int64_t pieces,
                int64_t work)
{
    EXPECT(pieces <= INT32_MAX);
    if (work < WORTH_WAKING)
        for (int i = 0; i < pieces; i++)
            fn(arg, i);
    else
        pool_run(c->pool, fn, arg, (int)pieces);
}

int32_t cpu_owner(const int32_t *tiles, int32_t owners, int i)
{
    int32_t lo = 0, hi = owners - 1;
    while (lo < hi) {
        int32_t mid = (lo + hi + 1) / 2;
        if (tiles[mid] <= i)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

struct rows_cut {
    rows_fn *fn;
    const void *job;
    int64_t rows, step;
};

static void rows_piece(void *arg, int i)
{
    const struct rows_cut *r = arg;
    int64_t row = i * r->step, end = row + r->step;
    r->fn(r->job, row, end < r->rows ? end : r->rows);
}

void cpu_rows(struct cpu *c, rows_fn *fn, const void *job, int64_t rows, int64_t cost)
{
    int64_t step = cost > 0 && cost < 8192 ? 8192 / cost : 1;
    struct rows_cut r = {fn, job, rows, step};
    cpu_pieces(c, rows_piece, &r, (rows + step - 1) / step, rows * cost * 8);
}

/* ---- products --------------------------------------------------------------- */

struct widen {
    const struct kernels *k;
    const struct tensor *x;
    float *dst;
};

static void widen_rows(const void *job, int64_t row0, int64_t row1)
{
    const struct widen *j = job;
    for (int64_t r = row0; r < row1; r++)
        j->k->widen(j->dst + r * j->x->cols, (const uint16_t *)j->x->data + r * j->x->stride,
                    j->x->cols);
}

struct tiling {
    const struct tensor *x;
    char *dst;
    int64_t tiles;
};

static void tile_rows(const void *job, int64_t row0, int64_t row1)
{
    const struct tiling *j = job;
    int64_t bytes = j->x->cols * 2, row_bytes = TILE_K * 2;
    for (int64_t r = row0; r < row1; r++) {
        const char *src = (const char *)j->x->data + r * j->x->stride * 2;
        char *dst = j->dst + r / 16 * j->tiles * TILE_BYTES + r % 16 * row_bytes;
        for (int64_t at = 0; at < bytes; at += row_bytes, dst += TILE_BYTES) {
            int64_t n = bytes - at < row_bytes ? bytes - at : row_bytes;
            memcpy(dst, src + at, (size_t)n);
            memset(dst + n, 0, (size_t)(row_bytes - n));
        }
    }
}

/* Rows of bf16 in tiles, behind the kernels that take them so. */
static struct product tiled_product(struct cpu *c, const struct tensor *x,
                                    const struct weight *w)
{
    struct tiling j = {x, (char *)c->wide, (x->cols + TILE_K - 1) / TILE_K};
    cpu_rows(c, tile_rows, &j, x->rows, x->cols);
    return (struct product){
        .tiled = (const uint16_t *)(void *)c->wide, .tiles = j.tiles, .k = x->cols, .w = w};
}

struct product cpu_rows_product(struct cpu *c, const struct tensor *x, const struct weight *w)
{
    EXPECT(!w->shape.experts && x->cols == w->shape.k);
    if (x->dtype == DT_F32)
        return (struct product){.x = x->data, .stride = x->stride, .k = x->cols, .w = w};
    if (c->kernels->dot && w->shape.dtype != DT_F32)
        return (struct product){.half = x->data, .stride = x->stride, .k = x->cols, .w = w};
    EXPECT(x->rows <= cpu_most_rows(&c->limits) && x->cols <= c->limits.width);
    struct widen j = {c->kernels, x, c->wide};
    cpu_rows(c, widen_rows, &j, x->rows, x->cols);
    return (struct product){.x = c->wide, .stride = x->cols, .k = x->cols, .w = w};
}

struct product cpu_product(struct cpu *c, const struct tensor *x, const struct weight *w)
{
    if (!c->kernels->tiles || x->dtype != DT_BF16 || w->shape.dtype != DT_BF16)
        return cpu_rows_product(c, x, w);
    EXPECT(!w->shape.experts && x->cols == w->shape.k);
    EXPECT(x->rows <= cpu_most_rows(&c->limits) && x->cols <= c->limits.width);
    return tiled_product(c, x, w);
}

struct linear_cut {
    const struct kernels *k;
    struct linear_job job;
    int64_t rows, panel, strips; /* strips of TILE_ROWS rows; a panel's strips are neighbours */
};

static void linear_piece(void *arg, int i)
{
    const struct linear_cut *l = arg;
    int64_t block = i / l->strips * l->panel, strip = i % l->strips;
    int64_t blocks = l->job.p.w->blocks, end = block + l->panel;
    l->k->linear(&l->job, strip_row(l->rows, strip, l->strips),
                 strip_row(l->rows, strip + 1, l->strips), block, end < blocks ? end : blocks);
}

void cpu_linear(struct dev *d, const struct tensor *y, const struct tensor *x,
                const struct weight *w, const float *bias)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(y->rows == x->rows && y->cols == w->shape.n);
    if (y->rows == 0)
        return;
    struct linear_cut l = {c->kernels, {cpu_product(c, x, w), *y, bias}, y->rows, 0, 0};
    l.panel = c->kernels->panel(l.rows);
    l.strips = (l.rows + TILE_ROWS - 1) / TILE_ROWS;
    int64_t panels = (w->blocks + l.panel - 1) / l.panel;
    cpu_pieces(c, linear_piece, &l, panels * l.strips, l.rows * w->shape.n * w->shape.k);
}

/* ---- the rest ----------------------------------------------------------------- */

void cpu_norm(struct dev *d, const struct tensor *y, const struct tensor *x,
              const struct tensor *add, float add_scale, const float *w, float eps,
              bool plus_one)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(x->dtype == DT_F32);
    EXPECT(!y || (y->rows == x->rows && y->cols == x->cols && w));
    EXPECT(!add || (add->rows == x->rows && add->cols == x->cols && add->dtype == DT_F32));
    struct norm_job j = {.x = *x,
                         .has_y = y,
                         .has_add = add,
                         .plus_one = plus_one,
                         .add_scale = add_scale,
                         .eps = eps,
                         .w = w};
    if (y)
        j.y = *y;
    if (add)
        j.add = *add;
    cpu_rows(c, c->kernels->norm, &j, x->rows, x->cols);
}

void cpu_qk_norm_rope(struct dev *d, const struct tensor *q, const struct tensor *k,
                      const struct rope_args *a)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(q->rows == k->rows && q->dtype == DT_F32 && k->dtype == DT_F32);
    EXPECT(q->cols == (int64_t)a->heads * a->head_dim);
    EXPECT(k->cols == (int64_t)a->kv_heads * a->head_dim);
    EXPECT(a->rotary >= 0 && a->rotary <= a->head_dim && a->rotary % 2 == 0);
    struct rope_job j = {*q, *k, a};
    cpu_rows(c, c->kernels->rope, &j, q->rows, q->cols + k->cols);
}

void cpu_gated(struct dev *d, const struct tensor *y, const struct tensor *x,
               const struct gated_args *a)
{
    struct cpu *c = (struct cpu *)d;
    EXPECT(x->rows == y->rows && x->cols == 2 * y->cols && x->dtype == DT_F32);
    struct gated_job j = {*y, *x, a};
    cpu_rows(c, c->kernels->gated, &j, y->rows, 4 * y->cols);
}

struct gather {
    const struct tensor *y, *x;
    const int32_t *rows;
};

static void gather_rows(const void *job, int64_t row0, int64_t row1)
{
    const struct gather *j = job;
    int64_t size = dtype_size(j->y->dtype);
    for (int64_t r = row0; r < row1; r++) {
        EXPECT(j->rows[r] >= 0 && j->rows[r] < j->x->rows);
        memcpy((char *)j->y->data + r * j->y->stride * size,
               (const char *)j->x->data + j->rows[r] * j->x->stride * size,
               (size_t)(j->y->cols * size));
    }
}

void cpu_gather_rows(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const void *rows)
{
    EXPECT(y->cols == x->cols && y->dtype == x->dtype);
    struct gather j = {y, x, rows};
    cpu_rows((struct cpu *)d, gather_rows, &j, y->rows, y->cols);
}
