/* merge.c - finding ascending runs, and merging them by a heap. */
#include "rec/merge.h"

#include <stdlib.h>
#include <unistd.h>

struct file {
    int fd;
    const char *name;
};

/* What a run needs while it is read; small ones come and go by the thousand. */
struct opened {
    struct rec_reader *reader;
    struct rec rec;
};

struct run {
    uint64_t seq; /* of the record that comes next */
    uint64_t from, to, line;
    size_t file;
    struct opened *opened; /* NULL before its first record is due */
};

struct merge {
    struct file *files;
    size_t n_files, cap_files;
    struct run *runs;
    size_t n_runs, cap_runs;
    size_t *heap; /* runs; the one whose record comes next is heap[0] */
    size_t n_heap;
    bool started;
    bool given; /* the record of heap[0] went out */
    size_t max_record;
    char torn[sizeof((struct rec *)0)->message];
};

struct merge *merge_new(size_t max_record)
{
    struct merge *m = xcalloc(1, sizeof *m);
    m->max_record = max_record;
    return m;
}

static void close_run(struct run *run)
{
    if (!run->opened)
        return;
    rec_reader_free(run->opened->reader);
    rec_release(&run->opened->rec);
    free(run->opened);
    run->opened = NULL;
}

void merge_free(struct merge *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_runs; i++)
        close_run(&m->runs[i]);
    for (size_t i = 0; i < m->n_files; i++)
        close(m->files[i].fd);
    free(m->files);
    free(m->runs);
    free(m->heap);
    free(m);
}

int merge_seq(const struct rec *rec, uint64_t *seq, struct err *e)
{
    if (rec->fault)
        return err_set(e, EXIT_DATA, "%s", rec->message);
    int k = rec_index(rec, "_seq", seq);
    if (k == 1)
        return 0;
    return err_set(e, EXIT_DATA, "%s:%llu: %s", rec->file, (unsigned long long)rec->number,
                   k ? "_seq is not a whole number"
                     : "no _seq; only records that shard has numbered can be put in order");
}

/* ---- the first pass ------------------------------------------------------- */

/* Whoever goes on with a NAME.part drops a last line that has no LF, even if it is whole. */
static bool is_part(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && !strcmp(name + n - 5, ".part");
}

static void tell_torn(struct merge *m, struct rec *rec)
{
    if (!rec->fault)
        rec_fault(rec, "bad_json", "no line end");
    memcpy(m->torn, rec->message, sizeof m->torn);
}

int merge_add(struct merge *m, int fd, const char *name, uint64_t line, struct err *e)
{
    struct rec rec = {0};
    uint64_t seq, before = 0;
    off_t size = lseek(fd, 0, SEEK_END);
    GROW(m->files, m->cap_files, m->n_files + 1);
    m->files[m->n_files++] = (struct file){fd, name};
    if (size < 0)
        return err_set(e, EXIT_IO, "seek in %s:", name);
    struct rec_reader *r = rec_reader_new(fd, name, m->max_record);
    rec_reader_range(r, 0, (uint64_t)size, line);
    struct run *run = NULL;
    int k;
    while ((k = rec_read(r, &rec, e)) > 0) {
        if (rec_cut(r) && (rec.fault || is_part(name))) {
            k = 0;
            if (run)
                run->to = rec.offset;
            if (!m->torn[0])
                tell_torn(m, &rec);
            break;
        }
        if ((k = merge_seq(&rec, &seq, e)) < 0)
            break;
        if (!run || seq < before) {
            if (run)
                run->to = rec.offset;
            GROW(m->runs, m->cap_runs, m->n_runs + 1);
            run = &m->runs[m->n_runs++];
            *run = (struct run){.seq = seq,
                                .from = rec.offset,
                                .to = (uint64_t)size,
                                .line = rec.number,
                                .file = m->n_files - 1};
        }
        before = seq;
    }
    rec_release(&rec);
    rec_reader_free(r);
    return k;
}

const char *merge_torn(const struct merge *m)
{
    return m->torn[0] ? m->torn : NULL;
}

/* ---- the second pass ------------------------------------------------------ */

static bool comes_first(const struct merge *m, size_t a, size_t b)
{
    return m->runs[a].seq != m->runs[b].seq ? m->runs[a].seq < m->runs[b].seq : a < b;
}

static void sift_down(struct merge *m, size_t i)
{
    size_t *h = m->heap, run = h[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= m->n_heap)
            break;
        if (child + 1 < m->n_heap && comes_first(m, h[child + 1], h[child]))
            child++;
        if (!comes_first(m, h[child], run))
            break;
        h[i] = h[child];
        i = child;
    }
    h[i] = run;
}

static void start(struct merge *m)
{
    m->started = true;
    m->n_heap = m->n_runs;
    m->heap = xmalloc_n(m->n_runs, sizeof *m->heap);
    for (size_t i = 0; i < m->n_runs; i++)
        m->heap[i] = i;
    for (size_t i = m->n_runs / 2; i-- > 0;)
        sift_down(m, i);
}

/* Reads the run's next record: 1, 0 at its end, -1. */
static int advance(struct merge *m, struct run *run, struct err *e)
{
    if (!run->opened) {
        run->opened = xcalloc(1, sizeof *run->opened);
        run->opened->reader = rec_reader_new(m->files[run->file].fd, m->files[run->file].name,
                                             m->max_record);
        rec_reader_range(run->opened->reader, run->from, run->to, run->line);
    }
    struct rec *rec = &run->opened->rec;
    int k = rec_read(run->opened->reader, rec, e);
    if (k > 0 && merge_seq(rec, &run->seq, e) < 0)
        return -1;
    return k;
}

/* Goes on behind the record that the last call gave out. */
static int step(struct merge *m, struct err *e)
{
    struct run *top = &m->runs[m->heap[0]];
    int k = advance(m, top, e);
    if (k < 0)
        return -1;
    if (k == 0) {
        close_run(top);
        m->heap[0] = m->heap[--m->n_heap];
    }
    if (m->n_heap)
        sift_down(m, 0);
    return 0;
}

int merge_next(struct merge *m, const struct rec **rec, uint64_t *seq, struct err *e)
{
    if (!m->started)
        start(m);
    if (m->given && step(m, e) < 0)
        return -1;
    m->given = m->n_heap;
    if (!m->n_heap)
        return 0;
    struct run *top = &m->runs[m->heap[0]];
    uint64_t due = top->seq;
    if (!top->opened) {
        int k = advance(m, top, e);
        if (k < 0)
            return -1;
        if (k == 0 || top->seq != due)
            return err_set(e, EXIT_IO, "%s changed while it was read",
                           m->files[top->file].name);
    }
    *rec = &top->opened->rec;
    *seq = top->seq;
    return 1;
}
