/* format.h - Python's str.format, as far as prompt templates may go: {field}, {{ and }}.
 *
 * Everything else that Python gives a meaning to (positions, attributes, indexes, conversions,
 * format specs) is refused when the template is read, since a prompt that differs in silence
 * from the one that was meant is worse than none.
 */
#ifndef FORMAT_H
#define FORMAT_H

#include "base/buf.h"

struct format_part {
    size_t text, text_n; /* literal text before the field: where in format.bytes, how long */
    size_t field;        /* the name, NUL-terminated; SIZE_MAX behind the last literal */
};

/* {0} is the empty template. */
struct format {
    struct buf bytes;
    struct format_part *parts;
    size_t n, cap;
};

enum format_verdict {
    FORMAT_OK,
    FORMAT_BAD,     /* a brace that does not match: Python raises, too */
    FORMAT_REFUSED, /* a form that we do not take */
};

struct format_fault {
    const char *what;    /* static text, with what to do */
    size_t line, column; /* from 1; columns count characters */
};

/* Parses UTF-8 text into an empty f; what was parsed is to be released in any case. */
enum format_verdict format_parse(struct format *f, struct str text,
                                 struct format_fault *fault) MUST_CHECK;
void format_release(struct format *f);

/* The literal text of part i, and the name of the field behind it (NULL: none). */
static inline struct str format_text(const struct format *f, size_t i)
{
    return (struct str){f->bytes.p + f->parts[i].text, f->parts[i].text_n};
}

static inline const char *format_field(const struct format *f, size_t i)
{
    return f->parts[i].field == SIZE_MAX ? NULL : f->bytes.p + f->parts[i].field;
}

/* Line and column, from 1, of byte `at` of the text; columns count characters. */
void text_position(struct str text, size_t at, size_t *line, size_t *column);

#endif
