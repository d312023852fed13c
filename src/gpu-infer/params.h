/* params.h - generation parameters: a record's before flags, flags before the model's. */
#ifndef PARAMS_H
#define PARAMS_H

#include "base/buf.h"
#include "base/error.h"
#include "ckpt/ckpt.h"
#include "text/chat.h"
#include "text/tokenizer.h"

struct options;

/* One choice: a text, or token ids that are scored exactly as given. */
struct label {
    struct buf json; /* as the user wrote it */
    struct buf text; /* decoded; of a text only */
    struct ids ids;  /* of token ids only */
    bool is_text;
};

struct labels {
    struct label *v;
    size_t n;
};
void labels_free(struct labels *l);

struct params {
    int64_t max_tokens, top_k, seed;
    double temperature, top_p;
    bool ignore_eos, return_tokens, logprobs, prompt_logprobs;
    enum chat_reasoning reasoning;
    const struct labels *labels; /* NULL: generate */
};

/* Which known parameters were asked for and cannot be honoured: told once each. */
struct params_told {
    uint64_t mask;
};

/* What a generation_config.json says, over *p. */
void params_of_model(struct params *p, const json_t *generation);

/* Flags over the model's generation_config (may be NULL) over our defaults; --choices are kept
 * in *labels.  Ends the process where they are wrong. */
struct params params_defaults(const struct options *o, const json_t *generation,
                              struct labels *labels);

/* Puts a record's "params" (raw JSON) over *p.  Choices are kept in *own, to be freed by the
 * caller in any case.  -1: *type is the error record's, e says what is wrong. */
int params_read(struct params *p, struct labels *own, struct str json, struct params_told *told,
                const char **type, struct err *e) MUST_CHECK;

#endif
