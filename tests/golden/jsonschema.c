/* jsonschema.c - the JSON Schema test suite: for each schema that a constraint takes, exactly
 * the valid data can be written; every other schema is refused by the name of a keyword that it
 * has.
 *
 * A datum is written without blanks and with each number and string in its one spelling; the
 * members of an object may come in any order, one of which must be taken, since a constraint
 * writes them in the schema's.  Formats are asserted here, as they must be for the text to have
 * them, where the suite's draft only notes them: data that are valid in spite of their format
 * are counted apart.
 */
#include "golden.h"

#include "base/file.h"
#include "grammar/grammar.h"
#include "grammar/net.h"
#include "rec/json.h"

#include <glob.h>
#include <stdlib.h>

/* ---- writing a datum in every order -------------------------------------------------- */

/* The states that the orders lead to. */
struct states {
    uint32_t *v;
    size_t n, cap;
};

static void add_state(struct states *s, uint32_t state)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i] == state)
            return;
    if (state == GRAMMAR_DEAD)
        return;
    GROW(s->v, s->cap, s->n + 1);
    s->v[s->n++] = state;
}

static void write_value(struct grammar *g, struct str value, uint32_t from, struct states *to);

static void write_byte(struct grammar *g, struct states *s, char byte)
{
    struct states to = {0};
    for (size_t i = 0; i < s->n; i++)
        add_state(&to, grammar_step(g, s->v[i], (unsigned char)byte));
    free(s->v);
    *s = to;
}

static void write_all(struct grammar *g, struct str value, struct states *s)
{
    struct states to = {0};
    for (size_t i = 0; i < s->n; i++)
        write_value(g, value, s->v[i], &to);
    free(s->v);
    *s = to;
}

enum { MEMBERS = 24 };

/* The members that are not in `used`, behind those that are. */
static void write_members(struct grammar *g, const struct json_member *v, size_t n,
                          uint32_t used, uint32_t from, struct states *to)
{
    if (used == (UINT32_C(1) << n) - 1)
        add_state(to, grammar_step(g, from, '}'));
    for (size_t i = 0; i < n; i++) {
        struct states s = {0};
        if (used >> i & 1)
            continue;
        add_state(&s, from);
        if (used)
            write_byte(g, &s, ',');
        write_all(g, v[i].key, &s);
        write_byte(g, &s, ':');
        write_all(g, v[i].value, &s);
        for (size_t k = 0; k < s.n; k++)
            write_members(g, v, n, used | UINT32_C(1) << i, s.v[k], to);
        free(s.v);
    }
}

static void write_object(struct grammar *g, struct str value, uint32_t from, struct states *to)
{
    struct json_member v[MEMBERS];
    struct json_iter it = json_iter(value);
    size_t n = 0;
    while (n < MEMBERS && json_next(&it, &v[n].key, &v[n].value))
        n++;
    write_members(g, v, n, 0, grammar_step(g, from, '{'), to);
}

static void write_array(struct grammar *g, struct str value, uint32_t from, struct states *to)
{
    struct json_iter it = json_iter(value);
    struct states s = {0};
    struct str item;
    bool first = true;
    add_state(&s, grammar_step(g, from, '['));
    while (json_next(&it, NULL, &item)) {
        if (!first)
            write_byte(g, &s, ',');
        write_all(g, item, &s);
        first = false;
    }
    write_byte(g, &s, ']');
    for (size_t i = 0; i < s.n; i++)
        add_state(to, s.v[i]);
    free(s.v);
}

static void write_value(struct grammar *g, struct str value, uint32_t from, struct states *to)
{
    struct buf text = {0};
    if (from == GRAMMAR_DEAD)
        return;
    if (json_kind(value) == JSON_OBJECT)
        write_object(g, value, from, to);
    else if (json_kind(value) == JSON_ARRAY)
        write_array(g, value, from, to);
    else if (json_spell(&text, value) == 0)
        add_state(to, grammar_walk(g, from, buf_str(&text)));
    buf_release(&text);
}

static bool can_be_written(struct grammar *g, struct str datum)
{
    struct states s = {0};
    bool any = false;
    write_value(g, datum, grammar_start(g), &s);
    for (size_t i = 0; i < s.n; i++)
        any |= grammar_accepts(g, s.v[i]);
    free(s.v);
    return any;
}

/* ---- the suite -------------------------------------------------------------------------- */

struct suite {
    struct golden_count schemas, data;
    int taken, refused, formats;
};

/* Between the first two quotes of the message, as a member's name anywhere in the schema. */
static bool names_a_keyword(const char *message, struct str schema)
{
    const char *from = strchr(message, '"'), *to = from ? strchr(from + 1, '"') : NULL;
    return to && strstr(message, "keyword") &&
           memmem(schema.p, schema.n, from, (size_t)(to + 1 - from));
}

static struct str member(struct str object, const char *name)
{
    struct str value = {0};
    json_get(object, name, &value);
    return value;
}

static void run_group(struct suite *s, const char *file, struct str group)
{
    struct err e = {0};
    struct str schema = member(group, "schema"), name = member(group, "description"), test;
    struct grammar *g = grammar_schema(schema, &e);
    struct json_iter it = json_iter(member(group, "tests"));
    bool nothing = !g && strstr(e.text, "nothing fits");
    if (!g && !nothing) {
        s->refused++;
        if (names_a_keyword(e.text, schema))
            s->schemas.passed++;
        else
            golden_fail(&s->schemas, "%s: %.*s: %s", file, (int)name.n, name.p, e.text);
        return;
    }
    s->taken++;
    s->schemas.passed++;
    while (json_next(&it, NULL, &test)) {
        struct str what = member(test, "description");
        bool valid = json_kind(member(test, "valid")) == JSON_TRUE;
        if (valid == (g && can_be_written(g, member(test, "data"))))
            s->data.passed++;
        else if (valid && memmem(schema.p, schema.n, "\"format\"", 8))
            s->formats++;
        else
            golden_fail(&s->data, "%s: %.*s: %.*s", file, (int)name.n, name.p, (int)what.n,
                        what.p);
    }
    grammar_free(g);
}

static void run_file(struct suite *s, const char *path)
{
    struct buf b = {0};
    struct err e = {0};
    struct json_fault fault;
    struct str group;
    const char *name = strrchr(path, '/') + 1;
    if (file_read(&b, path, 1 << 24, &e) < 0 || json_check(b.p, b.n, NULL, &fault) < 0) {
        golden_fail(&s->schemas, "%s: %s", name, e.status ? e.text : fault.what);
        buf_release(&b);
        return;
    }
    const char *p = b.p, *end = b.p + b.n;
    while (p < end && *p != '[')
        p++;
    while (end > p && end[-1] != ']')
        end--;
    struct json_iter it = json_iter((struct str){p, (size_t)(end - p)});
    while (json_next(&it, NULL, &group))
        run_group(s, name, group);
    buf_release(&b);
}

int main(int argc, char **argv)
{
    char pattern[4096];
    glob_t files;
    struct suite s = {.schemas = {.kind = "jsonschema schemas"},
                      .data = {.kind = "jsonschema data"}};
    snprintf(pattern, sizeof pattern, "%s/conformance/jsonschema/*.json",
             argc > 2 ? argv[2] : "");
    if (glob(pattern, 0, NULL, &files) != 0) {
        printf("%s: no such files\n", pattern);
        s.schemas.skipped = 1;
    } else {
        for (size_t i = 0; i < files.gl_pathc; i++)
            run_file(&s, files.gl_pathv[i]);
        globfree(&files);
        printf(
            "jsonschema: %d schemas taken, %d refused by a keyword's name; %d data are valid "
            "there in spite of their format\n",
            s.taken, s.refused, s.formats);
    }
    golden_report(&s.schemas);
    golden_report(&s.data);
    return golden_done();
}
