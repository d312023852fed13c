/* source.c - the model directory, as far as records need it. */
#include "train-step/source.h"

#include "base/file.h"
#include "base/hash.h"
#include "ckpt/document.h"
#include "model/model.h"

#include <stdlib.h>

enum { CONFIG_MAX = 1 << 24 };

/* A whole number of the configuration. */
static int32_t number(const json_t *config, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(config, name));
    return v > 0 && v < INT32_MAX ? (int32_t)v : 0;
}

static int32_t first_eos(const json_t *config)
{
    const json_t *v = json_object_get(config, "eos_token_id");
    if (json_is_array(v))
        v = json_array_get(v, 0);
    return json_is_integer(v) && json_integer_value(v) < INT32_MAX
               ? (int32_t)json_integer_value(v)
               : -1;
}

static int read_config(struct source *s, const char *path, struct err *e)
{
    struct buf b = {0};
    if (!(s->config = document_read(path, e)) || file_read(&b, path, CONFIG_MAX, e) < 0)
        return -1;
    s->model = hash_bytes(HASH_SEED, b.p, b.n);
    s->eos = first_eos(s->config);
    buf_release(&b);
    return 0;
}

static int read_model(struct source *s, const char *dir, struct err *e)
{
    struct model_eos eos;
    if (!(s->ckpt = ckpt_open(dir, e)) || model_eos(s->ckpt, &eos, e) < 0)
        return -1;
    s->model = ckpt_hash(s->ckpt);
    s->eos = eos.n ? eos.ids[0] : -1;
    return 0;
}

int source_open(struct source *s, const struct options *o, struct err *e)
{
    *s = (struct source){.eos = -1};
    if (o->init ? read_config(s, o->init, e) < 0 : read_model(s, o->model, e) < 0)
        return -1;
    const json_t *config = o->init ? s->config : ckpt_config(s->ckpt);
    s->vocab = number(config, "vocab_size");
    s->context = number(config, "max_position_embeddings");
    if (o->context && s->context && o->context > s->context)
        return err_set(e, EXIT_USAGE, "--context: the model's is %d", (int)s->context);
    if (o->context)
        s->context = (int32_t)o->context;
    if (!s->vocab || !s->context)
        return err_set(e, EXIT_CONFIG, "%s: config.json has no %s",
                       o->init ? o->init : o->model,
                       s->vocab ? "max_position_embeddings; give --context N" : "vocab_size");
    return 0;
}

void source_close(struct source *s)
{
    if (s->ckpt)
        ckpt_close(s->ckpt);
    json_decref(s->config);
    *s = (struct source){0};
}
