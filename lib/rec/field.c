/* field.c - a place in a record by name. */
#include "rec/field.h"

#include <stdlib.h>

/* For "a.b.c": rest = "a.b.c", "b.c", "c"; head = "a", "b", "c". */
struct field {
    const char *name;
    size_t n;
    const char **rest;
    char **head;
};

struct field *field_new(const char *name)
{
    struct field *f = xcalloc(1, sizeof *f);
    f->name = name;
    f->n = 1;
    for (const char *p = name; *p; p++)
        f->n += *p == '.';
    f->rest = xmalloc_n(f->n, sizeof(char *));
    f->head = xmalloc_n(f->n, sizeof(char *));
    for (size_t i = 0; i < f->n; i++) {
        f->rest[i] = name;
        f->head[i] = xstrndup(name, strcspn(name, "."));
        name += strlen(f->head[i]) + 1;
    }
    return f;
}

void field_free(struct field *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        free(f->head[i]);
    free(f->head);
    free(f->rest);
    free(f);
}

const char *field_name(const struct field *f)
{
    return f->name;
}

bool field_find(const struct field *f, const struct rec *rec, struct str *value)
{
    const struct json_member *m = rec_find(rec, f->rest[0]);
    if (m) {
        *value = m->value;
        return true;
    }
    if (f->n == 1 || !(m = rec_find(rec, f->head[0])))
        return false;
    struct str at = m->value;
    for (size_t i = 1; i < f->n; i++) {
        if (json_kind(at) != JSON_OBJECT)
            return false;
        if (json_get(at, f->rest[i], value))
            return true;
        if (!json_get(at, f->head[i], &at))
            return false;
    }
    return false;
}

bool field_text(const struct field *f, const struct rec *rec, struct buf *out)
{
    struct str value;
    buf_clear(out);
    if (!field_find(f, rec, &value))
        return false;
    switch (json_kind(value)) {
    case JSON_STRING: json_decode(out, value); return true;
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE: buf_addstr(out, value); return true;
    default: return false;
    }
}
