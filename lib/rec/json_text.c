/* json_text.c - strings and numbers: decoded from JSON, written as JSON. */
#include "rec/json.h"
#include "rec/scan.h"

#include <math.h>
#include <stdlib.h>

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* p stands behind "\u"; takes the second half of a surrogate pair too.  Returns where the text
 * goes on. */
static const char *put_unicode(struct buf *out, const char *p, const char *end, bool *ok)
{
    uint32_t c = hex4(p);
    p += 4;
    if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = hex4(p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            buf_put_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
            return p + 6;
        }
    }
    if (c >= 0xd800 && c < 0xe000) {
        *ok = false;
        c = 0xfffd;
    }
    buf_put_utf8(out, c);
    return p;
}

bool json_decode(struct buf *out, struct str raw)
{
    const char *p = raw.p + 1, *end = raw.p + raw.n - 1;
    bool ok = true;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        if (!slash)
            slash = end;
        buf_add(out, p, (size_t)(slash - p));
        if (slash == end)
            break;
        p = slash + 2;
        switch (slash[1]) {
        case 'b': buf_putc(out, '\b'); break;
        case 'f': buf_putc(out, '\f'); break;
        case 'n': buf_putc(out, '\n'); break;
        case 'r': buf_putc(out, '\r'); break;
        case 't': buf_putc(out, '\t'); break;
        case 'u': p = put_unicode(out, p, end, &ok); break;
        default: buf_putc(out, slash[1]);
        }
    }
    return ok;
}

void json_quote(struct buf *out, struct str s)
{
    static const char letters[32] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    const char *p = s.n ? s.p : "", *end = p + s.n;
    buf_reserve(out, s.n + 2);
    buf_putc(out, '"');
    while (p < end) {
        const char *q = json_skip_plain(p, end);
        buf_add(out, p, (size_t)(q - p));
        if (q == end)
            break;
        unsigned char c = (unsigned char)*q;
        if (c == '"' || c == '\\')
            buf_add(out, (char[]){'\\', (char)c}, 2);
        else if (letters[c])
            buf_add(out, (char[]){'\\', letters[c]}, 2);
        else
            buf_printf(out, "\\u%04x", c);
        p = q + 1;
    }
    buf_putc(out, '"');
}

bool json_int(struct str value, int64_t *out)
{
    size_t i = value.n && value.p[0] == '-';
    int64_t v = 0;
    if (i == value.n)
        return false;
    for (bool negative = i; i < value.n; i++) {
        int digit = value.p[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return false;
    }
    *out = v;
    return true;
}

bool json_number(struct str value, double *out)
{
    if (!value.n || json_kind(value) != JSON_NUMBER)
        return false;
    char small[64];
    char *text = value.n < sizeof small ? small : xmalloc(value.n + 1);
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    double v = strtod(text, NULL);
    if (text != small)
        free(text);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}
