/* schema.c - a JSON Schema as a grammar: rules, types, fixed values. */
#include "grammar/schema.h"

#include "grammar/grammar.h"

#include <stdio.h>
#include <stdlib.h>

void schema_fail(struct schema_maker *m, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (m->failed)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(m->e, EXIT_DATA, "the schema: %s", text);
    m->failed = true;
}

bool schema_count(struct schema_maker *m, const struct schemas *flat, const char *name,
                  bool largest, uint32_t *out)
{
    bool any = false;
    for (size_t i = 0; i < flat->n; i++) {
        struct str value;
        struct buf text = {0};
        int64_t n;
        if (!json_get(flat->v[i], name, &value))
            continue;
        /* 2.0 is a whole number too */
        if (json_kind(value) != JSON_NUMBER || json_spell(&text, value) < 0 ||
            !json_int(buf_str(&text), &n) || n < 0)
            schema_fail(m, "%s must be a whole number >= 0", name);
        else if (n > SCHEMA_COUNT_MAX)
            schema_fail(m, "%s over %d is not supported", name, SCHEMA_COUNT_MAX);
        else if (!any || (largest ? n > *out : n < *out))
            *out = (uint32_t)n;
        any = true;
        buf_release(&text);
    }
    return any;
}

/* ---- types ---------------------------------------------------------------------------- */

enum {
    NULLS = 1,
    BOOLEANS = 2,
    NUMBERS = 4,
    INTEGERS = 8,
    STRINGS = 16,
    ARRAYS = 32,
    OBJECTS = 64
};
enum { ALL_TYPES = 127 };

static unsigned type_named(struct schema_maker *m, struct str name)
{
    static const struct {
        const char *name;
        unsigned types;
    } all[] = {{"null", NULLS},       {"boolean", BOOLEANS}, {"number", NUMBERS | INTEGERS},
               {"integer", INTEGERS}, {"string", STRINGS},   {"array", ARRAYS},
               {"object", OBJECTS}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (json_kind(name) == JSON_STRING && json_key_is(name, all[i].name))
            return all[i].types;
    schema_fail(m, "type must be the name of a type, or several");
    return 0;
}

/* The types that all schemas of the set allow. */
static unsigned types_of(struct schema_maker *m, const struct schemas *flat)
{
    unsigned types = ALL_TYPES;
    for (size_t i = 0; i < flat->n; i++) {
        struct str value, item;
        unsigned own = 0;
        if (!json_get(flat->v[i], "type", &value))
            continue;
        if (json_kind(value) == JSON_ARRAY) {
            struct json_iter it = json_iter(value);
            while (json_next(&it, NULL, &item))
                own |= type_named(m, item);
        } else {
            own = type_named(m, value);
        }
        types &= own;
    }
    return types;
}

static uint32_t put_types(struct schema_maker *m, const struct schemas *flat, uint32_t next)
{
    struct net *t = m->net;
    unsigned types = types_of(m, flat);
    uint32_t all = NET_DEAD;
    if (types & NULLS)
        all = net_split(t, all, net_text(t, STR("null"), next));
    if (types & BOOLEANS) {
        all = net_split(t, all, net_text(t, STR("true"), next));
        all = net_split(t, all, net_text(t, STR("false"), next));
    }
    if (types & (NUMBERS | INTEGERS))
        all = net_split(t, all, schema_numbers(m, flat, !(types & NUMBERS), next));
    if (types & STRINGS)
        all = net_split(t, all, schema_string(m, flat, next));
    if (types & ARRAYS)
        all = net_split(t, all, schema_array(m, flat, next));
    if (types & OBJECTS)
        all = net_split(t, all, schema_object(m, flat, next));
    return all;
}

/* ---- fixed values ------------------------------------------------------------------------ */

/* Texts of the values that enum and const leave; NULL where there is neither. */
struct fixed {
    struct buf *v;
    size_t n, cap;
    bool any;
};

static void fixed_add(struct fixed *f, struct str value)
{
    GROW(f->v, f->cap, f->n + 1);
    f->v[f->n] = (struct buf){0};
    if (json_spell(&f->v[f->n], value) < 0)
        buf_release(&f->v[f->n]); /* no Unicode text: it cannot be written */
    else
        f->n++;
}

static void fixed_release(struct fixed *f)
{
    for (size_t i = 0; i < f->n; i++)
        buf_release(&f->v[i]);
    free(f->v);
    *f = (struct fixed){0};
}

static bool fixed_has(const struct fixed *f, const struct buf *text)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(buf_str(&f->v[i]), buf_str(text)))
            return true;
    return false;
}

/* Keeps what is in both. */
static void fixed_meet(struct fixed *f, struct fixed *more)
{
    size_t n = 0;
    if (!f->any) {
        *f = *more;
        *more = (struct fixed){0};
        f->any = true;
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        if (fixed_has(more, &f->v[i]))
            f->v[n++] = f->v[i];
        else
            buf_release(&f->v[i]);
    }
    f->n = n;
}

static void fixed_of(struct schema_maker *m, const struct schemas *flat, struct fixed *out)
{
    for (size_t i = 0; i < flat->n; i++) {
        struct str value, item;
        struct fixed own = {0};
        if (json_get(flat->v[i], "const", &value)) {
            fixed_add(&own, value);
            fixed_meet(out, &own);
            fixed_release(&own);
        }
        if (!json_get(flat->v[i], "enum", &value))
            continue;
        if (json_kind(value) != JSON_ARRAY) {
            schema_fail(m, "enum must be an array");
            continue;
        }
        struct json_iter it = json_iter(value);
        while (json_next(&it, NULL, &item))
            fixed_add(&own, item);
        fixed_meet(out, &own);
        fixed_release(&own);
    }
}

/* A grammar of the set without enum and const; NULL where nothing fits. */
static struct grammar *rest_of(struct schema_maker *m, const struct schemas *flat)
{
    struct net net;
    struct schema_maker own;
    net_init(&net);
    schema_maker_init(&own, &net, m->root, m->nested + 1, m->e);
    uint32_t start = put_types(&own, flat, NET_RETURN);
    schema_build(&own);
    m->failed |= own.failed;
    schema_maker_release(&own);
    return grammar_new(&net, start);
}

/* The values that the other keywords allow too. */
static uint32_t put_fixed(struct schema_maker *m, const struct schemas *flat,
                          const struct fixed *f, uint32_t next)
{
    uint32_t all = NET_DEAD;
    struct grammar *g = rest_of(m, flat);
    for (size_t i = f->n; g && i--;) {
        uint32_t end = grammar_walk(g, grammar_start(g), buf_str(&f->v[i]));
        if (end != GRAMMAR_DEAD && grammar_accepts(g, end))
            all = net_split(m->net, net_text(m->net, buf_str(&f->v[i]), next), all);
    }
    grammar_free(g);
    return all;
}

/* True where nothing but enum, const and words for people is there. */
static bool only_fixed(const struct schemas *flat)
{
    static const char *const others[] = {
        "type",          "properties",      "required",         "additionalProperties",
        "items",         "prefixItems",     "minItems",         "maxItems",
        "minLength",     "maxLength",       "pattern",          "format",
        "minimum",       "maximum",         "exclusiveMinimum", "minProperties",
        "maxProperties", "exclusiveMaximum"};
    struct str value;
    for (size_t i = 0; i < flat->n; i++)
        for (size_t k = 0; k < sizeof others / sizeof *others; k++)
            if (json_get(flat->v[i], others[k], &value))
                return false;
    return true;
}

/* ---- rules ---------------------------------------------------------------------------------
 */

static void put_alternative(struct schema_maker *m, const struct schemas *flat, void *arg)
{
    uint32_t *all = arg, one;
    struct fixed f = {0};
    fixed_of(m, flat, &f);
    if (m->failed)
        one = NET_DEAD;
    else if (!f.any && only_fixed(flat))
        one = net_call(m->net, m->any.value, NET_RETURN);
    else if (!f.any)
        one = put_types(m, flat, NET_RETURN);
    else if (only_fixed(flat)) {
        one = NET_DEAD;
        for (size_t i = f.n; i--;)
            one = net_split(m->net, net_text(m->net, buf_str(&f.v[i]), NET_RETURN), one);
    } else
        one = put_fixed(m, flat, &f, NET_RETURN);
    fixed_release(&f);
    *all = net_split(m->net, *all, one);
}

static int by_place(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return x->p < y->p ? -1 : x->p > y->p;
}

static bool same_set(const struct schemas *a, const struct schemas *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->v[i].p != b->v[i].p)
            return false;
    return true;
}

uint32_t schema_rule(struct schema_maker *m, const struct schemas *set)
{
    struct schemas s = {0};
    size_t n = 0;
    schemas_join(&s, set);
    if (s.n)
        qsort(s.v, s.n, sizeof *s.v, by_place);
    for (size_t i = 0; i < s.n; i++)
        if (!n || s.v[n - 1].p != s.v[i].p)
            s.v[n++] = s.v[i];
    s.n = n;
    for (size_t i = 0; i < m->n_rules; i++) {
        if (same_set(&m->rules[i].set, &s)) {
            schemas_release(&s);
            return m->rules[i].rule;
        }
    }
    GROW(m->rules, m->cap_rules, m->n_rules + 1);
    m->rules[m->n_rules] = (struct schema_rule){s, net_jump(m->net)};
    return m->rules[m->n_rules++].rule;
}

void schema_build(struct schema_maker *m)
{
    while (m->built < m->n_rules && !m->failed && !m->net->full) {
        size_t i = m->built++;
        struct schemas set = m->rules[i].set; /* the list may move, its arrays stay */
        uint32_t all = NET_DEAD;
        schema_expand(m, &set, put_alternative, &all);
        net_set(m->net, m->rules[i].rule, all);
    }
}

void schema_maker_init(struct schema_maker *m, struct net *net, struct str root, int nested,
                       struct err *e)
{
    const struct decimal none = {0};
    *m = (struct schema_maker){.net = net, .root = root, .nested = nested, .e = e};
    if (nested > 3)
        schema_fail(m, "oneOf, or enum beside other keywords, nested too deeply");
    m->any = net_values(net, false);
    m->number = net_number(net, false, &none, &none, NET_RETURN);
    m->integer = net_number(net, true, &none, &none, NET_RETURN);
    m->character = net_any(net, true, NET_RETURN);
    m->quote = net_byte(net, '"', '"', NET_RETURN);
}

void schema_maker_release(struct schema_maker *m)
{
    for (size_t i = 0; i < m->n_rules; i++)
        schemas_release(&m->rules[i].set);
    free(m->rules);
    free(m->tails);
}

struct grammar *grammar_schema(struct str schema, struct err *e)
{
    struct net net;
    struct schema_maker m;
    struct schemas root = {0};
    net_init(&net);
    schema_maker_init(&m, &net, schema, 0, e);
    schemas_add(&root, schema);
    uint32_t start = schema_rule(&m, &root);
    schema_build(&m);
    bool failed = m.failed;
    if (!failed && net.full)
        failed = err_set(e, EXIT_DATA, "the schema is too large") < 0;
    schema_maker_release(&m);
    schemas_release(&root);
    if (failed) {
        net_release(&net);
        return NULL;
    }
    struct grammar *g = grammar_new(&net, start);
    if (!g)
        err_set(e, EXIT_DATA, "the schema: nothing fits it");
    return g;
}
