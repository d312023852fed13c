/* mask_show.h - the tokens that a training loss would see, as JSON or for the eye. */
#ifndef MASK_SHOW_H
#define MASK_SHOW_H

#include "text/mask.h"

/* Appends {"tokens":[…],"loss":[…]}. */
void show_json(struct buf *out, const struct mask *m);

/* Appends a head line and the text, what the loss sees in colour, or between [[ and ]]. */
void show_text(struct buf *out, const struct mask *m, const struct tokenizer *t,
               struct tokenizer_work *w, bool colour, const char *file, uint64_t number);

/* True where a terminal reads standard output; *colour: and colours are welcome. */
bool show_is_terminal(bool *colour);

#endif
