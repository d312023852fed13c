/* experts.c - which experts a token goes to, and the weighted sum of what they give.
 *
 * The softmax over all experts sums as a row does (rows.c); that over the chosen ones is one
 * ascending chain.
 */
#include "dev/cpu/isa.h"

/* The `used` largest logits' places, the largest first; the lower place among equals. */
static void choose(const float *l, int32_t experts, int32_t used, int32_t *best)
{
    int32_t n = 0;
    for (int32_t e = 0; e < experts; e++) {
        if (n == used && !(l[e] > l[best[n - 1]]))
            continue;
        int32_t i = n < used ? n++ : used - 1;
        for (; i > 0 && l[e] > l[best[i - 1]]; i--)
            best[i] = best[i - 1];
        best[i] = e;
    }
}

static void ascend(int32_t *v, int32_t n)
{
    for (int32_t k = 1; k < n; k++) {
        int32_t x = v[k], i = k;
        for (; i > 0 && v[i - 1] > x; i--)
            v[i] = v[i - 1];
        v[i] = x;
    }
}

static float sum_all(const float *l, int32_t n, float max)
{
    v16 sum = v_zero();
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        v16 p = v_exp(v_sub(v_load_n(l + c, m), v_set1(max)));
        sum = v_add(sum, v_if_lane(0, m, p, v_zero()));
    }
    return v_sum(sum);
}

void SYM(route)(const void *job, int64_t row0, int64_t row1)
{
    const struct route_job *j = job;
    int32_t used = j->r->used;
    for (int64_t t = row0; t < row1; t++) {
        const float *l = row_f32(&j->logits, t);
        int32_t *expert = j->r->expert + t * used;
        float *weight = j->r->weight + t * used, sum = 0;
        choose(l, j->r->experts, used, expert);
        float max = l[expert[0]];
        ascend(expert, used);
        for (int32_t i = 0; i < used; i++) {
            weight[i] = v_first(v_exp(v_set1(l[expert[i]] - max)));
            sum += weight[i];
        }
        if (j->a->over_all)
            sum = sum_all(l, j->r->experts, max);
        for (int32_t i = 0; i < used; i++)
            weight[i] = weight[i] / sum * j->a->scale;
    }
}

void SYM(combine)(const void *job, int64_t row0, int64_t row1)
{
    const struct combine_job *j = job;
    int64_t n = j->y.cols, used = j->r->used;
    for (int64_t t = row0; t < row1; t++)
        for (int64_t c = 0; c < n; c += LANES) {
            int m = lanes_at(c, n);
            v16 sum = v_zero();
            for (int64_t i = t * used; i < (t + 1) * used; i++)
                sum = v_fma(v_set1(j->r->weight[i]),
                            v_load_n(row_f32(&j->x, j->r->row[i]) + c, m), sum);
            put(&j->y, t, c, m, sum);
        }
}
