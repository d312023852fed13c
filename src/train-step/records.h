/* records.h - the records, read on one rank and given to all. */
#ifndef RECORDS_H
#define RECORDS_H

#include "train-step/data.h"
#include "train-step/source.h"
#include "train/comm.h"

/* What was read of the records. */
struct records {
    struct data train, eval; /* eval.n 0: none */
    struct buf labels;       /* NUL behind each */
    uint64_t template;       /* hash */
    char date[32];           /* "": the template asks for none */
};

/* On rank 0.  date: an earlier call's, or NULL.  EXIT_DATA names file and line. */
int records_read(struct records *r, const struct source *s, const struct options *o,
                 char **files, const char *date, struct err *e) MUST_CHECK;
/* From rank 0 to all. */
int records_share(struct records *r, struct comm *c, struct err *e) MUST_CHECK;
void records_release(struct records *r);

/* --show-mask: what records_read() would take, to stdout. */
int records_show(const struct source *s, const struct options *o, char **files,
                 struct err *e) MUST_CHECK;

#endif
