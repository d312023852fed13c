/* prompt.h - from a prompt's text, and the labels behind it, to the tokens that the model gets.
 */
#ifndef PROMPT_H
#define PROMPT_H

#include "text/tokenizer.h"

/* Appends the ids of a prompt.  raw: the text comes from a user, not from a chat template, and
 * gets what the tokenizer puts around a text (BOS), unless it begins with BOS already. */
int prompt_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                  bool raw, struct ids *out, struct err *e) MUST_CHECK;

/* What is scored of n labels behind a prompt.  Each label is encoded with the prompt before it,
 * since tokens may reach across the seam.  `prompt` brings the ids of prompt_encode() and gets
 * those that all labels begin with; ids[i] gets what follows in label i, with `end` behind it
 * where end >= 0.  text.p NULL: the prompt came as ids, and labels are encoded by themselves.
 * At least one token of each label is scored; EXIT_DATA where it has none. */
int labels_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                  bool raw, const struct str *labels, size_t n, int32_t end, struct ids *prompt,
                  struct ids *ids, struct err *e) MUST_CHECK;

#endif
