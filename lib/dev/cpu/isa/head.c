/* head.c - logits in chunks of fixed size, and what remains of each chunk.
 *
 * Sum of exp over a chunk: lane i takes logits i, i + 16, ... in ascending order, then the tree
 * over lanes; chunks are merged in ascending order, in double.
 */
#include "dev/cpu/isa.h"

/* Dot products become logits; behind the last one stands -inf, up to a whole vector. */
static void finish(const struct head_job *j, float *l, int64_t n)
{
    v16 scale = v_set1(j->scale);
    for (int64_t c = 0; c < n; c += LANES) {
        v16 v = v_cap(v_mul(v_load(l + c), scale), j->soft_cap);
        v_store(l + c, v_if_lane(0, lanes_at(c, n), v, v_set1(-INFINITY)));
    }
}

static struct head_part reduce(const float *l, int64_t n, int64_t id0)
{
    v16 most = v_set1(-INFINITY), sum = v_zero();
    for (int64_t c = 0; c < n; c += LANES)
        most = v_max(most, v_load(l + c));
    float max = v_largest(most);
    for (int64_t c = 0; c < n; c += LANES)
        sum = v_add(sum, v_exp(v_sub(v_load(l + c), v_set1(max))));
    int64_t best = 0;
    while (best < n - 1 && l[best] != max)
        best++;
    return (struct head_part){max, v_sum(sum), (int32_t)(id0 + best)};
}

void SYM(head_chunk)(const struct head_job *j, int64_t chunk, int64_t row0, int64_t row1)
{
    float logits[HEAD_ROWS * HEAD_CHUNK];
    int64_t id0 = chunk * HEAD_CHUNK, vocab = j->p.w->shape.n;
    int64_t n = vocab - id0 < HEAD_CHUNK ? vocab - id0 : HEAD_CHUNK;
    int64_t block = id0 / LANES, end = block + (n + LANES - 1) / LANES;
    int64_t step = SYM(linear_panel)(row1 - row0);
    for (int64_t b = block; b < end; b += step)
        SYM(product_tile)
    (&j->p, row0, row1, b, b + step < end ? b + step : end, logits + (b - block) * LANES,
     HEAD_CHUNK);
    for (int64_t r = row0; r < row1; r++) {
        float *l = logits + (r - row0) * HEAD_CHUNK;
        finish(j, l, n);
        for (int64_t c = 0; j->y.data && c < n; c += LANES)
            put(&j->y, r, id0 + c, lanes_at(c, n), v_load(l + c));
        if (j->ids && j->ids[r] >= id0 && j->ids[r] < id0 + n)
            j->picked[r] = l[j->ids[r] - id0];
        if (j->parts)
            j->parts[chunk * j->rows + r] = reduce(l, n, id0);
    }
}

double SYM(head_merge)(const struct head_job *j, int64_t chunks, int64_t row, float max)
{
    double sum = 0;
    for (int64_t c = 0; c < chunks; c++) {
        const struct head_part *p = &j->parts[c * j->rows + row];
        sum += (double)p->sum * (double)v_first(v_exp(v_set1(p->max - max)));
    }
    return sum;
}
