/* rope.c - tables of cosines and sines for rotary positions. */
#include "model/arch.h"

#include <math.h>
#include <stdlib.h>

/* YaRN: the frequency that turns `rotations` times within the first training's positions. */
static double yarn_place(const struct rope_spec *r, double rotations, int32_t rotary)
{
    return rotary * log(r->original / (rotations * 2 * M_PI)) / (2 * log(r->theta));
}

/* Fast ones stay, slow ones are divided, and between them it goes over by and by. */
static double yarn(const struct rope_spec *r, double f, int32_t i, int32_t rotary)
{
    double lo = yarn_place(r, r->fast, rotary), hi = yarn_place(r, r->slow, rotary);
    if (r->truncate) {
        lo = floor(lo);
        hi = ceil(hi);
    }
    lo = fmax(lo, 0);
    hi = fmin(hi, rotary - 1);
    double ramp = (i - lo) / (hi == lo ? 0.001 : hi - lo);
    ramp = fmin(fmax(ramp, 0), 1);
    return ramp * f / r->factor + (1 - ramp) * f;
}

/* The i-th of rotary/2 frequencies. */
static double frequency(const struct rope_spec *r, int32_t i, int32_t rotary)
{
    double f = pow(r->theta, -2.0 * i / rotary);
    switch (r->kind) {
    case ROPE_DEFAULT: return f;
    case ROPE_LINEAR: return f / r->factor;
    case ROPE_FACTORS: return f / r->factors[i];
    case ROPE_YARN: return yarn(r, f, i, rotary);
    case ROPE_LLAMA3: break;
    }
    double wave = 2 * M_PI / f;
    if (wave < r->original / r->high_freq)
        return f;
    if (wave > r->original / r->low_freq)
        return f / r->factor;
    double s = (r->original / wave - r->low_freq) / (r->high_freq - r->low_freq);
    return (1 - s) * f / r->factor + s * f;
}

/* Frequency and angle are rounded to f32 as in the models' training code, so that far positions
 * get the angles that the weights were trained with. */
void rope_fill(const struct rope_spec *r, int32_t rotary, int32_t positions, float *cos_sin)
{
    int32_t half = rotary / 2;
    float *freq = xmalloc_n((size_t)half, sizeof *freq);
    for (int32_t i = 0; i < half; i++)
        freq[i] = (float)frequency(r, i, rotary);
    for (int32_t t = 0; t < positions; t++, cos_sin += rotary) {
        for (int32_t i = 0; i < half; i++) {
            float angle = (float)t * freq[i];
            cos_sin[i] = (float)(cos((double)angle) * r->attention_factor);
            cos_sin[half + i] = (float)(sin((double)angle) * r->attention_factor);
        }
    }
    free(freq);
}
