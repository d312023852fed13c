/* tally.c - counting (gold, predicted, group) triples. */
#include "metrics/tally.h"

#include "base/hash.h"

#include <stdlib.h>

struct tally *tally_new(void)
{
    struct tally *t = xcalloc(1, sizeof *t);
    t->classes = names_new(true);
    t->groups = names_new(false);
    t->cells = 256;
    t->cell = xcalloc(t->cells, sizeof *t->cell);
    return t;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    names_free(t->classes);
    names_free(t->groups);
    free(t->is_label);
    free(t->cell);
    free(t->order);
    free(t->rank);
    free(t);
}

uint64_t tally_lost(const struct tally *t)
{
    return t->lost;
}

/* ---- classes -------------------------------------------------------------- */

static uint32_t class_add(struct tally *t, struct str text)
{
    size_t before = names_count(t->classes);
    uint32_t id = names_add(t->classes, text);
    GROW(t->is_label, t->is_label_cap, names_count(t->classes));
    if (names_count(t->classes) > before)
        t->is_label[id] = false;
    return id;
}

/* The id, or -1 when there are too many labels. */
static int64_t label_add(struct tally *t, struct str text, struct err *e)
{
    uint32_t id = class_add(t, text);
    if (t->is_label[id])
        return id;
    if (t->n_labels >= TALLY_LABELS_MAX)
        return err_set(e, EXIT_DATA,
                       "more than %d different labels; is the gold field a label?",
                       TALLY_LABELS_MAX);
    t->is_label[id] = true;
    t->n_labels++;
    return id;
}

int tally_label(struct tally *t, struct str label, struct err *e)
{
    if (t->closed)
        return 0;
    return label_add(t, label, e) < 0 ? -1 : 0;
}

void tally_close_labels(struct tally *t)
{
    t->closed = true;
}

static uint32_t predicted_id(struct tally *t, struct str text)
{
    if (!text.p || text.n > TALLY_ANSWER_BYTES)
        return TALLY_NONE;
    int64_t id = names_find(t->classes, text);
    if (id >= 0)
        return (uint32_t)id;
    if (t->closed)
        return TALLY_NONE;
    if (names_count(t->classes) - t->n_labels >= TALLY_ANSWERS_MAX) {
        t->lost++;
        return TALLY_NONE;
    }
    return class_add(t, text);
}

/* ---- cells ---------------------------------------------------------------- */

static struct cell *cell_at(struct cell *cells, size_t n, const struct cell *c)
{
    uint32_t key[3] = {c->gold, c->predicted, c->group};
    size_t i = hash_bytes(HASH_SEED, key, sizeof key) & (n - 1);
    for (; cells[i].count; i = (i + 1) & (n - 1))
        if (cells[i].gold == c->gold && cells[i].predicted == c->predicted &&
            cells[i].group == c->group)
            break;
    return &cells[i];
}

static void cells_double(struct tally *t)
{
    struct cell *wider = xcalloc(t->cells * 2, sizeof *wider);
    for (size_t i = 0; i < t->cells; i++)
        if (t->cell[i].count)
            *cell_at(wider, t->cells * 2, &t->cell[i]) = t->cell[i];
    free(t->cell);
    t->cell = wider;
    t->cells *= 2;
}

static void count(struct tally *t, struct cell c)
{
    struct cell *at = cell_at(t->cell, t->cells, &c);
    if (at->count) {
        at->count++;
        return;
    }
    c.count = 1;
    *at = c;
    if (++t->cells_used * 2 > t->cells)
        cells_double(t);
}

int tally_add(struct tally *t, struct str gold, struct str predicted, struct str group,
              struct err *e)
{
    int64_t id = t->closed ? names_find(t->classes, gold) : label_add(t, gold, e);
    if (id < 0)
        return t->closed ? 0 : -1;
    struct cell c = {.gold = (uint32_t)id, .group = TALLY_NONE};
    c.predicted = predicted_id(t, predicted);
    if (group.p) {
        c.group = names_add(t->groups, group);
        if (names_count(t->groups) > TALLY_GROUPS_MAX)
            return err_set(e, EXIT_DATA, "more than %d different groups; is the field a group?",
                           TALLY_GROUPS_MAX);
    }
    count(t, c);
    return 1;
}

/* ---- labels in order ------------------------------------------------------ */

static int by_bytes(const void *a, const void *b, void *arg)
{
    return str_order(names_text(arg, *(const uint32_t *)a),
                     names_text(arg, *(const uint32_t *)b));
}

void tally_sort(struct tally *t)
{
    size_t classes = names_count(t->classes);
    free(t->order);
    free(t->rank);
    t->order = xmalloc_n(classes + 1, sizeof *t->order);
    t->rank = xmalloc_n(classes + 1, sizeof *t->rank);
    t->n_order = 0;
    for (size_t i = 0; i < classes; i++) {
        t->rank[i] = -1;
        if (t->is_label[i])
            t->order[t->n_order++] = (uint32_t)i;
    }
    if (!t->closed)
        qsort_r(t->order, t->n_order, sizeof *t->order, by_bytes, t->classes);
    for (size_t i = 0; i < t->n_order; i++)
        t->rank[t->order[i]] = (int64_t)i;
}

size_t tally_labels(struct tally *t)
{
    tally_sort(t);
    return t->n_order;
}

struct str tally_label_text(const struct tally *t, size_t i)
{
    return names_text(t->classes, t->order[i]);
}

int tally_label_find(struct tally *t, struct str label)
{
    tally_sort(t);
    int64_t id = names_find(t->classes, label);
    return id < 0 ? -1 : (int)t->rank[id];
}
