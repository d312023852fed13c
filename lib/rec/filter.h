/* filter.h - the way of records through a tool that makes one line of each.
 *
 * A record that an earlier stage failed on passes as it is; a line that is no record, and a
 * record that cannot be converted, becomes an error record in its place.  Whoever reads from us
 * gets all that is done before we wait for more.
 */
#ifndef FILTER_H
#define FILTER_H

#include "base/file.h"
#include "rec/rec.h"

struct filter {
    const char *stage; /* the tool's name, for error records */
    size_t max_record;
    bool strict; /* the first bad record ends the run */
    /* Puts the line for a record into *line, which has room from before: with its line end, or
     * something else, or nothing.  -1 fills *type, of the error record, and e; EXIT_CONFIG in e
     * ends the run. */
    int (*convert)(void *arg, const struct rec *rec, struct buf *line, const char **type,
                   struct err *e);
    void *arg;
    struct out out; /* open */
    struct buf line;
    uint64_t records, failed, passed; /* how many; bad ones; ones that failed before */
};

/* Takes the records of a file, "-" being stdin.  -1: the run has to end, with what was done so
 * far written; strict: EXIT_DATA. */
int filter_file(struct filter *f, const char *path, struct err *e) MUST_CHECK;
void filter_release(struct filter *f); /* does not close out */

#endif
