/* load.c - a model's weights, layer by layer, every tensor of the checkpoint accounted for. */
#include "model/tensors.h"

#include <stdlib.h>

static int load_norms(struct loader *l, struct layer *y, int32_t i)
{
    const struct spec *s = &l->m->spec;
    const struct names *n = &s->names;
    for (int p = 0; p < NORM_PLACES; p++)
        if (n->norm[p] &&
            load_vector(l, &y->norm[p], i, &(struct part){n->norm[p], s->width}, 1, ".weight"))
            return -1;
    int64_t q = s->head_dim, k = s->head_dim;
    if (s->qk_norm_whole) {
        q *= s->heads;
        k *= s->kv_heads;
    }
    if (!n->q_norm)
        return 0;
    if (load_vector(l, &y->q_norm, i, &(struct part){n->q_norm, q}, 1, ".weight") < 0)
        return -1;
    return load_vector(l, &y->k_norm, i, &(struct part){n->k_norm, k}, 1, ".weight");
}

static int load_dense(struct loader *l, struct layer *y, int32_t i)
{
    const struct spec *s = &l->m->spec;
    const struct names *n = &s->names;
    const struct part apart[] = {{n->gate, s->ffn}, {n->up, s->ffn}};
    const struct part fused = {n->gate_up, 2 * (int64_t)s->ffn}, down = {n->down, s->width};
    if (load_linear(l, &y->gate_up, &y->gate_up_bias, s->gate_up_bias, i,
                    n->gate_up ? &fused : apart, n->gate_up ? 1 : 2, s->width) < 0)
        return -1;
    return load_linear(l, &y->down, &y->down_bias, s->down_bias, i, &down, 1, s->ffn);
}

/* The experts' products, by the way that they are stored. */
static int load_expert_weights(struct loader *l, struct layer *y, int32_t i)
{
    const struct spec *s = &l->m->spec;
    const struct names *n = &s->names;
    int32_t E = s->experts;
    const struct part apart[] = {{n->expert_gate, s->expert_ffn},
                                 {n->expert_up, s->expert_ffn}};
    const struct part gate_up = {n->expert_gate_up, 2 * (int64_t)s->expert_ffn};
    const struct part down = {n->expert_down, s->width};
    switch (s->expert_storage) {
    case EXPERTS_APART:
        if (load_experts_apart(l, &y->gate_up, i, E, n->experts, apart, 2, s->width) < 0)
            return -1;
        return load_experts_apart(l, &y->down, i, E, n->experts, &down, 1, s->expert_ffn);
    case EXPERTS_COLUMNS:
        if (load_experts_columns(l, &y->gate_up, i, E, &gate_up, s->width) < 0)
            return -1;
        return load_experts_columns(l, &y->down, i, E, &down, s->expert_ffn);
    case EXPERTS_MXFP4:
        if (load_experts_mxfp4(l, &y->gate_up, i, E, &gate_up, s->width) < 0)
            return -1;
        return load_experts_mxfp4(l, &y->down, i, E, &down, s->expert_ffn);
    }
    BUG("experts stored in way %d", (int)s->expert_storage);
}

static int load_sparse(struct loader *l, struct layer *y, int32_t i)
{
    const struct spec *s = &l->m->spec;
    const struct part router = {s->names.router, s->experts};
    const struct part gate_up = {s->names.expert_gate_up, 2 * (int64_t)s->expert_ffn};
    const struct part down = {s->names.expert_down, s->width};
    if (load_linear(l, &y->router, &y->router_bias, s->router_bias, i, &router, 1, s->width) <
        0)
        return -1;
    if (load_expert_weights(l, y, i) < 0)
        return -1;
    if (!s->expert_bias)
        return 0;
    if (load_expert_bias(l, &y->gate_up_bias, i, s->experts, &gate_up, "_bias") < 0)
        return -1;
    return load_expert_bias(l, &y->down_bias, i, s->experts, &down, "_bias");
}

static int load_layer(struct loader *l, struct layer *y, int32_t i)
{
    const struct spec *s = &l->m->spec;
    const struct names *n = &s->names;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    const struct part apart[] = {{n->q, q}, {n->k, kv}, {n->v, kv}};
    const struct part fused = {n->qkv, q + 2 * kv};
    const struct part o = {n->o, s->width}, sinks = {n->sinks, s->heads};
    if (load_norms(l, y, i) < 0)
        return -1;
    if (load_linear(l, &y->qkv, &y->qkv_bias, s->qkv_bias, i, n->qkv ? &fused : apart,
                    n->qkv ? 1 : 3, s->width) < 0 ||
        load_linear(l, &y->o, &y->o_bias, s->o_bias, i, &o, 1, q) < 0)
        return -1;
    if (n->sinks && load_vector(l, &y->sinks, i, &sinks, 1, "") < 0)
        return -1;
    return s->layer[i].sparse ? load_sparse(l, y, i) : load_dense(l, y, i);
}

/* A tied model may have its head stored once more; anything but the same bytes is refused. */
static int check_tied(struct loader *l)
{
    const struct names *n = &l->m->spec.names;
    const struct ckpt_tensor *head = tensor_find(l, tensor_name(l, -1, n->head, ".weight"));
    const struct ckpt_tensor *embed = tensor_find(l, tensor_name(l, -1, n->embed, ".weight"));
    if (!head || (head->dtype == embed->dtype && head->bytes == embed->bytes &&
                  !memcmp(head->data, embed->data, (size_t)head->bytes)))
        return 0;
    return err_set(l->e, EXIT_CONFIG,
                   "tensor \"%s\" differs from \"%s\", though tie_word_embeddings is true",
                   head->name, embed->name);
}

/* Tables that old checkpoints hold and that are computed here. */
static bool computed_here(const char *name)
{
    static const char tail[] = ".rotary_emb.inv_freq";
    size_t n = strlen(name);
    return n >= sizeof tail && !strcmp(name + n - (sizeof tail - 1), tail);
}

static int check_surplus(struct loader *l)
{
    const char *first = NULL;
    size_t more = 0;
    for (size_t i = 0; i < ckpt_count(l->c); i++) {
        if (l->used[i] || computed_here(ckpt_at(l->c, i)->name))
            continue;
        if (first)
            more++;
        else
            first = ckpt_at(l->c, i)->name;
    }
    if (!first)
        return 0;
    return err_set(l->e, EXIT_CONFIG,
                   "tensor \"%s\" is not one of a %s with this config.json (and %zu more)",
                   first, l->m->spec.type, more);
}

static int load_all(struct loader *l)
{
    struct model *m = l->m;
    const struct spec *s = &m->spec;
    const struct part embed = {s->names.embed, s->vocab}, head = {s->names.head, s->vocab};
    if (load_matrix(l, &m->embed, -1, &embed, 1, s->width) < 0)
        return -1;
    for (int32_t i = 0; i < s->layers; i++)
        if (load_layer(l, &m->layer[i], i) < 0)
            return -1;
    if (load_vector(l, &m->final_norm, -1, &(struct part){s->names.final_norm, s->width}, 1,
                    ".weight") < 0)
        return -1;
    if (s->tied) {
        m->head = m->embed;
        if (check_tied(l) < 0)
            return -1;
    } else if (load_matrix(l, &m->head, -1, &head, 1, s->width) < 0) {
        return -1;
    }
    return check_surplus(l) < 0 ? -1 : m->dev->ops->sync(m->dev, l->e);
}

int load_weights(struct model *m, const struct ckpt *c, struct err *e)
{
    struct loader l = {.m = m, .c = c, .e = e, .used = xcalloc(ckpt_count(c), sizeof(bool))};
    m->layer = xcalloc((size_t)m->spec.layers, sizeof *m->layer);
    int rc = load_all(&l);
    buf_release(&l.name);
    free(l.used);
    return rc;
}

static void free_layer(struct dev *d, struct layer *y)
{
    struct weight *const weights[] = {y->qkv, y->o, y->gate_up, y->down, y->router};
    float *const vectors[] = {y->qkv_bias, y->o_bias, y->gate_up_bias, y->down_bias,
                              y->q_norm,   y->k_norm, y->router_bias,  y->sinks};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        d->ops->weight_free(d, weights[i]);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        d->ops->free(d, vectors[i]);
    for (int p = 0; p < NORM_PLACES; p++)
        d->ops->free(d, y->norm[p]);
}

void free_weights(struct model *m)
{
    for (int32_t i = 0; m->layer && i < m->spec.layers; i++)
        free_layer(m->dev, &m->layer[i]);
    free(m->layer);
    if (m->head != m->embed)
        m->dev->ops->weight_free(m->dev, m->head);
    m->dev->ops->weight_free(m->dev, m->embed);
    m->dev->ops->free(m->dev, m->final_norm);
}
