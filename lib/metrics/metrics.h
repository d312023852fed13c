/* metrics.h - how good labels are: counts of (gold, predicted, group), and what follows from
 * them.
 *
 *     struct tally *t = tally_new();
 *     tally_add(t, gold, predicted, group, &e);          once per record
 *     struct figures *f = figures_new(t, UNPARSED_WRONG, positive);
 *
 * Memory is in the number of different (gold, predicted, group) triples, never in the number of
 * records.  Texts are labels of the same name when they are equal after trimming and Unicode
 * case folding, as wholes.  A prediction that is none of the labels is unparsed, which is a
 * class of its own.  docs/evaluation.md has the formulas; they are scikit-learn's.
 */
#ifndef METRICS_H
#define METRICS_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- texts that count as equal -------------------------------------------- */

/* Appends the text without blanks around it, case folded and composed (NFC). */
void text_fold(struct buf *out, struct str text);

struct names;

struct names *names_new(bool fold); /* fold: compare by text_fold(), else byte by byte */
void names_free(struct names *n);
size_t names_count(const struct names *n);
/* Ids count from 0 in the order of adding; -1 where it is not there. */
int64_t names_find(struct names *n, struct str text);
uint32_t names_add(struct names *n, struct str text);
/* The text as first added (trimmed where folding); borrowed until the table is freed. */
struct str names_text(const struct names *n, uint32_t id);

/* ---- counting ------------------------------------------------------------- */

enum {
    TALLY_LABELS_MAX = 2048, /* different labels */
    TALLY_ANSWERS_MAX =
        8192, /* different texts kept until it is known whether they are labels */
    TALLY_ANSWER_BYTES = 256, /* a longer prediction is no label */
    TALLY_GROUPS_MAX = 4096,
};

struct tally;

struct tally *tally_new(void);
void tally_free(struct tally *t);

/* Declares a label, as a list of choices does.  EXIT_DATA when there are too many. */
int tally_label(struct tally *t, struct str label, struct err *e) MUST_CHECK;
/* From now on only the declared labels are labels, in the order of declaration; otherwise every
 * gold value becomes one, and they are sorted by their bytes. */
void tally_close_labels(struct tally *t);
/* Counts a record.  predicted.p = NULL: no prediction, unparsed.  group.p = NULL: no group.
 * Returns 1, or 0 where the gold value is not among the closed labels (nothing is counted), or
 * -1 (EXIT_DATA) where there are too many different labels or groups. */
int tally_add(struct tally *t, struct str gold, struct str predicted, struct str group,
              struct err *e) MUST_CHECK;
/* Predictions that could not be kept until their label was known, and so are unparsed. */
uint64_t tally_lost(const struct tally *t);

/* The labels in the order of the figures; good until the next tally_label() or tally_add(). */
size_t tally_labels(struct tally *t);
struct str tally_label_text(const struct tally *t, size_t i); /* after tally_labels() */
int tally_label_find(struct tally *t, struct str label);      /* -1: not there */

/* ---- figures -------------------------------------------------------------- */

enum unparsed {
    UNPARSED_DROP,  /* records without a parsed prediction are left out */
    UNPARSED_WRONG, /* they count as wrong answers */
};

struct prf {
    double precision, recall, f1; /* 0 where the denominator is 0 */
};

/* One label, or one group, against the rest. */
struct rates {
    uint64_t n, tp, fp, tn, fn;
    double fpr, fnr; /* NaN where the denominator is 0 */
};

struct group_figures {
    struct str name;
    uint64_t n, correct;
    double accuracy;    /* NaN without records */
    struct rates rates; /* of the positive label; without one, only the two means are set */
};

struct label_figures {
    struct str name;
    struct prf prf;
    uint64_t support, predicted; /* records whose gold value, whose prediction it is */
};

/* The largest figure of a group less the smallest; NaN unless two groups have it. */
struct gap {
    double accuracy, fpr, fnr;
};

struct figures {
    enum unparsed convention;
    int positive; /* index of the positive label, -1: none, rates are means over the labels */
    size_t n_labels, n_groups;
    struct label_figures *label;
    struct prf macro, weighted;
    size_t width;        /* of the confusion matrix: n_labels, one more with UNPARSED_WRONG */
    uint64_t *confusion; /* [width][width]: rows gold, columns predicted, unparsed last */
    struct group_figures all;
    struct group_figures *group; /* sorted by name */
    struct gap gap;
};

/* Strings are borrowed from the tally. */
struct figures *figures_new(struct tally *t, enum unparsed convention, int positive);
void figures_free(struct figures *f);

/* ---- showing -------------------------------------------------------------- */

/* The figures as a JSON object. */
void figures_put_json(struct buf *out, const struct figures *f);
/* Both conventions as a table of at most one screen (24 lines of 80 columns); group: the name
 * of the field that made the groups, NULL: none. */
void figures_put_table(struct buf *out, const struct figures *drop, const struct figures *wrong,
                       const char *group);

#endif
