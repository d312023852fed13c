/* rows.c - norms, rotary positions and gates: a row at a time.
 *
 * Sums over a row: lane i takes elements i, i + 16, ... in ascending order, then the tree over
 * lanes of v_sum().
 */
#include "dev/cpu/isa.h"

/* 1 / sqrt(mean(x^2) + eps) */
INLINE float rms_factor(const float *x, int64_t n, float eps)
{
    v16 sum = v_zero();
    for (int64_t c = 0; c < n; c += LANES) {
        v16 v = v_load_n(x + c, lanes_at(c, n));
        sum = v_fma(v, v, sum);
    }
    return 1 / sqrtf(v_sum(sum) / (float)n + eps);
}

/* x * r * w, or x * r * (1 + w) */
INLINE v16 rms_apply(v16 x, float r, v16 w, bool plus_one)
{
    if (plus_one)
        w = v_add(w, v_set1(1));
    return v_mul(v_mul(x, v_set1(r)), w);
}

void SYM(norm)(const void *job, int64_t row0, int64_t row1)
{
    const struct norm_job *j = job;
    int64_t n = j->x.cols;
    for (int64_t t = row0; t < row1; t++) {
        float *x = (float *)j->x.data + t * j->x.stride;
        for (int64_t c = 0; j->has_add && c < n; c += LANES) {
            int m = lanes_at(c, n);
            v16 a = v_load_n(row_f32(&j->add, t) + c, m);
            v_store_n(x + c, v_fma(a, v_set1(j->add_scale), v_load_n(x + c, m)), m);
        }
        if (!j->has_y)
            continue;
        float r = rms_factor(x, n, j->eps);
        for (int64_t c = 0; c < n; c += LANES) {
            int m = lanes_at(c, n);
            v16 w = v_load_n(j->w + c, m);
            put(&j->y, t, c, m, rms_apply(v_load_n(x + c, m), r, w, j->plus_one));
        }
    }
}

static void norm_in_place(float *x, int64_t n, const float *w, const struct rope_args *a)
{
    float r = rms_factor(x, n, a->eps);
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        v16 v = rms_apply(v_load_n(x + c, m), r, v_load_n(w + c, m), a->norm_plus_one);
        v_store_n(x + c, v, m);
    }
}

/* Pairs (i, i + half): (a c - b s, b c + a s) */
static void rotate(float *x, int64_t half, const float *cos_sin)
{
    for (int64_t i = 0; i < half; i += LANES) {
        int m = lanes_at(i, half);
        v16 a = v_load_n(x + i, m), b = v_load_n(x + half + i, m);
        v16 c = v_load_n(cos_sin + i, m), s = v_load_n(cos_sin + half + i, m);
        v_store_n(x + i, v_fma(a, c, v_sub(v_zero(), v_mul(b, s))), m);
        v_store_n(x + half + i, v_fma(b, c, v_mul(a, s)), m);
    }
}

static void rope_row(const struct tensor *t, int64_t row, int32_t heads, const float *w,
                     const struct rope_args *a)
{
    float *x = (float *)t->data + row * t->stride;
    const int32_t *pos = a->pos;
    if (w && a->norm_whole)
        norm_in_place(x, t->cols, w, a);
    for (int32_t h = 0; h < heads; h++, x += a->head_dim) {
        if (w && !a->norm_whole)
            norm_in_place(x, a->head_dim, w, a);
        if (a->rotary)
            rotate(x, a->rotary / 2, a->cos_sin + (int64_t)pos[row] * a->rotary);
    }
}

void SYM(rope)(const void *job, int64_t row0, int64_t row1)
{
    const struct rope_job *j = job;
    for (int64_t t = row0; t < row1; t++) {
        rope_row(&j->q, t, j->a->heads, j->a->q_norm, j->a);
        rope_row(&j->k, t, j->a->kv_heads, j->a->k_norm, j->a);
    }
}

INLINE v16 gate(const struct gated_args *a, v16 g, v16 u)
{
    if (a->kind == GATE_SILU)
        return v_mul(v_mul(g, v_sigmoid(g)), u);
    if (a->kind == GATE_GELU_TANH) { /* (1 + tanh t) / 2 = sigmoid(2 t), with no cancellation */
        v16 cube = v_mul(v_mul(g, g), g);
        v16 t = v_mul(v_fma(v_set1(0.044715f), cube, g), v_set1(1.59576912160573071f));
        return v_mul(v_mul(g, v_sigmoid(t)), u);
    }
    v16 limit = v_set1(a->limit);
    g = v_min(limit, g);
    u = v_max(v_set1(-a->limit), v_min(limit, u));
    v16 s = v_mul(g, v_sigmoid(v_mul(v_set1(a->alpha), g)));
    return v_mul(v_add(u, v_set1(1)), s);
}

void SYM(gated)(const void *job, int64_t row0, int64_t row1)
{
    const struct gated_job *j = job;
    int64_t n = j->y.cols;
    for (int64_t t = row0; t < row1; t++) {
        const float *x = row_f32(&j->x, t);
        for (int64_t c = 0; c < n; c += LANES) {
            int m = lanes_at(c, n);
            v16 g, u;
            if (j->a->interleaved) {
                float gs[LANES] = {0}, us[LANES] = {0};
                for (int i = 0; i < m; i++) {
                    gs[i] = x[2 * (c + i)];
                    us[i] = x[2 * (c + i) + 1];
                }
                g = v_load(gs);
                u = v_load(us);
            } else {
                g = v_load_n(x + c, m);
                u = v_load_n(x + n + c, m);
            }
            put(&j->y, t, c, m, gate(j->a, g, u));
        }
    }
}
