/* jinja.h - the template language of chat templates, as jinja2 3.1 with transformers' settings
 * has it: trim_blocks, lstrip_blocks, loop controls, {% generation %}, tojson without HTML
 * escaping, raise_exception, strftime_now.
 *
 * A sandbox by construction: only JSON values and jinja2's own functions, filters, tests and
 * methods exist, and nothing can be changed but a namespace.  Depth, steps, memory (256 MiB)
 * and output are limited; every error names template, line and column.
 *
 * Where it differs: integers that do not fit in 64 bits can be passed on, compared and negated,
 * but not computed with; what Python would print with an address (a generator, a method) is an
 * error; what draws lots or lays out pages is not there (random, lipsum, pprint, urlize,
 * wordwrap), nor are bytes (encode) and names of characters ("\N{…}"); {% autoescape true %} is
 * refused, and {% include %} and its kind fail when they run, for want of a loader.
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

/* Bytes of the output that stand in {% generation %}: what the assistant says. */
struct jinja_mark {
    size_t start, end;
};
/* {0} is an empty list. */
struct jinja_marks {
    struct jinja_mark *v;
    size_t n, cap;
};
void jinja_marks_release(struct jinja_marks *m);

/* As jinja_render(); the marks are counted from where the output begins, and put behind those
 * that are there. */
int jinja_render_marked(const struct jinja *t, const struct jinja_var *vars, size_t n,
                        const struct jinja_time *now, const struct jinja_limits *limits,
                        struct buf *out, struct jinja_marks *marks, struct err *e) MUST_CHECK;
/* True where the template has the tag. */
bool jinja_has_generation(const struct jinja *t);

#endif
