/* reference.h - one model on one backend against the reference's records: logits, argmax,
 * log-probabilities, hidden states, greedy ids; and the same bits however a prompt is cut and
 * whoever comes along.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "session.h"

#include "ckpt/peft.h"

/* Bounds for f32 compute.  The reference's own float64 twin differs by 7e-5 in logits and
 * hidden states and 3.3e-4 in a prompt's total; the rest is room for another order of sums. */
static const double F32_LOGIT = 5e-4, F32_HIDDEN = 5e-4, F32_TOKEN = 1e-3, F32_TOTAL = 2e-3,
                    F32_MARGIN = 0.002;
/* Bounds for bf16, which the README derives from the reference's own bf16 run. */
static const double BF16_MEAN = 2, BF16_MAX = 3, BF16_AGREE = 0.97, BF16_MARGIN = 1;
/* With experts rounding changes here and there which ones are chosen, and then a prompt's
 * logits differ by much: medians are bound, the largest difference is not. */
static const double EXPERTS_MEDIAN = 3, EXPERTS_AGREE = 0.85;

struct worst {
    double logit, hidden, token, total;
};

/* What one run over a prompt gives; compared bit for bit between runs. */
struct result {
    int32_t n, vocab;
    int32_t adapter[2]; /* once for each of two spans; 0: none */
    bool far[2];        /* the sequence is longer than info.far_after; the same */
    int32_t *argmax;    /* [n] */
    float *best;        /* [n] log-probability of the argmax */
    float *next;        /* [n - 1] log-probability of the token that follows */
    float *logits;      /* [n, vocab] */
};

static struct result result_new(int32_t n, int32_t adapter, const struct model_info *info)
{
    size_t N = (size_t)n;
    int32_t vocab = info->vocab;
    bool far = info->far_after && n > info->far_after;
    return (struct result){n,
                           vocab,
                           {adapter, adapter},
                           {far, far},
                           xcalloc(N, sizeof(int32_t)),
                           xcalloc(N, sizeof(float)),
                           xcalloc(N, sizeof(float)),
                           xcalloc(N * (size_t)vocab, sizeof(float))};
}

static void result_free(struct result *r)
{
    free(r->argmax);
    free(r->best);
    free(r->next);
    free(r->logits);
}

static bool result_same(const struct result *a, const struct result *b)
{
    size_t n = (size_t)a->n;
    return !memcmp(a->argmax, b->argmax, n * sizeof(int32_t)) &&
           !memcmp(a->best, b->best, n * sizeof(float)) &&
           !memcmp(a->next, b->next, (n - 1) * sizeof(float)) &&
           !memcmp(a->logits, b->logits, n * (size_t)a->vocab * sizeof(float));
}

/* Takes kept rows row0 .. row0+n-1 as those of positions start .. start+n-1. */
static int take(struct model *m, struct result *r, const int32_t *ids, int32_t row0,
                int32_t start, int32_t n, struct err *e)
{
    int32_t targets = start + n < r->n ? n : n - 1;
    if (model_argmax(m, row0, n, r->argmax + start, r->best + start, e) < 0 ||
        model_logprob(m, row0, targets, ids + start + 1, r->next + start, e) < 0)
        return -1;
    return model_logits(m, row0, n, r->logits + (int64_t)start * r->vocab, e);
}

static const bool *far_of(const struct result *r)
{
    return r->far[0] ? r->far : NULL;
}

static int run_chunks(struct model *m, struct result *r, const int32_t *ids, int32_t chunk,
                      const struct batch *tap, struct err *e)
{
    struct batch extra = tap ? *tap : (struct batch){0};
    extra.far = far_of(r);
    extra.adapters = r->adapter;
    for (int32_t at = 0; at < r->n; at += chunk) {
        int32_t n = r->n - at < chunk ? r->n - at : chunk;
        if (session_step(m, ids, at, n, &extra, e) < 0 || take(m, r, ids, 0, at, n, e) < 0)
            return -1;
    }
    return 0;
}

/* Behind a prefix of whole pages that both read, two spans of the same tokens, each with pages
 * of its own; what is compared is the second one's.  A prompt of one page shares nothing. */
static int run_shared(struct model *m, struct result *r, const int32_t *ids, struct err *e)
{
    int32_t prefix = (r->n - 1) / KV_PAGE * KV_PAGE, n = r->n - prefix;
    int32_t pos[2 * ROOM], rows[2 * ROOM], twice[2 * ROOM], pages[2 * LIST];
    const struct batch extra = {.far = far_of(r), .adapters = r->adapter};
    if (prefix && (session_step(m, ids, 0, prefix, &extra, e) < 0 ||
                   take(m, r, ids, 0, 0, prefix, e) < 0))
        return -1;
    for (int32_t i = 0; i < 2 * n; i++) {
        rows[i] = i;
        pos[i] = prefix + i % n;
        twice[i] = ids[prefix + i % n];
    }
    memcpy(pages, session_pages(), sizeof pages);
    for (int32_t i = 0; i < prefix / KV_PAGE; i++)
        pages[LIST + i] = pages[i];
    struct span spans[] = {{0, n, prefix, 0}, {n, n, prefix, LIST}};
    struct batch b = {.ids = twice,
                      .pos = pos,
                      .tokens = 2 * n,
                      .spans = spans,
                      .n_spans = 2,
                      .pages = pages,
                      .n_pages = 2 * LIST,
                      .far = far_of(r),
                      .adapters = r->adapter,
                      .rows = rows,
                      .n_rows = 2 * n};
    if (model_forward(m, &b, e) < 0)
        return -1;
    return take(m, r, ids, n, prefix, n, e);
}

static int run_greedy(struct model *m, const struct result *r, const int32_t *ids, int32_t *out,
                      int32_t n, struct err *e)
{
    int32_t all[ROOM];
    float lp;
    struct batch extra = {.far = far_of(r), .adapters = r->adapter};
    struct model_info info;
    static const bool far[2] = {true, true};
    model_info(m, &info);
    int32_t after = r->far[0] ? 0 : info.far_after;
    memcpy(all, ids, (size_t)r->n * sizeof *all);
    out[0] = r->argmax[r->n - 1];
    for (int32_t i = 1; i < n; i++) {
        int32_t at = r->n + i - 1;
        all[at] = out[i - 1];
        if (after && at == after) { /* from here on far, and all before it too */
            extra.far = far;
            if (session_step(m, all, 0, after, &extra, e) < 0)
                return -1;
        }
        if (session_step(m, all, at, 1, &extra, e) < 0 ||
            model_argmax(m, 0, 1, &out[i], &lp, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- comparisons ---------------------------------------------------------- */

static double worst_of(const float *a, const float *b, size_t n, double *mean)
{
    double worst = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? d : worst;
        sum += d;
    }
    if (mean)
        *mean = sum / (double)n;
    return worst;
}

static void keep_worst(double *to, double d)
{
    if (!(d <= *to))
        *to = d;
}

/* One case of one backend: where failures go. */
struct at {
    struct golden_count *c;
    const char *model, *backend, *id;
};

static bool bound(const struct at *a, const char *what, double d, double limit)
{
    if (d <= limit)
        return true;
    golden_fail(a->c, "%s %s %s: %s differ by %.3g, more than %.3g", a->model, a->backend,
                a->id, what, d, limit);
    return false;
}

static bool compare_f32(const struct at *a, const json_t *rec, const struct result *r,
                        const int32_t *greedy, struct worst *w)
{
    size_t n_logits;
    float *want = values_of(json_object_get(rec, "logits_last_f32_b64"), &n_logits);
    const json_t *logprobs = json_object_get(rec, "token_logprobs");
    const json_t *argmax = json_object_get(rec, "argmax");
    const json_t *margin = json_object_get(rec, "argmax_margin");
    const json_t *ids = json_object_get(rec, "greedy_ids");
    double logit = INFINITY, token = 0, total = 0;
    int wrong = 0, greedy_wrong = 0;
    if (want && n_logits == (size_t)r->vocab)
        logit = worst_of(want, r->logits + (int64_t)(r->n - 1) * r->vocab, n_logits, NULL);
    for (int32_t i = 0; i + 1 < r->n; i++) {
        keep_worst(&token, fabs((double)r->next[i] - number_at(logprobs, i)));
        total += (double)r->next[i];
    }
    total = fabs(total - json_number_value(json_object_get(rec, "logprob_total")));
    for (int32_t i = 0; i < r->n; i++)
        wrong += number_at(margin, i) >= F32_MARGIN &&
                 r->argmax[i] != (int32_t)number_at(argmax, i);
    for (int32_t i = 0; i < (int32_t)json_array_size(ids); i++)
        greedy_wrong += greedy[i] != (int32_t)number_at(ids, i);
    free(want);
    keep_worst(&w->logit, logit);
    keep_worst(&w->token, token);
    keep_worst(&w->total, total);
    return bound(a, "logits", logit, F32_LOGIT) & bound(a, "token_logprobs", token, F32_TOKEN) &
           bound(a, "logprob_total", total, F32_TOTAL) & bound(a, "argmax", wrong, 0) &
           bound(a, "greedy_ids", greedy_wrong, 0);
}

/* Hidden states and all logits of one prompt. */
struct hidden {
    struct safetensors *file;
    double worst;
    int seen;
};

static void see_hidden(void *arg, int i, const float *x, int64_t tokens, int64_t width)
{
    struct hidden *h = arg;
    char name[32];
    snprintf(name, sizeof name, "hidden.%d", i);
    const struct ckpt_tensor *t = safetensors_find(h->file, name);
    if (!t || t->dtype != CKPT_F32 || t->bytes != tokens * width * 4) {
        h->worst = INFINITY;
        return;
    }
    h->seen++;
    float *want = xmalloc((size_t)t->bytes); /* the file's bytes may stand unaligned */
    memcpy(want, t->data, (size_t)t->bytes);
    keep_worst(&h->worst, worst_of(want, x, (size_t)(tokens * width), NULL));
    free(want);
}

static bool compare_hidden(const struct at *a, struct model *m, const char *path,
                           const int32_t *ids, struct result *r, struct worst *w)
{
    struct err e = {0};
    struct hidden h = {.file = safetensors_open(path, &e)};
    struct batch tap = {.tap = see_hidden, .tap_arg = &h};
    double logits = INFINITY;
    if (!h.file || run_chunks(m, r, ids, r->n, &tap, &e) < 0) {
        golden_fail(a->c, "%s %s %s: %s", a->model, a->backend, a->id, e.text);
        safetensors_close(h.file);
        return false;
    }
    const struct ckpt_tensor *t = safetensors_find(h.file, "logits_all");
    size_t n = (size_t)r->n * (size_t)r->vocab;
    if (t && t->bytes == (int64_t)(n * 4)) {
        float *want = xmalloc(n * 4);
        memcpy(want, t->data, n * 4);
        logits = worst_of(want, r->logits, n, NULL);
        free(want);
    }
    bool all = (size_t)h.seen + 1 == safetensors_count(h.file);
    safetensors_close(h.file);
    keep_worst(&w->hidden, h.worst);
    keep_worst(&w->logit, logits);
    return bound(a, "hidden states", all ? h.worst : INFINITY, F32_HIDDEN) &
           bound(a, "logits_all", logits, F32_LOGIT);
}

/* Sums over the prompts of one model in bf16, ours against the reference's f32. */
enum { BF16_PROMPTS = 64 };
struct bf16 {
    double mean, mean_theirs, max, max_theirs;
    double means[BF16_PROMPTS], means_theirs[BF16_PROMPTS];
    int prompts, sure, agree; /* positions with a margin, and those with the same argmax */
    bool first_wrong, experts;
};

static void add_bf16(struct bf16 *s, const json_t *rec, const struct result *r)
{
    const json_t *theirs = json_object_get(rec, "bf16");
    const json_t *margin = json_object_get(rec, "argmax_margin");
    const json_t *argmax = json_object_get(rec, "argmax");
    size_t n;
    double mean = INFINITY;
    float *want = values_of(json_object_get(rec, "logits_last_f32_b64"), &n);
    const float *last = r->logits + (int64_t)(r->n - 1) * r->vocab;
    keep_worst(&s->max,
               want && n == (size_t)r->vocab ? worst_of(want, last, n, &mean) : INFINITY);
    free(want);
    double mean_theirs = json_number_value(json_object_get(theirs, "mean_abs_diff_last"));
    s->mean += mean;
    s->mean_theirs += mean_theirs;
    s->experts = json_is_number(json_object_get(rec, "router_gap_min"));
    s->means[s->prompts % BF16_PROMPTS] = mean;
    s->means_theirs[s->prompts % BF16_PROMPTS] = mean_theirs;
    keep_worst(&s->max_theirs, json_number_value(json_object_get(theirs, "max_abs_diff_last")));
    s->prompts++;
    for (int32_t i = 0; i < r->n; i++) {
        if (number_at(margin, i) < BF16_MARGIN)
            continue;
        bool same = r->argmax[i] == (int32_t)number_at(argmax, i);
        s->sure++;
        s->agree += same;
        s->first_wrong = s->first_wrong || (i == r->n - 1 && !same);
    }
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return n ? (v[(n - 1) / 2] + v[n / 2]) / 2 : INFINITY;
}

/* A model with experts. */
static void judge_experts(const struct at *a, struct bf16 *s)
{
    int n = s->prompts < BF16_PROMPTS ? s->prompts : BF16_PROMPTS;
    double ours = median(s->means, n), theirs = median(s->means_theirs, n);
    double agree = s->sure ? (double)s->agree / s->sure : 1;
    printf("golden/%s: %s %s bf16: median of means %.4f (reference's %.4f), argmax %d of %d\n",
           a->c->kind, a->model, a->backend, ours, theirs, s->agree, s->sure);
    if (bound(a, "medians of last logits", ours, EXPERTS_MEDIAN * theirs) &
        bound(a, "shares of argmax", 1 - agree, 1 - EXPERTS_AGREE) &
        bound(a, "first greedy ids", s->first_wrong, 0))
        a->c->passed++;
}

static void judge_bf16(const struct at *a, struct bf16 *s)
{
    if (s->experts) {
        judge_experts(a, s);
        return;
    }
    double agree = s->sure ? (double)s->agree / s->sure : 1;
    printf("golden/%s: %s %s bf16: mean %.4f (reference's %.4f), max %.3f (%.3f), argmax %d "
           "of %d\n",
           a->c->kind, a->model, a->backend, s->mean / s->prompts, s->mean_theirs / s->prompts,
           s->max, s->max_theirs, s->agree, s->sure);
    if (bound(a, "means of last logits", s->mean, BF16_MEAN * s->mean_theirs) &
        bound(a, "last logits", s->max, BF16_MAX * s->max_theirs) &
        bound(a, "shares of argmax", 1 - agree, 1 - BF16_AGREE) &
        bound(a, "first greedy ids", s->first_wrong, 0))
        a->c->passed++;
}

/* ---- one model on one backend --------------------------------------------- */

/* The plain backend is slow and has no blocks to cut: long prompts are cut on the others. */
static bool check_bits(const struct at *a, struct model *m, const struct result *r,
                       const int32_t *ids)
{
    static const int32_t chunks[] = {1, 7, 64};
    struct model_info info;
    model_info(m, &info);
    struct result x = result_new(r->n, r->adapter[0], &info);
    struct err e = {0};
    bool ok = true;
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks && ok; i++) {
        ok = run_chunks(m, &x, ids, chunks[i], NULL, &e) == 0 && result_same(r, &x);
        if (!ok)
            golden_fail(a->c, "%s %s %s: other bits in chunks of %d %s", a->model, a->backend,
                        a->id, chunks[i], e.text);
    }
    if (ok) {
        ok = run_shared(m, &x, ids, &e) == 0 && result_same(r, &x);
        if (!ok)
            golden_fail(a->c, "%s %s %s: other bits behind a shared prefix %s", a->model,
                        a->backend, a->id, e.text);
    }
    result_free(&x);
    return ok;
}

/* Where a model and its references are. */
struct place {
    const char *model, *dir, *records, *hidden;
    const struct peft *adapter; /* NULL: the model alone */
};

static void run_record(const struct at *a, struct model *m, const struct place *p,
                       const json_t *rec, enum dtype dtype, struct worst *w, struct bf16 *s)
{
    struct model_info info;
    struct err e = {0};
    int32_t n, greedy[24] = {0};
    int32_t *ids = ids_of(json_object_get(rec, "input_ids"), &n);
    model_info(m, &info);
    if (n < 1 || n + 24 > ROOM) {
        golden_fail(a->c, "%s %s: %d tokens", a->model, a->id, n);
        free(ids);
        return;
    }
    struct result r = result_new(n, p->adapter ? 1 : 0, &info);
    bool ok = run_chunks(m, &r, ids, n, NULL, &e) == 0;
    if (ok && dtype == DT_F32)
        ok = run_greedy(m, &r, ids, greedy, 24, &e) == 0;
    if (!ok)
        golden_fail(a->c, "%s %s %s: %s", a->model, a->backend, a->id, e.text);
    if (ok && dtype == DT_F32)
        ok = compare_f32(a, rec, &r, greedy, w);
    if (ok && dtype == DT_BF16)
        add_bf16(s, rec, &r);
    if (ok && (strcmp(a->backend, "ref") || n <= 33))
        ok = check_bits(a, m, &r, ids);
    if (ok && dtype == DT_F32 && p->hidden && !strcmp(a->id, "p1"))
        ok = compare_hidden(a, m, p->hidden, ids, &r, w);
    a->c->passed += ok;
    result_free(&r);
    free(ids);
}

static void run_backend(struct golden_count *c, const struct place *p, const struct ckpt *ckpt,
                        const struct backend *backend, enum dtype dtype)
{
    struct at a = {c, p->model, backend->name, ""};
    struct err e = {0};
    struct worst w = {0};
    struct bf16 s = {0};
    struct dev *d = backend_open(backend);
    if (!d)
        return;
    struct model *m = session_open(d, ckpt, dtype, &e);
    if (m && p->adapter && model_load_adapter(m, p->adapter, &e) < 0) {
        model_close(m);
        m = NULL;
    }
    FILE *f = fopen(p->records, "r");
    if (!m || !f)
        golden_fail(c, "%s %s: %s", p->model, backend->name, m ? p->records : e.text);
    for (json_t *rec; m && (rec = next_record(f)); json_decref(rec)) {
        a.id = json_string_value(json_object_get(rec, "id"));
        run_record(&a, m, p, rec, dtype, &w, &s);
    }
    a.id = "all";
    if (m && dtype == DT_F32)
        printf("golden/%s: %s %s f32: logits %.1e, hidden %.1e, token %.1e, total %.1e\n",
               c->kind, p->model, backend->name, w.logit, w.hidden, w.token, w.total);
    if (m && dtype == DT_BF16)
        judge_bf16(&a, &s);
    if (f)
        fclose(f);
    model_close(m);
    d->ops->close(d);
}

#endif
