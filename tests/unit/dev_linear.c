/* dev_linear.c - matrix products, the head, and weights from every kind of source. */
#include "dev_rows.h"

/* One unit of bf16, where the f32 results lie on two sides of a tie. */
static double rel_of(enum dtype t)
{
    return t == DT_BF16 ? 0x1p-7 : 0;
}

static int32_t pos[256];

/* Activations as they come: f32, or already rounded to bf16. */
static float *rows_of(int64_t n, enum dtype t)
{
    float *x = random_floats(n, 1);
    for (int64_t i = 0; t == DT_BF16 && i < n; i++)
        x[i] = bf16_to_f32(bf16_from_f32(x[i]));
    return x;
}

static const char *kind(enum dtype t)
{
    return t == DT_F32 ? "f32" : "bf16";
}

/* ---- linear -------------------------------------------------------------------- */

static void run_linear(const struct subject *s, const struct row_op *op, const struct tensor *y,
                       const struct tensor *x, const void *unused)
{
    (void)unused;
    s->o->linear(s->d, y, x, op->weight, op->dev_aux);
}

static void one_linear(int64_t rows, int64_t n, int64_t k, enum dtype wt, enum dtype xt,
                       enum dtype yt, bool bias)
{
    float *x = rows_of(rows * k, xt), *w = random_floats(n * k, 0.05f),
          *b = random_floats(n, 1);
    struct row_op op = {.in = k,
                        .out = n,
                        .xt = xt,
                        .yt = yt,
                        .run = run_linear,
                        .w = w,
                        .n = n,
                        .k = k,
                        .wt = wt,
                        .aux = bias ? b : NULL,
                        .n_aux = n,
                        .tol = chain_tol(k),
                        .rel = rel_of(yt)};
    snprintf(op.what, sizeof op.what, "linear %d x %d x %d, w %s, x %s, y %s", (int)rows,
             (int)n, (int)k, kind(wt), kind(xt), kind(yt));
    check_rows(&op, x, pos, rows);
    free(x);
    free(w);
    free(b);
}

static void test_linear(void)
{
    static const int64_t shapes[][3] = {{1, 1, 1},     {5, 17, 3},    {7, 33, 31},
                                        {13, 127, 97}, {70, 256, 64}, {26, 520, 130},
                                        {100, 61, 193}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < 8; t++)
            one_linear(shapes[i][0], shapes[i][1], shapes[i][2], (enum dtype)(t & 1),
                       (enum dtype)(t >> 1 & 1), (enum dtype)(t >> 2 & 1), t & 1);
    /* Long chains, that many rows interrupt. */
    one_linear(98, 31, 4100, DT_F32, DT_F32, DT_F32, false);
    one_linear(98, 31, 4101, DT_BF16, DT_BF16, DT_F32, true);
    one_linear(3, 210, 5003, DT_BF16, DT_F32, DT_BF16, true);
}

/* ---- the head -------------------------------------------------------------------- */

static void run_logits(const struct subject *s, const struct row_op *op, const struct tensor *y,
                       const struct tensor *x, const void *unused)
{
    struct head h = *(const struct head *)op->arg;
    (void)unused;
    h.weight = op->weight;
    s->o->head_logits(s->d, y, x, &h);
}

static void run_logprob(const struct subject *s, const struct row_op *op,
                        const struct tensor *y, const struct tensor *x, const void *ids)
{
    struct head h = *(const struct head *)op->arg;
    h.weight = op->weight;
    s->o->head_logprob(s->d, y->data, x, &h, ids);
}

/* The ids, or (where y is f32) their log-probabilities. */
static void run_argmax(const struct subject *s, const struct row_op *op, const struct tensor *y,
                       const struct tensor *x, const void *unused)
{
    struct head h = *(const struct head *)op->arg;
    struct err e = {0};
    (void)unused;
    h.weight = op->weight;
    void *other = dev_new(s, NULL, x->rows * 4);
    if (y->dtype == DT_I32)
        s->o->head_argmax(s->d, y->data, other, x, &h);
    else
        s->o->head_argmax(s->d, other, y->data, x, &h);
    CHECK(s->o->sync(s->d, &e) == 0);
    s->o->free(s->d, other);
}

static void one_head(int64_t rows, int64_t vocab, int64_t k, enum dtype t, struct head h)
{
    float *x = rows_of(rows * k, t), *w = random_floats(vocab * k, 0.3f);
    struct row_op op = {.in = k,
                        .out = vocab,
                        .xt = t,
                        .run = run_logits,
                        .arg = &h,
                        .w = w,
                        .n = vocab,
                        .k = k,
                        .wt = t,
                        .tol = chain_tol(k)};
    if (h.soft_cap > 0)
        op.tol += 1e-6; /* own tanh */
    snprintf(op.what, sizeof op.what, "head_logits %d x %d x %d, %s", (int)rows, (int)vocab,
             (int)k, kind(t));
    check_rows(&op, x, pos, rows);
    for (int64_t r = 0; r < rows; r++)
        pos[r] = (int32_t)(random_u32() % (uint32_t)vocab);
    /* A difference of numbers of about 5: absolute, not relative, but never under a unit. */
    op.out = 1;
    op.flat = true;
    op.tol = 2 * chain_tol(k) + 2e-6;
    op.rel = 2e-6;
    op.run = run_logprob;
    snprintf(op.what, sizeof op.what, "head_logprob %d x %d x %d, %s", (int)rows, (int)vocab,
             (int)k, kind(t));
    if (vocab > 1)
        check_rows(&op, x, pos, rows);
    snprintf(op.what, sizeof op.what, "head_argmax %d x %d x %d, %s", (int)rows, (int)vocab,
             (int)k, kind(t));
    op.run = run_argmax;
    if (vocab > 1)
        check_rows(&op, x, pos, rows);
    op.yt = DT_I32;
    op.tol = op.rel = 0;
    check_rows(&op, x, pos, rows);
    free(x);
    free(w);
}

static void test_head(void)
{
    static const int64_t shapes[][3] = {
        {1, 1, 3}, {5, 513, 17}, {67, 1500, 64}, {3, 3001, 131}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (enum dtype t = DT_F32; t <= DT_BF16; t++) {
            one_head(shapes[i][0], shapes[i][1], shapes[i][2], t, (struct head){NULL, 1, 0});
            one_head(shapes[i][0], shapes[i][1], shapes[i][2], t,
                     (struct head){NULL, 0.5f, 15});
        }
}

/* Among equal logits the lowest id wins, in a chunk and between chunks. */
static void test_ties(void)
{
    static const int32_t best[] = {1300, 700, 701, 1499};
    float *x = random_floats(4 * 8, 1), *w = random_floats(1500 * 8, 0.01f);
    for (int c = 0; c < 32; c++)
        x[c] = 1;
    for (int b = 0; b < 4; b++)
        for (int c = 0; c < 8; c++)
            w[best[b] * 8 + c] = 0.5f;
    struct head h = {NULL, 1, 0};
    struct row_op op = {.in = 8,
                        .out = 1,
                        .flat = true,
                        .yt = DT_I32,
                        .run = run_argmax,
                        .arg = &h,
                        .w = w,
                        .n = 1500,
                        .k = 8};
    snprintf(op.what, sizeof op.what, "head_argmax with ties");
    check_rows(&op, x, pos, 4);
    const int32_t order[] = {0, 1, 2, 3};
    for (int i = 0; i < n_subjects; i++) {
        float id[4];
        prepare(&subjects[i], &op);
        apply(&subjects[i], &op, x, pos, order, 4, id);
        CHECK(id[0] == 700 && id[3] == 700);
        unprepare(&subjects[i], &op);
    }
    free(x);
    free(w);
}

/* ---- weights ---------------------------------------------------------------------- */

/* f32 to f16, for zero and what is a normal f16 exactly. */
static uint16_t to_f16(float f)
{
    uint32_t u = f32_bits(f), sign = u >> 16 & 0x8000;
    return (uint16_t)(f == 0 ? sign : sign | (((u & 0x7fffffff) >> 13) - (112 << 10)));
}

/* Rows 0..n-1 of a weight of [n, k] in two parts, from unaligned memory of one type and layout,
 * then read back by embed. */
static void one_source(const struct subject *s, enum dtype src, bool transposed,
                       enum dtype kept, int64_t k)
{
    enum { N = 37 };
    int64_t size = dtype_size(src), stride = transposed ? N + 2 : k + 5, wrong = 0;
    char *file = xcalloc((size_t)((transposed ? k : N) * stride * size + 1), 1);
    float *want = xmalloc_n((size_t)(N * k), 4), *got = xmalloc_n((size_t)(N * k), 4);
    for (int64_t i = 0; i < N * k; i++) {
        want[i] = (float)(int)(random_u32() % 15 - 7) * 0.125f; /* exact in every type */
        uint16_t h = src == DT_F16 ? to_f16(want[i]) : bf16_from_f32(want[i]);
        int64_t at = transposed ? i % k * stride + i / k : i / k * stride + i % k;
        memcpy(file + 1 + at * size, src == DT_F32 ? (void *)&want[i] : (void *)&h,
               (size_t)size);
    }
    struct err e = {0};
    struct weight *w = s->o->weight_new(s->d, &(struct weight_shape){N, k, 0, kept}, &e);
    int64_t cut = 19, skip = cut * (transposed ? 1 : stride) * size;
    struct weight_source a = {file + 1, src, stride, transposed, NULL};
    struct weight_source b = {file + 1 + skip, src, stride, transposed, NULL};
    CHECK(w && s->o->weight_rows(s->d, w, 0, cut, N - cut, &b, &e) == 0);
    CHECK(w && s->o->weight_rows(s->d, w, 0, 0, cut, &a, &e) == 0);
    int32_t ids[N];
    for (int i = 0; i < N; i++)
        ids[i] = i;
    void *dids = dev_new(s, ids, sizeof ids), *dy = dev_new(s, NULL, N * k * 4);
    s->o->embed(s->d, &(struct tensor){dy, DT_F32, N, k, k}, w, dids, 1);
    dev_get(s, got, dy, N * k * 4);
    for (int64_t i = 0; i < N * k; i++)
        wrong += got[i] != want[i];
    CHECK_MSG(wrong == 0, "%s: source type %d, transposed %d, kept %d, k %d: %d wrong", s->name,
              (int)src, transposed, (int)kept, (int)k, (int)wrong);
    s->o->free(s->d, dids);
    s->o->free(s->d, dy);
    s->o->weight_free(s->d, w);
    free(file);
    free(want);
    free(got);
}

static void test_sources(void)
{
    for (int i = 0; i < n_subjects; i++)
        for (enum dtype src = DT_F32; src <= DT_F16; src++)
            for (int t = 0; t < 4; t++) {
                one_source(&subjects[i], src, t & 1, (enum dtype)(t >> 1), 35);
                one_source(&subjects[i], src, t & 1, (enum dtype)(t >> 1), 64);
            }
}

/* Every 16-bit pattern widens and rounds as it should. */
static void test_halves(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = bf16_to_f32((uint16_t)h);
        if (isnan(f))
            CHECK(isnan(bf16_to_f32(bf16_from_f32(f))));
        else if (bf16_from_f32(f) != h)
            CHECK(!"bf16 changed by widening and rounding");
    }
    CHECK(bf16_from_f32(0x1.01p0f) == bf16_from_f32(1));         /* tie to even: down */
    CHECK(bf16_from_f32(0x1.03p0f) == bf16_from_f32(0x1.04p0f)); /* tie to even: up */
    CHECK(bf16_from_f32(0x1.010002p0f) == bf16_from_f32(0x1.02p0f));
    CHECK(isinf(bf16_to_f32(bf16_from_f32(3.4e38f))));
    CHECK(f16_to_f32(0x3c00) == 1 && f16_to_f32(0xc000) == -2 && f16_to_f32(0x7bff) == 65504);
    CHECK(f16_to_f32(1) == 0x1p-24f && f16_to_f32(0x83ff) == -0x3ffp-24f);
    CHECK(isinf(f16_to_f32(0xfc00)) && isnan(f16_to_f32(0x7e00)) &&
          signbit(f16_to_f32(0x8000)));
}

/* ---- refusals ------------------------------------------------------------------------ */

static void test_refusals(void)
{
    struct err e = {0};
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        CHECK(!s->o->alloc(s->d, -1, &e) && e.status == EXIT_OS);
        CHECK(!s->o->alloc(s->d, INT64_MAX - 8, &e) && e.status == EXIT_OS);
        struct weight_shape huge = {INT64_MAX / 2, 3, 0, DT_F32}, none = {0, 3, 0, DT_F32};
        struct weight_shape half = {3, 3, 0, DT_F16},
                            many = {1 << 20, 1 << 20, 1 << 30, DT_F32};
        CHECK(!s->o->weight_new(s->d, &huge, &e) && e.status == EXIT_OS);
        CHECK(!s->o->weight_new(s->d, &many, &e) && e.status == EXIT_OS);
        CHECK(!s->o->weight_new(s->d, &none, &e) && e.status == EXIT_CONFIG);
        CHECK(!s->o->weight_new(s->d, &half, &e) && e.status == EXIT_CONFIG);
        struct kv_shape wide = {1, 1, 1 << 20, 1, DT_F32}, odd = {1, 1, 16, 1, DT_U8};
        struct kv_shape big = {INT32_MAX, INT32_MAX, 512, INT32_MAX, DT_F32};
        CHECK(!s->o->kv_new(s->d, &wide, &e) && e.status == EXIT_CONFIG);
        CHECK(!s->o->kv_new(s->d, &odd, &e) && e.status == EXIT_CONFIG);
        CHECK(!s->o->kv_new(s->d, &big, &e) && e.status == EXIT_OS);
        struct weight *w = s->o->weight_new(s->d, &(struct weight_shape){4, 3, 2, DT_F32}, &e);
        float data[12] = {0};
        struct weight_source src = {data, DT_F32, 3, false, NULL};
        struct weight_source narrow = {data, DT_F32, 2, false, NULL};
        CHECK(s->o->weight_rows(s->d, w, 1, 0, 4, &src, &e) == 0);
        CHECK(s->o->weight_rows(s->d, w, 2, 0, 4, &src, &e) < 0 && e.status == EXIT_CONFIG);
        CHECK(s->o->weight_rows(s->d, w, 0, 1, 4, &src, &e) < 0);
        CHECK(s->o->weight_rows(s->d, w, 0, 0, 4, &narrow, &e) < 0);
        s->o->weight_free(s->d, w);
    }
    const struct dev_ops *cpu = dev_find("cpu");
    CHECK(!cpu->open(&(struct dev_config){.threads = 1, .isa = "avx1024"}, &e));
    CHECK(e.status == EXIT_DEVICE && strstr(e.text, "avx1024"));
    CHECK(!dev_find("abacus"));
}

int main(void)
{
    open_subjects(&(struct dev_limits){128, 128, 64, 256, 4096, 5003, 0, 0});
    test_halves();
    test_linear();
    test_head();
    test_ties();
    test_sources();
    test_refusals();
    close_subjects();
    return unit_done("dev_linear");
}
