/* channels.h - the parts of a reasoning model's answer: thought, and the answer itself.
 *
 * They are told apart by the ids of the tokens that mark them, never by text:
 *   harmony   <|start|>assistant<|channel|>analysis<|message|>…<|end|>
 *             <|start|>assistant<|channel|>final<|message|>…<|return|>
 *   tags      <think>…</think>, where each tag is one added token, and others of that form
 * Which of them a model has is told by its tokenizer; how the final channel begins by its chat
 * template.
 */
#ifndef CHANNELS_H
#define CHANNELS_H

#include "text/chat.h"
#include "text/tokenizer.h"

struct channels;

enum channels_kind { CHANNELS_NONE, CHANNELS_TAGS, CHANNELS_HARMONY };

/* chat: NULL where the model has no template.  t and chat must live as long. */
struct channels *channels_new(const struct tokenizer *t, const struct chat *chat);
void channels_free(struct channels *c);
enum channels_kind channels_kind(const struct channels *c);

/* Ids that end an answer whatever the model's files say: harmony's <|return|> and <|call|>. */
enum { CHANNELS_STOPS_MAX = 2 };
size_t channels_stops(const struct channels *c, int32_t ids[CHANNELS_STOPS_MAX]);

/* A prompt that ends as the template ends one gets the header of the final channel: what the
 * model writes next is its answer.  Any other prompt, and that of a model without channels,
 * stays as it is.  True where it now ends with that header. */
bool channels_force(const struct channels *c, struct buf *prompt);
bool channels_force_ids(const struct channels *c, struct ids *prompt);

/* {0} is a good start; both texts are cleared first. */
struct channels_answer {
    bool found; /* prompt or answer stands in channels; else all of it is `text` */
    struct buf text, reasoning;
};
/* Splits what was generated behind a prompt; an end token is left out of ids.  The line ends
 * beside tags belong to them.  Parts of one kind are joined by a line end; one that is
 * addressed to a tool begins with "to=NAME ".  found without any text: there is no final
 * channel, or nothing in it. */
void channels_split(const struct channels *c, struct tokenizer_work *w, const int32_t *prompt,
                    size_t n_prompt, const int32_t *ids, size_t n, struct channels_answer *out);
void channels_answer_release(struct channels_answer *a);

/* ---- while an answer is made -------------------------------------------------------- */

/* Where an answer stands, id by id. */
struct channels_watch {
    const struct channels *c;
    struct tokenizer_work *work;
    enum { WATCH_PLAIN, WATCH_HEADER, WATCH_BODY, WATCH_BETWEEN } place;
    bool final, in_name;
    bool begins; /* nothing was said yet, and thinking has not begun */
    struct ids name;
};
void channels_watch_begin(struct channels_watch *w, const struct channels *c,
                          struct tokenizer_work *work, const int32_t *prompt, size_t n);
void channels_watch_take(struct channels_watch *w, int32_t id);
/* True where the next token, if it is no marker, is part of the answer's text. */
bool channels_watch_text(const struct channels_watch *w);
/* The marker that may come first, to begin a thought instead; -1: none. */
int32_t channels_watch_opener(const struct channels_watch *w);
void channels_watch_release(struct channels_watch *w);

#endif
