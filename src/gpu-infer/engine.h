/* engine.h - everything that answers records: template, tokenizer, device, model. */
#ifndef ENGINE_H
#define ENGINE_H

#include "gpu-infer/adapters.h"
#include "gpu-infer/options.h"
#include "gpu-infer/params.h"
#include "infer/infer.h"
#include "text/channels.h"
#include "text/tokenizer.h"

struct engine {
    struct ckpt *ckpt;
    struct adapters adapters;
    struct chat *chat;           /* NULL: the model has no chat template */
    struct tokenizer *tokenizer; /* NULL: the model has none */
    struct channels *channels;   /* NULL: no tokenizer */
    struct model_eos eos;
    int32_t choices_end;      /* the token behind a label that is a text, -1: none */
    struct param_lists lists; /* of flags */
    struct params defaults;

    struct dev *dev;
    struct dev_info device;
    enum dtype dtype;
    struct model *model;
    struct model_info info;
    struct infer *infer;
};

/* Everything but the weights, so that what is wrong is told before they are loaded.  date: the
 * date that an earlier call of this run had, or NULL. */
int engine_open(struct engine *g, const struct options *o, const char *date,
                struct err *e) MUST_CHECK;
/* The weights, and the memory for keys and values. */
int engine_load(struct engine *g, const struct options *o, struct err *e) MUST_CHECK;
void engine_close(struct engine *g);

#endif
