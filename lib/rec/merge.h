/* merge.h - records of many files in the order of their `_seq`.
 *
 * A file may hold several ascending runs (a run that was resumed appends one).  The first pass
 * notes where each begins; the second reads all runs side by side, so memory grows with their
 * number and never with the files.
 */
#ifndef MERGE_H
#define MERGE_H

#include "rec/rec.h"

struct merge;

struct merge *merge_new(size_t max_record);
void merge_free(struct merge *m);

/* First pass over a file that can be sought, from its beginning; takes fd and closes it at the
 * end.  `line` is the number that its first line has in messages.  EXIT_DATA names a line that
 * is no record or has no `_seq`; only a last line that is broken and has no LF is left out. */
int merge_add(struct merge *m, int fd, const char *name, uint64_t line,
              struct err *e) MUST_CHECK;
/* What is wrong with the first last line that was left out; NULL if none was. */
const char *merge_torn(const struct merge *m);
/* The next record and its number, ascending; equal numbers follow each other, in the order of
 * the files.  1, 0 at the end, -1.  *rec is borrowed until the next call. */
int merge_next(struct merge *m, const struct rec **rec, uint64_t *seq,
               struct err *e) MUST_CHECK;

/* The record's `_seq`, or -1 with EXIT_DATA and file:line. */
int merge_seq(const struct rec *rec, uint64_t *seq, struct err *e) MUST_CHECK;

#endif
