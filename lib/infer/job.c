/* job.c - one request's life: pages, prompt in chunks, answer token by token. */
#include "infer/sched.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int32_t pages_for(int32_t tokens)
{
    return (tokens + KV_PAGE - 1) / KV_PAGE;
}

static bool wants_logprobs(const struct infer_request *r)
{
    return r->logprobs || r->top_logprobs;
}

static int32_t answer_limit(const struct infer *f, const struct infer_request *r)
{
    int32_t room = f->info.context - r->n_prompt;
    return r->n_choices ? 0 : r->max_tokens < room ? r->max_tokens : room;
}

/* Tokens whose keys and values are stored: an answer's last token is not. */
static int32_t stored_tokens(const struct infer *f, const struct infer_request *r)
{
    int32_t limit = answer_limit(f, r);
    return r->n_prompt + (limit ? limit - 1 : 0);
}

/* ---- rotary positions of long sequences ------------------------------------- */

/* A sequence has one kind of positions, by its length.  A prompt does not change its kind while
 * it is computed, nor do the choices behind it: the longest decides for all.  An answer that
 * grows beyond `far_after` is where it turns: everything before is computed again. */
static bool begins_far(const struct infer *f, const struct infer_request *r)
{
    int32_t after = f->info.far_after;
    return after && r->n_prompt + labels_longest(r) > after;
}

static bool may_turn(const struct infer *f, const struct infer_request *r)
{
    int32_t after = f->info.far_after;
    return after && !begins_far(f, r) && stored_tokens(f, r) > after;
}

static void turn(struct infer *f, struct job *j)
{
    if (j->turns && !j->seq.far && j->seq.done == f->info.far_after) {
        j->seq.far = true;
        j->seq.done = 0;
    }
}

/* Tokens whose rows were there before the turn; one span of a sequence in a forward. */
static void plan_again(struct plan *p, struct job *j, int32_t end)
{
    int32_t at = j->seq.done, prompt = j->r.n_prompt;
    const int32_t *ids = at < prompt ? j->r.prompt + at : j->ids + (at - prompt);
    int32_t n = (at < prompt ? prompt : end) - at;
    plan_tokens(p, &j->seq, ids, n < plan_room(p) ? n : plan_room(p));
}

/* ---- what can never be answered -------------------------------------------- */

static int check_ids(const struct infer *f, const int32_t *ids, int32_t n, const char *what,
                     struct err *e)
{
    for (int32_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= f->info.vocab)
            return err_set(e, EXIT_DATA, "%s has id %d; the model's ids are 0 to %d", what,
                           (int)ids[i], (int)f->info.vocab - 1);
    return 0;
}

int job_check(const struct infer *f, const struct infer_request *r, struct err *e)
{
    if (r->n_prompt < 1)
        return err_set(e, EXIT_DATA, "the prompt has no tokens");
    int32_t more = r->n_choices ? labels_longest(r) : r->max_tokens ? 1 : 0;
    if ((int64_t)r->n_prompt + more > f->info.context)
        return err_set(
            e, EXIT_DATA,
            "the prompt's %d tokens and %d more do not fit the model's context of %d",
            (int)r->n_prompt, (int)more, (int)f->info.context);
    if (check_ids(f, r->prompt, r->n_prompt, "the prompt", e) < 0)
        return -1;
    for (int32_t i = 0; i < r->n_bias; i++)
        if (check_ids(f, &r->bias[i].id, 1, "the bias", e) < 0)
            return -1;
    if (r->top_logprobs < 0 || r->top_logprobs > INFER_TOP_MAX)
        return err_set(e, EXIT_DATA, "at most %d of the likeliest ids are told", INFER_TOP_MAX);
    for (int32_t i = 0; i < r->n_choices; i++) {
        if (r->choices[i].n < 1)
            return err_set(e, EXIT_DATA, "a choice has no tokens");
        if (check_ids(f, r->choices[i].ids, r->choices[i].n, "a choice", e) < 0)
            return -1;
    }
    int32_t pages = pages_for(stored_tokens(f, r)) + labels_pages(r);
    if (pages > f->pages.n)
        return err_set(e, EXIT_DATA,
                       "prompt and answer need key-value memory for %lld tokens; there is room "
                       "for %lld (--kv-memory)",
                       (long long)pages * KV_PAGE, (long long)f->pages.n * KV_PAGE);
    return 0;
}

/* ---- the answer grows ---------------------------------------------------------- */

static bool is_stop(const struct infer_request *r, int32_t id)
{
    for (int32_t i = 0; i < r->n_stop; i++)
        if (r->stop[i] == id)
            return true;
    return false;
}

/* One more token; what the guide says of it. */
static void put(struct infer *f, struct job *j, int32_t id)
{
    const struct infer_guide *g = j->r.guide;
    j->ids[j->n++] = id;
    f->stats.generated_tokens++;
    if (is_stop(&j->r, id)) {
        j->finish = INFER_STOP;
        j->complete = true;
    } else if (g && g->take(j->r.guide_state, id) == INFER_ENDS) {
        j->finish = INFER_GUIDE;
        j->complete = true;
    } else if (j->n == j->limit) {
        j->complete = true;
    }
}

/* What follows for certain. */
static void take_forced(struct infer *f, struct job *j)
{
    const struct infer_guide *g = j->r.guide;
    const int32_t *ids;
    if (!g || !g->forced || j->complete)
        return;
    int32_t n = g->forced(j->r.guide_state, &ids), room = j->limit - j->n;
    if (n < 1)
        return;
    n = n < room ? n : room;
    int32_t *copy = xmalloc_n((size_t)n, sizeof *copy);
    memcpy(copy, ids, (size_t)n * sizeof *copy);
    for (int32_t i = 0; i < n && !j->complete; i++)
        put(f, j, copy[i]);
    free(copy);
}

/* ---- beginning and end ------------------------------------------------------ */

struct job *job_new(struct infer *f, const struct infer_request *r)
{
    struct job *j = xcalloc(1, sizeof *j);
    j->r = *r;
    j->stem = -1;
    j->limit = answer_limit(f, r);
    j->finish = r->n_choices ? INFER_CHOICE : INFER_LENGTH;
    j->ids = xcalloc((size_t)j->limit, sizeof *j->ids);
    j->logprobs = xcalloc((size_t)j->limit, sizeof *j->logprobs);
    if (r->top_logprobs)
        j->top = xcalloc((size_t)j->limit, (size_t)r->top_logprobs * sizeof *j->top);
    if (j->limit && !r->n_choices)
        take_forced(f, j);
    if (r->prompt_logprobs)
        j->prompt_logprobs = xcalloc((size_t)r->n_prompt, sizeof *j->prompt_logprobs);
    if (r->n_choices)
        labels_init(j);
    return j;
}

void job_free(struct infer *f, struct job *j)
{
    labels_release(f, j);
    share_release(f, j);
    seq_release(&j->seq, &f->pages);
    free(j->ids);
    free(j->logprobs);
    free(j->top);
    free(j->prompt_logprobs);
    free(j);
}

/* Pages that are taken over need no room, but an idle one then is none to be had. */
static int32_t count_idle(const struct pages *p, const int32_t *pages, int32_t n)
{
    int32_t idle = 0;
    for (int32_t i = 0; i < n; i++)
        idle += p->pages[pages[i]].refs == 0;
    return idle;
}

bool job_start(struct infer *f, struct job *j)
{
    int32_t n = pages_for(stored_tokens(f, &j->r));
    int32_t promise = labels_pages(&j->r);
    seq_init(&j->seq, n, j->r.adapter);
    j->seq.far = begins_far(f, &j->r);
    j->turns = may_turn(f, &j->r);
    int32_t shared = share_find(f, j), stem_tokens;
    int32_t stem = share_find_stem(f, j, shared, &stem_tokens);
    int32_t need = n - shared + count_idle(&f->pages, j->seq.pages, shared) + promise;
    if (stem >= 0 && need + count_idle(&f->pages, &stem, 1) > pages_available(&f->pages))
        stem = -1;
    if (need > pages_available(&f->pages)) {
        j->seq.n_pages = 0;
        seq_release(&j->seq, &f->pages);
        return false;
    }
    for (int32_t i = 0; i < shared; i++)
        pages_share(&f->pages, j->seq.pages[i]);
    if (stem >= 0)
        share_stem(f, j, stem, stem_tokens);
    for (int32_t i = shared; i < n; i++)
        j->seq.pages[i] = pages_take(&f->pages);
    share_announce(f, j, shared);
    j->seq.done = shared * KV_PAGE;
    f->stats.cached_tokens += j->seq.done;
    j->promise = j->promised = promise;
    f->pages.promised += promise;
    j->state = JOB_PROMPT;
    return true;
}

/* ---- into a forward --------------------------------------------------------- */

/* The row of a token that stands before the answer's token `index`: where that is known, as it
 * is when the guide forced it, only its log-probability may be wanted. */
static void plan_answer_row(struct infer *f, struct job *j, int32_t token, int32_t index)
{
    const struct infer_request *r = &j->r;
    struct row row = {.token = token, .job = j, .target = index};
    if (index == j->n || r->top_logprobs) {
        plan_row(&f->plan, choose_wants_best(r) ? ROW_BEST : ROW_LOGITS, row);
    } else if (r->logprobs) {
        row.target = j->ids[index];
        row.to = &j->logprobs[index];
        plan_row(&f->plan, ROW_LOGPROB, row);
    }
}

/* Only the last token's row is read, unless the prompt's own log-probabilities are wanted: then
 * every row tells the log-probability of the token after it. */
void job_plan_prompt(struct infer *f, struct job *j)
{
    struct plan *p = &f->plan;
    if (share_waits(f, j))
        return;
    int32_t left = j->r.n_prompt - j->seq.done;
    int32_t n = left < plan_room(p) ? left : plan_room(p);
    bool wants_next = (j->r.n_choices || j->limit) && !(j->complete && !wants_logprobs(&j->r));
    if (j->r.prompt_logprobs && n > plan_rows_room(p))
        n = plan_rows_room(p);
    else if (n == left && wants_next && plan_rows_room(p) < 1)
        n--; /* the last token waits for a forward that has a row for it */
    if (n < 1)
        return;
    int32_t start = j->seq.done;
    int32_t first = plan_tokens(p, &j->seq, j->r.prompt + start, n);
    if (j->r.prompt_logprobs)
        for (int32_t i = 0; i < n && start + i + 1 < j->r.n_prompt; i++)
            plan_row(p, ROW_LOGPROB,
                     (struct row){.token = first + i,
                                  .job = j,
                                  .target = j->r.prompt[start + i + 1],
                                  .to = j->prompt_logprobs + start + i});
    if (n == left && wants_next)
        plan_answer_row(f, j, first + n - 1, 0);
}

/* The answer's last token, and those before it that were forced. */
void job_plan_answer(struct infer *f, struct job *j)
{
    struct plan *p = &f->plan;
    int32_t after = f->info.far_after;
    turn(f, j);
    if (j->turns && j->seq.far && j->seq.done < after) {
        plan_again(p, j, after);
        return;
    }
    int32_t start = j->seq.done - j->r.n_prompt;
    int32_t n = j->n - j->complete - start;
    if (j->turns && !j->seq.far && n > after - j->seq.done)
        n = after - j->seq.done;
    n = n < plan_room(p) ? n : plan_room(p);
    n = n < plan_rows_room(p) ? n : plan_rows_room(p);
    if (n < 1)
        return;
    int32_t first = plan_tokens(p, &j->seq, j->ids + start, n);
    for (int32_t i = 0; i < n; i++)
        plan_answer_row(f, j, first + i, start + i + 1);
}

/* ---- out of a forward ------------------------------------------------------- */

void job_take(struct infer *f, struct job *j, int32_t id, float logprob)
{
    int32_t index = j->n;
    j->logprobs[index] = logprob;
    put(f, j, id);
    take_forced(f, j);
    /* The log-probabilities of forced tokens are still to come. */
    bool more = wants_logprobs(&j->r) && j->n > index + 1;
    j->state = j->complete && !more ? JOB_DONE : JOB_ANSWER;
}

void job_logits(struct infer *f, struct job *j, int32_t index, const float *logits)
{
    if (j->r.n_choices) {
        labels_first(f, j, logits);
        return;
    }
    /* The sum over a large vocabulary costs more than a constraint does. */
    bool sums = wants_logprobs(&j->r) || !(j->r.guide && j->r.guide->allowed);
    double lse = sums || isnan(logits[0]) ? logits_lse(logits, f->info.vocab) : 0;
    bool next = index == j->n;
    int32_t id = next ? choose(f, j, logits) : j->ids[index];
    if (isnan(lse)) { /* told by its log-probability */
        j->complete = true;
        j->state = JOB_DONE;
        j->ids[j->n] = 0;
        j->logprobs[next ? j->n++ : index] = NAN;
        return;
    }
    if (id < 0) {
        j->finish = INFER_STUCK;
        j->state = JOB_DONE;
        return;
    }
    if (j->r.top_logprobs)
        choose_top(f, j, index, logits, lse);
    j->logprobs[index] = sums || isnan(logits[id]) ? (float)((double)logits[id] - lse) : 0;
    if (next)
        job_take(f, j, id, j->logprobs[index]);
}

void job_settle(struct infer *f, struct job *j)
{
    share_leave(f, j);
    if (j->state == JOB_LABELS)
        labels_settle(f, j);
    else if (j->state == JOB_PROMPT && j->seq.done == j->r.n_prompt)
        j->state = j->n && !(j->complete && !wants_logprobs(&j->r)) ? JOB_ANSWER : JOB_DONE;
    if (j->state == JOB_ANSWER && j->complete && j->seq.done >= j->r.n_prompt + j->n - 1)
        j->state = JOB_DONE; /* what was forced has its log-probabilities */
}
