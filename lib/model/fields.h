/* fields.h - reading a configuration object so that no field goes unseen (private to model).
 *
 * Each field is used, or checked against the only value that we can honour, or on a list of
 * fields that do not matter; fields_done() refuses any other by name and value.  A field that
 * is null counts as absent.  The first failure stays: reads after it return their fallback, so
 * that an architecture's row is written straight down and checked once.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct fields {
    const json_t *object;
    const char *name;  /* "config.json", "rope_scaling" */
    const char *whose; /* for messages: what knows the fields */
    json_t *seen;      /* a set of names */
    struct fields *parent;
    struct err *e;
    bool failed;
};

enum { FIELD_REQUIRED = INT32_MIN }; /* as a fallback: absent is an error */

void fields_open(struct fields *f, const json_t *object, const char *name, struct err *e);
/* -1 where anything failed, or a field is left that was not seen. */
int fields_done(struct fields *f) MUST_CHECK;

int32_t fields_int(struct fields *f, const char *name, int32_t fallback, int32_t min,
                   int32_t max);
/* A finite number > 0. */
double fields_positive(struct fields *f, const char *name, double fallback);
/* As above, but null says "none": 0. */
double fields_positive_or_none(struct fields *f, const char *name, double fallback);
bool fields_bool(struct fields *f, const char *name, bool fallback);
const char *fields_text(struct fields *f, const char *name,
                        const char *fallback); /* borrowed */
/* An array, or NULL when absent. */
const json_t *fields_array(struct fields *f, const char *name);
/* Opens the object of that name; false when absent.  To be closed with fields_done(), whose
 * failure f takes over. */
bool fields_object(struct fields *f, const char *name, struct fields *sub);
bool fields_have(const struct fields *f, const char *name); /* there and not null */

/* The only values that can be honoured; absent is right too. */
void fields_only_bool(struct fields *f, const char *name, bool value);
void fields_only_text(struct fields *f, const char *name, const char *value);
/* Fields that do not matter here; a list that ends in NULL. */
void fields_ignore(struct fields *f, const char *const *names);

/* This value of this field cannot be used; `want` says what could be. */
void fields_refuse(struct fields *f, const char *name, const char *want);

#endif
