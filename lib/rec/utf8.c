/* utf8.c - well-formed UTF-8, as Unicode's table 3-7 has it. */
#include "rec/utf8.h"

#include "rec/json.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
    unsigned char c = p[0];
    size_t left = (size_t)(end - p);
    if (c < 0x80)
        return 1;
    if (c < 0xc2)
        return 0;
    if (c < 0xe0)
        return left >= 2 && is_tail(p[1]) ? 2 : 0;
    if (c < 0xf0) {
        if (left < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        return (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ? 0 : 3;
    }
    if (c > 0xf4 || left < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]))
        return 0;
    return (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

/* Offset of the first byte over 0x7f. */
static size_t ascii_to(const char *p, size_t n)
{
    size_t i = 0;
#ifdef __SSE2__
    for (; n - i >= 16; i += 16) {
        int mask = _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + i)));
        if (mask)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < n && (unsigned char)p[i] < 0x80)
        i++;
    return i;
}

size_t utf8_valid_to(const char *text, size_t n)
{
    if (!n) /* text may be NULL */
        return 0;
    size_t at = ascii_to(text, n);
    if (n - at >= UTF8_BLOCK && utf8_check_blocks(text + at, n - at) > 0)
        return n;
    while (at < n) {
        size_t k = utf8_length((const unsigned char *)text + at,
                               (const unsigned char *)text + n);
        if (!k)
            break;
        at += k;
        at += ascii_to(text + at, n - at);
    }
    return at;
}

size_t utf8_cut(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = p[n - back];
        if (is_tail(c))
            continue;
        size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        return want > back ? n - back : n;
    }
    return n;
}

bool utf8_check(const char *p, size_t n)
{
    return utf8_valid_to(p, n) == n;
}
