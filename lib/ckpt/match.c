/* match.c - module names against the patterns of an adapter's configuration. */
#include "ckpt/match.h"

#include "base/buf.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum {
    PATTERN_BYTES = 4096,
    PATTERNS = 1 << 16, /* as many as the largest model has modules, and more */
    REGEXES = 1024,     /* of them with operators: compiling takes its time too */
    NESTING = 50,
    STEPS = 1 << 23, /* of all patterns on all names: a second or less */
    HEAP_KIB = 4096,
};

struct pattern {
    enum match_form form;
    char *text;
    pcre2_code *code; /* NULL: no operators but '.' */
};

struct matcher {
    struct pattern *v;
    size_t n, cap;
    pcre2_compile_context *compile;
    pcre2_match_context *match;
    pcre2_match_data *data;
    int32_t regexes, steps; /* left */
};

static int count_step(pcre2_callout_block *block, void *arg)
{
    struct matcher *m = arg;
    (void)block;
    return m->steps-- > 0 ? 0 : PCRE2_ERROR_CALLOUT;
}

struct matcher *matcher_new(void)
{
    struct matcher *m = xcalloc(1, sizeof *m);
    m->regexes = REGEXES;
    m->steps = STEPS;
    m->compile = pcre2_compile_context_create(NULL);
    m->match = pcre2_match_context_create(NULL);
    m->data = pcre2_match_data_create(1, NULL);
    if (!m->compile || !m->match || !m->data)
        die(EXIT_OS, "out of memory");
    pcre2_set_parens_nest_limit(m->compile, NESTING);
    pcre2_set_heap_limit(m->match, HEAP_KIB);
    pcre2_set_callout(m->match, count_step, m);
    return m;
}

void matcher_free(struct matcher *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        free(m->v[i].text);
        pcre2_code_free(m->v[i].code);
    }
    free(m->v);
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->match);
    pcre2_compile_context_free(m->compile);
    free(m);
}

static bool is_plain(const char *s)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    return s[strspn(s, plain)] == '\0';
}

static pcre2_code *compile(struct matcher *m, enum match_form form, const char *pattern,
                           struct err *e)
{
    struct buf b = {0};
    int code;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_ANCHORED | PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_AUTO_CALLOUT;
    buf_printf(&b, form == MATCH_TAIL ? "(.*\\.)?(%s)$" : "%s", pattern);
    if (form == MATCH_WHOLE)
        options |= PCRE2_ENDANCHORED;
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)b.p, b.n, options, &code, &at, m->compile);
    buf_release(&b);
    if (!c) {
        char text[128] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        err_set(e, EXIT_CONFIG, "pattern \"%.80s\": %s", pattern, text);
    }
    return c;
}

int matcher_add(struct matcher *m, enum match_form form, const char *pattern, struct err *e)
{
    struct pattern p = {.form = form};
    bool plain = is_plain(pattern);
    if (strlen(pattern) > PATTERN_BYTES)
        return err_set(e, EXIT_CONFIG, "pattern \"%.40s...\": more than %d bytes", pattern,
                       PATTERN_BYTES);
    if (m->n == PATTERNS || (!plain && m->regexes-- == 0))
        return err_set(e, EXIT_CONFIG, "more than %d patterns, or %d that are more than a name",
                       PATTERNS, REGEXES);
    if (!plain) {
        p.code = compile(m, form, pattern, e);
        if (!p.code)
            return -1;
    }
    p.text = xstrdup(pattern);
    GROW(m->v, m->cap, m->n + 1);
    m->v[m->n] = p;
    return (int)m->n++;
}

/* Letters as they are, '.' for any character. */
static bool same_text(const char *pattern, const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pattern[i] != '.' && pattern[i] != name[i])
            return false;
    return true;
}

static bool test_plain(const struct pattern *p, const char *name)
{
    size_t n = strlen(p->text), all = strlen(name);
    if (p->form == MATCH_WHOLE)
        return n == all && same_text(p->text, name, n);
    return n <= all && (n == all || name[all - n - 1] == '.') &&
           same_text(p->text, name + all - n, n);
}

int matcher_test(struct matcher *m, int pattern, const char *name, struct err *e)
{
    const struct pattern *p = &m->v[pattern];
    int rc = PCRE2_ERROR_CALLOUT;
    if (m->steps > 0 && p->code)
        rc = pcre2_match(p->code, (PCRE2_SPTR)name, strlen(name), 0, 0, m->data, m->match);
    else if (m->steps-- > 0)
        return test_plain(p, name);
    if (rc >= 0)
        return 1;
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    return err_set(e, EXIT_CONFIG, "pattern \"%.80s\" takes too many steps on \"%s\"", p->text,
                   name);
}
