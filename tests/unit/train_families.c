/* train_families.c - the gradient of every tensor of every family, whole and by adapters,
 * against finite differences; the loss against the decoder that answers; and every way to cut a
 * step. */
#include "train_tiny.h"

#include "model/model.h"

static char root[] = "/tmp/millrace-train.XXXXXX";

static char *folder(const struct family *f)
{
    return xasprintf("%s/%s", root, f->name);
}

static struct trainer *open_family(struct dev *d, const struct family *f,
                                   const struct trainer_options *o, struct err *e)
{
    char *dir = folder(f);
    struct ckpt *c = ckpt_open(dir, e);
    struct trainer *t = c ? trainer_open(d, c, o, e) : NULL;
    ckpt_close(c);
    free(dir);
    return t;
}

/* ---- the decoder's own log-probabilities ------------------------------------------ */

static void compare_decoder(struct trainer *t, struct dev *d, const struct family *f,
                            const struct tiny_batch *b)
{
    static const int32_t page[] = {0, 1};
    int32_t pos[SEQ_MAX], next[SEQ_MAX], n = b->unit[0].tokens;
    float logprob[TINY_TOKENS], want[SEQ_MAX];
    double nll[SEQS];
    struct err e = {0};
    struct model_config mc = {DT_F32, SEQ_MAX, SEQ_MAX, 1 << 20, 1};
    struct span span = {0, n, 0, 0};
    char *dir = folder(f);
    struct ckpt *c = ckpt_open(dir, &e);
    struct model *m = c ? model_open(d, c, &mc, &e) : NULL;
    for (int32_t i = 0; i < n; i++) {
        pos[i] = i;
        next[i] = b->ids[0][(i + 1) % n];
    }
    struct batch all = {.ids = b->ids[0],
                        .pos = pos,
                        .tokens = n,
                        .spans = &span,
                        .n_spans = 1,
                        .pages = page,
                        .n_pages = 2,
                        .rows = pos,
                        .n_rows = n};
    CHECK_MSG(m && model_forward(m, &all, &e) == 0 &&
                  model_logprob(m, 0, n, next, want, &e) == 0,
              "%s: %s", f->name, e.text);
    CHECK(trainer_evaluate(t, b->unit, SEQS, nll, logprob, &e) == 0);
    for (int32_t i = 1; m && i < n; i++)
        CHECK_MSG(
            b->weight[0][i] == 0 ? logprob[i] == 0 : fabsf(logprob[i] - want[i - 1]) < 2e-4f,
            "%s: token %d: %g for %g", f->name, i, (double)logprob[i], (double)want[i - 1]);
    model_close(m);
    ckpt_close(c);
    free(dir);
}

/* B begins as zeros, where A has no gradient: both are given values. */
static void stir(struct trainer *t)
{
    int64_t n;
    struct err e = {0};
    uint64_t state = 7;
    float *w = tiny_flat(t, TRAIN_WEIGHT, &n);
    for (int64_t i = 0; i < n; i++)
        w[i] += 0.1f * tiny_random(&state);
    CHECK(trainer_write(t, TRAIN_WEIGHT, 0, n, w, &e) == 0 && trainer_changed(t, &e) == 0);
    free(w);
}

/* ---- cuts --------------------------------------------------------------------------- */

/* The gradient of these units alone, by a trainer with room for so many tokens. */
static float *part(struct dev *d, const struct family *f, const struct trainer_options *o,
                   const struct train_unit *units, int n, float scale, int64_t *floats)
{
    struct err e = {0};
    double nll[SEQS];
    struct trainer *t = open_family(d, f, o, &e);
    if (t && o->lora)
        stir(t);
    CHECK_MSG(t && trainer_gradient(t, units, n, scale, nll, NULL, &e) == 0, "%s", e.text);
    float *g = tiny_flat(t, TRAIN_GRADIENT, floats);
    trainer_close(t);
    return g;
}

/* Micro-batches, ranks, threads, instruction sets, and whether activations are kept. */
static void compare_cuts(struct dev *d, const struct family *f, const struct tiny_batch *b,
                         const struct train_lora *l)
{
    struct trainer_options o = {.dtype = DT_F32, .tokens = TINY_TOKENS, .lora = l};
    struct trainer_options small = o, kept = o;
    small.tokens = SEQ_MAX;
    kept.memory = 1 << 30;
    struct train_unit even[] = {b->unit[0], b->unit[2]}, odd[] = {b->unit[1], b->unit[3]};
    float scale = (float)(1 / b->targets);
    int64_t n;
    struct dev *other = tiny_device("avx2", 1);
    float *whole = part(d, f, &o, b->unit, SEQS, scale, &n);
    float *micro = part(d, f, &small, b->unit, SEQS, scale, &n);
    float *store = part(d, f, &kept, b->unit, SEQS, scale, &n);
    float *first = part(d, f, &o, even, 2, scale, &n);
    float *second = part(d, f, &o, odd, 2, scale, &n);
    float *isa = part(other, f, &o, b->unit, SEQS, scale, &n);
    for (int64_t i = 0; i < n; i++)
        first[i] += second[i];
    size_t bytes = (size_t)n * sizeof *whole;
    CHECK_MSG(!memcmp(whole, micro, bytes), "%s: micro-batches", f->name);
    CHECK_MSG(!memcmp(whole, store, bytes), "%s: kept activations", f->name);
    CHECK_MSG(!memcmp(whole, first, bytes), "%s: two ranks", f->name);
    CHECK_MSG(!memcmp(whole, isa, bytes), "%s: AVX2 and one thread", f->name);
    float *const all[] = {whole, micro, store, first, second, isa};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    other->ops->close(other);
}

/* Records packed into one unit give the gradient that they give apart. */
static void compare_packed(struct dev *d, const struct family *f, const struct tiny_batch *b)
{
    struct trainer_options o = {.dtype = DT_F32, .tokens = TINY_TOKENS};
    int32_t ids[TINY_TOKENS], tokens = 0;
    float weight[TINY_TOKENS], scale = (float)(1 / b->targets);
    int64_t n;
    for (int i = 0; i < SEQS; i++)
        for (int k = 0; k < b->unit[i].tokens; k++, tokens++) {
            ids[tokens] = b->ids[i][k];
            weight[tokens] = b->weight[i][k];
        }
    struct train_unit row = {ids, weight, b->seq, tokens, SEQS};
    float *apart = part(d, f, &o, b->unit, SEQS, scale, &n);
    float *packed = part(d, f, &o, &row, 1, scale, &n);
    double norm = 0, off = 0;
    for (int64_t i = 0; i < n; i++) {
        norm += (double)apart[i] * (double)apart[i];
        off += ((double)apart[i] - (double)packed[i]) * ((double)apart[i] - (double)packed[i]);
    }
    CHECK_MSG(sqrt(off) < 1e-5 * sqrt(norm), "%s: packed: %g of %g", f->name, sqrt(off),
              sqrt(norm));
    free(apart);
    free(packed);
}

/* ---- adapters ------------------------------------------------------------------------- */

static void test_adapter(struct dev *d, const struct family *f, const struct tiny_batch *b)
{
    static const char *const experts[] = {"mlp.experts.gate_up_proj", "mlp.experts.down_proj"};
    static const char *const all[] = {"all-linear"}, *const ends[] = {"lm_head",
                                                                      "embed_tokens"};
    bool sparse = strstr(f->config, "experts") != NULL;
    struct train_lora l = {
        .rank = 3, .alpha = 6, .rslora = true, .targets = all, .n_targets = 1};
    struct trainer_options o = {.dtype = DT_F32, .tokens = TINY_TOKENS, .lora = &l};
    struct err e = {0};
    if (sparse) {
        l.parameters = experts;
        l.n_parameters = 2;
    } else {
        l.dropout = 0.25;
        l.save = ends;
        l.n_save = 2;
    }
    struct trainer *t = open_family(d, f, &o, &e);
    CHECK_MSG(t, "%s: %s", f->name, e.text);
    if (!t)
        return;
    stir(t);
    tiny_differences(t, b, f->name);
    trainer_close(t);
    compare_cuts(d, f, b, &l);
}

/* A token that changes its experts makes the loss jump: here it uses them all, and the goldens
 * have the choice. */
static char *all_experts(const struct family *f)
{
    json_t *c = json_loads(f->config, 0, NULL), *n = json_object_get(c, "num_local_experts");
    n = n ? n : json_object_get(c, "num_experts");
    if (n) {
        json_object_set(c, "num_experts_per_tok", n);
        if (json_object_get(c, "experts_per_token"))
            json_object_set(c, "experts_per_token", n);
    }
    char *text = json_dumps(c, 0);
    json_decref(c);
    return text;
}

static void test_family(struct dev *d, const struct family *f)
{
    struct trainer_options o = {.dtype = DT_F32, .tokens = TINY_TOKENS};
    struct tiny_batch b;
    struct err e = {0};
    char *dir = folder(f);
    bool mxfp4 = strstr(f->config, "mxfp4") != NULL;
    char *config = all_experts(f);
    family_write(dir, f, config);
    free(config);
    free(dir);
    tiny_batch_make(&b, 96);
    struct trainer *t = open_family(d, f, &o, &e);
    if (mxfp4)
        CHECK(!t && e.status == EXIT_CONFIG && strstr(e.text, "MXFP4"));
    else
        CHECK_MSG(t, "%s: %s", f->name, e.text);
    if (t) {
        compare_decoder(t, d, f, &b);
        tiny_differences(t, &b, f->name);
        compare_cuts(d, f, &b, NULL);
        compare_packed(d, f, &b);
    }
    trainer_close(t);
    test_adapter(d, f, &b);
}

int main(void)
{
    struct dev *d = tiny_device(NULL, 2);
    if (!mkdtemp(root))
        return 1;
    if (!d)
        SKIP("no vector instructions here");
    for (size_t i = 0; d && i < sizeof families / sizeof *families; i++)
        test_family(d, &families[i]);
    if (d)
        d->ops->close(d);
    char *rm = xasprintf("rm -rf %s", root);
    int rc = system(rm);
    free(rm);
    return unit_done("train_families") || rc;
}
