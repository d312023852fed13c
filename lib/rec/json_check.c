/* json_check.c - the validating scanner: RFC 8259 syntax, strict UTF-8, bounded depth.
 *
 * UTF-8 is checked first, in one sweep; then one pass over the bytes, no recursion: `inside`
 * remembers for each open container whether it is an object, so hostile nesting costs nothing
 * but its own bytes.  The place is handed from function to function rather than kept in
 * memory, which this loop would wait for.
 */
#include "rec/json.h"
#include "rec/scan.h"
#include "rec/utf8.h"

struct scan {
    const char *end;
    const char *what, *at; /* set by fail() */
    struct json_members *top;
    size_t depth;
    bool inside[JSON_DEPTH_MAX + 1]; /* true: an object */
};

/* NULL: the scan ends at p. */
static const char *fail(struct scan *s, const char *p, const char *what)
{
    s->what = p == s->end ? "unexpected end of the text" : what;
    s->at = p;
    return NULL;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* p stands behind the backslash. */
static const char *scan_escape(struct scan *s, const char *p)
{
    switch (p < s->end ? *p : 0) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return p + 1;
    case 'u': break;
    default: return fail(s, p, "invalid escape");
    }
    p++;
    for (int i = 0; i < 4; i++, p++)
        if (p == s->end || !is_hex(*p))
            return fail(s, p, "invalid \\u escape");
    return p;
}

/* p stands on the opening quote. */
static inline const char *scan_string(struct scan *s, const char *p)
{
    for (p++; p; p = scan_escape(s, p + 1)) {
        p = json_skip_plain(p, s->end);
        if (p < s->end && *p == '"')
            return p + 1;
        if (p == s->end || *p != '\\')
            return fail(s, p, "control byte in a string");
    }
    return NULL;
}

static const char *scan_digits(struct scan *s, const char *p)
{
    const char *from = p;
    while (p < s->end && *p >= '0' && *p <= '9')
        p++;
    return p > from ? p : fail(s, p, "expected a digit");
}

static const char *scan_number(struct scan *s, const char *p)
{
    const char *end = s->end;
    if (*p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else if (!(p = scan_digits(s, p)))
        return NULL;
    if (p < end && *p == '.' && !(p = scan_digits(s, p + 1)))
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        return scan_digits(s, p);
    }
    return p;
}

static const char *scan_word(struct scan *s, const char *p, const char *word)
{
    for (; *word; word++, p++)
        if (p == s->end || *p != *word)
            return fail(s, p, "expected true, false or null");
    return p;
}

static inline const char *scan_scalar(struct scan *s, const char *p)
{
    switch (p < s->end ? *p : 0) {
    case '"': return scan_string(s, p);
    case 't': return scan_word(s, p, "true");
    case 'f': return scan_word(s, p, "false");
    case 'n': return scan_word(s, p, "null");
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
    case '9': return scan_number(s, p);
    default: return fail(s, p, "expected a value");
    }
}

/* The key, the colon and the blanks up to the member's value. */
static inline const char *scan_key(struct scan *s, const char *p)
{
    const char *key = p = json_skip_blanks(p, s->end);
    if (p == s->end || *p != '"')
        return fail(s, p, "expected a member name in quotes");
    if (!(p = scan_string(s, p)))
        return NULL;
    size_t n = (size_t)(p - key);
    p = json_skip_blanks(p, s->end);
    if (p == s->end || *p != ':')
        return fail(s, p, "expected ':'");
    p = json_skip_blanks(p + 1, s->end);
    if (s->depth == 1 && s->top) {
        struct json_members *m = s->top;
        GROW(m->v, m->cap, m->n + 1);
        m->v[m->n++] = (struct json_member){{key, n}, {p, 0}};
    }
    return p;
}

/* p stands behind a value: closes what ends here, and goes on to the next value or, at the end
 * of the outermost one, leaves depth 0. */
static inline const char *scan_after(struct scan *s, const char *p)
{
    while (s->depth) {
        bool object = s->inside[s->depth];
        if (s->depth == 1 && object && s->top && s->top->n) {
            struct str *value = &s->top->v[s->top->n - 1].value;
            if (!value->n)
                value->n = (size_t)(p - value->p);
        }
        p = json_skip_blanks(p, s->end);
        char c = p < s->end ? *p : 0;
        if (c == ',') {
            p = json_skip_blanks(p + 1, s->end);
            return object ? scan_key(s, p) : p;
        }
        if (c != (object ? '}' : ']'))
            return fail(s, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        p++;
        s->depth--;
    }
    return p;
}

/* p stands on a bracket that opens; goes on to the first key or value, or, where the container
 * is empty, behind it. */
static inline const char *scan_open(struct scan *s, const char *p)
{
    bool object = *p == '{';
    if (s->depth == JSON_DEPTH_MAX)
        return fail(s, p, "nested deeper than 128");
    s->inside[++s->depth] = object;
    p = json_skip_blanks(p + 1, s->end);
    if (p < s->end && *p == (object ? '}' : ']'))
        return scan_after(s, p);
    return object ? scan_key(s, p) : p;
}

static bool scan_value(struct scan *s, const char *p)
{
    p = json_skip_blanks(p, s->end);
    do {
        if (p < s->end && (*p == '{' || *p == '['))
            p = scan_open(s, p);
        else if ((p = scan_scalar(s, p)))
            p = scan_after(s, p);
    } while (p && s->depth);
    if (!p)
        return false;
    p = json_skip_blanks(p, s->end);
    return p == s->end || fail(s, p, "text behind the value");
}

/* `valid`: the bytes that are UTF-8. */
static int check(const char *p, size_t n, size_t valid, struct json_members *top,
                 struct json_fault *fault)
{
    struct scan s;
    s.end = p + valid;
    s.what = NULL;
    s.at = s.end;
    s.top = top;
    s.depth = 0;
    if (top)
        top->n = 0;
    if (scan_value(&s, p) && valid == n)
        return 0;
    if (top)
        top->n = 0;
    size_t at = (size_t)(s.at - p);
    *fault = (struct json_fault){at == valid && valid < n ? "invalid UTF-8" : s.what, at};
    return -1;
}

int json_check(const char *p, size_t n, struct json_members *top, struct json_fault *fault)
{
    return check(p, n, utf8_valid_to(p, n), top, fault);
}

int json_check_utf8(const char *p, size_t n, struct json_members *top, struct json_fault *fault)
{
    return check(p, n, n, top, fault);
}
