/* schema_expand.c - references and combinations of schemas: which of them hold together. */
#include "grammar/schema.h"

#include <stdlib.h>

enum { ALTERNATIVES_MAX = 1000, TOGETHER_MAX = 1000, ONE_OF_MAX = 64 };

void schemas_add(struct schemas *s, struct str schema)
{
    GROW(s->v, s->cap, s->n + 1);
    s->v[s->n++] = schema;
}

void schemas_join(struct schemas *s, const struct schemas *more)
{
    for (size_t i = 0; i < more->n; i++)
        schemas_add(s, more->v[i]);
}

void schemas_release(struct schemas *s)
{
    free(s->v);
    *s = (struct schemas){0};
}

/* ---- keywords --------------------------------------------------------------------------- */

/* What is built, and what says nothing about the value. */
static const char *const taken[] = {
    "type",          "enum",          "const",       "properties",      "required",
    "items",         "prefixItems",   "minItems",    "maxItems",        "additionalProperties",
    "minLength",     "maxLength",     "pattern",     "format",          "minimum",
    "maximum",       "allOf",         "anyOf",       "oneOf",           "exclusiveMinimum",
    "minProperties", "maxProperties", "$ref",        "$defs",           "exclusiveMaximum",
    "definitions",   "title",         "description", "default",         "examples",
    "$comment",      "deprecated",    "readOnly",    "writeOnly",       "contentMediaType",
    "contentSchema", "$schema",       "$id",         "contentEncoding", "uniqueItems",
    "discriminator",
};

static void check_member(struct schema_maker *m, struct str schema, struct str key,
                         struct str value)
{
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (!json_key_is(key, taken[i]))
            continue;
        if (json_key_is(key, "uniqueItems") && json_kind(value) != JSON_FALSE)
            break;
        if (json_key_is(key, "$id") && schema.p != m->root.p)
            break; /* what is below would be another document */
        if (json_key_is(key, "$schema") && !memmem(value.p, value.n, "//json-schema.org/", 18))
            break;
        return;
    }
    schema_fail(m, "keyword %.*s is not supported", (int)(key.n > 66 ? 66 : key.n), key.p);
}

static void check_keywords(struct schema_maker *m, struct str schema)
{
    struct json_iter it = json_iter(schema);
    struct str key, value;
    while (json_next(&it, &key, &value))
        check_member(m, schema, key, value);
}

/* ---- references ---------------------------------------------------------------------------
 */

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 87
                                                : -1;
}

/* One step of a JSON pointer in a fragment, decoded. */
static void read_step(const char **p, const char *end, struct buf *step)
{
    buf_clear(step);
    for (; *p < end && **p != '/'; (*p)++) {
        char c = **p;
        if (c == '%' && end - *p > 2 && hex((*p)[1]) >= 0 && hex((*p)[2]) >= 0) {
            c = (char)(hex((*p)[1]) * 16 + hex((*p)[2]));
            *p += 2;
        }
        if (c == '~' && end - *p > 1 && ((*p)[1] == '0' || (*p)[1] == '1'))
            c = *++*p == '0' ? '~' : '/';
        buf_putc(step, c);
    }
}

static bool item_at(struct str array, struct str index, struct str *out)
{
    struct json_iter it = json_iter(array);
    int64_t i;
    if (!json_int(index, &i) || i < 0)
        return false;
    while (json_next(&it, NULL, out))
        if (i-- == 0)
            return true;
    return false;
}

static bool member_at(struct str object, struct str name, struct str *out)
{
    struct json_iter it = json_iter(object);
    struct buf text = {0};
    struct str key, value;
    bool found = false;
    while (json_next(&it, &key, &value)) {
        buf_clear(&text);
        if (json_decode(&text, key) && str_eq(buf_str(&text), name)) {
            *out = value;
            found = true;
        }
    }
    buf_release(&text);
    return found;
}

/* What "#/…" names; n = 0 and a failure where there is no such schema. */
static struct str resolve(struct schema_maker *m, struct str ref)
{
    struct buf text = {0}, step = {0};
    struct str at = m->root;
    bool good = json_kind(ref) == JSON_STRING && json_decode(&text, ref) && text.n &&
                text.p[0] == '#' && (text.n == 1 || text.p[1] == '/');
    const char *p = text.n ? text.p + 1 : "", *end = text.n ? text.p + text.n : p;
    if (!good)
        schema_fail(m, "keyword \"$ref\" is supported within the schema alone (#/…), not %.*s",
                    (int)(ref.n > 80 ? 80 : ref.n), ref.p);
    while (good && p < end) {
        p++;
        read_step(&p, end, &step);
        if (json_kind(at) == JSON_ARRAY)
            good = item_at(at, buf_str(&step), &at);
        else
            good = json_kind(at) == JSON_OBJECT && member_at(at, buf_str(&step), &at);
        if (good && at.p != m->root.p && json_kind(at) == JSON_OBJECT && p < end) {
            struct str id;
            if (json_get(at, "$id", &id) && json_kind(id) == JSON_STRING) {
                schema_fail(m, "keyword \"$id\" is not supported below the root");
                good = false;
            }
        }
        if (!good)
            schema_fail(m, "$ref %.*s leads nowhere", (int)(ref.n > 80 ? 80 : ref.n), ref.p);
    }
    buf_release(&text);
    buf_release(&step);
    return good ? at : (struct str){0};
}

/* ---- combinations -------------------------------------------------------------------------
 */

struct expansion {
    struct schema_maker *m;
    void (*put)(struct schema_maker *m, const struct schemas *flat, void *arg);
    void *arg;
    int alternatives;
};

static bool has(const struct schemas *s, struct str schema)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].p == schema.p)
            return true;
    return false;
}

static bool list_of(struct schema_maker *m, struct str schema, const char *name,
                    struct str *out)
{
    if (!json_get(schema, name, out))
        return false;
    if (json_kind(*out) != JSON_ARRAY)
        schema_fail(m, "%s must be an array", name);
    return !m->failed;
}

/* No value fits both. */
static bool exclude(struct schema_maker *m, struct str a, struct str b)
{
    struct net net;
    struct schema_maker own;
    struct schemas both = {0};
    net_init(&net);
    schema_maker_init(&own, &net, m->root, m->nested + 1, m->e);
    schemas_add(&both, a);
    schemas_add(&both, b);
    uint32_t start = schema_rule(&own, &both);
    schema_build(&own);
    m->failed |= own.failed;
    bool empty = !net.full && !net_trim(&net, start);
    schema_maker_release(&own);
    schemas_release(&both);
    net_release(&net);
    return empty;
}

/* Where no two can hold together, one of them is as good as any. */
static void check_one_of(struct schema_maker *m, struct str list)
{
    struct json_iter it = json_iter(list);
    struct schemas all = {0};
    struct str item;
    while (json_next(&it, NULL, &item))
        schemas_add(&all, item);
    if (all.n > ONE_OF_MAX)
        schema_fail(m, "keyword \"oneOf\" of more than %d is not supported", ONE_OF_MAX);
    for (size_t i = 0; i < all.n; i++)
        for (size_t k = 0; k < i && !m->failed; k++)
            if (!exclude(m, all.v[k], all.v[i]))
                schema_fail(m,
                            "keyword \"oneOf\" is supported only where no two of its schemas "
                            "can hold together; use anyOf");
    schemas_release(&all);
}

static void expand(struct expansion *x, struct schemas *todo, struct schemas *flat,
                   struct schemas *choices);

/* One of the list holds beside all that is to be looked at. */
static void branch(struct expansion *x, const struct schemas *todo, const struct schemas *flat,
                   const struct schemas *choices, struct str list)
{
    struct json_iter it = json_iter(list);
    struct str item;
    while (json_next(&it, NULL, &item) && !x->m->failed) {
        struct schemas t = {0}, f = {0}, c = {0};
        schemas_join(&t, todo);
        schemas_join(&f, flat);
        schemas_join(&c, choices);
        schemas_add(&t, item);
        expand(x, &t, &f, &c);
        schemas_release(&t);
        schemas_release(&f);
        schemas_release(&c);
    }
}

/* Looks at one schema; false where it excludes everything. */
static bool look(struct expansion *x, struct str schema, struct schemas *todo,
                 struct schemas *flat, struct schemas *choices)
{
    struct schema_maker *m = x->m;
    struct str value, item;
    enum json_kind kind = json_kind(schema);
    if (kind == JSON_TRUE || has(flat, schema))
        return true;
    if (kind == JSON_FALSE)
        return false;
    if (kind != JSON_OBJECT) {
        schema_fail(m, "a schema must be an object, true or false");
        return false;
    }
    check_keywords(m, schema);
    schemas_add(flat, schema);
    if (flat->n > TOGETHER_MAX)
        schema_fail(m, "too many schemas hold together");
    if (json_get(schema, "$ref", &value) && !m->failed) {
        value = resolve(m, value);
        if (value.n)
            schemas_add(todo, value);
    }
    if (list_of(m, schema, "allOf", &value)) {
        struct json_iter it = json_iter(value);
        while (json_next(&it, NULL, &item))
            schemas_add(todo, item);
    }
    if (list_of(m, schema, "anyOf", &value))
        schemas_add(choices, value);
    if (list_of(m, schema, "oneOf", &value)) {
        if (!m->nested) /* there it is enough to know what could fit */
            check_one_of(m, value);
        schemas_add(choices, value);
    }
    return !m->failed;
}

/* What must hold for certain first, then the choices, one after the other. */
static void expand(struct expansion *x, struct schemas *todo, struct schemas *flat,
                   struct schemas *choices)
{
    while (todo->n)
        if (!look(x, todo->v[--todo->n], todo, flat, choices))
            return;
    if (choices->n) {
        struct str list = choices->v[--choices->n];
        branch(x, todo, flat, choices, list);
        return;
    }
    if (++x->alternatives > ALTERNATIVES_MAX)
        schema_fail(x->m, "anyOf makes more than %d alternatives", ALTERNATIVES_MAX);
    else
        x->put(x->m, flat, x->arg);
}

void schema_expand(struct schema_maker *m, const struct schemas *set,
                   void (*put)(struct schema_maker *m, const struct schemas *flat, void *arg),
                   void *arg)
{
    struct expansion x = {m, put, arg, 0};
    struct schemas todo = {0}, flat = {0}, choices = {0};
    schemas_join(&todo, set);
    expand(&x, &todo, &flat, &choices);
    schemas_release(&todo);
    schemas_release(&flat);
    schemas_release(&choices);
}
