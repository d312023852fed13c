/* labels.c - the log-probability of each choice behind a prompt that is computed once.
 *
 * The prompt's last row gives every choice's first token.  What remains of a choice is a
 * sequence of its own that reads the prompt's pages; such branches run as tokens, rows and
 * pages allow, in order, and how they are grouped changes no bit.
 */
#include "infer/sched.h"

#include <stdlib.h>

/* A branch's own pages: of the positions from the prompt's last partial page (or behind the
 * prompt) to its last token but one; the last token is only predicted. */
static int32_t branch_pages(const struct infer_request *r, int32_t i)
{
    int32_t n = r->choices[i].n;
    if (n < 2)
        return 0;
    return (r->n_prompt + n - 2) / KV_PAGE - r->n_prompt / KV_PAGE + 1;
}

int32_t labels_pages(const struct infer_request *r)
{
    int32_t most = 0;
    for (int32_t i = 0; i < r->n_choices; i++) {
        int32_t n = branch_pages(r, i);
        most = n > most ? n : most;
    }
    return most;
}

int32_t labels_longest(const struct infer_request *r)
{
    int32_t most = 0;
    for (int32_t i = 0; i < r->n_choices; i++)
        most = r->choices[i].n > most ? r->choices[i].n : most;
    return most;
}

void labels_init(struct job *j)
{
    size_t n = (size_t)j->r.n_choices, total = 0;
    for (size_t i = 0; i < n; i++)
        total += (size_t)j->r.choices[i].n;
    j->branches = xcalloc(n, sizeof *j->branches);
    j->scores = xcalloc(n, sizeof *j->scores);
    j->branch_logprobs = xcalloc(total, sizeof *j->branch_logprobs);
    total = 0;
    for (size_t i = 0; i < n; i++) {
        j->branches[i].logprobs = j->branch_logprobs + total;
        total += (size_t)j->r.choices[i].n;
    }
    j->branches_left = j->r.n_choices;
}

static void branch_start(struct infer *f, struct job *j, struct branch *b, int32_t own)
{
    int32_t shared = j->r.n_prompt / KV_PAGE;
    int32_t promised = own < j->promised ? own : j->promised;
    j->promised -= promised;
    f->pages.promised -= promised;
    b->own = own;
    seq_init(&b->seq, shared + own, j->r.adapter);
    for (int32_t i = 0; i < shared; i++) {
        pages_share(&f->pages, j->seq.pages[i]);
        b->seq.pages[i] = j->seq.pages[i];
    }
    for (int32_t i = 0; i < own; i++)
        b->seq.pages[shared + i] = pages_take(&f->pages);
    if (j->r.n_prompt % KV_PAGE)
        model_copy_page(f->model, b->seq.pages[shared], j->seq.pages[shared]);
    b->seq.done = j->r.n_prompt;
    b->state = BRANCH_RUNNING;
}

/* Gives the branch's pages back, first to what its job was promised. */
static void branch_end(struct infer *f, struct job *j, struct branch *b)
{
    seq_release(&b->seq, &f->pages);
    int32_t back = j->promise - j->promised;
    back = b->own < back ? b->own : back;
    j->promised += back;
    f->pages.promised += back;
    b->state = BRANCH_DONE;
    j->branches_left--;
}

void labels_first(struct infer *f, struct job *j, const float *logits)
{
    double lse = logits_lse(logits, f->info.vocab);
    for (int32_t i = 0; i < j->r.n_choices; i++) {
        const struct infer_choice *c = &j->r.choices[i];
        j->branches[i].logprobs[0] = (float)((double)logits[c->ids[0]] - lse);
        if (c->n == 1) {
            j->branches[i].state = BRANCH_DONE;
            j->branches_left--;
        }
    }
    j->state = JOB_LABELS;
}

/* Each token's row tells the log-probability of the one after it. */
static void branch_plan(struct infer *f, struct job *j, struct branch *b,
                        const struct infer_choice *c)
{
    struct plan *p = &f->plan;
    int32_t start = b->seq.done - j->r.n_prompt;
    int32_t n = c->n - 1 - start;
    n = n < plan_room(p) ? n : plan_room(p);
    n = n < plan_rows_room(p) ? n : plan_rows_room(p);
    int32_t first = plan_tokens(p, &b->seq, c->ids + start, n);
    for (int32_t i = 0; i < n; i++)
        plan_row(p, ROW_LOGPROB,
                 (struct row){.token = first + i,
                              .job = j,
                              .target = c->ids[start + i + 1],
                              .to = b->logprobs + start + i + 1});
}

void labels_plan(struct infer *f, struct job *j)
{
    for (int32_t i = 0; i < j->r.n_choices; i++) {
        struct branch *b = &j->branches[i];
        if (b->state == BRANCH_DONE)
            continue;
        if (plan_room(&f->plan) < 1 || plan_rows_room(&f->plan) < 1)
            return;
        if (b->state == BRANCH_WAITING) {
            int32_t own = branch_pages(&j->r, i);
            if (own > j->promised + pages_available(&f->pages))
                return;
            branch_start(f, j, b, own);
        }
        branch_plan(f, j, b, &j->r.choices[i]);
    }
}

static void score(struct job *j)
{
    for (int32_t i = 0; i < j->r.n_choices; i++) {
        j->scores[i] = 0;
        for (int32_t t = 0; t < j->r.choices[i].n; t++)
            j->scores[i] += (double)j->branches[i].logprobs[t];
        if (j->scores[i] > j->scores[j->best])
            j->best = i;
    }
}

void labels_settle(struct infer *f, struct job *j)
{
    for (int32_t i = 0; i < j->r.n_choices; i++) {
        struct branch *b = &j->branches[i];
        if (b->state == BRANCH_RUNNING && b->seq.done == j->r.n_prompt + j->r.choices[i].n - 1)
            branch_end(f, j, b);
    }
    if (j->branches_left == 0) {
        score(j);
        j->state = JOB_DONE;
    }
}

void labels_release(struct infer *f, struct job *j)
{
    for (int32_t i = 0; i < j->r.n_choices; i++)
        if (j->branches[i].state == BRANCH_RUNNING)
            branch_end(f, j, &j->branches[i]);
    f->pages.promised -= j->promised;
    free(j->branches);
    free(j->scores);
    free(j->branch_logprobs);
}
