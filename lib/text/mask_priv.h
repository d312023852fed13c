/* mask_priv.h - between the two files of the mask. */
#ifndef MASK_PRIV_H
#define MASK_PRIV_H

#include "text/chat.h"

/* Where in the text of a whole conversation begins what the model is to add for its last turn;
 * `before` are the messages before that turn (raw JSON). */
int mask_find_start(const struct chat *c, struct str before, struct str text, struct str tools,
                    struct str kwargs, size_t *from, struct err *e) MUST_CHECK;

#endif
