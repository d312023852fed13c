/* train_rows.c - the way back through norms, rotations, gates and experts' choice, by rows.
 *
 * Sums over a row are those of rows.c: lane i takes elements i, i + 16, ..., then the tree over
 * lanes.
 */
#include "dev/cpu/isa/train.h"
#include "dev/dropout.h"

INLINE float *row_of(const struct tensor *t, int64_t row)
{
    return (float *)t->data + row * t->stride;
}

/* n elements of a row of f32 or bf16 */
INLINE v16 get(const struct tensor *t, int64_t row, int64_t c, int n)
{
    if (t->dtype == DT_F32)
        return v_load_n(row_f32(t, row) + c, n);
    const uint16_t *p = (const uint16_t *)t->data + row * t->stride + c;
    if (n == LANES)
        return v_load_bf16(p);
    uint16_t h[LANES] = {0};
    memcpy(h, p, (size_t)n * sizeof *h);
    return v_load_bf16(h);
}

INLINE void put_add(const struct tensor *t, int64_t row, int64_t c, int n, v16 v, bool add)
{
    put(t, row, c, n, add ? v_add(v_load_n(row_f32(t, row) + c, n), v) : v);
}

/* ---- norms -------------------------------------------------------------------- */

INLINE float *part_of(const struct tensor *t, const struct norm_back_job *j, int64_t i)
{
    return row_of(t, i / j->heads) + i % j->heads * j->width;
}

void SYM(train_norm_factors)(const void *job, int64_t row0, int64_t row1)
{
    const struct norm_back_job *j = job;
    for (int64_t i = row0; i < row1; i++) {
        const float *x = part_of(&j->x, j, i);
        v16 sum = v_zero();
        for (int64_t c = 0; c < j->width; c += LANES) {
            v16 v = v_load_n(x + c, lanes_at(c, j->width));
            sum = v_fma(v, v, sum);
        }
        j->factor[i] = 1 / sqrtf(v_sum(sum) / (float)j->width + j->eps);
    }
}

void SYM(train_norm_sum)(float *out, const struct norm_back_job *j, int64_t row0, int64_t row1,
                         int64_t col0, int64_t cols)
{
    memset(out, 0, (size_t)cols * sizeof *out);
    for (int64_t i = row0 * j->heads; i < row1 * j->heads; i++) {
        const float *x = part_of(&j->x, j, i) + col0, *dy = part_of(&j->dy, j, i) + col0;
        v16 r = v_set1(j->factor[i]);
        for (int64_t c = 0; c < cols; c += LANES) {
            int m = lanes_at(c, cols);
            v16 v = v_mul(v_load_n(x + c, m), r);
            v_store_n(out + c, v_fma(v, v_load_n(dy + c, m), v_load_n(out + c, m)), m);
        }
    }
}

/* dx = r g - x r^3 / n sum(g x), g = dy w */
void SYM(train_norm_back)(const void *job, int64_t row0, int64_t row1)
{
    const struct norm_back_job *j = job;
    v16 one = j->plus_one ? v_set1(1) : v_zero();
    for (int64_t i = row0; i < row1; i++) {
        const float *x = part_of(&j->x, j, i), *dy = part_of(&j->dy, j, i);
        float *dx = part_of(&j->dx, j, i), r = j->factor[i];
        v16 sum = v_zero();
        for (int64_t c = 0; c < j->width; c += LANES) {
            int m = lanes_at(c, j->width);
            v16 w = v_add(v_load_n(j->w + c, m), one);
            sum = v_fma(v_mul(v_load_n(dy + c, m), w), v_load_n(x + c, m), sum);
        }
        v16 back = v_set1(-(r * r * r / (float)j->width * v_sum(sum)));
        for (int64_t c = 0; c < j->width; c += LANES) {
            int m = lanes_at(c, j->width);
            v16 w = v_add(v_load_n(j->w + c, m), one);
            v16 g = v_mul(v_mul(v_load_n(dy + c, m), w), v_set1(r));
            v16 v = v_fma(v_load_n(x + c, m), back, g);
            v_store_n(dx + c, j->add ? v_add(v_load_n(dx + c, m), v) : v, m);
        }
    }
}

/* (a c + b s, b c - a s) */
static void unrotate(float *x, int64_t half, const float *cos_sin)
{
    for (int64_t i = 0; i < half; i += LANES) {
        int m = lanes_at(i, half);
        v16 a = v_load_n(x + i, m), b = v_load_n(x + half + i, m);
        v16 c = v_load_n(cos_sin + i, m), s = v_load_n(cos_sin + half + i, m);
        v_store_n(x + i, v_fma(a, c, v_mul(b, s)), m);
        v_store_n(x + half + i, v_fma(b, c, v_sub(v_zero(), v_mul(a, s))), m);
    }
}

void SYM(train_unrotate)(const void *job, int64_t row0, int64_t row1)
{
    const struct rope_job *j = job;
    const struct rope_args *a = j->a;
    for (int64_t t = row0; t < row1; t++) {
        const float *turn = a->cos_sin + (int64_t)((const int32_t *)a->pos)[t] * a->rotary;
        for (int32_t h = 0; h < a->heads; h++)
            unrotate(row_of(&j->q, t) + (int64_t)h * a->head_dim, a->rotary / 2, turn);
        for (int32_t h = 0; h < a->kv_heads; h++)
            unrotate(row_of(&j->k, t) + (int64_t)h * a->head_dim, a->rotary / 2, turn);
    }
}

/* ---- gates ---------------------------------------------------------------------- */

/* act(g) and its derivative */
INLINE v16 act(const struct gated_args *a, v16 g, v16 *slope)
{
    v16 one = v_set1(1);
    if (a->kind == GATE_SILU) {
        v16 s = v_sigmoid(g);
        *slope = v_mul(s, v_fma(g, v_sub(one, s), one));
        return v_mul(g, s);
    }
    if (a->kind == GATE_GELU_TANH) {
        v16 k = v_set1(1.59576912160573071f), sq = v_mul(g, g);
        v16 s = v_sigmoid(v_mul(v_fma(v_set1(0.044715f), v_mul(sq, g), g), k));
        v16 inner = v_mul(v_fma(v_set1(3 * 0.044715f), sq, one), k);
        *slope = v_fma(v_mul(v_mul(g, s), v_sub(one, s)), inner, s);
        return v_mul(g, s);
    }
    v16 limit = v_set1(a->limit), alpha = v_set1(a->alpha), low = v_min(limit, g);
    v16 s = v_sigmoid(v_mul(alpha, low));
    v16 d = v_mul(s, v_fma(v_mul(alpha, low), v_sub(one, s), one));
    *slope = v_if_less(limit, g, v_zero(), d);
    return v_mul(low, s);
}

/* What multiplies act(g), and by how much the gradient by u passes. */
INLINE v16 factor(const struct gated_args *a, v16 u, v16 *pass)
{
    *pass = v_set1(1);
    if (a->kind != GATE_CLAMPED)
        return u;
    v16 limit = v_set1(a->limit), low = v_set1(-a->limit);
    *pass = v_if_less(limit, u, v_zero(), v_if_less(u, low, v_zero(), *pass));
    return v_add(v_max(low, v_min(limit, u)), v_set1(1));
}

static void gate_row(const struct gated_back_job *j, int64_t t)
{
    int64_t n = j->dy.cols;
    const float *x = row_f32(&j->x, t), *dy = row_f32(&j->dy, t);
    float *dx = row_of(&j->dx, t);
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        float gs[LANES] = {0}, us[LANES] = {0};
        v16 g, u, slope, pass, d = v_load_n(dy + c, m);
        for (int i = 0; j->a->interleaved && i < m; i++) {
            gs[i] = x[2 * (c + i)];
            us[i] = x[2 * (c + i) + 1];
        }
        g = j->a->interleaved ? v_load(gs) : v_load_n(x + c, m);
        u = j->a->interleaved ? v_load(us) : v_load_n(x + n + c, m);
        v16 y = act(j->a, g, &slope), f = factor(j->a, u, &pass);
        v16 dg = v_mul(v_mul(d, f), slope), du = v_mul(v_mul(d, y), pass);
        if (!j->a->interleaved) {
            v_store_n(dx + c, dg, m);
            v_store_n(dx + n + c, du, m);
            continue;
        }
        v_store(gs, dg);
        v_store(us, du);
        for (int i = 0; i < m; i++) {
            dx[2 * (c + i)] = gs[i];
            dx[2 * (c + i) + 1] = us[i];
        }
    }
}

void SYM(train_gated_back)(const void *job, int64_t row0, int64_t row1)
{
    for (int64_t t = row0; t < row1; t++)
        gate_row(job, t);
}

/* ---- experts ---------------------------------------------------------------------- */

void SYM(train_combine_back)(const void *job, int64_t row0, int64_t row1)
{
    const struct combine_back_job *j = job;
    int64_t n = j->dy.cols, used = j->r->used;
    for (int64_t i = row0 * used; i < row1 * used; i++) {
        const float *dy = row_f32(&j->dy, i / used), *x = row_f32(&j->x, j->r->row[i]);
        float *dx = row_of(&j->dx, j->r->row[i]);
        v16 sum = v_zero(), weight = v_set1(j->r->weight[i]);
        for (int64_t c = 0; c < n; c += LANES) {
            int m = lanes_at(c, n);
            v16 d = v_load_n(dy + c, m);
            sum = v_fma(d, v_load_n(x + c, m), sum);
            v_store_n(dx + c, v_mul(d, weight), m);
        }
        j->dweight[i] = v_sum(sum);
    }
}

/* p of all experts, into p. */
static void softmax(const float *l, int32_t n, float *p)
{
    v16 most = v_set1(-INFINITY), sum = v_zero();
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        most = v_max(most, v_if_lane(0, m, v_load_n(l + c, m), v_set1(-INFINITY)));
    }
    v16 max = v_set1(v_largest(most));
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        v16 e = v_if_lane(0, m, v_exp(v_sub(v_load_n(l + c, m), max)), v_zero());
        sum = v_add(sum, e);
        v_store_n(p + c, e, m);
    }
    v16 all = v_set1(v_sum(sum));
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        v_store_n(p + c, v_div(v_load_n(p + c, m), all), m);
    }
}

void SYM(train_route_back)(const void *job, int64_t row0, int64_t row1)
{
    const struct route_back_job *j = job;
    int32_t used = j->r->used, experts = j->r->experts;
    for (int64_t t = row0; t < row1; t++) {
        const int32_t *expert = j->r->expert + t * used;
        const float *w = j->r->weight + t * used, *dw = j->dweight + t * used;
        float *dl = row_of(&j->dlogits, t), dot = 0;
        for (int32_t i = 0; i < used; i++)
            dot += dw[i] * w[i];
        if (j->a->over_all)
            softmax(row_f32(&j->logits, t), experts, dl);
        for (int32_t e = 0; e < experts; e++)
            dl[e] = j->a->over_all ? -dl[e] * dot : 0;
        for (int32_t i = 0; i < used; i++)
            dl[expert[i]] += w[i] * (dw[i] - (j->a->over_all ? 0 : dot / j->a->scale));
    }
}

void SYM(train_sorted_back)(const void *job, int64_t row0, int64_t row1)
{
    const struct sorted_back_job *j = job;
    int64_t n = j->dx.cols, used = j->r->used;
    for (int64_t t = row0; t < row1; t++)
        for (int64_t c = 0; c < n; c += LANES) {
            int m = lanes_at(c, n);
            v16 sum = v_zero();
            for (int64_t i = t * used; i < (t + 1) * used; i++)
                sum = v_add(sum, v_load_n(row_f32(&j->dy, j->r->row[i]) + c, m));
            put_add(&j->dx, t, c, m, sum, j->add);
        }
}

/* ---- elements ------------------------------------------------------------------------ */

void SYM(train_dropout)(const void *job, int64_t row0, int64_t row1)
{
    const struct dropout_job *j = job;
    uint32_t below = dropout_below(j->a->p);
    v16 up = v_set1(1 / (1 - j->a->p));
    for (int64_t t = row0; t < row1; t++) {
        uint64_t row = dropout_row(j->a->keys[t], j->a->salt);
        for (int64_t c = 0; c < j->x.cols; c += LANES) {
            int m = lanes_at(c, j->x.cols);
            float keep[LANES];
            for (int i = 0; i < LANES; i++)
                keep[i] = dropout_bits(row, (uint32_t)c + (uint32_t)i) < below ? 0 : 1;
            v16 v = v_mul(v_mul(get(&j->x, t, c, m), up), v_load(keep));
            put_add(&j->y, t, c, m, v, j->add);
        }
    }
}

void SYM(train_scaled)(const void *job, int64_t row0, int64_t row1)
{
    const struct scaled_job *j = job;
    for (int64_t t = row0; t < row1; t++)
        for (int64_t c = 0; c < j->x.cols; c += LANES) {
            int m = lanes_at(c, j->x.cols);
            put(&j->y, t, c, m, v_mul(get(&j->x, t, c, m), v_set1(j->scale)));
        }
}

void SYM(train_add)(float *y, const float *x, int64_t n)
{
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        v_store_n(y + c, v_add(v_load_n(y + c, m), v_load_n(x + c, m)), m);
    }
}

void SYM(train_sum_rows)(float *out, const struct tensor *x, int64_t row0, int64_t row1,
                         int64_t col0, int64_t cols)
{
    memset(out, 0, (size_t)cols * sizeof *out);
    for (int64_t t = row0; t < row1; t++)
        SYM(train_add)(out, row_f32(x, t) + col0, cols);
}

/* ---- the update ------------------------------------------------------------------------ */

void SYM(train_adamw)(const void *job, int64_t chunk0, int64_t chunk1)
{
    const struct adamw_job *j = job;
    const struct adamw_args *a = j->a;
    v16 b1 = v_set1(a->beta1), r1 = v_set1(1 - a->beta1);
    v16 b2 = v_set1(a->beta2), r2 = v_set1(1 - a->beta2), lr = v_set1(-a->lr);
    v16 c1 = v_set1(a->correct1), c2 = v_set1(a->correct2), eps = v_set1(a->eps);
    v16 shrink = v_set1(1 - a->lr * a->decay), scale = v_set1(a->scale);
    int64_t end = chunk1 * FLAT_CHUNK < j->n ? chunk1 * FLAT_CHUNK : j->n;
    for (int64_t i = chunk0 * FLAT_CHUNK; i < end; i += LANES) {
        int k = lanes_at(i, end);
        v16 g = v_mul(v_load_n(j->g + i, k), scale);
        v16 m = v_fma(r1, g, v_mul(b1, v_load_n(j->m + i, k)));
        v16 v = v_fma(v_mul(r2, g), g, v_mul(b2, v_load_n(j->v + i, k)));
        v16 step = v_div(v_div(m, c1), v_add(v_sqrt(v_div(v, c2)), eps));
        v_store_n(j->m + i, m, k);
        v_store_n(j->v + i, v, k);
        v_store_n(j->w + i, v_fma(lr, step, v_mul(v_load_n(j->w + i, k), shrink)), k);
    }
}

/* Sixteen sums of a chunk in double, then their tree. */
void SYM(train_squares)(const void *job, int64_t chunk0, int64_t chunk1)
{
    const struct squares_job *j = job;
    for (int64_t c = chunk0; c < chunk1; c++) {
        int64_t i = c * FLAT_CHUNK, end = i + FLAT_CHUNK < j->n ? i + FLAT_CHUNK : j->n;
        double sum[LANES] = {0};
        for (; i + LANES <= end; i += LANES)
            for (int k = 0; k < LANES; k++)
                sum[k] += (double)j->x[i + k] * (double)j->x[i + k];
        for (int k = 0; i < end; i++, k++)
            sum[k] += (double)j->x[i] * (double)j->x[i];
        for (int half = LANES / 2; half; half /= 2)
            for (int k = 0; k < half; k++)
                sum[k] += sum[k + half];
        j->sums[c] = sum[0];
    }
}
