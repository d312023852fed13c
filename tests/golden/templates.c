/* templates.c - the chat templates and their reference renderings (material/templates). */
#include "golden.h"

#include "base/file.h"
#include "rec/json.h"
#include "text/jinja.h"

#include <stdlib.h>

/* The time that the reference was made at. */
static const struct jinja_time now = {2025, 3, 4, 5, 6, 7};

struct source {
    char name[256];
    struct jinja *template;
    bool refused; /* when it was read: every case of it is an error */
};

/* Cases of one template stand together, so that one is kept. */
static bool find_template(struct source *s, const char *folder, struct str id, struct err *e)
{
    struct file_map m;
    struct buf name = {0}, path = {0};
    json_decode(&name, id);
    if (s->name[0] && str_is(buf_str(&name), s->name)) {
        buf_release(&name);
        return true;
    }
    jinja_free(s->template);
    *s = (struct source){0};
    snprintf(s->name, sizeof s->name, "%s", name.p);
    buf_printf(&path, "%s/templates/%s.jinja", folder, name.p);
    bool read = file_map(&m, path.p, e) == 0;
    if (read) {
        s->template = jinja_new(s->name, (struct str){m.p, m.n}, e);
        s->refused = !s->template;
        file_unmap(&m);
    }
    buf_release(&path);
    buf_release(&name);
    return read;
}

enum { VARS_MAX = 64 };

/* The members of kwargs are variables of their own. */
static size_t set_vars(struct jinja_var *vars, char names[][64], struct str line)
{
    static const char *const plain[] = {"messages", "tools", "add_generation_prompt",
                                        "bos_token", "eos_token"};
    struct str kwargs, key, item;
    size_t n = 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (json_get(line, plain[i], &item))
            vars[n++] = (struct jinja_var){.name = plain[i], .json = item};
    vars[n++] = (struct jinja_var){.name = "documents", .json = STR("null")};
    if (!json_get(line, "kwargs", &kwargs) || json_kind(kwargs) != JSON_OBJECT)
        return n;
    for (struct json_iter it = json_iter(kwargs);
         n < VARS_MAX && json_next(&it, &key, &item);) {
        snprintf(names[n], sizeof names[n], "%.*s", (int)key.n - 2, key.p + 1);
        vars[n] = (struct jinja_var){.name = names[n], .json = item};
        n++;
    }
    return n;
}

static void check_case(struct golden_count *c, struct source *s, const char *folder,
                       struct str line)
{
    struct str id, template, expected = {0}, error = {0};
    struct jinja_var vars[VARS_MAX];
    char names[VARS_MAX][64];
    struct buf out = {0}, want = {0};
    struct err e = {0};
    if (!json_get(line, "id", &id) || !json_get(line, "template", &template) ||
        json_get(line, "expected", &expected) == json_get(line, "error", &error)) {
        golden_fail(c, "a case that is none: %.*s", (int)line.n, line.p);
        return;
    }
    if (!find_template(s, folder, template, &e)) {
        golden_fail(c, "%.*s: %s", (int)id.n, id.p, e.text);
        return;
    }
    size_t n = set_vars(vars, names, line);
    bool failed = s->refused || jinja_render(s->template, vars, n, &now, NULL, &out, &e) < 0;
    if (expected.n)
        json_decode(&want, expected);
    if (failed ? error.n > 0 : expected.n && str_eq(buf_str(&want), buf_str(&out)))
        c->passed++;
    else if (failed)
        golden_fail(c, "%.*s: %s", (int)id.n, id.p, e.text);
    else
        golden_fail(c, "%.*s: rendered\n%.*s\ninstead of\n%.*s", (int)id.n, id.p, (int)out.n,
                    out.p, (int)(expected.n ? want.n : 8), expected.n ? want.p : "an error");
    buf_release(&out);
    buf_release(&want);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "templates"};
    struct source s = {0};
    struct err e = {0};
    struct file_map m;
    char folder[4096], path[4200];
    snprintf(folder, sizeof folder, "%s/templates", argc > 2 ? argv[2] : ".");
    snprintf(path, sizeof path, "%s/cases.jsonl", folder);
    if (!golden_have(path)) {
        printf("golden/templates: skipped: no %s\n", path);
        c.skipped++;
    } else if (file_map(&m, path, &e) < 0) {
        golden_fail(&c, "%s", e.text);
    } else {
        for (const char *p = m.p, *end = m.p + m.n; p < end;) {
            const char *lf = memchr(p, '\n', (size_t)(end - p));
            check_case(&c, &s, folder, (struct str){p, (size_t)((lf ? lf : end) - p)});
            p = lf ? lf + 1 : end;
        }
        file_unmap(&m);
    }
    jinja_free(s.template);
    golden_report(&c);
    return golden_done();
}
