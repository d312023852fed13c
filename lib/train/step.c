/* step.c - a step: micro-batches, the loss, the tree of their gradients, and the update. */
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

/* ---- a micro-batch ----------------------------------------------------------------- */

/* Units o, o + s, o + 2s, ... of a step. */
struct subset {
    const struct train_unit *units;
    int32_t n, o, s;
};

static int64_t tokens_of(const struct subset *b)
{
    int64_t tokens = 0;
    for (int32_t i = b->o; i < b->n; i += b->s)
        tokens += b->units[i].tokens;
    return tokens;
}

/* A sequence at the end of the micro-batch; far ones take the rotary table behind the first. */
static void add_sequence(struct trainer *t, const struct train_unit *u, int32_t from,
                         const struct train_seq *s, float scale)
{
    struct pass *p = &t->pass;
    const struct spec *m = &t->m->spec;
    if (s->tokens < 1 || s->tokens > t->positions || u->weight[from] != 0)
        BUG("a sequence of %d tokens", s->tokens);
    int32_t far = m->long_after && s->tokens > m->long_after ? t->positions : 0;
    p->span[p->spans.n++] = (struct train_span){p->T, s->tokens};
    for (int32_t k = 0; k < s->tokens; k++, p->T++) {
        int32_t id = u->ids[from + k];
        if (id < 0 || id >= m->vocab)
            BUG("id %d of %d", id, m->vocab);
        p->host_ids[p->T] = id;
        p->host_pos[p->T] = k + far;
        p->host_keys[p->T] = (s->key ^ t->o.seed * UINT64_C(0xd6e8feb86659fd93)) +
                             (uint64_t)k * UINT64_C(0xa0761d6478bd642f);
        if (u->weight[from + k] == 0)
            continue;
        p->host_rows[p->R] = p->T - 1;
        p->host_targets[p->R] = id;
        p->host_weights[p->R++] = u->weight[from + k] * scale;
    }
}

static void send(struct trainer *t, void *to, const void *from, int64_t n, int64_t size)
{
    if (n)
        t->ops->upload(t->d, to, from, n * size);
}

static void lay_out(struct trainer *t, const struct subset *b, float scale)
{
    struct pass *p = &t->pass;
    int32_t n = 0;
    p->T = p->R = p->spans.n = 0;
    for (int32_t i = b->o; i < b->n; i += b->s) {
        const struct train_unit *u = &b->units[i];
        p->first[n] = p->T;
        p->row_first[n++] = p->R;
        for (int32_t k = 0, from = 0; k < u->n_seqs; from += u->seqs[k++].tokens)
            add_sequence(t, u, from, &u->seqs[k], scale);
        if (p->T - p->first[n - 1] != u->tokens)
            BUG("unit %d", i);
    }
    p->first[n] = p->T;
    p->row_first[n] = p->R;
    p->units = (struct units){p->first, n};
    p->row_units = (struct units){p->row_first, n};
    p->spans.host = p->span;
    send(t, p->ids, p->host_ids, p->T, 4);
    send(t, p->pos, p->host_pos, p->T, 4);
    send(t, p->keys, p->host_keys, p->T, 8);
    send(t, p->rows, p->host_rows, p->R, 4);
    send(t, p->targets, p->host_targets, p->R, 4);
    send(t, p->weights, p->host_weights, p->R, 4);
}

static void forward(struct trainer *t)
{
    const struct spec *s = &t->m->spec;
    struct tensor x = rows_of(t->acts[0].x, DT_F32, t->pass.T, s->width);
    t->ops->embed(t->d, &x, t->embed, t->pass.ids, s->embed_scale);
    for (int32_t i = 0; i < s->layers; i++) {
        struct acts a = t->acts[i];
        layer_forward(t, i, &a, t->acts[i + 1].x);
    }
}

/* The head and the loss, and where a gradient is asked for, the way back to the last layer. */
static void loss(struct trainer *t)
{
    const struct spec *s = &t->m->spec;
    struct pass *p = &t->pass;
    int64_t C = s->width, head_at = t->head_at;
    struct tensor x = rows_of(t->acts[s->layers].x, DT_F32, p->T, C);
    struct tensor last = rows_of(p->last, DT_F32, p->R, C);
    struct tensor kept = rows_of(p->kept, t->m->act, p->R, C);
    struct tensor dkept = rows_of(p->dkept, DT_F32, p->R, C);
    struct tensor dlast = rows_of(p->dlast, DT_F32, p->R, C);
    struct tensor dx = rows_of(p->dx, DT_F32, p->T, C);
    struct tensor dw = rows_of(gradient_at(t, head_at), DT_F32, s->vocab, C);
    struct head h = {t->head, s->head_scale, s->head_cap};
    t->ops->gather_rows(t->d, &last, &x, p->rows);
    t->ops->norm(t->d, &kept, &last, NULL, 1, t->m->final_norm, s->eps, s->norm_plus_one);
    t->top->cross_entropy(t->d, p->nll, t->learning ? &dkept : NULL,
                          t->learning && head_at >= 0 ? &dw : NULL, &kept, &h, p->targets,
                          p->weights, &p->row_units);
    if (!t->learning)
        return;
    t->top->norm_back(t->d, &dlast, gradient_at(t, t->final_norm_at), &dkept, &last,
                      t->m->final_norm, s->eps, s->norm_plus_one, &p->row_units, false);
    t->top->gather_back(t->d, &dx, &dlast, p->rows);
}

/* Buckets are complete in their order: this one is the next. */
static void bucket_done(const struct train_watch *w, int *bucket)
{
    if (w && w->bucket)
        w->bucket(w->arg, *bucket);
    (*bucket)++;
}

static void backward(struct trainer *t, const struct train_watch *w)
{
    const struct spec *s = &t->m->spec;
    int64_t at = t->lookup_at >= 0 ? t->lookup_at : t->embed_at;
    struct tensor dx = rows_of(t->pass.dx, DT_F32, t->pass.T, s->width);
    struct tensor dw = rows_of(gradient_at(t, at), DT_F32, s->vocab, s->width);
    int bucket = 0;
    if (t->head_at >= 0)
        bucket_done(w, &bucket);
    for (int32_t i = s->layers - 1; i >= 0; i--) {
        struct acts a = t->acts[i];
        if (i < t->first_kept)
            layer_forward(t, i, &a, NULL);
        layer_backward(t, i, &a);
        if (t->layer[i].has_bucket)
            bucket_done(w, &bucket);
    }
    if (at < 0)
        return;
    t->top->embed_dw(t->d, &dw, &dx, t->pass.ids, &t->pass.units, s->embed_scale);
    bucket_done(w, &bucket);
}

/* nll[u] of the units, from those of the rows. */
static int take_losses(struct trainer *t, const struct subset *b, double *nll, float *logprob,
                       struct err *e)
{
    struct pass *p = &t->pass;
    t->ops->download(t->d, p->host_nll, p->nll, p->R * (int64_t)sizeof *p->host_nll);
    if (t->ops->sync(t->d, e) < 0)
        return -1;
    int64_t r = 0;
    for (int32_t i = b->o; i < b->n; i += b->s) {
        const struct train_unit *u = &b->units[i];
        int64_t at = 0;
        for (int32_t k = 0; logprob && k < i; k++)
            at += b->units[k].tokens;
        nll[i] = 0;
        for (int32_t k = 0; k < u->tokens; k++) {
            bool target = u->weight[k] != 0;
            if (logprob)
                logprob[at + k] = target ? -p->host_nll[r] : 0;
            if (target)
                nll[i] += (double)u->weight[k] * (double)p->host_nll[r++];
        }
    }
    return 0;
}

static int no_target(const struct trainer *t, struct err *e)
{
    return t->pass.R ? 0 : err_set(e, EXIT_DATA, "these records have no token to learn from");
}

/* ---- the tree -------------------------------------------------------------------------- */

struct job {
    struct subset all;
    float scale;
    double *nll;
    const struct train_watch *watch;
    struct err *e;
};

static int run(struct trainer *t, const struct job *j, struct subset b, int slot, bool whole)
{
    lay_out(t, &b, j->scale);
    if (no_target(t, j->e) < 0)
        return -1;
    t->to = t->slot[slot];
    forward(t);
    loss(t);
    if (take_losses(t, &b, j->nll, NULL, j->e) < 0)
        return -1;
    backward(t, whole ? j->watch : NULL);
    return t->ops->sync(t->d, j->e);
}

static int make_slot(struct trainer *t, int slot, struct err *e)
{
    if (slot >= SLOTS)
        BUG("%d halvings of a step", slot);
    if (t->slot[slot])
        return 0;
    t->slot[slot] = t->ops->alloc(t->d, t->gradient * (int64_t)sizeof(float), e);
    t->bytes += t->gradient * (int64_t)sizeof(float);
    return t->slot[slot] ? 0 : -1;
}

/* The gradient of a subset into a slot: at once where it fits, else as the sum of its halves.
 */
static int subtree(struct trainer *t, const struct job *j, struct subset b, int slot)
{
    bool single = b.o + b.s >= b.n;
    if (make_slot(t, slot, j->e) < 0)
        return -1;
    if (single || tokens_of(&b) <= t->o.tokens)
        return run(t, j, b, slot, b.s == 1);
    struct subset even = {b.units, b.n, b.o, 2 * b.s}, odd = {b.units, b.n, b.o + b.s, 2 * b.s};
    if (subtree(t, j, even, slot) < 0 || subtree(t, j, odd, slot + 1) < 0)
        return -1;
    t->top->add(t->d, t->slot[slot], t->slot[slot + 1], t->gradient);
    return 0;
}

static void check_units(const struct trainer *t, const struct train_unit *units, int32_t n)
{
    if (n < 1 || n > UNITS_MAX)
        BUG("%d units", n);
    for (int32_t i = 0; i < n; i++)
        if (units[i].tokens > t->o.tokens)
            BUG("a unit of %d tokens; %d are room for", units[i].tokens, t->o.tokens);
}

int trainer_gradient(struct trainer *t, const struct train_unit *units, int32_t n, float scale,
                     double *nll, const struct train_watch *w, struct err *e)
{
    struct job j = {{units, n, 0, 1}, scale, nll, w, e};
    check_units(t, units, n);
    t->learning = true;
    bool whole = tokens_of(&j.all) <= t->o.tokens || n == 1;
    if (subtree(t, &j, j.all, 0) < 0)
        return -1;
    for (int i = 0; i < t->n_buckets && !whole && w && w->bucket; i++)
        w->bucket(w->arg, i);
    return 0;
}

int trainer_evaluate(struct trainer *t, const struct train_unit *units, int32_t n, double *nll,
                     float *logprob, struct err *e)
{
    check_units(t, units, n);
    t->learning = false;
    for (int32_t i = 0, end; i < n; i = end) {
        int64_t tokens = 0, before = 0;
        for (end = i; end < n && tokens + units[end].tokens <= t->o.tokens; end++)
            tokens += units[end].tokens;
        for (int32_t k = 0; k < i; k++)
            before += units[k].tokens;
        struct subset b = {units + i, end - i, 0, 1};
        lay_out(t, &b, 1);
        if (no_target(t, e) < 0)
            return -1;
        forward(t);
        loss(t);
        if (take_losses(t, &b, nll + i, logprob ? logprob + before : NULL, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- the update -------------------------------------------------------------------------- */

/* Tensors in their order, each by its own sum. */
static int norm_of(struct trainer *t, double *norm, struct err *e)
{
    double sum = 0, one;
    float *g = t->flat[TRAIN_GRADIENT];
    if (t->lookup_at >= 0)
        t->top->add(t->d, g + t->head_at, g + t->lookup_at, t->gradient - t->lookup_at);
    for (size_t i = 0; i < t->n_params; i++) {
        t->top->sum_squares(t->d, &one, g + t->param[i].t.at, t->param[i].t.n);
        if (t->ops->sync(t->d, e) < 0)
            return -1;
        sum += one;
    }
    *norm = sqrt(sum);
    return 0;
}

int trainer_apply(struct trainer *t, const struct train_update *u, double *norm, struct err *e)
{
    if (norm_of(t, norm, e) < 0)
        return -1;
    if (!isfinite(*norm))
        return err_set(e, EXIT_DATA, "the gradient is not finite");
    double step = (double)++t->step, clip = 1;
    if (u->max_norm > 0 && u->max_norm / (*norm + 1e-6) < 1)
        clip = u->max_norm / (*norm + 1e-6);
    struct adamw_args a = {.lr = (float)u->lr,
                           .beta1 = (float)u->beta1,
                           .beta2 = (float)u->beta2,
                           .eps = (float)u->eps,
                           .correct1 = (float)(1 - pow(u->beta1, step)),
                           .correct2 = (float)(1 - pow(u->beta2, step)),
                           .scale = (float)clip};
    for (size_t i = 0; i < t->n_params; i++) {
        int64_t at = t->param[i].t.at;
        a.decay = t->param[i].t.decay ? (float)u->weight_decay : 0;
        t->top->adamw(t->d, t->flat[TRAIN_WEIGHT] + at, t->flat[TRAIN_MOMENT1] + at,
                      t->flat[TRAIN_MOMENT2] + at, t->flat[TRAIN_GRADIENT] + at,
                      t->param[i].t.n, &a);
    }
    return trainer_changed(t, e);
}
