/* labels.c - log-probabilities of given label sequences behind a prompt, on every backend. */
#include "session.h"

#include "infer/infer.h"

/* Absolute, on a label's summed log-probability; the reference is within 1e-3 of its own
 * float64 twin. */
static const double TOLERANCE = 2e-3, POSTERIOR = 1e-3;

enum { LABELS_MAX = 8 };

struct golden_case {
    json_t *want;
    struct golden_count *count;
    double worst;
};

static void done(void *arg, const struct infer_request *r, const struct infer_answer *a)
{
    struct golden_case *c = arg;
    const char *id = json_string_value(json_object_get(c->want, "id"));
    const json_t *sums = json_object_get(c->want, "logprob"),
                 *posterior = json_object_get(c->want, "posterior");
    double worst = 0, off = 0, total = 0, best_mean = -INFINITY;
    int32_t best_by_mean = 0;
    for (int32_t i = 0; i < r->n_choices; i++)
        total += exp(a->choice_logprobs[i] - a->choice_logprobs[a->best]);
    for (int32_t i = 0; i < r->n_choices; i++) {
        double p = exp(a->choice_logprobs[i] - a->choice_logprobs[a->best]) / total;
        double mean = a->choice_logprobs[i] / r->choices[i].n;
        worst = fmax(worst, fabs(a->choice_logprobs[i] - number_at(sums, i)));
        off = fmax(off, fabs(p - number_at(posterior, i)));
        if (mean > best_mean) {
            best_mean = mean;
            best_by_mean = i;
        }
    }
    c->worst = fmax(c->worst, worst);
    if (worst > TOLERANCE || off > POSTERIOR)
        golden_fail(c->count, "%s: sums differ by %g, posteriors by %g", id, worst, off);
    else if (a->best != json_integer_value(json_object_get(c->want, "best_by_sum")) ||
             best_by_mean != json_integer_value(json_object_get(c->want, "best_by_mean")))
        golden_fail(c->count, "%s: another label is the best", id);
    else
        c->count->passed++;
}

static void run_case(struct infer *f, struct golden_case *c)
{
    struct err e = {0};
    struct infer_choice choices[LABELS_MAX];
    int32_t *ids[LABELS_MAX], n;
    const json_t *labels = json_object_get(c->want, "labels");
    int32_t n_labels = (int32_t)json_array_size(labels);
    int32_t *prompt = ids_of(json_object_get(c->want, "prompt_ids"), &n);
    for (int32_t i = 0; i < n_labels && i < LABELS_MAX; i++) {
        ids[i] = ids_of(json_array_get(labels, (size_t)i), &choices[i].n);
        choices[i].ids = ids[i];
    }
    struct infer_request r = {
        .prompt = prompt, .n_prompt = n, .choices = choices, .n_choices = n_labels};
    int rc = infer_add(f, &r, &e);
    while (rc == 0 && infer_in_flight(f))
        rc = infer_step(f, done, c, &e);
    if (rc < 0)
        golden_fail(c->count, "%s: %s", json_string_value(json_object_get(c->want, "id")),
                    e.text);
    for (int32_t i = 0; i < n_labels; i++)
        free(ids[i]);
    free(prompt);
}

/* All cases of one model; batches are small, so that prompts and labels are cut. */
static void run_model(const char *golden, const char *name, const struct backend *b,
                      struct golden_count *count)
{
    char path[4096];
    struct err e = {0};
    json_t *record;
    snprintf(path, sizeof path, "%s/models/%s", golden, name);
    struct ckpt *c = ckpt_open(path, &e);
    struct dev *d = c ? backend_open(b) : NULL;
    struct model *m = NULL;
    if (d)
        m = model_open(d, c, &(struct model_config){DT_F32, 24, 10, 4 << 20, 0}, &e);
    struct infer *f = m ? infer_new(m, &(struct infer_config){24, 10, 1, true}) : NULL;
    struct golden_case k = {.count = count};
    snprintf(path, sizeof path, "%s/labels/labels.jsonl", golden);
    FILE *in = fopen(path, "r");
    while ((record = next_record(in))) {
        k.want = record;
        if (!strcmp(json_string_value(json_object_get(record, "model")), name)) {
            if (f)
                run_case(f, &k);
            else
                count->skipped++;
        }
        json_decref(record);
    }
    if (in)
        fclose(in);
    if (f)
        printf("labels: %s on %s: worst difference %.2g\n", name, b->name, k.worst);
    else
        printf("labels: %s on %s skipped: %s\n", name, b->name,
               e.status ? e.text : "not on this machine");
    infer_free(f);
    model_close(m);
    if (d)
        d->ops->close(d);
    if (c)
        ckpt_close(c);
}

int main(int argc, char **argv)
{
    static const char *const models[] = {"llama-gqa-f32", "llama-tied-bf16-sharded",
                                         "gptoss-mxfp4"};
    char path[4096];
    struct golden_count count = {.kind = "labels"};
    snprintf(path, sizeof path, "%s/labels/labels.jsonl", argc > 1 ? argv[1] : "");
    if (!golden_have(path)) {
        printf("%s is missing\n", path);
        count.skipped = 1;
    } else {
        for (size_t i = 0; i < sizeof models / sizeof *models; i++)
            for (int b = 0; b < BACKENDS; b++)
                run_model(argv[1], models[i], &backends[b], &count);
    }
    golden_report(&count);
    return golden_done();
}
