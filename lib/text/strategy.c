/* strategy.c - prompt strategies: read, checked, filled with a record's fields. */
#include "text/strategy.h"

#include <stdlib.h>

#include "base/file.h"
#include "text/format.h"

enum {
    FILE_MAX_BYTES = 64 << 20,
    NAMES_MAX = 320, /* bytes of a list of names in a message, so that the rest has room */
};

struct strategy {
    char *name, *description;
    struct buf system; /* the prompt as a JSON string; n = 0: none */
    struct format user;
    struct buf params;
};

struct strategies {
    struct strategy *v;
    size_t n, cap;
};

/* ---- reading -------------------------------------------------------------- */

/* The text of member `name` of a strategy: 1 with out filled, 0 where it is absent or null. */
static int get_text(struct str object, const char *name, struct buf *out, struct err *e)
{
    struct str v;
    buf_clear(out);
    if (!json_get(object, name, &v) || json_kind(v) == JSON_NULL)
        return 0;
    if (json_kind(v) != JSON_STRING)
        return err_set(e, EXIT_CONFIG, "%s must be a string", name);
    if (!json_decode(out, v))
        return err_set(e, EXIT_CONFIG, "%s holds half a surrogate pair, which is no text",
                       name);
    return 1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Raw JSON without the blanks between its tokens, since a record is one line. */
static void put_compact(struct buf *out, struct str json)
{
    bool inside = false;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (inside && c == '\\') {
            buf_add(out, json.p + i++, 2);
            continue;
        }
        if (c == '"')
            inside = !inside;
        if (inside || !is_blank(c))
            buf_putc(out, c);
    }
}

static int read_params(struct strategy *s, struct str object, struct err *e)
{
    struct str v, item;
    if (!json_get(object, "parameters", &v) || json_kind(v) == JSON_NULL)
        return 0;
    if (json_kind(v) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG, "parameters must be an object");
    struct json_iter it = json_iter(v);
    if (json_next(&it, NULL, &item))
        put_compact(&s->params, v);
    return 0;
}

static int read_template(struct strategy *s, struct str object, struct buf *text, struct err *e)
{
    struct format_fault fault;
    int got = get_text(object, "user_template", text, e);
    if (got < 0)
        return -1;
    if (!got)
        return err_set(e, EXIT_CONFIG, "user_template is missing");
    if (format_parse(&s->user, buf_str(text), &fault) != FORMAT_OK)
        return err_set(e, EXIT_CONFIG, "user_template, line %zu, column %zu: %s", fault.line,
                       fault.column, fault.what);
    return 0;
}

static int read_members(struct strategy *s, struct str object, struct buf *text, struct err *e)
{
    if (json_kind(object) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG, "must be an object");
    int got = get_text(object, "description", text, e);
    if (got < 0)
        return -1;
    s->description = got ? xstrndup(text->p, text->n) : xstrdup("");
    got = get_text(object, "system_prompt", text, e);
    if (got < 0)
        return -1;
    if (got)
        json_quote(&s->system, buf_str(text));
    if (read_template(s, object, text, e) < 0)
        return -1;
    return read_params(s, object, e);
}

static int read_strategy(struct strategies *all, struct str key, struct str object,
                         struct buf *text, struct err *e)
{
    buf_clear(text);
    json_decode(text, key);
    buf_putc(text, 0);
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->v[i].name, text->p))
            return err_set(e, EXIT_CONFIG, "strategy \"%s\" stands there twice", text->p);
    GROW(all->v, all->cap, all->n + 1);
    struct strategy *s = &all->v[all->n++];
    *s = (struct strategy){.name = xstrdup(text->p)};
    if (read_members(s, object, text, e) < 0)
        return err_prefix(e, "strategy \"%s\"", s->name);
    return 0;
}

/* A value without the blanks around it, as the walkers want it. */
static struct str trim(struct str v)
{
    while (v.n && is_blank(v.p[0])) {
        v.p++;
        v.n--;
    }
    while (v.n && is_blank(v.p[v.n - 1]))
        v.n--;
    return v;
}

static int read_all(struct strategies *all, struct str json, struct err *e)
{
    struct json_fault fault;
    struct str list, key, item;
    if (json_check(json.p, json.n, NULL, &fault) < 0) {
        size_t line, column;
        text_position(json, fault.at, &line, &column);
        return err_set(e, EXIT_CONFIG, "line %zu, column %zu: %s", line, column, fault.what);
    }
    json = trim(json);
    if (json_kind(json) != JSON_OBJECT || !json_get(json, "strategies", &list) ||
        json_kind(list) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG,
                       "not a strategy file; it must hold {\"strategies\": {NAME: {…}}}");
    struct buf text = {0};
    int rc = 0;
    struct json_iter it = json_iter(list);
    while (rc == 0 && json_next(&it, &key, &item))
        rc = read_strategy(all, key, item, &text, e);
    buf_release(&text);
    if (rc == 0 && !all->n)
        rc = err_set(e, EXIT_CONFIG, "\"strategies\" is empty");
    return rc;
}

struct strategies *strategies_parse(const char *name, struct str json, struct err *e)
{
    struct strategies *all = xcalloc(1, sizeof *all);
    if (json.n >= 3 && !memcmp(json.p, "\xef\xbb\xbf", 3)) {
        json.p += 3;
        json.n -= 3;
    }
    if (read_all(all, json, e) < 0) {
        err_prefix(e, "%s", name);
        strategies_free(all);
        return NULL;
    }
    return all;
}

struct strategies *strategies_load(const char *path, struct err *e)
{
    struct buf file = {0};
    struct strategies *all = NULL;
    if (file_read(&file, path, FILE_MAX_BYTES, e) == 0)
        all = strategies_parse(path, buf_str(&file), e);
    buf_release(&file);
    return all;
}

void strategies_free(struct strategies *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++) {
        free(all->v[i].name);
        free(all->v[i].description);
        buf_release(&all->v[i].system);
        buf_release(&all->v[i].params);
        format_release(&all->v[i].user);
    }
    free(all->v);
    free(all);
}

/* ---- looking -------------------------------------------------------------- */

size_t strategies_count(const struct strategies *all)
{
    return all->n;
}

const char *strategy_name(const struct strategies *all, size_t i)
{
    return all->v[i].name;
}

const char *strategy_description(const struct strategies *all, size_t i)
{
    return all->v[i].description;
}

struct str strategy_params(const struct strategies *all, size_t i)
{
    return buf_str(&all->v[i].params);
}

/* Adds a name to a list for a message; false where the list is as long as it may be. */
static bool list_name(struct buf *list, const char *name, size_t n)
{
    if (list->n + n > NAMES_MAX) {
        buf_puts(list, ", …");
        return false;
    }
    buf_puts(list, list->n ? ", " : "");
    buf_add(list, name, n);
    return true;
}

int strategy_find(const struct strategies *all, const char *name, struct err *e)
{
    if (!name && all->n == 1)
        return 0;
    struct buf list = {0};
    for (size_t i = 0; i < all->n; i++)
        if (name && !strcmp(all->v[i].name, name))
            return (int)i;
    for (size_t i = 0; i < all->n && list_name(&list, all->v[i].name, strlen(all->v[i].name));)
        i++;
    if (name)
        err_set(e, EXIT_USAGE, "no strategy \"%.100s\"; there are %s", name, list.p);
    else
        err_set(e, EXIT_USAGE, "%zu strategies; choose one with -s: %s", all->n, list.p);
    buf_release(&list);
    return -1;
}

/* ---- filling -------------------------------------------------------------- */

static int missing(const struct rec *rec, const char *field, const char **type, struct err *e)
{
    struct buf list = {0}, name = {0};
    *type = "missing_field";
    if (rec_find(rec, field))
        return err_set(e, EXIT_DATA, "field \"%.100s\" is null", field);
    for (size_t i = 0; i < rec->members.n; i++) {
        buf_clear(&name);
        json_decode(&name, rec->members.v[i].key);
        if (!list_name(&list, name.p, name.n))
            break;
    }
    err_set(e, EXIT_DATA, "field \"%.100s\" missing; the record has %s", field,
            list.n ? list.p : "none");
    buf_release(&list);
    buf_release(&name);
    return -1;
}

/* Appends the text of a record's field. */
static int put_field(const struct rec *rec, const char *field, struct buf *out,
                     const char **type, struct err *e)
{
    const struct json_member *m = rec_find(rec, field);
    if (!m || json_kind(m->value) == JSON_NULL)
        return missing(rec, field, type, e);
    if (json_kind(m->value) != JSON_STRING) {
        buf_addstr(out, m->value);
    } else if (!json_decode(out, m->value)) {
        *type = "bad_text";
        return err_set(e, EXIT_DATA,
                       "field \"%.100s\" holds half a surrogate pair, which is no text", field);
    }
    return 0;
}

static const struct field_value *find_set(const struct field_value *set, size_t n,
                                          const char *field)
{
    for (size_t i = n; i-- > 0;)
        if (str_is(set[i].name, field))
            return &set[i];
    return NULL;
}

static void put_message(struct buf *out, const char *role, struct str text)
{
    buf_puts(out, "{\"role\":\"");
    buf_puts(out, role);
    buf_puts(out, "\",\"content\":");
    json_quote(out, text);
    buf_putc(out, '}');
}

int strategy_render(const struct strategies *all, size_t i, const struct rec *rec,
                    const struct field_value *set, size_t n_set, struct buf *out,
                    const char **type, struct err *e)
{
    const struct strategy *s = &all->v[i];
    struct buf text = {0};
    int rc = 0;
    for (size_t k = 0; k < s->user.n && rc == 0; k++) {
        buf_addstr(&text, format_text(&s->user, k));
        const char *field = format_field(&s->user, k);
        const struct field_value *v = field ? find_set(set, n_set, field) : NULL;
        if (v)
            buf_addstr(&text, v->value);
        else if (field)
            rc = put_field(rec, field, &text, type, e);
    }
    if (rc == 0) {
        buf_putc(out, '[');
        if (s->system.n) {
            buf_puts(out, "{\"role\":\"system\",\"content\":");
            buf_addstr(out, buf_str(&s->system));
            buf_puts(out, "},");
        }
        put_message(out, "user", buf_str(&text));
        buf_putc(out, ']');
    }
    buf_release(&text);
    return rc;
}

int strategy_add_answer(const struct rec *rec, const char *field, struct buf *messages,
                        const char **type, struct err *e)
{
    struct buf text = {0};
    int rc = put_field(rec, field, &text, type, e);
    if (rc == 0) {
        messages->p[messages->n - 1] = ',';
        put_message(messages, "assistant", buf_str(&text));
        buf_putc(messages, ']');
    }
    buf_release(&text);
    return rc;
}
