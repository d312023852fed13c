/* reader.h - the reader's inside, shared by its two ways to find where a record ends. */
#ifndef READER_H
#define READER_H

#include "rec/rec.h"

/* Where the next record of a JSON array is looked for. */
enum array_place {
    ARRAY_NO,     /* lines */
    ARRAY_MAYBE,  /* not known before the first byte that is no blank */
    ARRAY_INSIDE, /* between the brackets */
    ARRAY_BEHIND, /* behind the closing one: lines again, all of them faults */
};

/* The bytes [at, have) of `bytes` are read and not yet given out; [at, seen) of them do not end
 * the record. */
struct rec_reader {
    int fd;
    const char *name;
    size_t max_record;
    char *bytes;
    size_t cap, at, seen, have;
    size_t utf8;     /* the bytes before it are UTF-8, and end with a line */
    uint64_t offset; /* in the file, of bytes[0] */
    uint64_t line;   /* number of the line that begins at, or goes on at, `at` */
    uint64_t to;     /* end of the range, for a reader of a range */
    bool range, eof;

    bool cut; /* the last piece was ended by the end of the file */

    /* Of a record longer than max_record: its first bytes, and how many are no longer here. */
    char *kept;
    size_t dropped;

    enum array_place array;
    uint64_t element; /* of the array, from 1 */
    size_t depth;     /* brackets open inside the element, up to `seen` */
    bool in_string, in_escape, closed;
};

/* Moves `seen` to the first byte that ends the record.  False: not in memory yet. */
bool reader_find_line(struct rec_reader *r);

/* Reads more; 0 at the end of the file. */
int reader_fill(struct rec_reader *r, struct err *e) MUST_CHECK;
/* The next piece that ends as `find` says, without the byte that ends it: 1, 0 at the end, -1.
 * *length is the piece's whole length; of one that was dropped, rec->line is the beginning. */
int reader_piece(struct rec_reader *r, bool (*find)(struct rec_reader *), struct rec *rec,
                 size_t *length, struct err *e) MUST_CHECK;
/* Decides between lines and an array, by the first byte that is no blank. */
int reader_array_begin(struct rec_reader *r, struct err *e) MUST_CHECK;
/* The next element of an array: 1, 0 behind the last one, -1. */
int reader_array_next(struct rec_reader *r, struct rec *rec, struct err *e) MUST_CHECK;

/* Looks for marks in a line, or in what is there of it; the last ones count. */
void rec_marks_find(struct rec_marks *m, struct str text);
/* Appends them to a record begun in out. */
void rec_marks_put(struct buf *out, const struct rec_marks *m);
void rec_fault_too_long(struct rec *rec, size_t length, size_t max_record);

#endif
