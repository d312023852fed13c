/* utf8.c - well-formed UTF-8 in blocks and byte by byte: the same verdict everywhere. */
#include "rec/utf8.h"

#include "base/random.h"
#include "rec/json.h"
#include "unit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The first bad byte, by the one function that looks at a character at a time. */
static size_t slow(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n;
    size_t i = 0, k;
    while (i < n && (k = utf8_length(p + i, end)))
        i += k;
    return i;
}

/* Every sequence of up to four bytes (the third and fourth from those that matter) behind
 * `before` letters, in a text that goes on behind it and in one that does not. */
static void test_sequences(size_t before)
{
    static const unsigned char marks[] = {0, 0x7f, 0x80, 0xbf, 0xc2, 0xf4};
    enum { MARKS = sizeof marks };
    char text[160];
    bool same = true, blocks = true;
    memset(text, 'x', sizeof text);
    for (unsigned a = 0x80; a < 0x100; a++)
        for (unsigned b = 0; b < 0x100; b++)
            for (unsigned c = 0; c < MARKS * MARKS; c++) {
                char four[4] = {(char)a, (char)b, (char)marks[c / MARKS],
                                (char)marks[c % MARKS]};
                memcpy(text + before, four, 4);
                for (size_t n = before + 4; n < sizeof text; n += 70) {
                    size_t want = slow(text, n);
                    same &= utf8_valid_to(text, n) == want;
                    int k = n >= UTF8_BLOCK ? utf8_check_blocks(text, n) : -1;
                    blocks &= k < 0 || k == (want == n);
                }
            }
    CHECK_MSG(same, "behind %zu letters", before);
    CHECK_MSG(blocks, "behind %zu letters", before);
}

/* Whole texts of characters of each length, sometimes with one byte changed, cut anywhere. */
static void test_texts(void)
{
    static const char *const parts[] = {"a",
                                        "zz",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xed\x9f\xbf",
                                        "\xf0\x9f\x98\x80",
                                        "\xf4\x8f\xbf\xbf"};
    uint64_t seed = 7;
    bool same = true;
    char text[400];
    for (int i = 0; i < 60000; i++) {
        size_t n = 0, most = random_below(&seed, 300);
        while (n < most) {
            const char *p = parts[random_below(&seed, 7)];
            memcpy(text + n, p, strlen(p));
            n += strlen(p);
        }
        if (n && random_below(&seed, 2))
            text[random_below(&seed, n)] = (char)random_next(&seed);
        if (random_below(&seed, 2))
            n = random_below(&seed, n + 1);
        /* Of just this size, so that a sanitizer sees what is read behind it. */
        char *copy = malloc(n + 1);
        if (!copy)
            abort();
        memcpy(copy, text, n);
        same &= utf8_valid_to(copy, n) == slow(copy, n);
        free(copy);
    }
    CHECK(same);
}

int main(void)
{
    static const size_t before[] = {0, 29, 31};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        test_sequences(before[i]);
    test_texts();
    CHECK(utf8_check(NULL, 0));
    if (utf8_check_blocks("0123456789abcdef0123456789abcdef", 32) < 0)
        SKIP("the checks in blocks: this CPU has no AVX2");
    return unit_done("utf8");
}
