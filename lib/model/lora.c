/* lora.c - adapters' rows in a forward. */
#include "model/lora.h"

#include "model/decoder.h"

#include <stdlib.h>

int lora_modules(const struct spec *s, struct lora_module out[LORA_MODULES])
{
    const struct names *names = &s->names;
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    int64_t C = s->width, F = s->ffn;
    int n = 0;
    if (names->qkv) {
        out[n++] = (struct lora_module){names->qkv, LORA_QKV, 0, q + 2 * kv, C, false};
    } else {
        out[n++] = (struct lora_module){names->q, LORA_QKV, 0, q, C, true};
        out[n++] = (struct lora_module){names->k, LORA_QKV, q, kv, C, false};
        out[n++] = (struct lora_module){names->v, LORA_QKV, q + kv, kv, C, true};
    }
    out[n++] = (struct lora_module){names->o, LORA_O, 0, C, q, false};
    if (names->gate_up) {
        out[n++] = (struct lora_module){names->gate_up, LORA_GATE_UP, 0, 2 * F, C, false};
    } else {
        out[n++] = (struct lora_module){names->gate, LORA_GATE_UP, 0, F, C, false};
        out[n++] = (struct lora_module){names->up, LORA_GATE_UP, F, F, C, false};
    }
    out[n++] = (struct lora_module){names->down, LORA_DOWN, 0, C, F, false};
    return n;
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
}

/* ---- products ------------------------------------------------------------- */

void lora_apply(struct model *m, int32_t layer, enum lora_place place, const struct tensor *x,
                const struct tensor *y)
{
    struct lora_work *w = &m->lora;
    struct lora_module modules[LORA_MODULES];
    int n_modules = w->n_runs ? lora_modules(&m->spec, modules) : 0;
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
        struct tensor part = {(float *)y->data + module->first, DT_F32, y->rows, module->n,
                              y->stride};
        m->dev->ops->lora_a(m->dev, &t, x, w->groups, n);
        m->dev->ops->lora_b(m->dev, &part, &t, w->groups, n);
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
