/* utf8.c - well-formed UTF-8, as Unicode's table 3-7 has it. */
#include "rec/utf8.h"

#include "rec/json.h"

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

static bool ascii8(const unsigned char *p)
{
    uint64_t eight;
    memcpy(&eight, p, 8);
    return !(eight & UINT64_C(0x8080808080808080));
}

size_t utf8_valid_to(const char *text, size_t n)
{
    if (!n) /* text may be NULL */
        return 0;
    const unsigned char *start = (const unsigned char *)text, *p = start, *end = p + n;
    while (p < end) {
        if (end - p >= 8 && ascii8(p)) {
            p += 8;
            continue;
        }
        size_t k = utf8_length(p, end);
        if (!k)
            break;
        p += k;
    }
    return (size_t)(p - start);
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
