/* labels.c - the log-probability of each choice behind a prompt that is computed once.
 *
 * The prompt's last row gives every choice's first token.  The rest is a trie of the choices'
 * tokens, each of its nodes computed once: sorted by their ids, a choice's branch begins where
 * it leaves the one before.  A group of branches that have pages at the same time makes one
 * trie; how they are grouped, and how a trie is cut over forwards, changes no bit.
 */
#include "infer/sched.h"

#include <stdlib.h>

static const struct infer_choice *choice_of(const struct job *j, const struct branch *b)
{
    return &j->r.choices[b->choice];
}

/* ---- pages ------------------------------------------------------------------ */

/* A branch's own pages: of the positions from the prompt's last partial page (or behind the
 * prompt) to its last token but one; the last token is only predicted. */
static int32_t branch_pages(const struct infer_request *r, int32_t choice)
{
    int32_t n = r->choices[choice].n;
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

static void branch_start(struct infer *f, struct job *j, struct branch *b)
{
    int32_t shared = j->r.n_prompt / KV_PAGE;
    int32_t promised = b->own < j->promised ? b->own : j->promised;
    j->promised -= promised;
    f->pages.promised -= promised;
    seq_init(&b->seq, shared + b->own, j->r.adapter);
    b->seq.far = j->seq.far;
    for (int32_t i = 0; i < shared; i++) {
        pages_share(&f->pages, j->seq.pages[i]);
        b->seq.pages[i] = j->seq.pages[i];
    }
    for (int32_t i = 0; i < b->own; i++)
        b->seq.pages[shared + i] = pages_take(&f->pages);
    if (j->r.n_prompt % KV_PAGE)
        model_copy_page(f->model, b->seq.pages[shared], j->seq.pages[shared]);
    b->seq.done = j->r.n_prompt + b->next;
}

/* Gives the branch's pages back, first to what its job was promised. */
static void branch_end(struct infer *f, struct job *j, struct branch *b)
{
    seq_release(&b->seq, &f->pages);
    int32_t back = j->promise - j->promised;
    back = b->own < back ? b->own : back;
    j->promised += back;
    f->pages.promised += back;
}

/* ---- the order of the branches ------------------------------------------------ */

static int by_ids(const void *a, const void *b, void *arg)
{
    const struct infer_choice *all = arg;
    int32_t i = ((const struct branch *)a)->choice, k = ((const struct branch *)b)->choice;
    const struct infer_choice *x = &all[i], *y = &all[k];
    for (int32_t t = 0; t < x->n && t < y->n; t++)
        if (x->ids[t] != y->ids[t])
            return x->ids[t] < y->ids[t] ? -1 : 1;
    return x->n != y->n ? (x->n < y->n ? -1 : 1) : i < k ? -1 : i > k;
}

static int32_t common(const struct infer_choice *a, const struct infer_choice *b)
{
    int32_t n = 0;
    while (n < a->n && n < b->n && a->ids[n] == b->ids[n])
        n++;
    return n;
}

void labels_init(struct job *j)
{
    size_t n = (size_t)j->r.n_choices, total = 0;
    struct infer_choice *all = xcalloc(n, sizeof *all);
    j->branches = xcalloc(n, sizeof *j->branches);
    j->scores = xcalloc(n, sizeof *j->scores);
    for (size_t i = 0; i < n; i++) {
        all[i] = j->r.choices[i];
        j->branches[i].choice = (int32_t)i;
        total += (size_t)all[i].n;
    }
    qsort_r(j->branches, n, sizeof *j->branches, by_ids, all);
    free(all);
    j->branch_logprobs = xcalloc(total, sizeof *j->branch_logprobs);
    total = 0;
    for (size_t i = 0; i < n; i++) {
        struct branch *b = &j->branches[i];
        b->logprobs = j->branch_logprobs + total;
        total += (size_t)choice_of(j, b)->n;
        b->same = i ? common(choice_of(j, b - 1), choice_of(j, b)) : 0;
    }
}

void labels_first(struct infer *f, struct job *j, const float *logits)
{
    double lse = logits_lse(logits, f->info.vocab);
    for (int32_t i = 0; i < j->r.n_choices; i++) {
        struct branch *b = &j->branches[i];
        b->logprobs[0] = (float)((double)logits[choice_of(j, b)->ids[0]] - lse);
    }
    j->state = JOB_LABELS;
}

/* ---- a trie ------------------------------------------------------------------- */

/* The next branches for which there are pages, at least one.  No node of the trie then has more
 * rows or copies than a forward. */
static void make_group(struct infer *f, struct job *j)
{
    int32_t pages = j->promised + pages_available(&f->pages);
    int32_t most = f->plan.max_tokens < f->plan.max_rows ? f->plan.max_tokens
                                                         : f->plan.max_rows;
    for (; j->waiting < j->r.n_choices && j->waiting - j->group < most; j->waiting++) {
        struct branch *b = &j->branches[j->waiting];
        int32_t stored = choice_of(j, b)->n - 1, before = 0;
        if (j->waiting > j->group) {
            before = choice_of(j, b - 1)->n - 1; /* the last one is not there to be had */
            before = before < b->same ? before : b->same;
        }
        b->next = before;
        b->own = before < stored ? branch_pages(&j->r, b->choice) : 0;
        if (b->own > pages)
            return;
        pages -= b->own;
        if (b->own)
            branch_start(f, j, b);
    }
}

/* The branches behind i of its group that have its token t: those to which its keys and values
 * go, and those which leave it there and so need a row of their own. */
struct below {
    int32_t copies, rows;
};

static struct below below(const struct job *j, int32_t i, int32_t t)
{
    struct below n = {0, 0};
    for (int32_t k = i + 1; k < j->waiting && j->branches[k].same > t; k++) {
        const struct branch *b = &j->branches[k];
        n.copies += b->own > 0;
        n.rows += b->same == t + 1 && choice_of(j, b)->n > t + 1;
    }
    return n;
}

/* Each token's row tells the log-probability of the one after it. */
static void add_row(struct plan *p, struct job *j, const struct branch *b, int32_t t,
                    int32_t token)
{
    plan_row(p, ROW_LOGPROB,
             (struct row){.token = token,
                          .job = j,
                          .target = choice_of(j, b)->ids[t + 1],
                          .to = b->logprobs + t + 1});
}

/* Puts tokens from..to-1 of branch i, which begin at `first` in the forward, where the later
 * branches will look for them, and asks for the rows of all of them. */
static void spread(struct infer *f, struct job *j, int32_t i, int32_t from, int32_t to,
                   int32_t first)
{
    struct plan *p = &f->plan;
    for (int32_t t = from; t < to; t++)
        add_row(p, j, &j->branches[i], t, first + t - from);
    int32_t same = to;
    for (int32_t k = i + 1; k < j->waiting; k++) {
        const struct branch *b = &j->branches[k];
        same = b->same < same ? b->same : same;
        if (same <= from)
            return;
        if (b->own)
            plan_copy(p, &b->seq, first, j->r.n_prompt + from, same - from);
        if (b->same == same && choice_of(j, b)->n > same)
            add_row(p, j, b, same - 1, first + same - 1 - from);
    }
}

/* False where the branch could not be planned whole: the later ones need it. */
static bool plan_branch(struct infer *f, struct job *j, int32_t i)
{
    struct plan *p = &f->plan;
    struct branch *b = &j->branches[i];
    const struct infer_choice *c = choice_of(j, b);
    int32_t from = b->next, to = from, rows = 0;
    int32_t copies = below(j, i, from).copies; /* of the first token, which has the most */
    if (copies > plan_copies_room(p))
        return false;
    for (; to < c->n - 1 && to - from < plan_room(p); to++) {
        rows += 1 + below(j, i, to).rows;
        if (rows > plan_rows_room(p))
            break;
    }
    if (to > from) {
        spread(f, j, i, from, to, plan_tokens(p, &b->seq, c->ids + from, to - from));
        b->next = to;
    }
    return to == c->n - 1;
}

void labels_plan(struct infer *f, struct job *j)
{
    if (plan_room(&f->plan) < 1 || plan_rows_room(&f->plan) < 1)
        return;
    if (j->group == j->waiting)
        make_group(f, j);
    for (int32_t i = j->group; i < j->waiting; i++)
        if (j->branches[i].seq.pages && !plan_branch(f, j, i))
            return;
}

/* ---- scores ------------------------------------------------------------------- */

static void score(struct job *j)
{
    double best = 0;
    for (int32_t i = 0; i < j->r.n_choices; i++) {
        struct branch *b = &j->branches[i];
        double sum = (double)b->logprobs[0];
        for (int32_t t = 1; t < choice_of(j, b)->n; t++) {
            if (t < b->same)
                b->logprobs[t] = b[-1].logprobs[t];
            sum += (double)b->logprobs[t];
        }
        j->scores[b->choice] = sum;
    }
    for (int32_t i = 0; i < j->r.n_choices; i++) {
        double x = j->r.choices_mean ? j->scores[i] / j->r.choices[i].n : j->scores[i];
        if (i == 0 || x > best) {
            best = x;
            j->best = i;
        }
    }
}

void labels_settle(struct infer *f, struct job *j)
{
    bool running = false;
    for (int32_t i = j->group; i < j->waiting; i++) {
        struct branch *b = &j->branches[i];
        if (b->seq.pages && b->next == choice_of(j, b)->n - 1)
            branch_end(f, j, b);
        running |= b->seq.pages != NULL;
    }
    if (running)
        return;
    while (j->waiting < j->r.n_choices && choice_of(j, &j->branches[j->waiting])->n == 1)
        j->waiting++; /* the prompt's last row was all of it */
    j->group = j->waiting;
    if (j->group < j->r.n_choices)
        return;
    score(j);
    j->state = JOB_DONE;
}

void labels_release(struct infer *f, struct job *j)
{
    for (int32_t i = j->group; i < j->waiting; i++)
        if (j->branches[i].seq.pages)
            branch_end(f, j, &j->branches[i]);
    f->pages.promised -= j->promised;
    free(j->branches);
    free(j->scores);
    free(j->branch_logprobs);
}
