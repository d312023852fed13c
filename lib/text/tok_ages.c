/* tok_ages.c - characters that the reference's tables class otherwise than utf8proc's, which
 * are of another version of Unicode: found by asking both about every character.
 *
 * Left as they are: marks (StripAccents, BertNormalizer) and cases newer than the reference's
 * or ours, and what PCRE2's \\p{...} does not know yet.
 */
#include "text/tok.h"

struct range {
    uint32_t from, to;
};

static bool is_in(const struct range *r, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > r[mid].to)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && c >= r[low].from;
}
#define IS_IN(table, c) is_in(table, sizeof(table) / sizeof *(table), c)

/* Its Punctuation is of Unicode 8. */
bool tok_differs_punct(uint32_t c)
{
    static const struct range table[] = {
        {0x61d, 0x61d},     {0x9fd, 0x9fd},     {0xa76, 0xa76},     {0xc77, 0xc77},
        {0xc84, 0xc84},     {0x166d, 0x166d},   {0x1b7d, 0x1b7e},   {0x2e43, 0x2e4f},
        {0x2e52, 0x2e5d},   {0x10ead, 0x10ead}, {0x10f55, 0x10f59}, {0x10f86, 0x10f89},
        {0x111c9, 0x111c9}, {0x1144b, 0x1144f}, {0x1145a, 0x1145b}, {0x1145d, 0x1145d},
        {0x11660, 0x1166c}, {0x116b9, 0x116b9}, {0x1183b, 0x1183b}, {0x11944, 0x11946},
        {0x119e2, 0x119e2}, {0x11a3f, 0x11a46}, {0x11a9a, 0x11a9c}, {0x11a9e, 0x11aa2},
        {0x11b00, 0x11b09}, {0x11c41, 0x11c45}, {0x11c70, 0x11c71}, {0x11ef7, 0x11ef8},
        {0x11f43, 0x11f4f}, {0x11fff, 0x11fff}, {0x12ff1, 0x12ff2}, {0x16e97, 0x16e9a},
        {0x16fe2, 0x16fe2}, {0x1e95e, 0x1e95f}};
    return IS_IN(table, c);
}

/* Its numbers are of Unicode 16. */
bool tok_differs_numeric(uint32_t c)
{
    static const struct range table[] = {
        {0x10d40, 0x10d49}, {0x116d0, 0x116e3}, {0x11bf0, 0x11bf9},
        {0x11de0, 0x11de9}, {0x16130, 0x16139}, {0x16d70, 0x16d79},
        {0x16ff4, 0x16ff6}, {0x1ccf0, 0x1ccf9}, {0x1e5f1, 0x1e5fa}};
    return IS_IN(table, c);
}

/* Its normal forms are of Unicode 12: what came later stays as it is. */
bool tok_stays_composed(uint32_t c)
{
    static const struct range table[] = {
        {0x32ff, 0x32ff},   {0xa7f2, 0xa7f4},   {0xab69, 0xab69},   {0x10781, 0x10785},
        {0x10787, 0x107b0}, {0x107b2, 0x107ba}, {0x11938, 0x11938}, {0x1e030, 0x1e06d},
        {0x1f16c, 0x1f16c}, {0x1fbf0, 0x1fbf9}};
    return IS_IN(table, c);
}
