/* infer.c - requests in, answers out: which of them run in the next forward. */
#include "infer/infer.h"

#include "infer/sched.h"

#include <stdlib.h>

struct infer *infer_new(struct model *m, const struct infer_config *c)
{
    struct infer *f = xcalloc(1, sizeof *f);
    f->model = m;
    f->config = *c;
    model_info(m, &f->info);
    size_t vocab = (size_t)f->info.vocab;
    pages_init(&f->pages, f->info.pages);
    plan_init(&f->plan, c->batch_tokens, c->head_rows);
    f->jobs = xcalloc((size_t)c->max_requests, sizeof(struct job *));
    f->logits = xcalloc(LOGIT_ROWS, vocab * sizeof *f->logits);
    f->filtered = xcalloc(vocab, sizeof *f->filtered);
    f->row_ids = xcalloc((size_t)c->head_rows, sizeof *f->row_ids);
    f->row_logprobs = xcalloc((size_t)c->head_rows, sizeof *f->row_logprobs);
    f->sampling = sample_work_new(f->info.vocab);
    return f;
}

void infer_free(struct infer *f)
{
    if (!f)
        return;
    for (int32_t i = 0; i < f->n_jobs; i++)
        job_free(f, f->jobs[i]);
    free(f->jobs);
    pages_release(&f->pages);
    plan_release(&f->plan);
    sample_work_free(f->sampling);
    free(f->logits);
    free(f->filtered);
    free(f->row_ids);
    free(f->row_logprobs);
    free(f);
}

int infer_add(struct infer *f, const struct infer_request *r, struct err *e)
{
    if (!infer_has_room(f))
        BUG("more requests than max_requests");
    if (job_check(f, r, e) < 0)
        return -1;
    f->jobs[f->n_jobs++] = job_new(f, r);
    f->stats.prompt_tokens += r->n_prompt;
    return 0;
}

bool infer_has_room(const struct infer *f)
{
    return f->n_jobs < f->config.max_requests;
}

int32_t infer_in_flight(const struct infer *f)
{
    return f->n_jobs;
}

void infer_stats(const struct infer *f, struct infer_stats *out)
{
    *out = f->stats;
}

/* ---- one forward ------------------------------------------------------------ */

/* Requests that wait for pages get them in the order in which they came: none overtakes a
 * larger one, so that none waits for ever. */
static void admit(struct infer *f)
{
    for (int32_t i = 0; i < f->n_jobs; i++)
        if (f->jobs[i]->state == JOB_WAITING && !job_start(f, f->jobs[i]))
            return;
}

/* Answers first, so that requests leave; then labels, then prompts; each oldest first. */
static void plan_forward(struct infer *f)
{
    static const struct {
        enum job_state state;
        void (*plan)(struct infer *f, struct job *j);
    } order[] = {
        {JOB_ANSWER, job_plan_answer},
        {JOB_LABELS, labels_plan},
        {JOB_PROMPT, job_plan_prompt},
    };
    plan_clear(&f->plan);
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (int32_t i = 0; i < f->n_jobs && plan_room(&f->plan) > 0; i++)
            if (f->jobs[i]->state == order[k].state)
                order[k].plan(f, f->jobs[i]);
}

static int take_logprobs(struct infer *f, struct err *e)
{
    const struct rows *r = &f->plan.rows[ROW_LOGPROB];
    if (!r->n)
        return 0;
    for (size_t i = 0; i < r->n; i++)
        f->row_ids[i] = r->v[i].target;
    if (model_logprob(f->model, plan_first_row(&f->plan, ROW_LOGPROB), (int32_t)r->n,
                      f->row_ids, f->row_logprobs, e) < 0)
        return -1;
    for (size_t i = 0; i < r->n; i++)
        *r->v[i].to = f->row_logprobs[i];
    return 0;
}

static int take_best(struct infer *f, struct err *e)
{
    const struct rows *r = &f->plan.rows[ROW_BEST];
    if (!r->n)
        return 0;
    if (model_argmax(f->model, plan_first_row(&f->plan, ROW_BEST), (int32_t)r->n, f->row_ids,
                     f->row_logprobs, e) < 0)
        return -1;
    for (size_t i = 0; i < r->n; i++)
        job_take(f, r->v[i].job, f->row_ids[i], f->row_logprobs[i]);
    return 0;
}

static int take_logits(struct infer *f, struct err *e)
{
    const struct rows *r = &f->plan.rows[ROW_LOGITS];
    int32_t first = plan_first_row(&f->plan, ROW_LOGITS);
    for (size_t i = 0; i < r->n; i += LOGIT_ROWS) {
        size_t n = r->n - i < LOGIT_ROWS ? r->n - i : LOGIT_ROWS;
        if (model_logits(f->model, first + (int32_t)i, (int32_t)n, f->logits, e) < 0)
            return -1;
        for (size_t k = 0; k < n; k++)
            job_logits(f, r->v[i + k].job, r->v[i + k].target,
                       f->logits + k * (size_t)f->info.vocab);
    }
    return 0;
}

static void finish(struct infer *f,
                   void (*done)(void *arg, const struct infer_request *r,
                                const struct infer_answer *a),
                   void *arg)
{
    int32_t left = 0;
    for (int32_t i = 0; i < f->n_jobs; i++) {
        struct job *j = f->jobs[i];
        job_settle(f, j);
        if (j->state != JOB_DONE) {
            f->jobs[left++] = j;
            continue;
        }
        struct infer_answer a = {
            .finish = j->finish,
            .ids = j->ids,
            .logprobs = j->logprobs,
            .n = j->n,
            .top = j->top,
            .prompt_logprobs = j->prompt_logprobs,
            .choice_logprobs = j->scores,
            .choice_tokens = j->branch_logprobs,
            .best = j->best,
        };
        done(arg, &j->r, &a);
        job_free(f, j);
    }
    f->n_jobs = left;
}

int infer_step(struct infer *f,
               void (*done)(void *arg, const struct infer_request *r,
                            const struct infer_answer *a),
               void *arg, struct err *e)
{
    if (!f->n_jobs)
        return 0;
    admit(f);
    plan_forward(f);
    if (!f->plan.tokens)
        BUG("%d requests are in flight and none can go on", (int)f->n_jobs);
    struct batch b = plan_batch(&f->plan);
    if (model_forward(f->model, &b, e) < 0 || take_logprobs(f, e) < 0 || take_best(f, e) < 0 ||
        take_logits(f, e) < 0)
        return -1;
    f->stats.forwards++;
    f->stats.computed_tokens += f->plan.tokens;
    finish(f, done, arg);
    return 0;
}
