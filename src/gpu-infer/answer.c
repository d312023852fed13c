/* answer.c - from the model's answer to the record's last member. */
#include "gpu-infer/answer.h"

#include "base/num.h"
#include "rec/rec.h"

#include <math.h>

static void put_text(struct buf *out, const struct engine *g, struct tokenizer_work *work,
                     const int32_t *ids, int32_t n)
{
    struct buf text = {0};
    tokenizer_decode(g->tokenizer, work, ids, (size_t)n, true, &text);
    json_quote(out, buf_str(&text));
    buf_release(&text);
}

static void put_ids(struct buf *out, const int32_t *ids, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        buf_printf(out, "%c%d", i ? ',' : '[', (int)ids[i]);
    buf_puts(out, n ? "]" : "[]");
}

static void put_floats(struct buf *out, const float *x, int32_t n)
{
    buf_putc(out, '[');
    for (int32_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, ',');
        num_put_float(out, x[i]);
    }
    buf_putc(out, ']');
}

static void put_usage(struct buf *out, const struct task *t, int32_t completion)
{
    buf_printf(out, ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%d}", t->prompt.n,
               (int)completion);
    if (t->truncated)
        buf_printf(out, ",\"truncated\":%zu", t->truncated);
}

/* What label i weighs against the best one. */
static double weight(const struct infer_request *q, const double *logprobs, int32_t i,
                     int32_t best)
{
    const struct infer_choice *c = q->choices;
    if (q->choices_mean)
        return exp(logprobs[i] / c[i].n - logprobs[best] / c[best].n);
    return exp(logprobs[i] - logprobs[best]);
}

/* prob: the labels' probabilities among themselves. */
static void put_scores(struct buf *out, const struct labels *l, const struct infer_request *q,
                       const double *logprobs, int32_t best)
{
    double sum = 0;
    for (int32_t i = 0; i < q->n_choices; i++)
        sum += weight(q, logprobs, i, best);
    buf_puts(out, ",\"label\":");
    buf_addstr(out, buf_str(&l->v[best].json));
    buf_puts(out, ",\"scores\":[");
    for (size_t i = 0; i < l->n; i++) {
        buf_puts(out, i ? ",{\"label\":" : "{\"label\":");
        buf_addstr(out, buf_str(&l->v[i].json));
        buf_puts(out, ",\"logprob\":");
        num_put_double(out, logprobs[i]);
        buf_puts(out, ",\"prob\":");
        num_put_float(out, (float)(weight(q, logprobs, (int32_t)i, best) / sum));
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void put_choice(struct buf *out, const struct infer_request *q, const struct engine *g,
                       struct tokenizer_work *work, const struct infer_answer *a)
{
    const struct task *t = q->owner;
    const struct labels *l = t->params.labels;
    const struct label *best = &l->v[a->best];
    const struct infer_choice *c = &t->choices[a->best];
    if (best->is_text || g->tokenizer) {
        buf_puts(out, "\"text\":");
        if (best->is_text)
            buf_addstr(out, buf_str(&best->json));
        else
            put_text(out, g, work, c->ids, c->n);
        buf_putc(out, ',');
    }
    buf_puts(out, "\"finish_reason\":\"choice\"");
    put_usage(out, t, 0);
    put_scores(out, l, q, a->choice_logprobs, a->best);
    if (t->params.return_tokens || !g->tokenizer) {
        buf_puts(out, ",\"tokens\":");
        put_ids(out, c->ids, c->n);
    }
}

/* The final channel, and what else was said; *finish says where there is no answer in it. */
static void put_channels(struct buf *out, const struct task *t, const struct engine *g,
                         struct tokenizer_work *work, const int32_t *ids, size_t n,
                         const char **finish)
{
    struct channels_answer a = {0};
    channels_split(g->channels, work, t->prompt.v, t->prompt.n, ids, n, &a);
    if (a.found && !a.text.n)
        *finish = "no_final";
    buf_puts(out, "\"text\":");
    json_quote(out, buf_str(&a.text));
    if (a.reasoning.n) {
        buf_puts(out, ",\"reasoning\":");
        json_quote(out, buf_str(&a.reasoning));
    }
    buf_putc(out, ',');
    channels_answer_release(&a);
}

static void put_generated(struct buf *out, const struct task *t, const struct engine *g,
                          struct tokenizer_work *work, const struct infer_answer *a)
{
    bool stopped = a->finish == INFER_STOP;
    const char *finish = stopped ? "stop" : "length";
    if (g->tokenizer)
        put_channels(out, t, g, work, a->ids, (size_t)(a->n - stopped), &finish);
    buf_printf(out, "\"finish_reason\":\"%s\"", finish);
    put_usage(out, t, a->n);
    if (t->params.logprobs) {
        buf_puts(out, ",\"logprobs\":");
        put_floats(out, a->logprobs, a->n);
    }
    if (t->params.return_tokens || !g->tokenizer) {
        buf_puts(out, ",\"tokens\":");
        put_ids(out, a->ids, a->n);
    }
}

static bool all_numbers(const struct infer_answer *a, int32_t n_prompt, int32_t n_choices)
{
    bool good = true;
    for (int32_t i = 0; i < a->n; i++)
        good &= !isnan(a->logprobs[i]);
    for (int32_t i = 0; a->prompt_logprobs && i < n_prompt - 1; i++)
        good &= !isnan(a->prompt_logprobs[i]);
    for (int32_t i = 0; a->choice_logprobs && i < n_choices; i++)
        good &= !isnan(a->choice_logprobs[i]);
    return good;
}

void answer_write(const struct infer_request *q, const struct engine *g,
                  struct tokenizer_work *work, const struct infer_answer *a)
{
    struct task *t = q->owner;
    struct buf *out = &t->out;
    int32_t n_choices = t->params.labels ? (int32_t)t->params.labels->n : 0;
    if (!all_numbers(a, (int32_t)t->prompt.n, n_choices)) {
        struct err e = {0};
        err_set(&e, EXIT_DATA,
                "the model's results are no numbers (NaN); its weights may be damaged");
        answer_refuse(t, "not_a_number", &e);
        return;
    }
    rec_begin_line(out, buf_str(&t->line));
    rec_member(out, "response");
    buf_putc(out, '{');
    if (a->finish == INFER_CHOICE)
        put_choice(out, q, g, work, a);
    else
        put_generated(out, t, g, work, a);
    if (a->prompt_logprobs) {
        buf_puts(out, ",\"prompt_logprobs\":");
        put_floats(out, a->prompt_logprobs, (int32_t)t->prompt.n - 1);
    }
    buf_putc(out, '}');
    rec_end(out);
    t->ready = true;
}

void answer_refuse(struct task *t, const char *type, const struct err *why)
{
    rec_begin_line(&t->out, buf_str(&t->line));
    rec_error(&t->out, tool_name, type, why->text);
    rec_end(&t->out);
    task_failed(t, why);
    t->ready = true;
}
