/* run.h - what a run left in its folder. */
#ifndef REPORT_RUN_H
#define REPORT_RUN_H

#include "base/buf.h"
#include "base/error.h"
#include "rec/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record whose answer was not the gold label. */
struct mistake {
    double confidence; /* the answer's probability; NaN without scores */
    uint64_t line;     /* in results.jsonl, from 1 */
    char *id, *text, *gold, *answer, *group;
};

struct error_kind {
    char *name, *message; /* "stage: type", and the first one's message */
    uint64_t count;
};

enum { MISTAKES_MAX = 50, ERROR_KINDS_MAX = 64 };

struct run {
    const char *dir;
    struct buf metrics_text, manifest_text, steps_text;
    struct str metrics;      /* metrics.json; empty where there is none */
    struct str score;        /* its member `score` */
    struct str manifest;     /* manifest.json */
    struct mistake *mistake; /* the surest first */
    size_t mistakes;
    uint64_t wrong;
    struct error_kind *kind;
    size_t kinds;
};

/* Reads the folder's files; those that are not there are empty.  text: the member that shows a
 * record to a reader; the whole line where it has none.  EXIT_NOINPUT where the folder has
 * neither metrics.json nor steps.jsonl, EXIT_DATA where a file is not what it should be. */
int run_load(struct run *r, const char *dir, const char *text, struct err *e) MUST_CHECK;
void run_release(struct run *r);

/* Records that two runs answered differently. */
struct difference {
    uint64_t line;
    char *text, *gold, *first, *second;
};

struct comparison {
    uint64_t records, both, only_first, only_second, neither;
    struct difference *difference; /* the first of them, at most MISTAKES_MAX */
    size_t differences;
    uint64_t differing;
};

/* EXIT_DATA where the runs are not of the same records in the same order. */
int run_compare(struct comparison *c, const struct run *a, const struct run *b,
                const char *text, struct err *e) MUST_CHECK;
void comparison_release(struct comparison *c);

/* ---- looking into JSON ---------------------------------------------------- */

/* Walkers that find nothing in what is no array, or no object. */
struct json_iter items(struct str array);
struct json_iter members(struct str object);
size_t count_of(struct json_iter it);
/* The value at a.b.c (names without dots); n = 0 where it is not there. */
struct str in_json(struct str json, const char *path);
double number_in(struct str json, const char *path); /* NaN where it is no number */
/* The decoded string into out (cleared first), "" where it is none; returns out's text. */
const char *text_in(struct buf *out, struct str json, const char *path);

#endif
