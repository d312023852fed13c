/* wording.h - a record's text as tokens, and which of them are learned. */
#ifndef WORDING_H
#define WORDING_H

#include "rec/rec.h"
#include "text/chat.h"
#include "text/mask.h"

/* The model's tokenizer and template. */
struct wording {
    struct tokenizer *tokenizer;
    struct tokenizer_work *work;
    struct chat *chat; /* NULL: the model has none; records are prompts with completions then */
    int32_t end;       /* the token behind a completion, -1: none */
    int32_t context;   /* most tokens of a record */
    int32_t vocab;
    struct buf text, kwargs, messages; /* scratch */
};

/* eos: what ends an answer where the template does not say it; -1: nothing.  EXIT_CONFIG,
 * EXIT_NOINPUT. */
int wording_open(struct wording *w, const char *dir, const struct chat_options *o, int32_t eos,
                 struct err *e) MUST_CHECK;
void wording_close(struct wording *w);

/* A record's `messages`, or `prompt` and `completion`, whichever stand last.  label, where not
 * NULL: the answer instead of the record's own.  -1 with EXIT_DATA and *type for an error
 * record: a token is missing or cut off, or a text would be dropped. */
int wording_read(struct wording *w, const struct rec *rec, const struct str *label,
                 struct mask *out, const char **type, struct err *e) MUST_CHECK;
/* The record's own answer as text, into out (cleared first); false where it is none. */
bool wording_answer(const struct rec *rec, struct buf *out);

#endif
