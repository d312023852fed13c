/* prepare.c - from a record to a question for the model. */
#include "gpu-infer/prepare.h"

#include "infer/sample.h"
#include "text/prompt.h"

#include <stdio.h>
#include <stdlib.h>

/* An error record in the making. */
struct fault {
    const char *type;
    struct err e;
};

static int fault(struct fault *f, const char *type, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int fault(struct fault *f, const char *type, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    f->type = type;
    return err_set(&f->e, EXIT_DATA, "%s", text);
}

/* A tokenizer may have tokens that the model lacks. */
static int check_ids(const struct prepare *p, const struct ids *ids, const char *type,
                     const char *what, struct fault *f)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->v[i] >= p->engine->info.vocab)
            return fault(f, type, "%s has token id %d; the model's ids are 0 to %d", what,
                         (int)ids->v[i], (int)p->engine->info.vocab - 1);
    return 0;
}

/* ---- the prompt --------------------------------------------------------------- */

/* What a record asks, as raw JSON; n = 0 where it is absent. */
struct question {
    enum { ASKS_NOTHING, ASKS_MESSAGES, ASKS_PROMPT, ASKS_TOKENS } kind;
    struct str value, tools, kwargs, params, adapter, completion;
};

/* The member that asks: whichever of the three stands last and is not null, so that each tool
 * of the chain may be the last one before us. */
static void find_prompt(const struct rec *rec, struct question *q)
{
    static const char *const names[] = {"messages", "prompt", "tokens"};
    const struct json_member *last = NULL;
    for (int i = 0; i < 3; i++) {
        const struct json_member *m = rec_find(rec, names[i]);
        if (!m || json_kind(m->value) == JSON_NULL || (last && m < last))
            continue;
        last = m;
        q->kind = ASKS_MESSAGES + i;
        q->value = m->value;
    }
}

static int read_tokens(struct task *t, struct str value, struct fault *f)
{
    struct json_iter it;
    struct str item;
    if (json_kind(value) != JSON_ARRAY)
        return fault(f, "bad_field", "field \"tokens\" must be an array of token ids");
    it = json_iter(value);
    while (json_next(&it, NULL, &item)) {
        int64_t id;
        if (!json_int(item, &id) || id < 0 || id > INT32_MAX)
            return fault(f, "bad_field", "field \"tokens\" must be an array of token ids");
        ids_add(&t->prompt, (int32_t)id);
    }
    return 0;
}

/* A member's raw JSON, n = 0 where it is absent or null. */
static int get_json(const struct rec *rec, const char *name, enum json_kind kind,
                    struct str *out, struct fault *f)
{
    const struct json_member *m = rec_find(rec, name);
    *out = (struct str){0};
    if (!m || json_kind(m->value) == JSON_NULL)
        return 0;
    if (json_kind(m->value) != kind)
        return fault(f, "bad_field", "field \"%s\" must be an %s", name,
                     kind == JSON_ARRAY ? "array" : "object");
    *out = m->value;
    return 0;
}

static int render_messages(struct prepare *p, const struct question *q,
                           enum chat_reasoning reasoning, struct fault *f)
{
    struct str kwargs;
    if (json_kind(q->value) != JSON_ARRAY)
        return fault(f, "bad_field", "field \"messages\" must be an array");
    if (!p->engine->chat) {
        if (!p->told_no_template)
            warn("%s has no chat template; records with messages fail; give --chat-template "
                 "FILE",
                 p->options->model);
        p->told_no_template = true;
        return fault(f, "no_template", "the model has no chat template");
    }
    kwargs = chat_reasoning_kwargs(reasoning, q->kwargs, &p->kwargs);
    f->type = "template_error";
    return chat_render(p->engine->chat, q->value, q->tools, kwargs, true, &p->text, &f->e);
}

/* The prompt's text into p->text. */
static int read_text(struct prepare *p, const struct question *q, enum chat_reasoning reasoning,
                     struct fault *f)
{
    buf_clear(&p->text);
    if (!p->engine->tokenizer) {
        if (!p->told_no_tokenizer)
            warn("%s has no tokenizer.json; records without tokens fail", p->options->model);
        p->told_no_tokenizer = true;
        return fault(f, "no_tokenizer", "the model has no tokenizer; give \"tokens\"");
    }
    if (q->kind == ASKS_MESSAGES)
        return render_messages(p, q, reasoning, f);
    if (json_kind(q->value) != JSON_STRING)
        return fault(f, "bad_field", "field \"prompt\" must be a string");
    if (!json_decode(&p->text, q->value))
        return fault(f, "bad_field", "field \"prompt\" is no Unicode text (a lone surrogate)");
    return 0;
}

/* ---- labels ------------------------------------------------------------------- */

/* Labels that are texts; text: the prompt, whose end and a label may share a token. */
static int encode_labels(struct prepare *p, struct task *t, struct str text, bool raw,
                         struct fault *f)
{
    const struct labels *l = t->params.labels;
    struct str *texts = xcalloc(l->n, sizeof *texts);
    for (size_t i = 0; i < l->n; i++)
        texts[i] = buf_str(&l->v[i].text);
    f->type = "bad_parameter";
    int rc = labels_encode(p->engine->tokenizer, p->work, text, raw, texts, l->n,
                           t->scored ? -1 : p->engine->choices_end, &t->prompt, t->choice_ids,
                           &f->e);
    free(texts);
    return rc;
}

static int read_choices(struct prepare *p, struct task *t, bool text, bool raw, struct fault *f)
{
    const struct labels *l = t->params.labels;
    if (l->v[0].is_text && !p->engine->tokenizer)
        return fault(f, "bad_parameter", "choices: the model has no tokenizer; give token ids");
    t->n_choices = l->n;
    t->choice_ids = xcalloc(l->n, sizeof *t->choice_ids);
    t->choices = xcalloc(l->n, sizeof *t->choices);
    if (l->v[0].is_text &&
        encode_labels(p, t, text ? buf_str(&p->text) : (struct str){0}, raw, f) < 0)
        return -1;
    for (size_t i = 0; i < l->n; i++) {
        if (!l->v[i].is_text)
            ids_append(&t->choice_ids[i], l->v[i].ids.v, l->v[i].ids.n);
        if (check_ids(p, &t->choice_ids[i], "bad_parameter", "a choice", f) < 0)
            return -1;
        t->choices[i] = (struct infer_choice){t->choice_ids[i].v, (int32_t)t->choice_ids[i].n};
    }
    return 0;
}

/* ---- prompts over the context -------------------------------------------------- */

/* Takes tokens out of a prompt that would be refused: from its beginning (a BOS stays) or from
 * its middle, so that labels fit behind it, or an answer of up to half the context. */
static void truncate_prompt(const struct prepare *p, struct task *t)
{
    struct ids *ids = &t->prompt;
    size_t context = (size_t)p->engine->info.context, half = context / 2, most = 0;
    for (size_t i = 0; i < t->n_choices; i++)
        if (most < t->choice_ids[i].n)
            most = t->choice_ids[i].n;
    size_t least = t->n_choices ? most : t->params.max_tokens > 0;
    size_t room = t->n_choices ? most : (size_t)t->params.max_tokens;
    if (ids->n + least <= context)
        return;
    size_t keep = context - (room < half ? room : half), from = keep / 2 + keep % 2;
    if (p->options->truncate == TRUNCATE_LEFT)
        from = p->engine->tokenizer && ids->v[0] == tokenizer_bos(p->engine->tokenizer);
    t->truncated = ids->n - keep;
    memmove(ids->v + from, ids->v + from + t->truncated, (keep - from) * sizeof *ids->v);
    ids->n = keep;
}

/* ---- the whole question --------------------------------------------------------- */

/* No thought before a label, or where none was asked for. */
static void force_final(struct prepare *p, struct task *t, bool tokens)
{
    const struct channels *c = p->engine->channels;
    if (!c)
        return;
    if (tokens)
        channels_force_ids(c, &t->prompt);
    else
        channels_force(c, &p->text);
}

static int read_prompt(struct prepare *p, const struct question *q, struct task *t,
                       struct fault *f)
{
    const struct labels *l = t->params.labels;
    bool raw = q->kind == ASKS_PROMPT, tokens = q->kind == ASKS_TOKENS;
    if (q->kind == ASKS_NOTHING)
        return fault(f, "missing_prompt", "none of the fields messages, prompt and tokens");
    if (tokens ? read_tokens(t, q->value, f) < 0 : read_text(p, q, t->params.reasoning, f) < 0)
        return -1;
    if (l || t->params.reasoning == CHAT_REASONING_NONE)
        force_final(p, t, tokens);
    f->type = "bad_field";
    if (!tokens && prompt_encode(p->engine->tokenizer, p->work, buf_str(&p->text), raw,
                                 &t->prompt, &f->e) < 0)
        return -1;
    if (!t->prompt.n)
        return fault(f, "missing_prompt", "the prompt has no tokens");
    if (t->prompt.n > (size_t)p->engine->info.context && p->options->truncate == TRUNCATE_NONE)
        return fault(f, "context_length", "the prompt's %zu tokens exceed the context of %d",
                     t->prompt.n, (int)p->engine->info.context);
    if (check_ids(p, &t->prompt, "bad_field", "the prompt", f) < 0)
        return -1;
    if (l && read_choices(p, t, !tokens, raw, f) < 0)
        return -1;
    if (p->options->truncate != TRUNCATE_NONE)
        truncate_prompt(p, t);
    return 0;
}

/* What ends the answer, and the shape that it must have. */
static int read_guides(struct prepare *p, struct task *t, struct fault *f)
{
    const struct params *a = &t->params;
    const struct engine *g = p->engine;
    if (!a->ignore_eos)
        ids_append(&t->stop, g->eos.ids, (size_t)g->eos.n);
    if (a->stop_ids)
        ids_append(&t->stop, a->stop_ids->v, a->stop_ids->n);
    f->type = "bad_parameter";
    for (size_t i = 0; a->bias && i < a->bias->n; i++)
        if (a->bias->v[i].id >= g->info.vocab)
            return fault(f, "bad_parameter", "logit_bias has id %d; the model's are 0 to %d",
                         (int)a->bias->v[i].id, (int)g->info.vocab - 1);
    if (a->labels)
        return 0;
    if (((a->stop && a->stop->n) || a->shape) &&
        !(t->vocab = constraints_vocab(p->constraints, &f->e)))
        return -1;
    if (a->shape && !(t->constraint = constraints_get(p->constraints, a->shape, &f->e)))
        return -1;
    return 0;
}

/* --score-completion: the text becomes the only choice. */
static int read_completion(struct prepare *p, struct task *t, struct str text, struct fault *f)
{
    struct buf list = {0};
    if (!p->completion)
        return 0;
    if (!text.n || json_kind(text) != JSON_STRING)
        return fault(f, text.n ? "bad_field" : "missing_field", "field \"%s\" %s",
                     field_name(p->completion), text.n ? "must be a string" : "is missing");
    buf_printf(&list, "[%.*s]", (int)text.n, text.p);
    f->type = "bad_field";
    labels_free(&t->lists.labels);
    int rc = labels_read(&t->lists.labels, buf_str(&list), &f->e);
    t->params.labels = &t->lists.labels;
    t->scored = true;
    buf_release(&list);
    return rc;
}

static int read_index(const struct rec *rec, const char *name, uint64_t *out, struct fault *f)
{
    if (rec_index(rec, name, out) < 0)
        return fault(f, "bad_field", "field \"%s\" must be a whole number >= 0", name);
    return 0;
}

/* What draws are keyed by: the record's place in the source, not in this shard. */
static int read_key(const struct prepare *p, const struct rec *rec, struct task *t,
                    struct fault *f)
{
    t->source = p->read - 1;
    if (read_index(rec, "_seq", &t->source, f) < 0 ||
        read_index(rec, "_src", &t->source, f) < 0)
        return -1;
    return read_index(rec, "_rep", &t->repetition, f);
}

/* p->text is free until the prompt is read. */
static int choose_adapter(struct prepare *p, struct task *t, struct str name, struct fault *f)
{
    const struct adapters *all = &p->engine->adapters;
    t->adapter = adapters_default(all);
    if (!name.n || json_kind(name) == JSON_NULL)
        return 0;
    buf_clear(&p->text);
    if (json_kind(name) != JSON_STRING || !json_decode(&p->text, name))
        return fault(f, "bad_field", "field \"adapter\" must be a string");
    f->type = "unknown_adapter";
    t->adapter = adapters_find(all, buf_str(&p->text), &f->e);
    return t->adapter < 0 ? -1 : 0;
}

static int ask(struct prepare *p, const struct rec *rec, struct task *t,
               const struct question *q, struct fault *f)
{
    t->params = p->engine->defaults;
    if (choose_adapter(p, t, q->adapter, f) < 0)
        return -1;
    if (q->params.n &&
        params_read(&t->params, &t->lists, q->params, &p->told, &f->type, &f->e) < 0)
        return -1;
    if (read_completion(p, t, q->completion, f) < 0 || read_key(p, rec, t, f) < 0 ||
        read_prompt(p, q, t, f) < 0 || read_guides(p, t, f) < 0)
        return -1;
    task_ready_to_ask(t);
    return 0;
}

/* ---- a record ------------------------------------------------------------------------- */

static bool is_response(const struct json_member *m, size_t index, void *arg)
{
    (void)index;
    (void)arg;
    return json_key_is(m->key, "response");
}

static struct str member(const struct rec *rec, const char *name)
{
    const struct json_member *m = rec_find(rec, name);
    return m ? m->value : (struct str){0};
}

static int ask_record(struct prepare *p, const struct rec *rec, struct task *t, struct fault *f)
{
    struct question q = {.params = member(rec, "params"), .adapter = member(rec, "adapter")};
    if (rec_find(rec, "response") && !p->options->overwrite)
        return fault(f, "reserved_member",
                     "the record already has \"response\"; --overwrite replaces it");
    find_prompt(rec, &q);
    if (p->completion && !field_find(p->completion, rec, &q.completion))
        q.completion = (struct str){0};
    if (q.kind == ASKS_MESSAGES &&
        (get_json(rec, "tools", JSON_ARRAY, &q.tools, f) < 0 ||
         get_json(rec, "chat_template_kwargs", JSON_OBJECT, &q.kwargs, f) < 0))
        return -1;
    if (ask(p, rec, t, &q, f) < 0)
        return -1;
    if (p->options->overwrite) {
        rec_without(&p->bare, rec, is_response, NULL);
        buf_addstr(&t->line, buf_str(&p->bare));
    } else {
        buf_addstr(&t->line, rec->line);
    }
    return 0;
}

/* ---- a line of a batch file -------------------------------------------------------------- */

static void refuse_line(struct task *t, int status, const char *code, const char *message)
{
    struct err e = {0};
    err_set(&e, EXIT_DATA, "%s", message);
    batch_put_error(t, status, code, message);
    task_failed(t, &e);
    t->ready = true;
}

/* The model of a line may be the name of an adapter. */
static struct str adapter_named(const struct prepare *p, struct str model)
{
    const struct adapters *a = &p->engine->adapters;
    for (size_t i = 0; model.n && i < a->n; i++)
        if (a->v[i].name && json_key_is(model, a->v[i].name))
            return model;
    return (struct str){0};
}

static void ask_line(struct prepare *p, const struct rec *rec, struct task *t)
{
    struct batch_fault bad = {400, rec->fault ? rec->fault : "", ""};
    struct fault f = {0};
    struct batch_line *b = &p->batch;
    int rc = -1;
    if (rec->fault) {
        b->custom_id = b->model = (struct str){0};
        snprintf(bad.message, sizeof bad.message, "%s", rec->message);
    } else {
        rc = batch_read(b, rec, p->batch_ids, &bad);
    }
    t->batch = batch_new(b, rec, p->read - 1);
    if (rc < 0) {
        refuse_line(t, bad.status, bad.code, bad.message);
        return;
    }
    struct question q = {.tools = b->tools,
                         .kwargs = b->kwargs,
                         .params = buf_str(&b->params),
                         .adapter = adapter_named(p, b->model)};
    q.value = b->chat ? b->messages : b->prompt;
    q.kind = b->chat                               ? ASKS_MESSAGES
             : json_kind(b->prompt) == JSON_STRING ? ASKS_PROMPT
                                                   : ASKS_TOKENS;
    if (ask(p, rec, t, &q, &f) < 0)
        refuse_line(t, 400, f.type, f.e.text);
}

/* ---- whose record it is ----------------------------------------------------------- */

/* A record that names no shard is the first one's, where it fails: it must be neither lost nor
 * answered by all of them. */
static bool is_ours(const struct prepare *p, const struct rec *rec, struct fault *f)
{
    uint64_t shard = rec->marks.shard;
    if (!p->options->shard_given)
        return true;
    if (rec->fault ? rec->marks.has_shard : rec_index(rec, "_shard", &shard) == 1)
        return shard == (uint64_t)p->options->shard;
    if (!rec->fault)
        fault(f, "bad_field", "field \"_shard\" is missing or no whole number >= 0");
    return p->options->shard == 0;
}

/* 1: answered by an earlier call.  -1: nobody could tell on the next call. */
static int is_answered(const struct prepare *p, const struct rec *rec, struct err *e)
{
    uint64_t seq = rec->marks.seq;
    if (!p->answers)
        return 0;
    if (rec->fault ? rec->marks.has_seq : rec_index(rec, "_seq", &seq) == 1)
        return seqset_has(&p->answers->done, seq);
    if (p->answers->n)
        return err_set(e, EXIT_USAGE,
                       "%s:%llu: a record without _seq cannot be told from those that %s has; "
                       "deal with shard, or remove the file",
                       rec->file, (unsigned long long)rec->number, p->options->output);
    return 0;
}

struct task *prepare_record(struct prepare *p, const struct rec *rec, int *rc, struct err *e)
{
    struct fault f = {0};
    *rc = 0;
    p->read++;
    if (!is_ours(p, rec, &f))
        return NULL;
    int answered = is_answered(p, rec, e);
    if (answered) {
        *rc = answered < 0 ? -1 : 0;
        p->skipped += answered > 0;
        return NULL;
    }
    struct task *t = task_new(rec->file, rec->number);
    if (p->options->openai) {
        ask_line(p, rec, t);
    } else if (!rec->fault && rec_is_error(rec)) {
        buf_addstr(&t->out, rec->line);
        buf_putc(&t->out, '\n');
        t->ready = t->passed_on = true;
    } else if (rec->fault || f.type || ask_record(p, rec, t, &f) < 0) {
        rec_fail(&t->out, rec, tool_name, f.type, f.e.text);
        t->ready = true;
        if (rec->fault)
            err_set(&t->error, EXIT_DATA, "%s", rec->message);
        else
            task_failed(t, &f.e);
    }
    return t;
}

void prepare_begin(struct prepare *p)
{
    p->constraints = constraints_new(p->engine->tokenizer, p->engine->info.vocab);
    if (p->options->openai)
        p->batch_ids = batch_ids_new();
    if (p->options->score_completion)
        p->completion = field_new(p->options->score_completion);
}

void prepare_release(struct prepare *p)
{
    constraints_free(p->constraints);
    batch_ids_free(p->batch_ids);
    batch_release(&p->batch);
    field_free(p->completion);
    tokenizer_work_free(p->work);
    buf_release(&p->text);
    buf_release(&p->bare);
    buf_release(&p->kwargs);
}
