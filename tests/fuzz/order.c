/* order.c - numbered records in several files (parted by form feeds), put in order as gather
 * does. */
#include "fuzz.h"

#include "rec/merge.h"
#include "rec/order.h"

#include <sys/mman.h>

enum { FILES_MAX = 4 };

static int file_of(struct str s)
{
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || pwrite(fd, s.p, s.n, 0) != (ssize_t)s.n)
        die(EXIT_OS, "memfd_create:");
    return fd;
}

/* Numbers come ascending, and what order.c says of them is what a look at each says. */
static void take_all(struct merge *m, size_t lines)
{
    struct err e;
    struct order o = {0};
    struct buf text = {0};
    const struct rec *rec;
    uint64_t seq, before = 0, n = 0, twice = 0, missing = 0;
    int k;
    while ((k = merge_next(m, &rec, &seq, &e)) > 0) {
        uint64_t own;
        HOLDS(!rec->fault && rec_index(rec, "_seq", &own) == 1 && own == seq);
        HOLDS(!n || seq >= before);
        bool again = n && seq == before;
        twice += again;
        missing += n ? (again ? 0 : seq - before - 1) : seq;
        HOLDS(order_see(&o, seq, rec->line.n % 7 == 0) == !again);
        before = seq;
        HOLDS(++n <= lines);
    }
    HOLDS(k == 0);
    HOLDS(o.twice.count == twice && o.missing.count == missing);
    HOLDS(o.next == (n ? before + 1 : 0));
    order_expect(&o, 1000);
    order_put(&text, &o.missing);
    order_put(&text, &o.twice);
    order_put(&text, &o.behind);
    HOLDS(text.n < 2000);
    buf_release(&text);
}

static struct str next_file(struct str *rest)
{
    const char *ff = memchr(rest->p, '\f', rest->n);
    struct str file = {rest->p, ff ? (size_t)(ff - rest->p) : rest->n};
    size_t n = file.n + (ff != NULL);
    *rest = (struct str){rest->p + n, rest->n - n};
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const char *const names[FILES_MAX] = {"a", "b.part", "c", "d"};
    struct str rest = fuzz_input(p, n), file;
    struct err e = {0};
    struct merge *m = merge_new(1 << 12);
    size_t lines = 0;
    int rc = 0;
    for (int i = 0; i < FILES_MAX && rest.n && rc == 0; i++) {
        file = next_file(&rest);
        for (size_t k = 0; k < file.n; k++)
            lines += file.p[k] == '\n';
        lines++;
        rc = merge_add(m, file_of(file), names[i], 1, &e);
    }
    if (rc < 0)
        HOLDS(e.status == EXIT_DATA && *e.text && !strchr(e.text, '\n'));
    else
        take_all(m, lines);
    merge_free(m);
    return 0;
}
