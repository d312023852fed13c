/* half.h - floats of 16 and of 4 bits: exact widening, and rounding to nearest even. */
#ifndef HALF_H
#define HALF_H

#include <stdint.h>
#include <string.h>

static inline float f32_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float bf16_to_f32(uint16_t h)
{
    return f32_from_bits((uint32_t)h << 16);
}

/* A NaN stays one (quiet, sign kept); what is too large becomes infinite. */
static inline uint16_t bf16_from_f32(float f)
{
    uint32_t u = f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* The same, with what is too small for f16's subnormal numbers becoming zero. */
static inline uint16_t f16_from_f32(float f)
{
    uint32_t u = f32_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) { /* subnormal: the sum's last bits are those of f16 */
        float shifted = f32_from_bits(a) + 0.5f;
        return (uint16_t)(sign | (f32_bits(shifted) - f32_bits(0.5f)));
    }
    return (uint16_t)(sign | (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13);
}

static inline float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, frac = h & 0x3ff;
    if (exp == 31)
        return f32_from_bits(sign | 0x7f800000 | frac << 13);
    if (exp == 0) { /* zero, or subnormal: frac * 2^-24, exact in f32 */
        float f = (float)frac * 0x1p-24f;
        return sign ? -f : f;
    }
    return f32_from_bits(sign | (exp + 112) << 23 | frac << 13);
}

/* 2^(scale - 127); 255, which the format has no number for, is infinite. */
static inline float mxfp4_scale(uint8_t scale)
{
    return f32_from_bits(scale ? (uint32_t)scale << 23 : 0x400000);
}

/* Element i of a block of MXFP4. */
static inline float mxfp4_to_f32(const uint8_t *block, int64_t i, uint8_t scale)
{
    static const float values[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    unsigned half = block[i / 2] >> i % 2 * 4 & 15;
    float f = values[half & 7] * mxfp4_scale(scale);
    return half & 8 ? -f : f;
}

#endif
