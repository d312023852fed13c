/* lora.c - adapters' rows in a forward. */
#include "model/lora.h"

#include "model/decoder.h"

#include <stdlib.h>

static int attention_modules(const struct spec *s, struct lora_module *out)
{
    const struct names *names = &s->names;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    int64_t C = s->width;
    bool standard = !s->experts; /* PEFT has no choice of its own for models with experts */
    int n = 0;
    if (names->qkv) {
        out[n++] = (struct lora_module){names->qkv, LORA_LINEAR, LORA_QKV, 0, q + 2 * kv, C, 0};
    } else {
        out[n++] = (struct lora_module){names->q, LORA_LINEAR, LORA_QKV, 0, q, C, standard};
        out[n++] = (struct lora_module){names->k, LORA_LINEAR, LORA_QKV, q, kv, C, false};
        out[n++] = (struct lora_module){names->v, LORA_LINEAR, LORA_QKV, q + kv,
                                        kv,       C,           standard};
    }
    out[n++] = (struct lora_module){names->o, LORA_LINEAR, LORA_O, 0, C, q, false};
    return n;
}

static int dense_modules(const struct spec *s, struct lora_module *out)
{
    const struct names *names = &s->names;
    int64_t C = s->width, F = s->ffn;
    int n = 0;
    if (names->gate_up) {
        out[n++] = (struct lora_module){names->gate_up, LORA_LINEAR, LORA_GATE_UP, 0,
                                        2 * F,          C,           false};
    } else {
        out[n++] = (struct lora_module){names->gate, LORA_LINEAR, LORA_GATE_UP, 0, F, C, false};
        out[n++] = (struct lora_module){names->up, LORA_LINEAR, LORA_GATE_UP, F, F, C, false};
    }
    out[n++] = (struct lora_module){names->down, LORA_LINEAR, LORA_DOWN, 0, C, F, false};
    return n;
}

/* Experts that a checkpoint has apart are two parameters in newer versions of transformers, by
 * names that are the same in all families. */
static int sparse_modules(const struct spec *s, struct lora_module *out)
{
    const struct names *names = &s->names;
    const char *gate_up = "mlp.experts.gate_up_proj", *down = "mlp.experts.down_proj";
    const enum lora_place in = LORA_EXPERTS_GATE_UP, back = LORA_EXPERTS_DOWN;
    bool apart = s->expert_storage == EXPERTS_APART;
    int64_t C = s->width, F = s->expert_ffn;
    int n = 0;
    if (!apart) {
        gate_up = names->expert_gate_up;
        down = names->expert_down;
    }
    out[n++] = (struct lora_module){names->router, LORA_LINEAR, LORA_ROUTER, 0,
                                    s->experts,    C,           false};
    out[n++] = (struct lora_module){gate_up, LORA_PARAMETER, in, 0, 2 * F, C, false};
    out[n++] = (struct lora_module){down, LORA_PARAMETER, back, 0, C, F, false};
    if (apart) {
        out[n++] = (struct lora_module){names->expert_gate, LORA_APART, in, 0, F, C, false};
        out[n++] = (struct lora_module){names->expert_up, LORA_APART, in, F, F, C, false};
        out[n++] = (struct lora_module){names->expert_down, LORA_APART, back, 0, C, F, false};
    }
    return n;
}

int lora_modules(const struct spec *s, int32_t layer, struct lora_module out[LORA_MODULES])
{
    int n = attention_modules(s, out);
    return n +
           (s->layer[layer].sparse ? sparse_modules(s, out + n) : dense_modules(s, out + n));
}

/* ---- a batch -------------------------------------------------------------- */

static const struct adapter *adapter_of(const struct model *m, int32_t number)
{
    if (number < 0 || number > m->n_adapters)
        BUG("adapter %d of %d", number, m->n_adapters);
    return number ? &m->adapters[number - 1] : NULL;
}

/* The run that a token is in. */
static const struct lora_run *run_of(const struct lora_work *w, int32_t token)
{
    int32_t lo = 0, hi = w->n_runs - 1;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo + 1) / 2;
        if (w->runs[mid].first <= token)
            lo = mid;
        else
            hi = mid - 1;
    }
    return &w->runs[lo];
}

/* Whose each token is, for rows that are sorted on the device. */
static void send_whose(struct model *m, const struct batch *b)
{
    struct lora_work *w = &m->lora;
    for (int32_t i = 0; i < m->n_adapters; i++)
        m->adapters[i].here = false;
    for (int32_t i = 0; i < b->n_spans; i++) {
        for (int32_t t = 0; t < b->spans[i].count; t++)
            w->whose[b->spans[i].first + t] = b->adapters[i];
        if (b->adapters[i])
            m->adapters[b->adapters[i] - 1].here = true;
    }
    m->dev->ops->upload(m->dev, w->dev_whose, w->whose, b->tokens * (int64_t)sizeof *w->whose);
}

void lora_begin(struct model *m, const struct batch *b)
{
    struct lora_work *w = &m->lora;
    bool any = false;
    w->n_runs = 0;
    for (int32_t i = 0; b->adapters && i < b->n_spans; i++)
        any = adapter_of(m, b->adapters[i]) || any;
    for (int32_t i = 0; any && i < b->n_spans; i++) {
        const struct adapter *a = adapter_of(m, b->adapters[i]);
        struct lora_run *last = w->runs + w->n_runs - 1;
        if (w->n_runs && last->adapter == a)
            last->rows += b->spans[i].count;
        else
            w->runs[w->n_runs++] = (struct lora_run){b->spans[i].first, b->spans[i].count, a};
    }
    for (int32_t i = 0; any && i < b->n_rows; i++)
        w->kept[i] = run_of(w, b->rows[i])->adapter;
    if (any && w->dev_whose)
        send_whose(m, b);
}

/* ---- products ------------------------------------------------------------- */

static struct tensor outputs_of(const struct tensor *y, const struct lora_module *module)
{
    return (struct tensor){(float *)y->data + module->first, DT_F32, y->rows, module->n,
                           y->stride};
}

void lora_apply(struct model *m, int32_t layer, enum lora_place place, const struct tensor *x,
                const struct tensor *y)
{
    struct lora_work *w = &m->lora;
    struct lora_module modules[LORA_MODULES];
    int n_modules = w->n_runs ? lora_modules(&m->spec, layer, modules) : 0;
    struct tensor t = {w->t, DT_F32, x->rows, w->rank, w->rank};
    for (int i = 0; i < n_modules; i++) {
        const struct lora_module *module = &modules[i];
        int32_t n = 0;
        for (int32_t k = 0; k < w->n_runs && module->place == place; k++) {
            const struct lora_run *r = &w->runs[k];
            const struct lora *l = r->adapter ? &r->adapter->layer[layer][i] : NULL;
            if (l && l->a)
                w->groups[n++] = (struct lora_rows){r->first, r->rows, l->a, l->b, l->scale};
        }
        if (!n)
            continue;
        struct tensor part = outputs_of(y, module);
        m->dev->ops->lora_a(m->dev, &t, x, w->groups, n);
        m->dev->ops->lora_b(m->dev, &part, &t, w->groups, n);
    }
}

void lora_apply_experts(struct model *m, int32_t layer, enum lora_place place,
                        const struct tensor *x, const struct tensor *y)
{
    struct lora_work *w = &m->lora;
    struct lora_module modules[LORA_MODULES];
    bool any = w->n_runs && w->dev_whose;
    int n_modules = any ? lora_modules(&m->spec, layer, modules) : 0;
    for (int32_t k = 0; any && k < m->n_adapters; k++)
        for (int i = 0; m->adapters[k].here && i < n_modules; i++) {
            const struct lora *l = &m->adapters[k].layer[layer][i];
            if (modules[i].place != place || !l->a)
                continue;
            struct tensor t = {w->t, DT_F32, x->rows, l->rank, l->rank};
            struct tensor part = outputs_of(y, &modules[i]);
            struct lora_grouped g = {l->b, l->scale, w->dev_whose, k + 1};
            m->dev->ops->linear_grouped(m->dev, &t, x, l->a, NULL, &m->work.routing);
            m->dev->ops->lora_b_grouped(m->dev, &part, &t, &g, &m->work.routing);
        }
}

/* ---- both ends ------------------------------------------------------------ */

void lora_embed(struct model *m, const struct tensor *y)
{
    const struct lora_work *w = &m->lora;
    const struct lora_run all = {0, (int32_t)y->rows, NULL};
    const struct lora_run *runs = w->n_runs ? w->runs : &all;
    for (int32_t i = 0; i < (w->n_runs ? w->n_runs : 1); i++) {
        const struct adapter *a = runs[i].adapter;
        struct tensor part = *y;
        part.data = (float *)y->data + runs[i].first * y->stride;
        part.rows = runs[i].rows;
        m->dev->ops->embed(m->dev, &part, a && a->embed ? a->embed : m->embed,
                           (int32_t *)m->work.ids + runs[i].first, m->spec.embed_scale);
    }
}

static const struct weight *head_of(const struct model *m, int32_t row)
{
    const struct adapter *a = m->lora.n_runs ? m->lora.kept[row] : NULL;
    return a && a->head ? a->head : m->head;
}

int32_t lora_head(const struct model *m, int32_t r0, int32_t n, const struct weight **head)
{
    int32_t same = 1;
    *head = head_of(m, r0);
    while (same < n && head_of(m, r0 + same) == *head)
        same++;
    return same;
}
