/* rec.h - records: lines of JSONL as bytes, read within bounds, passed on untouched.
 *
 * A tool reads a record, looks at some members, appends members of its own before the closing
 * brace and writes the line; every other byte stays as it came.  A line that is no record comes
 * back as one too, with `fault` set: the tool turns it into an error record in its place.
 * man/millrace-records.7 is the contract.
 */
#ifndef REC_H
#define REC_H

#include "rec/json.h"

#include "base/error.h"

#include <stdint.h>

/* ---- reading -------------------------------------------------------------- */

/* Members of ours in a line that is no record, as far as they can be made out. */
struct rec_marks {
    uint64_t seq, shard;
    bool has_seq, has_shard, last;
};

struct rec {
    struct str
        line; /* the bytes between line ends; borrowed: valid until the next rec_read() */
    struct json_members members; /* in order; empty when fault is set */
    uint64_t number;             /* line in its file, from 1 */
    uint64_t offset;             /* of the line's first byte in its file */
    const char *file;            /* its file's label, for messages */
    const char
        *fault; /* NULL, or an error type: "bad_json", "bad_utf8", "not_object", "too_long" */
    char message[160];      /* says what and where, when fault is set */
    struct rec_marks marks; /* of a line with a fault */
    bool is_utf8;           /* the line is, as far as its reader knows */
};

struct rec_reader;

/* Reads descriptor fd, called `name` (borrowed, rec->file too) in messages.  max_record:
 * longest line taken, in bytes; memory stays in proportion to it.  Blank lines and a UTF-8 BOM
 * at the start are skipped, CRLF and a missing last LF are read. */
struct rec_reader *rec_reader_new(int fd, const char *name, size_t max_record);
/* Before the first read: reads the bytes [from, to) of a file that can be sought, without
 * moving its file position; `line` is the number of the line that begins at `from`. */
void rec_reader_range(struct rec_reader *r, uint64_t from, uint64_t to, uint64_t line);
/* Before the first read: where the file begins with '[' and '{' (or ']'), blanks aside, it is
 * one JSON array, and each of its elements comes as a record of one line (CR and LF between its
 * tokens become one space).  What is wrong with the array itself is a record with a fault. */
void rec_reader_arrays(struct rec_reader *r);
void rec_reader_free(struct rec_reader *r); /* does not close fd */

/* Next record: 1, at the end 0, -1 where reading failed (EXIT_IO). */
int rec_read(struct rec_reader *r, struct rec *rec, struct err *e) MUST_CHECK;
/* True when another line is in memory, so that rec_read() will not wait.  (In an array never.)
 */
bool rec_ready(struct rec_reader *r);
/* Reads what can be read at once.  1: rec_read() will not wait; 0: it would; 2: it will not,
 * and there is no other record; -1. */
int rec_come(struct rec_reader *r, struct err *e) MUST_CHECK;
/* True when the last record had no LF behind it: the end of the file, or a writer cut off. */
bool rec_cut(const struct rec_reader *r);

/* Lines without validation, for tools that re-read what our own tools wrote: as rec_read, but
 * only line, number, offset and the fault "too_long" are set. */
int rec_read_line(struct rec_reader *r, struct rec *rec, struct err *e) MUST_CHECK;
/* Validates and lists the members of rec->line, as rec_read does. */
void rec_parse(struct rec *rec);
void rec_release(struct rec *rec);
/* Makes a record one with a fault, with "file:line: " and the words as its message. */
void rec_fault(struct rec *rec, const char *type, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- looking -------------------------------------------------------------- */

/* The last member of that name, or NULL. */
const struct json_member *rec_find(const struct rec *rec, const char *name);
/* True if an earlier stage failed on this record: it has an "error" object with "stage" and
 * "type".  Such records are passed on as they are. */
bool rec_is_error(const struct rec *rec);
/* A member that must be an integer >= 0: 1 found, 0 absent, -1 something else. */
int rec_index(const struct rec *rec, const char *name, uint64_t *out);

/* ---- appending ------------------------------------------------------------ */

/* rec_begin() puts the record without its closing brace into out (cleared first); each
 * rec_member() appends `,"name":` (no comma in an empty object) and the caller the value;
 * rec_end() closes and adds LF. */
void rec_begin(struct buf *out, const struct rec *rec);
void rec_begin_line(struct buf *out, struct str line); /* of a line known to be an object */
void rec_member(struct buf *out, const char *name);
void rec_member_uint(struct buf *out, const char *name, uint64_t value);
void rec_member_real(struct buf *out, const char *name, double value); /* NaN is null */
void rec_end(struct buf *out);

/* Puts into out the record's bytes without the members that `drop` picks, each with one
 * neighbouring comma; every other byte as it came.  No LF. */
void rec_without(struct buf *out, const struct rec *rec,
                 bool (*drop)(const struct json_member *m, size_t index, void *arg), void *arg);
/* Begins a line without those members; scratch keeps what is left of the record. */
void rec_begin_without(struct buf *out, struct buf *scratch, const struct rec *rec,
                       bool (*drop)(const struct json_member *m, size_t index, void *arg),
                       void *arg);

/* ---- error records -------------------------------------------------------- */

enum { REC_INPUT_MAX = 4096 };

/* Appends the member "error": {"stage","type","message"} to a record begun in out. */
void rec_error(struct buf *out, const char *stage, const char *type, const char *message);
/* A whole error record for a line with a fault, begun but not ended: {"error":{…,"input":…},
 * the raw line cut at REC_INPUT_MAX (never inside a character), or "input_base64" where it is
 * not UTF-8. */
void rec_begin_fault(struct buf *out, const struct rec *rec, const char *stage);
/* The whole line for a record that failed at this stage: rec_begin + rec_error + rec_end, or
 * for a record with a fault rec_begin_fault + its marks + rec_end. */
void rec_fail(struct buf *out, const struct rec *rec, const char *stage, const char *type,
              const char *message);

#endif
