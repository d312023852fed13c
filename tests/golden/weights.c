/* weights.c - a real pre-trained model, stored in f32, f16 and bf16: greedy ids, the
 * log-probabilities of prompt and answer, and the prompt's last logits, on every backend.
 */
#include "session.h"

enum { FIRST_LOGITS = 16 };

/* The reference ran the f32 weights.  An independent float64 evaluation of those differs from
 * it by as much as we do (2.3e-3 in logits, 3.8e-3 in log-probabilities: its own order of
 * sums), and of the weights rounded to 16 bits by 0.051 and 0.057: there, only gaps between the
 * two largest logits of more than twice that cannot flip. */
static const struct kind {
    const char *folder;
    double token, logit; /* bounds */
    double gap;          /* records with a smaller one may have other ids */
} kinds[] = {
    {"stories260K-hf-f32", 5e-3, 5e-3, 0.001},
    {"stories260K-hf-f16", 0.1, 0.06, 0.1},
    {"stories260K-hf-bf16", 0.1, 0.06, 0.1},
};

struct worst {
    double token, logit;
    int ids;
};

static void keep_worst(double *to, double d)
{
    if (!(d <= *to))
        *to = d;
}

/* Position by position, fed with the reference's tokens. */
static int run_ids(struct model *m, const int32_t *ids, int32_t n_prompt, int32_t n,
                   const json_t *rec, float *logits, struct worst *w, struct err *e)
{
    const json_t *logprobs = json_object_get(rec, "token_logprobs");
    const json_t *first = json_object_get(rec, "last_prompt_logits_first16");
    for (int32_t t = 0; t + 1 < n; t++) {
        int32_t best;
        float lp;
        if (session_step(m, ids, t, 1, NULL, e) < 0 || model_argmax(m, 0, 1, &best, &lp, e) < 0)
            return -1;
        w->ids += t + 1 >= n_prompt && best != ids[t + 1];
        if (model_logprob(m, 0, 1, ids + t + 1, &lp, e) < 0 ||
            model_logits(m, 0, 1, logits, e) < 0)
            return -1;
        keep_worst(&w->token, fabs((double)lp - number_at(logprobs, t)));
        for (int32_t k = 0; t == n_prompt - 1 && k < FIRST_LOGITS; k++)
            keep_worst(&w->logit, fabs((double)logits[k] - number_at(first, k)));
    }
    return 0;
}

static int run_case(struct model *m, const json_t *rec, struct worst *w, struct err *e)
{
    struct model_info info;
    int32_t n, n_out, all[ROOM];
    int32_t *ids = ids_of(json_object_get(rec, "prompt_ids"), &n);
    int32_t *out = ids_of(json_object_get(rec, "output_ids"), &n_out);
    size_t logprobs = json_array_size(json_object_get(rec, "token_logprobs"));
    int rc = -1;
    model_info(m, &info);
    if (n < 1 || n_out < 1 || n + n_out > ROOM || logprobs + 1 != (size_t)(n + n_out)) {
        err_set(e, EXIT_DATA, "%d and %d tokens, %zu log-probabilities", n, n_out, logprobs);
    } else {
        float *logits = xmalloc_n((size_t)info.vocab, sizeof *logits);
        memcpy(all, ids, (size_t)n * sizeof *all);
        memcpy(all + n, out, (size_t)n_out * sizeof *all);
        rc = run_ids(m, all, n, n + n_out, rec, logits, w, e);
        free(logits);
    }
    free(ids);
    free(out);
    return rc;
}

static void run_records(struct golden_count *c, struct model *m, const char *records,
                        const struct kind *k, const char *backend)
{
    struct worst all = {0};
    FILE *f = fopen(records, "r");
    for (json_t *rec; (rec = next_record(f)); json_decref(rec)) {
        const char *id = json_string_value(json_object_get(rec, "id"));
        double gap = json_number_value(json_object_get(rec, "min_top1_gap"));
        struct err e = {0};
        struct worst w = {0};
        if (run_case(m, rec, &w, &e) < 0)
            golden_fail(c, "%s %s %s: %s", k->folder, backend, id, e.text);
        else if ((gap >= k->gap && w.ids) || w.token > k->token || w.logit > k->logit)
            golden_fail(c, "%s %s %s: %d other ids, log-probabilities %.2g, logits %.2g",
                        k->folder, backend, id, w.ids, w.token, w.logit);
        else
            c->passed++;
        keep_worst(&all.token, w.token);
        keep_worst(&all.logit, w.logit);
    }
    if (f)
        fclose(f);
    printf("golden/weights: %s %s: log-probabilities %.1e, logits %.1e\n", k->folder, backend,
           all.token, all.logit);
}

static void run_kind(struct golden_count *c, const char *dir, const char *records,
                     const struct kind *k)
{
    struct err e = {0};
    struct ckpt *ckpt = ckpt_open(dir, &e);
    for (int i = 0; ckpt && i < BACKENDS; i++) {
        struct dev *d = backend_open(&backends[i]);
        struct model *m = d ? session_open(d, ckpt, DT_F32, &e) : NULL;
        if (d && !m)
            golden_fail(c, "%s", e.text);
        else if (d)
            run_records(c, m, records, k, backends[i].name);
        model_close(m);
        if (d)
            d->ops->close(d);
    }
    if (!ckpt)
        golden_fail(c, "%s", e.text);
    ckpt_close(ckpt);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "weights"};
    const char *material = argc > 2 ? argv[2] : "";
    char dir[4096], records[4096];
    snprintf(records, sizeof records, "%s/weights/stories260K-greedy.jsonl", material);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(dir, sizeof dir, "%s/weights/%s", material, kinds[i].folder);
        if (golden_have(dir) && golden_have(records)) {
            run_kind(&c, dir, records, &kinds[i]);
        } else {
            printf("golden/weights: no %s: skipped\n", dir);
            c.skipped++;
        }
    }
    golden_report(&c);
    return golden_done();
}
