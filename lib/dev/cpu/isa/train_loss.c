/* train_loss.c - logits, what remains of each chunk of them, and their gradients.
 *
 * Sums are those of head.c.
 */
#include "dev/cpu/isa/train.h"

static struct head_part reduce(const float *l, int64_t n)
{
    v16 most = v_set1(-INFINITY), sum = v_zero();
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        most = v_max(most, v_if_lane(0, m, v_load_n(l + c, m), v_set1(-INFINITY)));
    }
    float max = v_largest(most);
    for (int64_t c = 0; c < n; c += LANES) {
        int m = lanes_at(c, n);
        v16 e = v_exp(v_sub(v_load_n(l + c, m), v_set1(max)));
        sum = v_add(sum, v_if_lane(0, m, e, v_zero()));
    }
    return (struct head_part){max, v_sum(sum), 0};
}

/* Products become logits. */
void SYM(train_logits)(const void *job, int64_t row0, int64_t row1)
{
    const struct logits_job *j = job;
    for (int64_t r = row0; r < row1; r++) {
        float *l = j->l + r * j->stride;
        for (int64_t c = 0; c < j->cols; c += LANES) {
            int m = lanes_at(c, j->cols);
            v16 v = v_cap(v_mul(v_load_n(l + c, m), v_set1(j->scale)), j->soft_cap);
            v_store_n(l + c, v, m);
        }
        struct head_part *parts = j->parts + r * j->chunks + j->id0 / HEAD_CHUNK;
        for (int64_t c = 0; c < j->cols; c += HEAD_CHUNK)
            *parts++ = reduce(l + c, j->cols - c < HEAD_CHUNK ? j->cols - c : HEAD_CHUNK);
        int64_t at = j->ids[r] - j->id0;
        if (at >= 0 && at < j->cols)
            j->picked[r] = l[at];
    }
}

/* Logits become the gradient by their products: weight (p - 1 at the target) scale, and for a
 * cap 1 - (l / cap)^2. */
void SYM(train_logits_back)(const void *job, int64_t row0, int64_t row1)
{
    const struct logits_job *j = job;
    for (int64_t r = row0; r < row1; r++) {
        float *l = j->l + r * j->stride, w = j->weight[r] * j->scale;
        int64_t at = j->ids[r] - j->id0;
        v16 max = v_set1(j->max[r]), sum = v_set1(j->sum[r]), one = v_set1(1);
        float mine = at >= 0 && at < j->cols ? l[at] : 0;
        for (int64_t c = 0; c < j->cols; c += LANES) {
            int m = lanes_at(c, j->cols);
            v16 v = v_load_n(l + c, m), p = v_div(v_exp(v_sub(v, max)), sum);
            if (j->soft_cap > 0) {
                v16 th = v_div(v, v_set1(j->soft_cap));
                p = v_mul(p, v_fma(v_sub(v_zero(), th), th, one));
            }
            v_store_n(l + c, v_mul(p, v_set1(w)), m);
        }
        if (at < 0 || at >= j->cols)
            continue;
        float th = j->soft_cap > 0 ? mine / j->soft_cap : 0;
        float p = v_first(v_div(v_exp(v_sub(v_set1(mine), max)), sum));
        l[at] = (p - 1) * (1 - th * th) * w;
    }
}
