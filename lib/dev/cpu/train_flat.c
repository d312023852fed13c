/* train_flat.c - the embedding's gradient, flat buffers, scratch, and the table. */
#include "dev/cpu/train.h"

#include <string.h>

/* ---- the embedding ---------------------------------------------------------------- */

/* Tokens by id: those of id i are order[next[i] ..], ascending. */
struct embed_back {
    const struct train_kernels *k;
    const struct tensor *dw, *dx;
    const struct units *u;
    const int32_t *ids, *order, *group; /* group[g]: where its tokens begin in order */
    float scale;
};

struct group_sum {
    const struct embed_back *e;
    const int32_t *tokens;
    int32_t n;
};

/* The rows of one unit: those tokens of the group that lie in it. */
static void group_sum(float *out, const void *arg, int64_t row0, int64_t row1, int64_t col0,
                      int64_t cols)
{
    const struct group_sum *g = arg;
    memset(out, 0, (size_t)cols * sizeof *out);
    for (int32_t i = 0; i < g->n; i++)
        if (g->tokens[i] >= row0 && g->tokens[i] < row1)
            g->e->k->add(out,
                         (const float *)g->e->dx->data + g->tokens[i] * g->e->dx->stride + col0,
                         cols);
    for (int64_t k = 0; k < cols; k++)
        out[k] *= g->e->scale;
}

static void group_piece(void *arg, int i)
{
    const struct embed_back *e = arg;
    struct group_sum g = {e, e->order + e->group[i], e->group[i + 1] - e->group[i]};
    struct tree t = {e->k, e->u, group_sum, &g};
    float *to = (float *)e->dw->data + (int64_t)e->ids[g.tokens[0]] * e->dw->stride;
    for (int64_t col = 0; col < e->dw->cols; col += TREE_COLS) {
        int64_t cols = e->dw->cols - col < TREE_COLS ? e->dw->cols - col : TREE_COLS;
        cpu_tree(&t, to + col, col, cols);
    }
}

/* Merges two ascending runs of tokens by id; equal ids keep their order. */
static void merge(const int32_t *ids, const int32_t *from, int32_t *to, int32_t a, int32_t mid,
                  int32_t end)
{
    int32_t b = mid;
    for (int32_t i = a, o = a; o < end; o++) {
        bool left = i < mid && (b >= end || ids[from[i]] <= ids[from[b]]);
        to[o] = left ? from[i++] : from[b++];
    }
}

/* Sorted tokens in order or order + n: which of them is told. */
static int32_t *sort_tokens(const int32_t *ids, int32_t *order, int32_t n)
{
    int32_t *from = order, *to = order + n;
    for (int32_t i = 0; i < n; i++)
        from[i] = i;
    for (int32_t run = 1; run < n; run *= 2) {
        for (int32_t i = 0; i < n; i += 2 * run) {
            int32_t mid = i + run < n ? i + run : n, end = mid + run < n ? mid + run : n;
            merge(ids, from, to, i, mid, end);
        }
        int32_t *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

static void zero_piece(void *arg, int i)
{
    const struct tensor *dw = arg;
    int64_t row0 = (int64_t)i * 64, row1 = row0 + 64 < dw->rows ? row0 + 64 : dw->rows;
    for (int64_t r = row0; r < row1; r++)
        memset((float *)dw->data + r * dw->stride, 0, (size_t)dw->cols * sizeof(float));
}

void cpu_embed_dw(struct dev *d, const struct tensor *dw, const struct tensor *dx,
                  const void *ids, const struct units *u, float scale)
{
    struct cpu *c = (struct cpu *)d;
    int32_t n = (int32_t)dx->rows, groups = 0;
    EXPECT(dw->cols == dx->cols && n <= c->train->limits.tokens);
    struct tensor all = *dw;
    cpu_pieces(c, zero_piece, &all, (dw->rows + 63) / 64, dw->rows * dw->cols);
    struct embed_back e = {.k = c->kernels->train,
                           .dw = dw,
                           .dx = dx,
                           .u = u,
                           .ids = ids,
                           .order = sort_tokens(ids, c->train->order, n),
                           .scale = scale};
    int32_t *group = c->train->order + 2 * n;
    for (int32_t i = 0; i < n; i++)
        if (i == 0 || e.ids[e.order[i]] != e.ids[e.order[i - 1]])
            group[groups++] = i;
    group[groups] = n;
    e.group = group;
    cpu_pieces(c, group_piece, &e, groups, dx->rows * dx->cols * 4);
}

/* ---- flat buffers -------------------------------------------------------------------- */

struct add_job {
    const struct train_kernels *k;
    float *y;
    const float *x;
    int64_t n;
};

static void add_chunks(const void *job, int64_t chunk0, int64_t chunk1)
{
    const struct add_job *j = job;
    int64_t i = chunk0 * FLAT_CHUNK,
            end = chunk1 * FLAT_CHUNK < j->n ? chunk1 * FLAT_CHUNK : j->n;
    j->k->add(j->y + i, j->x + i, end - i);
}

static int64_t chunks_of(int64_t n)
{
    return (n + FLAT_CHUNK - 1) / FLAT_CHUNK;
}

static void cpu_add(struct dev *d, float *y, const float *x, int64_t n)
{
    struct cpu *c = (struct cpu *)d;
    struct add_job j = {c->kernels->train, y, x, n};
    cpu_rows(c, add_chunks, &j, chunks_of(n), FLAT_CHUNK);
}

static void cpu_sum_squares(struct dev *d, double *out, const float *x, int64_t n)
{
    struct cpu *c = (struct cpu *)d;
    enum { SOME = 1024 }; /* chunks whose sums there is room for */
    *out = 0;
    for (int64_t i = 0; i < n; i += (int64_t)SOME * FLAT_CHUNK) {
        int64_t some = n - i < (int64_t)SOME * FLAT_CHUNK ? n - i : (int64_t)SOME * FLAT_CHUNK;
        double sums[SOME];
        struct squares_job j = {x + i, some, sums};
        cpu_rows(c, c->kernels->train->squares, &j, chunks_of(some), FLAT_CHUNK);
        for (int64_t k = 0; k < chunks_of(some); k++)
            *out += sums[k];
    }
}

static void cpu_adamw(struct dev *d, float *w, float *m, float *v, const float *g, int64_t n,
                      const struct adamw_args *a)
{
    struct cpu *c = (struct cpu *)d;
    struct adamw_job j = {w, m, v, g, n, a};
    cpu_rows(c, c->kernels->train->adamw, &j, chunks_of(n), 4 * FLAT_CHUNK);
}

static int cpu_weight_take(struct dev *d, struct weight *w, int64_t expert, int64_t row,
                           int64_t rows, const float *from, int64_t stride, bool transposed,
                           struct err *e)
{
    struct weight_source src = {
        .data = from, .dtype = DT_F32, .stride = stride, .transposed = transposed};
    return cpu_weight_rows(d, w, expert, row, rows, &src, e);
}

/* ---- scratch --------------------------------------------------------------------------- */

void cpu_train_free(struct cpu *c)
{
    if (!c->train)
        return;
    const struct cpu_train *t = c->train;
    void *const all[] = {t->a,     t->b,     t->factors, t->bounds, t->order,
                         t->lanes, t->parts, t->logits,  t->row,    t->starts};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        host_free(all[i]);
    host_free(c->train);
    c->train = NULL;
}

static int cpu_train_reserve(struct dev *d, const struct train_limits *l, struct err *e)
{
    struct cpu *c = (struct cpu *)d;
    cpu_train_free(c);
    c->train = host_alloc(sizeof *c->train, "scratch", e);
    if (!c->train)
        return -1;
    struct cpu_train *t = c->train;
    int64_t chunks = ((int64_t)l->vocab + HEAD_CHUNK - 1) / HEAD_CHUNK;
    t->limits = *l;
    t->lane = train_attention_scratch(l->sequence, l->head_dim);
    const struct {
        void *at;
        int64_t n, size;
    } needs[] = {
        {&t->a, PACK, 4},
        {&t->b, PACK, 4},
        {&t->factors, host_size(l->tokens, l->heads > 1 ? l->heads : 1, 1), 4},
        {&t->bounds, UNITS_MAX + 1, 4},
        {&t->starts, UNITS_MAX + 1, 4},
        {&t->order, 3 * (int64_t)l->tokens + 1, 4},
        {&t->lanes, host_size(t->lane, pool_threads(c->pool), 1), 4},
        {&t->parts, host_size(chunks, l->tokens, 1), sizeof *t->parts},
        {&t->logits, LOGITS, 4},
        {&t->row, 3 * (int64_t)l->tokens, 4},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        void *p = host_alloc(host_size(needs[i].n, needs[i].size, 1), "scratch", e);
        if (!p) {
            cpu_train_free(c);
            return -1;
        }
        *(void **)needs[i].at = p;
    }
    return 0;
}

const struct dev_train_ops cpu_train = {
    .reserve = cpu_train_reserve,
    .weight_take = cpu_weight_take,
    .linear_dx = cpu_linear_dx,
    .linear_dw = cpu_linear_dw,
    .bias_db = cpu_bias_db,
    .grouped_dx = cpu_grouped_dx,
    .grouped_dw = cpu_grouped_dw,
    .grouped_db = cpu_grouped_db,
    .embed_dw = cpu_embed_dw,
    .norm_back = cpu_norm_back,
    .qk_norm_rope_back = cpu_qk_norm_rope_back,
    .attention = cpu_train_attention,
    .attention_back = cpu_attention_back,
    .gated_back = cpu_gated_back,
    .combine_back = cpu_combine_back,
    .route_back = cpu_route_back,
    .sorted_back = cpu_sorted_back,
    .gather_back = cpu_gather_back,
    .dropout = cpu_dropout,
    .cross_entropy = cpu_cross_entropy,
    .scaled = cpu_scaled,
    .add = cpu_add,
    .sum_squares = cpu_sum_squares,
    .adamw = cpu_adamw,
};
