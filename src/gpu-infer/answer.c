/* answer.c - from the model's answer to the record's last member. */
#include "gpu-infer/answer.h"

#include "base/num.h"
#include "gpu-infer/batch.h"
#include "gpu-infer/guide.h"
#include "rec/rec.h"

#include <math.h>
#include <stdlib.h>

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

/* ---- taking what was said ---------------------------------------------------------------- */

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

static void *copy_of(const void *p, size_t n, size_t size)
{
    if (!p || !n)
        return NULL;
    void *copy = xmalloc_n(n, size);
    memcpy(copy, p, n * size);
    return copy;
}

/* The final channel, and what else was said. */
static void take_text(struct said *s, const struct task *t, const struct engine *g,
                      struct tokenizer_work *work, const int32_t *ids, size_t n)
{
    struct channels_answer a = {0};
    channels_split(g->channels, work, t->prompt.v, t->prompt.n, ids, n, &a);
    if (a.found && !a.text.n)
        s->finish = "no_final";
    buf_addstr(&s->text, buf_str(&a.text));
    buf_addstr(&s->reasoning, buf_str(&a.reasoning));
    channels_answer_release(&a);
    guide_cut(t, &s->text);
}

static void take(struct said *s, const struct task *t, const struct engine *g,
                 struct tokenizer_work *work, const struct infer_answer *a)
{
    size_t n = (size_t)a->n, top = n * (size_t)t->params.top_logprobs;
    s->cut = a->finish == INFER_LENGTH;
    s->finish = s->cut ? "length" : "stop";
    s->n = a->n;
    s->ids = copy_of(a->ids, n, sizeof *s->ids);
    s->logprobs = copy_of(a->logprobs, n, sizeof *s->logprobs);
    s->top = copy_of(a->top, top, sizeof *s->top);
    s->prompt_logprobs = copy_of(a->prompt_logprobs, t->prompt.n - 1, sizeof(float));
    if (g->tokenizer)
        take_text(s, t, g, work, a->ids, n - (a->finish == INFER_STOP));
}

/* ---- one answer of a record -----------------------------------------------------------------
 */

/* [[{"id","text","logprob"}, …], …] */
static void put_top(struct buf *out, const struct said *s, int32_t k, const struct engine *g,
                    struct tokenizer_work *work)
{
    buf_puts(out, ",\"top_logprobs\":[");
    for (int32_t i = 0; i < s->n; i++) {
        buf_puts(out, i ? ",[" : "[");
        for (int32_t j = 0; j < k && s->top[i * k + j].id >= 0; j++) {
            const struct infer_top *x = &s->top[i * k + j];
            buf_printf(out, "%s{\"id\":%d,", j ? "," : "", (int)x->id);
            if (g->tokenizer) {
                struct buf text = {0};
                buf_puts(out, "\"text\":");
                tokenizer_decode(g->tokenizer, work, &x->id, 1, false, &text);
                json_quote(out, buf_str(&text));
                buf_putc(out, ',');
                buf_release(&text);
            }
            buf_puts(out, "\"logprob\":");
            num_put_float(out, x->logprob);
            buf_putc(out, '}');
        }
        buf_putc(out, ']');
    }
    buf_putc(out, ']');
}

/* The answer as JSON, where it was to be that and is whole; without line ends. */
static void put_parsed(struct buf *out, const struct task *t, const struct said *s)
{
    const struct shape *shape = t->params.shape;
    struct json_fault fault;
    bool json = shape && (shape->kind == SHAPE_OBJECT || shape->kind == SHAPE_SCHEMA);
    struct buf nested = {0};
    if (!json || !s->text.n)
        return;
    /* It will stand two levels down in the record. */
    buf_printf(&nested, "[[%.*s]]", (int)s->text.n, s->text.p);
    if (json_check(nested.p, nested.n, NULL, &fault) == 0) {
        buf_puts(out, ",\"parsed\":");
        bool quoted = false;
        for (size_t i = 0; i < s->text.n; i++) {
            char c = s->text.p[i];
            if (c == '"')
                quoted = !quoted;
            if (quoted || (c != '\n' && c != ' '))
                buf_putc(out, c);
            if (quoted && c == '\\')
                buf_putc(out, s->text.p[++i]);
        }
    }
    buf_release(&nested);
}

static void put_said(struct buf *out, const struct task *t, const struct said *s,
                     int32_t completion, const struct engine *g, struct tokenizer_work *work)
{
    if (g->tokenizer) {
        buf_puts(out, "\"text\":");
        json_quote(out, buf_str(&s->text));
        buf_putc(out, ',');
    }
    if (s->reasoning.n) {
        buf_puts(out, "\"reasoning\":");
        json_quote(out, buf_str(&s->reasoning));
        buf_putc(out, ',');
    }
    buf_printf(out, "\"finish_reason\":\"%s\"", s->finish);
    put_usage(out, t, completion);
    put_parsed(out, t, s);
    if (t->params.logprobs) {
        buf_puts(out, ",\"logprobs\":");
        put_floats(out, s->logprobs, s->n);
    }
    if (t->params.top_logprobs)
        put_top(out, s, (int32_t)t->params.top_logprobs, g, work);
    if (t->params.return_tokens || !g->tokenizer) {
        buf_puts(out, ",\"tokens\":");
        put_ids(out, s->ids, s->n);
    }
}

/* Sample 0, and all of them where there are several. */
static void put_samples(struct buf *out, const struct task *t, const struct engine *g,
                        struct tokenizer_work *work)
{
    int32_t completion = 0;
    for (int64_t i = 0; i < t->params.n; i++)
        completion += t->said[i].n;
    put_said(out, t, &t->said[0], completion, g, work);
    for (int64_t i = 0; t->params.n > 1 && i < t->params.n; i++) {
        buf_puts(out, i ? ",{" : ",\"samples\":[{");
        put_said(out, t, &t->said[i], t->said[i].n, g, work);
        buf_putc(out, '}');
    }
    if (t->params.n > 1)
        buf_putc(out, ']');
}

/* ---- scores -------------------------------------------------------------------------------
 */

/* How likely a given text is. */
static void put_completion(struct buf *out, const struct task *t, const struct engine *g,
                           const struct infer_answer *a)
{
    const struct infer_choice *c = &t->choices[0];
    buf_puts(out, "\"text\":");
    buf_addstr(out, buf_str(&t->params.labels->v[0].json));
    buf_puts(out, ",\"finish_reason\":\"scored\"");
    put_usage(out, t, c->n);
    buf_puts(out, ",\"logprob\":");
    num_put_double(out, a->choice_logprobs[0]);
    if (t->params.logprobs) {
        buf_puts(out, ",\"logprobs\":");
        put_floats(out, a->choice_tokens, c->n);
    }
    if (t->params.return_tokens || !g->tokenizer) {
        buf_puts(out, ",\"tokens\":");
        put_ids(out, c->ids, c->n);
    }
}

static void take_label(struct said *s, const struct task *t, const struct infer_answer *a)
{
    const struct label *best = &t->params.labels->v[a->best];
    s->finish = "choice";
    buf_addstr(&s->text, buf_str(best->is_text ? &best->text : &best->json));
}

/* ---- the line
 * -------------------------------------------------------------------------------- */

static void write_line(const struct infer_request *q, const struct engine *g,
                       struct tokenizer_work *work, const struct infer_answer *a)
{
    struct task *t = q->owner;
    struct buf *out = &t->out;
    rec_begin_line(out, buf_str(&t->line));
    rec_member(out, "response");
    buf_putc(out, '{');
    if (t->scored)
        put_completion(out, t, g, a);
    else if (a->finish == INFER_CHOICE)
        put_choice(out, q, g, work, a);
    else
        put_samples(out, t, g, work);
    const float *prompt = a->finish == INFER_CHOICE ? a->prompt_logprobs
                                                    : t->said[0].prompt_logprobs;
    if (prompt) {
        buf_puts(out, ",\"prompt_logprobs\":");
        put_floats(out, prompt, (int32_t)t->prompt.n - 1);
    }
    buf_putc(out, '}');
    rec_end(out);
}

void answer_write(const struct infer_request *q, const struct engine *g,
                  struct tokenizer_work *work, const struct infer_answer *a)
{
    struct task *t = q->owner;
    int32_t n_choices = t->params.labels ? (int32_t)t->params.labels->n : 0;
    struct err e = {0};
    t->got++;
    if (t->refused) { /* another sample failed */
        t->ready = t->got == t->asked;
        return;
    }
    if (!all_numbers(a, (int32_t)t->prompt.n, n_choices)) {
        err_set(&e, EXIT_DATA,
                "the model's results are no numbers (NaN); its weights may be damaged");
        answer_refuse(t, "not_a_number", &e);
    } else if (a->finish == INFER_STUCK) {
        err_set(&e, EXIT_DATA, "no token of the model goes on as the constraint wants");
        answer_refuse(t, "constraint", &e);
    } else if (a->finish == INFER_CHOICE) {
        take_label(&t->said[0], t, a);
    } else {
        take(&t->said[q->sample], t, g, work, a);
    }
    if (t->refused || t->got < t->params.n)
        return;
    if (t->batch)
        batch_put_answer(t, g, work);
    else
        write_line(q, g, work, a);
    t->ready = true;
}

void answer_refuse(struct task *t, const char *type, const struct err *why)
{
    if (t->batch) {
        batch_put_error(t, strcmp(type, "not_a_number") ? 400 : 500, type, why->text);
    } else {
        rec_begin_line(&t->out, buf_str(&t->line));
        rec_error(&t->out, tool_name, type, why->text);
        rec_end(&t->out);
    }
    task_failed(t, why);
    t->refused = true;
    t->ready = t->got == t->asked;
}
