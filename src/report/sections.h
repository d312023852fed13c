/* sections.h - the parts of a report.  Each is left out where the run has nothing for it. */
#ifndef REPORT_SECTIONS_H
#define REPORT_SECTIONS_H

#include "report/page.h"
#include "report/run.h"

void section_tiles(struct buf *b, const struct run *r);
void section_parameters(struct buf *b, const struct run *r);
void section_labels(struct buf *b, const struct run *r);
void section_groups(struct buf *b, const struct run *r);
void section_probabilities(struct buf *b, const struct run *r);
void section_time(struct buf *b, const struct run *r);
void section_training(struct buf *b, const struct run *r);
void section_mistakes(struct buf *b, const struct run *r);
void section_errors(struct buf *b, const struct run *r);

/* Two runs side by side. */
void section_versus(struct buf *b, const struct run *first, const struct run *second,
                    const struct comparison *c);

#endif
