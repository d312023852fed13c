/* fill.c - the first values of what is trained, and their way into the weights in use. */
#include "base/random.h"
#include "dev/half.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- from a checkpoint ---------------------------------------------------------- */

static int widen(float *to, const struct ckpt_tensor *from, int64_t n, struct err *e)
{
    struct weight_source src = {.data = from->data, .stride = n};
    switch (from->dtype) {
    case CKPT_F32: src.dtype = DT_F32; break;
    case CKPT_F16: src.dtype = DT_F16; break;
    case CKPT_BF16: src.dtype = DT_BF16; break;
    default:
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" is %s; weights must be F32, F16 or BF16",
                       from->name, from->dtype_name);
    }
    int64_t size = dtype_size(src.dtype);
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        const char *p = (const char *)from->data + i * size;
        if (size == 4) {
            memcpy(&to[i], p, 4);
            continue;
        }
        memcpy(&h, p, 2);
        to[i] = src.dtype == DT_BF16 ? bf16_to_f32(h) : f16_to_f32(h);
    }
    return 0;
}

static int fill_one(struct trainer *t, const struct ckpt *c, const struct train_tensor *p,
                    struct err *e)
{
    static const char prefix[] = "base_model.model.";
    const char *name = p->name;
    const struct names *n = &t->m->spec.names;
    if (!t->full && !strncmp(name, prefix, sizeof prefix - 1))
        name += sizeof prefix - 1;
    const struct ckpt_tensor *from = ckpt_find(c, name);
    char *head = xasprintf("%s.weight", n->head), *embed = xasprintf("%s.weight", n->embed);
    if (!from && t->m->spec.tied && !strcmp(name, head))
        from = ckpt_find(c, embed);
    free(head);
    free(embed);
    if (!from)
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" is missing", name);
    bool fits = from->nd == p->nd;
    for (int i = 0; i < p->nd && fits; i++)
        fits = from->shape[i] == p->shape[i];
    if (!fits)
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" has not the shape that config.json says",
                       name);
    float *host = xmalloc_n((size_t)p->n, sizeof *host);
    int rc = widen(host, from, p->n, e);
    if (rc == 0)
        rc = trainer_write(t, TRAIN_WEIGHT, p->at, p->n, host, e);
    free(host);
    ckpt_done_with(c, from);
    return rc;
}

int fill_from(struct trainer *t, const struct ckpt *c, struct err *e)
{
    for (size_t i = 0; i < t->n_params; i++)
        if (t->param[i].filled && fill_one(t, c, &t->param[i].t, e) < 0)
            return -1;
    return trainer_changed(t, e);
}

/* ---- by chance -------------------------------------------------------------------- */

/* Uniform in (0, 1). */
static double uniform(uint64_t *state)
{
    return ((double)(random_next(state) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    double r = sqrt(-2 * log(uniform(state)));
    return r * cos(2 * M_PI * uniform(state));
}

static bool ends_in(const char *name, const char *tail)
{
    size_t n = strlen(name), k = strlen(tail);
    return n >= k && !strcmp(name + n - k, tail);
}

/* Matrices and sinks are normal, norms are one (or 1 + 0), biases none. */
static void first_values(const struct trainer *t, const struct param *p, double range,
                         float *to, uint64_t *state)
{
    bool norm = p->t.nd == 1 && ends_in(p->t.name, ".weight");
    bool zero = ends_in(p->t.name, "bias");
    for (int64_t i = 0; i < p->t.n; i++)
        to[i] = zero   ? 0
                : norm ? (t->m->spec.norm_plus_one ? 0 : 1)
                       : (float)(range * normal(state));
}

/* PEFT's: A uniform within 1 / sqrt(inputs) (Kaiming's with a = sqrt(5)), B zero. */
static void first_lora(const struct param *p, float *to, uint64_t *state)
{
    double bound = 1 / sqrt((double)p->cols);
    for (int64_t i = 0; i < p->t.n; i++)
        to[i] = p->is_b ? 0 : (float)(bound * (2 * uniform(state) - 1));
}

int fill_random(struct trainer *t, double range, struct err *e)
{
    uint64_t state = t->o.seed * UINT64_C(0xd1342543de82ef95) + 1;
    for (size_t i = 0; i < t->n_params; i++) {
        const struct param *p = &t->param[i];
        float *host;
        if (p->filled && !t->full)
            continue;
        host = xmalloc_n((size_t)p->t.n, sizeof *host);
        if (t->full)
            first_values(t, p, range, host, &state);
        else
            first_lora(p, host, &state);
        int rc = trainer_write(t, TRAIN_WEIGHT, p->t.at, p->t.n, host, e);
        free(host);
        if (rc < 0)
            return -1;
    }
    return trainer_changed(t, e);
}

/* ---- into the weights in use -------------------------------------------------------- */

int trainer_changed(struct trainer *t, struct err *e)
{
    for (size_t i = 0; i < t->n_params; i++) {
        const struct param *p = &t->param[i];
        const float *from = t->flat[TRAIN_WEIGHT] + p->t.at;
        for (int64_t k = 0; p->weight && k < p->experts; k++, from += p->rows * p->cols)
            if (t->top->weight_take(t->d, p->weight, p->expert + k, p->row, p->rows, from,
                                    p->transposed ? p->rows : p->cols, p->transposed, e) < 0)
                return -1;
    }
    return t->ops->sync(t->d, e);
}
