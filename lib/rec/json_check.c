/* json_check.c - the validating scanner: RFC 8259 syntax, strict UTF-8, bounded depth.
 *
 * One pass over the bytes, no recursion: `inside` remembers for each open container whether it
 * is an object, so hostile nesting costs nothing but its own bytes.
 */
#include "rec/json.h"
#include "rec/scan.h"
#include "rec/utf8.h"

struct scan {
    const char *p, *end;
    const char *what; /* set by whoever fails; p stands at the byte */
    struct json_members *top;
    size_t depth;
    bool inside[JSON_DEPTH_MAX + 1]; /* true: an object */
};

static bool fail(struct scan *s, const char *what)
{
    const unsigned char *p = (const unsigned char *)s->p, *end = (const unsigned char *)s->end;
    if (p == end)
        what = "unexpected end of the text";
    else if (*p >= 0x80 && !utf8_length(p, end))
        what = "invalid UTF-8";
    s->what = what;
    return false;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* p stands behind the backslash. */
static bool scan_escape(struct scan *s)
{
    if (s->p == s->end || !*s->p || !strchr("\"\\/bfnrtu", *s->p))
        return fail(s, "invalid escape");
    if (*s->p++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, s->p++)
        if (s->p == s->end || !is_hex(*s->p))
            return fail(s, "invalid \\u escape");
    return true;
}

/* p stands on the opening quote. */
static bool scan_string(struct scan *s)
{
    s->p++;
    for (;;) {
        s->p = json_skip_plain(s->p, s->end);
        if (s->p == s->end)
            return fail(s, "");
        unsigned char c = (unsigned char)*s->p;
        if (c == '"') {
            s->p++;
            return true;
        }
        if (c == '\\') {
            s->p++;
            if (!scan_escape(s))
                return false;
        } else if (c < 0x20) {
            return fail(s, "control byte in a string");
        } else {
            size_t k = utf8_length((const unsigned char *)s->p, (const unsigned char *)s->end);
            if (!k)
                return fail(s, "invalid UTF-8");
            s->p += k;
        }
    }
}

static bool scan_digits(struct scan *s)
{
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from || fail(s, "expected a digit");
}

static bool scan_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!scan_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    for (; *word; word++, s->p++)
        if (s->p == s->end || *s->p != *word)
            return fail(s, "expected true, false or null");
    return true;
}

static bool scan_scalar(struct scan *s)
{
    switch (s->p < s->end ? *s->p : 0) {
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return scan_number(s);
    default: return fail(s, "expected a value");
    }
}

/* The key, the colon and the blanks up to the member's value. */
static bool scan_key(struct scan *s)
{
    s->p = json_skip_blanks(s->p, s->end);
    if (s->p == s->end || *s->p != '"')
        return fail(s, "expected a member name in quotes");
    const char *key = s->p;
    if (!scan_string(s))
        return false;
    size_t n = (size_t)(s->p - key);
    s->p = json_skip_blanks(s->p, s->end);
    if (s->p == s->end || *s->p != ':')
        return fail(s, "expected ':'");
    s->p = json_skip_blanks(s->p + 1, s->end);
    if (s->top && s->depth == 1) {
        struct json_members *m = s->top;
        GROW(m->v, m->cap, m->n + 1);
        m->v[m->n++] = (struct json_member){{key, n}, {s->p, 0}};
    }
    return true;
}

/* p stands on a bracket that opens; afterwards at the first key or value, or, where the
 * container is empty, on the bracket that closes. */
static bool scan_open(struct scan *s, bool *empty)
{
    bool object = *s->p == '{';
    if (s->depth == JSON_DEPTH_MAX)
        return fail(s, "nested deeper than 128");
    s->inside[++s->depth] = object;
    s->p = json_skip_blanks(s->p + 1, s->end);
    *empty = s->p < s->end && *s->p == (object ? '}' : ']');
    return *empty || !object || scan_key(s);
}

/* p stands behind a value: closes what ends here, and goes on to the next value or, at the end
 * of the outermost one, leaves depth 0. */
static bool scan_after(struct scan *s)
{
    while (s->depth) {
        bool object = s->inside[s->depth];
        if (object && s->depth == 1 && s->top && s->top->n) {
            struct str *value = &s->top->v[s->top->n - 1].value;
            if (!value->n)
                value->n = (size_t)(s->p - value->p);
        }
        s->p = json_skip_blanks(s->p, s->end);
        char c = s->p < s->end ? *s->p : 0;
        if (c == ',') {
            s->p = json_skip_blanks(s->p + 1, s->end);
            return !object || scan_key(s);
        }
        if (c != (object ? '}' : ']'))
            return fail(s, object ? "expected ',' or '}'" : "expected ',' or ']'");
        s->p++;
        s->depth--;
    }
    return true;
}

static bool scan_value(struct scan *s)
{
    s->p = json_skip_blanks(s->p, s->end);
    do {
        bool empty = false;
        if (s->p < s->end && (*s->p == '{' || *s->p == '[')) {
            if (!scan_open(s, &empty))
                return false;
            if (!empty)
                continue;
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (!scan_after(s))
            return false;
    } while (s->depth);
    s->p = json_skip_blanks(s->p, s->end);
    return s->p == s->end || fail(s, "text behind the value");
}

int json_check(const char *p, size_t n, struct json_members *top, struct json_fault *fault)
{
    struct scan s;
    s.p = p;
    s.end = p + n;
    s.top = top;
    s.depth = 0;
    if (top)
        top->n = 0;
    if (scan_value(&s))
        return 0;
    if (top)
        top->n = 0;
    *fault = (struct json_fault){s.what, (size_t)(s.p - p)};
    return -1;
}
