/* probs.c - the probabilities that result records give their labels. */
#include "score/probs.h"

#include "metrics/metrics.h"
#include "rec/json.h"

/* 16 bytes a record where --positive is given, else 32 of two labels. */
struct point {
    double prob;
    uint32_t group;
    uint32_t label : 31, positive : 1; /* positive: the label is the gold one */
};

struct probabilities {
    struct names *labels, *groups;
    bool one_label; /* only the first of `labels` is kept */
    struct point *point;
    size_t n, cap;
    struct calibration calibration;
    struct buf text;
    double *prob; /* of the record in hand */
    uint32_t *label;
    size_t prob_cap, label_cap;
};

struct probabilities *probabilities_new(const char *positive)
{
    struct probabilities *p = xcalloc(1, sizeof *p);
    p->labels = names_new(true);
    p->groups = names_new(false);
    p->one_label = positive != NULL;
    if (positive)
        names_add(p->labels, str_of(positive));
    return p;
}

/* The record's labels with their probabilities; false where the list is not of that kind. */
static bool read_scores(struct probabilities *p, struct str scores, size_t *n)
{
    struct str item, label, prob;
    if (json_kind(scores) != JSON_ARRAY)
        return false;
    *n = 0;
    for (struct json_iter it = json_iter(scores); json_next(&it, NULL, &item); ++*n) {
        GROW(p->prob, p->prob_cap, *n + 2); /* one more for a gold label that is not there */
        GROW(p->label, p->label_cap, *n + 2);
        if (json_kind(item) != JSON_OBJECT || !json_get(item, "label", &label) ||
            json_kind(label) != JSON_STRING || !json_get(item, "prob", &prob) ||
            !json_number(prob, &p->prob[*n]) || !(p->prob[*n] >= 0 && p->prob[*n] <= 1))
            return false;
        buf_clear(&p->text);
        json_decode(&p->text, label);
        if (names_count(p->labels) > TALLY_LABELS_MAX + TALLY_ANSWERS_MAX)
            return false;
        p->label[*n] = names_add(p->labels, buf_str(&p->text));
    }
    return *n > 0;
}

void probabilities_add(struct probabilities *p, struct str scores, struct str gold,
                       struct str group)
{
    size_t n, right = 0;
    if (!read_scores(p, scores, &n))
        return;
    uint32_t gold_label = names_add(p->labels, gold);
    while (right < n && p->label[right] != gold_label)
        right++;
    bool keep = p->one_label || n == 2;
    for (size_t i = 0; keep && i < n; i++) {
        if (p->one_label && p->label[i] != 0)
            continue;
        GROW(p->point, p->cap, p->n + 1);
        p->point[p->n++] = (struct point){
            .prob = p->prob[i],
            .group = names_add(p->groups, group.p ? group : STR("")),
            .label = p->label[i] & INT32_MAX,
            .positive = i == right,
        };
    }
    if (right == n) { /* the right label was no choice: it had no chance */
        p->label[n] = gold_label;
        p->prob[n++] = 0;
    }
    calibration_add(&p->calibration, p->prob, n, right);
}

const struct calibration *probabilities_calibration(const struct probabilities *p)
{
    return &p->calibration;
}

struct scored *probabilities_of(struct probabilities *p, struct str label, size_t *n)
{
    int64_t id = names_find(p->labels, label);
    struct scored *v = xmalloc_n(p->n + 1, sizeof *v);
    *n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->point[i].label == id)
            v[(*n)++] = (struct scored){
                .score = p->point[i].prob,
                .group = p->point[i].group,
                .positive = p->point[i].positive,
            };
    scores_sort(v, *n);
    return v;
}

size_t probabilities_groups(const struct probabilities *p)
{
    size_t n = names_count(p->groups);
    return n ? n : 1;
}

struct str probabilities_group(const struct probabilities *p, size_t i)
{
    return i < names_count(p->groups) ? names_text(p->groups, (uint32_t)i) : STR("");
}
