/* document.h - JSON documents of a model directory, read within bounds (private to ckpt). */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include "base/error.h"

#include <jansson.h>

enum { DOCUMENT_DEPTH = 128 };

/* Parses [p, p+n), called `name` in messages: one value, no duplicate keys, nested at most
 * DOCUMENT_DEPTH deep, UTF-8, no NUL in strings.  To be released with json_decref(). */
json_t *document_parse(const char *p, size_t n, const char *name, struct err *e);

/* Reads the file and parses it; it must be an object.  EXIT_NOINPUT where it cannot be opened,
 * EXIT_CONFIG for what is wrong in it. */
json_t *document_read(const char *path, struct err *e);

#endif
