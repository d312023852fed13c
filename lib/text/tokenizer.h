/* tokenizer.h - text to token ids and back, exactly as Hugging Face's tokenizers library.
 *
 * Source of behaviour: tokenizer.json of the model directory (tokenizers 0.23).
 */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

/* A growing list of ids; {0} is an empty one. */
struct ids {
    int32_t *v;
    size_t n, cap;
};
void ids_add(struct ids *l, int32_t id);
void ids_append(struct ids *l, const int32_t *v, size_t n);
void ids_release(struct ids *l);

struct tokenizer;

/* Loads dir/tokenizer.json.  NULL with EXIT_CONFIG when it is damaged, or needs what is not
 * supported (named); EXIT_NOINPUT when there is none.  The tokenizer is read-only after load
 * and may be used by several threads, each with its own tokenizer_work. */
struct tokenizer *tokenizer_load(const char *dir, struct err *e);
void tokenizer_free(struct tokenizer *t);

/* Scratch memory and caches of one thread. */
struct tokenizer_work;
struct tokenizer_work *tokenizer_work_new(const struct tokenizer *t);
void tokenizer_work_free(struct tokenizer_work *w);

/* Appends the ids of UTF-8 text.  special: add what the post-processor adds (BOS, EOS). Special
 * tokens that stand in the text are recognised either way, as the reference does.
 * EXIT_DATA when a pattern runs into its limits. */
int tokenizer_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                     bool special, struct ids *out, struct err *e) MUST_CHECK;

/* Appends the text of ids; broken UTF-8 becomes U+FFFD, ids out of range give nothing.
 * skip_special: leave special tokens out. */
void tokenizer_decode(const struct tokenizer *t, struct tokenizer_work *w, const int32_t *ids,
                      size_t n, bool skip_special, struct buf *out);

/* The id of a token by its content, -1 when there is none. */
int32_t tokenizer_id(const struct tokenizer *t, struct str token);
/* The raw content of an id (n = 0 when out of range); borrowed. */
struct str tokenizer_token(const struct tokenizer *t, int32_t id);
/* True for added tokens marked special. */
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);
/* True for added tokens, special or not: those that are found whole in a text. */
bool tokenizer_is_added(const struct tokenizer *t, int32_t id);
/* False where a token's part of a text depends on the tokens beside it (WordPiece and others).
 */
bool tokenizer_has_bytes(const struct tokenizer *t);
/* Appends the bytes that an id stands for inside a text; false, and nothing, for an added token
 * and where there is no such id.  tokenizer_has_bytes() must hold. */
bool tokenizer_bytes(const struct tokenizer *t, int32_t id, struct buf *out);
/* True where a space that a decoded text would begin with is left out. */
bool tokenizer_strips_first(const struct tokenizer *t);
/* Largest id + 1. */
int32_t tokenizer_size(const struct tokenizer *t);
/* The id that the post-processor puts first, -1 when it puts none. */
int32_t tokenizer_bos(const struct tokenizer *t);

#endif
