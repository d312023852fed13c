/* chat.c - messages to the text that the model reads: the template is found, and called as
 * transformers calls it. */
#include "text/chat.h"
#include "text/chat_priv.h"

#include "base/hash.h"
#include "rec/json.h"

#include <stdlib.h>
#include <string.h>

/* A growing list of variables; `names` owns the text of those names that are not static. */
struct vars {
    struct jinja_var *v;
    size_t n, cap;
    char **names;
    size_t n_names, cap_names;
};

static void add_var(struct vars *l, const char *name, struct str json)
{
    GROW(l->v, l->cap, l->n + 1);
    l->v[l->n++] = (struct jinja_var){.name = name, .json = json};
}

static void add_members(struct vars *l, struct str object)
{
    struct str key, item;
    for (struct json_iter it = json_iter(object); json_next(&it, &key, &item);) {
        struct buf name = {0};
        json_decode(&name, key);
        buf_putc(&name, 0);
        GROW(l->names, l->cap_names, l->n_names + 1);
        l->names[l->n_names++] = name.p;
        add_var(l, name.p, item);
    }
}

static void vars_release(struct vars *l)
{
    for (size_t i = 0; i < l->n_names; i++)
        free(l->names[i]);
    free(l->names);
    free(l->v);
}

static bool is_null(struct str json)
{
    return !json.n || json_kind(json) == JSON_NULL;
}

/* Later ones win: what the record brings goes before --template-arg, that before the tokens of
 * the model. */
static void set_vars(struct vars *l, const struct chat *c, struct str messages,
                     struct str tools, struct str kwargs, bool add_generation_prompt)
{
    add_var(l, "documents", STR("null"));
    add_var(l, "tools", STR("null"));
    for (size_t i = 0; i < c->n_vars; i++)
        add_var(l, c->vars[i].name, buf_str(&c->vars[i].json));
    if (kwargs.n)
        add_members(l, kwargs);
    if (!is_null(tools))
        add_var(l, "tools", tools);
    add_var(l, "messages", messages);
    add_var(l, "add_generation_prompt", add_generation_prompt ? STR("true") : STR("false"));
}

static const struct jinja *choose(const struct chat *c, bool tools)
{
    return c->with_tools && tools ? c->with_tools : c->plain;
}

bool chat_has_marks(const struct chat *c, bool tools)
{
    return jinja_has_generation(choose(c, tools));
}

int chat_render(const struct chat *c, struct str messages, struct str tools, struct str kwargs,
                bool add_generation_prompt, struct buf *out, struct err *e)
{
    return chat_render_marked(c, messages, tools, kwargs, add_generation_prompt, out, NULL, e);
}

int chat_render_marked(const struct chat *c, struct str messages, struct str tools,
                       struct str kwargs, bool add_generation_prompt, struct buf *out,
                       struct jinja_marks *marks, struct err *e)
{
    struct vars l = {0};
    if (is_null(kwargs))
        kwargs.n = 0;
    else if (json_kind(kwargs) != JSON_OBJECT)
        return err_set(e, EXIT_DATA, "chat_template_kwargs is not an object");
    if (json_kind(messages) != JSON_ARRAY)
        return err_set(e, EXIT_DATA, "messages is not an array");
    set_vars(&l, c, messages, tools, kwargs, add_generation_prompt);
    const struct jinja *t = choose(c, !is_null(tools));
    int rc = jinja_render_marked(t, l.v, l.n, &c->now, NULL, out, marks, e);
    vars_release(&l);
    return rc;
}

struct str chat_turn_end(const struct chat *c)
{
    return buf_str(&c->turn_end);
}

bool chat_is_eos(const struct chat *c, struct str token)
{
    struct buf eos = {0};
    size_t i = c->n_vars; /* a later one of a name wins */
    while (i && strcmp(c->vars[i - 1].name, "eos_token"))
        i--;
    if (i && json_kind(buf_str(&c->vars[i - 1].json)) == JSON_STRING)
        json_decode(&eos, buf_str(&c->vars[i - 1].json));
    bool same = token.n && str_eq(buf_str(&eos), token);
    buf_release(&eos);
    return same;
}

uint64_t chat_hash(const struct chat *c)
{
    uint64_t h = c->source_hash;
    for (size_t i = 0; i < c->n_vars; i++) {
        h = hash_bytes(h, c->vars[i].name, strlen(c->vars[i].name) + 1);
        h = hash_bytes(h, c->vars[i].json.p, c->vars[i].json.n);
    }
    return c->uses_date ? hash_bytes(h, c->date, strlen(c->date)) : h;
}

const char *chat_date(const struct chat *c)
{
    return c->date;
}

bool chat_uses_date(const struct chat *c)
{
    return c->uses_date;
}

bool chat_mentions(const struct chat *c, struct str text)
{
    return c->source.n && memmem(c->source.p, c->source.n, text.p, text.n);
}

static const char *const levels[] = {NULL, "low", "medium", "high", "none"};

enum chat_reasoning chat_reasoning_level(struct str json)
{
    for (int i = CHAT_REASONING_LOW; i <= CHAT_REASONING_NONE; i++)
        if (json_kind(json) == JSON_STRING && json_key_is(json, levels[i]))
            return (enum chat_reasoning)i;
    return CHAT_REASONING_UNSET;
}

struct str chat_reasoning_kwargs(enum chat_reasoning level, struct str kwargs, struct buf *out)
{
    struct str key, item;
    if (level == CHAT_REASONING_UNSET)
        return kwargs;
    const char *on = level == CHAT_REASONING_NONE ? "false" : "true";
    buf_clear(out);
    buf_printf(out, "{\"reasoning_effort\":\"%s\",\"enable_thinking\":%s,\"thinking\":%s",
               levels[level], on, on);
    if (!is_null(kwargs))
        for (struct json_iter it = json_iter(kwargs); json_next(&it, &key, &item);) {
            buf_putc(out, ',');
            buf_addstr(out, key);
            buf_putc(out, ':');
            buf_addstr(out, item);
        }
    buf_putc(out, '}');
    return buf_str(out);
}

void chat_free(struct chat *c)
{
    if (!c)
        return;
    jinja_free(c->plain);
    jinja_free(c->with_tools);
    for (size_t i = 0; i < c->n_vars; i++) {
        free(c->vars[i].name);
        buf_release(&c->vars[i].json);
    }
    free(c->vars);
    buf_release(&c->turn_end);
    buf_release(&c->source);
    free(c);
}
