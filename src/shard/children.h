/* children.h - N children that answer the records, and one loop that feeds and reads them. */
#ifndef CHILDREN_H
#define CHILDREN_H

#include "shard/deal.h"

struct children_options {
    const char *command; /* for /bin/sh -c, with SHARD and SHARDS in its environment */
    size_t n;
    int64_t window; /* records ahead of a child's answers */
};

/* Deals all records to the children and copies their answers to stdout.  The next record goes
 * to the child that has the fewest unanswered; a child that dies is started again, and what it
 * has not answered is dealt again.  Returns the exit status of the tool. */
int children_run(const struct children_options *opt, struct dealer *d) MUST_CHECK;

#endif
