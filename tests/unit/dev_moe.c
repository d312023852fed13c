/* dev_moe.c - routing, products by expert and their sums against ref; MXFP4 weights.
 *
 * Tolerances as in dev_linear.c.
 */
#include "dev_rows.h"

enum { ROWS = 128, EXPERTS = 128, USED = 8 };

/* One unit of bf16, where the f32 results lie on two sides of a tie. */
static double rel_of(enum dtype t)
{
    return t == DT_BF16 ? 0x1p-7 : 0;
}

static const char *kind(enum dtype t)
{
    return t == DT_F32 ? "f32" : t == DT_BF16 ? "bf16" : "mxfp4";
}

static int32_t pos[ROWS];

/* ---- routing on a device ------------------------------------------------------- */

static struct routing routing_new(const struct subject *s, int64_t tokens, int32_t experts,
                                  int32_t used)
{
    int64_t bytes = tokens * used * 4;
    return (struct routing){.experts = experts,
                            .used = used,
                            .expert = dev_new(s, NULL, bytes),
                            .weight = dev_new(s, NULL, bytes),
                            .row = dev_new(s, NULL, bytes),
                            .token = dev_new(s, NULL, bytes),
                            .first = dev_new(s, NULL, (experts + 1) * 4)};
}

static void routing_free(const struct subject *s, struct routing *r)
{
    void *const all[] = {r->expert, r->weight, r->row, r->token, r->first};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        s->o->free(s->d, all[i]);
}

static struct tensor tensor_new(const struct subject *s, enum dtype t, int64_t rows,
                                int64_t cols)
{
    int64_t stride = cols + 3;
    return (struct tensor){dev_new(s, NULL, rows * stride * dtype_size(t)), t, rows, cols,
                           stride};
}

/* ---- route ----------------------------------------------------------------------- */

struct route_case {
    int32_t experts, used;
    struct route_args a;
};

/* The experts, or (where y is f32) their weights. */
static void run_route(const struct subject *s, const struct row_op *op, const struct tensor *y,
                      const struct tensor *x, const void *unused)
{
    const struct route_case *c = op->arg;
    struct routing r = routing_new(s, x->rows, c->experts, c->used);
    float *host = xmalloc_n((size_t)(x->rows * c->used), 4);
    (void)unused;
    s->o->route(s->d, &r, x, &c->a);
    dev_get(s, host, y->dtype == DT_I32 ? (void *)r.expert : r.weight, x->rows * c->used * 4);
    for (int64_t t = 0; t < x->rows; t++)
        s->o->upload(s->d, (float *)y->data + t * y->stride, host + t * c->used, c->used * 4);
    struct err e = {0};
    CHECK(s->o->sync(s->d, &e) == 0);
    routing_free(s, &r);
    free(host);
}

/* `steps`: how fine the logits are; coarse ones are often equal. */
static void one_route(int32_t experts, int32_t used, bool over_all, float steps)
{
    const struct route_case c = {experts, used, {over_all, over_all ? 2.5f : 1}};
    float *x = random_floats((int64_t)ROWS * experts, 2);
    for (int64_t i = 0; i < (int64_t)ROWS * experts; i++)
        x[i] = rintf(x[i] * steps) / steps;
    struct row_op op = {.in = experts, .out = used, .run = run_route, .arg = &c};
    snprintf(op.what, sizeof op.what, "route %d of %d, over all %d, %g steps", used, experts,
             over_all, (double)steps);
    op.yt = DT_I32; /* exact: the larger logit is the larger one everywhere */
    check_rows(&op, x, pos, ROWS);
    op.yt = DT_F32;
    op.rel = 4e-6; /* exp within 2 units twice, a sum of them, a division */
    check_rows(&op, x, pos, ROWS);
    free(x);
}

static void test_route(void)
{
    static const int32_t shapes[][2] = {{1, 1},  {2, 2},   {4, 2},      {8, 2},
                                        {33, 7}, {60, 60}, {EXPERTS, 8}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int all = 0; all < 2; all++) {
            one_route(shapes[i][0], shapes[i][1], all, 0x1p20f);
            one_route(shapes[i][0], shapes[i][1], all, 1);
        }
}

struct host_routing {
    int32_t expert[ROWS * USED], row[ROWS * USED], token[ROWS * USED], first[EXPERTS + 1];
};

static void get_routing(const struct subject *s, const struct routing *r, int64_t tokens,
                        struct host_routing *h)
{
    int64_t bytes = tokens * r->used * 4;
    dev_get(s, h->expert, r->expert, bytes);
    dev_get(s, h->row, r->row, bytes);
    dev_get(s, h->token, r->token, bytes);
    dev_get(s, h->first, r->first, (r->experts + 1) * 4);
}

/* Rows are sorted by expert and then by token, each is in its expert's range, and each token's
 * experts are ascending and its own: also where logits are no numbers. */
static void one_sort(const struct subject *s, int64_t tokens, int32_t experts, int32_t used,
                     bool nan)
{
    static struct host_routing h;
    float *x = random_floats(tokens * experts, 1);
    for (int64_t i = 0; nan && i < tokens * experts; i += 3)
        x[i] = (float)NAN;
    void *dx = dev_new(s, x, tokens * experts * 4);
    struct tensor logits = {dx, DT_F32, tokens, experts, experts};
    struct routing r = routing_new(s, tokens, experts, used);
    s->o->route(s->d, &r, &logits, &(struct route_args){false, 1});
    get_routing(s, &r, tokens, &h);
    int wrong = h.first[0] != 0 || h.first[experts] != tokens * used;
    for (int32_t e = 0; e < experts; e++)
        for (int32_t i = h.first[e]; i < h.first[e + 1]; i++)
            wrong += i > h.first[e] && h.token[i] <= h.token[i - 1];
    for (int64_t i = 0; i < tokens * used && !wrong; i++) {
        int32_t e = h.expert[i], row = h.row[i];
        wrong += e < 0 || e >= experts || (i % used && e <= h.expert[i - 1]);
        wrong += wrong || row < h.first[e] || row >= h.first[e + 1] || h.token[row] != i / used;
    }
    CHECK_MSG(wrong == 0, "%s: %d tokens, %d of %d experts%s: %d wrong", s->name, (int)tokens,
              used, experts, nan ? ", NaN" : "", wrong);
    routing_free(s, &r);
    s->o->free(s->d, dx);
    free(x);
}

static void test_sort(void)
{
    for (int i = 0; i < n_subjects; i++)
        for (int nan = 0; nan < 2; nan++) {
            one_sort(&subjects[i], 1, 1, 1, nan);
            one_sort(&subjects[i], 1, EXPERTS, 3, nan);
            one_sort(&subjects[i], ROWS, 5, 5, nan);
            one_sort(&subjects[i], ROWS, 32, 4, nan);
            one_sort(&subjects[i], 97, EXPERTS, USED, nan);
        }
}

/* ---- MXFP4 ------------------------------------------------------------------------ */

/* n weights of about 0.1, among them blocks of zeros with the smallest scale. */
static void random_mxfp4(int64_t n, uint8_t **blocks, uint8_t **scales)
{
    *blocks = xmalloc((size_t)n / 2);
    *scales = xmalloc((size_t)n / MXFP4_BLOCK);
    for (int64_t i = 0; i < n / 2; i++)
        (*blocks)[i] = (uint8_t)random_u32();
    for (int64_t i = 0; i < n / MXFP4_BLOCK; i++) {
        (*scales)[i] = (uint8_t)(121 + random_u32() % 2);
        if (random_u32() % 8 == 0) {
            (*scales)[i] = 0;
            memset(*blocks + i * MXFP4_BLOCK / 2, random_u32() % 2 ? 0 : 0x80, 16);
        }
    }
}

/* Every value with every scale comes back exactly: from MXFP4, and kept wider. */
static void test_values(void)
{
    enum { K = MXFP4_BLOCK, N = 256 };
    static uint8_t blocks[N * K / 2 + 1], scales[N + 1]; /* one byte further: unaligned */
    static float got[N * K];
    static int32_t ids[N];
    for (int i = 0; i < N * K / 2; i++)
        blocks[i + 1] = (uint8_t)((2 * i & 15) | (2 * i + 1) % 16 << 4);
    for (int i = 0; i < N; i++) {
        scales[i + 1] = (uint8_t)i;
        ids[i] = i;
    }
    static const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    static const enum dtype kept[] = {DT_F32, DT_BF16, DT_MXFP4};
    for (int i = 0; i < n_subjects * 3; i++) {
        const struct subject *s = &subjects[i / 3];
        struct row_op op = {
            .n = N, .k = K, .wt = kept[i % 3], .blocks = blocks + 1, .scales = scales + 1};
        int wrong = 0;
        prepare(s, &op);
        void *dids = dev_new(s, ids, sizeof ids), *dy = dev_new(s, NULL, sizeof got);
        s->o->embed(s->d, &(struct tensor){dy, DT_F32, N, K, K}, op.weight, dids, 1);
        dev_get(s, got, dy, sizeof got);
        for (int j = 0; j < 255 * K; j++) { /* the last scale is no number */
            double want = ldexp(values[j % 8], j / K - 127);
            wrong += (double)got[j] != (double)(float)(j % 16 < 8 ? want : -want) ||
                     !signbit(got[j]) != (j % 16 < 8);
        }
        CHECK_MSG(wrong == 0, "%s, kept as %s: %d wrong", s->name, kind(op.wt), wrong);
        s->o->free(s->d, dids);
        s->o->free(s->d, dy);
        unprepare(s, &op);
    }
}

/* Blocks differ in size by their scales, so an output may be larger than its row's root mean
 * square by as much, and so may its error. */
static double mxfp4_tol(int64_t k)
{
    return 2 * chain_tol(k);
}

static void run_linear(const struct subject *s, const struct row_op *op, const struct tensor *y,
                       const struct tensor *x, const void *unused)
{
    (void)unused;
    s->o->linear(s->d, y, x, op->weight, op->dev_aux);
}

/* The same bits from 4 and 16 bits a weight, and from 32 where bf16 is widened: a product of
 * bf16 takes the k of a pair in another order. */
static void same_kept(struct row_op *op, const float *x, int64_t rows)
{
    static const enum dtype kept[] = {DT_F32, DT_BF16, DT_MXFP4};
    int32_t order[ROWS];
    float *out[3];
    for (int32_t i = 0; i < rows; i++)
        order[i] = i;
    for (int i = 0; i < n_subjects; i++) {
        for (int k = 0; k < 3; k++) {
            op->wt = kept[k];
            out[k] = xmalloc_n((size_t)(rows * op->out), 4);
            prepare(&subjects[i], op);
            apply(&subjects[i], op, x, pos, order, rows, out[k]);
            unprepare(&subjects[i], op);
        }
        struct dev_info info;
        subjects[i].o->info(subjects[i].d, &info);
        CHECK_MSG(
            (same_bits(out[0], out[1], rows * op->out) || (info.bf16 && op->xt == DT_BF16)) &&
                (same_bits(out[1], out[2], rows * op->out) ||
                 (subjects[i].family == 3 && op->xt == DT_BF16)),
            "%s, %s: other bits from other types", op->what, subjects[i].name);
        for (int k = 0; k < 3; k++)
            free(out[k]);
    }
    op->wt = DT_MXFP4;
}

static void test_mxfp4_linear(void)
{
    static const int64_t shapes[][3] = {{1, 1, 32},     {5, 17, 64},    {7, 33, 96},
                                        {70, 256, 544}, {100, 61, 288}, {13, 75, 1440}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t rows = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        uint8_t *blocks, *scales;
        random_mxfp4(n * k, &blocks, &scales);
        float *x = random_floats(rows * k, 1), *b = random_floats(n, 1);
        struct row_op op = {.in = k,
                            .out = n,
                            .run = run_linear,
                            .blocks = blocks,
                            .scales = scales,
                            .n = n,
                            .k = k,
                            .wt = DT_MXFP4,
                            .aux = b,
                            .n_aux = n,
                            .tol = mxfp4_tol(k)};
        snprintf(op.what, sizeof op.what, "linear %d x %d x %d, w mxfp4", (int)rows, (int)n,
                 (int)k);
        check_rows(&op, x, pos, rows);
        same_kept(&op, x, rows);
        free(blocks);
        free(scales);
        free(x);
        free(b);
    }
}

/* ---- products by expert -------------------------------------------------------------- */

/* Each row goes to the expert that `at` names, and comes back to its place. */
static void run_grouped(const struct subject *s, const struct row_op *op,
                        const struct tensor *y, const struct tensor *x, const void *at)
{
    int32_t experts = (int32_t)op->experts, *expert = xmalloc_n((size_t)x->rows, 4);
    float *hot = xcalloc((size_t)(x->rows * experts), 4);
    dev_get(s, expert, at, x->rows * 4);
    for (int64_t t = 0; t < x->rows; t++)
        hot[t * experts + expert[t]] = 1;
    void *dlogits = dev_new(s, hot, x->rows * experts * 4);
    struct tensor logits = {dlogits, DT_F32, x->rows, experts, experts};
    struct routing r = routing_new(s, x->rows, experts, 1);
    struct tensor xs = tensor_new(s, x->dtype, x->rows, x->cols);
    struct tensor ys = tensor_new(s, y->dtype, y->rows, y->cols);
    s->o->route(s->d, &r, &logits, &(struct route_args){false, 1});
    s->o->gather_rows(s->d, &xs, x, r.token);
    s->o->linear_grouped(s->d, &ys, &xs, op->weight, op->dev_aux, &r);
    s->o->gather_rows(s->d, y, &ys, r.row);
    struct err e = {0};
    CHECK(s->o->sync(s->d, &e) == 0);
    routing_free(s, &r);
    s->o->free(s->d, dlogits);
    s->o->free(s->d, xs.data);
    s->o->free(s->d, ys.data);
    free(expert);
    free(hot);
}

static void one_grouped(int64_t rows, int64_t experts, int64_t n, int64_t k, enum dtype wt,
                        enum dtype xt, enum dtype yt, bool bias)
{
    float *x = random_floats(rows * k, 1), *w = random_floats(experts * n * k, 0.05f);
    float *b = random_floats(experts * n, 1);
    uint8_t *blocks = NULL, *scales = NULL;
    for (int64_t i = 0; xt == DT_BF16 && i < rows * k; i++)
        x[i] = bf16_to_f32(bf16_from_f32(x[i]));
    if (wt == DT_MXFP4)
        random_mxfp4(experts * n * k, &blocks, &scales);
    for (int64_t t = 0; t < rows; t++) /* one expert has most of the rows, some have none */
        pos[t] = (int32_t)(t % 3 ? experts / 2 : random_u32() % (uint32_t)experts);
    struct row_op op = {.in = k,
                        .out = n,
                        .xt = xt,
                        .yt = yt,
                        .run = run_grouped,
                        .w = w,
                        .n = n,
                        .k = k,
                        .wt = wt,
                        .experts = experts,
                        .blocks = blocks,
                        .scales = scales,
                        .aux = bias ? b : NULL,
                        .n_aux = experts * n,
                        .tol = wt == DT_MXFP4 ? mxfp4_tol(k) : chain_tol(k),
                        .rel = rel_of(yt)};
    snprintf(op.what, sizeof op.what, "linear_grouped %d x %d x %d x %d, w %s, x %s, y %s",
             (int)rows, (int)experts, (int)n, (int)k, kind(wt), kind(xt), kind(yt));
    check_rows(&op, x, pos, rows);
    if (wt == DT_MXFP4)
        same_kept(&op, x, rows);
    free(x);
    free(w);
    free(b);
    free(blocks);
    free(scales);
}

static void test_grouped(void)
{
    static const enum dtype kept[] = {DT_F32, DT_BF16, DT_MXFP4};
    static const int64_t shapes[][4] = {
        {1, 1, 1, 32}, {9, 3, 17, 64}, {ROWS, 8, 33, 96}, {40, 37, 34, 64}, {ROWS, 2, 80, 32}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < 12; t++)
            one_grouped(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], kept[t % 3],
                        (enum dtype)(t / 3 & 1), (enum dtype)(t / 6), t & 1);
    one_grouped(29, 5, 31, 35, DT_BF16, DT_F32, DT_F32, true); /* odd K, blocks not whole */
    one_grouped(ROWS, 2, 66, 1100, DT_BF16, DT_BF16, DT_F32, true);
    one_grouped(ROWS, 2, 66, 1120, DT_MXFP4, DT_BF16, DT_F32, true);
}

/* ---- all of it ------------------------------------------------------------------------ */

/* x: a token's values, then its logits. */
static void run_all(const struct subject *s, const struct row_op *op, const struct tensor *y,
                    const struct tensor *x, const void *unused)
{
    const struct route_case *c = op->arg;
    struct tensor values = *x, logits = *x;
    int64_t rows = x->rows * c->used;
    (void)unused;
    values.cols = op->k;
    logits.cols = c->experts;
    logits.data = (float *)x->data + op->k;
    struct routing r = routing_new(s, x->rows, c->experts, c->used);
    struct tensor xs = tensor_new(s, DT_F32, rows, op->k);
    struct tensor ys = tensor_new(s, DT_F32, rows, op->n);
    s->o->route(s->d, &r, &logits, &c->a);
    s->o->gather_rows(s->d, &xs, &values, r.token);
    s->o->linear_grouped(s->d, &ys, &xs, op->weight, op->dev_aux, &r);
    s->o->combine(s->d, y, &ys, &r);
    struct err e = {0};
    CHECK(s->o->sync(s->d, &e) == 0);
    routing_free(s, &r);
    s->o->free(s->d, xs.data);
    s->o->free(s->d, ys.data);
}

static void one_all(int32_t experts, int32_t used, int64_t n, int64_t k, enum dtype yt)
{
    const struct route_case c = {experts, used, {used % 2, 1}};
    int64_t in = k + experts, rows = ROWS / 2;
    float *x = random_floats(rows * in, 1), *w = random_floats(experts * n * k, 0.1f);
    float *b = random_floats(experts * n, 1);
    struct row_op op = {.in = in,
                        .out = n,
                        .yt = yt,
                        .run = run_all,
                        .arg = &c,
                        .w = w,
                        .n = n,
                        .k = k,
                        .wt = DT_BF16,
                        .experts = experts,
                        .aux = b,
                        .n_aux = experts * n,
                        /* each expert's error, of a sum in which they partly cancel */
                        .tol = sqrt(used) * chain_tol(k) + 4e-6,
                        .rel = rel_of(yt)};
    snprintf(op.what, sizeof op.what, "route to combine, %d of %d, %d x %d, y %s", used,
             experts, (int)n, (int)k, kind(yt));
    check_rows(&op, x, pos, rows);
    free(x);
    free(w);
    free(b);
}

static void test_all(void)
{
    one_all(1, 1, 5, 7, DT_F32);
    one_all(4, 2, 33, 64, DT_F32);
    one_all(8, 2, 64, 48, DT_BF16);
    one_all(32, 4, 97, 90, DT_F32);
    one_all(EXPERTS, 8, 20, 33, DT_F32);
}

/* Numbers whose sums are exact: rows are found by `row`, weights stand in its order. */
static void test_combine(void)
{
    enum { C = 19 };
    static const int32_t row[] = {3, 5, 0, 4, 2, 1};
    static const float weight[] = {0.5f, 0.25f, 1, -2, 0, 8};
    float x[6 * C], want[3 * C], got[3 * C];
    for (int i = 0; i < 6 * C; i++)
        x[i] = (float)(i * 7 % 64);
    for (int i = 0; i < 3 * C; i++) {
        int t = i / C, c = i % C;
        want[i] = weight[2 * t] * x[row[2 * t] * C + c] +
                  weight[2 * t + 1] * x[row[2 * t + 1] * C + c];
    }
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        void *dx = dev_new(s, x, sizeof x), *dy = dev_new(s, NULL, sizeof got);
        struct routing r = {.experts = 4, .used = 2};
        r.row = dev_new(s, row, sizeof row);
        r.weight = dev_new(s, weight, sizeof weight);
        s->o->combine(s->d, &(struct tensor){dy, DT_F32, 3, C, C},
                      &(struct tensor){dx, DT_F32, 6, C, C}, &r);
        dev_get(s, got, dy, sizeof got);
        CHECK_MSG(same_bits(got, want, 3 * C), "combine, %s", s->name);
        s->o->free(s->d, r.row);
        s->o->free(s->d, r.weight);
        s->o->free(s->d, dx);
        s->o->free(s->d, dy);
    }
}

/* ---- weights --------------------------------------------------------------------------- */

/* A weight of MXFP4 filled in parts that cut its blocks of rows, from a wider source; the same
 * bits as when it is filled at once. */
static void test_parts(void)
{
    enum { N = 53, K = 608, WIDE = 640 };
    static const int64_t cuts[] = {0, 5, 16, 40, 41, N};
    uint8_t *blocks, *scales;
    random_mxfp4((int64_t)N * WIDE, &blocks, &scales);
    float *x = random_floats(K, 1), whole[N], parts[N];
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct err e = {0};
        struct weight_shape shape = {N, K, 3, DT_MXFP4};
        struct weight *w = s->o->weight_new(s->d, &shape, &e);
        struct weight_source src = {blocks, DT_MXFP4, WIDE, false, scales};
        void *dx = dev_new(s, x, K * 4), *dy = dev_new(s, NULL, N * 4);
        static const int32_t first[] = {0, 0, 0, 1};
        struct routing r = {.experts = 3, .used = 1};
        r.first = dev_new(s, first, sizeof first); /* one row, the last expert's */
        CHECK(s->o->weight_rows(s->d, w, 2, 0, N, &src, &e) == 0);
        for (int k = 0; k < 2; k++) {
            s->o->linear_grouped(s->d, &(struct tensor){dy, DT_F32, 1, N, N},
                                 &(struct tensor){dx, DT_F32, 1, K, K}, w, NULL, &r);
            dev_get(s, k ? parts : whole, dy, N * 4);
            for (int c = 5; k == 0 && c > 0; c--) {
                struct weight_source part = {blocks + cuts[c - 1] * WIDE / 2, DT_MXFP4, WIDE,
                                             false, scales + cuts[c - 1] * WIDE / MXFP4_BLOCK};
                CHECK(s->o->weight_rows(s->d, w, 2, cuts[c - 1], cuts[c] - cuts[c - 1], &part,
                                        &e) == 0);
            }
        }
        CHECK_MSG(same_bits(whole, parts, N) && rms_of(whole, N) > 0.1, "%s", s->name);
        s->o->weight_free(s->d, w);
        s->o->free(s->d, r.first);
        s->o->free(s->d, dx);
        s->o->free(s->d, dy);
    }
    free(blocks);
    free(scales);
    free(x);
}

static void test_refusals(void)
{
    static const uint8_t blocks[64], scales[4];
    static const float data[64];
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct err e = {0};
        struct weight_shape odd = {4, 48, 2, DT_MXFP4}, good = {2, 32, 2, DT_MXFP4};
        CHECK(!s->o->weight_new(s->d, &odd, &e) && e.status == EXIT_CONFIG);
        struct weight *w = s->o->weight_new(s->d, &good, &e);
        struct weight_source right = {blocks, DT_MXFP4, 32, false, scales}, columns = right;
        struct weight_source narrow = right, other = {data, DT_F32, 32, false, NULL};
        columns.transposed = true;
        narrow.stride = 16;
        CHECK(s->o->weight_rows(s->d, w, 1, 0, 2, &right, &e) == 0);
        CHECK(s->o->weight_rows(s->d, w, 1, 0, 2, &columns, &e) < 0);
        CHECK(s->o->weight_rows(s->d, w, 1, 0, 2, &narrow, &e) < 0);
        CHECK(s->o->weight_rows(s->d, w, 1, 0, 2, &other, &e) < 0 && e.status == EXIT_CONFIG);
        CHECK(s->o->weight_rows(s->d, w, 2, 0, 2, &right, &e) < 0);
        s->o->weight_free(s->d, w);
    }
    CHECK(dtype_bytes(DT_MXFP4, 64) == 34 && dtype_bytes(DT_BF16, 64) == 128);
}

int main(void)
{
    open_subjects(&(struct dev_limits){ROWS, 1, 64, 256, 1, 4096, EXPERTS, USED});
    test_route();
    test_sort();
    test_values();
    test_mxfp4_linear();
    test_grouped();
    test_all();
    test_combine();
    test_parts();
    test_refusals();
    close_subjects();
    return unit_done("dev_moe");
}
