/* tok_kept.c - the beginning that a text has in common with an earlier one is not encoded
 * again.
 *
 * A text is cut at added tokens before anything else happens to it, and each part is encoded by
 * itself.  So the ids up to an added token follow from the bytes that were looked at to find
 * it; where another text has the same ones, it has these ids.  The prompts of a job begin
 * alike, and the labels behind them do.
 */
#include "text/tok.h"

#include <stdlib.h>

/* Longer texts, and places further on, are encoded as they come. */
enum { TEXT_MAX = 1 << 18, BOUNDS_MAX = 1 << 12, WORTH = 16 };

static size_t common_prefix(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t x, y;
        memcpy(&x, a.p + i, 8);
        memcpy(&y, b.p + i, 8);
        if (x != y)
            break;
    }
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

/* How many places of the kept text stand in this one, too. */
static size_t count_bounds(const struct tok_kept *k, struct str text)
{
    size_t common = common_prefix(buf_str(&k->text), text), n = k->n_bounds;
    while (n && k->bounds[n - 1].looked > common)
        n--;
    return n;
}

void tok_kept_find(struct tokenizer_work *w, struct added_iter *it, struct ids *out)
{
    struct tok_kept *best = NULL;
    size_t best_n = 0;
    for (size_t i = 0; i < TOK_KEPT; i++) {
        size_t n = count_bounds(&w->kept[i], it->text);
        if (n && (!best || w->kept[i].bounds[n - 1].pos > best->bounds[best_n - 1].pos)) {
            best = &w->kept[i];
            best_n = n;
        }
    }
    w->kept_from = best;
    w->n_bounds = w->n_bounds_found = best_n;
    if (!best)
        return;
    const struct tok_bound *b = &best->bounds[best_n - 1];
    best->used = ++w->kept_now;
    it->pos = b->pos;
    it->search = b->search;
    it->looked = b->looked;
    ids_append(out, best->ids.v, b->n_ids);
    GROW(w->bounds, w->cap_bounds, best_n);
    memcpy(w->bounds, best->bounds, best_n * sizeof *w->bounds);
}

void tok_kept_bound(struct tokenizer_work *w, const struct added_iter *it, size_t n_ids)
{
    if (it->looked > it->text.n || it->looked > TEXT_MAX || w->n_bounds == BOUNDS_MAX)
        return;
    GROW(w->bounds, w->cap_bounds, w->n_bounds + 1);
    w->bounds[w->n_bounds++] = (struct tok_bound){it->pos, it->search, it->looked, n_ids};
}

/* The one that this text goes on from, unless most of that is something else; or the one that
 * was of use the longest ago. */
static struct tok_kept *choose(struct tokenizer_work *w)
{
    struct tok_kept *k = w->kept_from;
    if (k && w->bounds[w->n_bounds_found - 1].pos >= k->text.n / 2)
        return k;
    k = &w->kept[0];
    for (size_t i = 1; i < TOK_KEPT; i++)
        if (w->kept[i].used < k->used)
            k = &w->kept[i];
    return k;
}

void tok_kept_store(struct tokenizer_work *w, struct str text, const int32_t *ids)
{
    if (w->n_bounds == w->n_bounds_found || w->bounds[w->n_bounds - 1].pos < WORTH)
        return;
    const struct tok_bound *last = &w->bounds[w->n_bounds - 1];
    struct tok_kept *k = choose(w);
    k->used = ++w->kept_now;
    buf_clear(&k->text);
    buf_add(&k->text, text.p, last->looked);
    k->ids.n = 0;
    ids_append(&k->ids, ids, last->n_ids);
    GROW(k->bounds, k->cap_bounds, w->n_bounds);
    memcpy(k->bounds, w->bounds, w->n_bounds * sizeof *k->bounds);
    k->n_bounds = w->n_bounds;
}

void tok_kept_forget(struct tokenizer_work *w)
{
    for (size_t i = 0; i < TOK_KEPT; i++) {
        buf_release(&w->kept[i].text);
        ids_release(&w->kept[i].ids);
        free(w->kept[i].bounds);
        w->kept[i] = (struct tok_kept){0};
    }
    free(w->bounds);
    w->bounds = NULL;
    w->n_bounds = w->cap_bounds = 0;
}
