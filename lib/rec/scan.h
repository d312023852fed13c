/* scan.h - the inner loops that every scanner of this folder shares. */
#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>
#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool json_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline const char *json_skip_blanks(const char *p, const char *end)
{
    while (p < end && json_is_blank(*p))
        p++;
    return p;
}

#ifdef __SSE2__
/* 0xff for each of 16 bytes that is a quote, a backslash or a control byte. */
static inline __m128i json_odd16(const char *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x),
                               _mm_cmpeq_epi8(x, _mm_set1_epi8('"')));
    return _mm_or_si128(odd, _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
}
#endif

/* The first byte of a string's inside that is not plain: a quote, a backslash, a control byte.
 */
static inline const char *json_skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        int mask = _mm_movemask_epi8(json_odd16(p));
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
        /* Two at a time, where it was not a short one. */
        while (end - p >= 48 &&
               !_mm_movemask_epi8(_mm_or_si128(json_odd16(p + 16), json_odd16(p + 32))))
            p += 32;
    }
#endif
    while (p < end && (unsigned char)*p >= ' ' && *p != '"' && *p != '\\')
        p++;
    return p;
}

#endif
