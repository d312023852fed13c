/* dev_attention.c - keys and values in pages, and attention over them.
 *
 * Several sequences share one pool of pages.  Whatever the calls that a prompt is cut into,
 * whoever shares a call or a page, and whatever stood in the pages before, a token's bits are
 * the same.
 */
#include "dev_subject.h"

enum { SEQS = 5, LAYERS = 2, PAGES = 40, MAX_PAGES = 8 };
static const int32_t lengths[SEQS] = {1, 33, 100, 64, 131};

struct config {
    int32_t heads, kv_heads, dim;
    enum dtype kt, yt;
    int32_t window;
    float soft_cap;
    bool sinks;
};

/* The sequences' inputs: q, k, v of every token, the sequences end to end. */
struct input {
    struct config c;
    int64_t tokens, qcols, kcols;
    int32_t base[SEQS]; /* first token of a sequence */
    float *q, *k, *v, *sinks;
};

static struct input input_new(const struct config *c)
{
    struct input in = {.c = *c};
    for (int s = 0; s < SEQS; s++) {
        in.base[s] = (int32_t)in.tokens;
        in.tokens += lengths[s];
    }
    in.qcols = (int64_t)c->heads * c->dim;
    in.kcols = (int64_t)c->kv_heads * c->dim;
    in.q = random_floats(in.tokens * in.qcols, 2);
    in.k = random_floats(in.tokens * in.kcols, 1);
    in.v = random_floats(in.tokens * in.kcols, 1);
    in.sinks = random_floats(c->heads, 1);
    return in;
}

static void input_free(struct input *in)
{
    free(in->q);
    free(in->k);
    free(in->v);
    free(in->sinks);
}

/* A device with the inputs' pages, and how far each sequence has come. */
struct state {
    const struct subject *s;
    const struct input *in;
    struct kv *kv;
    float *sinks;
    int32_t pages[SEQS * MAX_PAGES]; /* page lists */
    int32_t done[SEQS];
};

static struct state state_new(const struct subject *s, const struct input *in)
{
    struct err e = {0};
    struct state st = {.s = s, .in = in};
    struct kv_shape shape = {LAYERS, in->c.kv_heads, in->c.dim, PAGES, in->c.kt};
    st.kv = s->o->kv_new(s->d, &shape, &e);
    if (!st.kv)
        die_err(&e);
    st.sinks = dev_new(s, in->sinks, in->c.heads * 4);
    for (int i = 0; i < SEQS * MAX_PAGES; i++)
        st.pages[i] = (i * 7 + 3) % PAGES; /* a permutation: no list is ascending */
    return st;
}

static void state_free(struct state *st)
{
    st->s->o->kv_free(st->s->d, st->kv);
    st->s->o->free(st->s->d, st->sinks);
}

/* Rows of one matrix for the spans of a call, on the device, with NaN between rows. */
static struct tensor pick(const struct state *st, const struct spans *sp, const float *from,
                          int64_t cols, const int32_t *seq, int64_t tokens)
{
    int64_t stride = cols + 3;
    float *h = xmalloc_n((size_t)(tokens * stride), 4);
    for (int64_t i = 0; i < tokens * stride; i++)
        h[i] = (float)NAN;
    for (int i = 0; i < sp->n; i++)
        for (int32_t t = 0; t < sp->host[i].count; t++) {
            int64_t row = st->in->base[seq[i]] + sp->host[i].start + t;
            memcpy(h + (sp->host[i].first + t) * stride, from + row * cols, (size_t)cols * 4);
        }
    struct tensor x = {dev_new(st->s, h, tokens * stride * 4), DT_F32, tokens, cols, stride};
    free(h);
    return x;
}

/* One call: the next count[i] tokens of sequence seq[i]; out: all tokens' results. */
static void step(struct state *st, int n, const int32_t *seq, const int32_t *count, float *out)
{
    const struct subject *s = st->s;
    const struct input *in = st->in;
    struct span span[SEQS];
    int32_t tokens = 0;
    for (int i = 0; i < n; i++) {
        span[i] = (struct span){tokens, count[i], st->done[seq[i]], seq[i] * MAX_PAGES};
        tokens += count[i];
        st->done[seq[i]] += count[i];
    }
    struct spans sp = {.host = span, .host_pages = st->pages, .n = n};
    void *dspan = dev_new(s, span, (int64_t)sizeof span);
    void *dpages = dev_new(s, st->pages, (int64_t)sizeof st->pages);
    sp.dev = dspan;
    sp.dev_pages = dpages;
    struct tensor q = pick(st, &sp, in->q, in->qcols, seq, tokens);
    struct tensor k = pick(st, &sp, in->k, in->kcols, seq, tokens);
    struct tensor v = pick(st, &sp, in->v, in->kcols, seq, tokens);
    struct attention_args a = {in->c.heads,
                               in->c.kv_heads,
                               in->c.dim,
                               1,
                               1 / sqrtf((float)in->c.dim),
                               in->c.window,
                               in->c.soft_cap,
                               in->c.sinks ? st->sinks : NULL};
    int64_t stride = in->qcols + 1, bytes = tokens * stride * dtype_size(in->c.yt);
    struct tensor y = {dev_new(s, NULL, bytes), in->c.yt, tokens, in->qcols, stride};
    s->o->kv_write(s->d, st->kv, 1, &k, &v, &sp);
    s->o->attention(s->d, &y, &q, st->kv, &sp, &a);
    char *h = xmalloc((size_t)bytes);
    dev_get(s, h, y.data, bytes);
    for (int i = 0; i < n; i++)
        for (int32_t t = 0; t < count[i]; t++)
            for (int64_t c = 0; c < in->qcols; c++)
                out[(in->base[seq[i]] + span[i].start + t) * in->qcols + c] = from_type(
                    h, in->c.yt, (span[i].first + t) * stride + c);
    free(h);
    s->o->free(s->d, q.data);
    s->o->free(s->d, k.data);
    s->o->free(s->d, v.data);
    s->o->free(s->d, y.data);
    s->o->free(s->d, dspan);
    s->o->free(s->d, dpages);
}

/* All sequences in one call. */
static void run_whole(const struct subject *s, const struct input *in, float *out)
{
    static const int32_t all[SEQS] = {0, 1, 2, 3, 4};
    struct state st = state_new(s, in);
    step(&st, SEQS, all, lengths, out);
    state_free(&st);
}

/* Pieces of `piece` tokens; in each call one more of every sequence that has some left, in
 * descending order. */
static void run_pieces(const struct subject *s, const struct input *in, int32_t piece,
                       float *out)
{
    struct state st = state_new(s, in);
    for (;;) {
        int32_t seq[SEQS], count[SEQS];
        int n = 0;
        for (int32_t i = SEQS - 1; i >= 0; i--)
            if (st.done[i] < lengths[i]) {
                int32_t left = lengths[i] - st.done[i];
                seq[n] = i;
                count[n++] = left < piece ? left : piece;
            }
        if (n == 0)
            break;
        step(&st, n, seq, count, out);
    }
    state_free(&st);
}

/* Every sequence alone, after its pages have been filled with NaN by another one. */
static void run_alone(const struct subject *s, const struct input *in, float *out)
{
    struct input bad = *in;
    bad.k = xmalloc_n((size_t)(in->tokens * in->kcols), 4);
    for (int64_t i = 0; i < in->tokens * in->kcols; i++)
        bad.k[i] = (float)NAN;
    bad.v = bad.k;
    float *dirt = xmalloc_n((size_t)(in->tokens * in->qcols), 4);
    for (int32_t i = 0; i < SEQS; i++) {
        struct state st = state_new(s, in);
        int32_t four = 4;
        st.in = &bad;
        step(&st, 1, &four, &lengths[4], dirt);
        st.in = in;
        st.done[4] = 0;
        memcpy(st.pages + i * MAX_PAGES, st.pages + 4 * MAX_PAGES,
               MAX_PAGES * sizeof *st.pages);
        step(&st, 1, &i, &lengths[i], out);
        state_free(&st);
    }
    free(bad.k);
    free(dirt);
}

/* Sequence 4 is prefilled up to 70; another takes over its first two pages as they are and a
 * copy of the third, and computes the rest. */
static void run_shared(const struct subject *s, const struct input *in, float *out)
{
    struct state st = state_new(s, in);
    int32_t seq = 4, head = 70, tail = lengths[4] - head;
    step(&st, 1, &seq, &head, out);
    int32_t *list = st.pages + 4 * MAX_PAGES;
    s->o->kv_copy_page(s->d, st.kv, st.pages[0], list[2]);
    list[2] = st.pages[0];
    step(&st, 1, &seq, &tail, out);
    state_free(&st);
}

static void check_same(const struct input *in, const struct subject *s, const char *what,
                       const float *a, const float *b, int32_t first)
{
    int wrong = 0;
    for (int64_t t = first; t < in->tokens; t++)
        wrong += !same_bits(a + t * in->qcols, b + t * in->qcols, in->qcols);
    CHECK_MSG(wrong == 0, "%d/%d heads of %d, %s, %s: %d tokens differ", in->c.heads,
              in->c.kv_heads, in->c.dim, s->name, what, wrong);
}

static void check_config(const struct config *c)
{
    struct input in = input_new(c);
    size_t n = (size_t)(in.tokens * in.qcols);
    float *out[SUBJECTS_MAX], *other = xcalloc(n, sizeof *other);
    /* Values have the size 1 and scores some 10, whose rounding comes through exp: 10 x 2^-24;
     * the chains and exp's two units add as much again, and there is room for three times that.
     * A bf16 result may lie on the other side of a tie. */
    double tol = 4e-6, rel = c->yt == DT_BF16 ? 0x1p-7 : 0;
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        out[i] = xmalloc_n(n, sizeof *out[i]);
        double worst = 0;
        run_whole(s, &in, out[i]);
        for (int64_t t = 0; t < in.tokens; t++) {
            double e = row_error(out[i] + t * in.qcols, out[0] + t * in.qcols, in.qcols, tol,
                                 rel);
            worst = e > worst ? e : worst;
        }
        CHECK_MSG(worst <= 1, "%d/%d heads of %d, %s: %g tolerances from ref", c->heads,
                  c->kv_heads, c->dim, s->name, worst);
        check_same(&in, s, "another subject", out[i], out[sibling(i)], 0);
        for (int32_t piece = 1; piece <= 64; piece += piece == 1 ? 6 : 57) {
            run_pieces(s, &in, piece, other);
            check_same(&in, s, "in pieces", other, out[i], 0);
        }
        run_alone(s, &in, other);
        check_same(&in, s, "alone, in used pages", other, out[i], 0);
        run_shared(s, &in, other);
        check_same(&in, s, "behind a shared prefix", other, out[i], in.base[4]);
    }
    for (int i = 0; i < n_subjects; i++)
        free(out[i]);
    free(other);
    input_free(&in);
}

int main(void)
{
    static const struct config configs[] = {
        {1, 1, 1, DT_F32, DT_F32, 0, 0, false},     {4, 2, 16, DT_F32, DT_F32, 0, 0, false},
        {7, 1, 24, DT_BF16, DT_BF16, 16, 0, false}, {6, 3, 17, DT_F32, DT_F32, 33, 20, false},
        {2, 2, 128, DT_BF16, DT_F32, 0, 0, true},   {37, 1, 8, DT_F32, DT_BF16, 1, 5, true},
        {4, 4, 80, DT_F32, DT_F32, 50, 0, true}};
    open_subjects(&(struct dev_limits){512, 1, 64, 256, 1, 8192, 0, 0});
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        check_config(&configs[i]);
    close_subjects();
    return unit_done("dev_attention");
}
