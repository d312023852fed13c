/* sampling.c - logits to filtered distributions, against the reference's. */
#include "session.h"

#include "infer/sample.h"

/* As the reference states them: which ids are kept is exact. */
static const double LOGIT = 1e-5, PROB_ABS = 1e-6, PROB_REL = 1e-5;

/* A number of the case, or what stands for "off". */
static double setting(const json_t *c, const char *name, double off)
{
    const json_t *v = json_object_get(c, name);
    return json_is_number(v) ? json_number_value(v) : off;
}

static json_t *find_logits(json_t *all, const char *id)
{
    size_t i;
    json_t *x;
    json_array_foreach(all, i, x)
    {
        if (!strcmp(json_string_value(json_object_get(x, "logits_id")), id))
            return x;
    }
    return NULL;
}

/* Everything that the case says of the logits left; NULL where it holds. */
static const char *compare(const json_t *c, const float *logits, int32_t n)
{
    size_t n_logits, n_probs;
    const char *why = NULL;
    const json_t *kept = json_object_get(c, "kept_ids");
    float *want = values_of(json_object_get(c, "processed_logits_kept_f32_b64"), &n_logits);
    float *probs = values_of(json_object_get(c, "probs_kept_f32_b64"), &n_probs);
    double lse = logits_lse(logits, n);
    int32_t next = 0;
    for (int32_t i = 0; i < n && !why; i++) {
        if (logits[i] == -INFINITY)
            continue;
        if (next == (int32_t)n_logits ||
            json_integer_value(json_array_get(kept, (size_t)next)) != i)
            why = "other ids are kept";
        else if (fabs((double)logits[i] - want[next]) > LOGIT * fabs((double)want[next]))
            why = "a logit differs";
        else if (fabs(exp((double)logits[i] - lse) - probs[next]) >
                 PROB_ABS + PROB_REL * probs[next])
            why = "a probability differs";
        next++;
    }
    if (!why && (size_t)next != n_logits)
        why = "too few ids are kept";
    if (!why && sample_best(logits, n) != json_integer_value(json_object_get(c, "argmax")))
        why = "another id is the likeliest";
    free(want);
    free(probs);
    return why;
}

static void run_case(const json_t *c, json_t *all, struct golden_count *count)
{
    size_t n;
    int32_t n_prefix;
    const char *name = json_string_value(json_object_get(c, "case"));
    json_t *from = find_logits(all, json_string_value(json_object_get(c, "logits_id")));
    if (!from) {
        golden_fail(count, "%s: its logits are missing", name);
        return;
    }
    float *logits = values_of(json_object_get(from, "logits_f32_b64"), &n);
    int32_t *prefix = ids_of(json_object_get(from, "prefix_ids"), &n_prefix);
    struct sample_work *w = sample_work_new((int32_t)n);
    const struct sample_penalties p = {.repetition = setting(c, "repetition_penalty", 1)};
    const struct sampling s = {
        .temperature = setting(c, "temperature", 1),
        .top_k = (int32_t)setting(c, "top_k", 0),
        .top_p = setting(c, "top_p", 1),
        .min_p = setting(c, "min_p", 0),
    };
    /* The penalty takes prompt and answer alike. */
    sample_penalise(w, &p, prefix, n_prefix / 2, prefix + n_prefix / 2, n_prefix - n_prefix / 2,
                    logits);
    sample_filter(w, &s, logits, (int32_t)n);
    const char *why = compare(c, logits, (int32_t)n);
    if (why)
        golden_fail(count, "%s: %s", name, why);
    else
        count->passed++;
    sample_work_free(w);
    free(prefix);
    free(logits);
}

int main(int argc, char **argv)
{
    char path[4096];
    json_t *all = json_array(), *c;
    struct golden_count count = {.kind = "sampling"};
    snprintf(path, sizeof path, "%s/sampling/logits.jsonl", argc > 1 ? argv[1] : "");
    FILE *in = fopen(path, "r");
    while ((c = next_record(in)))
        json_array_append_new(all, c);
    if (in)
        fclose(in);
    snprintf(path, sizeof path, "%s/sampling/cases.jsonl", argc > 1 ? argv[1] : "");
    in = fopen(path, "r");
    if (!in) {
        printf("%s is missing\n", path);
        count.skipped = 1;
    }
    while ((c = next_record(in))) {
        run_case(c, all, &count);
        json_decref(c);
    }
    if (in)
        fclose(in);
    json_decref(all);
    golden_report(&count);
    return golden_done();
}
