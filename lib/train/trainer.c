/* trainer.c - a trainer's life, its state and what it tells of itself. */
#include "train/train.h"

#include <jansson.h>
#include <stdlib.h>

/* ---- opening ------------------------------------------------------------------ */

static struct trainer *start(struct dev *d, const struct trainer_options *o, struct err *e)
{
    if (!d->ops->train) {
        err_set(e, EXIT_DEVICE, "device %s cannot train in this build", d->ops->name);
        return NULL;
    }
    if (o->tokens < 1 || (o->dtype != DT_F32 && o->dtype != DT_BF16))
        BUG("trainer_options");
    struct trainer *t = xcalloc(1, sizeof *t);
    t->d = d;
    t->ops = d->ops;
    t->top = d->ops->train;
    t->o = *o;
    t->o.lora = NULL;
    t->full = !o->lora;
    t->embed_at = t->head_at = t->lookup_at = t->final_norm_at = -1;
    return t;
}

/* A model of this configuration without any weights yet. */
static int make_model(struct trainer *t, const json_t *config, struct err *e)
{
    struct dev_info info;
    struct model *m = xcalloc(1, sizeof *m);
    t->m = m;
    m->dev = t->d;
    m->config.dtype = t->o.dtype;
    t->ops->info(t->d, &info);
    if (spec_read(&m->spec, config, e) < 0)
        return -1;
    /* As the decoder: a rounded activation may choose another expert. */
    m->act = info.bf16 && !m->spec.experts ? t->o.dtype : DT_F32;
    return 0;
}

static void make_room(struct trainer *t)
{
    const struct spec *s = &t->m->spec;
    int32_t context = s->context;
    t->layer = xcalloc((size_t)s->layers, sizeof *t->layer);
    t->bucket = xcalloc((size_t)s->layers + 4, sizeof *t->bucket);
    t->positions = t->o.tokens < context ? t->o.tokens : context;
}

static int finish(struct trainer *t, struct err *e)
{
    if (params_allocate(t, e) < 0)
        return -1;
    return buffers_allocate(t, e);
}

static int open_full(struct trainer *t, const json_t *config, struct err *e)
{
    if (make_model(t, config, e) < 0)
        return -1;
    make_room(t);
    if (params_full(t, e) < 0 || finish(t, e) < 0)
        return -1;
    t->embed = t->m->embed;
    t->head = t->m->head;
    return 0;
}

static int open_lora(struct trainer *t, const struct ckpt *c, const struct train_lora *l,
                     struct err *e)
{
    const struct model_config one = {t->o.dtype, 1, 1, 1, 0};
    t->m = model_open(t->d, c, &one, e);
    if (!t->m)
        return -1;
    t->bytes += t->m->info.weight_bytes;
    make_room(t);
    if (params_lora(t, l, e) < 0 || finish(t, e) < 0)
        return -1;
    if (!t->embed)
        t->embed = t->m->embed;
    if (!t->head)
        t->head = t->m->head;
    return 0;
}

struct trainer *trainer_open(struct dev *d, const struct ckpt *c,
                             const struct trainer_options *o, struct err *e)
{
    struct trainer *t = start(d, o, e);
    int rc = t ? 0 : -1;
    if (rc == 0)
        rc = o->lora ? open_lora(t, c, o->lora, e) : open_full(t, ckpt_config(c), e);
    if (rc == 0)
        rc = o->lora ? fill_random(t, 0, e) : 0;
    if (rc == 0 && fill_from(t, c, e) == 0)
        return t;
    trainer_close(t);
    return NULL;
}

struct trainer *trainer_init(struct dev *d, const json_t *config,
                             const struct trainer_options *o, struct err *e)
{
    const json_t *range = json_object_get(config, "initializer_range");
    if (o->lora)
        BUG("an adapter without a model");
    struct trainer *t = start(d, o, e);
    double r = json_is_number(range) ? json_number_value(range) : 0.02;
    if (t && open_full(t, config, e) == 0 && fill_random(t, r, e) == 0)
        return t;
    trainer_close(t);
    return NULL;
}

/* Vectors that stand in the flat buffer are not the model's to give back. */
static void forget_vectors(struct trainer *t)
{
    struct model *m = t->m;
    m->final_norm = NULL;
    for (int32_t i = 0; m->layer && i < m->spec.layers; i++) {
        struct layer *y = &m->layer[i];
        y->qkv_bias = y->o_bias = y->router_bias = y->gate_up_bias = y->down_bias = NULL;
        y->sinks = y->q_norm = y->k_norm = NULL;
        for (int p = 0; p < NORM_PLACES; p++)
            y->norm[p] = NULL;
    }
}

static void close_model(struct trainer *t)
{
    if (!t->m)
        return;
    buffers_release(t);
    lora_modules_release(t);
    if (t->full)
        forget_vectors(t);
    if (t->embed != t->m->embed)
        t->ops->weight_free(t->d, t->embed);
    if (t->head != t->m->head)
        t->ops->weight_free(t->d, t->head);
    model_close(t->m);
}

void trainer_close(struct trainer *t)
{
    if (!t)
        return;
    close_model(t);
    for (int i = 0; i < TRAIN_FLATS; i++)
        t->ops->free(t->d, t->flat[i]);
    for (int i = 1; i < SLOTS; i++)
        t->ops->free(t->d, t->slot[i]);
    for (size_t i = 0; i < t->n_params; i++)
        free((char *)(uintptr_t)t->param[i].t.name);
    free(t->param);
    free(t->tensors);
    free(t->bucket);
    free(t->layer);
    free(t->lora_text);
    free(t);
}

/* ---- what it tells --------------------------------------------------------------- */

void trainer_info(const struct trainer *t, struct trainer_info *out)
{
    *out = (struct trainer_info){.type = t->m->spec.type,
                                 .vocab = t->m->spec.vocab,
                                 .context = t->m->spec.context,
                                 .params = t->m->info.params,
                                 .floats = t->floats,
                                 .gradient = t->gradient,
                                 .bytes = t->bytes};
    for (size_t i = 0; i < t->n_params; i++)
        out->trainable += t->param[i].t.n;
    if (t->full)
        out->params = out->trainable;
}

float *trainer_flat(struct trainer *t, enum train_flat which)
{
    return t->flat[which];
}

const struct train_bucket *trainer_buckets(const struct trainer *t, int *n)
{
    *n = t->n_buckets;
    return t->bucket;
}

const struct train_tensor *trainer_tensors(const struct trainer *t, size_t *n)
{
    *n = t->n_params;
    return t->tensors;
}

int64_t trainer_step(const struct trainer *t)
{
    return t->step;
}

void trainer_set_step(struct trainer *t, int64_t step)
{
    t->step = step;
}

/* ---- copies ------------------------------------------------------------------------ */

static void check_range(const struct trainer *t, enum train_flat which, int64_t at, int64_t n)
{
    int64_t end = which == TRAIN_GRADIENT ? t->gradient : t->floats;
    if (at < 0 || n < 0 || at > end - n)
        BUG("floats %lld + %lld", (long long)at, (long long)n);
}

int trainer_read(struct trainer *t, enum train_flat which, int64_t at, int64_t n, float *to,
                 struct err *e)
{
    check_range(t, which, at, n);
    t->ops->download(t->d, to, t->flat[which] + at, n * (int64_t)sizeof *to);
    return t->ops->sync(t->d, e);
}

int trainer_write(struct trainer *t, enum train_flat which, int64_t at, int64_t n,
                  const float *from, struct err *e)
{
    check_range(t, which, at, n);
    t->ops->upload(t->d, t->flat[which] + at, from, n * (int64_t)sizeof *from);
    return t->ops->sync(t->d, e);
}

/* Element i of a tensor as the file counts, where the buffers keep it. */
static int64_t kept_at(const struct param *p, int64_t i)
{
    int64_t expert = i % p->experts, rank = i / p->experts % p->cols;
    int64_t row = i / p->experts / p->cols;
    return (expert * p->rows + row) * p->cols + rank;
}

/* The two parts of a tied gradient are added up. */
static int add_lookup(struct trainer *t, const struct param *p, float *to, struct err *e)
{
    float *other = xmalloc_n((size_t)p->t.n, sizeof *other);
    int rc = trainer_read(t, TRAIN_GRADIENT, t->lookup_at, p->t.n, other, e);
    for (int64_t i = 0; i < p->t.n && rc == 0; i++)
        to[i] += other[i];
    free(other);
    return rc;
}

int trainer_export(struct trainer *t, enum train_flat which, size_t i, float *to, struct err *e)
{
    const struct param *p = &t->param[i];
    if (trainer_read(t, which, p->t.at, p->t.n, to, e) < 0)
        return -1;
    if (which == TRAIN_GRADIENT && t->lookup_at >= 0 && p->t.at == t->head_at)
        return add_lookup(t, p, to, e);
    if (!p->by_rank)
        return 0;
    float *kept = xmalloc_n((size_t)p->t.n, sizeof *kept);
    for (int64_t k = 0; k < p->t.n; k++)
        kept[k] = to[k];
    for (int64_t k = 0; k < p->t.n; k++)
        to[k] = kept[kept_at(p, k)];
    free(kept);
    return 0;
}

int trainer_import(struct trainer *t, enum train_flat which, size_t i, const float *from,
                   struct err *e)
{
    const struct param *p = &t->param[i];
    if (!p->by_rank)
        return trainer_write(t, which, p->t.at, p->t.n, from, e);
    float *kept = xmalloc_n((size_t)p->t.n, sizeof *kept);
    for (int64_t k = 0; k < p->t.n; k++)
        kept[kept_at(p, k)] = from[k];
    int rc = trainer_write(t, which, p->t.at, p->t.n, kept, e);
    free(kept);
    return rc;
}
