/* dev_ops.c - embedding, norms, rotary positions, gates and gathered rows against ref. */
#include "dev_rows.h"

/* One rounding to f32 in ref, a handful here. */
#define F32_TOL 4e-6
/* A value that was rounded to bf16: one unit, where the f32 results lie on two sides of a tie.
 */
#define BF16_REL 0x1p-7

static double rel_of(enum dtype t)
{
    return t == DT_BF16 ? BF16_REL : 0;
}

static const int64_t widths[] = {1, 7, 16, 64, 97, 896, 4097};
enum { WIDTHS = sizeof widths / sizeof *widths };

static int32_t pos[512];

static void name(struct row_op *op, const char *what, int64_t a, int64_t b)
{
    static const char *const types[] = {"f32", "bf16", "f16", "i32", "u8"};
    snprintf(op->what, sizeof op->what, "%s %d %d, %s to %s", what, (int)a, (int)b,
             types[op->xt], types[op->yt]);
}

/* ---- embed, gather_rows -------------------------------------------------------- */

static void run_embed(const struct subject *s, const struct row_op *op, const struct tensor *y,
                      const struct tensor *x, const void *ids)
{
    (void)x;
    s->o->embed(s->d, y, op->weight, ids, *(const float *)op->arg);
}

static void test_embed(void)
{
    static const float scale = 1.7f;
    for (int i = 0; i < WIDTHS; i++)
        for (enum dtype wt = DT_F32; wt <= DT_BF16; wt++) {
            float *w = random_floats(67 * widths[i], 1), x[40] = {0};
            struct row_op op = {.in = 1,
                                .out = widths[i],
                                .yt = wt,
                                .run = run_embed,
                                .arg = &scale,
                                .w = w,
                                .n = 67,
                                .k = widths[i],
                                .wt = wt,
                                .tol = 0}; /* one exactly rounded product */
            name(&op, "embed", 67, widths[i]);
            for (int r = 0; r < 40; r++)
                pos[r] = (int32_t)(random_u32() % 67);
            check_rows(&op, x, pos, 40);
            free(w);
        }
}

static void run_gather(const struct subject *s, const struct row_op *op, const struct tensor *y,
                       const struct tensor *x, const void *rows)
{
    (void)op;
    s->o->gather_rows(s->d, y, x, rows);
}

static void test_gather(void)
{
    for (enum dtype t = DT_F32; t <= DT_BF16; t++)
        for (int i = 0; i < WIDTHS; i++) {
            float *x = random_floats(9 * widths[i], 1);
            struct row_op op = {.in = widths[i],
                                .out = widths[i],
                                .xt = t,
                                .yt = t,
                                .run = run_gather,
                                .tol = 0};
            name(&op, "gather_rows", 9, widths[i]);
            int32_t zero[9] = {0}; /* row 0 of every company */
            check_rows(&op, x, zero, 1);
            /* And by number, within one call. */
            for (int j = 1; j < n_subjects; j++) {
                const struct subject *s = &subjects[j];
                int32_t rows[4] = {8, 3, 3, 0};
                float *y = xmalloc_n((size_t)(4 * widths[i]), 4);
                int64_t n = widths[i];
                void *dx = dev_new(s, x, 9 * n * 4), *dy = dev_new(s, NULL, 4 * n * 4);
                void *dr = dev_new(s, rows, sizeof rows);
                s->o->gather_rows(s->d, &(struct tensor){dy, DT_F32, 4, n, n},
                                  &(struct tensor){dx, DT_F32, 9, n, n}, dr);
                dev_get(s, y, dy, 4 * n * 4);
                for (int r = 0; r < 4; r++)
                    CHECK(same_bits(y + r * n, x + rows[r] * n, n));
                s->o->free(s->d, dx);
                s->o->free(s->d, dy);
                s->o->free(s->d, dr);
                free(y);
            }
            free(x);
        }
}

/* ---- norm ---------------------------------------------------------------------- */

/* x holds x and, in a second half, add.  The result is y, or (keep) the x that is kept. */
struct norm_arg {
    bool add, plus_one, keep;
};

static void run_norm(const struct subject *s, const struct row_op *op, const struct tensor *y,
                     const struct tensor *x, const void *rows)
{
    const struct norm_arg *a = op->arg;
    struct tensor left = *x, right = *x;
    left.cols = right.cols = op->out;
    right.data = (float *)x->data + op->out;
    if (a->keep) { /* rows: 0, 1, 2, ... */
        s->o->gather_rows(s->d, y, &left, rows);
        s->o->norm(s->d, NULL, y, &right, 0.3f, NULL, 1e-6f, a->plus_one);
    } else {
        s->o->norm(s->d, y, &left, a->add ? &right : NULL, 0.3f, op->dev_aux, 1e-6f,
                   a->plus_one);
    }
}

static void test_norm(void)
{
    static const struct norm_arg args[] = {
        {false, false, false}, {true, false, false}, {true, true, false}, {true, false, true}};
    for (int i = 0; i < WIDTHS; i++)
        for (int j = 0; j < 4; j++)
            for (enum dtype yt = DT_F32; yt <= (args[j].keep ? DT_F32 : DT_BF16); yt++) {
                int64_t n = widths[i], rows = args[j].keep ? 1 : 29;
                float *x = random_floats(rows * 2 * n, 3), *w = random_floats(n, 1);
                struct row_op op = {.in = 2 * n,
                                    .out = n,
                                    .yt = yt,
                                    .run = run_norm,
                                    .arg = &args[j],
                                    .aux = w,
                                    .n_aux = n,
                                    .tol = F32_TOL,
                                    .rel = rel_of(yt)};
                name(&op, args[j].keep ? "norm's sum" : "norm", rows, n);
                pos[0] = 0;
                check_rows(&op, x, pos, rows);
                free(x);
                free(w);
            }
}

/* ---- rotary positions ------------------------------------------------------------- */

enum { POSITIONS = 300 };

/* aux: the table, then the norm weights of q and of k */
static void run_rope(const struct subject *s, const struct row_op *op, const struct tensor *y,
                     const struct tensor *x, const void *at)
{
    struct rope_args a = *(const struct rope_args *)op->arg;
    int32_t *rows = xmalloc_n((size_t)x->rows, sizeof *rows);
    for (int64_t r = 0; r < x->rows; r++)
        rows[r] = (int32_t)r;
    void *d = dev_new(s, rows, x->rows * 4);
    s->o->gather_rows(s->d, y, x, d);
    struct tensor q = *y, k = *y;
    q.cols = (int64_t)a.heads * a.head_dim;
    k.cols = (int64_t)a.kv_heads * a.head_dim;
    k.data = (float *)y->data + q.cols;
    a.cos_sin = op->dev_aux;
    a.pos = at;
    if (a.q_norm) {
        a.q_norm = op->dev_aux + (int64_t)POSITIONS * a.rotary;
        a.k_norm = a.q_norm + (a.norm_whole ? q.cols : a.head_dim);
    }
    s->o->qk_norm_rope(s->d, &q, &k, &a);
    struct err e = {0};
    CHECK(s->o->sync(s->d, &e) == 0);
    s->o->free(s->d, d);
    free(rows);
}

static void test_rope(void)
{
    static const float yes = 1; /* any address: norm wanted */
    static const struct rope_args shapes[] = {
        {.heads = 4, .kv_heads = 2, .head_dim = 16, .rotary = 16},
        {.heads = 3, .kv_heads = 1, .head_dim = 24, .rotary = 24, .q_norm = &yes},
        {.heads = 2, .kv_heads = 2, .head_dim = 80, .rotary = 20},
        {.heads = 5,
         .kv_heads = 5,
         .head_dim = 17,
         .rotary = 2,
         .q_norm = &yes,
         .norm_plus_one = true},
        {.heads = 14,
         .kv_heads = 2,
         .head_dim = 64,
         .rotary = 64,
         .q_norm = &yes,
         .norm_whole = true},
        {.heads = 2, .kv_heads = 1, .head_dim = 128, .rotary = 0, .q_norm = &yes}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct rope_args a = shapes[i];
        a.eps = 1e-5f;
        int64_t cols = (int64_t)(a.heads + a.kv_heads) * a.head_dim, rows = 41;
        int64_t table = (int64_t)POSITIONS * a.rotary,
                norms = a.norm_whole ? cols : 2 * a.head_dim;
        float *x = random_floats(rows * cols, 2), *aux = random_floats(table + norms, 1);
        for (int64_t j = 0; j < table; j++) {
            double angle = (double)(j / a.rotary) *
                           pow(1e4, -(double)(j % (a.rotary / 2)) / 20);
            aux[j] = (float)(j % a.rotary < a.rotary / 2 ? cos(angle) : sin(angle));
        }
        for (int r = 0; r < rows; r++)
            pos[r] = (int32_t)(random_u32() % POSITIONS);
        struct row_op op = {.in = cols,
                            .out = cols,
                            .run = run_rope,
                            .arg = &a,
                            .aux = aux,
                            .n_aux = table + norms,
                            .tol = F32_TOL};
        name(&op, "qk_norm_rope", a.heads, a.head_dim);
        check_rows(&op, x, pos, rows);
        free(x);
        free(aux);
    }
}

/* ---- gates ---------------------------------------------------------------------- */

static void run_gated(const struct subject *s, const struct row_op *op, const struct tensor *y,
                      const struct tensor *x, const void *unused)
{
    (void)unused;
    s->o->gated(s->d, y, x, op->arg);
}

static void test_gated(void)
{
    for (int kind = GATE_SILU; kind <= GATE_CLAMPED; kind++)
        for (int inter = 0; inter < 2; inter++)
            for (int i = 0; i < WIDTHS; i++)
                for (enum dtype yt = DT_F32; yt <= DT_BF16; yt++) {
                    struct gated_args a = {(enum gate_kind)kind, inter, 1.702f, 7};
                    int64_t n = widths[i], rows = n > 1000 ? 5 : 17;
                    float *x = random_floats(rows * 2 * n, 4);
                    x[0] = 200; /* exp over- and underflows */
                    x[2 * n - 1] = -200;
                    struct row_op op = {.in = 2 * n,
                                        .out = n,
                                        .yt = yt,
                                        .run = run_gated,
                                        .arg = &a,
                                        .tol = F32_TOL,
                                        .rel = rel_of(yt)};
                    /* relative too: own exp and tanh, 3 units in the last place each */
                    op.rel += 2e-6;
                    name(&op,
                         kind == GATE_SILU      ? "silu"
                         : kind == GATE_CLAMPED ? "clamped"
                                                : "gelu",
                         inter, n);
                    check_rows(&op, x, pos, rows);
                    free(x);
                }
}

int main(void)
{
    open_subjects(&(struct dev_limits){512, 64, 64, 256, 4096, 8192, 0, 0});
    test_embed();
    test_gather();
    test_norm();
    test_rope();
    test_gated();
    close_subjects();
    return unit_done("dev_ops");
}
