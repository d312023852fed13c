/* file.h - mapped inputs, checked outputs, files that appear whole or not at all. */
#ifndef FILE_H
#define FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A read-only private map of a whole regular file.  An empty file maps to p = "", n = 0. */
struct file_map {
    const char *p;
    size_t n;
};
int file_map(struct file_map *m, const char *path, struct err *e) MUST_CHECK;
void file_unmap(struct file_map *m);

/* Reads a whole file of at most max bytes into b (cleared first). */
int file_read(struct buf *b, const char *path, size_t max, struct err *e) MUST_CHECK;

/* The same of a file of a model directory: a regular one (not a FIFO, which may never end), and
 * none of those that stand there when a download went wrong; EXIT_CONFIG says what it is. */
int file_read_document(struct buf *b, const char *path, size_t max, struct err *e) MUST_CHECK;
/* What a file that begins with these bytes is instead of the one expected ("a git-LFS pointer,
 * not the file itself; run git lfs pull"), or NULL. */
const char *file_foreign(const char *p, size_t n);

/* Opens for reading; "-" is stdin.  Returns the descriptor; EXIT_NOINPUT when it cannot. */
int file_open_input(const char *path, struct err *e) MUST_CHECK;
/* The name for messages: "<stdin>" for "-". */
const char *file_label(const char *path);

/* A buffered descriptor for writing.  Every failure is reported once, with the name. */
struct out {
    int fd;
    const char *name; /* borrowed */
    struct buf buf;
};
void out_open(struct out *o, int fd, const char *name);
int out_write(struct out *o, const char *p, size_t n, struct err *e) MUST_CHECK;
int out_flush(struct out *o, struct err *e) MUST_CHECK;
/* Flushes, and closes the descriptor with its errors seen; stdout too. */
int out_close(struct out *o, struct err *e) MUST_CHECK;

/* True for a device, a FIFO, a socket, and for what names a descriptor (/dev/stdout): these are
 * written to as they are, since a rename would put a file in their place. */
bool file_is_special(const char *path);

/* path + ".part", to be freed by the caller. */
char *file_part_name(const char *path);
/* Opens a part for reading and appending, and locks it, so that it has one writer: EXIT_AGAIN
 * where there is another.  What stands in it stays.  Returns the descriptor. */
int file_open_part(const char *part, struct err *e) MUST_CHECK;
/* True if the name is still that of the open file, and not another's. */
bool file_is_named(int fd, const char *name);
/* fsync(fd), rename part to path, fsync the folder.  fd stays open.  EXIT_AGAIN where `part` is
 * no longer the name of fd. */
int file_commit(int fd, const char *part, const char *path, struct err *e) MUST_CHECK;
/* Writes the bytes to path + ".part" and commits; what is special is written to as it is. */
int file_write_atomic(const char *path, struct str bytes, struct err *e) MUST_CHECK;

#endif
