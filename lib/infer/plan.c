/* plan.c - one forward being put together. */
#include "infer/plan.h"

#include <stdlib.h>
#include <string.h>

void seq_init(struct seq *s, int32_t n_pages, int32_t adapter)
{
    *s = (struct seq){.pages = xcalloc((size_t)n_pages, sizeof *s->pages),
                      .n_pages = n_pages,
                      .adapter = adapter};
}

void seq_release(struct seq *s, struct pages *p)
{
    for (int32_t i = s->n_pages; i-- > 0;)
        pages_drop(p, s->pages[i]);
    free(s->pages);
    *s = (struct seq){0};
}

void plan_init(struct plan *p, int32_t max_tokens, int32_t max_rows)
{
    *p = (struct plan){.max_tokens = max_tokens, .max_rows = max_rows};
    p->ids = xcalloc((size_t)max_tokens, sizeof *p->ids);
    p->pos = xcalloc((size_t)max_tokens, sizeof *p->pos);
    p->row_tokens = xcalloc((size_t)max_rows, sizeof *p->row_tokens);
}

void plan_release(struct plan *p)
{
    free(p->ids);
    free(p->pos);
    free(p->spans);
    free(p->copies);
    free(p->adapters);
    free(p->far);
    free(p->pages);
    free(p->row_tokens);
    for (int k = 0; k < ROW_KINDS; k++)
        free(p->rows[k].v);
    *p = (struct plan){0};
}

void plan_clear(struct plan *p)
{
    p->tokens = p->n_rows = 0;
    p->any_far = false;
    p->n_spans = p->n_copies = p->n_pages = 0;
    for (int k = 0; k < ROW_KINDS; k++)
        p->rows[k].n = 0;
}

/* The sequence's first pages, put at the end; the index of the first. */
static int32_t add_pages(struct plan *p, const struct seq *s, int32_t tokens)
{
    size_t used = (size_t)((tokens - 1) / KV_PAGE + 1), at = p->n_pages;
    if (used > (size_t)s->n_pages)
        BUG("%d tokens do not fit their pages", (int)tokens);
    GROW(p->pages, p->cap_pages, at + used);
    memcpy(p->pages + at, s->pages, used * sizeof *p->pages);
    p->n_pages += used;
    return (int32_t)at;
}

int32_t plan_tokens(struct plan *p, struct seq *s, const int32_t *ids, int32_t n)
{
    int32_t first = p->tokens;
    if (n < 1 || n > plan_room(p))
        BUG("%d tokens do not fit a forward", (int)n);
    memcpy(p->ids + first, ids, (size_t)n * sizeof *ids);
    for (int32_t i = 0; i < n; i++)
        p->pos[first + i] = s->done + i;
    GROW(p->spans, p->cap_spans, p->n_spans + 1);
    GROW(p->adapters, p->cap_adapters, p->n_spans + 1);
    GROW(p->far, p->cap_far, p->n_spans + 1);
    p->adapters[p->n_spans] = s->adapter;
    p->far[p->n_spans] = s->far;
    p->any_far |= s->far;
    p->spans[p->n_spans++] = (struct span){first, n, s->done, add_pages(p, s, s->done + n)};
    p->tokens += n;
    s->done += n;
    return first;
}

void plan_copy(struct plan *p, const struct seq *s, int32_t first, int32_t start, int32_t n)
{
    if (n < 1 || first + n > p->tokens || plan_copies_room(p) < 1)
        BUG("a copy of %d tokens", (int)n);
    GROW(p->copies, p->cap_copies, p->n_copies + 1);
    p->copies[p->n_copies++] = (struct span){first, n, start, add_pages(p, s, start + n)};
}

void plan_row(struct plan *p, enum row_kind kind, struct row row)
{
    struct rows *r = &p->rows[kind];
    if (plan_rows_room(p) < 1)
        BUG("too many rows in a forward");
    GROW(r->v, r->cap, r->n + 1);
    r->v[r->n++] = row;
    p->n_rows++;
}

int32_t plan_first_row(const struct plan *p, enum row_kind kind)
{
    size_t n = 0;
    for (int k = 0; k < (int)kind; k++)
        n += p->rows[k].n;
    return (int32_t)n;
}

struct batch plan_batch(struct plan *p)
{
    int32_t n = 0;
    for (int k = 0; k < ROW_KINDS; k++)
        for (size_t i = 0; i < p->rows[k].n; i++)
            p->row_tokens[n++] = p->rows[k].v[i].token;
    return (struct batch){
        .ids = p->ids,
        .pos = p->pos,
        .tokens = p->tokens,
        .spans = p->spans,
        .n_spans = (int32_t)p->n_spans,
        .pages = p->pages,
        .n_pages = (int32_t)p->n_pages,
        .copies = p->copies,
        .n_copies = (int32_t)p->n_copies,
        .adapters = p->adapters,
        .far = p->any_far ? p->far : NULL,
        .rows = p->row_tokens,
        .n_rows = n,
    };
}
