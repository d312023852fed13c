/* num.c - numbers to text, the shortest that reads back the same. */
#include "base/num.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void num_put_double(struct buf *b, double x)
{
    char s[40];
    if (!isfinite(x)) {
        buf_puts(b, "null");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, x);
        if (strtod(s, NULL) == x)
            break;
    }
    buf_puts(b, s);
}

void num_put_float(struct buf *b, float x)
{
    char s[40];
    if (!isfinite(x)) {
        buf_puts(b, "null");
        return;
    }
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, (double)x);
        if (strtof(s, NULL) == x)
            break;
    }
    buf_puts(b, s);
}
