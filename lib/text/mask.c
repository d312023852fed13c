/* mask.c - which tokens of a conversation a training loss sees. */
#include "text/mask.h"
#include "text/mask_priv.h"

#include "rec/json.h"
#include "text/prompt.h"

#include <stdlib.h>

void mask_release(struct mask *m)
{
    ids_release(&m->tokens);
    free(m->loss);
    *m = (struct mask){0};
}

static void clear_loss(struct mask *m)
{
    GROW(m->loss, m->cap, m->tokens.n);
    if (m->tokens.n)
        memset(m->loss, 0, m->tokens.n);
}

/* The first token can be predicted from nothing. */
static void set_loss(struct mask *m, size_t from, size_t to)
{
    for (size_t i = from ? from : 1; i < to; i++)
        m->loss[i] = 1;
}

/* How many tokens of the whole text a beginning of it has for itself: a token that reaches over
 * its end is not among them. */
static int count_tokens(const struct tokenizer *t, struct tokenizer_work *w, struct str begin,
                        bool raw, const struct ids *whole, size_t *n, struct ids *ids,
                        struct err *e)
{
    ids->n = 0;
    if (prompt_encode(t, w, begin, raw, ids, e) < 0)
        return -1;
    for (*n = 0; *n < ids->n && *n < whole->n && ids->v[*n] == whole->v[*n];)
        ++*n;
    return 0;
}

/* ---- the last turn --------------------------------------------------------------------- */

/* The messages before the last one, which must be the assistant's. */
static int split_turns(struct str messages, struct buf *before, struct err *e)
{
    struct str item, last = {0}, role;
    const char *end = messages.p;
    if (json_kind(messages) != JSON_ARRAY)
        return err_set(e, EXIT_DATA, "messages is not an array");
    for (struct json_iter it = json_iter(messages); json_next(&it, NULL, &item);) {
        end = last.n ? last.p + last.n : messages.p;
        last = item;
    }
    if (!last.n || json_kind(last) != JSON_OBJECT || !json_get(last, "role", &role) ||
        json_kind(role) != JSON_STRING || !json_key_is(role, "assistant"))
        return err_set(e, EXIT_DATA,
                       "the last message is not the assistant's, so there is nothing to learn");
    if (end == messages.p)
        buf_putc(before, '[');
    else
        buf_add(before, messages.p, (size_t)(end - messages.p));
    buf_putc(before, ']');
    return 0;
}

struct turn {
    const struct chat *chat;
    const struct tokenizer *t;
    struct tokenizer_work *w;
    struct str messages, tools, kwargs;
    struct buf before, text; /* messages before the last one; the whole conversation */
    struct buf text_before;
    struct ids ids; /* scratch */
    struct jinja_marks marks, earlier;
};

/* Where the template's blocks for the last turn say; false where it has none for that. */
static int mask_blocks(struct turn *u, struct mask *m, bool *found, struct err *e)
{
    size_t from = 0, to = 0;
    if (chat_render_marked(u->chat, buf_str(&u->before), u->tools, u->kwargs, false,
                           &u->text_before, &u->earlier, NULL) < 0)
        u->earlier.n = u->marks.n - (u->marks.n > 0); /* such turns alone are refused */
    *found = u->marks.n > u->earlier.n;
    for (size_t i = u->earlier.n; i < u->marks.n; i++) {
        const struct jinja_mark *k = &u->marks.v[i];
        if (count_tokens(u->t, u->w, (struct str){u->text.p, k->start}, false, &m->tokens,
                         &from, &u->ids, e) < 0 ||
            count_tokens(u->t, u->w, (struct str){u->text.p, k->end}, false, &m->tokens, &to,
                         &u->ids, e) < 0)
            return -1;
        if (to < u->ids.n && to < m->tokens.n)
            to++; /* a token that begins in the block counts */
        set_loss(m, from, to);
    }
    return 0;
}

/* The token that ends the turn: the first added one that the template writes behind an answer,
 * or the model's end token where that follows at once. */
static int32_t end_token(struct turn *u)
{
    struct str end = chat_turn_end(u->chat);
    size_t i = 0;
    u->ids.n = 0;
    while (end.n && strchr(" \t\r\n", *end.p))
        end.p++, end.n--;
    if (!end.n || tokenizer_encode(u->t, u->w, end, false, &u->ids, NULL) < 0)
        return -1;
    for (; i < u->ids.n && tokenizer_is_added(u->t, u->ids.v[i]); i++)
        if (chat_is_eos(u->chat, tokenizer_token(u->t, u->ids.v[i])))
            return u->ids.v[i];
    return i ? u->ids.v[0] : -1;
}

static size_t turn_end(struct turn *u, const struct mask *m, size_t from)
{
    int32_t end = end_token(u);
    for (size_t i = m->tokens.n; end >= 0 && i > from; i--)
        if (m->tokens.v[i - 1] == end)
            return i;
    return m->tokens.n;
}

static int mask_turn(struct turn *u, struct mask *m, struct err *e)
{
    bool tools = u->tools.n && json_kind(u->tools) != JSON_NULL, found = false;
    size_t from;
    if (split_turns(u->messages, &u->before, e) < 0 ||
        chat_render_marked(u->chat, u->messages, u->tools, u->kwargs, false, &u->text,
                           &u->marks, e) < 0 ||
        prompt_encode(u->t, u->w, buf_str(&u->text), false, &m->tokens, e) < 0)
        return -1;
    clear_loss(m);
    if (chat_has_marks(u->chat, tools) && mask_blocks(u, m, &found, e) < 0)
        return -1;
    if (found)
        return 0;
    if (mask_find_start(u->chat, buf_str(&u->before), buf_str(&u->text), u->tools, u->kwargs,
                        &from, e) < 0 ||
        count_tokens(u->t, u->w, (struct str){u->text.p, from}, false, &m->tokens, &from,
                     &u->ids, e) < 0)
        return -1;
    set_loss(m, from, turn_end(u, m, from));
    return 0;
}

int mask_chat(const struct chat *c, const struct tokenizer *t, struct tokenizer_work *w,
              struct str messages, struct str tools, struct str kwargs, struct mask *out,
              struct err *e)
{
    struct turn u = {.chat = c, .t = t, .w = w, .messages = messages, .tools = tools};
    u.kwargs = kwargs;
    out->tokens.n = 0;
    int rc = mask_turn(&u, out, e);
    buf_release(&u.before);
    buf_release(&u.text);
    buf_release(&u.text_before);
    ids_release(&u.ids);
    jinja_marks_release(&u.marks);
    jinja_marks_release(&u.earlier);
    return rc;
}

/* ---- prompt and completion ------------------------------------------------------------- */

int mask_completion(const struct tokenizer *t, struct tokenizer_work *w, struct str prompt,
                    bool raw, struct str completion, int32_t end, struct mask *out,
                    struct err *e)
{
    struct buf whole = {0};
    struct ids ids = {0};
    size_t from = 0;
    buf_addstr(&whole, prompt);
    buf_addstr(&whole, completion);
    out->tokens.n = 0;
    int rc = prompt_encode(t, w, buf_str(&whole), raw, &out->tokens, e);
    if (rc == 0)
        rc = count_tokens(t, w, prompt, raw, &out->tokens, &from, &ids, e);
    if (rc == 0) {
        if (end >= 0)
            ids_add(&out->tokens, end);
        clear_loss(out);
        set_loss(out, from, out->tokens.n);
    }
    buf_release(&whole);
    ids_release(&ids);
    return rc;
}
