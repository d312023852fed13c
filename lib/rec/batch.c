/* batch.c - lines of OpenAI's batch files. */
#include "rec/batch.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- ids ------------------------------------------------------------------------------ */

/* 128 bits of each: two that differ are taken for the same once in 2^64 files. */
struct batch_ids {
    uint64_t (*slots)[2]; /* open addressing; {0, 0}: empty */
    size_t n, cap;        /* cap: a power of two */
};

struct batch_ids *batch_ids_new(void)
{
    return xcalloc(1, sizeof(struct batch_ids));
}

void batch_ids_free(struct batch_ids *s)
{
    if (s)
        free(s->slots);
    free(s);
}

static uint64_t *find_slot(const struct batch_ids *s, const uint64_t key[2])
{
    size_t i = key[0] & (s->cap - 1);
    while ((s->slots[i][0] || s->slots[i][1]) &&
           (s->slots[i][0] != key[0] || s->slots[i][1] != key[1]))
        i = (i + 1) & (s->cap - 1);
    return s->slots[i];
}

static void grow(struct batch_ids *s)
{
    struct batch_ids larger = {.cap = s->cap ? 2 * s->cap : 1024, .n = s->n};
    larger.slots = xcalloc(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < s->cap; i++)
        if (s->slots[i][0] || s->slots[i][1])
            memcpy(find_slot(&larger, s->slots[i]), s->slots[i], sizeof *s->slots);
    free(s->slots);
    *s = larger;
}

/* False where it was there. */
static bool add_id(struct batch_ids *s, struct str id)
{
    uint64_t key[2] = {hash_bytes(HASH_SEED, id.p, id.n),
                       hash_bytes(~HASH_SEED, id.p, id.n) | 1};
    if (2 * s->n >= s->cap)
        grow(s);
    uint64_t *slot = find_slot(s, key);
    if (slot[0] || slot[1])
        return false;
    memcpy(slot, key, sizeof key);
    s->n++;
    return true;
}

/* ---- reading ---------------------------------------------------------------------------- */

static int fault(struct batch_fault *f, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static int fault(struct batch_fault *f, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->message, sizeof f->message, fmt, ap);
    va_end(ap);
    f->status = status;
    f->code = code;
    return -1;
}

static struct str member(const struct rec *rec, const char *name)
{
    const struct json_member *m = rec_find(rec, name);
    return m ? m->value : (struct str){0};
}

static bool is_string(struct str json)
{
    return json.n && json_kind(json) == JSON_STRING;
}

static int read_id(struct batch_line *b, const struct rec *rec, struct batch_ids *seen,
                   struct batch_fault *f)
{
    struct buf text = {0};
    struct str id = member(rec, "custom_id");
    if (!is_string(id))
        return fault(f, 400, "invalid_custom_id", "custom_id must be a string");
    b->custom_id = id;
    json_decode(&text, id);
    bool is_new = add_id(seen, buf_str(&text));
    buf_release(&text);
    return is_new
               ? 0
               : fault(f, 400, "duplicate_custom_id", "an earlier line has the same custom_id");
}

static int read_target(struct batch_line *b, const struct rec *rec, struct batch_fault *f)
{
    struct str method = member(rec, "method"), url = member(rec, "url");
    if (!is_string(method) || !json_key_is(method, "POST"))
        return fault(f, 405, "invalid_method", "method must be POST");
    if (!is_string(url))
        return fault(f, 400, "invalid_url", "url must be a string");
    b->chat = json_key_is(url, "/v1/chat/completions");
    if (!b->chat && !json_key_is(url, "/v1/completions"))
        return fault(f, 404, "invalid_url",
                     "url must be /v1/chat/completions or /v1/completions");
    return 0;
}

/* Where a member of the body goes; NULL: to the parameters. */
static struct str *place_of(struct batch_line *b, struct str key)
{
    if (json_key_is(key, "model"))
        return &b->model;
    if (json_key_is(key, b->chat ? "messages" : "prompt"))
        return b->chat ? &b->messages : &b->prompt;
    if (b->chat && json_key_is(key, "tools"))
        return &b->tools;
    if (b->chat && json_key_is(key, "chat_template_kwargs"))
        return &b->kwargs;
    return NULL;
}

static int read_members(struct batch_line *b, struct str body, struct batch_fault *f)
{
    struct json_iter it = json_iter(body);
    struct str key, value;
    buf_clear(&b->params);
    buf_putc(&b->params, '{');
    while (json_next(&it, &key, &value)) {
        struct str *place = place_of(b, key);
        if (json_kind(value) == JSON_NULL)
            continue;
        if (place) {
            *place = value;
            continue;
        }
        if (json_key_is(key, "stream") && json_kind(value) != JSON_FALSE)
            return fault(f, 400, "stream", "answers of a batch are not streamed");
        if (b->params.n > 1)
            buf_putc(&b->params, ',');
        buf_addstr(&b->params, key);
        buf_putc(&b->params, ':');
        buf_addstr(&b->params, value);
    }
    buf_putc(&b->params, '}');
    return 0;
}

/* ["text"] is "text"; [[1, 2]] is [1, 2]. */
static int check_prompt(struct batch_line *b, struct batch_fault *f)
{
    struct str first, item;
    if (b->prompt.n && json_kind(b->prompt) == JSON_ARRAY) {
        struct json_iter it = json_iter(b->prompt);
        if (!json_next(&it, NULL, &first))
            return fault(f, 400, "invalid_prompt", "prompt is empty");
        if (json_kind(first) == JSON_NUMBER)
            return 0;
        if (json_next(&it, NULL, &item))
            return fault(f, 400, "invalid_prompt",
                         "prompt must be one text, or one list of ids");
        b->prompt = first;
        if (json_kind(first) == JSON_ARRAY)
            return 0;
    }
    if (!is_string(b->prompt))
        return fault(f, 400, "invalid_prompt", "prompt must be a string or an array of ids");
    return 0;
}

static int check_messages(const struct batch_line *b, struct batch_fault *f)
{
    struct str item;
    if (!b->messages.n || json_kind(b->messages) != JSON_ARRAY)
        return fault(f, 400, "invalid_messages", "messages must be an array");
    struct json_iter it = json_iter(b->messages);
    if (!json_next(&it, NULL, &item))
        return fault(f, 400, "invalid_messages", "messages are empty");
    if (b->tools.n && json_kind(b->tools) != JSON_ARRAY)
        return fault(f, 400, "invalid_tools", "tools must be an array");
    if (b->kwargs.n && json_kind(b->kwargs) != JSON_OBJECT)
        return fault(f, 400, "invalid_kwargs", "chat_template_kwargs must be an object");
    return 0;
}

int batch_read(struct batch_line *b, const struct rec *rec, struct batch_ids *seen,
               struct batch_fault *f)
{
    *b = (struct batch_line){.params = b->params};
    struct str body = member(rec, "body");
    if (read_id(b, rec, seen, f) < 0 || read_target(b, rec, f) < 0)
        return -1;
    if (!body.n || json_kind(body) != JSON_OBJECT)
        return fault(f, 400, "invalid_body", "body must be an object");
    if (read_members(b, body, f) < 0)
        return -1;
    if (b->model.n && !is_string(b->model))
        return fault(f, 400, "invalid_model", "model must be a string");
    return b->chat ? check_messages(b, f) : check_prompt(b, f);
}

void batch_release(struct batch_line *b)
{
    buf_release(&b->params);
    *b = (struct batch_line){0};
}
