/* read.c - the bounded reader: lines out of a descriptor, whatever they hold. */
#include "rec/reader.h"

#include "rec/scan.h"
#include "rec/utf8.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CHUNK = 1 << 17,
    SLACK = 4, /* a line's CR and the file's BOM do not count against max_record */
    MARK = 64, /* a mark is shorter than this, but where somebody put many blanks in */
};

#define BOM "\xef\xbb\xbf"

struct rec_reader *rec_reader_new(int fd, const char *name, size_t max_record)
{
    struct rec_reader *r = xcalloc(1, sizeof *r);
    r->fd = fd;
    r->name = name;
    r->max_record = max_record;
    r->line = 1;
    return r;
}

void rec_reader_range(struct rec_reader *r, uint64_t from, uint64_t to, uint64_t line)
{
    r->range = true;
    r->offset = from;
    r->to = to;
    r->line = line;
}

void rec_reader_free(struct rec_reader *r)
{
    if (!r)
        return;
    free(r->bytes);
    free(r->kept);
    free(r);
}

/* ---- bytes ---------------------------------------------------------------- */

static ssize_t read_some(struct rec_reader *r, size_t room)
{
    if (!r->range)
        return read(r->fd, r->bytes + r->have, room);
    uint64_t from = r->offset + r->have;
    if (room > r->to - from)
        room = (size_t)(r->to - from);
    return room ? pread(r->fd, r->bytes + r->have, room, (off_t)from) : 0;
}

/* Moves what is left to the front, and makes room behind it. */
static void make_room(struct rec_reader *r)
{
    size_t left = r->have - r->at;
    if (r->at && left)
        memmove(r->bytes, r->bytes + r->at, left);
    r->offset += r->at;
    r->seen -= r->at;
    r->utf8 -= r->utf8 < r->at ? r->utf8 : r->at;
    r->have = left;
    r->at = 0;
    if (r->have < r->cap)
        return;
    size_t want = r->cap ? r->cap * 2 : CHUNK, most;
    if (size_add(r->max_record, CHUNK, &most) && want > most)
        want = most;
    if (r->range && want > r->to - r->offset)
        want = (size_t)(r->to - r->offset);
    if (want <= r->have)
        want = r->have + 1;
    r->bytes = xrealloc_n(r->bytes, want, 1);
    r->cap = want;
}

/* Looks whether all lines that came are UTF-8: in one sweep, that is cheaper than one by one.
 */
static void check_utf8(struct rec_reader *r, size_t came)
{
    const char *lf = memrchr(r->bytes + r->have - came, '\n', came);
    size_t to = lf ? (size_t)(lf - r->bytes) + 1 : 0, from = r->utf8 > r->at ? r->utf8 : r->at;
    if (to > from && utf8_check(r->bytes + from, to - from))
        r->utf8 = to;
}

int reader_fill(struct rec_reader *r, struct err *e)
{
    if (r->eof)
        return 0;
    make_room(r);
    ssize_t k;
    while ((k = read_some(r, r->cap - r->have)) < 0) {
        if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = r->fd, .events = POLLIN}, 1, -1);
        else if (errno != EINTR)
            return err_set(e, errno == EISDIR ? EXIT_NOINPUT : EXIT_IO, "read %s:", r->name);
    }
    r->eof = k == 0;
    r->have += (size_t)k;
    if (k > 0)
        check_utf8(r, (size_t)k);
    return k > 0;
}

bool reader_find_line(struct rec_reader *r)
{
    const char *lf = NULL;
    if (r->seen < r->have)
        lf = memchr(r->bytes + r->seen, '\n', r->have - r->seen);
    r->seen = lf ? (size_t)(lf - r->bytes) : r->have;
    return lf;
}

/* ---- pieces --------------------------------------------------------------- */

/* Lets go of a piece that has grown too long, but for its beginning, what marks it has, and its
 * end, which a mark may begin in. */
static void drop_bytes(struct rec_reader *r, struct rec *rec)
{
    size_t n = r->have - r->at, left = n < MARK ? n : MARK;
    if (!r->dropped) {
        if (!r->kept)
            r->kept = xmalloc(REC_INPUT_MAX);
        rec->line = (struct str){r->kept, n < REC_INPUT_MAX ? n : REC_INPUT_MAX};
        memcpy(r->kept, r->bytes + r->at, rec->line.n);
    }
    rec_marks_find(&rec->marks, (struct str){r->bytes + r->at, n});
    r->dropped += n - left;
    r->at = r->have - left;
}

int reader_piece(struct rec_reader *r, bool (*find)(struct rec_reader *), struct rec *rec,
                 size_t *length, struct err *e)
{
    bool found;
    rec->offset = r->offset + r->at;
    r->dropped = 0;
    while (!(found = find(r))) {
        if (r->have - r->at > r->max_record && r->have - r->at - r->max_record > SLACK)
            drop_bytes(r, rec);
        int k = reader_fill(r, e);
        if (k < 0)
            return -1;
        if (!k)
            break;
    }
    size_t n = r->seen - r->at;
    if (!r->dropped)
        rec->line = (struct str){r->bytes + r->at, n};
    else
        rec_marks_find(&rec->marks, (struct str){r->bytes + r->at, n});
    *length = r->dropped + n;
    rec->is_utf8 = found && !r->dropped && r->seen < r->utf8;
    r->cut = !found;
    r->at = r->seen = r->seen + found;
    return found || *length;
}

static bool is_blank_line(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\t'))
        i++;
    return i == n || (i == n - 1 && p[i] == '\r');
}

/* Takes the CR and the BOM off; true if something is left. */
static bool trim_line(struct rec_reader *r, struct rec *rec, size_t *length)
{
    struct str *l = &rec->line;
    if (!r->dropped && l->n && l->p[l->n - 1] == '\r') {
        l->n--;
        --*length;
    }
    if (rec->offset == 0 && l->n >= 3 && !memcmp(l->p, BOM, 3)) {
        *l = (struct str){l->p + 3, l->n - 3};
        *length -= 3;
        rec->offset = 3;
    }
    return r->dropped || !is_blank_line(l->p, l->n);
}

static int next_line(struct rec_reader *r, struct rec *rec, struct err *e)
{
    for (;;) {
        size_t length;
        int k = reader_piece(r, reader_find_line, rec, &length, e);
        if (k <= 0)
            return k;
        rec->number = r->line++;
        if (!trim_line(r, rec, &length))
            continue;
        if (length > r->max_record)
            rec_fault_too_long(rec, length, r->max_record);
        else if (r->array == ARRAY_BEHIND)
            rec_fault(rec, "bad_json", "text behind the end of the array");
        return 1;
    }
}

/* ---- records -------------------------------------------------------------- */

int rec_read_line(struct rec_reader *r, struct rec *rec, struct err *e)
{
    rec->file = r->name;
    rec->fault = NULL;
    rec->members.n = 0;
    rec->marks = (struct rec_marks){0};
    if (r->array == ARRAY_MAYBE && reader_array_begin(r, e) < 0)
        return -1;
    if (r->array == ARRAY_INSIDE) {
        int k = reader_array_next(r, rec, e);
        if (k)
            return k;
    }
    return next_line(r, rec, e);
}

int rec_read(struct rec_reader *r, struct rec *rec, struct err *e)
{
    int k = rec_read_line(r, rec, e);
    if (k > 0)
        rec_parse(rec);
    return k;
}

bool rec_ready(struct rec_reader *r)
{
    if (r->array == ARRAY_MAYBE || r->array == ARRAY_INSIDE)
        return false;
    for (size_t at = r->at, from = r->seen; at < r->have;) {
        const char *lf = memchr(r->bytes + from, '\n', r->have - from);
        if (!lf && !r->eof)
            return false;
        size_t end = lf ? (size_t)(lf - r->bytes) : r->have;
        if (at == r->at)
            r->seen = end; /* so that nobody looks for it again */
        if (!is_blank_line(r->bytes + at, end - at))
            return true;
        at = from = end + 1;
    }
    return false;
}

int rec_come(struct rec_reader *r, struct err *e)
{
    struct pollfd p = {.fd = r->fd, .events = POLLIN};
    for (;;) {
        bool line = r->array == ARRAY_NO || r->array == ARRAY_BEHIND;
        if (rec_ready(r))
            return 1;
        if (r->eof && line)
            return 2;
        /* Whether it is an array shows in the first byte, which is there soon after it. */
        if (poll(&p, 1, 0) == 0)
            return r->array == ARRAY_INSIDE && r->at < r->have;
        if (!line || r->have - r->at > r->max_record)
            return 1;
        if (reader_fill(r, e) < 0)
            return -1;
    }
}

bool rec_cut(const struct rec_reader *r)
{
    return r->cut;
}

void rec_release(struct rec *rec)
{
    free(rec->members.v);
    *rec = (struct rec){0};
}
