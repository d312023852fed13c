/* deal.h - the records of the input, numbered, one after the other, each with its shard. */
#ifndef DEAL_H
#define DEAL_H

#include "base/args.h"
#include "base/buf.h"
#include "rec/balance.h"
#include "rec/input.h"
#include "rec/seqset.h"
#include "rec/shuffle.h"

enum { ROUND_ROBIN, CONTIGUOUS, BY_SIZE };

struct deal_options {
    int64_t shards, index, limit, max_record, seed, repeat;
    bool index_given, limit_given, shuffle;
    bool name_shards; /* write `_shard` */
    bool keep_seq, strict, overwrite;
    int deal;
    struct arg_list done;
};

/* A record, begun and then ended, with its line end. */
struct dealt {
    struct buf line;
    uint64_t seq;
    size_t shard;
    bool full;
};

struct dealer {
    const struct deal_options *opt;
    struct rec_input *in;
    struct rec rec;
    struct shuffle store; /* with --shuffle: the records begun, in their new order */
    struct balance sizes; /* with --deal size */
    struct seqset done;
    uint64_t sources, total; /* records there are, and with repetitions: where known */
    uint64_t source, src;    /* records read; position in the source of the last one */
    uint64_t seq;            /* records numbered */
    int64_t rep;             /* repetitions of the last record that were dealt */
    uint64_t dealt, bad, left_out;
    struct buf begun, scratch; /* the last record without what numbers it */
    bool has_begun;
    /* A record waits, begun, until it is known whether it is the last of all. */
    struct dealt now, ahead;
    bool ended;
    struct err failed; /* what the next call returns */
};

/* Reads what must be known beforehand.  files as for rec_input_new(). */
int dealer_open(struct dealer *d, const struct deal_options *opt, char **files,
                struct err *e) MUST_CHECK;
/* Reads one record.  1: d->now is the record before it, whole; 2: there is none to deal yet;
 * 0: the end; -1. */
int dealer_next(struct dealer *d, struct err *e) MUST_CHECK;
/* Before dealer_next(): 1 where it will not wait for whoever writes into a pipe; 0 where it
 * would, and *fd is what it would wait for; -1. */
int dealer_come(struct dealer *d, int *fd, struct err *e) MUST_CHECK;
/* False where it may wait. */
bool dealer_ready(const struct dealer *d);
void dealer_close(struct dealer *d);

#endif
