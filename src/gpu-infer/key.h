/* key.h - what the answers of a run depend on, kept beside its file, so that another call goes
 * on with it only where it would give the same answers.
 */
#ifndef KEY_H
#define KEY_H

#include "gpu-infer/engine.h"

/* The key of this call as JSON, to be freed. */
char *key_text(const struct engine *g, const struct options *o);
/* The date that the key in the file has, to be freed; NULL: no such file, or no date in it. */
char *key_date(const char *path);
/* Compares the key in the file with this call's: 0 equal, 1 there is no such file, -1 they
 * differ (EXIT_USAGE names in what; EXIT_AGAIN where only the instruction set differs). */
int key_compare(const char *path, const char *text, struct err *e) MUST_CHECK;

#endif
