/* regex_parse.c - the syntax of regular expressions: what ECMAScript, Python and RE2 agree on.
 */
#include "grammar/regex.h"

#include <stdlib.h>

enum { LENGTH_MAX = 16384, GROUPS_MAX = 100, REPEAT_MAX = 10000 };

struct parser {
    struct regex *re;
    const char *begin, *p, *end;
    int depth;
    struct err *e;
    bool failed;
};

static uint32_t fail(struct parser *s, const char *what)
{
    if (!s->failed)
        err_set(s->e, EXIT_DATA, "the regular expression: %s at byte %zu", what,
                (size_t)(s->p - s->begin));
    s->failed = true;
    s->p = s->end;
    return 0;
}

static uint32_t node(struct parser *s, struct regex_node n)
{
    GROW(s->re->v, s->re->cap, s->re->n + 1);
    s->re->v[s->re->n] = n;
    return (uint32_t)s->re->n++;
}

static uint32_t put_set(struct parser *s, struct char_set *set)
{
    struct regex *re = s->re;
    char_set_sort(set);
    GROW(re->ranges, re->cap_ranges, re->n_ranges + set->n);
    if (set->n)
        memcpy(re->ranges + re->n_ranges, set->v, set->n * sizeof *set->v);
    struct regex_node n = {
        .kind = REGEX_SET, .a = (uint32_t)re->n_ranges, .b = (uint32_t)set->n};
    re->n_ranges += set->n;
    free(set->v);
    return node(s, n);
}

static bool more(const struct parser *s)
{
    return s->p < s->end;
}

static bool take(struct parser *s, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* The next character; the text is UTF-8. */
static uint32_t next_char(struct parser *s)
{
    unsigned char c = (unsigned char)*s->p++;
    if (c < 0x80)
        return c;
    int n = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    uint32_t x = c & (0x3fu >> n);
    while (n-- && more(s))
        x = x << 6 | ((unsigned char)*s->p++ & 0x3f);
    return x;
}

/* ---- escapes --------------------------------------------------------------------- */

static uint32_t hex(struct parser *s, int digits)
{
    uint32_t x = 0;
    for (int i = 0; i < digits; i++) {
        char c = more(s) ? *s->p : 0;
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0)
            return fail(s, "hexadecimal digits are missing");
        x = x * 16 + (uint32_t)d;
        s->p++;
    }
    return x;
}

static uint32_t unicode_escape(struct parser *s)
{
    uint32_t x = 0;
    if (take(s, "{")) {
        while (more(s) && *s->p != '}' && x <= 0x10ffff)
            x = x * 16 + hex(s, 1);
        if (!take(s, "}") || x > 0x10ffff)
            return fail(s, "\\u{…} is no character");
        return x;
    }
    x = hex(s, 4);
    if (x >= 0xd800 && x < 0xdc00 && take(s, "\\u")) {
        uint32_t low = hex(s, 4);
        return 0x10000 + ((x - 0xd800) << 10) + ((low - 0xdc00) & 0x3ff);
    }
    return x;
}

/* The character that an escape stands for. */
static uint32_t char_escape(struct parser *s, bool in_class)
{
    uint32_t c = next_char(s);
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'x': return hex(s, 2);
    case 'u': return unicode_escape(s);
    case '0': return 0;
    case 'c':
        if (more(s) && ((*s->p | 32) >= 'a' && (*s->p | 32) <= 'z'))
            return (uint32_t)(*s->p++ & 31);
        return fail(s, "\\c without a letter");
    case 'b':
        if (in_class)
            return '\b';
        return fail(s, "\\b (word boundaries) is not supported");
    default: break;
    }
    if (c >= '1' && c <= '9')
        return fail(s, "references to groups are not supported");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return fail(s, c == 'B' ? "\\B (word boundaries) is not supported"
                                : "an escape that is not supported");
    return c;
}

/* \p{…} and \P{…}, behind the letter. */
static void property(struct parser *s, bool not, struct char_set *set)
{
    struct char_set own = {0};
    struct str name = {s->p, 1};
    if (take(s, "{")) {
        name.p = s->p;
        while (more(s) && *s->p != '}')
            s->p++;
        name.n = (size_t)(s->p - name.p);
        if (!take(s, "}"))
            fail(s, "} is missing");
    } else if (more(s)) {
        s->p++;
    } else {
        name.n = 0;
    }
    static const char *const prefixes[] = {"General_Category=", "gc="};
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(prefixes[i]);
        if (name.n > n && !memcmp(name.p, prefixes[i], n))
            name = (struct str){name.p + n, name.n - n};
    }
    if (!s->failed && !char_set_property(&own, name))
        fail(s, "\\p of this name is not supported");
    if (not )
        char_set_invert(&own);
    char_set_join(set, &own);
    free(own.v);
}

/* Behind a backslash: a class into set, or one character. */
static bool escape(struct parser *s, bool in_class, struct char_set *set, uint32_t *c)
{
    if (!more(s)) {
        fail(s, "\\ at the end");
        return false;
    }
    if (char_set_letter(set, *s->p)) {
        s->p++;
        return false;
    }
    if (*s->p == 'p' || *s->p == 'P') {
        bool not = *s->p++ == 'P';
        property(s, not, set);
        return false;
    }
    *c = char_escape(s, in_class);
    return true;
}

/* ---- classes ---------------------------------------------------------------------- */

/* One item of a class; true where it is a single character. */
static bool class_item(struct parser *s, struct char_set *set, uint32_t *c)
{
    if (take(s, "\\"))
        return escape(s, true, set, c);
    if (s->end - s->p > 1 && s->p[0] == '[' && s->p[1] == ':') {
        fail(s, "[:…:] is not supported");
        return false;
    }
    *c = next_char(s);
    return true;
}

static uint32_t parse_class(struct parser *s)
{
    struct char_set set = {0};
    bool not = take(s, "^");
    while (more(s) && *s->p != ']') {
        uint32_t lo = 0, hi = 0;
        bool single = class_item(s, &set, &lo);
        if (!single)
            continue;
        hi = lo;
        if (s->end - s->p > 1 && s->p[0] == '-' && s->p[1] != ']') {
            s->p++;
            if (!class_item(s, &set, &hi)) { /* a class: the minus is one */
                char_set_add(&set, '-', '-');
                hi = lo;
            }
            if (hi < lo)
                fail(s, "a range goes backwards");
        }
        char_set_add(&set, lo, hi);
    }
    if (!take(s, "]"))
        fail(s, "] is missing");
    char_set_sort(&set);
    if (not )
        char_set_invert(&set);
    return put_set(s, &set);
}

/* Any character but the ends of lines. */
static uint32_t parse_dot(struct parser *s)
{
    struct char_set set = {0};
    char_set_add(&set, '\n', '\n');
    char_set_add(&set, '\r', '\r');
    char_set_add(&set, 0x2028, 0x2029);
    char_set_invert(&set);
    return put_set(s, &set);
}

/* ---- the tree ---------------------------------------------------------------------- */

static uint32_t parse_alternatives(struct parser *s);

static uint32_t parse_group(struct parser *s)
{
    if (take(s, "?")) {
        if (take(s, "P<") || (s->end - s->p > 1 && s->p[0] == '<' && s->p[1] != '=' &&
                              s->p[1] != '!' && take(s, "<"))) {
            while (more(s) && *s->p != '>')
                s->p++;
            if (!take(s, ">"))
                return fail(s, "> is missing");
        } else if (!take(s, ":")) {
            return fail(s, more(s) && (*s->p == '=' || *s->p == '!' || *s->p == '<')
                               ? "looking ahead or behind is not supported"
                               : "this kind of group is not supported");
        }
    }
    if (++s->depth > GROUPS_MAX)
        return fail(s, "groups nested too deeply");
    uint32_t n = parse_alternatives(s);
    s->depth--;
    return take(s, ")") ? n : fail(s, ") is missing");
}

static uint32_t parse_atom(struct parser *s)
{
    if (take(s, "("))
        return parse_group(s);
    if (take(s, "["))
        return parse_class(s);
    if (take(s, "."))
        return parse_dot(s);
    if (take(s, "^"))
        return node(s, (struct regex_node){.kind = REGEX_START});
    if (take(s, "$"))
        return node(s, (struct regex_node){.kind = REGEX_END});
    if (*s->p == '*' || *s->p == '+' || *s->p == '?')
        return fail(s, "nothing to repeat");
    struct char_set set = {0};
    uint32_t c = 0;
    if (!take(s, "\\")) {
        c = next_char(s);
        char_set_add(&set, c, c);
    } else if (escape(s, false, &set, &c)) {
        char_set_add(&set, c, c);
    }
    return put_set(s, &set);
}

static bool count(struct parser *s, uint32_t *out)
{
    const char *from = s->p;
    *out = 0;
    while (more(s) && *s->p >= '0' && *s->p <= '9') {
        *out = *out * 10 + (uint32_t)(*s->p++ - '0');
        if (*out > REPEAT_MAX) {
            fail(s, "a part is repeated too often");
            return false;
        }
    }
    return s->p > from;
}

/* {n}, {n,}, {n,m}; anything else in braces is text. */
static bool parse_braces(struct parser *s, uint32_t *least, uint32_t *most)
{
    const char *from = s->p;
    if (!take(s, "{"))
        return false;
    if (count(s, least)) {
        *most = *least;
        if (take(s, ",") && !count(s, most))
            *most = REGEX_NO_END;
        if (take(s, "}")) {
            if (*most < *least)
                fail(s, "{n,m} goes backwards");
            return true;
        }
    }
    if (!s->failed)
        s->p = from;
    return false;
}

static uint32_t parse_repeated(struct parser *s)
{
    uint32_t n = parse_atom(s);
    for (int times = 0;; times++) {
        uint32_t least = 0, most = REGEX_NO_END;
        if (take(s, "?"))
            most = 1;
        else if (take(s, "+"))
            least = 1;
        else if (!take(s, "*") && !parse_braces(s, &least, &most))
            return n;
        if (times)
            return fail(s, "a repetition is repeated");
        if (take(s, "+"))
            return fail(s, "possessive repetition is not supported");
        (void)take(s, "?"); /* lazy or not, the texts are the same */
        n = node(s, (struct regex_node){REGEX_REPEAT, n, 0, least, most});
    }
}

/* A single brace is text, and so is one that repeats nothing. */
static uint32_t parse_sequence(struct parser *s)
{
    uint32_t all = node(s, (struct regex_node){.kind = REGEX_EMPTY});
    while (more(s) && *s->p != '|' && *s->p != ')') {
        uint32_t n = parse_repeated(s);
        all = node(s, (struct regex_node){.kind = REGEX_CAT, .a = all, .b = n});
    }
    return all;
}

static uint32_t parse_alternatives(struct parser *s)
{
    uint32_t all = parse_sequence(s);
    while (take(s, "|")) {
        uint32_t n = parse_sequence(s);
        all = node(s, (struct regex_node){.kind = REGEX_ALT, .a = all, .b = n});
    }
    return all;
}

int regex_parse(struct regex *re, struct str text, struct err *e)
{
    *re = (struct regex){0};
    struct parser s = {re, text.p, text.p, text.p + text.n, 0, e, false};
    if (text.n > LENGTH_MAX)
        return err_set(e, EXIT_DATA, "the regular expression is longer than %d bytes",
                       LENGTH_MAX);
    re->root = parse_alternatives(&s);
    if (!s.failed && more(&s))
        fail(&s, "an unexpected )");
    return s.failed ? -1 : 0;
}

void regex_release(struct regex *re)
{
    free(re->v);
    free(re->ranges);
    *re = (struct regex){0};
}
