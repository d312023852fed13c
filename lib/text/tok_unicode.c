/* tok_unicode.c - classes of characters, the byte-level alphabet, repair of broken UTF-8. */
#include "text/tok.h"

#include <utf8proc.h>

bool tok_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool tok_is_numeric(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO) != tok_differs_numeric(c);
}

bool tok_is_punct(uint32_t c)
{
    if (c < 0x80)
        return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') ||
               (c > 'z' && c < 0x7f);
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO) != tok_differs_punct(c);
}

bool tok_is_mark(uint32_t c)
{
    if (c < 0x300)
        return false;
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME;
}

bool tok_is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    if ((k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_ME) || k == UTF8PROC_CATEGORY_ND ||
        k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC)
        return true;
    /* Join_Control, and the symbols that are Alphabetic */
    return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) ||
           (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
           (c >= 0x1f170 && c <= 0x1f189);
}

bool tok_is_other(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO;
}

/* Bytes that are printable in Latin-1 stand for themselves; the others follow from U+0100 on,
 * in order (the table of GPT-2's encoder). */
static bool stands_for_itself(unsigned b)
{
    return (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
}

static uint32_t byte_char(unsigned char b)
{
    if (stands_for_itself(b))
        return b;
    if (b <= ' ')
        return 0x100u + b;
    return b < 0xad ? 0x100u + b - 0x7f + 33 : 0x143;
}

void tok_put_bytes_as_chars(struct buf *out, struct str bytes)
{
    buf_reserve(out, 2 * bytes.n);
    char *p = out->p + out->n;
    for (size_t i = 0; i < bytes.n; i++) {
        uint32_t c = byte_char((unsigned char)bytes.p[i]);
        if (c < 0x80) {
            *p++ = (char)c;
        } else {
            *p++ = (char)(0xc0 | c >> 6);
            *p++ = (char)(0x80 | (c & 0x3f));
        }
    }
    *p = '\0';
    out->n = (size_t)(p - out->p);
}

int tok_char_byte(uint32_t c)
{
    if (c < 0x100)
        return stands_for_itself(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)c - 0x100;
    if (c <= 0x142)
        return (int)c - 0x121 + 0x7f;
    return c == 0x143 ? 0xad : -1;
}

/* Length of the well-formed character at p, or 0 with *bad = length of its maximal broken part.
 */
static size_t good_char(const unsigned char *p, size_t n, size_t *bad)
{
    *bad = 1;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    unsigned low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < len; i++) {
        if (i >= n || p[i] < low || p[i] > high)
            return 0;
        *bad = i + 1;
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

void tok_put_lossy(struct buf *out, const char *p, size_t n)
{
    size_t from = 0, bad;
    if (!n) /* p may be NULL */
        return;
    for (size_t i = 0; i < n;) {
        size_t len = good_char((const unsigned char *)p + i, n - i, &bad);
        if (len) {
            i += len;
            continue;
        }
        buf_add(out, p + from, i - from);
        buf_puts(out, "\xef\xbf\xbd");
        i += bad;
        from = i;
    }
    buf_add(out, p + from, n - from);
}
