/* outfile.h - a stream into a file that has its name only when it is whole. */
#ifndef OUTFILE_H
#define OUTFILE_H

#include "base/file.h"

/* Writes to PATH.part; a device, FIFO or stdout (path NULL) is written to as it is. */
struct outfile {
    struct out out;
    const char *path; /* borrowed */
    char *part;       /* NULL: nothing to rename */
};

int outfile_open(struct outfile *f, const char *path, struct err *e) MUST_CHECK;
/* Flushes, renames PATH.part to PATH when its bytes are on the disk, and closes. */
int outfile_commit(struct outfile *f, struct err *e) MUST_CHECK;
/* Closes and removes PATH.part. */
void outfile_abandon(struct outfile *f);
/* Flushes and closes, and leaves PATH.part for looking at. */
int outfile_leave(struct outfile *f, struct err *e) MUST_CHECK;

/* Raises the limit of open files as far as it goes. */
void allow_many_files(void);

#endif
