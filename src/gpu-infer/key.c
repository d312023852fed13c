/* key.c - what the answers of a run depend on. */
#include "gpu-infer/key.h"

#include "base/hash.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

static void put_lists(json_t *key, const struct engine *g, const struct options *o)
{
    const struct shape *s = &g->lists.shape;
    json_t *stop = json_array();
    for (size_t i = 0; i < o->stop.n; i++)
        json_array_append_new(stop, json_string(o->stop.items[i]));
    json_object_set_new(key, "stop", stop);
    json_object_set_new(key, "shape", json_integer(s->kind));
    put_hash(key, "shape_text", hash_bytes(HASH_SEED, s->text.p ? s->text.p : "", s->text.n));
    json_object_set_new(key, "openai", json_boolean(o->openai));
    json_object_set_new(key, "score_completion",
                        o->score_completion ? json_string(o->score_completion) : json_null());
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
    json_object_set_new(key, "min_p", json_real(p->min_p));
    json_object_set_new(key, "repetition_penalty", json_real(p->repetition_penalty));
    json_object_set_new(key, "frequency_penalty", json_real(p->frequency_penalty));
    json_object_set_new(key, "presence_penalty", json_real(p->presence_penalty));
    json_object_set_new(key, "samples", json_integer(p->n));
    json_object_set_new(key, "top_logprobs", json_integer(p->top_logprobs));
    put_lists(key, g, o);
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
    if (o->truncate != TRUNCATE_NONE)
        json_object_set_new(key, "truncate", json_integer(o->truncate));
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
