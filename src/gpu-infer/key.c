/* key.c - what the answers of a run depend on. */
#include "gpu-infer/key.h"

#include "base/file.h"
#include "base/hash.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 1 << 24 };

static void put_hash(json_t *key, const char *name, uint64_t hash)
{
    char hex[20];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash);
    json_object_set_new(key, name, json_string(hex));
}

/* "adapter" is the one for all records. */
static void put_adapters(json_t *key, const struct adapters *a)
{
    json_t *named = json_object();
    for (size_t i = 0; i < a->n; i++)
        put_hash(a->v[i].name ? named : key, a->v[i].name ? a->v[i].name : "adapter",
                 peft_hash(a->v[i].peft));
    if (json_object_size(named))
        json_object_set(key, "adapters", named);
    json_decref(named);
}

/* The device's kind and its instruction set stand in one name, "cpu/avx512". */
static void put_device(json_t *key, const char *name)
{
    const char *isa = strchr(name, '/');
    size_t kind = isa ? (size_t)(isa - name) : strlen(name);
    json_object_set_new(key, "device", json_stringn(name, kind));
    if (isa)
        json_object_set_new(key, "isa", json_string(isa + 1));
}

/* Flags that change answers, defaults of the model included.  Flags about speed are not here:
 * they change no byte. */
static void put_flags(json_t *key, const struct engine *g, const struct options *o)
{
    const struct params *p = &g->defaults;
    json_object_set_new(key, "max_tokens", json_integer(p->max_tokens));
    json_object_set_new(key, "temperature", json_real(p->temperature));
    json_object_set_new(key, "top_p", json_real(p->top_p));
    json_object_set_new(key, "top_k", json_integer(p->top_k));
    json_object_set_new(key, "seed", json_integer(p->seed));
    json_object_set_new(key, "choices", o->choices ? json_string(o->choices) : json_null());
    json_object_set_new(key, "choices_end", json_integer(g->choices_end));
    json_object_set_new(key, "choices_mean", json_boolean(o->choices_mean));
    json_object_set_new(key, "reasoning", json_integer(p->reasoning));
    json_object_set_new(key, "ignore_eos", json_boolean(p->ignore_eos));
    json_object_set_new(key, "return_tokens", json_boolean(p->return_tokens));
    json_object_set_new(key, "logprobs", json_boolean(p->logprobs));
    json_object_set_new(key, "prompt_logprobs", json_boolean(p->prompt_logprobs));
    json_object_set_new(key, "shard", o->shard_given ? json_integer(o->shard) : json_null());
    json_object_set_new(key, "overwrite", json_boolean(o->overwrite));
    json_object_set_new(key, "max_record", json_integer(o->max_record));
    json_object_set_new(key, "kv_memory", json_integer(o->kv_memory));
}

char *key_text(const struct engine *g, const struct options *o)
{
    json_t *key = json_object();
    json_object_set_new(key, "version", json_string(VERSION));
    put_hash(key, "model", ckpt_hash(g->ckpt));
    put_adapters(key, &g->adapters);
    if (g->chat)
        put_hash(key, "template", chat_hash(g->chat));
    if (g->chat && chat_uses_date(g->chat))
        json_object_set_new(key, "date", json_string(chat_date(g->chat)));
    json_object_set_new(key, "dtype", json_string(g->dtype == DT_F32 ? "f32" : "bf16"));
    put_device(key, g->device.name);
    put_flags(key, g, o);
    char *text = json_dumps(key, JSON_INDENT(2));
    json_decref(key);
    if (!text)
        die(EXIT_OS, "out of memory, or an option that is not UTF-8");
    return text;
}

/* NULL without an error: no such file. */
static json_t *load(const char *path, struct err *e)
{
    struct buf b = {0};
    struct err why = {0};
    json_t *key = NULL;
    if (file_read(&b, path, KEY_MAX, &why) < 0) {
        if (why.status != EXIT_NOINPUT)
            *e = why;
    } else if (!(key = json_loadb(b.p, b.n, 0, NULL)) || !json_is_object(key)) {
        json_decref(key);
        key = NULL;
        err_set(e, EXIT_USAGE, "%s is no key of gpu-infer; remove it with its file", path);
    }
    buf_release(&b);
    return key;
}

char *key_date(const char *path)
{
    struct err ignored = {0};
    json_t *key = load(path, &ignored);
    const char *date = json_string_value(json_object_get(key, "date"));
    char *copy = date ? xstrdup(date) : NULL;
    json_decref(key);
    return copy;
}

static void put_value(struct buf *b, const json_t *v)
{
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    buf_puts(b, text ? text : "none");
    free(text);
}

/* Adds the members of a whose value in b is another to the list of differences. */
static void differences(struct buf *list, json_t *was, json_t *is, bool only_missing, bool *isa)
{
    const char *name;
    json_t *value;
    json_object_foreach(only_missing ? is : was, name, value)
    {
        json_t *other = json_object_get(only_missing ? was : is, name);
        if (only_missing ? other != NULL : other && json_equal(value, other))
            continue;
        *isa = !list->n && !strcmp(name, "isa");
        buf_printf(list, "%s%s was ", list->n ? ", " : "", name);
        put_value(list, only_missing ? NULL : value);
        buf_puts(list, " and is ");
        put_value(list, only_missing ? value : other);
    }
}

int key_compare(const char *path, const char *text, struct err *e)
{
    struct err why = {0};
    json_t *was = load(path, &why);
    if (!was) {
        if (!why.status)
            return 1;
        *e = why;
        return -1;
    }
    json_t *is = json_loads(text, 0, NULL);
    struct buf list = {0};
    bool isa = false;
    differences(&list, was, is, false, &isa);
    differences(&list, was, is, true, &isa);
    int rc = 0;
    if (list.n)
        rc = err_set(e, isa ? EXIT_AGAIN : EXIT_USAGE,
                     "%s: %s; go on with what began it, or choose another file", path, list.p);
    buf_release(&list);
    json_decref(was);
    json_decref(is);
    return rc;
}
