/* tok_fixture.h - a tokenizer from a tokenizer.json that a test spells out.
 *
 * Quotes are written as backticks, which JSON does not know, so that the text can be read.
 */
#ifndef TOK_FIXTURE_H
#define TOK_FIXTURE_H

#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline struct tokenizer *load_bytes(struct str json, struct err *e)
{
    char dir[] = "/tmp/tok.XXXXXX";
    if (!mkdtemp(dir))
        die(EXIT_OS, "mkdtemp:");
    char *path = xasprintf("%s/tokenizer.json", dir);
    FILE *f = fopen(path, "wb"); /* not file_write_atomic(): syncing is slow */
    if (!f || fwrite(json.p ? json.p : "", 1, json.n, f) != json.n || fclose(f))
        die(EXIT_IO, "write %s:", path);
    struct tokenizer *t = tokenizer_load(dir, e);
    unlink(path);
    rmdir(dir);
    free(path);
    return t;
}

static inline struct tokenizer *load_json(const char *json, struct err *e)
{
    char *s = xstrdup(json);
    for (char *p = s; (p = strchr(p, '`'));)
        *p = '"';
    struct tokenizer *t = load_bytes(str_of(s), e);
    free(s);
    return t;
}

#endif
