/* jinja.h - the template language of chat templates, as jinja2 3.1 with transformers' settings
 * has it: trim_blocks, lstrip_blocks, loop controls, {% generation %}, tojson without HTML
 * escaping, raise_exception, strftime_now.
 *
 * A sandbox by construction: only JSON values and the listed functions exist.  Depth, steps and
 * output are limited; every error names template, line and column.
 */
#ifndef JINJA_H
#define JINJA_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

struct jinja;

/* Parses the source; name is for messages.  NULL with EXIT_CONFIG. */
struct jinja *jinja_new(const char *name, struct str source, struct err *e);
void jinja_free(struct jinja *t);

/* One variable of the template's context.  json: a validated JSON value (rec/json.h); with
 * json.n = 0 `text` is taken as a string value. */
struct jinja_var {
    const char *name;
    struct str json;
    struct str text;
};

struct jinja_limits {
    int64_t steps;  /* 0: the default, 10 million */
    int64_t output; /* bytes; 0: the default, 64 MiB */
};

/* Broken-down local time for strftime_now. */
struct jinja_time {
    int year, month, day, hour, minute, second;
};

/* Appends the rendered text.  -1: EXIT_DATA when the template raises or runs into a limit.
 * May be called by several threads on one template. */
int jinja_render(const struct jinja *t, const struct jinja_var *vars, size_t n,
                 const struct jinja_time *now, const struct jinja_limits *limits,
                 struct buf *out, struct err *e) MUST_CHECK;

#endif
