/* format.c - Python's str.format, as far as prompt templates may go. */
#include "text/format.h"

#include <stdlib.h>

void text_position(struct str text, size_t at, size_t *line, size_t *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        if (text.p[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

/* From a '{' at `at`: the offset of the '}' that closes it, or text.n.  *nested is the first
 * '{' inside, *spec the first '!' or ':' (after which Python lets braces nest). */
static size_t find_close(struct str text, size_t at, size_t *nested, size_t *spec)
{
    int depth = 1;
    *nested = *spec = SIZE_MAX;
    for (size_t i = at + 1; i < text.n; i++) {
        char c = text.p[i];
        if (c == '{') {
            depth++;
            if (*nested == SIZE_MAX && *spec == SIZE_MAX)
                *nested = i;
        } else if (c == '}') {
            if (--depth == 0)
                return i;
        } else if ((c == '!' || c == ':') && *spec == SIZE_MAX) {
            *spec = i;
        }
    }
    return text.n;
}

/* NULL if the name of a field is one that we take, else what is wrong with it. */
static const char *refuse_name(struct str name)
{
    if (!name.n)
        return "{} takes a position; name the field, or write {{}} for the braces themselves";
    size_t digits = 0;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c <= ' ' || c == 0x7f)
            return "blanks in a field's name; write {{ and }} for braces that are text";
        if (c == '.' || c == '[')
            return "attributes and indexes are not taken; name a field of the record";
        digits += c >= '0' && c <= '9';
    }
    return digits == name.n ? "positions are not taken; name a field of the record" : NULL;
}

/* Takes the field whose '{' is at `at`; *end is the offset behind its '}'. */
static enum format_verdict parse_field(struct format *f, struct str text, size_t at,
                                       size_t *end, size_t *where, const char **what)
{
    size_t nested, spec, close = find_close(text, at, &nested, &spec);
    *where = at;
    if (nested != SIZE_MAX && nested < close) {
        *where = nested;
        *what = "'{' inside a field; write {{ and }} for braces that are text";
        return FORMAT_BAD;
    }
    if (close == text.n) {
        *what = "'{' is never closed; write {{ for a brace that is text";
        return FORMAT_BAD;
    }
    struct str name = {text.p + at + 1, close - at - 1};
    if (spec != SIZE_MAX && spec < close)
        *what = "conversions and format specs are not taken; write {{ and }} for braces that "
                "are text";
    else
        *what = refuse_name(name);
    if (*what)
        return FORMAT_REFUSED;
    f->parts[f->n - 1].field = f->bytes.n;
    buf_addstr(&f->bytes, name);
    buf_putc(&f->bytes, 0);
    *end = close + 1;
    return FORMAT_OK;
}

static void begin_part(struct format *f)
{
    GROW(f->parts, f->cap, f->n + 1);
    f->parts[f->n++] = (struct format_part){.text = f->bytes.n, .field = SIZE_MAX};
}

static enum format_verdict parse(struct format *f, struct str text, size_t *where,
                                 const char **what)
{
    buf_reserve(&f->bytes, text.n);
    begin_part(f);
    for (size_t i = 0; i < text.n;) {
        char c = text.p[i];
        bool brace = c == '{' || c == '}';
        if (!brace || (i + 1 < text.n && text.p[i + 1] == c)) {
            buf_putc(&f->bytes, c);
            f->parts[f->n - 1].text_n++;
            i += brace ? 2 : 1;
        } else if (c == '{') {
            enum format_verdict v = parse_field(f, text, i, &i, where, what);
            if (v != FORMAT_OK)
                return v;
            begin_part(f);
        } else {
            *where = i;
            *what = "'}' closes nothing; write }} for a brace that is text";
            return FORMAT_BAD;
        }
    }
    return FORMAT_OK;
}

enum format_verdict format_parse(struct format *f, struct str text, struct format_fault *fault)
{
    size_t where = 0;
    enum format_verdict v = parse(f, text, &where, &fault->what);
    if (v != FORMAT_OK)
        text_position(text, where, &fault->line, &fault->column);
    return v;
}

void format_release(struct format *f)
{
    free(f->parts);
    buf_release(&f->bytes);
    *f = (struct format){0};
}
