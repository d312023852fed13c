/* utf8_blocks.c - well-formed UTF-8, 32 bytes at a time, where the CPU has AVX2.
 *
 * The method is Keiser and Lemire's (Validating UTF-8 In Less Than One Instruction Per Byte,
 * 2021): three tables of what a byte's halves and the half behind it can be part of; a bit that
 * stands in all three is an error.  What they cannot see, a second or third tail byte, is
 * compared with what the bytes two and three before it ask for.
 */
#include "rec/utf8.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

enum {
    TOO_SHORT = 1 << 0,  /* a head, and no tail behind it */
    TOO_LONG = 1 << 1,   /* ASCII, and a tail behind it */
    OVERLONG_3 = 1 << 2, /* E0 and 80 to 9F */
    TOO_LARGE = 1 << 3,  /* F4 and 90 or more, or F5 and more */
    SURROGATE = 1 << 4,  /* ED and A0 or more */
    OVERLONG_2 = 1 << 5, /* C0, C1 */
    OVERLONG_4 = 1 << 6, /* F0 and 80 to 8F; F5 and more, and 80 to 8F */
    TWO_TAILS = 1 << 7,
    ANY_HEAD = TOO_SHORT | TOO_LONG | TWO_TAILS, /* where the low half says nothing */
};

/* Rows of 16, once for each half of a register. */
#define TWICE(...) __VA_ARGS__, __VA_ARGS__
#define ROW(...) _mm256_setr_epi8(TWICE(__VA_ARGS__))
#define BITS(x) ((char)(x))

AVX2 static inline __m256i halves(__m256i x)
{
    return _mm256_and_si256(_mm256_srli_epi16(x, 4), _mm256_set1_epi8(0x0f));
}

/* What is wrong between each byte of a block and those before it; 0: nothing. */
AVX2 static inline __m256i wrong(__m256i block, __m256i before)
{
    const char s = TOO_SHORT, l = TOO_LONG, two = BITS(TWO_TAILS);
    const char big = BITS(ANY_HEAD | TOO_LARGE | OVERLONG_4), any = BITS(ANY_HEAD);
    const char tail = TOO_LONG | OVERLONG_2 | (char)two;
    const __m256i first_high = ROW(l, l, l, l, l, l, l, l, two, two, two, two, s | OVERLONG_2,
                                   s, s | OVERLONG_3 | SURROGATE, s | TOO_LARGE | OVERLONG_4);
    const __m256i first_low = ROW(
        BITS(ANY_HEAD | OVERLONG_3 | OVERLONG_2 | OVERLONG_4), BITS(ANY_HEAD | OVERLONG_2), any,
        any, BITS(ANY_HEAD | TOO_LARGE), big, big, big, big, big, big, big, big,
        BITS(ANY_HEAD | TOO_LARGE | OVERLONG_4 | SURROGATE), big, big);
    const __m256i second_high = ROW(s, s, s, s, s, s, s, s, tail | OVERLONG_3 | OVERLONG_4,
                                    tail | OVERLONG_3 | TOO_LARGE, tail | SURROGATE | TOO_LARGE,
                                    tail | SURROGATE | TOO_LARGE, s, s, s, s);
    __m256i across = _mm256_permute2x128_si256(before, block, 0x21);
    __m256i one = _mm256_alignr_epi8(block, across, 15);
    __m256i two_back = _mm256_alignr_epi8(block, across, 14);
    __m256i three_back = _mm256_alignr_epi8(block, across, 13);
    __m256i pairs = _mm256_and_si256(
        _mm256_and_si256(
            _mm256_shuffle_epi8(first_high, halves(one)),
            _mm256_shuffle_epi8(first_low, _mm256_and_si256(one, _mm256_set1_epi8(0x0f)))),
        _mm256_shuffle_epi8(second_high, halves(block)));
    __m256i third = _mm256_subs_epu8(two_back, _mm256_set1_epi8(0xe0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(three_back, _mm256_set1_epi8(0xf0 - 0x80));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth),
                                    _mm256_set1_epi8(BITS(0x80)));
    return _mm256_xor_si256(must, pairs);
}

AVX2 static int check(const char *p, size_t n)
{
    __m256i before = _mm256_setzero_si256(), error = before;
    char tail[UTF8_BLOCK] = {0};
    for (; n >= UTF8_BLOCK; p += UTF8_BLOCK, n -= UTF8_BLOCK) {
        __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)p);
        if (_mm256_movemask_epi8(_mm256_or_si256(block, before)))
            error = _mm256_or_si256(error, wrong(block, before));
        before = block;
    }
    /* The zeros behind the text end it: what was begun is too short. */
    memcpy(tail, p, n);
    error = _mm256_or_si256(
        error, wrong(_mm256_loadu_si256((const __m256i *)(const void *)tail), before));
    return _mm256_testz_si256(error, error);
}

int utf8_check_blocks(const char *p, size_t n)
{
    return __builtin_cpu_supports("avx2") ? check(p, n) : -1;
}

#else

int utf8_check_blocks(const char *p, size_t n)
{
    (void)p;
    (void)n;
    return -1;
}

#endif
