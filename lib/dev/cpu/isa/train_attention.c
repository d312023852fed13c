/* train_attention.c - attention within a span, and the way back, as products of small matrices.
 *
 * Queries are taken BLOCK at a time, keys all that any of them sees.  Scores: one ascending
 * chain over the head's width.  Sums over keys: lane i takes keys i, i + 16, ..., then the tree
 * over lanes.  Values: one ascending chain over keys, in which those that a query does not see
 * have probability 0.  Gradients of keys and values: blocks of queries ascending, for each the
 * heads of the group ascending.
 */
#include "dev/cpu/isa/train.h"

enum { BLOCK = 48 };

/* What one span and key/value head share. */
struct span_work {
    const struct train_attention_job *j;
    const struct attention_args *a;
    int64_t first, n, dim; /* rows of the call; dim: head width, rounded up */
    int64_t keys;          /* n, rounded up */
    int64_t kv_col;
    float *kt, *vt;      /* [keys / 16][D][16]: scores' operand, and that of dy . v */
    float *kd, *vd;      /* [dim / 16][keys][16]: sums over keys */
    float *dkt, *dvt;    /* [D][keys] */
    float *p, *dp, *row; /* [BLOCK][keys]; row: p or dp as an operand */
    float *qt, *qb;      /* [D][BLOCK] */
    float *out;          /* [BLOCK][dim] */
};

static float *take(float **scratch, int64_t n)
{
    float *p = *scratch;
    *scratch += n;
    return p;
}

static struct tensor part_of(const struct tensor *t, int64_t first, int64_t rows, int64_t col,
                             int64_t cols)
{
    return (struct tensor){(char *)t->data + (first * t->stride + col) * dtype_size(t->dtype),
                           t->dtype, rows, cols, t->stride};
}

/* [n / 16][D][16] from rows: lanes run over rows. */
static void pack_rows(float *to, const struct tensor *x, int64_t n, int64_t D)
{
    for (int64_t r = 0; r < n; r += LANES, to += D * LANES) {
        int64_t some = n - r < LANES ? n - r : LANES;
        if (some < LANES)
            memset(to, 0, (size_t)(D * LANES) * sizeof *to);
        SYM(train_turn)(to, LANES, x, r, some, 0, D);
    }
}

/* [dim / 16][rows][16]: lanes run over columns. */
static void pack_columns(float *to, const struct tensor *x, int64_t rows, int64_t dim)
{
    for (int64_t c = 0; c < dim; c += LANES)
        SYM(train_pack)(to + c * rows, x, 0, rows, c);
}

static struct weight operand(float *data, int64_t n, int64_t k, int64_t step)
{
    return (struct weight){.shape = {.n = n, .k = k, .dtype = DT_F32},
                           .blocks = n / LANES,
                           .block_bytes = step * LANES * 4,
                           .data = (char *)data};
}

/* y[rows][n] = x[rows][k] w[n][k]; n in whole blocks, whose data are `step` k apart */
static void multiply(float *y, int64_t ld, const float *x, int64_t stride, int64_t rows,
                     float *w, int64_t n, int64_t k, int64_t step)
{
    struct weight op = operand(w, n, k, step);
    struct product p = {.x = x, .stride = stride, .k = k, .w = &op};
    for (int64_t r = 0; r < rows; r += TILE_ROWS) {
        int64_t end = r + TILE_ROWS < rows ? r + TILE_ROWS : rows;
        for (int64_t b = 0; b < op.blocks; b += 4)
            SYM(product_tile)
        (&p, r, end, b, b + 4 < op.blocks ? b + 4 : op.blocks, y + r * ld + b * LANES, ld);
    }
}

static void open_span(struct span_work *w, const struct train_attention_job *j, int32_t span,
                      int32_t g, float **scratch)
{
    const struct train_span *s = &j->s->host[span];
    int64_t D = j->a->head_dim;
    *w = (struct span_work){.j = j, .a = j->a, .first = s->first, .n = s->count};
    w->dim = (D + LANES - 1) / LANES * LANES;
    w->keys = (w->n + LANES - 1) / LANES * LANES;
    w->kv_col = g * D;
    w->kt = take(scratch, w->keys * w->dim);
    w->vd = take(scratch, w->keys * w->dim);
    w->p = take(scratch, w->keys * BLOCK);
    w->out = take(scratch, BLOCK * w->dim);
    struct tensor k = part_of(&j->k, w->first, w->n, w->kv_col, D);
    struct tensor v = part_of(&j->v, w->first, w->n, w->kv_col, D);
    pack_rows(w->kt, &k, w->n, D);
    pack_columns(w->vd, &v, w->n, w->dim);
}

/* The keys that a block of queries sees: from a whole block of lanes on. */
struct block {
    int64_t row, rows, key0, keys; /* keys: rounded up */
    int64_t end;                   /* the first key that none of them sees */
    int32_t h;
};

static struct block block_at(const struct span_work *w, int64_t row, int32_t h)
{
    struct block b = {.row = row, .h = h};
    int64_t low = w->a->window && row >= w->a->window ? row - w->a->window + 1 : 0;
    b.rows = w->n - row < BLOCK ? w->n - row : BLOCK;
    b.end = row + b.rows;
    b.key0 = low / LANES * LANES;
    b.keys = (b.end - b.key0 + LANES - 1) / LANES * LANES;
    return b;
}

/* Keys of the block that a query sees, counted from key0. */
static void seen(const struct span_work *w, const struct block *b, int64_t r, int *lo, int *hi)
{
    int64_t i = b->row + r, low = w->a->window && i >= w->a->window ? i - w->a->window + 1 : 0;
    *lo = (int)(low - b->key0);
    *hi = (int)(i + 1 - b->key0);
}

/* p = scores of the block; those that nobody asks for are not told apart yet. */
static void scores(const struct span_work *w, const struct block *b)
{
    int64_t D = w->a->head_dim;
    const float *q = row_f32(&w->j->q, w->first + b->row) + (int64_t)b->h * D;
    multiply(w->p, w->keys, q, w->j->q.stride, b->rows, w->kt + b->key0 * D, b->keys, D, D);
}

INLINE v16 score_of(const struct attention_args *a, v16 s)
{
    return v_cap(v_mul(s, v_set1(a->scale)), a->soft_cap);
}

/* Scores of a row become exp(score - max), 0 where the key is not seen. */
static void soften(const struct span_work *w, const struct block *b, int64_t r, float *max,
                   float *sum)
{
    const struct attention_args *a = w->a;
    float *p = w->p + r * w->keys;
    int lo, hi;
    seen(w, b, r, &lo, &hi);
    v16 most = v_set1(a->sinks ? a->sinks[b->h] : -INFINITY), all = v_zero();
    for (int64_t c = 0; c < b->keys; c += LANES) {
        v16 s = score_of(a, v_load(p + c));
        v_store(p + c, s);
        most = v_max(most, v_if_lane(lo - (int)c, hi - (int)c, s, v_set1(-INFINITY)));
    }
    *max = v_largest(most);
    for (int64_t c = 0; c < b->keys; c += LANES) {
        v16 e = v_exp(v_sub(v_load(p + c), v_set1(*max)));
        e = v_if_lane(lo - (int)c, hi - (int)c, e, v_zero());
        all = v_add(all, e);
        v_store(p + c, e);
    }
    *sum = v_sum(all);
    if (a->sinks)
        *sum += v_first(v_exp(v_set1(a->sinks[b->h] - *max)));
}

static void attend_block(const struct span_work *w, const struct block *b)
{
    const struct train_attention_job *j = w->j;
    int64_t D = w->a->head_dim, heads = w->a->heads;
    float sums[BLOCK];
    scores(w, b);
    for (int64_t r = 0; r < b->rows; r++) {
        float *stats = (float *)j->stats.data + (w->first + b->row + r) * j->stats.stride, max;
        soften(w, b, r, &max, &sums[r]);
        stats[b->h] = max;
        stats[heads + b->h] = sums[r];
    }
    multiply(w->out, w->dim, w->p, w->keys, b->rows, w->vd + b->key0 * LANES, w->dim,
             b->end - b->key0, w->n);
    for (int64_t r = 0; r < b->rows; r++)
        for (int64_t c = 0; c < D; c += LANES)
            put(&j->y, w->first + b->row + r, (int64_t)b->h * D + c, lanes_at(c, D),
                v_div(v_load(w->out + r * w->dim + c), v_set1(sums[r])));
}

void SYM(train_attention)(const struct train_attention_job *j, int32_t span, int32_t g,
                          float *scratch)
{
    struct span_work w;
    int32_t group = j->a->heads / j->a->kv_heads;
    open_span(&w, j, span, g, &scratch);
    for (int64_t row = 0; row < w.n; row += BLOCK)
        for (int32_t h = g * group; h < (g + 1) * group; h++) {
            struct block b = block_at(&w, row, h);
            attend_block(&w, &b);
        }
}

/* ---- the way back ----------------------------------------------------------------- */

static void open_back(struct span_work *w, float **scratch)
{
    const struct train_attention_job *j = w->j;
    int64_t D = w->a->head_dim;
    w->vt = take(scratch, w->keys * w->dim);
    w->kd = take(scratch, w->keys * w->dim);
    w->dkt = take(scratch, w->keys * w->dim);
    w->dvt = take(scratch, w->keys * w->dim);
    w->dp = take(scratch, w->keys * BLOCK);
    w->row = take(scratch, w->keys * BLOCK);
    w->qt = take(scratch, w->dim * BLOCK);
    w->qb = take(scratch, w->dim * BLOCK);
    struct tensor k = part_of(&j->k, w->first, w->n, w->kv_col, D);
    struct tensor v = part_of(&j->v, w->first, w->n, w->kv_col, D);
    pack_rows(w->vt, &v, w->n, D);
    pack_columns(w->kd, &k, w->n, w->dim);
    memset(w->dkt, 0, (size_t)(w->keys * w->dim) * sizeof *w->dkt);
    memset(w->dvt, 0, (size_t)(w->keys * w->dim) * sizeof *w->dvt);
}

/* p and dp become probabilities and gradients of q . k; delta: the row's sum of dy y. */
static void row_back(const struct span_work *w, const struct block *b, int64_t r, float delta)
{
    const struct attention_args *a = w->a;
    int64_t t = w->first + b->row + r;
    const float *stats = row_f32(&w->j->stats, t);
    float *p = w->p + r * w->keys, *dp = w->dp + r * w->keys;
    v16 max = v_set1(stats[b->h]), sum = v_set1(stats[a->heads + b->h]), one = v_set1(1);
    int lo, hi;
    seen(w, b, r, &lo, &hi);
    for (int64_t c = 0; c < b->keys; c += LANES) {
        v16 s = score_of(a, v_load(p + c)), slope = v_set1(a->scale);
        v16 e = v_div(v_exp(v_sub(s, max)), sum);
        e = v_if_lane(lo - (int)c, hi - (int)c, e, v_zero());
        if (a->soft_cap > 0) {
            v16 th = v_div(s, v_set1(a->soft_cap));
            slope = v_mul(slope, v_fma(v_sub(v_zero(), th), th, one));
        }
        v16 ds = v_mul(v_mul(e, v_sub(v_load(dp + c), v_set1(delta))), slope);
        v_store(p + c, e);
        v_store(dp + c, v_if_lane(lo - (int)c, hi - (int)c, ds, v_zero()));
    }
    if (w->j->dsink.data) {
        float sink = v_first(v_div(v_exp(v_sub(v_set1(a->sinks[b->h]), max)), sum));
        float *to = (float *)w->j->dsink.data + t * w->j->dsink.stride;
        to[b->h] = -sink * delta;
    }
}

/* sum[D][keys] += x^T[D][rows] p[rows][keys]: lanes run over keys */
static void add_keys(const struct span_work *w, const struct block *b, float *sum,
                     const float *xt, const float *p)
{
    int64_t D = w->a->head_dim;
    float tile[TILE_ROWS * LANES * 4];
    for (int64_t c = 0; c < b->keys; c += LANES)
        for (int64_t r = 0; r < b->rows; r++)
            v_store(w->row + c * b->rows + r * LANES, v_load(p + r * w->keys + c));
    struct weight op = operand(w->row, b->keys, b->rows, b->rows);
    struct product q = {.x = xt, .stride = BLOCK, .k = b->rows, .w = &op};
    for (int64_t d = 0; d < D; d += TILE_ROWS)
        for (int64_t k = 0; k < op.blocks; k += 4) {
            int64_t end = d + TILE_ROWS < D ? d + TILE_ROWS : D;
            int64_t last = k + 4 < op.blocks ? k + 4 : op.blocks, n = (last - k) * LANES;
            SYM(product_tile)(&q, d, end, k, last, tile, n);
            for (int64_t i = d; i < end; i++)
                SYM(train_add)(sum + i * w->keys + b->key0 + k * LANES, tile + (i - d) * n, n);
        }
}

static float delta_of(const struct span_work *w, const struct block *b, int64_t r)
{
    int64_t D = w->a->head_dim, t = w->first + b->row + r, col = (int64_t)b->h * D;
    const float *dy = row_f32(&w->j->dy, t) + col;
    v16 sum = v_zero();
    for (int64_t c = 0; c < D; c += LANES) {
        int m = lanes_at(c, D);
        v16 y;
        if (w->j->y.dtype == DT_F32) {
            y = v_load_n(row_f32(&w->j->y, t) + col + c, m);
        } else {
            uint16_t half[LANES] = {0};
            memcpy(half, (const uint16_t *)w->j->y.data + t * w->j->y.stride + col + c,
                   (size_t)m * sizeof *half);
            y = v_load_bf16(half);
        }
        sum = v_fma(v_load_n(dy + c, m), y, sum);
    }
    return v_sum(sum);
}

static void back_block(const struct span_work *w, const struct block *b)
{
    const struct train_attention_job *j = w->j;
    int64_t D = w->a->head_dim, col = (int64_t)b->h * D, t = w->first + b->row;
    struct tensor q = part_of(&j->q, t, b->rows, col, D);
    struct tensor dy = part_of(&j->dy, t, b->rows, col, D);
    scores(w, b);
    multiply(w->dp, w->keys, dy.data, dy.stride, b->rows, w->vt + b->key0 * D, b->keys, D, D);
    for (int64_t r = 0; r < b->rows; r++)
        row_back(w, b, r, delta_of(w, b, r));
    multiply(w->out, w->dim, w->dp, w->keys, b->rows, w->kd + b->key0 * LANES, w->dim,
             b->end - b->key0, w->n);
    for (int64_t r = 0; r < b->rows; r++)
        for (int64_t c = 0; c < D; c += LANES)
            put(&j->dq, t + r, col + c, lanes_at(c, D), v_load(w->out + r * w->dim + c));
    SYM(train_turn)(w->qt, BLOCK, &q, 0, b->rows, 0, D);
    add_keys(w, b, w->dkt, w->qt, w->dp);
    SYM(train_turn)(w->qb, BLOCK, &dy, 0, b->rows, 0, D);
    add_keys(w, b, w->dvt, w->qb, w->p);
}

/* Turned back into rows. */
static void leave(const struct span_work *w, const struct tensor *to, float *sum)
{
    struct tensor from = {sum, DT_F32, w->a->head_dim, w->n, w->keys};
    struct tensor rows = part_of(to, w->first, w->n, w->kv_col, w->a->head_dim);
    SYM(train_turn)(rows.data, rows.stride, &from, 0, w->a->head_dim, 0, w->n);
}

void SYM(train_attention_back)(const struct train_attention_job *j, int32_t span, int32_t g,
                               float *scratch)
{
    struct span_work w;
    int32_t group = j->a->heads / j->a->kv_heads;
    open_span(&w, j, span, g, &scratch);
    open_back(&w, &scratch);
    for (int64_t row = 0; row < w.n; row += BLOCK)
        for (int32_t h = g * group; h < (g + 1) * group; h++) {
            struct block b = block_at(&w, row, h);
            back_block(&w, &b);
        }
    leave(&w, &j->dk, w.dkt);
    leave(&w, &j->dv, w.dvt);
}
