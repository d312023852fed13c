/* strategy.h - prompt strategies: {"strategies": {NAME: {"system_prompt", "user_template",
 * "parameters", …}}}, filled with a record's fields by the rules of Python's str.format.
 */
#ifndef STRATEGY_H
#define STRATEGY_H

#include "rec/rec.h"

struct strategies;

/* Reads and checks a whole file: every user_template is parsed here, so that a brace that does
 * not match, or a form that we refuse (positions, conversions, format specs, attributes, blanks
 * in a name), is told with strategy and column before any record is read.  EXIT_CONFIG. */
struct strategies *strategies_load(const char *path, struct err *e);
/* The same from memory; name is for messages. */
struct strategies *strategies_parse(const char *name, struct str json, struct err *e);
void strategies_free(struct strategies *s);

size_t strategies_count(const struct strategies *s);
const char *strategy_name(const struct strategies *s, size_t i);
const char *strategy_description(const struct strategies *s, size_t i); /* "" when none */
/* Index by name; -1 with EXIT_USAGE naming those that exist.  name NULL: the only one there is.
 */
int strategy_find(const struct strategies *s, const char *name, struct err *e) MUST_CHECK;
/* The strategy's "parameters" as JSON on one line, numbers as written; n = 0 when there are
 * none; borrowed. */
struct str strategy_params(const struct strategies *s, size_t i);

/* --set FIELD=VALUE: a value for a field that the record lacks or has. */
struct field_value {
    struct str name, value;
};

/* Appends the "messages" array for a record: the system prompt verbatim (left out where it is
 * absent), then the filled user template.  Members that are no strings are inserted as their
 * JSON text as written; null counts as missing. -1 with *type = "missing_field" or "bad_text"
 * and the message in e. */
int strategy_render(const struct strategies *s, size_t i, const struct rec *rec,
                    const struct field_value *set, size_t n_set, struct buf *out,
                    const char **type, struct err *e) MUST_CHECK;

/* Makes a training record's messages of those that strategy_render() appended: adds the
 * assistant's turn with the field's text.  Fails as strategy_render() does. */
int strategy_add_answer(const struct rec *rec, const char *field, struct buf *messages,
                        const char **type, struct err *e) MUST_CHECK;

#endif
