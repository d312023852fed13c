/* params.c - the tensors that are trained, where they stand in the flat buffers, and the
 * weights that they are in use as.
 *
 * They stand in the order in which their gradients are complete: the head, the layers from the
 * last to the first, the embedding; each of these is a bucket.  Tensors that are one weight in
 * use stand end to end, so that its gradient is one product.
 */
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

/* ---- a tensor ----------------------------------------------------------------- */

void param_align(struct trainer *t)
{
    t->floats = (t->floats + FLAT_ALIGN - 1) / FLAT_ALIGN * FLAT_ALIGN;
}

struct param *param_add(struct trainer *t, char *name, int nd, const int64_t *shape)
{
    GROW(t->param, t->cap_params, t->n_params + 1);
    struct param *p = &t->param[t->n_params++];
    *p = (struct param){.t = {.name = name, .nd = nd, .at = t->floats, .n = 1},
                        .experts = 1,
                        .filled = t->full};
    for (int i = 0; i < nd; i++) {
        p->t.shape[i] = shape[i];
        p->t.n *= shape[i];
    }
    t->floats += p->t.n;
    return p;
}

bool bucket_end(struct trainer *t)
{
    int64_t at = t->n_buckets ? t->bucket[t->n_buckets - 1].at + t->bucket[t->n_buckets - 1].n
                              : 0;
    param_align(t);
    if (t->floats == at)
        return false;
    t->bucket[t->n_buckets++] = (struct train_bucket){at, t->floats - at};
    return true;
}

/* ---- the tensors of a whole model ----------------------------------------------- */

/* What the steps below share. */
struct builder {
    struct trainer *t;
    int32_t layer; /* -1: in none */
    struct err *e;
};

static char *full_name(const struct builder *b, const char *name, const char *suffix)
{
    if (b->layer < 0)
        return xasprintf("%s%s", name, suffix);
    return xasprintf("%s%d.%s%s", b->t->m->spec.names.layers, (int)b->layer, name, suffix);
}

/* A vector that is used where it stands; the model's pointer is set when there is memory. */
static int64_t add_vector(const struct builder *b, const char *name, const char *suffix,
                          int64_t n)
{
    return param_add(b->t, full_name(b, name, suffix), 1, &n)->t.at;
}

static int new_weight(const struct builder *b, struct weight **w, int64_t n, int64_t k,
                      int64_t experts)
{
    struct trainer *t = b->t;
    struct weight_shape s = {n, k, experts, t->o.dtype};
    *w = t->ops->weight_new(t->d, &s, b->e);
    t->bytes += n * k * (experts ? experts : 1) * dtype_size(s.dtype);
    t->m->info.params += n * k * (experts ? experts : 1);
    return *w ? 0 : -1;
}

struct part {
    const char *name;
    int64_t rows;
};

static void add_rows(const struct builder *b, struct weight *w, char *name, int64_t expert,
                     int64_t row, int64_t rows, int64_t cols)
{
    struct param *p = param_add(b->t, name, 2, (int64_t[]){rows, cols});
    p->t.decay = true;
    p->weight = w;
    p->expert = expert;
    p->row = row;
    p->rows = rows;
    p->cols = cols;
}

/* One weight from the parts, one under the other. */
static int add_matrix(const struct builder *b, struct weight **w, int64_t *at,
                      const struct part *parts, int n, int64_t cols)
{
    int64_t rows = 0;
    for (int i = 0; i < n; i++)
        rows += parts[i].rows;
    param_align(b->t);
    *at = b->t->floats;
    if (new_weight(b, w, rows, cols, 0) < 0)
        return -1;
    for (int64_t i = 0, row = 0; i < n; row += parts[i++].rows)
        add_rows(b, *w, full_name(b, parts[i].name, ".weight"), 0, row, parts[i].rows, cols);
    return 0;
}

static int64_t add_biases(const struct builder *b, bool has, const struct part *parts, int n)
{
    int64_t at = b->t->floats;
    for (int i = 0; i < n && has; i++)
        add_vector(b, parts[i].name, ".bias", parts[i].rows);
    return has ? at : -1;
}

static int add_linear(const struct builder *b, struct weight **w, int64_t *w_at, int64_t *b_at,
                      bool has_bias, const struct part *parts, int n, int64_t cols)
{
    if (add_matrix(b, w, w_at, parts, n, cols) < 0)
        return -1;
    param_align(b->t);
    *b_at = add_biases(b, has_bias, parts, n);
    return 0;
}

/* ---- experts ---------------------------------------------------------------------- */

static int add_experts_apart(const struct builder *b, struct weight **w, int64_t *at,
                             const struct part *parts, int n, int64_t cols)
{
    const struct spec *s = &b->t->m->spec;
    int64_t rows = 0;
    for (int i = 0; i < n; i++)
        rows += parts[i].rows;
    param_align(b->t);
    *at = b->t->floats;
    if (new_weight(b, w, rows, cols, s->experts) < 0)
        return -1;
    for (int32_t e = 0; e < s->experts; e++)
        for (int64_t i = 0, row = 0; i < n; row += parts[i++].rows) {
            char *name = xasprintf("%s%d.%s%d.%s.weight", s->names.layers, (int)b->layer,
                                   s->names.experts, (int)e, parts[i].name);
            add_rows(b, *w, name, e, row, parts[i].rows, cols);
        }
    return 0;
}

/* [E, in, out] */
static int add_experts_columns(const struct builder *b, struct weight **w, int64_t *at,
                               const struct part *part, int64_t cols)
{
    int64_t E = b->t->m->spec.experts;
    param_align(b->t);
    *at = b->t->floats;
    if (new_weight(b, w, part->rows, cols, E) < 0)
        return -1;
    struct param *p = param_add(b->t, full_name(b, part->name, ""), 3,
                                (int64_t[]){E, cols, part->rows});
    p->t.decay = true;
    p->weight = *w;
    p->experts = E;
    p->rows = part->rows;
    p->cols = cols;
    p->transposed = true;
    return 0;
}

static int64_t add_expert_bias(const struct builder *b, const struct part *part)
{
    int64_t E = b->t->m->spec.experts;
    return param_add(b->t, full_name(b, part->name, "_bias"), 2, (int64_t[]){E, part->rows})
        ->t.at;
}

static int add_sparse(const struct builder *b, struct layer *y, struct layer_at *at)
{
    const struct spec *s = &b->t->m->spec;
    const struct names *n = &s->names;
    const struct part router = {n->router, s->experts};
    const struct part apart[] = {{n->expert_gate, s->expert_ffn},
                                 {n->expert_up, s->expert_ffn}};
    const struct part gate_up = {n->expert_gate_up, 2 * (int64_t)s->expert_ffn};
    const struct part down = {n->expert_down, s->width};
    if (add_linear(b, &y->router, &at->router, &at->router_bias, s->router_bias, &router, 1,
                   s->width) < 0)
        return -1;
    int rc;
    if (s->expert_storage == EXPERTS_APART) {
        rc = add_experts_apart(b, &y->gate_up, &at->gate_up, apart, 2, s->width);
        if (rc == 0)
            rc = add_experts_apart(b, &y->down, &at->down, &down, 1, s->expert_ffn);
    } else if (s->expert_storage == EXPERTS_COLUMNS) {
        rc = add_experts_columns(b, &y->gate_up, &at->gate_up, &gate_up, s->width);
        if (rc == 0)
            rc = add_experts_columns(b, &y->down, &at->down, &down, s->expert_ffn);
    } else {
        return err_set(b->e, EXIT_CONFIG,
                       "experts stored as MXFP4 cannot be trained whole; train an adapter");
    }
    param_align(b->t);
    at->gate_up_bias = s->expert_bias ? add_expert_bias(b, &gate_up) : -1;
    at->down_bias = s->expert_bias ? add_expert_bias(b, &down) : -1;
    return rc;
}

/* ---- a layer ------------------------------------------------------------------------ */

static int add_dense(const struct builder *b, struct layer *y, struct layer_at *at)
{
    const struct spec *s = &b->t->m->spec;
    const struct names *n = &s->names;
    const struct part apart[] = {{n->gate, s->ffn}, {n->up, s->ffn}};
    const struct part fused = {n->gate_up, 2 * (int64_t)s->ffn}, down = {n->down, s->width};
    if (add_linear(b, &y->gate_up, &at->gate_up, &at->gate_up_bias, s->gate_up_bias,
                   n->gate_up ? &fused : apart, n->gate_up ? 1 : 2, s->width) < 0)
        return -1;
    return add_linear(b, &y->down, &at->down, &at->down_bias, s->down_bias, &down, 1, s->ffn);
}

static void add_norms(const struct builder *b, struct layer_at *at)
{
    const struct spec *s = &b->t->m->spec;
    const struct names *n = &s->names;
    int64_t q = s->head_dim, k = s->head_dim;
    if (s->qk_norm_whole) {
        q *= s->heads;
        k *= s->kv_heads;
    }
    for (int p = 0; p < NORM_PLACES; p++)
        at->norm[p] = n->norm[p] ? add_vector(b, n->norm[p], ".weight", s->width) : -1;
    at->q_norm = n->q_norm ? add_vector(b, n->q_norm, ".weight", q) : -1;
    at->k_norm = n->k_norm ? add_vector(b, n->k_norm, ".weight", k) : -1;
    at->sinks = n->sinks ? add_vector(b, n->sinks, "", s->heads) : -1;
}

static int add_layer(struct trainer *t, int32_t i, struct err *e)
{
    const struct builder b = {t, i, e};
    const struct spec *s = &t->m->spec;
    const struct names *n = &s->names;
    struct layer *y = &t->m->layer[i];
    struct layer_at *at = &t->layer[i].at;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    const struct part apart[] = {{n->q, q}, {n->k, kv}, {n->v, kv}};
    const struct part fused = {n->qkv, q + 2 * kv}, o = {n->o, s->width};
    add_norms(&b, at);
    if (add_linear(&b, &y->qkv, &at->qkv, &at->qkv_bias, s->qkv_bias, n->qkv ? &fused : apart,
                   n->qkv ? 1 : 3, s->width) < 0 ||
        add_linear(&b, &y->o, &at->o, &at->o_bias, s->o_bias, &o, 1, q) < 0)
        return -1;
    return s->layer[i].sparse ? add_sparse(&b, y, at) : add_dense(&b, y, at);
}

int params_full(struct trainer *t, struct err *e)
{
    struct model *m = t->m;
    const struct spec *s = &m->spec;
    const struct builder b = {t, -1, e};
    const struct part embed = {s->names.embed, s->vocab}, head = {s->names.head, s->vocab};
    m->layer = xcalloc((size_t)s->layers, sizeof *m->layer);
    if (add_matrix(&b, &m->head, &t->head_at, s->tied ? &embed : &head, 1, s->width) < 0)
        return -1;
    t->final_norm_at = add_vector(&b, s->names.final_norm, ".weight", s->width);
    bucket_end(t);
    for (int32_t i = s->layers - 1; i >= 0; i--) {
        if (add_layer(t, i, e) < 0)
            return -1;
        t->layer[i].has_bucket = bucket_end(t);
    }
    if (!s->tied) {
        if (add_matrix(&b, &m->embed, &t->embed_at, &embed, 1, s->width) < 0)
            return -1;
        bucket_end(t);
        t->gradient = t->floats;
        return 0;
    }
    m->embed = m->head;
    t->lookup_at = t->floats;
    t->gradient = t->floats + (int64_t)s->vocab * s->width;
    t->bucket[t->n_buckets++] = (struct train_bucket){t->floats, t->gradient - t->floats};
    return 0;
}

/* ---- memory --------------------------------------------------------------------------- */

/* The model's vectors are those in the flat buffer. */
static void set_vectors(struct trainer *t)
{
    struct model *m = t->m;
    float *w = t->flat[TRAIN_WEIGHT];
    m->final_norm = w + t->final_norm_at;
    for (int32_t i = 0; i < m->spec.layers; i++) {
        struct layer *y = &m->layer[i];
        const struct layer_at *at = &t->layer[i].at;
        float **const to[] = {&y->qkv_bias,  &y->o_bias,  &y->router_bias, &y->gate_up_bias,
                              &y->down_bias, &y->sinks,   &y->q_norm,      &y->k_norm,
                              &y->norm[0],   &y->norm[1], &y->norm[2],     &y->norm[3]};
        const int64_t from[] = {at->qkv_bias,  at->o_bias,  at->router_bias, at->gate_up_bias,
                                at->down_bias, at->sinks,   at->q_norm,      at->k_norm,
                                at->norm[0],   at->norm[1], at->norm[2],     at->norm[3]};
        for (size_t k = 0; k < sizeof to / sizeof *to; k++)
            *to[k] = from[k] < 0 ? NULL : w + from[k];
    }
}

int params_allocate(struct trainer *t, struct err *e)
{
    for (int i = 0; i < TRAIN_FLATS; i++) {
        int64_t n = i == TRAIN_GRADIENT ? t->gradient : t->floats;
        t->flat[i] = t->ops->alloc(t->d, n * (int64_t)sizeof(float), e);
        if (!t->flat[i])
            return -1;
        t->bytes += n * (int64_t)sizeof(float);
    }
    t->slot[0] = t->flat[TRAIN_GRADIENT];
    t->tensors = xcalloc(t->n_params, sizeof *t->tensors);
    for (size_t i = 0; i < t->n_params; i++)
        t->tensors[i] = t->param[i].t;
    if (t->full)
        set_vectors(t);
    return 0;
}
