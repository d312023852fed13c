/* jinja_dict.c - dicts that keep their order, and values from JSON. */
#include "text/jinja_value.h"

#include "base/hash.h"
#include "rec/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_MAX = 8 }; /* up to here looking at every entry is quicker than hashing */

struct jj_dict *jj_dict_new(struct jj *j)
{
    return jj_zalloc(j, sizeof(struct jj_dict));
}

struct jj_val jj_dict_val(struct jj_dict *d)
{
    return (struct jj_val){.t = T_DICT, .d = d};
}

static uint64_t hash_float(double f)
{
    if (f == rint(f) && fabs(f) < 9e18) {
        int64_t i = (int64_t)f;
        return hash_bytes(HASH_SEED, &i, sizeof i);
    }
    return hash_bytes(HASH_SEED, &f, sizeof f);
}

/* Equal keys hash alike: 1, 1.0 and true are one key. */
static uint64_t hash_key(struct jj *j, struct jj_val k)
{
    int64_t i;
    if (jj_is_int(k, &i))
        return hash_bytes(HASH_SEED, &i, sizeof i);
    switch (k.t) {
    case T_STR:
    case T_BIG: return hash_bytes(HASH_SEED + 1, k.s->p, k.s->n);
    case T_FLOAT: return hash_float(k.f);
    case T_NONE:
    case T_UNDEF: return k.t;
    case T_TUPLE: break;
    case T_LIST:
    case T_DICT: jj_fail(j, "a %s cannot be a key", jj_type_name(k));
    case T_RANGE: return (uint64_t)k.range->n;
    default: return hash_bytes(HASH_SEED, &k.d, sizeof k.d);
    }
    uint64_t h = HASH_SEED;
    jj_push(j);
    for (size_t n = 0; n < k.seq->n; n++)
        h = h * 31 + hash_key(j, k.seq->v[n]);
    j->depth--;
    return h;
}

static bool same_key(struct jj *j, struct jj_val a, struct jj_val b)
{
    if (a.t == T_STR && b.t == T_STR)
        return str_eq(jj_bytes(a), jj_bytes(b));
    return jj_eq(j, a, b);
}

static size_t probe(struct jj *j, const struct jj_dict *d, struct jj_val key, uint64_t hash)
{
    size_t mask = d->index_cap - 1, at = hash & mask;
    for (; d->index[at]; at = (at + 1) & mask) {
        const struct jj_entry *e = &d->e[d->index[at] - 1];
        if (e->hash == hash && same_key(j, e->key, key))
            break;
    }
    return at;
}

static struct jj_entry *find(struct jj *j, const struct jj_dict *d, struct jj_val key,
                             uint64_t hash)
{
    if (d->index) {
        uint32_t at = d->index[probe(j, d, key, hash)];
        return at ? &d->e[at - 1] : NULL;
    }
    for (size_t i = 0; i < d->n; i++)
        if (d->e[i].hash == hash && same_key(j, d->e[i].key, key))
            return &d->e[i];
    return NULL;
}

struct jj_val *jj_dict_get(struct jj *j, const struct jj_dict *d, struct jj_val key)
{
    if (key.t == T_STR)
        return jj_dict_find(d, jj_bytes(key));
    struct jj_entry *e = find(j, d, key, hash_key(j, key));
    return e ? &e->value : NULL;
}

struct jj_val *jj_dict_find(const struct jj_dict *d, struct str key)
{
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++) {
            const struct jj_val *k = &d->e[i].key;
            if (k->t == T_STR && k->s->n == key.n && !memcmp(k->s->p, key.p, key.n))
                return &d->e[i].value;
        }
        return NULL;
    }
    uint64_t hash = hash_bytes(HASH_SEED + 1, key.p, key.n);
    size_t mask = d->index_cap - 1;
    for (size_t at = hash & mask; d->index[at]; at = (at + 1) & mask) {
        struct jj_entry *e = &d->e[d->index[at] - 1];
        if (e->hash == hash && e->key.t == T_STR && str_eq(jj_bytes(e->key), key))
            return &e->value;
    }
    return NULL;
}

static void reindex(struct jj *j, struct jj_dict *d)
{
    d->index_cap = d->index_cap ? d->index_cap * 2 : 32;
    d->index = jj_zalloc(j, d->index_cap * sizeof *d->index);
    for (size_t i = 0; i < d->n; i++) {
        size_t at = d->e[i].hash & (d->index_cap - 1);
        while (d->index[at])
            at = (at + 1) & (d->index_cap - 1);
        d->index[at] = (uint32_t)(i + 1);
    }
}

void jj_dict_set(struct jj *j, struct jj_dict *d, struct jj_val key, struct jj_val v)
{
    uint64_t hash = hash_key(j, key);
    struct jj_entry *e = find(j, d, key, hash);
    if (e) {
        e->value = v;
        return;
    }
    jj_step(j, 1);
    d->e = jj_grow(j, d->e, d->n + 1, &d->cap, sizeof *d->e);
    d->e[d->n++] = (struct jj_entry){key, v, hash};
    if (d->n > PLAIN_MAX && d->n * 2 > d->index_cap)
        reindex(j, d);
    else if (d->index)
        d->index[probe(j, d, key, hash)] = (uint32_t)d->n;
}

/* ---- from JSON ---- */

static struct jj_val string_value(struct jj *j, struct str raw)
{
    struct str inside = {raw.p + 1, raw.n - 2};
    if (!inside.n || !memchr(inside.p, '\\', inside.n))
        return jj_text_borrow(j, inside.p, inside.n);
    buf_clear(&j->scratch);
    json_decode(&j->scratch, raw);
    return jj_scratch_text(j);
}

static struct jj_val number_value(struct jj *j, struct str s)
{
    bool whole = true;
    for (size_t i = 0; i < s.n; i++)
        whole = whole && s.p[i] != '.' && s.p[i] != 'e' && s.p[i] != 'E';
    if (whole)
        return jj_integer(j, s);
    buf_clear(&j->scratch);
    buf_addstr(&j->scratch, s);
    return jj_float(strtod(j->scratch.p, NULL));
}

static struct jj_val array_value(struct jj *j, struct str json)
{
    struct jj_seq *s = jj_zalloc(j, sizeof *s);
    size_t cap = 0;
    struct str item;
    for (struct json_iter it = json_iter(json); json_next(&it, NULL, &item);) {
        s->v = jj_grow(j, s->v, s->n + 1, &cap, sizeof *s->v);
        s->v[s->n++] = jj_from_json(j, item);
    }
    return (struct jj_val){.t = T_LIST, .seq = s};
}

struct jj_val jj_from_json(struct jj *j, struct str json)
{
    switch (json_kind(json)) {
    case JSON_NULL: return jj_none();
    case JSON_TRUE: return jj_bool(true);
    case JSON_FALSE: return jj_bool(false);
    case JSON_STRING: return string_value(j, json);
    case JSON_NUMBER: return number_value(j, json);
    case JSON_ARRAY: return array_value(j, json);
    case JSON_OBJECT: break;
    }
    struct jj_dict *d = jj_dict_new(j);
    struct str key, item;
    for (struct json_iter it = json_iter(json); json_next(&it, &key, &item);) {
        struct jj_val k = string_value(j, key);
        jj_dict_set(j, d, k, jj_from_json(j, item));
    }
    return jj_dict_val(d);
}
