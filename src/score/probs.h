/* probs.h - the probabilities that result records give their labels. */
#ifndef SCORE_PROBS_H
#define SCORE_PROBS_H

#include "base/buf.h"
#include "metrics/scores.h"

struct probabilities;

/* positive: the label whose ranking counts; NULL: known only at the end, so that records with
 * two labels keep both. */
struct probabilities *probabilities_new(const char *positive);
/* scores: the raw value of `response.scores`; left out unless it is a list of labels with
 * probabilities.  group.p = NULL: none. */
void probabilities_add(struct probabilities *p, struct str scores, struct str gold,
                       struct str group);

const struct calibration *probabilities_calibration(const struct probabilities *p);
/* The label's probabilities, sorted by scores_sort(); the caller frees them. */
struct scored *probabilities_of(struct probabilities *p, struct str label, size_t *n);
/* At least 1, since records without a group are one. */
size_t probabilities_groups(const struct probabilities *p);
struct str probabilities_group(const struct probabilities *p, size_t i);

#endif
