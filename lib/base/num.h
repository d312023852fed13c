/* num.h - numbers to text, the shortest that reads back the same. */
#ifndef NUM_H
#define NUM_H

#include "base/buf.h"

/* Shortest decimal that strtod (strtof) reads back to the same value, valid in JSON; "null" for
 * infinities and NaN. */
void num_put_double(struct buf *b, double x);
void num_put_float(struct buf *b, float x);

#endif
