/* wording.c - a record's text as tokens, and which of them are learned. */
#include "train-step/wording.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- tokenizer and template ------------------------------------------------------ */

/* The special token that begins what the template writes behind an answer. */
static int32_t turn_end(const struct wording *w)
{
    struct str text = w->chat ? chat_turn_end(w->chat) : STR("");
    struct ids ids = {0};
    int32_t id = -1;
    if (text.n && tokenizer_encode(w->tokenizer, w->work, text, false, &ids, NULL) == 0 &&
        ids.n && tokenizer_is_special(w->tokenizer, ids.v[0]))
        id = ids.v[0];
    ids_release(&ids);
    return id;
}

int wording_open(struct wording *w, const char *dir, const struct chat_options *o, int32_t eos,
                 struct err *e)
{
    struct err none = {0};
    *w = (struct wording){.end = -1};
    if (!(w->tokenizer = tokenizer_load(dir, e)))
        return -1;
    w->work = tokenizer_work_new(w->tokenizer);
    w->chat = chat_open(o, &none);
    if (!w->chat && (o->template_file || none.status != EXIT_NOINPUT)) {
        *e = none;
        return -1;
    }
    w->end = turn_end(w);
    if (w->end < 0)
        w->end = eos;
    return 0;
}

void wording_close(struct wording *w)
{
    tokenizer_work_free(w->work);
    tokenizer_free(w->tokenizer);
    chat_free(w->chat);
    buf_release(&w->text);
    buf_release(&w->kwargs);
    buf_release(&w->messages);
    *w = (struct wording){0};
}

/* ---- what a record says ------------------------------------------------------------ */

/* The members that hold it: messages, or completion with a prompt, whichever stands last. */
static const struct json_member *source(const struct rec *rec)
{
    const struct json_member *m = rec_find(rec, "messages"), *c = rec_find(rec, "completion");
    return !c || (m && m > c) ? m : c;
}

static bool last_item(struct str array, struct str *last)
{
    bool found = false;
    if (json_kind(array) != JSON_ARRAY)
        return false;
    for (struct json_iter it = json_iter(array); json_next(&it, NULL, last);)
        found = true;
    return found;
}

bool wording_answer(const struct rec *rec, struct buf *out)
{
    const struct json_member *m = source(rec);
    struct str value, last;
    buf_clear(out);
    if (!m)
        return false;
    value = m->value;
    if (json_key_is(m->key, "messages") &&
        (!last_item(m->value, &last) || json_kind(last) != JSON_OBJECT ||
         !json_get(last, "content", &value)))
        return false;
    return json_kind(value) == JSON_STRING && json_decode(out, value);
}

/* A member's raw JSON, n = 0 where it is absent or null. */
static int get_json(const struct rec *rec, const char *name, enum json_kind kind,
                    struct str *out, struct err *e)
{
    const struct json_member *m = rec_find(rec, name);
    *out = (struct str){0};
    if (!m || json_kind(m->value) == JSON_NULL)
        return 0;
    if (json_kind(m->value) != kind)
        return err_set(e, EXIT_DATA, "field \"%s\" must be an %s", name,
                       kind == JSON_ARRAY ? "array" : "object");
    *out = m->value;
    return 0;
}

static int get_text(struct buf *out, const struct json_member *m, const char *name,
                    struct err *e)
{
    buf_clear(out);
    if (!m || json_kind(m->value) != JSON_STRING)
        return err_set(e, EXIT_DATA, "field \"%s\" %s", name,
                       m ? "must be a string" : "missing");
    if (!json_decode(out, m->value))
        return err_set(e, EXIT_DATA, "field \"%s\" is no Unicode text (a lone surrogate)",
                       name);
    return 0;
}

/* ---- text that the template drops ----------------------------------------------------- */

static struct str trimmed(struct str s)
{
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]) && s.p[s.n - 1])
        s.n--;
    while (s.n && *s.p && strchr(" \t\r\n", *s.p)) {
        s.p++;
        s.n--;
    }
    return s;
}

/* Looks for a content's texts in what is left of the rendered text, in order. */
static bool stands_in(struct str content, struct str *rest)
{
    struct buf text = {0};
    struct str item;
    bool found = true;
    if (json_kind(content) == JSON_STRING) {
        json_decode(&text, content);
        struct str s = trimmed(buf_str(&text));
        const char *at = s.n ? memmem(rest->p, rest->n, s.p, s.n) : rest->p;
        found = at != NULL;
        if (at)
            *rest = (struct str){at + s.n, (size_t)(rest->p + rest->n - at) - s.n};
    } else if (json_kind(content) == JSON_ARRAY) {
        for (struct json_iter it = json_iter(content); found && json_next(&it, NULL, &item);)
            if (json_kind(item) == JSON_OBJECT && json_get(item, "text", &item))
                found = stands_in(item, rest);
    }
    buf_release(&text);
    return found;
}

/* Earlier turns of the assistant are left out: templates drop their thoughts on purpose. */
static int check_dropped(struct wording *w, struct str messages, struct str tools,
                         struct str kwargs, struct err *e)
{
    struct str item, content, role, next = {0};
    size_t i = 0;
    buf_clear(&w->text);
    if (chat_render(w->chat, messages, tools, kwargs, false, &w->text, e) < 0)
        return -1;
    struct str rest = buf_str(&w->text);
    struct json_iter it = json_iter(messages);
    bool more = json_next(&it, NULL, &next);
    for (; more; i++) {
        item = next;
        more = json_next(&it, NULL, &next);
        if (json_kind(item) != JSON_OBJECT || !json_get(item, "content", &content))
            continue;
        if (more && json_get(item, "role", &role) && json_key_is(role, "assistant"))
            continue;
        if (!stands_in(content, &rest))
            return err_set(e, EXIT_DATA,
                           "the chat template drops text of message %zu, so that it would not "
                           "be learned",
                           i);
    }
    return 0;
}

/* ---- from a record to tokens ---------------------------------------------------------- */

/* The messages with another answer. */
static struct str relabel(struct wording *w, struct str messages, struct str label)
{
    struct str last = {0};
    buf_clear(&w->messages);
    if (!last_item(messages, &last))
        return messages;
    buf_add(&w->messages, messages.p, (size_t)(last.p - messages.p));
    buf_puts(&w->messages, "{\"role\":\"assistant\",\"content\":");
    json_quote(&w->messages, label);
    buf_puts(&w->messages, "}]");
    return buf_str(&w->messages);
}

static int read_messages(struct wording *w, const struct rec *rec, struct str messages,
                         const struct str *label, struct mask *out, const char **type,
                         struct err *e)
{
    struct str tools, kwargs;
    if (!w->chat) {
        *type = "no_template";
        return err_set(e, EXIT_DATA,
                       "the model has no chat template; give --chat-template FILE, or prompt "
                       "and completion");
    }
    if (get_json(rec, "tools", JSON_ARRAY, &tools, e) < 0 ||
        get_json(rec, "chat_template_kwargs", JSON_OBJECT, &kwargs, e) < 0)
        return -1;
    if (label)
        messages = relabel(w, messages, *label);
    *type = "template_error";
    if (mask_chat(w->chat, w->tokenizer, w->work, messages, tools, kwargs, out, e) < 0)
        return -1;
    *type = "dropped_text";
    return check_dropped(w, messages, tools, kwargs, e);
}

static int read_completion(struct wording *w, const struct rec *rec,
                           const struct json_member *completion, const struct str *label,
                           struct mask *out, struct err *e)
{
    struct str behind;
    if (get_text(&w->text, rec_find(rec, "prompt"), "prompt", e) < 0 ||
        get_text(&w->messages, completion, "completion", e) < 0)
        return -1;
    behind = label ? *label : buf_str(&w->messages);
    return mask_completion(w->tokenizer, w->work, buf_str(&w->text), true, behind, w->end, out,
                           e);
}

static int check(const struct wording *w, const struct mask *m, const char **type,
                 struct err *e)
{
    size_t targets = 0;
    for (size_t i = 0; i < m->tokens.n; i++) {
        targets += m->loss[i];
        *type = "bad_field";
        if (m->tokens.v[i] >= w->vocab)
            return err_set(e, EXIT_DATA, "token id %d; the model's ids are 0 to %d",
                           (int)m->tokens.v[i], (int)w->vocab - 1);
    }
    *type = "no_target";
    if (!targets)
        return err_set(e, EXIT_DATA, "the answer has no token, so there is nothing to learn");
    *type = "context_length";
    if (m->tokens.n > (size_t)w->context)
        return err_set(e, EXIT_DATA,
                       "%zu tokens exceed the context of %d, which would cut the answer off",
                       m->tokens.n, (int)w->context);
    return 0;
}

int wording_read(struct wording *w, const struct rec *rec, const struct str *label,
                 struct mask *out, const char **type, struct err *e)
{
    const struct json_member *m = source(rec);
    *type = "missing_field";
    if (!m)
        return err_set(e, EXIT_DATA,
                       "neither \"messages\" nor \"prompt\" and \"completion\"; render-prompt "
                       "--target makes messages");
    *type = "bad_field";
    if (json_key_is(m->key, "messages")) {
        if (json_kind(m->value) != JSON_ARRAY)
            return err_set(e, EXIT_DATA, "field \"messages\" must be an array");
        if (read_messages(w, rec, m->value, label, out, type, e) < 0)
            return -1;
    } else if (read_completion(w, rec, m, label, out, e) < 0) {
        return -1;
    }
    return check(w, out, type, e);
}
