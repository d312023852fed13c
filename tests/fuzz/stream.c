/* stream.c - bytes read as a stream of records: as lines, and as what may be one JSON array. */
#include "fuzz.h"

#include "rec/rec.h"

#include <sys/mman.h>

/* The reader knows more of a line than the line says: where its bytes were looked at, what it
 * was cut to.  The verdict must be the line's own. */
static void same_alone(const struct rec *rec)
{
    struct rec alone = {.line = rec->line, .file = rec->file, .number = rec->number};
    if (rec->fault && strcmp(rec->fault, "bad_json") && strcmp(rec->fault, "bad_utf8") &&
        strcmp(rec->fault, "not_object"))
        return;
    rec_parse(&alone);
    if (!rec->fault)
        HOLDS(!alone.fault && alone.members.n == rec->members.n);
    else if (alone.fault) /* else the array itself was at fault */
        HOLDS(!strcmp(alone.fault, rec->fault));
    rec_release(&alone);
}

static void check_failed(const struct rec *rec)
{
    struct buf out = {0};
    struct rec other = {0};
    rec_fail(&out, rec, "fuzz", "bad", rec->fault ? rec->message : "m");
    HOLDS(out.n && !memchr(out.p, '\n', out.n - 1));
    other.line = (struct str){out.p, out.n - 1};
    rec_parse(&other);
    HOLDS(!other.fault && rec_is_error(&other));
    rec_release(&other);
    buf_release(&out);
}

static void read_stream(int fd, struct str in, bool arrays, size_t max_record)
{
    struct err e;
    struct rec rec = {0};
    struct rec_reader *r = rec_reader_new(fd, "fuzz", max_record);
    uint64_t last = 0;
    int rc;
    HOLDS(lseek(fd, 0, SEEK_SET) == 0);
    if (arrays)
        rec_reader_arrays(r);
    while ((rc = rec_read(r, &rec, &e)) > 0) {
        HOLDS(rec.offset <= in.n && rec.number >= last);
        HOLDS(rec.line.n <= max_record || rec.fault);
        last = rec.number;
        same_alone(&rec);
        check_failed(&rec);
        (void)rec_ready(r);
    }
    HOLDS(rc == 0);
    rec_release(&rec);
    rec_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static int fd = -1;
    struct str in = fuzz_input(p, n);
    if (fd < 0 && (fd = memfd_create("fuzz", 0)) < 0)
        die(EXIT_OS, "memfd_create:");
    if (ftruncate(fd, 0) || pwrite(fd, in.p, in.n, 0) != (ssize_t)in.n)
        die(EXIT_OS, "write:");
    read_stream(fd, in, false, 1 << 20);
    read_stream(fd, in, true, 64);
    return 0;
}
