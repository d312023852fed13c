/* deal.c - numbering records, and which shard gets one. */
#include "shard/deal.h"

#include <inttypes.h>

/* ---- a record ------------------------------------------------------------- */

static bool is_reserved(const struct json_member *m, size_t index, void *arg)
{
    static const char *const names[] = {"_seq", "_shard", "_last", "_src", "_rep"};
    (void)index;
    (void)arg;
    if (m->key.p[1] != '_' && m->key.p[1] != '\\')
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_key_is(m->key, names[i]))
            return true;
    return false;
}

static bool is_shard(const struct json_member *m, size_t index, void *arg)
{
    (void)index;
    (void)arg;
    return json_key_is(m->key, "_shard");
}

/* Checks the record, and begins what is written of it in d->begun. */
static int begin_record(struct dealer *d, struct err *e)
{
    struct rec *rec = &d->rec;
    const struct json_member *reserved = NULL;
    d->has_begun = true;
    rec_parse(rec);
    for (size_t i = 0; i < rec->members.n && !reserved; i++)
        if (is_reserved(&rec->members.v[i], i, NULL))
            reserved = &rec->members.v[i];
    if (reserved && !d->opt->overwrite)
        rec_fault(rec, "reserved_member", "has a member %.*s already; see --overwrite",
                  (int)reserved->key.n, reserved->key.p);
    if (rec->fault) {
        if (d->opt->strict)
            return err_set(e, EXIT_DATA, "%s", rec->message);
        rec_begin_fault(&d->begun, rec, tool_name);
        d->bad++;
    } else if (reserved) {
        rec_without(&d->scratch, rec, is_reserved, NULL);
        rec_begin_line(&d->begun, buf_str(&d->scratch));
    } else {
        rec_begin(&d->begun, rec);
    }
    return 0;
}

/* A record that has its number: nothing is changed but `_shard`. */
static int begin_numbered(struct dealer *d, uint64_t *seq, struct err *e)
{
    struct rec *rec = &d->rec;
    rec_parse(rec);
    if (rec->fault)
        return err_set(e, EXIT_DATA, "%s", rec->message);
    int k = rec_index(rec, "_seq", seq);
    if (k != 1)
        return err_set(e, EXIT_DATA, "%s:%" PRIu64 ": %s", rec->file, rec->number,
                       k ? "_seq is not a whole number"
                         : "no _seq; --keep-seq takes records that are numbered");
    if (d->opt->name_shards && rec_find(rec, "_shard")) {
        rec_without(&d->scratch, rec, is_shard, NULL);
        rec_begin_line(&d->begun, buf_str(&d->scratch));
    } else {
        rec_begin(&d->begun, rec);
    }
    return 0;
}

/* ---- the source ----------------------------------------------------------- */

static bool at_limit(const struct dealer *d)
{
    return d->opt->limit_given && d->source >= (uint64_t)d->opt->limit;
}

static int read_source(struct dealer *d, struct err *e)
{
    int k = at_limit(d) ? 0 : rec_input_read(d->in, &d->rec, e);
    d->src = d->source;
    d->source += k > 0;
    return k;
}

/* The next record: 1, 0 at the end, -1. */
static int next_source(struct dealer *d, struct err *e)
{
    uint64_t size;
    d->has_begun = false;
    if (!d->opt->shuffle) {
        /* A file may grow between two passes. */
        bool grown = d->opt->deal != ROUND_ROBIN && d->source >= d->sources;
        return grown ? 0 : read_source(d, e);
    }
    if (d->source >= d->store.n)
        return 0;
    d->has_begun = true;
    if (shuffle_get(&d->store, (size_t)d->source++, &d->begun, &d->src, &size, e) < 0)
        return -1;
    return 1;
}

/* Puts all records into the store. */
static int shuffle_source(struct dealer *d, struct err *e)
{
    int k;
    if (shuffle_open(&d->store, e) < 0)
        return -1;
    while ((k = read_source(d, e)) > 0)
        if (begin_record(d, e) < 0 || shuffle_add(&d->store, buf_str(&d->begun), e) < 0)
            return -1;
    d->source = 0;
    return k < 0 ? -1 : shuffle_order(&d->store, (uint64_t)d->opt->seed, e);
}

static void note_size(struct dealer *d, uint64_t size)
{
    d->sources++;
    for (int64_t r = 0; r < d->opt->repeat && d->opt->deal == BY_SIZE; r++)
        balance_add(&d->sizes, size);
}

/* How many records there are, and of which sizes. */
static int survey(struct dealer *d, struct err *e)
{
    uint64_t position, size;
    int k = 0;
    if (d->opt->shuffle) {
        for (size_t i = 0; i < d->store.n; i++) {
            if (shuffle_get(&d->store, i, NULL, &position, &size, e) < 0)
                return -1;
            note_size(d, size);
        }
    } else {
        if (rec_input_spool(d->in, e) < 0)
            return -1;
        while ((k = read_source(d, e)) > 0)
            note_size(d, d->rec.line.n);
        d->source = 0;
        rec_input_rewind(d->in);
    }
    d->total = d->sources * (uint64_t)d->opt->repeat;
    if (d->opt->deal == BY_SIZE)
        balance_deal(&d->sizes, (size_t)d->opt->shards);
    return k;
}

/* ---- dealing -------------------------------------------------------------- */

/* Contiguous: shard k has the records from k * total / N on. */
static uint64_t shard_of(const struct dealer *d, uint64_t position, uint64_t seq)
{
    uint64_t n = (uint64_t)d->opt->shards;
    if (d->opt->deal == BY_SIZE)
        return balance_shard(&d->sizes, (size_t)position);
    return d->opt->deal == CONTIGUOUS ? ((position + 1) * n - 1) / d->total : seq % n;
}

/* Begins d->ahead, if the record is dealt at all. */
static int deal_record(struct dealer *d, struct err *e)
{
    const struct deal_options *o = d->opt;
    uint64_t position = d->seq++, seq = position;
    if (o->keep_seq && begin_numbered(d, &seq, e) < 0)
        return -1;
    uint64_t shard = shard_of(d, position, seq);
    bool mine = !o->index_given || shard == (uint64_t)o->index;
    bool done = mine && seqset_has(&d->done, seq);
    d->left_out += done;
    /* With --strict no bad record passes, whatever becomes of it. */
    if (!o->keep_seq && !d->has_begun && (o->strict || (mine && !done)) &&
        begin_record(d, e) < 0)
        return -1;
    if (!mine || done)
        return 0;
    if (o->repeat == 1) { /* nobody needs it again */
        struct buf empty = d->ahead.line;
        d->ahead.line = d->begun;
        d->begun = empty;
    } else {
        buf_clear(&d->ahead.line);
        buf_addstr(&d->ahead.line, buf_str(&d->begun));
    }
    if (!o->keep_seq)
        rec_member_uint(&d->ahead.line, "_seq", seq);
    if (o->name_shards)
        rec_member_uint(&d->ahead.line, "_shard", shard);
    if (o->shuffle || o->repeat > 1) {
        rec_member_uint(&d->ahead.line, "_src", d->src);
        rec_member_uint(&d->ahead.line, "_rep", (uint64_t)(d->rep - 1));
    }
    d->ahead.seq = seq;
    d->ahead.shard = (size_t)shard;
    d->ahead.full = true;
    d->dealt++;
    return 0;
}

/* 1 where there was another record, dealt or not. */
static int read_ahead(struct dealer *d, struct err *e)
{
    if (d->rep == d->opt->repeat) {
        int k = next_source(d, e);
        if (k <= 0)
            return k;
        d->rep = 0;
    }
    d->rep++;
    return deal_record(d, e) < 0 ? -1 : 1;
}

int dealer_next(struct dealer *d, struct err *e)
{
    struct dealt empty = d->now;
    empty.full = false;
    d->now = d->ahead;
    d->ahead = empty;
    if (d->failed.status) {
        *e = d->failed;
        return -1;
    }
    int k = d->ended ? 0 : read_ahead(d, e);
    if (k < 0) {
        if (!d->now.full)
            return -1;
        d->failed = *e; /* what came before it goes out first */
    }
    d->ended = k == 0;
    if (!d->now.full)
        return k > 0 ? 2 : 0;
    if (d->ended && !d->opt->keep_seq) {
        rec_member(&d->now.line, "_last");
        buf_puts(&d->now.line, "true");
    }
    rec_end(&d->now.line);
    return 1;
}

bool dealer_ready(const struct dealer *d)
{
    return d->ended || d->failed.status || d->rep < d->opt->repeat || d->opt->shuffle ||
           rec_input_ready(d->in);
}

int dealer_come(struct dealer *d, int *fd, struct err *e)
{
    if (d->ended || d->failed.status || d->rep < d->opt->repeat || d->opt->shuffle ||
        at_limit(d))
        return 1;
    return rec_input_come(d->in, fd, e);
}

int dealer_open(struct dealer *d, const struct deal_options *opt, char **files, struct err *e)
{
    *d = (struct dealer){.opt = opt, .rep = opt->repeat};
    d->in = rec_input_new(files, (size_t)opt->max_record);
    if (rec_input_probe(d->in, e) < 0)
        return -1;
    for (size_t i = 0; i < opt->done.n; i++)
        if (seqset_add_files(&d->done, opt->done.items[i], (size_t)opt->max_record, e) < 0)
            return -1;
    if (opt->shuffle && shuffle_source(d, e) < 0)
        return -1;
    return opt->deal == ROUND_ROBIN ? 0 : survey(d, e);
}

void dealer_close(struct dealer *d)
{
    rec_input_free(d->in);
    rec_release(&d->rec);
    shuffle_release(&d->store);
    balance_release(&d->sizes);
    seqset_release(&d->done);
    buf_release(&d->begun);
    buf_release(&d->scratch);
    buf_release(&d->now.line);
    buf_release(&d->ahead.line);
}
