/* dev_train.c - operations of training, on every backend: against ref, whose own results are
 * held against differences of its forward; and the same bits however a call is cut. */
#include "dev_train.h"

enum { T = 45, K = 70, N = 51, E = 5, U = 2, V = 5003, HEADS = 3 };

/* Units of a call: one empty, one of a single row. */
static const int32_t unit_first[] = {0, 17, 17, 18, 40, T};
static const struct units units = {unit_first, 5};

/* ---- products -------------------------------------------------------------------- */

static void test_products(enum dtype wt, bool add, float scale)
{
    struct array w = array_new(N * K, 1), x = array_new(T * K, 1), dy = array_new(T * N, 1);
    struct array start = array_new(T * K, 1);
    struct results dx = {"linear_dx", 60, {{0}}}, dw = {"linear_dw", 60, {{0}}};
    struct results db = {"bias_db", 40, {{0}}};
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct weight *pw = weight_of(s, w.p, N, K, 0, wt);
        struct array rx = array_new(T * K, 0), rw = array_new(N * K, 0), rb = array_new(N, 0);
        void *px = on_device(s, &x), *py = on_device(s, &dy), *pdx = on_device(s, &start);
        void *pdw = on_device(s, &rw), *pdb = on_device(s, &rb);
        struct tensor tx = tensor_of(px, T, K), ty = tensor_of(py, T, N);
        struct tensor tdx = tensor_of(pdx, T, K), tdw = tensor_of(pdw, N, K);
        s->o->train->linear_dx(s->d, &tdx, &ty, pw, scale, add);
        s->o->train->linear_dw(s->d, &tdw, &ty, &tx, &units, scale);
        s->o->train->bias_db(s->d, pdb, &ty, &units);
        back_to_host(s, &rx, pdx);
        back_to_host(s, &rw, pdw);
        back_to_host(s, &rb, pdb);
        result_check(&dx, i, rx);
        result_check(&dw, i, rw);
        result_check(&db, i, rb);
        s->o->weight_free(s->d, pw);
        s->o->free(s->d, px);
        s->o->free(s->d, py);
    }
    results_free(&dx);
    results_free(&dw);
    results_free(&db);
    free(w.p);
    free(x.p);
    free(dy.p);
    free(start.p);
}

/* ---- experts ------------------------------------------------------------------------ */

struct expert_case {
    struct array logits, x, dy, w; /* dy [S, N], x [S, K] */
    struct route_args a;
};

static struct routing routing_new(const struct subject *s)
{
    struct err e = {0};
    struct routing r = {.experts = E, .used = U};
    r.expert = s->o->alloc(s->d, T * U * 4, &e);
    r.weight = s->o->alloc(s->d, T * U * 4, &e);
    r.row = s->o->alloc(s->d, T * U * 4, &e);
    r.token = s->o->alloc(s->d, T * U * 4, &e);
    r.first = s->o->alloc(s->d, (E + 1) * 4, &e);
    return r;
}

static void routing_free(const struct subject *s, const struct routing *r)
{
    s->o->free(s->d, r->expert);
    s->o->free(s->d, r->weight);
    s->o->free(s->d, r->row);
    s->o->free(s->d, r->token);
    s->o->free(s->d, r->first);
}

enum { S = T * U };

static void run_experts(const struct subject *s, int i, const struct expert_case *c,
                        struct results *r)
{
    struct routing to = routing_new(s);
    struct weight *w = weight_of(s, c->w.p, N, K, E, DT_F32);
    struct array out[7] = {array_new(S * K, 0), array_new(E * N * K, 0), array_new(E * N, 0),
                           array_new(S * K, 0), array_new(S, 0),         array_new(T * E, 0),
                           array_new(T * K, 0)};
    void *p[7], *pl = on_device(s, &c->logits), *px = on_device(s, &c->x);
    void *pdy = on_device(s, &c->dy);
    for (int k = 0; k < 7; k++)
        p[k] = on_device(s, &out[k]);
    struct tensor logits = tensor_of(pl, T, E), x = tensor_of(px, S, K);
    struct tensor dy = tensor_of(pdy, S, N), dx = tensor_of(p[0], S, K);
    struct tensor dw = tensor_of(p[1], N, K), ddown = tensor_of(p[3], S, K);
    struct tensor token = tensor_of(px, T, K), dl = tensor_of(p[5], T, E);
    struct tensor sum = tensor_of(p[6], T, K);
    const struct dev_train_ops *o = s->o->train;
    s->o->route(s->d, &to, &logits, &c->a);
    o->grouped_dx(s->d, &dx, &dy, w, &to, 0.5f, true);
    o->grouped_dw(s->d, &dw, N * K, &dy, &x, &to, &units, 0.5f);
    o->grouped_db(s->d, p[2], &dy, &to, &units);
    o->combine_back(s->d, &ddown, p[4], &token, &x, &to);
    o->route_back(s->d, &dl, p[4], &logits, &to, &c->a);
    o->sorted_back(s->d, &sum, &x, &to, false);
    for (int k = 0; k < 7; k++) {
        back_to_host(s, &out[k], p[k]);
        result_check(&r[k], i, out[k]);
    }
    s->o->weight_free(s->d, w);
    routing_free(s, &to);
    s->o->free(s->d, pl);
    s->o->free(s->d, px);
    s->o->free(s->d, pdy);
}

static void test_experts(bool over_all)
{
    struct expert_case c = {.logits = array_new(T * E, 1),
                            .x = array_new(S * K, 1),
                            .dy = array_new(S * N, 1),
                            .w = array_new(E * N * K, 1),
                            .a = {over_all, 1.5f}};
    struct results r[7] = {{"grouped_dx", 60, {{0}}},
                           {"grouped_dw", 60, {{0}}},
                           {"grouped_db", 40, {{0}}},
                           {"combine_back", 8, {{0}}},
                           {"combine_back's weights", 60, {{0}}},
                           {"route_back", 60, {{0}}},
                           {"sorted_back", 8, {{0}}}};
    for (int i = 0; i < n_subjects; i++)
        run_experts(&subjects[i], i, &c, r);
    for (int k = 0; k < 7; k++)
        results_free(&r[k]);
    free(c.logits.p);
    free(c.x.p);
    free(c.dy.p);
    free(c.w.p);
}

/* The sum of c * combine(route(logits), x), by the logits. */
struct route_slope {
    struct array logits, x, c;
    struct route_args a;
};

static double route_loss(void *arg)
{
    const struct route_slope *v = arg;
    const struct subject *s = &subjects[0];
    struct routing r = routing_new(s);
    struct tensor logits = tensor_of(v->logits.p, T, E), x = tensor_of(v->x.p, S, K);
    float *y = random_floats(T * K, 0);
    struct tensor ty = tensor_of(y, T, K);
    s->o->route(s->d, &r, &logits, &v->a);
    s->o->combine(s->d, &ty, &x, &r);
    double sum = 0;
    for (int64_t i = 0; i < T * K; i++)
        sum += (double)y[i] * (double)v->c.p[i];
    free(y);
    routing_free(s, &r);
    return sum;
}

static void test_route_slope(bool over_all)
{
    struct route_slope v = {
        array_new(T * E, 3), array_new(S * K, 1), array_new(T * K, 1), {over_all, 1.5f}};
    const struct subject *s = &subjects[0];
    struct routing r = routing_new(s);
    float *dl = random_floats(T * E, 0), *dw = random_floats(S, 0),
          *dx = random_floats(S * K, 0);
    struct tensor logits = tensor_of(v.logits.p, T, E), x = tensor_of(v.x.p, S, K);
    struct tensor c = tensor_of(v.c.p, T, K), tdl = tensor_of(dl, T, E);
    struct tensor tdx = tensor_of(dx, S, K);
    s->o->route(s->d, &r, &logits, &v.a);
    s->o->train->combine_back(s->d, &tdx, dw, &c, &x, &r);
    s->o->train->route_back(s->d, &tdl, dw, &logits, &r, &v.a);
    check_slope("route_back", route_loss, &v, v.logits, dl, 2e-3);
    check_slope("combine_back", route_loss, &v, v.x, dx, 1e-2);
    routing_free(s, &r);
    free(dl);
    free(dw);
    free(dx);
    free(v.logits.p);
    free(v.x.p);
    free(v.c.p);
}

/* ---- rows by id ------------------------------------------------------------------------ */

static void test_rows_by_id(void)
{
    enum { IDS = 40 };
    struct array dx = array_new(T * K, 1), got;
    struct results dw = {"embed_dw", 60, {{0}}}, back = {"gather_back", 1, {{0}}};
    int32_t ids[T], rows[3] = {T - 1, 0, 7};
    for (int i = 0; i < T; i++)
        ids[i] = i * i % 23;
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        void *px = on_device(s, &dx), *pi = dev_new(s, ids, sizeof ids);
        void *pr = dev_new(s, rows, sizeof rows);
        struct tensor x = tensor_of(px, T, K), some = tensor_of(px, 3, K);
        got = array_new(IDS * K, 1);
        void *p = on_device(s, &got);
        struct tensor w = tensor_of(p, IDS, K);
        s->o->train->embed_dw(s->d, &w, &x, pi, &units, 3);
        back_to_host(s, &got, p);
        result_check(&dw, i, got);
        got = array_new(T * K, 1);
        p = on_device(s, &got);
        struct tensor all = tensor_of(p, T, K);
        s->o->train->gather_back(s->d, &all, &some, pr);
        back_to_host(s, &got, p);
        result_check(&back, i, got);
        s->o->free(s->d, px);
        s->o->free(s->d, pi);
        s->o->free(s->d, pr);
    }
    CHECK(back.of[0].p[(T - 1) * K] == dx.p[0] && back.of[0].p[K] == 0);
    results_free(&dw);
    results_free(&back);
    free(dx.p);
}

/* ---- norms --------------------------------------------------------------------------------
 */

struct norm_case {
    struct array x, w, c; /* the loss is the sum of c * y */
    bool plus_one;
};

static double norm_loss(void *arg)
{
    const struct norm_case *v = arg;
    const struct subject *s = &subjects[0];
    float *y = random_floats(T * K, 0);
    struct tensor x = tensor_of(v->x.p, T, K), ty = tensor_of(y, T, K);
    s->o->norm(s->d, &ty, &x, NULL, 1, v->w.p, 1e-5f, v->plus_one);
    double sum = 0;
    for (int64_t i = 0; i < T * K; i++)
        sum += (double)y[i] * (double)v->c.p[i];
    free(y);
    return sum;
}

static void test_norm(bool plus_one, bool add)
{
    struct norm_case v = {array_new(T * K, 1), array_new(K, 1), array_new(T * K, 1), plus_one};
    struct array start = array_new(T * K, add ? 1 : 0);
    struct results dx = {"norm_back", 60, {{0}}}, dw = {"norm_back's weight", 60, {{0}}};
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct array rx = array_new(T * K, 0), rw = array_new(K, 0);
        void *px = on_device(s, &v.x), *pw = on_device(s, &v.w), *pc = on_device(s, &v.c);
        void *pdx = on_device(s, &start), *pdw = on_device(s, &rw);
        struct tensor x = tensor_of(px, T, K), c = tensor_of(pc, T, K);
        struct tensor tdx = tensor_of(pdx, T, K);
        s->o->train->norm_back(s->d, &tdx, pdw, &c, &x, pw, 1e-5f, plus_one, &units, add);
        back_to_host(s, &rx, pdx);
        back_to_host(s, &rw, pdw);
        result_check(&dx, i, rx);
        result_check(&dw, i, rw);
        s->o->free(s->d, px);
        s->o->free(s->d, pw);
        s->o->free(s->d, pc);
    }
    if (!add) {
        check_slope("norm_back", norm_loss, &v, v.x, dx.of[0].p, 1e-2);
        check_slope("norm_back's weight", norm_loss, &v, v.w, dw.of[0].p, 1e-2);
    }
    results_free(&dx);
    results_free(&dw);
    free(v.x.p);
    free(v.w.p);
    free(v.c.p);
    free(start.p);
}

enum { D = 22, ROTARY = 12, KV = 1, QC = HEADS * D, KC = KV * D };

struct rope_case {
    struct array q, k, qw, kw, table, cq, ck;
    bool norm, whole;
};

static struct rope_args rope_of(const struct rope_case *v, const float *table, const void *pos,
                                const float *qw, const float *kw)
{
    return (struct rope_args){.heads = HEADS,
                              .kv_heads = KV,
                              .head_dim = D,
                              .rotary = ROTARY,
                              .cos_sin = table,
                              .pos = pos,
                              .q_norm = v->norm ? qw : NULL,
                              .k_norm = v->norm ? kw : NULL,
                              .eps = 1e-5f,
                              .norm_whole = v->whole};
}

static int32_t positions[T];

static double rope_loss(void *arg)
{
    const struct rope_case *v = arg;
    const struct subject *s = &subjects[0];
    float *q = xmalloc(T * QC * 4), *k = xmalloc(T * KC * 4);
    memcpy(q, v->q.p, T * QC * 4);
    memcpy(k, v->k.p, T * KC * 4);
    struct tensor tq = tensor_of(q, T, QC), tk = tensor_of(k, T, KC);
    struct rope_args a = rope_of(v, v->table.p, positions, v->qw.p, v->kw.p);
    s->o->qk_norm_rope(s->d, &tq, &tk, &a);
    double sum = 0;
    for (int64_t i = 0; i < T * QC; i++)
        sum += (double)q[i] * (double)v->cq.p[i];
    for (int64_t i = 0; i < T * KC; i++)
        sum += (double)k[i] * (double)v->ck.p[i];
    free(q);
    free(k);
    return sum;
}

static void test_rope(bool norm, bool whole)
{
    struct rope_case v = {.q = array_new(T * QC, 1),
                          .k = array_new(T * KC, 1),
                          .qw = array_new(QC, 1),
                          .kw = array_new(KC, 1),
                          .table = array_new(T * ROTARY, 1),
                          .cq = array_new(T * QC, 1),
                          .ck = array_new(T * KC, 1),
                          .norm = norm,
                          .whole = whole};
    struct results r[4] = {{"rope_back's q", 60, {{0}}},
                           {"rope_back's k", 60, {{0}}},
                           {"rope_back's q norm", 60, {{0}}},
                           {"rope_back's k norm", 60, {{0}}}};
    int64_t wide = whole ? QC : D, narrow = whole ? KC : D;
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct array out[4] = {array_new(T * QC, 0), array_new(T * KC, 0), array_new(wide, 0),
                               array_new(narrow, 0)};
        void *p[4] = {on_device(s, &v.cq), on_device(s, &v.ck), on_device(s, &out[2]),
                      on_device(s, &out[3])};
        void *in[6] = {on_device(s, &v.q),     on_device(s, &v.k),
                       on_device(s, &v.qw),    on_device(s, &v.kw),
                       on_device(s, &v.table), dev_new(s, positions, sizeof positions)};
        struct tensor dq = tensor_of(p[0], T, QC), dk = tensor_of(p[1], T, KC);
        struct tensor q = tensor_of(in[0], T, QC), k = tensor_of(in[1], T, KC);
        struct rope_args a = rope_of(&v, in[4], in[5], in[2], in[3]);
        s->o->train->qk_norm_rope_back(s->d, &dq, &dk, &q, &k, &a, norm ? p[2] : NULL,
                                       norm ? p[3] : NULL, &units);
        for (int n = 0; n < 4; n++) {
            back_to_host(s, &out[n], p[n]);
            result_check(&r[n], i, out[n]);
        }
        for (int n = 0; n < 6; n++)
            s->o->free(s->d, in[n]);
    }
    check_slope("rope_back's q", rope_loss, &v, v.q, r[0].of[0].p, 1e-2);
    check_slope("rope_back's k", rope_loss, &v, v.k, r[1].of[0].p, 1e-2);
    v.qw.n = wide;
    v.kw.n = narrow;
    if (norm) {
        check_slope("rope_back's q norm", rope_loss, &v, v.qw, r[2].of[0].p, 1e-2);
        check_slope("rope_back's k norm", rope_loss, &v, v.kw, r[3].of[0].p, 1e-2);
    }
    for (int n = 0; n < 4; n++)
        results_free(&r[n]);
    const struct array all[] = {v.q, v.k, v.qw, v.kw, v.table, v.cq, v.ck};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++)
        free(all[n].p);
}

/* ---- gates ------------------------------------------------------------------------------ */

struct gate_case {
    struct array x, c;
    struct gated_args a;
};

static double gate_loss(void *arg)
{
    const struct gate_case *v = arg;
    const struct subject *s = &subjects[0];
    float *y = random_floats(T * N, 0);
    struct tensor x = tensor_of(v->x.p, T, 2 * N), ty = tensor_of(y, T, N);
    s->o->gated(s->d, &ty, &x, &v->a);
    double sum = 0;
    for (int64_t i = 0; i < T * N; i++)
        sum += (double)y[i] * (double)v->c.p[i];
    free(y);
    return sum;
}

static void test_gate(enum gate_kind kind, bool interleaved)
{
    struct gate_case v = {
        array_new(T * 2 * N, 2), array_new(T * N, 1), {kind, interleaved, 1.702f, 3.1f}};
    struct results dx = {"gated_back", 30, {{0}}};
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct array out = array_new(T * 2 * N, 0);
        void *px = on_device(s, &v.x), *pc = on_device(s, &v.c), *p = on_device(s, &out);
        struct tensor x = tensor_of(px, T, 2 * N), c = tensor_of(pc, T, N);
        struct tensor tdx = tensor_of(p, T, 2 * N);
        s->o->train->gated_back(s->d, &tdx, &c, &x, &v.a);
        back_to_host(s, &out, p);
        result_check(&dx, i, out);
        s->o->free(s->d, px);
        s->o->free(s->d, pc);
    }
    check_slope("gated_back", gate_loss, &v, v.x, dx.of[0].p, 1e-3);
    results_free(&dx);
    free(v.x.p);
    free(v.c.p);
}

/* ---- the loss ------------------------------------------------------------------------------
 */

enum { ROWS = 19, C = 24 };
static const int32_t row_first[] = {0, 4, 4, 11, ROWS};
static const struct units row_units = {row_first, 4};

struct loss_case {
    struct array x, w, weight;
    int32_t ids[ROWS];
    float scale, cap;
    int64_t vocab;
};

static void run_loss(const struct subject *s, const struct loss_case *v, struct array *nll,
                     struct array *dx, struct array *dw)
{
    struct weight *w = weight_of(s, v->w.p, v->vocab, C, 0, DT_F32);
    struct head h = {w, v->scale, v->cap};
    void *px = on_device(s, &v->x), *pi = dev_new(s, v->ids, sizeof v->ids);
    void *pw = on_device(s, &v->weight), *pn = on_device(s, nll);
    void *pdx = dx ? on_device(s, dx) : NULL, *pdw = dw ? on_device(s, dw) : NULL;
    struct tensor x = tensor_of(px, ROWS, C), tdx = tensor_of(pdx, ROWS, C);
    struct tensor tdw = tensor_of(pdw, v->vocab, C);
    s->o->train->cross_entropy(s->d, pn, dx ? &tdx : NULL, dw ? &tdw : NULL, &x, &h, pi, pw,
                               &row_units);
    back_to_host(s, nll, pn);
    if (dx)
        back_to_host(s, dx, pdx);
    if (dw)
        back_to_host(s, dw, pdw);
    s->o->weight_free(s->d, w);
    s->o->free(s->d, px);
    s->o->free(s->d, pi);
    s->o->free(s->d, pw);
}

static double loss_of(void *arg)
{
    const struct loss_case *v = arg;
    struct array nll = array_new(ROWS, 0);
    run_loss(&subjects[0], v, &nll, NULL, NULL);
    double sum = 0;
    for (int i = 0; i < ROWS; i++)
        sum += (double)nll.p[i] * (double)v->weight.p[i];
    free(nll.p);
    return sum;
}

static void test_loss(int64_t vocab, float cap, bool whole)
{
    struct loss_case v = {.x = array_new(ROWS * C, 1),
                          .w = array_new(vocab * C, 0.5f),
                          .weight = array_new(ROWS, 1),
                          .scale = cap > 0 ? 0.5f : 1,
                          .cap = cap,
                          .vocab = vocab};
    struct results r[3] = {{"cross_entropy", 30, {{0}}},
                           {"cross_entropy's dx", 200, {{0}}},
                           {"cross_entropy's dw", 200, {{0}}}};
    for (int i = 0; i < ROWS; i++)
        v.ids[i] = (int32_t)(i * 7919 % vocab);
    for (int i = 0; i < n_subjects; i++) {
        struct array nll = array_new(ROWS, 0), dx = array_new(ROWS * C, 1);
        struct array dw = array_new(vocab * C, 1);
        run_loss(&subjects[i], &v, &nll, &dx, whole ? &dw : NULL);
        result_check(&r[0], i, nll);
        result_check(&r[1], i, dx);
        if (whole)
            result_check(&r[2], i, dw);
        else
            free(dw.p);
    }
    check_slope("cross_entropy's dx", loss_of, &v, v.x, r[1].of[0].p, 1e-3);
    if (whole)
        check_slope("cross_entropy's dw", loss_of, &v, v.w, r[2].of[0].p, 1e-2);
    for (int k = 0; k < 3; k++)
        results_free(&r[k]);
    free(v.x.p);
    free(v.w.p);
    free(v.weight.p);
}

/* ---- elements -------------------------------------------------------------------------------
 */

static void test_flat(void)
{
    enum { FLAT = 40001 };
    struct array w = array_new(FLAT, 1), g = array_new(FLAT, 1), m = array_new(FLAT, 0.1f);
    struct array v = array_new(FLAT, 0.1f);
    struct results r[3] = {
        {"adamw", 8, {{0}}}, {"adamw's m", 8, {{0}}}, {"adamw's v", 8, {{0}}}};
    struct results scaled = {"scaled", 1, {{0}}}, sum = {"add", 1, {{0}}};
    struct adamw_args a = {1e-2f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.19f, 0.0199f, 0.5f};
    double squares[SUBJECTS_MAX];
    for (int64_t i = 0; i < FLAT; i++)
        v.p[i] = v.p[i] * v.p[i];
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct array out[5] = {array_new(FLAT, 0), array_new(FLAT, 0), array_new(FLAT, 0),
                               array_new(FLAT, 0), array_new(FLAT, 0)};
        void *p[5] = {on_device(s, &w), on_device(s, &m), on_device(s, &v),
                      on_device(s, &out[3]), on_device(s, &w)};
        void *pg = on_device(s, &g);
        struct tensor x = tensor_of(pg, 1, FLAT), y = tensor_of(p[3], 1, FLAT);
        s->o->train->adamw(s->d, p[0], p[1], p[2], pg, FLAT, &a);
        s->o->train->scaled(s->d, &y, &x, 0.3f);
        s->o->train->add(s->d, p[4], pg, FLAT);
        s->o->train->sum_squares(s->d, &squares[i], pg, FLAT);
        for (int k = 0; k < 5; k++) {
            back_to_host(s, &out[k], p[k]);
            result_check(k < 3 ? &r[k] : k == 3 ? &scaled : &sum, i, out[k]);
        }
        CHECK(fabs(squares[i] - squares[0]) < 1e-10 * squares[0]);
        CHECK(squares[i] == squares[sibling(i)]);
        s->o->free(s->d, pg);
    }
    for (int k = 0; k < 3; k++)
        results_free(&r[k]);
    results_free(&scaled);
    results_free(&sum);
    free(w.p);
    free(g.p);
    free(m.p);
    free(v.p);
}

/* A row's mask depends on its key, the salt and the column; so many are kept, and doubled. */
static void test_dropout(void)
{
    struct array x = array_new(T * K, 1);
    struct results r = {"dropout", 1, {{0}}};
    uint64_t keys[T];
    int64_t dropped = 0;
    for (int i = 0; i < T; i++) {
        keys[i] = (uint64_t)i / 2; /* neighbours with the same key */
        memcpy(x.p + i * K, x.p, K * sizeof *x.p);
    }
    for (int i = 0; i < n_subjects; i++) {
        const struct subject *s = &subjects[i];
        struct array out = array_new(T * K, 0);
        void *px = on_device(s, &x), *pk = dev_new(s, keys, sizeof keys);
        void *p = on_device(s, &out);
        struct tensor tx = tensor_of(px, T, K), ty = tensor_of(p, T, K);
        struct dropout_args a = {pk, 5, 0.5f};
        s->o->train->dropout(s->d, &ty, &tx, &a, false);
        back_to_host(s, &out, p);
        result_check(&r, i, out);
        s->o->free(s->d, px);
        s->o->free(s->d, pk);
    }
    const float *y = r.of[0].p;
    for (int64_t i = 0; i < T * K; i++) {
        CHECK(y[i] == 0 || y[i] == 2 * x.p[i]);
        dropped += y[i] == 0;
    }
    /* Of 22 * 70 independent draws: four standard deviations. */
    CHECK_MSG(fabs((double)dropped / (T * K) - 0.5) < 4 * 0.5 / sqrt(22.0 * K), "%d of %d",
              (int)dropped, T * K);
    CHECK(same_bits(y, y + K, K) && !same_bits(y, y + 2 * K, K));
    results_free(&r);
    free(x.p);
}

int main(void)
{
    struct dev_limits limits = {.tokens = T,
                                .rows = T,
                                .heads = HEADS,
                                .head_dim = D,
                                .vocab = V,
                                .width = 128,
                                .experts = E,
                                .used = U};
    struct train_limits train = {.tokens = T,
                                 .sequence = T,
                                 .rows = S,
                                 .heads = HEADS,
                                 .head_dim = D,
                                 .vocab = V,
                                 .width = 128};
    for (int i = 0; i < T; i++)
        positions[i] = i * 5 % T;
    open_subjects(&limits);
    reserve_train(&train);
    test_products(DT_F32, false, 1);
    test_products(DT_F32, true, 0.3f);
    test_products(DT_BF16, false, 0.3f);
    test_experts(false);
    test_experts(true);
    test_route_slope(false);
    test_route_slope(true);
    test_rows_by_id();
    test_norm(false, false);
    test_norm(true, false);
    test_norm(false, true);
    test_rope(false, false);
    test_rope(true, false);
    test_rope(true, true);
    test_gate(GATE_SILU, false);
    test_gate(GATE_GELU_TANH, false);
    test_gate(GATE_CLAMPED, true);
    test_loss(131, 0, true);
    test_loss(131, 3, true);
    test_loss(V, 0, true); /* more than one piece */
    test_loss(V, 0, false);
    test_flat();
    test_dropout();
    close_subjects();
    return unit_done("dev_train");
}
