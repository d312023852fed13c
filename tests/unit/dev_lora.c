/* dev_lora.c - adapters' rows in a call: lora_a and lora_b behind a product. */
#include "dev_rows.h"

/* As in dev_linear.c: the roundings of two chains, the second over the first one's results. */
static double tol_of(int64_t k, int64_t rank)
{
    return 0x1p-23 * (16 + 3 * sqrt((double)k) + 3 * sqrt((double)rank));
}

enum { ADAPTERS = 3 };

/* Adapter 0 is none.  Ranks differ, and so do the types that weights are kept in. */
struct adapters {
    int64_t n, k, rank[ADAPTERS + 1], most;
    float scale[ADAPTERS + 1];
    float *a[ADAPTERS + 1], *b[ADAPTERS + 1];
    struct weight *wa[SUBJECTS_MAX][ADAPTERS + 1], *wb[SUBJECTS_MAX][ADAPTERS + 1];
};

static struct weight *weight_of(const struct subject *s, const float *from, int64_t n,
                                int64_t k, enum dtype t)
{
    struct err e = {0};
    struct weight_source src = {from, DT_F32, k, false, NULL};
    struct weight *w = s->o->weight_new(s->d, &(struct weight_shape){n, k, 0, t}, &e);
    if (!w || s->o->weight_rows(s->d, w, 0, 0, n, &src, &e) < 0)
        die_err(&e);
    return w;
}

static void adapters_init(struct adapters *a, int64_t n, int64_t k, const int64_t *ranks)
{
    *a = (struct adapters){.n = n, .k = k};
    for (int i = 1; i <= ADAPTERS; i++) {
        enum dtype t = i == 2 ? DT_BF16 : DT_F32;
        a->rank[i] = ranks[i - 1];
        a->most = a->rank[i] > a->most ? a->rank[i] : a->most;
        a->scale[i] = (float)i * 0.37f;
        a->a[i] = random_floats(a->rank[i] * k, 0.1f);
        a->b[i] = random_floats(n * a->rank[i], 0.3f);
        for (int s = 0; s < n_subjects; s++) {
            a->wa[s][i] = weight_of(&subjects[s], a->a[i], a->rank[i], k, t);
            a->wb[s][i] = weight_of(&subjects[s], a->b[i], n, a->rank[i], t);
        }
    }
}

static void adapters_release(struct adapters *a)
{
    for (int i = 1; i <= ADAPTERS; i++) {
        for (int s = 0; s < n_subjects; s++) {
            subjects[s].o->weight_free(subjects[s].d, a->wa[s][i]);
            subjects[s].o->weight_free(subjects[s].d, a->wb[s][i]);
        }
        free(a->a[i]);
        free(a->b[i]);
    }
}

/* Runs of rows that have the same adapter. */
static int32_t group(const struct adapters *a, int64_t subject, const int32_t *adapter,
                     int64_t rows, struct lora_rows *out)
{
    int32_t n = 0;
    for (int32_t r = 0, end; r < rows; r = end) {
        int32_t i = adapter[r];
        for (end = r + 1; end < rows && adapter[end] == i;)
            end++;
        if (i)
            out[n++] = (struct lora_rows){r, end - r, a->wa[subject][i], a->wb[subject][i],
                                          a->scale[i]};
    }
    return n;
}

/* The base product, then each row's adapter; what lies in t beforehand is NaN. */
static void run_lora(const struct subject *s, const struct row_op *op, const struct tensor *y,
                     const struct tensor *x, const void *adapter)
{
    const struct adapters *a = op->arg;
    int64_t stride = a->most + 2, bytes = x->rows * stride * 4;
    int32_t *mine = xmalloc_n((size_t)x->rows, sizeof *mine);
    struct lora_rows *groups = xmalloc_n((size_t)x->rows, sizeof *groups);
    float *nan = xmalloc((size_t)bytes);
    memset(nan, 0xff, (size_t)bytes);
    dev_get(s, mine, adapter, x->rows * 4);
    int32_t n = group(a, s - subjects, mine, x->rows, groups);
    void *dt = dev_new(s, nan, bytes);
    struct tensor t = {dt, DT_F32, x->rows, a->most, stride};
    s->o->linear(s->d, y, x, op->weight, op->dev_aux);
    s->o->lora_a(s->d, &t, x, groups, n);
    s->o->lora_b(s->d, y, &t, groups, n);
    dev_get(s, nan, dt, bytes); /* has run before the memory goes */
    s->o->free(s->d, dt);
    free(nan);
    free(groups);
    free(mine);
}

static void one(int64_t rows, int64_t n, int64_t k, const int64_t *ranks, enum dtype xt)
{
    struct adapters a;
    int32_t adapter[256];
    float *x = random_floats(rows * k, 1), *w = random_floats(n * k, 0.1f);
    float *bias = random_floats(n, 1);
    adapters_init(&a, n, k, ranks);
    for (int64_t i = 0; i < rows * k && xt == DT_BF16; i++)
        x[i] = bf16_to_f32(bf16_from_f32(x[i]));
    for (int64_t r = 0; r < rows; r++)
        adapter[r] = (int32_t)(random_u32() % (ADAPTERS + 1));
    struct row_op op = {.in = k,
                        .out = n,
                        .xt = xt,
                        .run = run_lora,
                        .arg = &a,
                        .w = w,
                        .n = n,
                        .k = k,
                        .aux = bias,
                        .n_aux = n,
                        .tol = tol_of(k, a.most)};
    snprintf(op.what, sizeof op.what, "lora %d x %d x %d, ranks to %d, x %s", (int)rows, (int)n,
             (int)k, (int)a.most, xt == DT_F32 ? "f32" : "bf16");
    check_rows(&op, x, adapter, rows);
    for (int64_t r = 0; r < rows; r++) /* one long group, more rows than a tile has */
        adapter[r] = 3;
    check_rows(&op, x, adapter, rows);
    adapters_release(&a);
    free(x);
    free(w);
    free(bias);
}

/* ---- experts ---------------------------------------------------------------- */

enum { EXPERTS = 5 };

/* What an expert adapter is tested with: one weight of all experts for each of A and B. */
struct expert_case {
    int64_t rank;
    float *a, *b;
    struct weight *wa[SUBJECTS_MAX], *wb[SUBJECTS_MAX];
};

static struct weight *experts_of(const struct subject *s, const float *from, int64_t n,
                                 int64_t k, enum dtype t)
{
    struct err e = {0};
    struct weight *w = s->o->weight_new(s->d, &(struct weight_shape){n, k, EXPERTS, t}, &e);
    for (int64_t i = 0; i < EXPERTS && w; i++) {
        struct weight_source src = {.data = from + i * n * k, .dtype = DT_F32, .stride = k};
        if (s->o->weight_rows(s->d, w, i, 0, n, &src, &e) < 0)
            w = NULL;
    }
    if (!w)
        die_err(&e);
    return w;
}

static struct routing routing_new(const struct subject *s, int64_t tokens)
{
    return (struct routing){.experts = EXPERTS,
                            .used = 1,
                            .expert = dev_new(s, NULL, tokens * 4),
                            .weight = dev_new(s, NULL, tokens * 4),
                            .row = dev_new(s, NULL, tokens * 4),
                            .token = dev_new(s, NULL, tokens * 4),
                            .first = dev_new(s, NULL, (EXPERTS + 1) * 4)};
}

static void routing_free(const struct subject *s, struct routing *r)
{
    void *const all[] = {r->expert, r->weight, r->row, r->token, r->first};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        s->o->free(s->d, all[i]);
}

/* `at` is a token's expert and, above it, whose it is; rows come back to their places. */
static void run_experts(const struct subject *s, const struct row_op *op,
                        const struct tensor *y, const struct tensor *x, const void *at)
{
    const struct expert_case *c = op->arg;
    int64_t T = x->rows;
    int32_t *what = xmalloc_n((size_t)T, 4), *whose = xmalloc_n((size_t)T, 4);
    float *hot = xcalloc((size_t)(T * EXPERTS), 4);
    struct err e = {0};
    dev_get(s, what, at, T * 4);
    for (int64_t t = 0; t < T; t++) {
        hot[t * EXPERTS + what[t] % EXPERTS] = 1;
        whose[t] = what[t] / EXPERTS;
    }
    void *dlogits = dev_new(s, hot, T * EXPERTS * 4), *dwhose = dev_new(s, whose, T * 4);
    struct tensor logits = {dlogits, DT_F32, T, EXPERTS, EXPERTS};
    struct tensor xs = {dev_new(s, NULL, T * x->cols * 4), x->dtype, T, x->cols, x->cols};
    struct tensor ys = {dev_new(s, NULL, T * (y->cols + 3) * 4), DT_F32, T, y->cols,
                        y->cols + 3};
    struct tensor ts = {dev_new(s, NULL, T * (c->rank + 2) * 4), DT_F32, T, c->rank,
                        c->rank + 2};
    struct routing r = routing_new(s, T);
    s->o->route(s->d, &r, &logits, &(struct route_args){false, 1});
    s->o->gather_rows(s->d, &xs, x, r.token);
    s->o->linear_grouped(s->d, &ys, &xs, op->weight, op->dev_aux, &r);
    s->o->linear_grouped(s->d, &ts, &xs, c->wa[s - subjects], NULL, &r);
    s->o->lora_b_grouped(s->d, &ys, &ts,
                         &(struct lora_grouped){c->wb[s - subjects], 0.7f, dwhose, 2}, &r);
    s->o->gather_rows(s->d, y, &ys, r.row);
    CHECK(s->o->sync(s->d, &e) == 0);
    routing_free(s, &r);
    void *const all[] = {dlogits, dwhose, xs.data, ys.data, ts.data};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        s->o->free(s->d, all[i]);
    free(what);
    free(whose);
    free(hot);
}

static void one_experts(int64_t rows, int64_t n, int64_t k, int64_t rank, enum dtype t)
{
    struct expert_case c = {.rank = rank,
                            .a = random_floats(EXPERTS * rank * k, 0.1f),
                            .b = random_floats(EXPERTS * n * rank, 0.3f)};
    int32_t what[256];
    float *x = random_floats(rows * k, 1), *w = random_floats(EXPERTS * n * k, 0.1f);
    float *bias = random_floats(EXPERTS * n, 1);
    for (int i = 0; i < n_subjects; i++) {
        c.wa[i] = experts_of(&subjects[i], c.a, rank, k, t);
        c.wb[i] = experts_of(&subjects[i], c.b, n, rank, t);
    }
    for (int64_t i = 0; i < rows; i++) /* one expert has most rows; a third are mine */
        what[i] = (int32_t)(i % 3 ? 2 : random_u32() % EXPERTS) +
                  (int32_t)(random_u32() % 3) * EXPERTS;
    struct row_op op = {.in = k,
                        .out = n,
                        .run = run_experts,
                        .arg = &c,
                        .w = w,
                        .n = n,
                        .k = k,
                        .experts = EXPERTS,
                        .aux = bias,
                        .n_aux = EXPERTS * n,
                        .tol = tol_of(k, rank)};
    snprintf(op.what, sizeof op.what, "lora of experts %d x %d x %d, rank %d", (int)rows,
             (int)n, (int)k, (int)rank);
    check_rows(&op, x, what, rows);
    for (int i = 0; i < n_subjects; i++) {
        subjects[i].o->weight_free(subjects[i].d, c.wa[i]);
        subjects[i].o->weight_free(subjects[i].d, c.wb[i]);
    }
    free(c.a);
    free(c.b);
    free(x);
    free(w);
    free(bias);
}

/* Rows without an adapter keep the bits of the product alone. */
static void test_none(void)
{
    enum { ROWS = 5, N = 19, K = 23 };
    static const int64_t ranks[ADAPTERS] = {4, 2, 1};
    struct adapters a;
    int32_t adapter[ROWS] = {0, 2, 0, 1, 0};
    float *x = random_floats(ROWS * K, 1), *w = random_floats(N * K, 0.1f);
    float with[ROWS * N], without[ROWS * N];
    adapters_init(&a, N, K, ranks);
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct row_op op = {.weight = weight_of(s, w, N, K, DT_F32), .arg = &a};
        void *dx = dev_new(s, x, ROWS * K * 4), *dy = dev_new(s, NULL, ROWS * N * 4);
        void *da = dev_new(s, adapter, sizeof adapter);
        struct tensor tx = {dx, DT_F32, ROWS, K, K}, ty = {dy, DT_F32, ROWS, N, N};
        s->o->linear(s->d, &ty, &tx, op.weight, NULL);
        dev_get(s, without, dy, sizeof without);
        run_lora(s, &op, &ty, &tx, da);
        dev_get(s, with, dy, sizeof with);
        for (int r = 0; r < ROWS; r++)
            CHECK(same_bits(with + r * N, without + r * N, N) == !adapter[r]);
        s->o->free(s->d, dx);
        s->o->free(s->d, dy);
        s->o->free(s->d, da);
        s->o->weight_free(s->d, op.weight);
    }
    adapters_release(&a);
    free(x);
    free(w);
}

int main(void)
{
    static const int64_t ranks[][ADAPTERS] = {{1, 1, 1}, {3, 8, 5}, {16, 64, 17}, {8, 4, 130}};
    static const int64_t shapes[][3] = {{1, 1, 1}, {9, 33, 31}, {40, 130, 97}, {110, 61, 256}};
    open_subjects(&(struct dev_limits){128, 128, 64, 256, 4096, 5003, EXPERTS, 1});
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (enum dtype t = DT_F32; t <= DT_BF16; t++)
            one(shapes[i][0], shapes[i][1], shapes[i][2], ranks[i], t);
    one_experts(1, 1, 1, 1, DT_F32);
    one_experts(9, 33, 31, 3, DT_BF16);
    one_experts(120, 130, 97, 16, DT_F32);
    one_experts(64, 61, 256, 70, DT_BF16);
    test_none();
    close_subjects();
    return unit_done("dev_lora");
}
