/* mask.h - which tokens of a conversation a training loss sees.
 *
 * The target is the last turn, the assistant's: from the first token behind what the template
 * writes for it to speak (mask_start.c), up to and with the token that ends its turn.  Where
 * the template has {% generation %} the blocks of the last turn say it instead.
 */
#ifndef MASK_H
#define MASK_H

#include "text/chat.h"
#include "text/tokenizer.h"

/* {0} is a good start; loss[i] is 1 where predicting tokens.v[i] counts, and loss[0] is 0. */
struct mask {
    struct ids tokens;
    uint8_t *loss;
    size_t cap;
};
void mask_release(struct mask *m);

/* For messages whose last turn is the assistant's; raw JSON as in chat_render().  EXIT_DATA:
 * they end otherwise; the template refuses them, or neither begins the whole conversation with
 * the prompt for its last turn nor writes that turn's content. */
int mask_chat(const struct chat *c, const struct tokenizer *t, struct tokenizer_work *w,
              struct str messages, struct str tools, struct str kwargs, struct mask *out,
              struct err *e) MUST_CHECK;

/* For a prompt (raw: as in prompt_encode()) and what stands behind it, with `end` where
 * end >= 0. */
int mask_completion(const struct tokenizer *t, struct tokenizer_work *w, struct str prompt,
                    bool raw, struct str completion, int32_t end, struct mask *out,
                    struct err *e) MUST_CHECK;

#endif
