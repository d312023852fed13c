/* jinja_lex.c - template source into tokens, with jinja2's rules for white space. */
#include "text/jinja_ast.h"

#include <string.h>

struct lexer {
    struct jj *j;
    const char *p, *end; /* source with line ends made LF */
    const char *at;
    const char *seen; /* pos belongs to this byte */
    struct jj_pos pos;
    bool line_start; /* the tag before ended with a line end */
    struct jj_token *v;
    size_t n, cap;
    char open[JJ_NEST_MAX]; /* brackets to be closed */
    int n_open;
};

/* Positions are asked for in order, so that counting lines takes one pass over the source. */
static struct jj_pos position(struct lexer *l, const char *p)
{
    for (; l->seen < p; l->seen++) {
        if (*l->seen == '\n') {
            l->pos.line++;
            l->pos.column = 1;
        } else if (((unsigned char)*l->seen & 0xc0) != 0x80) {
            l->pos.column++;
        }
    }
    return l->pos;
}

static struct jj_token *emit(struct lexer *l, enum jj_tok kind, const char *p, size_t n)
{
    l->v = jj_grow(l->j, l->v, l->n + 1, &l->cap, sizeof *l->v);
    struct jj_token *t = &l->v[l->n++];
    *t = (struct jj_token){.kind = kind, .pos = position(l, p), .text = {p, n}};
    return t;
}

static _Noreturn void fail_at(struct lexer *l, const char *p, const char *what)
{
    if (p > l->seen)
        position(l, p);
    l->j->at = l->pos;
    jj_fail(l->j, "%s", what);
}

static struct str normalise(struct jj *j, struct str s)
{
    char *to = jj_alloc(j, s.n + 1), *q = to;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r') {
            *q++ = '\n';
            i += i + 1 < s.n && s.p[i + 1] == '\n';
        } else {
            *q++ = s.p[i];
        }
    }
    if (q > to && q[-1] == '\n')
        q--;
    *q = 0;
    return (struct str){to, (size_t)(q - to)};
}

static bool starts(const struct lexer *l, const char *p, const char *what)
{
    size_t n = strlen(what);
    return (size_t)(l->end - p) >= n && !memcmp(p, what, n);
}

static const char *skip_space(const struct lexer *l, const char *p)
{
    while (p < l->end) {
        size_t len;
        if (!jj_is_space(jj_char(p, l->end, &len)))
            break;
        p += len;
    }
    return p;
}

static bool all_space(const struct lexer *l, const char *p, const char *end)
{
    return p < end && skip_space(l, p) >= end;
}

/* What follows a closing delimiter: "-" takes all white space, a plain one of a statement or
 * comment one line end (trim_blocks), "+" nothing.  NULL where p is no such end. */
static const char *tag_end(const struct lexer *l, const char *p, const char *close, bool trim)
{
    if (*p == '-' && starts(l, p + 1, close))
        return skip_space(l, p + 3);
    if (trim && *p == '+' && starts(l, p + 1, close))
        return p + 3;
    if (!starts(l, p, close))
        return NULL;
    return p + 2 + (trim && p + 2 < l->end && p[2] == '\n');
}

/* Text before a tag that opens with `sign`; strip: lstrip_blocks applies to the tag. */
static void emit_data(struct lexer *l, const char *p, const char *end, char sign, bool strip)
{
    if (sign == '-') {
        end = p + jj_strip((struct str){p, (size_t)(end - p)}, NULL, false, true).n;
    } else if (sign != '+' && strip) {
        const char *nl = end > p ? memrchr(p, '\n', (size_t)(end - p)) : NULL;
        const char *line = nl ? nl + 1 : p;
        if ((nl || l->line_start) && all_space(l, line, end))
            end = line;
    }
    if (end > p)
        emit(l, TK_DATA, p, (size_t)(end - p));
}

static void tag_done(struct lexer *l, const char *end)
{
    l->line_start = end[-1] == '\n';
    l->at = end;
}

static char sign_of(const struct lexer *l, const char *p)
{
    return p < l->end && (*p == '-' || *p == '+') ? *p : 0;
}

/* ---- inside a tag ---- */

static bool digit(const struct lexer *l, const char *p)
{
    return p < l->end && *p >= '0' && *p <= '9';
}

/* digits, perhaps with single underscores between them */
static const char *digits(const struct lexer *l, const char *p)
{
    while (digit(l, p) || (p < l->end && *p == '_' && digit(l, p + 1)))
        p++;
    return p;
}

static const char *float_end(const struct lexer *l, const char *p)
{
    if (p > l->p && p[-1] == '.')
        return NULL;
    const char *q = digits(l, p), *whole = q;
    if (q < l->end && *q == '.' && digit(l, q + 1))
        q = digits(l, q + 1);
    const char *e = q;
    if (e < l->end && (*e == 'e' || *e == 'E')) {
        e++;
        if (e < l->end && (*e == '+' || *e == '-'))
            e++;
        if (digit(l, e))
            return digits(l, e);
    }
    return q > whole ? q : NULL;
}

static bool in_base(char c, int base)
{
    int d = c >= '0' && c <= '9'                     ? c - '0'
            : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                     : 99;
    return d < base;
}

static const char *integer_end(const struct lexer *l, const char *p)
{
    if (*p != '0')
        return digits(l, p);
    char kind = p + 1 < l->end ? (char)(p[1] | 0x20) : 0;
    int base = kind == 'b' ? 2 : kind == 'o' ? 8 : kind == 'x' ? 16 : 0;
    const char *q = p + 2, *start = q;
    while (base && q < l->end &&
           (in_base(*q, base) || (*q == '_' && q + 1 < l->end && in_base(q[1], base))))
        q++;
    if (base && q > start)
        return q;
    for (q = p + 1; q < l->end && (*q == '0' || (*q == '_' && q + 1 < l->end && q[1] == '0'));)
        q++;
    return q;
}

static const char *name_end(const struct lexer *l, const char *p)
{
    while (p < l->end) {
        size_t len;
        if (!jj_is_word(jj_char(p, l->end, &len)))
            break;
        p += len;
    }
    return p;
}

static int hex_value(struct lexer *l, const char *p, int n, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (p + i >= l->end || !in_base(p[i], 16))
            fail_at(l, p, "an escape in a string lacks hexadecimal digits");
        *out = *out << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    }
    return n;
}

/* p stands behind a backslash; returns where the text goes on. */
static const char *put_escape(struct lexer *l, struct buf *b, const char *p)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *known = strchr(from, *p);
    uint32_t c = 0;
    if (*p == '\n')
        return p + 1;
    if (known && *p) {
        buf_putc(b, to[known - from]);
        return p + 1;
    }
    if (*p >= '0' && *p <= '7') {
        int i = 0;
        for (; i < 3 && p[i] >= '0' && p[i] <= '7'; i++)
            c = c * 8 + (uint32_t)(p[i] - '0');
        p += i;
    } else if (*p == 'x' || *p == 'u' || *p == 'U') {
        p += 1 + hex_value(l, p + 1, *p == 'x' ? 2 : *p == 'u' ? 4 : 8, &c);
    } else if (*p == 'N') {
        fail_at(l, p, "characters by name (\\N{...}) are not supported");
    } else {
        buf_putc(b, '\\');
        return p;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        fail_at(l, p, "an escape in a string names no character");
    buf_put_utf8(b, c);
    return p;
}

/* False where the string does not end. */
static bool lex_string(struct lexer *l)
{
    const char *start = l->at, *q = start + 1;
    bool escapes = false;
    while (q < l->end && *q != *start) {
        escapes |= *q == '\\';
        q += 1 + (*q == '\\');
    }
    if (q >= l->end)
        return false;
    struct jj_token *t = emit(l, TK_STRING, start, (size_t)(q + 1 - start));
    t->text = (struct str){start + 1, (size_t)(q - start - 1)};
    l->at = q + 1;
    if (!escapes)
        return true;
    struct buf *b = &l->j->scratch;
    buf_clear(b);
    for (const char *p = start + 1; p < q;) {
        const char *slash = memchr(p, '\\', (size_t)(q - p));
        buf_add(b, p, (size_t)((slash ? slash : q) - p));
        p = slash ? put_escape(l, b, slash + 1) : q;
    }
    char *copy = jj_alloc(l->j, b->n + 1);
    memcpy(copy, b->n ? b->p : "", b->n);
    l->v[l->n - 1].text = (struct str){copy, b->n};
    return true;
}

static bool lex_operator(struct lexer *l)
{
    static const char pairs[][3] = {"//", "**", "==", "!=", ">=", "<="};
    const char *p = l->at;
    size_t n = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (starts(l, p, pairs[i]))
            n = 2;
    if (!n && *p && strchr("+-/*%~[](){}><=.:|,;", *p))
        n = 1;
    if (!n)
        return false;
    static const char opening[] = "([{", closing[] = ")]}";
    const char *open = n == 1 ? strchr(opening, *p) : NULL;
    if (open) {
        if (l->n_open == JJ_NEST_MAX)
            fail_at(l, p, "brackets are nested too deeply");
        l->open[l->n_open++] = closing[open - opening];
    } else if (n == 1 && strchr(closing, *p)) {
        if (!l->n_open || l->open[--l->n_open] != *p)
            fail_at(l, p, "a closing bracket that matches no open one");
    }
    emit(l, TK_OP, p, n)->op = n == 2 ? JJ_OP2(p[0], p[1]) : (uint16_t)p[0];
    l->at += n;
    return true;
}

static void lex_token(struct lexer *l)
{
    const char *p = l->at;
    if (digit(l, p)) {
        const char *q = float_end(l, p);
        emit(l, q ? TK_FLOAT : TK_INT, p, (size_t)((q ? q : integer_end(l, p)) - p));
        l->at = q ? q : integer_end(l, p);
        return;
    }
    const char *q = name_end(l, p);
    if (q > p) {
        struct str name = {p, (size_t)(q - p)};
        if (!jj_is_identifier(name))
            fail_at(l, p, "invalid character in a name");
        emit(l, TK_NAME, p, name.n);
        l->at = q;
        return;
    }
    if (((*p == '\'' || *p == '"') && lex_string(l)) || lex_operator(l))
        return;
    fail_at(l, p, *p == '\'' || *p == '"' ? "a string without end" : "unexpected character");
}

/* From behind the opening delimiter to behind the closing one, or the end of the source. */
static void lex_tag(struct lexer *l, bool statement)
{
    const char *close = statement ? "%}" : "}}";
    l->n_open = 0;
    while (l->at < l->end) {
        const char *end = l->n_open ? NULL : tag_end(l, l->at, close, statement);
        if (end) {
            emit(l, statement ? TK_BLOCK_END : TK_VAR_END, l->at, 2);
            tag_done(l, end);
            return;
        }
        const char *p = skip_space(l, l->at);
        if (p > l->at)
            l->at = p;
        else
            lex_token(l);
    }
}

/* ---- outside of tags ---- */

static void lex_comment(struct lexer *l, const char *p)
{
    const char *start = p;
    for (; p < l->end; p++) {
        const char *end = tag_end(l, p, "#}", true);
        if (end) {
            tag_done(l, end);
            return;
        }
    }
    if (start < l->end)
        fail_at(l, start, "a comment without end");
    l->at = l->end;
}

/* The end of "{%- raw -%}" that begins at p, or NULL. */
static const char *raw_begin(const struct lexer *l, const char *p)
{
    p += 2;
    p = skip_space(l, p + (sign_of(l, p) != 0));
    if (!starts(l, p, "raw"))
        return NULL;
    p = skip_space(l, p + 3);
    return p < l->end ? tag_end(l, p, "%}", false) : NULL;
}

static void lex_raw(struct lexer *l)
{
    const char *text = l->at;
    for (const char *p = text; (p = memmem(p, (size_t)(l->end - p), "{%", 2)); p += 2) {
        char sign = sign_of(l, p + 2);
        const char *q = skip_space(l, p + 2 + (sign != 0));
        if (!starts(l, q, "endraw"))
            continue;
        q = skip_space(l, q + 6);
        const char *end = q < l->end ? tag_end(l, q, "%}", true) : NULL;
        if (!end)
            continue;
        emit_data(l, text, p, sign, true);
        tag_done(l, end);
        return;
    }
    if (text < l->end)
        fail_at(l, text, "a raw block without end");
}

static const char *find_tag(const struct lexer *l)
{
    for (const char *p = l->at; p + 1 < l->end; p++) {
        p = memchr(p, '{', (size_t)(l->end - 1 - p));
        if (!p)
            return NULL;
        if (p[1] == '%' || p[1] == '{' || p[1] == '#')
            return p;
    }
    return NULL;
}

static void lex_root(struct lexer *l)
{
    const char *tag = find_tag(l);
    if (!tag) {
        emit_data(l, l->at, l->end, '+', false);
        l->at = l->end;
        return;
    }
    char sign = sign_of(l, tag + 2);
    emit_data(l, l->at, tag, sign, tag[1] != '{');
    const char *inside = tag + 2 + (sign != 0);
    const char *raw = tag[1] == '%' ? raw_begin(l, tag) : NULL;
    if (raw) {
        tag_done(l, raw);
        lex_raw(l);
    } else if (tag[1] == '#') {
        lex_comment(l, inside);
    } else {
        emit(l, tag[1] == '%' ? TK_BLOCK_BEGIN : TK_VAR_BEGIN, tag, 2);
        l->at = inside;
        l->line_start = false;
        lex_tag(l, tag[1] == '%');
    }
}

struct jj_token *jj_lex(struct jj *j, struct str source)
{
    struct str s = normalise(j, source);
    struct lexer l = {.j = j, .p = s.p, .end = s.p + s.n, .at = s.p, .seen = s.p};
    l.pos = (struct jj_pos){1, 1};
    l.line_start = true;
    while (l.at < l.end)
        lex_root(&l);
    emit(&l, TK_EOF, l.end, 0);
    return l.v;
}
