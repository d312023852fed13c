/* runkey.c - the key beside a file of answers: read, compared. */
#include "ckpt/runkey.h"

#include "base/buf.h"
#include "base/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 1 << 24 };

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

char *runkey_date(const char *path)
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

int runkey_compare(const char *path, const char *text, struct err *e)
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
