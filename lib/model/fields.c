/* fields.c - reading a configuration object so that no field goes unseen. */
#include "model/fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The value as JSON, cut to what fits a message. */
static void show(char *dst, size_t cap, const json_t *v)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(dst, cap, "%s", text ? text : "absent");
    if (text && strlen(text) >= cap)
        memcpy(dst + cap - 4, "...", 4);
    free(text);
}

static void fail(struct fields *f)
{
    for (; f; f = f->parent)
        f->failed = true;
}

static const json_t *look(struct fields *f, const char *name)
{
    const json_t *v = json_object_get(f->object, name);
    if (v && json_object_set_new(f->seen, name, json_true()) < 0 && !f->failed) {
        err_set(f->e, EXIT_OS, "out of memory");
        fail(f);
    }
    return f->failed || json_is_null(v) ? NULL : v;
}

static void missing(struct fields *f, const char *name)
{
    if (f->failed)
        return;
    err_set(f->e, EXIT_CONFIG, "%s has no \"%s\"", f->name, name);
    fail(f);
}

void fields_refuse(struct fields *f, const char *name, const char *want)
{
    char value[80];
    if (f->failed)
        return;
    show(value, sizeof value, json_object_get(f->object, name));
    err_set(f->e, EXIT_CONFIG, "%s: \"%s\": %s is not supported; it must be %s", f->name, name,
            value, want);
    fail(f);
}

void fields_open(struct fields *f, const json_t *object, const char *name, struct err *e)
{
    *f = (struct fields){.object = object,
                         .name = name,
                         .whose = "for this architecture",
                         .seen = json_object(),
                         .e = e};
}

int fields_done(struct fields *f)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)f->object, key, v)
    {
        if (f->failed || json_is_null(v) || json_object_get(f->seen, key))
            continue;
        char value[80];
        show(value, sizeof value, v);
        err_set(f->e, EXIT_CONFIG, "%s: \"%s\": %s is not known %s", f->name, key, value,
                f->whose);
        fail(f);
    }
    json_decref(f->seen);
    f->seen = NULL;
    return f->failed ? -1 : 0;
}

int32_t fields_int(struct fields *f, const char *name, int32_t fallback, int32_t min,
                   int32_t max)
{
    const json_t *v = look(f, name);
    if (!v) {
        if (fallback == FIELD_REQUIRED)
            missing(f, name);
        return fallback == FIELD_REQUIRED ? min : fallback;
    }
    if (json_is_integer(v) && json_integer_value(v) >= min && json_integer_value(v) <= max)
        return (int32_t)json_integer_value(v);
    char want[64];
    snprintf(want, sizeof want, "an integer from %d to %d", min, max);
    fields_refuse(f, name, want);
    return min;
}

double fields_positive(struct fields *f, const char *name, double fallback)
{
    const json_t *v = look(f, name);
    if (!v) {
        if (fallback == FIELD_REQUIRED)
            missing(f, name);
        return fallback == FIELD_REQUIRED ? 1 : fallback;
    }
    double x = json_number_value(v);
    if (json_is_number(v) && isfinite(x) && x > 0)
        return x;
    fields_refuse(f, name, "a number > 0");
    return 1;
}

double fields_positive_or_none(struct fields *f, const char *name, double fallback)
{
    bool none = json_is_null(json_object_get(f->object, name));
    return fields_positive(f, name, none ? 0 : fallback);
}

bool fields_bool(struct fields *f, const char *name, bool fallback)
{
    const json_t *v = look(f, name);
    if (v && !json_is_boolean(v))
        fields_refuse(f, name, "true or false");
    return v ? json_is_true(v) : fallback;
}

const char *fields_text(struct fields *f, const char *name, const char *fallback)
{
    const json_t *v = look(f, name);
    if (v && !json_is_string(v))
        fields_refuse(f, name, "a string");
    return v && json_is_string(v) ? json_string_value(v) : fallback;
}

const json_t *fields_array(struct fields *f, const char *name)
{
    const json_t *v = look(f, name);
    if (v && !json_is_array(v))
        fields_refuse(f, name, "an array");
    return v && json_is_array(v) ? v : NULL;
}

bool fields_object(struct fields *f, const char *name, struct fields *sub)
{
    const json_t *v = look(f, name);
    if (v && !json_is_object(v))
        fields_refuse(f, name, "an object");
    if (!v || !json_is_object(v))
        return false;
    fields_open(sub, v, name, f->e);
    sub->parent = f;
    return true;
}

bool fields_have(const struct fields *f, const char *name)
{
    const json_t *v = json_object_get(f->object, name);
    return v && !json_is_null(v);
}

void fields_only_bool(struct fields *f, const char *name, bool value)
{
    if (fields_bool(f, name, value) != value)
        fields_refuse(f, name, value ? "true" : "false");
}

void fields_only_text(struct fields *f, const char *name, const char *value)
{
    if (strcmp(fields_text(f, name, value), value))
        fields_refuse(f, name, value);
}

void fields_ignore(struct fields *f, const char *const *names)
{
    for (; *names; names++)
        (void)look(f, *names);
}
