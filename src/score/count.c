/* count.c - result records read and counted. */
#include "score/count.h"

#include "base/file.h"
#include "base/hash.h"
#include "score/probs.h"

#include <stdio.h>
#include <unistd.h>

/* why: with its place. */
static void leave_out(struct count *c, uint64_t *counter, const char *why)
{
    if (c->opt->strict)
        die(EXIT_DATA, "%s", why);
    if (!c->first[0])
        snprintf(c->first, sizeof c->first, "%s", why);
    ++*counter;
}

/* Choices and scores name labels that perhaps no record has as its gold value. */
static void declare_labels(struct count *c, const struct rec *rec)
{
    struct str list, item, label;
    struct err e = {0};
    const struct field *from[] = {c->choices, c->scores};
    for (int i = 0; i < 2; i++) {
        if (!field_find(from[i], rec, &list) || json_kind(list) != JSON_ARRAY)
            continue;
        struct json_iter it = json_iter(list);
        while (json_next(&it, NULL, &item)) {
            label = item;
            if (json_kind(item) == JSON_OBJECT && !json_get(item, "label", &label))
                continue;
            if (json_kind(label) != JSON_STRING)
                continue;
            buf_clear(&c->gold_text);
            json_decode(&c->gold_text, label);
            if (tally_label(c->tally, buf_str(&c->gold_text), &e) < 0)
                die_err(&e);
        }
    }
}

static struct str answer(struct count *c, const struct rec *rec)
{
    for (size_t i = 0; i < c->n_pred; i++)
        if (field_text(c->pred[i], rec, &c->pred_text)) {
            c->answered++;
            return (struct str){c->pred_text.p ? c->pred_text.p : "", c->pred_text.n};
        }
    return (struct str){NULL, 0};
}

static struct str group_of(struct count *c, const struct rec *rec)
{
    if (!c->group)
        return (struct str){NULL, 0};
    if (!field_text(c->group, rec, &c->group_text)) {
        c->no_group++;
        return STR("(none)");
    }
    return (struct str){c->group_text.p ? c->group_text.p : "", c->group_text.n};
}

static uint64_t folded_hash(struct buf *b, struct str text)
{
    buf_clear(b);
    text_fold(b, text);
    return hash_bytes(HASH_SEED, b->p, b->n);
}

/* The gold value is in gold_text. */
static void keep_verdict(struct count *c, struct str predicted)
{
    struct verdict *v = &c->verdict[c->records - 1];
    v->gold = folded_hash(&c->folded[0], buf_str(&c->gold_text));
    v->outcome = WRONG;
    if (predicted.p && folded_hash(&c->folded[1], predicted) == v->gold &&
        str_eq(buf_str(&c->folded[0]), buf_str(&c->folded[1])))
        v->outcome = RIGHT;
}

static void count_record(struct count *c, const struct rec *rec)
{
    char why[512];
    struct err e = {0};
    c->records++;
    if (c->keep) {
        GROW(c->verdict, c->verdict_cap, c->records);
        c->verdict[c->records - 1] = (struct verdict){.outcome = LEFT_OUT};
    }
    if (rec->fault) {
        leave_out(c, &c->bad, rec->message);
        return;
    }
    bool failed = rec_is_error(rec);
    c->errors += failed;
    if (!c->opt->labels)
        declare_labels(c, rec);
    if (!field_text(c->gold, rec, &c->gold_text)) {
        snprintf(why, sizeof why, "%s:%llu: no gold label in \"%s\"", rec->file,
                 (unsigned long long)rec->number, field_name(c->gold));
        leave_out(c, &c->no_gold, why);
        return;
    }
    struct str predicted = failed ? (struct str){NULL, 0} : answer(c, rec);
    struct str group = group_of(c, rec), scores;
    int rc = tally_add(c->tally, buf_str(&c->gold_text), predicted, group, &e);
    if (rc < 0)
        die(e.status, "%s:%llu: %s", rec->file, (unsigned long long)rec->number, e.text);
    if (rc == 0) {
        snprintf(why, sizeof why, "%s:%llu: gold label \"%.200s\" is not in --labels",
                 rec->file, (unsigned long long)rec->number,
                 c->gold_text.n ? c->gold_text.p : "");
        leave_out(c, &c->other_gold, why);
        return;
    }
    if (c->keep)
        keep_verdict(c, predicted);
    if (!failed && field_find(c->scores, rec, &scores))
        probabilities_add(c->probabilities, scores, buf_str(&c->gold_text), group);
}

void count_file(struct count *c, const char *path)
{
    struct err e = {0};
    struct rec rec = {0};
    int fd = file_open_input(path, &e);
    if (fd < 0)
        die_err(&e);
    struct rec_reader *in = rec_reader_new(fd, file_label(path), (size_t)c->opt->max_record);
    int rc;
    while ((rc = rec_read(in, &rec, &e)) > 0)
        count_record(c, &rec);
    if (rc < 0)
        die_err(&e);
    rec_release(&rec);
    rec_reader_free(in);
    if (fd > 0)
        close(fd);
}

uint64_t count_left_out(const struct count *c)
{
    return c->bad + c->no_gold + c->other_gold;
}

/* ---- set-up --------------------------------------------------------------- */

static void set_labels(struct count *c)
{
    struct err e = {0};
    for (const char *p = c->opt->labels; p; p = *p ? p + 1 : NULL) {
        size_t n = strcspn(p, ",");
        if (!n)
            die(EXIT_USAGE, "--labels: an empty label in '%s'; write A,B,C", c->opt->labels);
        if (tally_label(c->tally, (struct str){p, n}, &e) < 0)
            die(EXIT_USAGE, "--labels: %s", e.text);
        p += n;
    }
    if (c->opt->labels)
        tally_close_labels(c->tally);
}

void count_open(struct count *c, const struct count_options *opt, bool keep)
{
    c->opt = opt;
    c->keep = keep;
    c->tally = tally_new();
    c->probabilities = probabilities_new(opt->positive);
    set_labels(c);
    c->gold = field_new(opt->gold);
    c->pred[c->n_pred++] = field_new(opt->pred ? opt->pred : "response.label");
    if (!opt->pred)
        c->pred[c->n_pred++] = field_new("response.text");
    if (opt->group)
        c->group = field_new(opt->group);
    c->choices = field_new("params.choices");
    c->scores = field_new("response.scores");
}
