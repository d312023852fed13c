/* seqset.h - a set of record numbers, one bit each; room is made where numbers are. */
#ifndef SEQSET_H
#define SEQSET_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct seqset {
    uint64_t **pages;
    size_t n, cap;
};

/* False where the number is beyond what any stream of records can have (2^40). */
bool seqset_add(struct seqset *s, uint64_t seq) MUST_CHECK;
bool seqset_has(const struct seqset *s, uint64_t seq);
void seqset_release(struct seqset *s);

/* Adds the `_seq` of every record in the files that match a glob; none need match.  A line that
 * is no record, has no `_seq`, or has no LF (its writer was cut off) answers nothing. */
int seqset_add_files(struct seqset *s, const char *glob, size_t max_record,
                     struct err *e) MUST_CHECK;

#endif
