/* input.h - several files read as one stream of records, more than once where that is needed.
 */
#ifndef INPUT_H
#define INPUT_H

#include "rec/rec.h"

struct rec_input;

/* files: NULL-terminated and borrowed; none means stdin, "-" is stdin.  A file that is one JSON
 * array is read by its elements. */
struct rec_input *rec_input_new(char **files, size_t max_record);
void rec_input_free(struct rec_input *in);

/* EXIT_NOINPUT where one of the files cannot be read, before anything is. */
int rec_input_probe(struct rec_input *in, struct err *e) MUST_CHECK;
/* As rec_read_line(), over all the files: rec_parse() is the caller's. */
int rec_input_read(struct rec_input *in, struct rec *rec, struct err *e) MUST_CHECK;
/* False where reading on may wait for whoever writes into a pipe. */
bool rec_input_ready(const struct rec_input *in);

/* Reads what has come, without waiting.  1: rec_input_read() will not wait; 0: it would, for
 * *fd.  A record that is longer than max_record, or stands in an array, is waited for. */
int rec_input_come(struct rec_input *in, int *fd, struct err *e) MUST_CHECK;

/* Before the first read: copies what cannot be sought into a temporary file. */
int rec_input_spool(struct rec_input *in, struct err *e) MUST_CHECK;
/* Back to the first record; only after rec_input_spool(). */
void rec_input_rewind(struct rec_input *in);

/* A file without a name in $TMPDIR (/tmp), for reading and writing; or -1. */
int temp_file(struct err *e) MUST_CHECK;
/* The same, holding what is read from a descriptor called `name`. */
int temp_copy(int from, const char *name, struct err *e) MUST_CHECK;

#endif
