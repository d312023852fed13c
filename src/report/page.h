/* page.h - pieces of an HTML page: text that cannot break out, tables, plots. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends text with &, <, >, " and ' as references, and control characters as U+FFFD, so that
 * whatever a record holds stays text, in an element or in a quoted attribute. */
void page_text(struct buf *b, struct str text);
/* The same of at most `max` bytes (never inside a character), then an ellipsis. */
void page_text_cut(struct buf *b, struct str text, size_t max);

/* Four decimals, or a dash where v is NaN. */
void page_ratio(struct buf *b, double v);

void page_open(struct buf *b, const char *title);
void page_close(struct buf *b);
void page_section(struct buf *b, const char *id, const char *title, const char *about);
void page_section_end(struct buf *b);
/* A figure in large type with a line under it. */
void page_tile(struct buf *b, const char *name, const char *value, const char *under);

/* ---- plots ---------------------------------------------------------------- */

struct series {
    const char *name; /* in the legend */
    const double *x, *y;
    size_t n;
};

struct plot {
    const char *title, *about; /* `about` is read out in place of the picture */
    const char *x_name, *y_name;
    double x_min, x_max, y_min, y_max;
    bool diagonal; /* a line from corner to corner, where a perfect figure would lie */
    bool points;   /* dots on the lines */
};

/* Lines; values that are not finite leave a gap.  Colours go by the place of the series. */
void plot_lines(struct buf *b, const struct plot *p, const struct series *s, size_t n);
/* Bars from 0 upwards, the series of a place side by side; all have the same n, x is unused. */
void plot_bars(struct buf *b, const struct plot *p, const struct series *s, size_t n);
/* A range from low to high with a mark at the figure, a row per name; all in 0..1. */
struct range_row {
    struct str name;
    double at, low, high;
};
void plot_ranges(struct buf *b, const char *about, const struct range_row *rows, size_t n);

#endif
