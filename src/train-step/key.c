/* key.c - what the result of a training depends on, and nothing else does. */
#include "train-step/key.h"

#include "base/file.h"

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

static void put_int(json_t *key, const char *name, int64_t v)
{
    json_object_set_new(key, name, json_integer(v));
}

static void put_real(json_t *key, const char *name, double v)
{
    json_object_set_new(key, name, json_real(v));
}

static void put_text(json_t *key, const char *name, const char *text)
{
    json_object_set_new(key, name, text ? json_string(text) : json_null());
}

/* The device's kind and its instruction set stand in one name, "cpu/avx512". */
static void put_device(json_t *key, const char *name)
{
    const char *isa = strchr(name, '/');
    size_t kind = isa ? (size_t)(isa - name) : strlen(name);
    json_object_set_new(key, "device", json_stringn(name, kind));
    if (isa)
        put_text(key, "isa", isa + 1);
}

/* Options about speed, memory and checkpoints change no bit and are not here. */
static void put_options(json_t *key, const struct options *o)
{
    static const char *const schedules[] = {"cosine", "linear", "constant"};
    put_text(key, "lora", o->lora);
    put_real(key, "epochs", o->epochs);
    put_int(key, "steps", o->steps);
    put_int(key, "batch", o->batch);
    json_object_set_new(key, "shuffle",
                        o->shuffle_given ? json_integer(o->shuffle) : json_null());
    put_int(key, "seed", o->seed);
    put_int(key, "context", o->context);
    put_int(key, "pack", o->pack);
    put_real(key, "lr", o->lr);
    put_text(key, "schedule", schedules[o->schedule]);
    put_real(key, "warmup", o->warmup);
    put_real(key, "weight_decay", o->weight_decay);
    put_real(key, "beta1", o->beta1);
    put_real(key, "beta2", o->beta2);
    put_real(key, "eps", o->eps);
    put_real(key, "clip", o->clip);
    put_int(key, "save_dtype", o->save_dtype);
    put_text(key, "choices", o->choices);
    put_int(key, "eval_every", o->eval_every);
    put_int(key, "patience", o->patience);
    put_real(key, "min_delta", o->min_delta);
}

char *key_text(const struct options *o, const struct key_facts *f)
{
    json_t *key = json_object();
    put_text(key, "version", VERSION);
    put_hash(key, "model", f->model);
    put_hash(key, "template", f->template);
    if (f->date)
        put_text(key, "date", f->date);
    put_hash(key, "data", f->data);
    if (f->eval)
        put_hash(key, "eval", f->eval);
    put_text(key, "dtype", f->dtype);
    put_device(key, f->device);
    put_options(key, o);
    if (o->fast_reduce)
        put_int(key, "ranks", f->ranks);
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
    json_t *all = NULL, *key = NULL;
    if (file_read(&b, path, KEY_MAX, &why) < 0) {
        if (why.status != EXIT_NOINPUT)
            *e = why;
    } else if (!(all = json_loadb(b.p, b.n, 0, NULL)) || !json_is_object(all)) {
        err_set(e, EXIT_USAGE, "%s is no key of train-step; remove it with its folder", path);
    } else {
        json_t *inner = json_object_get(all, "key");
        key = json_incref(inner ? inner : all);
    }
    json_decref(all);
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
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6))
                   : NULL;
    buf_puts(b, text ? text : "none");
    free(text);
}

static void difference(struct buf *list, const char *name, const json_t *was, const json_t *is,
                       bool *isa)
{
    if (was && is && json_equal(was, is))
        return;
    *isa = !list->n && !strcmp(name, "isa");
    buf_printf(list, "%s%s was ", list->n ? ", " : "", name);
    put_value(list, was);
    buf_puts(list, " and is ");
    put_value(list, is);
}

int key_compare(const char *path, const char *text, struct err *e)
{
    struct err why = {0};
    struct buf list = {0};
    const char *name;
    json_t *value, *was = load(path, &why);
    bool isa = false;
    int rc = 0;
    if (!was) {
        if (!why.status)
            return 1;
        *e = why;
        return -1;
    }
    json_t *is = json_loads(text, 0, NULL);
    json_object_foreach(was, name, value)
        difference(&list, name, value, json_object_get(is, name), &isa);
    json_object_foreach(is, name, value) if (!json_object_get(was, name))
        difference(&list, name, NULL, value, &isa);
    if (list.n)
        rc = err_set(e, isa ? EXIT_AGAIN : EXIT_USAGE,
                     "%s: %s; go on with what began it, or choose another -o", path, list.p);
    buf_release(&list);
    json_decref(was);
    json_decref(is);
    return rc;
}
