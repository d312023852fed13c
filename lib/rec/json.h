/* json.h - JSON values as bytes: validate, walk, decode, write.
 *
 * Records are bytes.  A value is a slice of the line that it stands in, without blanks around
 * it; nothing is copied until a string is decoded.  Walkers take slices that json_check() (or
 * rec_read()) has accepted and need no checks of their own.
 */
#ifndef JSON_H
#define JSON_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 128 };

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* What is wrong, and at which byte. */
struct json_fault {
    const char
        *what; /* static text: "invalid UTF-8", "unexpected ','", "nested deeper than 128" */
    size_t at;
};

/* One member of the object at the top of a record. */
struct json_member {
    struct str key;   /* raw, with its quotes */
    struct str value; /* raw */
};

/* Grows as needed and is reused from line to line. */
struct json_members {
    struct json_member *v;
    size_t n, cap;
};

/* Checks that [p, p+n) is one JSON value (RFC 8259: syntax, UTF-8, depth), blanks around it
 * allowed.  With `top` not NULL and the value an object, lists its members in file order.
 * Returns 0, or -1 with *fault filled.  Lone surrogate escapes are syntax and pass here. */
int json_check(const char *p, size_t n, struct json_members *top, struct json_fault *fault);

/* The same for a text that is known to be UTF-8. */
int json_check_utf8(const char *p, size_t n, struct json_members *top,
                    struct json_fault *fault);

enum json_kind json_kind(struct str value);

/* Walks an array or object:
 *     struct json_iter it = json_iter(value);
 *     while (json_next(&it, &key, &item)) ...
 * key is the raw key with its quotes, n = 0 in arrays; key may be NULL. */
struct json_iter {
    const char *p, *end;
};
struct json_iter json_iter(struct str array_or_object);
bool json_next(struct json_iter *it, struct str *key, struct str *item);

/* True if the raw string (with quotes) decodes to exactly `name`, escapes considered. */
bool json_escaped_is(struct str raw, const char *name);
static inline bool json_key_is(struct str raw, const char *name)
{
    /* Most names differ in their first byte, and few have an escape. */
    return (raw.p[1] == *name || raw.p[1] == '\\' || !*name) && json_escaped_is(raw, name);
}
/* The member's value; with duplicates the last one, as Python and jq have it. */
bool json_get(struct str object, const char *name, struct str *value);

/* Appends the text of a raw string as UTF-8.  False where it holds a lone surrogate, which is
 * no Unicode text; `out` then has U+FFFD in its place. */
bool json_decode(struct buf *out, struct str raw);
/* Appends s as a JSON string with quotes; control bytes escaped, the rest as it is.  s is
 * UTF-8. */
void json_quote(struct buf *out, struct str s);

/* Numbers: false where the value is not one, or is out of range.  json_int takes integers only
 * ("3", not "3.0"). */
bool json_int(struct str value, int64_t *out);
bool json_number(struct str value, double *out);

/* True if the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool utf8_check(const char *p, size_t n);

#endif
