/* params.h - generation parameters: a record's before flags, flags before the model's. */
#ifndef PARAMS_H
#define PARAMS_H

#include "base/buf.h"
#include "base/error.h"
#include "ckpt/ckpt.h"
#include "text/chat.h"
#include "text/tokenizer.h"

struct options;
struct sample_bias;

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

struct texts {
    struct buf *v;
    size_t n, cap;
};

struct biases {
    struct sample_bias *v;
    size_t n, cap;
};

/* What an answer must look like. */
struct shape {
    enum { SHAPE_FREE, SHAPE_OBJECT, SHAPE_SCHEMA, SHAPE_REGEX, SHAPE_CHOICES } kind;
    struct buf text; /* the schema, the regular expression, or a JSON array of texts */
};

/* What parameters point into. */
struct param_lists {
    struct labels labels;
    struct texts stop;
    struct ids stop_ids;
    struct biases bias;
    struct shape shape;
};
void param_lists_free(struct param_lists *l);

enum { SAMPLES_MAX = 128, STOPS_MAX = 64 };

struct params {
    int64_t max_tokens, top_k, seed, n, top_logprobs;
    double temperature, top_p, min_p;
    double repetition_penalty, frequency_penalty, presence_penalty;
    bool ignore_eos, return_tokens, logprobs, prompt_logprobs;
    enum chat_reasoning reasoning;
    const struct labels *labels; /* NULL: generate */
    const struct texts *stop;    /* these and those below: NULL for none */
    const struct ids *stop_ids;
    const struct biases *bias;
    const struct shape *shape;
};

/* Which known parameters were asked for and cannot be honoured: told once each. */
struct params_told {
    uint64_t mask;
};

/* What a generation_config.json says, over *p. */
void params_of_model(struct params *p, const json_t *generation);

/* Flags over the model's generation_config (may be NULL) over our defaults; lists are kept in
 * *own.  Ends the process where they are wrong. */
struct params params_defaults(const struct options *o, const json_t *generation,
                              struct param_lists *own);

/* Puts a record's "params" (raw JSON) over *p.  Lists are kept in *own, to be freed by the
 * caller in any case.  -1: *type is the error record's, e says what is wrong. */
int params_read(struct params *p, struct param_lists *own, struct str json,
                struct params_told *told, const char **type, struct err *e) MUST_CHECK;

/* ---- param_lists.c ---- */

int labels_read(struct labels *l, struct str json, struct err *e) MUST_CHECK;
/* A text or an array of texts, none of them empty. */
int texts_read(struct texts *t, struct str json, struct err *e) MUST_CHECK;
int stop_ids_read(struct ids *ids, struct str json, struct err *e) MUST_CHECK;
int biases_read(struct biases *b, struct str json, struct err *e) MUST_CHECK;
/* response_format as in the OpenAI API. */
int shape_read_format(struct shape *s, struct str json, struct err *e) MUST_CHECK;
/* The same of one kind: a schema, a text, an array of texts. */
int shape_read(struct shape *s, int kind, struct str json, struct err *e) MUST_CHECK;

#endif
