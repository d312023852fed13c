/* key.h - what the result of a training depends on, and nothing else does. */
#ifndef KEY_H
#define KEY_H

#include "train-step/options.h"

/* What is not among the options. */
struct key_facts {
    uint64_t model, template, data, eval; /* hashes; eval 0: none */
    const char *date;                     /* NULL: the template asks for none */
    const char *device;                   /* "cpu/avx512" */
    const char *dtype;
    int ranks; /* of account with --fast-reduce alone */
};

/* As JSON, to be freed. */
char *key_text(const struct options *o, const struct key_facts *f);

/* A file with a key, or with one as its member "key", against the text.  1: there is no such
 * file.  -1: EXIT_USAGE says in what they differ; EXIT_AGAIN: in the instruction set alone. */
int key_compare(const char *path, const char *text, struct err *e) MUST_CHECK;
/* The date in the key of such a file, to be freed; NULL: there is none. */
char *key_date(const char *path);

#endif
