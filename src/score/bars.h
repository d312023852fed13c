/* bars.h - figures that a run must reach: --min f1=0.6. */
#ifndef SCORE_BARS_H
#define SCORE_BARS_H

#include "base/args.h"
#include "base/buf.h"

/* Ends the process where an item is not FIGURE=NUMBER. */
void bars_check(const struct arg_list *bars, const char *option);
/* Names on stderr each figure of the JSON object that is below its bar (above: above it), or
 * not defined, and returns how many there are.  FIGURE is a short name (score(1)) or a dotted
 * path into the object; ends the process where it is neither. */
size_t bars_missed(struct str json, const struct arg_list *bars, bool above);

#endif
