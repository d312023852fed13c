/* count.h - result records read and counted. */
#ifndef SCORE_COUNT_H
#define SCORE_COUNT_H

#include "metrics/metrics.h"
#include "rec/field.h"

struct probabilities;

struct count_options {
    const char *gold, *pred, *group, *labels, *positive; /* as score(1) has them */
    bool strict;
    int64_t max_record;
};

/* What a record says in a comparison of two runs. */
struct verdict {
    uint64_t gold; /* hash of the folded label */
    enum { LEFT_OUT, WRONG, RIGHT } outcome;
};

/* The records of one run. */
struct count {
    const struct count_options *opt;
    struct tally *tally;
    struct probabilities *probabilities;
    struct field *gold, *pred[2], *group, *choices, *scores;
    size_t n_pred;
    struct buf gold_text, pred_text, group_text, folded[2];
    uint64_t records, errors, bad, no_gold, other_gold, answered, no_group;
    char first[512];         /* the first record that was left out, and why */
    bool keep;               /* verdicts, one per record */
    struct verdict *verdict; /* [records] */
    size_t verdict_cap;
};

#define DEFAULT_PRED "response.label, else response.text"

/* Everything is of the process's lifetime.  Ends the process on a wrong option. */
void count_open(struct count *c, const struct count_options *opt, bool keep);
/* Ends the process where the file cannot be read, or a record may not pass. */
void count_file(struct count *c, const char *path);
uint64_t count_left_out(const struct count *c);

#endif
