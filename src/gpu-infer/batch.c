/* batch.c - answers as lines of OpenAI's batch files. */
#include "gpu-infer/batch.h"

#include "base/num.h"

#include <stdlib.h>

struct reply *batch_new(const struct batch_line *line, const struct rec *rec, uint64_t number)
{
    static const char *const ours[] = {"_seq", "_shard", "_last", "_src", "_rep"};
    struct reply *b = xcalloc(1, sizeof *b);
    b->number = number;
    b->chat = line->chat;
    buf_addstr(&b->id, line->custom_id);
    buf_addstr(&b->model, line->model);
    for (size_t i = 0; !rec->fault && i < sizeof ours / sizeof *ours; i++) {
        const struct json_member *m = rec_find(rec, ours[i]);
        if (m)
            buf_printf(&b->marks, ",\"%s\":%.*s", ours[i], (int)m->value.n, m->value.p);
    }
    return b;
}

void batch_free(struct reply *b)
{
    if (!b)
        return;
    buf_release(&b->id);
    buf_release(&b->model);
    buf_release(&b->marks);
    free(b);
}

static void begin(struct buf *out, const struct reply *b)
{
    unsigned long long n = b->number;
    buf_printf(out, "{\"id\":\"batch_req_%llu\",\"custom_id\":", n);
    buf_addstr(out, b->id.n ? buf_str(&b->id) : STR("null"));
    buf_printf(out, ",\"response\":{\"status_code\":");
}

static void end(struct buf *out, const struct reply *b)
{
    buf_addstr(out, buf_str(&b->marks));
    buf_puts(out, "}\n");
}

void batch_put_error(struct task *t, int status, const char *code, const char *message)
{
    struct buf *out = &t->out;
    buf_clear(out);
    begin(out, t->batch);
    buf_printf(out,
               "%d,\"request_id\":\"req_%llu\",\"body\":null},\"error\":{\"code\":", status,
               (unsigned long long)t->batch->number);
    json_quote(out, str_of(code));
    buf_puts(out, ",\"message\":");
    json_quote(out, str_of(message));
    buf_putc(out, '}');
    end(out, t->batch);
}

/* ---- log-probabilities ------------------------------------------------------------------ */

static void put_token(struct buf *out, const struct engine *g, struct tokenizer_work *work,
                      int32_t id)
{
    struct buf text = {0};
    tokenizer_decode(g->tokenizer, work, &id, 1, false, &text);
    json_quote(out, buf_str(&text));
    buf_release(&text);
}

static void put_one(struct buf *out, const struct engine *g, struct tokenizer_work *work,
                    int32_t id, float logprob)
{
    struct buf bytes = {0};
    buf_puts(out, "{\"token\":");
    put_token(out, g, work, id);
    buf_puts(out, ",\"logprob\":");
    num_put_float(out, logprob);
    if (tokenizer_has_bytes(g->tokenizer) && tokenizer_bytes(g->tokenizer, id, &bytes)) {
        buf_puts(out, ",\"bytes\":[");
        for (size_t i = 0; i < bytes.n; i++)
            buf_printf(out, "%s%d", i ? "," : "", (unsigned char)bytes.p[i]);
        buf_puts(out, "]");
    } else {
        buf_puts(out, ",\"bytes\":null");
    }
    buf_release(&bytes);
}

static void put_chat_logprobs(struct buf *out, const struct task *t, const struct said *s,
                              const struct engine *g, struct tokenizer_work *work)
{
    int64_t k = t->params.top_logprobs;
    buf_puts(out, "{\"content\":[");
    for (int32_t i = 0; i < s->n; i++) {
        if (i)
            buf_putc(out, ',');
        put_one(out, g, work, s->ids[i], s->logprobs[i]);
        buf_puts(out, ",\"top_logprobs\":[");
        for (int64_t j = 0; j < k && s->top[i * k + j].id >= 0; j++) {
            if (j)
                buf_putc(out, ',');
            put_one(out, g, work, s->top[i * k + j].id, s->top[i * k + j].logprob);
            buf_putc(out, '}');
        }
        buf_puts(out, "]}");
    }
    buf_puts(out, "]}");
}

static void put_text_logprobs(struct buf *out, const struct task *t, const struct said *s,
                              const struct engine *g, struct tokenizer_work *work)
{
    int64_t k = t->params.top_logprobs;
    buf_puts(out, "{\"tokens\":[");
    for (int32_t i = 0; i < s->n; i++) {
        if (i)
            buf_putc(out, ',');
        put_token(out, g, work, s->ids[i]);
    }
    buf_puts(out, "],\"token_logprobs\":[");
    for (int32_t i = 0; i < s->n; i++) {
        if (i)
            buf_putc(out, ',');
        num_put_float(out, s->logprobs[i]);
    }
    buf_puts(out, "],\"top_logprobs\":");
    buf_puts(out, k ? "[" : "null");
    for (int32_t i = 0; k && i < s->n; i++) {
        buf_puts(out, i ? ",{" : "{");
        for (int64_t j = 0; j < k && s->top[i * k + j].id >= 0; j++) {
            if (j)
                buf_putc(out, ',');
            put_token(out, g, work, s->top[i * k + j].id);
            buf_putc(out, ':');
            num_put_float(out, s->top[i * k + j].logprob);
        }
        buf_putc(out, '}');
    }
    buf_puts(out, k ? "]}" : "}");
}

/* ---- answers ----------------------------------------------------------------------------- */

static void put_choice(struct buf *out, const struct task *t, int64_t index,
                       const struct engine *g, struct tokenizer_work *work)
{
    const struct said *s = &t->said[index];
    buf_printf(out, "{\"index\":%d,", (int)index);
    if (t->batch->chat) {
        buf_puts(out, "\"message\":{\"role\":\"assistant\",\"content\":");
        json_quote(out, buf_str(&s->text));
        if (s->reasoning.n) {
            buf_puts(out, ",\"reasoning_content\":");
            json_quote(out, buf_str(&s->reasoning));
        }
        buf_putc(out, '}');
    } else {
        buf_puts(out, "\"text\":");
        json_quote(out, buf_str(&s->text));
    }
    buf_puts(out, ",\"logprobs\":");
    if (!s->ids || !(t->params.logprobs || t->params.top_logprobs))
        buf_puts(out, "null");
    else if (t->batch->chat)
        put_chat_logprobs(out, t, s, g, work);
    else
        put_text_logprobs(out, t, s, g, work);
    buf_printf(out, ",\"finish_reason\":\"%s\"}", s->cut ? "length" : "stop");
}

void batch_put_answer(struct task *t, const struct engine *g, struct tokenizer_work *work)
{
    const struct reply *b = t->batch;
    struct buf *out = &t->out;
    unsigned long long n = b->number, completion = 0;
    begin(out, b);
    buf_printf(out, "200,\"request_id\":\"req_%llu\",\"body\":{\"id\":\"%s-%llu\",", n,
               b->chat ? "chatcmpl" : "cmpl", n);
    /* The same bytes whenever it is run: no time. */
    buf_printf(out, "\"object\":\"%s\",\"created\":0,\"model\":",
               b->chat ? "chat.completion" : "text_completion");
    buf_addstr(out, b->model.n ? buf_str(&b->model) : STR("\"\""));
    buf_puts(out, ",\"choices\":[");
    for (int64_t i = 0; i < t->params.n; i++) {
        if (i)
            buf_putc(out, ',');
        put_choice(out, t, i, g, work);
        completion += (unsigned long long)t->said[i].n;
    }
    buf_printf(out,
               "],\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%llu,"
               "\"total_tokens\":%llu}}},\"error\":null",
               t->prompt.n, completion, (unsigned long long)t->prompt.n + completion);
    end(out, b);
}
