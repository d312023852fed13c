/* json_walk.c - walking values that json_check() has accepted. */
#include "rec/json.h"
#include "rec/scan.h"

enum json_kind json_kind(struct str value)
{
    switch (value.n ? value.p[0] : 0) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    default: return JSON_NUMBER;
    }
}

/* p stands on the opening quote; returns what follows the closing one. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        p = json_skip_plain(p, end);
        if (p < end && *p == '"')
            return p + 1;
        if (p < end && *p == '\\')
            p++;
    }
    return end;
}

static const char *skip_container(const char *p, const char *end)
{
    size_t depth = 0;
    while (p < end) {
        char c = *p;
        if (c == '"') {
            p = skip_string(p, end);
            continue;
        }
        p++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return p;
    }
    return end;
}

static const char *skip_value(const char *p, const char *end)
{
    if (*p == '"')
        return skip_string(p, end);
    if (*p == '{' || *p == '[')
        return skip_container(p, end);
    while (p < end && *p != ',' && *p != '}' && *p != ']' && !json_is_blank(*p))
        p++;
    return p;
}

struct json_iter json_iter(struct str v)
{
    return (struct json_iter){v.p + 1, v.p + v.n};
}

bool json_next(struct json_iter *it, struct str *key, struct str *item)
{
    const char *p = it->p, *end = it->end;
    bool object = end[-1] == '}';
    while (p < end && (json_is_blank(*p) || *p == ','))
        p++;
    if (p >= end - 1) {
        it->p = end;
        return false;
    }
    struct str name = {p, 0};
    if (object) {
        p = skip_string(p, end);
        name.n = (size_t)(p - name.p);
        while (p < end && (json_is_blank(*p) || *p == ':'))
            p++;
    }
    if (key)
        *key = name;
    item->p = p;
    it->p = skip_value(p, end);
    item->n = (size_t)(it->p - p);
    return true;
}

bool json_escaped_is(struct str raw, const char *name)
{
    struct str inside = {raw.p + 1, raw.n - 2};
    /* What an escape stands for is shorter than itself. */
    size_t n = strlen(name);
    if (inside.n <= n)
        return inside.n == n && !memcmp(inside.p, name, n) && !memchr(name, '\\', n);
    if (!memchr(inside.p, '\\', inside.n))
        return false;
    struct buf text = {0};
    bool same = json_decode(&text, raw) && str_is(buf_str(&text), name);
    buf_release(&text);
    return same;
}

bool json_get(struct str object, const char *name, struct str *value)
{
    bool found = false;
    struct str key, item;
    for (struct json_iter it = json_iter(object); json_next(&it, &key, &item);) {
        if (json_key_is(key, name)) {
            *value = item;
            found = true;
        }
    }
    return found;
}
