/* channels_open.c - which channels a model has, and how its final one begins. */
#include "text/channels_priv.h"

#include <stdlib.h>

/* Each is one added token where the model thinks between them. */
static const struct tags {
    const char *open, *close, *title;
    const char *empty; /* an empty thought before an answer, where the template shows none */
} tags[] = {
    {"<think>", "</think>", NULL, "<think>\n\n</think>\n\n"},
    {"[THINK]", "[/THINK]", NULL, "[THINK][/THINK]"},
    {"<|START_THINKING|>", "<|END_THINKING|>", NULL, "<|START_THINKING|><|END_THINKING|>"},
    {"<|channel>", "<channel|>", "thought\n", "<|channel>thought\n<channel|>"},
    {"<seed:think>", "</seed:think>", NULL, "<seed:think></seed:think>"},
    {"\u25c1think\u25b7", "\u25c1/think\u25b7", NULL, "\u25c1think\u25b7\u25c1/think\u25b7"},
};

static int32_t added_id(const struct tokenizer *t, const char *token)
{
    int32_t id = tokenizer_id(t, str_of(token));
    return tokenizer_is_added(t, id) ? id : -1;
}

static bool find_harmony(struct channels *c)
{
    const struct tokenizer *t = c->tokenizer;
    c->start = added_id(t, "<|start|>");
    c->channel = added_id(t, "<|channel|>");
    c->message = added_id(t, "<|message|>");
    c->end = added_id(t, "<|end|>");
    c->ret = added_id(t, "<|return|>");
    c->call = added_id(t, "<|call|>");
    return c->start >= 0 && c->channel >= 0 && c->message >= 0 && c->end >= 0;
}

/* The pair that the template speaks of, else the first one. */
static const struct tags *find_tags(struct channels *c, const struct chat *chat)
{
    const struct tags *found = NULL;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        int32_t open = added_id(c->tokenizer, tags[i].open);
        int32_t close = added_id(c->tokenizer, tags[i].close);
        bool named = chat && chat_mentions(chat, str_of(tags[i].close));
        if (open < 0 || close < 0 || (found && !named))
            continue;
        found = &tags[i];
        c->open = open;
        c->close = close;
        c->title = tags[i].title;
        if (named)
            break;
    }
    return found;
}

/* ---- how the final channel begins ---------------------------------------------------- */

/* Where the last `word` begins, from `from` on; SIZE_MAX: nowhere. */
static size_t find_last(struct str text, const char *word, size_t from)
{
    size_t at = SIZE_MAX, n = strlen(word);
    for (size_t i = from; i + n <= text.n; i++)
        if (!memcmp(text.p + i, word, n))
            at = i;
    return at;
}

/* True where the last tag of the text closes; *from: where that thought begins. */
static bool ends_thought(const struct tags *g, struct str text, size_t *from)
{
    size_t open = find_last(text, g->open, 0), close = find_last(text, g->close, 0);
    if (close == SIZE_MAX || (open != SIZE_MAX && close < open))
        return false;
    *from = open == SIZE_MAX ? close : open;
    return true;
}

/* How a prompt ends with these template variables, if it is with a thought that is over. */
static bool prompt_without_thought(struct channels *c, const struct chat *chat,
                                   const struct tags *g, struct str kwargs)
{
    size_t from;
    buf_clear(&c->final.text);
    return chat_generation_prompt(chat, kwargs, &c->final.text) &&
           ends_thought(g, buf_str(&c->final.text), &from);
}

/* The empty thought before an answer, as a finished conversation has it or in the common form;
 * false: the template does not write thoughts. */
static bool empty_thought(const struct chat *chat, const struct tags *g, bool opened,
                          struct buf *out)
{
    struct buf before = {0};
    size_t from;
    bool found = chat_answer_start(chat, &before) && ends_thought(g, buf_str(&before), &from);
    if (found) {
        buf_add(out, before.p + from, before.n - from);
    } else if (opened || chat_mentions(chat, str_of(g->close))) {
        buf_puts(out, g->empty);
        found = true;
    }
    buf_release(&before);
    return found;
}

static void find_final_of_tags(struct channels *c, const struct chat *chat,
                               const struct tags *g)
{
    struct buf thought = {0}, *to = &c->final.text;
    struct str prompt = buf_str(&c->starts[0].text);
    if (prompt_without_thought(c, chat, g,
                               STR("{\"enable_thinking\":false,\"thinking\":false}")) ||
        prompt_without_thought(c, chat, g, STR("{\"reasoning_effort\":\"none\"}")))
        return;
    buf_clear(to);
    size_t open = find_last(prompt, g->open, 0);
    if (empty_thought(chat, g, open != SIZE_MAX, &thought)) {
        buf_add(to, prompt.p, open == SIZE_MAX ? prompt.n : open);
        buf_addstr(to, buf_str(&thought));
    }
    buf_release(&thought);
}

static void encode_form(const struct channels *c, struct tokenizer_work *w,
                        struct channels_form *f)
{
    f->ids.n = 0;
    if (f->text.n && tokenizer_encode(c->tokenizer, w, buf_str(&f->text), false, &f->ids, NULL))
        f->ids.n = 0;
}

static void find_forms(struct channels *c, const struct chat *chat, const struct tags *g)
{
    static const char *const kwargs[CHANNELS_STARTS] = {
        "", "{\"enable_thinking\":true,\"thinking\":true}"};
    struct tokenizer_work *w = tokenizer_work_new(c->tokenizer);
    for (size_t i = 0; i < CHANNELS_STARTS; i++)
        chat_generation_prompt(chat, str_of(kwargs[i]), &c->starts[i].text);
    if (!c->starts[0].text.n) {
        c->final.text.n = 0; /* the template ends every prompt alike: nothing to go by */
    } else if (g) {
        find_final_of_tags(c, chat, g);
    } else if (chat_mentions(chat, STR("<|channel|>"))) {
        buf_addstr(&c->final.text, buf_str(&c->starts[0].text));
        buf_puts(&c->final.text, "<|channel|>final<|message|>");
    }
    for (size_t i = 0; i < CHANNELS_STARTS; i++)
        encode_form(c, w, &c->starts[i]);
    encode_form(c, w, &c->final);
    tokenizer_work_free(w);
}

/* ---- opening and closing --------------------------------------------------------------- */

struct channels *channels_new(const struct tokenizer *t, const struct chat *chat)
{
    struct channels *c = xcalloc(1, sizeof *c);
    const struct tags *g = NULL;
    c->tokenizer = t;
    if (find_harmony(c))
        c->kind = CHANNELS_HARMONY;
    else if ((g = find_tags(c, chat)))
        c->kind = CHANNELS_TAGS;
    if (c->kind && chat)
        find_forms(c, chat, g);
    return c;
}

static void form_release(struct channels_form *f)
{
    buf_release(&f->text);
    ids_release(&f->ids);
}

void channels_free(struct channels *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CHANNELS_STARTS; i++)
        form_release(&c->starts[i]);
    form_release(&c->final);
    free(c);
}

enum channels_kind channels_kind(const struct channels *c)
{
    return c->kind;
}

size_t channels_stops(const struct channels *c, int32_t ids[CHANNELS_STOPS_MAX])
{
    size_t n = 0;
    if (c->kind != CHANNELS_HARMONY)
        return 0;
    if (c->ret >= 0)
        ids[n++] = c->ret;
    if (c->call >= 0)
        ids[n++] = c->call;
    return n;
}

/* ---- forcing the final channel ----------------------------------------------------------- */

static bool text_ends(const struct buf *b, const struct buf *tail)
{
    return tail->n && b->n >= tail->n && !memcmp(b->p + b->n - tail->n, tail->p, tail->n);
}

bool channels_force(const struct channels *c, struct buf *prompt)
{
    const struct channels_form *longest = NULL;
    if (!c->final.text.n)
        return false;
    if (text_ends(prompt, &c->final.text))
        return true;
    for (size_t i = 0; i < CHANNELS_STARTS; i++)
        if (text_ends(prompt, &c->starts[i].text) &&
            (!longest || c->starts[i].text.n > longest->text.n))
            longest = &c->starts[i];
    if (!longest)
        return false;
    prompt->n -= longest->text.n;
    buf_addstr(prompt, buf_str(&c->final.text));
    return true;
}

static bool ids_end(const struct ids *l, const struct ids *tail)
{
    return tail->n && l->n >= tail->n &&
           !memcmp(l->v + l->n - tail->n, tail->v, tail->n * sizeof *tail->v);
}

bool channels_force_ids(const struct channels *c, struct ids *prompt)
{
    const struct channels_form *longest = NULL;
    if (!c->final.ids.n)
        return false;
    if (ids_end(prompt, &c->final.ids))
        return true;
    for (size_t i = 0; i < CHANNELS_STARTS; i++)
        if (ids_end(prompt, &c->starts[i].ids) &&
            (!longest || c->starts[i].ids.n > longest->ids.n))
            longest = &c->starts[i];
    if (!longest)
        return false;
    prompt->n -= longest->ids.n;
    ids_append(prompt, c->final.ids.v, c->final.ids.n);
    return true;
}
