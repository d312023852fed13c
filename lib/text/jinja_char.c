/* jinja_char.c - characters: classes and case, as Python's str has them. */
#include "text/jinja_value.h"

#include <string.h>
#include <utf8proc.h>

/* The text is well-formed UTF-8. */
uint32_t jj_char(const char *p, const char *end, size_t *len)
{
    unsigned char c = (unsigned char)*p;
    if (c < 0x80 || end - p < 2) {
        *len = 1;
        return c;
    }
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if ((size_t)(end - p) < n)
        n = (size_t)(end - p);
    uint32_t v = c & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        v = v << 6 | ((unsigned char)p[i] & 0x3f);
    *len = n;
    return v;
}

bool jj_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool jj_is_line_end(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool jj_is_printable(uint32_t c)
{
    if (c < 0x7f)
        return c >= 0x20;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

bool jj_is_alpha(uint32_t c)
{
    if (c < 0x80)
        return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool jj_is_digit(uint32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND;
}

bool jj_is_upper(uint32_t c)
{
    return c < 0x80 ? c >= 'A' && c <= 'Z' : category(c) == UTF8PROC_CATEGORY_LU;
}

bool jj_is_lower(uint32_t c)
{
    return c < 0x80 ? c >= 'a' && c <= 'z'
                    : category(c) == UTF8PROC_CATEGORY_LL || c == 0xaa || c == 0xba;
}

bool jj_is_word(uint32_t c)
{
    if (c < 0x80)
        return jj_is_alpha(c) || jj_is_digit(c) || c == '_';
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO) ||
           k == UTF8PROC_CATEGORY_PC;
}

bool jj_is_identifier(struct str s)
{
    for (size_t i = 0, len; i < s.n; i += len) {
        uint32_t c = jj_char(s.p + i, s.p + s.n, &len);
        utf8proc_category_t k = category(c);
        bool start = c == '_' || jj_is_alpha(c) || k == UTF8PROC_CATEGORY_NL;
        if (!start && (i == 0 || !jj_is_word(c) || k == UTF8PROC_CATEGORY_NO))
            return false;
    }
    return s.n > 0;
}

/* ---- strip ---- */

static bool stripped(uint32_t c, const struct str *chars)
{
    if (!chars)
        return jj_is_space(c);
    for (size_t i = 0, len; i < chars->n; i += len)
        if (jj_char(chars->p + i, chars->p + chars->n, &len) == c)
            return true;
    return false;
}

struct str jj_strip(struct str s, const struct str *chars, bool left, bool right)
{
    const char *p = s.p, *end = s.p + s.n;
    size_t len;
    while (left && p < end && stripped(jj_char(p, end, &len), chars))
        p += len;
    while (right && p < end) {
        const char *q = end - 1;
        while (q > p && ((unsigned char)*q & 0xc0) == 0x80)
            q--;
        if (!stripped(jj_char(q, end, &len), chars))
            break;
        end = q;
    }
    return (struct str){p, (size_t)(end - p)};
}

/* ---- case ---- */

/* Characters whose capital is more than one character (Unicode's SpecialCasing, without the
 * Greek ones that carry an iota). */
static const struct {
    uint32_t from;
    const char *upper, *title;
} longer[] = {
    {0xdf, "SS", "Ss"},     {0x149, "\u02bcN", "\u02bcN"}, {0x1f0, "J\u030c", "J\u030c"},
    {0xfb00, "FF", "Ff"},   {0xfb01, "FI", "Fi"},          {0xfb02, "FL", "Fl"},
    {0xfb03, "FFI", "Ffi"}, {0xfb04, "FFL", "Ffl"},        {0xfb05, "ST", "St"},
    {0xfb06, "ST", "St"},
};

static void put_upper(struct buf *b, uint32_t c, bool title)
{
    if (c < 0x80) {
        buf_putc(b, (char)(c >= 'a' && c <= 'z' ? c - 32 : c));
        return;
    }
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        if (longer[i].from == c) {
            buf_puts(b, title ? longer[i].title : longer[i].upper);
            return;
        }
    }
    utf8proc_int32_t u = (utf8proc_int32_t)c;
    buf_put_utf8(b, (uint32_t)(title ? utf8proc_totitle(u) : utf8proc_toupper(u)));
}

static bool cased(uint32_t c)
{
    return jj_is_upper(c) || jj_is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT;
}

/* A sigma is final when a letter stands before it and none after. */
static bool final_sigma(struct str s, size_t at)
{
    size_t len, i = at;
    bool before = false, after = false;
    if (i) {
        for (i--; i && ((unsigned char)s.p[i] & 0xc0) == 0x80;)
            i--;
        before = cased(jj_char(s.p + i, s.p + s.n, &len));
    }
    jj_char(s.p + at, s.p + s.n, &len);
    if (at + len < s.n)
        after = cased(jj_char(s.p + at + len, s.p + s.n, &len));
    return before && !after;
}

static void put_lower(struct buf *b, struct str s, size_t at, uint32_t c)
{
    if (c < 0x80)
        buf_putc(b, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
    else if (c == 0x3a3)
        buf_put_utf8(b, final_sigma(s, at) ? 0x3c2 : 0x3c3);
    else if (c == 0x130)
        buf_puts(b, "i\u0307");
    else
        buf_put_utf8(b, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

static void put_folded(struct buf *b, struct str s)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n,
                                      &folded, UTF8PROC_CASEFOLD);
    if (n >= 0)
        buf_add(b, folded, (size_t)n);
    free(folded);
}

void jj_put_case(struct buf *b, struct str s, enum jj_case to)
{
    bool start = true;
    if (to == CASE_FOLD) {
        put_folded(b, s);
        return;
    }
    for (size_t i = 0, len; i < s.n; i += len) {
        uint32_t c = jj_char(s.p + i, s.p + s.n, &len);
        bool up = to == CASE_UPPER || (to == CASE_SWAP && jj_is_lower(c)) ||
                  ((to == CASE_CAPITAL || to == CASE_TITLE) && start);
        if (up)
            put_upper(b, c, to == CASE_CAPITAL || to == CASE_TITLE);
        else if (to == CASE_SWAP && !jj_is_upper(c))
            buf_add(b, s.p + i, len);
        else
            put_lower(b, s, i, c);
        start = to == CASE_TITLE && !cased(c);
    }
}
