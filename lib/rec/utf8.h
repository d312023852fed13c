/* utf8.h - one character at a time, for the scanners of this folder. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>

/* Length of the well-formed sequence that begins at p (p < end), or 0 where there is none. */
size_t utf8_length(const unsigned char *p, const unsigned char *end);
/* Offset of the first byte that is not part of well-formed UTF-8; n where all is well. */
size_t utf8_valid_to(const char *p, size_t n);
/* n, less what has been begun of a character at the end of a text that was cut at n. */
size_t utf8_cut(const char *p, size_t n);

/* The same for a text of UTF8_BLOCK bytes or more, in blocks.  1: well-formed; 0: not; -1: this
 * CPU has no instructions for it. */
enum { UTF8_BLOCK = 32 };
int utf8_check_blocks(const char *p, size_t n);

#endif
