/* runkey.h - the key beside a file of answers: what they depend on, as one JSON object. */
#ifndef RUNKEY_H
#define RUNKEY_H

#include "base/error.h"

/* 0: the file says what `text` says; 1: there is no such file; -1 with EXIT_USAGE and what
 * differs (EXIT_AGAIN where it is the instruction set alone), or where it is no key. */
int runkey_compare(const char *path, const char *text, struct err *e) MUST_CHECK;
/* The date in it, to be freed; NULL where there is none. */
char *runkey_date(const char *path);

#endif
