/* vec.h - sixteen floats: one register of AVX-512, two of AVX2, the same bits from both.
 *
 * Every function is one exactly rounded IEEE operation a lane, or a fixed sequence of such, so
 * that a kernel written with them gives the same bits on either instruction set.  Only files in
 * lib/dev/cpu/isa/, which are compiled once for each, may include this.
 */
#ifndef VEC_H
#define VEC_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline, unused))

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#ifdef __AVX512F__

typedef __m512 v16;

INLINE v16 v_set1(float x)
{
    return _mm512_set1_ps(x);
}
INLINE v16 v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
INLINE void v_store(float *p, v16 x)
{
    _mm512_storeu_ps(p, x);
}
/* The first n lanes, 0 <= n <= 16; the others are 0 and their memory is not touched. */
INLINE v16 v_load_n(const float *p, int n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void v_store_n(float *p, v16 x, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}
INLINE v16 v_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}
INLINE v16 v_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}
INLINE v16 v_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}
INLINE v16 v_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}
/* a * b + c, rounded once */
INLINE v16 v_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* b where either is NaN */
INLINE v16 v_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}
INLINE v16 v_min(v16 a, v16 b)
{
    return _mm512_min_ps(a, b);
}
INLINE v16 v_sqrt(v16 x)
{
    return _mm512_sqrt_ps(x);
}
INLINE v16 v_abs(v16 x)
{
    return _mm512_abs_ps(x);
}
/* |x| with the sign of s */
INLINE v16 v_with_sign(v16 x, v16 s)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        _mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(s), _mm512_castps_si512(x), 0xca));
}
/* a < b ? x : y */
INLINE v16 v_if_less(v16 a, v16 b, v16 x, v16 y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
/* x in lanes lo <= i < hi, else y */
INLINE v16 v_if_lane(int lo, int hi, v16 x, v16 y)
{
    uint32_t above = hi >= 16 ? 0xffff : hi <= 0 ? 0 : (1u << hi) - 1;
    uint32_t below = lo >= 16 ? 0xffff : lo <= 0 ? 0 : (1u << lo) - 1;
    return _mm512_mask_blend_ps((__mmask16)(above & ~below), y, x);
}
/* x * 2^n for integral n in -280..260 */
INLINE v16 v_scale2(v16 x, v16 n)
{
    __m512i i = _mm512_cvtps_epi32(n), h = _mm512_srai_epi32(i, 1);
    __m512i one = _mm512_set1_epi32(127);
    __m512i a = _mm512_slli_epi32(_mm512_add_epi32(h, one), 23);
    __m512i b = _mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(i, h), one), 23);
    return v_mul(v_mul(x, _mm512_castsi512_ps(a)), _mm512_castsi512_ps(b));
}
INLINE v16 v_round(v16 x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE v16 v_load_bf16(const uint16_t *p)
{
    __m512i u = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(u, 16));
}
/* 16 pairs of bf16 in 32-bit words: the low and the high halves, widened. */
INLINE v16 v_pair_lo(const uint16_t *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
INLINE v16 v_pair_hi(const uint16_t *p)
{
    return _mm512_castsi512_ps(
        _mm512_and_epi32(_mm512_loadu_si512(p), _mm512_set1_epi32((int)0xffff0000)));
}
/* Element i of the eight in each of 16 words of half bytes of MXFP4, its scale left out. */
INLINE v16 v_mxfp4(const char *p, int i)
{
    const __m512 values = _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f,
                                         -2, -3, -4, -6);
    return _mm512_permutexvar_ps(_mm512_srli_epi32(_mm512_loadu_si512(p), (unsigned)i * 4),
                                 values);
}
/* 2^(scale - 127) of 16 scales. */
INLINE v16 v_mxfp4_scale(const char *p)
{
    __m512i u = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
    return _mm512_castsi512_ps(
        _mm512_max_epi32(_mm512_slli_epi32(u, 23), _mm512_set1_epi32(0x400000)));
}
/* To the nearest bf16, ties to even; a NaN stays a quiet one. */
INLINE void v_store_bf16(uint16_t *p, v16 x)
{
    __m512i u = _mm512_castps_si512(x), h = _mm512_srli_epi32(u, 16);
    __m512i odd = _mm512_and_epi32(h, _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    r = _mm512_mask_or_epi32(_mm512_srli_epi32(r, 16), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                             h, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(r));
}
#ifdef __AVX512BF16__
/* 16 pairs of bf16, a pair being two neighbours along k, the even one in the low half. */
typedef __m512bh v_pairs;

INLINE v_pairs v_pairs_load(const void *p)
{
    return (v_pairs)_mm512_loadu_si512(p);
}
INLINE void v_pairs_store(void *p, v_pairs x)
{
    _mm512_storeu_si512(p, (__m512i)x);
}
INLINE v_pairs v_pairs_set1(uint32_t pair)
{
    return (v_pairs)_mm512_set1_epi32((int)pair);
}
INLINE v_pairs v_pairs_set1_at(const uint16_t *p)
{
    uint32_t pair;
    memcpy(&pair, p, sizeof pair);
    return v_pairs_set1(pair);
}
/* Of floats that are bf16 exactly. */
INLINE v_pairs v_pairs_of(v16 even, v16 odd)
{
    __m512i high = _mm512_set1_epi32((int)0xffff0000);
    return (v_pairs)_mm512_ternarylogic_epi32(
        high, _mm512_castps_si512(odd), _mm512_srli_epi32(_mm512_castps_si512(even), 16), 0xca);
}
/* c + the odd product, rounded, + the even product, rounded; what is subnormal counts 0 */
INLINE v16 v_dot(v_pairs a, v_pairs b, v16 c)
{
    return _mm512_dpbf16_ps(c, a, b);
}
#endif
INLINE __m256 v_low(v16 x)
{
    return _mm512_castps512_ps256(x);
}
INLINE __m256 v_high(v16 x)
{
    return _mm512_extractf32x8_ps(x, 1);
}

#else

typedef struct {
    __m256 a, b;
} v16;

#define V_EACH1(f, x) ((v16){f((x).a), f((x).b)})
#define V_EACH2(f, x, y) ((v16){f((x).a, (y).a), f((x).b, (y).b)})

INLINE v16 v_set1(float x)
{
    __m256 v = _mm256_set1_ps(x);
    return (v16){v, v};
}
INLINE v16 v_load(const float *p)
{
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
INLINE void v_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
/* Lanes lo <= i < hi of eight, as a mask. */
INLINE __m256i lanes8(int lo, int hi)
{
    __m256i i = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(lo), i),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(hi), i));
}
INLINE v16 v_load_n(const float *p, int n)
{
    return (v16){_mm256_maskload_ps(p, lanes8(0, n)),
                 _mm256_maskload_ps(p + 8, lanes8(0, n - 8))};
}
INLINE void v_store_n(float *p, v16 x, int n)
{
    _mm256_maskstore_ps(p, lanes8(0, n), x.a);
    _mm256_maskstore_ps(p + 8, lanes8(0, n - 8), x.b);
}
INLINE v16 v_add(v16 x, v16 y)
{
    return V_EACH2(_mm256_add_ps, x, y);
}
INLINE v16 v_sub(v16 x, v16 y)
{
    return V_EACH2(_mm256_sub_ps, x, y);
}
INLINE v16 v_mul(v16 x, v16 y)
{
    return V_EACH2(_mm256_mul_ps, x, y);
}
INLINE v16 v_div(v16 x, v16 y)
{
    return V_EACH2(_mm256_div_ps, x, y);
}
INLINE v16 v_fma(v16 x, v16 y, v16 z)
{
    return (v16){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
INLINE v16 v_max(v16 x, v16 y)
{
    return V_EACH2(_mm256_max_ps, x, y);
}
INLINE v16 v_min(v16 x, v16 y)
{
    return V_EACH2(_mm256_min_ps, x, y);
}
INLINE v16 v_sqrt(v16 x)
{
    return V_EACH1(_mm256_sqrt_ps, x);
}
INLINE v16 v_abs(v16 x)
{
    v16 sign = v_set1(-0.0f);
    return V_EACH2(_mm256_andnot_ps, sign, x);
}
INLINE v16 v_with_sign(v16 x, v16 s)
{
    v16 sign = v_set1(-0.0f), m = V_EACH2(_mm256_and_ps, sign, s);
    x = v_abs(x);
    return V_EACH2(_mm256_or_ps, m, x);
}
INLINE v16 v_if_less(v16 a, v16 b, v16 x, v16 y)
{
    return (v16){_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)),
                 _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ))};
}
INLINE v16 v_if_lane(int lo, int hi, v16 x, v16 y)
{
    return (v16){_mm256_blendv_ps(y.a, x.a, _mm256_castsi256_ps(lanes8(lo, hi))),
                 _mm256_blendv_ps(y.b, x.b, _mm256_castsi256_ps(lanes8(lo - 8, hi - 8)))};
}
INLINE __m256 scale2_8(__m256 x, __m256 n)
{
    __m256i i = _mm256_cvtps_epi32(n), h = _mm256_srai_epi32(i, 1);
    __m256i one = _mm256_set1_epi32(127);
    __m256i a = _mm256_slli_epi32(_mm256_add_epi32(h, one), 23);
    __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, h), one), 23);
    return _mm256_mul_ps(_mm256_mul_ps(x, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
}
INLINE v16 v_scale2(v16 x, v16 n)
{
    return V_EACH2(scale2_8, x, n);
}
INLINE __m256 round8(__m256 x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE v16 v_round(v16 x)
{
    return V_EACH1(round8, x);
}
INLINE __m256 load_bf16_8(const uint16_t *p)
{
    __m256i u = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(u, 16));
}
INLINE v16 v_load_bf16(const uint16_t *p)
{
    return (v16){load_bf16_8(p), load_bf16_8(p + 8)};
}
INLINE __m256 pair_lo_8(const uint16_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const void *)p), 16));
}
INLINE __m256 pair_hi_8(const uint16_t *p)
{
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256((const void *)p),
                                                _mm256_set1_epi32((int)0xffff0000)));
}
INLINE v16 v_pair_lo(const uint16_t *p)
{
    return (v16){pair_lo_8(p), pair_lo_8(p + 16)};
}
INLINE v16 v_pair_hi(const uint16_t *p)
{
    return (v16){pair_hi_8(p), pair_hi_8(p + 16)};
}
INLINE __m256 mxfp4_8(const char *p, int i)
{
    const __m256 values = _mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6);
    __m256i u = _mm256_loadu_si256((const void *)p);
    __m256i sign = _mm256_and_si256(_mm256_slli_epi32(u, 28 - i * 4),
                                    _mm256_set1_epi32(INT32_MIN));
    return _mm256_xor_ps(_mm256_castsi256_ps(sign),
                         _mm256_permutevar8x32_ps(values, _mm256_srli_epi32(u, i * 4)));
}
INLINE v16 v_mxfp4(const char *p, int i)
{
    return (v16){mxfp4_8(p, i), mxfp4_8(p + 32, i)};
}
INLINE __m256 mxfp4_scale_8(const char *p)
{
    __m256i u = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
    return _mm256_castsi256_ps(
        _mm256_max_epi32(_mm256_slli_epi32(u, 23), _mm256_set1_epi32(0x400000)));
}
INLINE v16 v_mxfp4_scale(const char *p)
{
    return (v16){mxfp4_scale_8(p), mxfp4_scale_8(p + 8)};
}
INLINE __m256i round_bf16_8(__m256 x)
{
    __m256i u = _mm256_castps_si256(x), h = _mm256_srli_epi32(u, 16);
    __m256i odd = _mm256_and_si256(h, _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_srli_epi32(r, 16),
                              _mm256_or_si256(h, _mm256_set1_epi32(0x40)), nan);
}
INLINE void v_store_bf16(uint16_t *p, v16 x)
{
    __m256i both = _mm256_packus_epi32(round_bf16_8(x.a), round_bf16_8(x.b));
    _mm256_storeu_si256((void *)p, _mm256_permute4x64_epi64(both, 0xd8));
}
INLINE __m256 v_low(v16 x)
{
    return x.a;
}
INLINE __m256 v_high(v16 x)
{
    return x.b;
}

#endif

/* ---- the same text for both ------------------------------------------------ */

INLINE v16 v_zero(void)
{
    return v_set1(0);
}

INLINE void v_store_bf16_n(uint16_t *p, v16 x, int n)
{
    uint16_t h[16];
    v_store_bf16(h, x);
    memcpy(p, h, (size_t)n * sizeof *h);
}

INLINE float v_first(v16 x)
{
    return _mm256_cvtss_f32(v_low(x));
}

/* The tree over lanes: i with i + 8, then i + 4, i + 2, i + 1. */
INLINE float v_sum(v16 x)
{
    __m256 e = _mm256_add_ps(v_low(x), v_high(x));
    __m128 f = _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    f = _mm_add_ps(f, _mm_movehl_ps(f, f));
    return _mm_cvtss_f32(_mm_add_ss(f, _mm_movehdup_ps(f)));
}

INLINE float v_largest(v16 x)
{
    __m256 e = _mm256_max_ps(v_low(x), v_high(x));
    __m128 f = _mm_max_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
    f = _mm_max_ps(f, _mm_movehl_ps(f, f));
    return _mm_cvtss_f32(_mm_max_ss(f, _mm_movehdup_ps(f)));
}

/* e^x within 2 units in the last place; 0 below -104, inf above 89, NaN for NaN, 1 for 0.
 * x = n ln 2 + r, then the polynomial of Cephes' expf on r. */
INLINE v16 v_exp(v16 x)
{
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    v16 n = v_round(v_mul(x, v_set1(1.44269504088896341f)));
    v16 r = v_fma(n, v_set1(-0.693359375f), x);
    r = v_fma(n, v_set1(2.12194440e-4f), r);
    v16 p = v_set1(1.9875691500e-4f);
    p = v_fma(p, r, v_set1(1.3981999507e-3f));
    p = v_fma(p, r, v_set1(8.3334519073e-3f));
    p = v_fma(p, r, v_set1(4.1665795894e-2f));
    p = v_fma(p, r, v_set1(1.6666665459e-1f));
    p = v_fma(p, r, v_set1(5.0000001201e-1f));
    p = v_fma(p, v_mul(r, r), r);
    return v_scale2(v_add(p, v_set1(1)), n);
}

/* Cephes' tanhf: a polynomial below 0.625, else by e^2|x|; within 3 units in the last place. */
INLINE v16 v_tanh(v16 x)
{
    v16 a = v_abs(x), z = v_mul(x, x), one = v_set1(1);
    v16 e = v_exp(v_add(a, a));
    v16 big = v_sub(one, v_div(v_set1(2), v_add(e, one)));
    v16 p = v_set1(-5.70498872745e-3f);
    p = v_fma(p, z, v_set1(2.06390887954e-2f));
    p = v_fma(p, z, v_set1(-5.37397155531e-2f));
    p = v_fma(p, z, v_set1(1.33314422036e-1f));
    p = v_fma(p, z, v_set1(-3.33332819422e-1f));
    v16 small = v_fma(v_mul(p, z), x, x);
    return v_if_less(a, v_set1(0.625f), small, v_with_sign(big, x));
}

/* 1 / (1 + e^-x) */
INLINE v16 v_sigmoid(v16 x)
{
    v16 one = v_set1(1);
    return v_div(one, v_add(one, v_exp(v_sub(v_zero(), x))));
}

/* c tanh(x / c) where c > 0, else x */
INLINE v16 v_cap(v16 x, float c)
{
    if (!(c > 0))
        return x;
    return v_mul(v_set1(c), v_tanh(v_div(x, v_set1(c))));
}

#endif
