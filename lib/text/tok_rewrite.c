/* tok_rewrite.c - regular expressions of Oniguruma (Ruby syntax) in PCRE2's words.
 *
 * What the two read differently, measured on every assigned character:
 *   \s \w \h \b    Unicode's White_Space and word characters, hexadecimal digits; PCRE2's \s
 * has U+180E too and its \w no marks.  Outside a class \w has six Latin-1 numerals more than
 * inside.
 *   [:name:]       and \p{name}: properties, where PCRE2 knows some for ASCII only
 *   \p{Han}        the property Script; PCRE2 takes it for Script_Extensions
 *   [a[bc]], &&    union and intersection of classes
 *   \uXXXX, {,n}, (?m)    a character, {0,n}, the dot matches line ends
 * ^ and $ match at every line; that is an option of PCRE2.  Not taken over: without regard to
 * case, Oniguruma has "ss" match U+00DF.
 */
#include "text/tok.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define SPACE "\\t-\\r\\x{85}\\p{Z}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}"
#define WORD_OUTSIDE WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define HEX "0-9a-fA-F"
#define ANY "[\\x{0}-\\x{10ffff}]"
#define W "[" WORD_OUTSIDE "]"

enum { CLASS_DEPTH = 8 };

struct rewriter {
    const char *p, *end;
    struct err *e;
};

/* A class: members that may stand between brackets, and what may not, as "|alternative". */
struct class
{
    struct buf members, others;
    bool not ;
};

static int refuse(struct rewriter *r, const char *what)
{
    return err_set(r->e, EXIT_CONFIG, "pattern: %s", what);
}

/* ---- sets with a name -------------------------------------------------------- */

static const char *letter_set(char lower, bool in_class)
{
    switch (lower) {
    case 's': return SPACE;
    case 'w': return in_class ? WORD : WORD_OUTSIDE;
    case 'h': return HEX;
    default: return NULL;
    }
}

/* The set of [:name:] (posix) or \p{name}, NULL where PCRE2 means the same or knows none. */
static const char *named_set(struct str name, bool posix)
{
    static const char *const sets[][2] = {
        {"alnum", "\\p{Alphabetic}\\p{Nd}"},
        {"alpha", "\\p{Alphabetic}"},
        {"blank", "\\t\\p{Zs}"},
        {"cntrl", "\\p{Cc}"},
        {"digit", "\\p{Nd}"},
        {"lower", "\\p{Lowercase}"},
        {"punct", "\\p{P}"},
        {"space", SPACE},
        {"upper", "\\p{Uppercase}"},
        {"word", WORD},
        {"xdigit", HEX},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (name.n == strlen(sets[i][0]) && strncasecmp(name.p, sets[i][0], name.n) == 0)
            return posix && i == 6 ? "\\p{P}\\p{S}" : sets[i][1];
    return NULL;
}

static bool is_script(struct str name)
{
    int code;
    PCRE2_SIZE at;
    if (name.n < 3 || name.n > 40)
        return false;
    char *p = xasprintf("\\p{sc:%.*s}", (int)name.n, name.p);
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)p, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at,
                                  NULL);
    bool yes = c != NULL;
    pcre2_code_free(c);
    free(p);
    return yes;
}

/* ---- escapes ------------------------------------------------------------------- */

/* Puts a set, or what is not in it, where the text goes: into c, or outside a class. */
static void put_set(struct class *c, struct buf *out, const char *set, bool not )
{
    if (!c)
        buf_printf(out, "[%s%s]", not ? "^" : "", set);
    else if (not )
        buf_printf(&c->others, "|[^%s]", set);
    else
        buf_puts(&c->members, set);
}

/* \p{…} or \P{…}, r->p behind the letter; false where it has no braces. */
static bool put_property(struct rewriter *r, struct class *c, struct buf *out, bool not )
{
    const char *close = r->p < r->end && *r->p == '{'
                            ? memchr(r->p, '}', (size_t)(r->end - r->p))
                            : NULL;
    if (!close)
        return false;
    struct str name = {r->p + 1, (size_t)(close - r->p - 1)};
    if (name.n && *name.p == '^') {
        not = !not ;
        name.p++;
        name.n--;
    }
    const char *set = named_set(name, false);
    if (set)
        put_set(c, out, set, not );
    else
        buf_printf(c ? &c->members : out, "\\%c{%s%.*s}", not ? 'P' : 'p',
                   is_script(name) ? "sc:" : "", (int)name.n, name.p);
    r->p = close + 1;
    return true;
}

/* An escape, r->p behind the backslash; c is the class that it stands in, or NULL. */
static int rewrite_escape(struct rewriter *r, struct class *c, struct buf *out)
{
    char letter = *r->p++;
    struct buf *to = c ? &c->members : out;
    const char *set = letter_set((char)(letter | 32), c != NULL);
    if (set && isalpha((unsigned char)letter)) {
        put_set(c, out, set, isupper((unsigned char)letter) != 0);
        return 0;
    }
    if ((letter | 32) == 'p' && put_property(r, c, out, letter == 'P'))
        return 0;
    if (letter == 'X' && !c)
        return refuse(r, "\\X is not supported"); /* the two do not agree on what it is */
    if (letter == 'u' && r->end - r->p >= 4) {
        buf_printf(to, "\\x{%.4s}", r->p);
        r->p += 4;
    } else if (letter == 'b' && !c) {
        buf_puts(out, "(?:(?<=" W ")(?!" W ")|(?<!" W ")(?=" W "))");
    } else if (letter == 'B' && !c) {
        buf_puts(out, "(?:(?<=" W ")(?=" W ")|(?<!" W ")(?!" W "))");
    } else {
        buf_putc(to, '\\');
        buf_putc(to, letter);
    }
    return 0;
}

/* ---- classes ------------------------------------------------------------------- */

static void release_class(struct class *c)
{
    buf_release(&c->members);
    buf_release(&c->others);
}

static void put_class(struct buf *out, const struct class *c)
{
    if (c->others.n == 0) {
        buf_puts(out, c->not ? "[^" : "[");
        buf_addstr(out, buf_str(&c->members));
        buf_putc(out, ']');
        return;
    }
    buf_puts(out, c->not ? "(?:(?!" : "(?:");
    if (c->members.n) {
        buf_putc(out, '[');
        buf_addstr(out, buf_str(&c->members));
        buf_putc(out, ']');
    }
    size_t bar = c->members.n == 0; /* the first alternative's */
    buf_add(out, c->others.p + bar, c->others.n - bar);
    buf_puts(out, c->not ? ")" ANY ")" : ")");
}

static int read_class(struct rewriter *r, struct class *c, int depth);
static int read_members(struct rewriter *r, struct class *c, int depth);

/* [:name:] or [:^name:], r->p behind the '['. */
static int add_posix_class(struct rewriter *r, struct class *c)
{
    const char *close = memmem(r->p, (size_t)(r->end - r->p), ":]", 2);
    if (!close || close == r->p)
        return refuse(r, "a class [:name:] without its end");
    struct str name = {r->p + 1, (size_t)(close - r->p - 1)};
    bool not = name.n && *name.p == '^';
    name.p += not ;
    name.n -= not ;
    const char *set = named_set(name, true);
    if (set)
        put_set(c, NULL, set, not );
    else
        buf_printf(&c->members, "[:%s%.*s:]", not ? "^" : "", (int)name.n, name.p);
    r->p = close + 2;
    return 0;
}

/* A class inside c: its members are c's, too. */
static int add_class(struct rewriter *r, struct class *c, int depth)
{
    struct class inner = {.not = false};
    int rc = read_class(r, &inner, depth + 1);
    if (rc == 0 && !inner.not &&inner.others.n == 0) {
        buf_addstr(&c->members, buf_str(&inner.members));
    } else if (rc == 0) {
        buf_putc(&c->others, '|');
        put_class(&c->others, &inner);
    }
    release_class(&inner);
    return rc;
}

/* c && the rest, up to the class's end: what is in both. */
static int intersect(struct rewriter *r, struct class *c, int depth)
{
    struct class left = *c, right = {.not = false};
    c->members = c->others = (struct buf){0};
    left.not = false;
    int rc = read_members(r, &right, depth + 1);
    if (rc == 0) {
        buf_puts(&c->others, "|(?:(?=");
        put_class(&c->others, &right);
        buf_putc(&c->others, ')');
        put_class(&c->others, &left);
        buf_putc(&c->others, ')');
    }
    release_class(&left);
    release_class(&right);
    return rc;
}

/* Members up to the closing ']' and that. */
static int read_members(struct rewriter *r, struct class *c, int depth)
{
    if (depth > CLASS_DEPTH)
        return refuse(r, "classes too deep inside each other");
    for (bool start = true; r->p < r->end; start = false) {
        char letter = *r->p++;
        bool more = r->p < r->end;
        if (letter == ']' && !start)
            return c->members.n || c->others.n ? 0 : refuse(r, "an empty class");
        if (letter == '\\' && more) {
            if (rewrite_escape(r, c, NULL) < 0)
                return -1;
        } else if (letter == '&' && more && *r->p == '&') {
            r->p++;
            return intersect(r, c, depth);
        } else if (letter == '[') {
            bool posix = more && *r->p == ':';
            if ((posix ? add_posix_class(r, c) : add_class(r, c, depth)) < 0)
                return -1;
        } else {
            if (start && (letter == ']' || letter == '-' || letter == '^'))
                buf_putc(&c->members, '\\'); /* perhaps not first in what comes out */
            buf_putc(&c->members, letter);
        }
    }
    return refuse(r, "a class without its ]");
}

/* r->p behind the '['. */
static int read_class(struct rewriter *r, struct class *c, int depth)
{
    if (r->p < r->end && *r->p == '^') {
        c->not = true;
        r->p++;
    }
    return read_members(r, c, depth);
}

static int rewrite_class(struct rewriter *r, struct buf *out)
{
    struct class c = {.not = false};
    int rc = read_class(r, &c, 0);
    if (rc == 0)
        put_class(out, &c);
    release_class(&c);
    return rc;
}

/* ---- the whole ----------------------------------------------------------------- */

/* "(?imx-imx" with PCRE2's s for m; r->p behind "(?". */
static void rewrite_options(struct rewriter *r, struct buf *out)
{
    const char *q = r->p;
    while (q < r->end && (*q == 'i' || *q == 'm' || *q == 'x' || *q == '-'))
        q++;
    if (q == r->end || (*q != ':' && *q != ')'))
        return;
    for (; r->p < q; r->p++)
        buf_putc(out, *r->p == 'm' ? 's' : *r->p);
}

int tok_rewrite(struct str regex, struct buf *out, struct err *e)
{
    struct rewriter r = {.p = regex.p, .end = regex.p + regex.n, .e = e};
    while (r.p < r.end) {
        char letter = *r.p++;
        bool more = r.p < r.end;
        if (letter == '\\' && more) {
            if (rewrite_escape(&r, NULL, out) < 0)
                return -1;
        } else if (letter == '[') {
            if (rewrite_class(&r, out) < 0)
                return -1;
        } else if (letter == '(' && more && *r.p == '?') {
            buf_puts(out, "(?");
            r.p++;
            rewrite_options(&r, out);
        } else if (letter == '{' && more && *r.p == ',') {
            buf_puts(out, "{0");
        } else {
            buf_putc(out, letter);
        }
    }
    return 0;
}
