/* jinja.c - templates: parsed once, rendered by any number of threads. */
#include "text/jinja_run.h"

#include "rec/json.h"

#include <stdlib.h>

enum { STEPS = 10 * 1000 * 1000, OUTPUT = 64 << 20, MEMORY = 256 << 20 };

struct jinja *jinja_new(const char *name, struct str source, struct err *e)
{
    struct jinja *t = xcalloc(1, sizeof *t);
    t->name = xstrdup(name);
    t->j = xcalloc(1, sizeof *t->j);
    *t->j = (struct jj){.name = t->name, .status = EXIT_CONFIG, .err = e, .at = {1, 1}};
    t->j->memory_max = 4 * (size_t)MEMORY;
    if (setjmp(t->j->exit)) {
        jinja_free(t);
        return NULL;
    }
    if (source.n > JJ_SOURCE_MAX)
        jj_fail(t->j, "a template of more than %d bytes", JJ_SOURCE_MAX);
    if (!utf8_check(source.p, source.n))
        jj_fail(t->j, "a template that is not UTF-8");
    jj_parse(t, source);
    return t;
}

void jinja_free(struct jinja *t)
{
    if (!t)
        return;
    jj_release(t->j);
    free(t->j);
    free(t->name);
    free(t);
}

/* A variable of the context is decoded when the template first asks for it. */
struct jj_val jj_global(struct jj *j, const struct jj_name *name)
{
    struct jj_val *v = &j->context[name->id];
    const struct jinja_var *var = j->vars[name->id];
    if (jj_given(*v))
        return *v;
    if (var) {
        *v = var->json.n ? jj_from_json(j, var->json)
                         : jj_text_borrow(j, var->text.p, var->text.n);
    } else {
        const struct jj_func *f = jj_find_global(name->s);
        if (f)
            *v = (struct jj_val){.t = T_FUNC, .func = f};
    }
    return *v;
}

static void set_context(struct jj *j, const struct jinja_var *vars, size_t n)
{
    size_t names = j->t->n_names;
    j->vars = jj_zalloc(j, names * sizeof *j->vars);
    j->context = jj_zalloc(j, names * sizeof *j->context); /* T_MISSING is 0 */
    for (size_t i = 0; i < n; i++) {
        const struct jj_name *name = jj_find_name(j->t, str_of(vars[i].name));
        if (name)
            j->vars[name->id] = &vars[i];
    }
}

int jinja_render(const struct jinja *t, const struct jinja_var *vars, size_t n,
                 const struct jinja_time *now, const struct jinja_limits *limits,
                 struct buf *out, struct err *e)
{
    return jinja_render_marked(t, vars, n, now, limits, out, NULL, e);
}

int jinja_render_marked(const struct jinja *t, const struct jinja_var *vars, size_t n,
                        const struct jinja_time *now, const struct jinja_limits *limits,
                        struct buf *out, struct jinja_marks *marks, struct err *e)
{
    struct jj *j = xcalloc(1, sizeof *j);
    size_t before = out->n;
    int rc = -1;
    *j = (struct jj){.name = t->name, .status = EXIT_DATA, .err = e, .at = {1, 1}, .t = t};
    j->now = now;
    j->out = j->final = out;
    j->marks = marks;
    j->begin = before;
    j->steps_max = limits && limits->steps ? limits->steps : STEPS;
    j->written_max = limits && limits->output ? limits->output : OUTPUT;
    j->memory_max = MEMORY;
    if (!setjmp(j->exit)) {
        set_context(j, vars, n);
        j->act = jj_act_new(j, &t->code, NULL);
        jj_enter(j, &t->scope);
        jj_exec(j, &t->body);
        rc = 0;
    }
    if (rc && out->p) {
        out->n = before;
        out->p[before] = 0;
    }
    jj_release(j);
    free(j);
    return rc;
}

bool jinja_has_generation(const struct jinja *t)
{
    return t->has_generation;
}

void jinja_marks_release(struct jinja_marks *m)
{
    free(m->v);
    *m = (struct jinja_marks){0};
}
