/* field.h - a place in a record by name: "label", "response.parsed.topic". */
#ifndef FIELD_H
#define FIELD_H

#include "rec/rec.h"

struct field;

/* The name is borrowed.  Dots lead into objects, but a member whose own name has the dots goes
 * first, at every step. */
struct field *field_new(const char *name);
void field_free(struct field *f);
const char *field_name(const struct field *f);
/* The raw value; false where the record has none there. */
bool field_find(const struct field *f, const struct rec *rec, struct str *value);
/* The value as text, into out (cleared first): a string decoded, a number, true or false as
 * written.  False for null, arrays, objects, and where the record has none there. */
bool field_text(const struct field *f, const struct rec *rec, struct buf *out);

#endif
