/* schema_parts.c - arrays and objects of a JSON Schema. */
#include "grammar/schema.h"

#include <stdlib.h>

enum { PLACES_MAX = 200000 };

/* A value of what holds at a place, then next. */
static uint32_t put_value(struct schema_maker *m, const struct schemas *set, uint32_t next)
{
    return net_call(m->net, set->n ? schema_rule(m, set) : m->any.value, next);
}

/* ---- arrays -------------------------------------------------------------------------------
 */

static void item_schemas(struct schema_maker *m, const struct schemas *flat, uint32_t index,
                         struct schemas *out)
{
    for (size_t i = 0; i < flat->n; i++) {
        struct str value, item;
        int64_t left = index;
        bool found = false;
        if (json_get(flat->v[i], "prefixItems", &value) && json_kind(value) == JSON_ARRAY) {
            struct json_iter it = json_iter(value);
            while (!found && json_next(&it, NULL, &item))
                found = left-- == 0;
            if (found)
                schemas_add(out, item);
        }
        if (!found && json_get(flat->v[i], "items", &value)) {
            if (json_kind(value) == JSON_ARRAY)
                schema_fail(m,
                            "keyword \"items\" as an array is not supported; use prefixItems");
            schemas_add(out, value);
        }
    }
}

/* How many items have a schema of their own. */
static uint32_t prefix_length(struct schema_maker *m, const struct schemas *flat)
{
    uint32_t most = 0;
    for (size_t i = 0; i < flat->n; i++) {
        struct str value, item;
        uint32_t n = 0;
        if (!json_get(flat->v[i], "prefixItems", &value))
            continue;
        if (json_kind(value) != JSON_ARRAY) {
            schema_fail(m, "prefixItems must be an array");
            continue;
        }
        struct json_iter it = json_iter(value);
        while (json_next(&it, NULL, &item))
            n++;
        most = n > most ? n : most;
    }
    return most;
}

uint32_t schema_array(struct schema_maker *m, const struct schemas *flat, uint32_t next)
{
    struct net *t = m->net;
    uint32_t prefix = prefix_length(m, flat), least = 0, most = 0;
    schema_count(m, flat, "minItems", true, &least);
    bool bounded = schema_count(m, flat, "maxItems", false, &most);
    uint32_t end = net_byte(t, ']', ']', next), tail = prefix > least ? prefix : least;
    uint32_t last = bounded ? most : tail ? tail : 1; /* from here on all places are alike */
    if ((bounded && least > most) || last > PLACES_MAX || m->failed)
        return NET_DEAD;
    uint32_t at = net_jump(t), here = end;
    struct schemas rest = {0};
    item_schemas(m, flat, UINT32_MAX, &rest);
    if (!bounded)
        here = net_split(t, net_byte(t, ',', ',', put_value(m, &rest, at)), end);
    net_set(t, at, here);
    for (uint32_t i = last; i--;) {
        struct schemas own = {0};
        if (i < prefix)
            item_schemas(m, flat, i, &own);
        uint32_t item = put_value(m, i < prefix ? &own : &rest, at);
        if (i)
            item = net_byte(t, ',', ',', item);
        at = net_split(t, item, i >= least ? end : NET_DEAD);
        schemas_release(&own);
    }
    schemas_release(&rest);
    return net_byte(t, '[', '[', at);
}

/* ---- objects --------------------------------------------------------------------------------
 */

struct name {
    struct buf text;
    bool required;
};

struct object {
    struct schema_maker *m;
    const struct schemas *flat;
    struct name *names; /* in the order in which they are written */
    size_t n, cap;
    uint32_t least, most;
    bool bounded;
    uint32_t key; /* the rule of a key that is none of the names */
};

static void add_name(struct object *o, struct str key, bool required)
{
    struct buf text = {0};
    if (!json_decode(&text, key)) {
        buf_release(&text);
        if (required)
            schema_fail(o->m, "a required name is no Unicode text");
        return;
    }
    for (size_t i = 0; i < o->n; i++) {
        if (str_eq(buf_str(&o->names[i].text), buf_str(&text))) {
            o->names[i].required |= required;
            buf_release(&text);
            return;
        }
    }
    GROW(o->names, o->cap, o->n + 1);
    o->names[o->n++] = (struct name){text, required};
}

static void find_names(struct object *o)
{
    struct str value, key, item;
    for (size_t i = 0; i < o->flat->n; i++) {
        if (!json_get(o->flat->v[i], "properties", &value))
            continue;
        if (json_kind(value) != JSON_OBJECT) {
            schema_fail(o->m, "properties must be an object");
            continue;
        }
        struct json_iter it = json_iter(value);
        while (json_next(&it, &key, &item))
            add_name(o, key, false);
    }
    for (size_t i = 0; i < o->flat->n; i++) {
        if (!json_get(o->flat->v[i], "required", &value))
            continue;
        if (json_kind(value) != JSON_ARRAY) {
            schema_fail(o->m, "required must be an array");
            continue;
        }
        struct json_iter it = json_iter(value);
        while (json_next(&it, NULL, &item)) {
            if (json_kind(item) == JSON_STRING)
                add_name(o, item, true);
            else
                schema_fail(o->m, "required must be an array of strings");
        }
    }
}

/* The member of that name; with duplicates the last one. */
static bool property(struct str properties, const struct buf *name, struct str *out)
{
    struct json_iter it = json_iter(properties);
    struct buf text = {0};
    struct str key, value;
    bool found = false;
    while (json_next(&it, &key, &value)) {
        buf_clear(&text);
        if (json_decode(&text, key) && str_eq(buf_str(&text), buf_str(name))) {
            *out = value;
            found = true;
        }
    }
    buf_release(&text);
    return found;
}

/* What holds of a member; name NULL: of one that has none of the names. */
static void member_schemas(const struct object *o, const struct buf *name, struct schemas *out)
{
    for (size_t i = 0; i < o->flat->n; i++) {
        struct str value, own;
        if (name && json_get(o->flat->v[i], "properties", &value) &&
            json_kind(value) == JSON_OBJECT && property(value, name, &own))
            schemas_add(out, own);
        else if (json_get(o->flat->v[i], "additionalProperties", &value))
            schemas_add(out, value);
    }
}

/* Any string but the names. */
static uint32_t other_key(struct object *o)
{
    struct net any, names;
    struct dfa a = {0}, b = {0}, both = {0};
    uint32_t fixed = NET_DEAD, at = NET_DEAD;
    if (!o->n)
        return o->m->any.string;
    net_init(&any);
    net_init(&names);
    uint32_t loop = net_jump(&any);
    net_set(&any, loop, net_split(&any, net_any(&any, true, loop), NET_RETURN));
    for (size_t i = 0; i < o->n; i++)
        fixed = net_split(&names, net_escaped(&names, buf_str(&o->names[i].text), NET_RETURN),
                          fixed);
    if (dfa_of(&a, &any, loop) == 0 && dfa_of(&b, &names, fixed) == 0 &&
        dfa_both(&both, &a, &b, true) == 0)
        at = dfa_put(o->m->net, &both, net_byte(o->m->net, '"', '"', NET_RETURN));
    else
        schema_fail(o->m, "the names of properties are too large");
    dfa_release(&a);
    dfa_release(&b);
    dfa_release(&both);
    net_release(&any);
    net_release(&names);
    return net_byte(o->m->net, '"', '"', at);
}

/* How many members there are is counted up to here; then all numbers are alike. */
static uint32_t counted(const struct object *o)
{
    return o->bounded ? o->most : o->least > 1 ? o->least : 1;
}

static uint32_t put_comma(struct net *t, uint32_t count, uint32_t member)
{
    return count ? net_byte(t, ',', ',', member) : member;
}

/* Places by the next name and how many members stand before it; from the last name to the
 * first.
 */
static uint32_t put_members(struct object *o, uint32_t next)
{
    struct net *t = o->m->net;
    uint32_t c = counted(o), width = c + 1;
    uint32_t *at = xcalloc((o->n + 1) * width, sizeof *at);
    uint32_t end = net_byte(t, '}', '}', next);
    struct schemas set = {0};
    for (size_t i = 0; i < (o->n + 1) * width; i++)
        at[i] = net_jump(t);
    for (size_t i = o->n + 1; i--;) {
        set.n = 0;
        member_schemas(o, i < o->n ? &o->names[i].text : NULL, &set);
        uint32_t rule = set.n ? schema_rule(o->m, &set) : o->m->any.value;
        for (uint32_t k = 0; k <= c; k++) {
            uint32_t *after = at + (i < o->n ? i + 1 : i) * width, more = NET_DEAD, none;
            if (!o->bounded || k < o->most) {
                more = net_call(t, rule, after[k < c ? k + 1 : c]);
                more = net_byte(t, ':', ':', more);
                if (i < o->n) {
                    more = net_escaped(t, buf_str(&o->names[i].text),
                                       net_byte(t, '"', '"', more));
                    more = net_byte(t, '"', '"', more);
                } else {
                    more = net_call(t, o->key, more);
                }
                more = put_comma(t, k, more);
            }
            if (i < o->n)
                none = o->names[i].required ? NET_DEAD : after[k];
            else
                none = k >= o->least ? end : NET_DEAD;
            net_set(t, at[i * width + k], net_split(t, more, none));
        }
    }
    uint32_t start = at[0];
    free(at);
    schemas_release(&set);
    return start;
}

/* Names that are none of ours could come twice, and would be counted twice. */
static void check_count(struct object *o)
{
    uint32_t required = 0;
    struct schemas set = {0};
    bool closed = false;
    for (size_t i = 0; i < o->n; i++)
        required += o->names[i].required;
    member_schemas(o, NULL, &set);
    for (size_t i = 0; i < set.n; i++)
        closed |= json_kind(set.v[i]) == JSON_FALSE;
    if (o->least <= required)
        o->least = 0;
    if (o->least && !closed)
        schema_fail(o->m, "keyword \"minProperties\" is supported with additionalProperties: "
                          "false alone");
    schemas_release(&set);
}

uint32_t schema_object(struct schema_maker *m, const struct schemas *flat, uint32_t next)
{
    struct object o = {.m = m, .flat = flat};
    uint32_t at = NET_DEAD;
    find_names(&o);
    schema_count(m, flat, "minProperties", true, &o.least);
    o.bounded = schema_count(m, flat, "maxProperties", false, &o.most);
    check_count(&o);
    if ((o.n + 1) * (counted(&o) + 1) > PLACES_MAX)
        schema_fail(m, "keywords \"minProperties\" and \"maxProperties\" of this size are not "
                       "supported");
    if (!m->failed && !(o.bounded && o.least > o.most)) {
        o.key = other_key(&o);
        at = net_byte(m->net, '{', '{', put_members(&o, next));
    }
    for (size_t i = 0; i < o.n; i++)
        buf_release(&o.names[i].text);
    free(o.names);
    return at;
}
