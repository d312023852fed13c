/* tok_json.c - members of tokenizer.json, with words for what is wrong. */
#include "text/tok.h"

#include "rec/json.h"

#include <stdlib.h>

struct tok_block {
    struct tok_block *next;
    char bytes[];
};
enum { BLOCK = 1 << 16 };

char *tok_alloc(struct tok_arena *a, size_t n)
{
    if (n > BLOCK / 4) { /* a block of its own, behind the one in use */
        struct tok_block *b = xmalloc(sizeof *b + n);
        if (a->blocks) {
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            b->next = NULL;
            a->blocks = b;
            a->used = BLOCK;
        }
        return b->bytes;
    }
    if (!a->blocks || a->used + n > BLOCK) {
        struct tok_block *b = xmalloc(sizeof *b + BLOCK);
        b->next = a->blocks;
        a->blocks = b;
        a->used = 0;
    }
    char *p = a->blocks->bytes + a->used;
    a->used += n;
    return p;
}

void tok_arena_release(struct tok_arena *a)
{
    while (a->blocks) {
        struct tok_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    a->used = 0;
}

int tok_text(struct tok_arena *a, struct str raw, struct str *out, struct err *e)
{
    if (json_kind(raw) != JSON_STRING)
        return err_set(e, EXIT_CONFIG, "a string is needed, not %.*s",
                       (int)(raw.n < 40 ? raw.n : 40), raw.p);
    if (!memchr(raw.p, '\\', raw.n)) {
        *out = (struct str){raw.p + 1, raw.n - 2};
        return 0;
    }
    struct buf b = {0};
    bool good = json_decode(&b, raw);
    if (good) {
        char *p = tok_alloc(a, b.n);
        if (b.n)
            memcpy(p, b.p, b.n);
        *out = (struct str){p, b.n};
    }
    buf_release(&b);
    return good ? 0
                : err_set(e, EXIT_CONFIG, "lone surrogate in %.*s",
                          (int)(raw.n < 40 ? raw.n : 40), raw.p);
}

struct str tok_member(struct str object, const char *name)
{
    struct str v;
    if (json_kind(object) != JSON_OBJECT || !json_get(object, name, &v) ||
        json_kind(v) == JSON_NULL)
        return (struct str){NULL, 0};
    return v;
}

static int get_kind(struct str o, const char *name, enum json_kind kind, const char *word,
                    struct str *out, struct err *e)
{
    *out = tok_member(o, name);
    if (out->n == 0)
        return err_set(e, EXIT_CONFIG, "\"%s\" is missing", name);
    if (json_kind(*out) != kind)
        return err_set(e, EXIT_CONFIG, "\"%s\" must be %s", name, word);
    return 0;
}

int tok_get_object(struct str o, const char *name, struct str *out, struct err *e)
{
    return get_kind(o, name, JSON_OBJECT, "an object", out, e);
}

int tok_get_array(struct str o, const char *name, struct str *out, struct err *e)
{
    return get_kind(o, name, JSON_ARRAY, "an array", out, e);
}

int tok_get_text(struct tok_arena *a, struct str o, const char *name, struct str *out,
                 struct err *e)
{
    struct str raw;
    if (get_kind(o, name, JSON_STRING, "a string", &raw, e) < 0)
        return -1;
    return tok_text(a, raw, out, e) < 0 ? err_prefix(e, "\"%s\"", name) : 0;
}

int tok_get_bool(struct str o, const char *name, int fallback, bool *out, struct err *e)
{
    struct str v = tok_member(o, name);
    if (v.n == 0) {
        if (fallback == TOK_REQUIRED)
            return err_set(e, EXIT_CONFIG, "\"%s\" is missing", name);
        *out = fallback;
        return 0;
    }
    enum json_kind k = json_kind(v);
    if (k != JSON_TRUE && k != JSON_FALSE)
        return err_set(e, EXIT_CONFIG, "\"%s\" must be true or false", name);
    *out = k == JSON_TRUE;
    return 0;
}

int tok_get_int(struct str o, const char *name, int64_t max, int64_t *out, struct err *e)
{
    struct str v = tok_member(o, name);
    if (v.n == 0)
        return err_set(e, EXIT_CONFIG, "\"%s\" is missing", name);
    if (json_kind(v) != JSON_NUMBER || !json_int(v, out) || *out < 0 || *out > max)
        return err_set(e, EXIT_CONFIG, "\"%s\" must be an integer from 0 to %lld, not %.*s",
                       name, (long long)max, (int)(v.n < 40 ? v.n : 40), v.p);
    return 0;
}

int tok_get_char(struct str o, const char *name, uint32_t *out, struct err *e)
{
    struct tok_arena a = {0};
    struct str s;
    int rc = tok_get_text(&a, o, name, &s, e);
    if (rc == 0 && (s.n == 0 || tok_char(s.p, out) != s.n))
        rc = err_set(e, EXIT_CONFIG, "\"%s\" must be one character", name);
    tok_arena_release(&a);
    return rc;
}

int tok_get_type(struct tok_arena *a, struct str o, struct str *out, struct err *e)
{
    if (json_kind(o) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG, "an object is needed");
    return tok_get_text(a, o, "type", out, e);
}

int tok_parse_each(struct tokenizer *t, struct str o, const char *name,
                   int (*parse)(struct tokenizer *, struct str, struct err *), struct err *e)
{
    struct str list, item;
    if (tok_get_array(o, name, &list, e) < 0)
        return -1;
    struct json_iter it = json_iter(list);
    for (size_t i = 0; json_next(&it, NULL, &item); i++)
        if (parse(t, item, e) < 0)
            return err_prefix(e, "%s[%zu]", name, i);
    return 0;
}
