/* attention.c - queries over pages of keys and values.
 *
 * A page is a block of KV_PAGE keys.  Scores: one ascending chain over the head's width, lanes
 * run over keys.  In a page: the maximum, exp, the sum of the 32 by a fixed tree, and one
 * ascending chain over keys for every column of the result.  Pages are merged in ascending
 * order with the running maximum.  A key that a query does not see is never read into its
 * chain, so neither its value nor its being there changes a bit.
 */
#include "dev/cpu/isa.h"

#ifdef __AVX512F__
enum { SCORE_ROWS = 6, VALUE_ROWS = 4, VALUE_VECS = 4 };
#else
enum { SCORE_ROWS = 2, VALUE_ROWS = 2, VALUE_VECS = 2 };
#endif

/* What a tile's rows carry from page to page. */
struct state {
    int rows;
    int64_t width;                                  /* of an accumulator: head_dim rounded up */
    const float *q[ATTENTION_ROWS];                 /* [D] */
    int32_t lo[ATTENTION_ROWS], hi[ATTENTION_ROWS]; /* keys seen: lo <= j < hi, absolute */
    float max[ATTENTION_ROWS], sum[ATTENTION_ROWS];
    int from[ATTENTION_ROWS], to[ATTENTION_ROWS]; /* of this page's keys; from == to: none */
    float p[ATTENTION_ROWS][KV_PAGE];
    float acc[ATTENTION_ROWS * HEAD_DIM_MAX];
};

INLINE v16 load_kv(const char *p, int64_t i, enum dtype t)
{
    return t == DT_F32 ? v_load((const float *)(const void *)p + i)
                       : v_load_bf16((const uint16_t *)(const void *)p + i);
}

/* p[r] = q[r] . key for the page's 32 keys */
INLINE void scores(int rows, struct state *s, int r0, const char *keys, enum dtype t,
                   int32_t dim)
{
    v16 acc[SCORE_ROWS][2];
    UNROLL
    for (int r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = v_zero();
    for (int32_t d = 0; d < dim; d++) {
        v16 k0 = load_kv(keys, (int64_t)d * KV_PAGE, t);
        v16 k1 = load_kv(keys, (int64_t)d * KV_PAGE + LANES, t);
        UNROLL
        for (int r = 0; r < rows; r++) {
            v16 q = v_set1(s->q[r0 + r][d]);
            acc[r][0] = v_fma(q, k0, acc[r][0]);
            acc[r][1] = v_fma(q, k1, acc[r][1]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        v_store(s->p[r0 + r], acc[r][0]);
        v_store(s->p[r0 + r] + LANES, acc[r][1]);
    }
}

/* Scores become exp(score - max); the row's sum and accumulator move to the new maximum. */
static void soften(struct state *s, int r, const struct attention_args *a)
{
    int from = s->from[r], to = s->to[r];
    v16 scale = v_set1(a->scale), none = v_set1(-INFINITY);
    v16 lo = v_cap(v_mul(v_load(s->p[r]), scale), a->soft_cap);
    v16 hi = v_cap(v_mul(v_load(s->p[r] + LANES), scale), a->soft_cap);
    lo = v_if_lane(from, to, lo, none);
    hi = v_if_lane(from - LANES, to - LANES, hi, none);
    float old = s->max[r], here = v_largest(v_max(lo, hi)), max = here > old ? here : old;
    if (max > old) {
        v16 back = v_exp(v_set1(old - max));
        s->sum[r] *= v_first(back);
        float *acc = s->acc + r * s->width;
        for (int64_t c = 0; c < s->width; c += LANES)
            v_store(acc + c, v_mul(v_load(acc + c), back));
        s->max[r] = max;
    }
    lo = v_exp(v_sub(lo, v_set1(max)));
    hi = v_exp(v_sub(hi, v_set1(max)));
    s->sum[r] += v_sum(v_add(lo, hi));
    v_store(s->p[r], lo);
    v_store(s->p[r] + LANES, hi);
}

/* acc[r] += p[r][j] * value[j], from <= j < to, in vecs vectors of columns from c on */
INLINE void values(int rows, int vecs, struct state *s, int r0, int from, int to,
                   const char *vals, enum dtype t, int64_t c)
{
    v16 acc[VALUE_ROWS][VALUE_VECS];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int i = 0; i < vecs; i++)
        acc[r][i] = v_load(s->acc + (r0 + r) * s->width + c + i * LANES);
    for (int j = from; j < to; j++) {
        v16 v[VALUE_VECS];
        UNROLL
        for (int i = 0; i < vecs; i++)
            v[i] = load_kv(vals, j * s->width + c + i * LANES, t);
        UNROLL
        for (int r = 0; r < rows; r++) {
            v16 p = v_set1(s->p[r0 + r][j]);
            UNROLL
            for (int i = 0; i < vecs; i++)
                acc[r][i] = v_fma(p, v[i], acc[r][i]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int i = 0; i < vecs; i++)
        v_store(s->acc + (r0 + r) * s->width + c + i * LANES, acc[r][i]);
}

INLINE void values_rows(int rows, struct state *s, int r0, int from, int to, const char *vals,
                        enum dtype t)
{
    int64_t c = 0;
    for (; from < to && c + VALUE_VECS * LANES <= s->width; c += VALUE_VECS * LANES)
        values(rows, VALUE_VECS, s, r0, from, to, vals, t, c);
    for (; from < to && c < s->width; c += LANES)
        values(rows, 1, s, r0, from, to, vals, t, c);
}

/* The keys that all the rows see together, and before and after them each row's own. */
INLINE void page_values(struct state *s, const char *vals, enum dtype t)
{
    int r = 0;
    for (; r + VALUE_ROWS <= s->rows; r += VALUE_ROWS) {
        int from = s->from[r], to = s->to[r];
        for (int i = r + 1; i < r + VALUE_ROWS; i++) {
            from = s->from[i] > from ? s->from[i] : from;
            to = s->to[i] < to ? s->to[i] : to;
        }
        if (from >= to) {
            for (int i = r; i < r + VALUE_ROWS; i++)
                values_rows(1, s, i, s->from[i], s->to[i], vals, t);
            continue;
        }
        for (int i = r; i < r + VALUE_ROWS; i++)
            values_rows(1, s, i, s->from[i], from, vals, t);
        values_rows(VALUE_ROWS, s, r, from, to, vals, t);
        for (int i = r; i < r + VALUE_ROWS; i++)
            values_rows(1, s, i, to, s->to[i], vals, t);
    }
    for (; r < s->rows; r++)
        values_rows(1, s, r, s->from[r], s->to[r], vals, t);
}

INLINE void page(struct state *s, const char *keys, const char *vals, enum dtype t,
                 const struct attention_args *a)
{
    int groups = (s->rows + SCORE_ROWS - 1) / SCORE_ROWS;
    for (int g = 0; g < groups; g++) {
        int r = s->rows * g / groups, n = s->rows * (g + 1) / groups - r;
        switch (n) {
        case 1: scores(1, s, r, keys, t, a->head_dim); break;
        case 2: scores(2, s, r, keys, t, a->head_dim); break;
#ifdef __AVX512F__
        case 3: scores(3, s, r, keys, t, a->head_dim); break;
        case 4: scores(4, s, r, keys, t, a->head_dim); break;
        case 5: scores(5, s, r, keys, t, a->head_dim); break;
        case 6: scores(6, s, r, keys, t, a->head_dim); break;
#endif
        }
    }
    for (int r = 0; r < s->rows; r++)
        if (s->from[r] < s->to[r])
            soften(s, r, a);
    page_values(s, vals, t);
}

static int in_page(int32_t key, int32_t first)
{
    return key <= first ? 0 : key >= first + KV_PAGE ? KV_PAGE : key - first;
}

static int32_t first_key(int32_t pos, int32_t window)
{
    return window && pos >= window ? pos - window + 1 : 0;
}

static void start(struct state *s, const struct attention_job *j,
                  const struct attention_tile *t)
{
    const struct attention_args *a = j->a;
    s->rows = t->heads * t->count;
    s->width = (a->head_dim + LANES - 1) / LANES * LANES;
    memset(s->acc, 0, (size_t)(s->rows * s->width) * sizeof *s->acc);
    for (int r = 0; r < s->rows; r++) {
        int32_t i = t->first + r / t->heads, h = t->head + r % t->heads;
        int32_t pos = t->span->start + i;
        s->q[r] = row_f32(&j->q, t->span->first + i) + (int64_t)h * a->head_dim;
        s->lo[r] = first_key(pos, a->window);
        s->hi[r] = pos + 1;
        s->max[r] = a->sinks ? a->sinks[h] : -INFINITY;
        s->sum[r] = a->sinks ? 1 : 0;
    }
}

void SYM(attention)(const struct attention_job *j, const struct attention_tile *t)
{
    struct state s;
    const struct attention_args *a = j->a;
    const struct kv *kv = j->kv;
    enum dtype type = kv->shape.dtype;
    start(&s, j, t);
    int32_t pos = t->span->start + t->first;
    int32_t first = first_key(pos, a->window) / KV_PAGE, last = (pos + t->count - 1) / KV_PAGE;
    for (int32_t i = first; i <= last; i++) {
        for (int r = 0; r < s.rows; r++) {
            s.from[r] = in_page(s.lo[r], i * KV_PAGE);
            s.to[r] = in_page(s.hi[r], i * KV_PAGE);
        }
        int64_t id = j->s->host_pages[t->span->page0 + i];
        const char *keys = kv->data + id * kv->page_bytes +
                           a->layer * (kv->key_bytes + kv->val_bytes);
        const char *vals = keys + kv->key_bytes + t->g * (kv->val_bytes / a->kv_heads);
        keys += t->g * (kv->key_bytes / a->kv_heads);
        if (type == DT_F32)
            page(&s, keys, vals, DT_F32, a);
        else
            page(&s, keys, vals, DT_BF16, a);
    }
    for (int r = 0; r < s.rows; r++) {
        int64_t row = t->span->first + t->first + r / t->heads;
        int64_t col = (int64_t)(t->head + r % t->heads) * a->head_dim;
        v16 sum = v_set1(s.sum[r]);
        for (int32_t c = 0; c < a->head_dim; c += LANES)
            put(&j->y, row, col + c, lanes_at(c, a->head_dim),
                v_div(v_load(s.acc + r * s.width + c), sum));
    }
}
