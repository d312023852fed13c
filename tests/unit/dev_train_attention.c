/* dev_train_attention.c - attention without pages and its way back, on every backend. */
#include "dev_train.h"

enum { T = 121, TOP = 4, BASE = 2, WIDE = 40 };

static const struct train_span span_list[] = {{0, 1}, {1, 60}, {61, 7}, {68, 53}};
static const struct train_spans spans = {span_list, 4};

struct attention_case {
    struct array q, k, v, sinks, c;
    struct attention_args a;
};

static double attention_loss(void *arg)
{
    const struct attention_case *x = arg;
    const struct subject *s = &subjects[0];
    int64_t QC = x->q.n / T, KC = x->k.n / T;
    struct array y = array_new(x->q.n, 0), stats = array_new((int64_t)T * 2 * TOP, 0);
    struct tensor q = tensor_of(x->q.p, T, QC), k = tensor_of(x->k.p, T, KC);
    struct tensor v = tensor_of(x->v.p, T, KC), ty = tensor_of(y.p, T, QC);
    struct tensor st = tensor_of(stats.p, T, 2 * TOP);
    s->o->train->attention(s->d, &ty, &st, &q, &k, &v, &spans, &x->a);
    double sum = 0;
    for (int64_t i = 0; i < y.n; i++)
        sum += (double)y.p[i] * (double)x->c.p[i];
    free(y.p);
    free(stats.p);
    return sum;
}

static void run_case(const struct subject *s, int i, const struct attention_case *x,
                     struct results *r)
{
    int64_t QC = x->q.n / T, KC = x->k.n / T;
    struct array out[5] = {array_new(x->q.n, 0), array_new(x->q.n, 0), array_new(x->k.n, 0),
                           array_new(x->v.n, 0), array_new((int64_t)T * TOP, 0)};
    struct array stats = array_new((int64_t)T * 2 * TOP, 0);
    void *p[5], *in[6] = {on_device(s, &x->q),     on_device(s, &x->k), on_device(s, &x->v),
                          on_device(s, &x->sinks), on_device(s, &x->c), on_device(s, &stats)};
    for (int k = 0; k < 5; k++)
        p[k] = on_device(s, &out[k]);
    struct attention_args a = x->a;
    a.sinks = x->a.sinks ? in[3] : NULL;
    struct tensor q = tensor_of(in[0], T, QC), k = tensor_of(in[1], T, KC);
    struct tensor v = tensor_of(in[2], T, KC), c = tensor_of(in[4], T, QC);
    struct tensor st = tensor_of(in[5], T, 2 * TOP), y = tensor_of(p[0], T, QC);
    struct tensor dq = tensor_of(p[1], T, QC), dk = tensor_of(p[2], T, KC);
    struct tensor dv = tensor_of(p[3], T, KC), dsink = tensor_of(p[4], T, TOP);
    s->o->train->attention(s->d, &y, &st, &q, &k, &v, &spans, &a);
    s->o->train->attention_back(s->d, &dq, &dk, &dv, a.sinks ? &dsink : NULL, &c, &y, &st, &q,
                                &k, &v, &spans, &a);
    for (int n = 0; n < 5; n++) {
        back_to_host(s, &out[n], p[n]);
        result_check(&r[n], i, out[n]);
    }
    for (int n = 0; n < 6; n++)
        s->o->free(s->d, in[n]);
    free(stats.p);
}

static void test_attention(int32_t dim, int32_t window, float cap, bool sinks)
{
    struct attention_case x = {.q = array_new((int64_t)T * TOP * dim, 1),
                               .k = array_new((int64_t)T * BASE * dim, 1),
                               .v = array_new((int64_t)T * BASE * dim, 1),
                               .sinks = array_new(TOP, 1),
                               .c = array_new((int64_t)T * TOP * dim, 1)};
    x.a = (struct attention_args){.heads = TOP,
                                  .kv_heads = BASE,
                                  .head_dim = dim,
                                  .scale = 0.3f,
                                  .window = window,
                                  .soft_cap = cap,
                                  .sinks = sinks ? x.sinks.p : NULL};
    struct results r[5] = {{"attention", 100, {{0}}},
                           {"attention_back's q", 200, {{0}}},
                           {"attention_back's k", 200, {{0}}},
                           {"attention_back's v", 200, {{0}}},
                           {"attention_back's sinks", 200, {{0}}}};
    for (int i = 0; i < n_subjects; i++)
        run_case(&subjects[i], i, &x, r);
    check_slope("attention_back's q", attention_loss, &x, x.q, r[1].of[0].p, 3e-3);
    check_slope("attention_back's k", attention_loss, &x, x.k, r[2].of[0].p, 3e-3);
    check_slope("attention_back's v", attention_loss, &x, x.v, r[3].of[0].p, 3e-3);
    if (sinks) {
        float sum[TOP] = {0};
        for (int64_t i = 0; i < (int64_t)T * TOP; i++)
            sum[i % TOP] += r[4].of[0].p[i];
        check_slope("attention_back's sinks", attention_loss, &x, x.sinks, sum, 3e-3);
    }
    for (int n = 0; n < 5; n++)
        results_free(&r[n]);
    const struct array all[] = {x.q, x.k, x.v, x.sinks, x.c};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++)
        free(all[n].p);
}

int main(void)
{
    struct dev_limits limits = {.tokens = T,
                                .rows = T,
                                .heads = TOP,
                                .head_dim = WIDE,
                                .vocab = 64,
                                .width = TOP * WIDE};
    struct train_limits train = {.tokens = T,
                                 .sequence = T,
                                 .rows = T,
                                 .heads = TOP,
                                 .head_dim = WIDE,
                                 .vocab = 64,
                                 .width = TOP * WIDE};
    open_subjects(&limits);
    reserve_train(&train);
    test_attention(16, 0, 0, false);
    test_attention(WIDE, 0, 0, true);
    test_attention(10, 17, 0, true);
    test_attention(32, 5, 4, false);
    close_subjects();
    return unit_done("dev_train_attention");
}
