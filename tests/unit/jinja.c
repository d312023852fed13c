/* jinja.c - the template language: cases in three lines, limits, hostile sources, threads. */
#include "unit.h"

#include "base/file.h"
#include "rec/json.h"
#include "text/jinja.h"

#include <pthread.h>
#include <stdlib.h>

static const struct jinja_time now = {2025, 3, 4, 5, 6, 7};

enum { VARS_MAX = 32 };

struct vars {
    struct jinja_var v[VARS_MAX];
    char names[VARS_MAX][32];
    size_t n;
};

/* The members of an object, which has to live as long. */
static void set_vars(struct vars *l, struct str object)
{
    struct str key, item;
    l->n = 0;
    for (struct json_iter it = json_iter(object); json_next(&it, &key, &item); l->n++) {
        snprintf(l->names[l->n], sizeof l->names[0], "%.*s", (int)key.n - 2, key.p + 1);
        l->v[l->n] = (struct jinja_var){.name = l->names[l->n], .json = item};
    }
}

static int render(struct str source, const struct vars *l, const struct jinja_limits *limits,
                  struct buf *out, struct err *e)
{
    struct jinja *t = jinja_new("case", source, e);
    int rc = t ? jinja_render(t, l->v, l->n, &now, limits, out, e) : -1;
    jinja_free(t);
    return rc;
}

/* ---- tests/unit/jinja.txt ---- */

static void unescape(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c != '\\') {
            buf_putc(b, c);
        } else if (s.p[++i] == 'u') {
            buf_put_utf8(
                b, (uint32_t)strtoul(
                       (char[]){s.p[i + 1], s.p[i + 2], s.p[i + 3], s.p[i + 4], 0}, NULL, 16));
            i += 4;
        } else {
            buf_putc(b, s.p[i] == 'n'   ? '\n'
                        : s.p[i] == 't' ? '\t'
                        : s.p[i] == 'r' ? '\r'
                                        : '\\');
        }
    }
}

static void check_case(const struct vars *l, struct str template, struct str result, int line)
{
    struct buf source = {0}, want = {0}, got = {0};
    struct err e = {0};
    bool fails = result.n && result.p[0] == '!';
    unescape(&source, template);
    if (result.n > 2)
        unescape(&want, (struct str){result.p + 2, result.n - 2});
    int rc = render(buf_str(&source), l, NULL, &got, &e);
    CHECK_MSG(fails ? rc < 0 : rc == 0 && str_eq(buf_str(&got), buf_str(&want)),
              "jinja.txt:%d: %.*s gives '%s', not '%.*s'", line, (int)template.n, template.p,
              rc < 0  ? e.text
              : got.p ? got.p
                      : "",
              (int)result.n, result.p);
    buf_release(&source);
    buf_release(&want);
    buf_release(&got);
}

static void test_cases(void)
{
    struct file_map m;
    struct err e = {0};
    struct vars l = {.n = 0};
    struct str template = {0};
    char path[256];
    snprintf(path, sizeof path, "%.*stxt", (int)strlen(__FILE__) - 1, __FILE__);
    if (file_map(&m, path, &e) < 0) {
        CHECK_MSG(false, "%s", e.text);
        return;
    }
    int line = 0;
    for (const char *p = m.p, *end = m.p + m.n, *lf; p < end; p = lf + 1) {
        lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf)
            break;
        struct str s = {p, (size_t)(lf - p)};
        line++;
        if (template.n) {
            check_case(&l, template, s, line);
            template.n = 0;
        } else if (s.n > 5 && !memcmp(s.p, "vars ", 5)) {
            set_vars(&l, (struct str){s.p + 5, s.n - 5});
        } else if (s.n && s.p[0] != '#') {
            template = s;
        }
    }
    file_unmap(&m);
}

/* ---- limits: each ends in an error, soon ---- */

/* n times `part` between head and tail. */
static struct buf repeated(const char *head, const char *part, int n, const char *tail)
{
    struct buf b = {0};
    buf_puts(&b, head);
    for (int i = 0; i < n; i++)
        buf_puts(&b, part);
    buf_puts(&b, tail);
    return b;
}

static void check_refused(struct str source, const char *why)
{
    struct vars l = {.n = 0};
    struct jinja_limits limits = {.steps = 300000, .output = 1 << 20};
    struct buf out = {0};
    struct err e = {0};
    buf_puts(&out, "kept");
    int rc = render(source, &l, &limits, &out, &e);
    CHECK_MSG(rc < 0 && strstr(e.text, why) && !strncmp(e.text, "case:", 5),
              "%.60s: '%s' does not say '%s'", source.p, e.text, why);
    CHECK(str_is(buf_str(&out), "kept"));
    buf_release(&out);
}

static void test_deep_sources(void)
{
    static const struct {
        const char *head, *part, *tail, *why;
        int n;
    } deep[] = {
        {"{{ ", "(", "", "nested too deeply", 100000},
        {"{{ ", "[", "", "nested too deeply", 100000},
        {"{{ ", "{1:", "", "nested too deeply", 100000},
        {"{{ ", "-", "1 }}", "deeper", 100000},
        {"{{ ", "not ", "1 }}", "deeper", 100000},
        {"{{ ", "1 if 0 else ", "1 }}", "deeper", 100000},
        {"{{ ", "1 + ", "1 }}", "operators", 100000},
        {"{{ 1", "|string", " }}", "operators", 100000},
        {"{{ a", ".b", " }}", "operators", 100000},
        {"{{ a", "[0]", " }}", "operators", 100000},
        {"{{ a", "()", " }}", "operators", 100000},
        {"{{ 1", " if 1", " }}", "operators", 100000},
        {"{{ 1", " and 1", " }}", "operators", 100000},
        {"{% if 0 %}", "{% elif 0 %}", "{% endif %}", "elif", 100000},
        {"", "{% if 1 %}", "", "deeper", 100000},
        {"", "{% for i in [1] %}", "", "deeper", 100000},
        {"", "{% macro f() %}", "", "deeper", 100000},
        {"", "{% set x %}", "", "deeper", 100000},
        {"", "{% call f() %}", "", "deeper", 100000},
    };
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        struct buf b = repeated(deep[i].head, deep[i].part, deep[i].n, deep[i].tail);
        check_refused(buf_str(&b), deep[i].why);
        buf_release(&b);
    }
}

static void test_limits(void)
{
    static const struct {
        const char *source, *why;
    } limited[] = {
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "macros call each other"},
        {"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ g() "
         "}}",
         "macros call each other"},
        {"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "a loop calls itself"},
        {"{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(99) "
         "}}",
         "steps"},
        {"{% for i in range(10**9) %}{% endfor %}", "a range of more"},
        {"{% for i in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}",
         "steps"},
        {"{% for i in range(99999) %}{{ 'a' * 9999 }}{% endfor %}", "bytes of output"},
        {"{% set x = 'a' * 10**9 %}", "a text of more"},
        {"{% set x = ['a'] * 10**12 %}", "steps"},
        {"{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}"
         "{% endfor %}{{ n.x }}",
         "more than"},
        {"{% set n = namespace(x='ab') %}{% for i in range(99) %}"
         "{% set n.x = n.x|replace('a', 'aa') %}{% endfor %}",
         "more than"},
        {"{{ range(9999)|join('a' * 9999) }}", "a text of more"},
        {"{{ 'a'|center(10**12) }}{{ 'a'.ljust(10**12) }}", "a text of more"},
        {"{{ 'a\\nb'|indent(10**12) }}", "a text of more"},
        {"{{ '%999999999d' % 1 }}", "a width"},
        {"{{ '{:999999999}'.format(1) }}", "a width"},
        {"{% set n = namespace(x=1) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor "
         "%}"
         "{{ n.x }}",
         "nested too deeply"},
        {"{% set n = namespace(x=1) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor "
         "%}"
         "{{ n.x|tojson }}",
         "nested too deeply"},
        {"{% set n = namespace(x=1, y=1) %}{% for i in range(9999) %}{% set n.x = [n.x] %}"
         "{% set n.y = [n.y] %}{% endfor %}{{ n.x == n.y }}",
         "nested too deeply"},
        {"{% set n = namespace() %}{% set n.x = n %}{{ n }}", "nested too deeply"},
        {"{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
         "{% endfor %}{{ n.x|string|length }}",
         "more than"},
        {"{% set n = namespace(x=[1]) %}{% for i in range(9999) %}{% set n.x = "
         "n.x|map('string') %}"
         "{% endfor %}{{ n.x|list }}",
         "nested too deeply"},
        {"{{ 2 ** 999999999 }}", "64 bits"},
        {"{{ 9223372036854775807 + 1 }}", "64 bits"},
        {"{{ 'x'.__class__.__mro__ }}", "out of a template's reach"},
        {"{{ ''['__class__'].x }}", "out of a template's reach"},
        {"{{ '{0.__class__.__mro__}'.format(1) }}", "out of a template's reach"},
        {"{{ [].append(1) }}", "out of a template's reach"},
        {"{{ {}.update(a=1) }}", "out of a template's reach"},
        {"{% include 'x' %}", "no other templates"},
        {"{{ raise_exception('why') }}", "why"},
    };
    for (size_t i = 0; i < sizeof limited / sizeof *limited; i++)
        check_refused(str_of(limited[i].source), limited[i].why);
}

static void test_messages(void)
{
    struct vars l = {.n = 0};
    struct buf out = {0};
    struct err e = {0};
    CHECK(render(STR("a\n  {{ b.c }}"), &l, NULL, &out, &e) < 0 && e.status == EXIT_DATA);
    CHECK_MSG(str_is(str_of(e.text), "case:2:6: 'b' is undefined"), "%s", e.text);
    CHECK(render(STR("a\n  {% if %}"), &l, NULL, &out, &e) < 0 && e.status == EXIT_CONFIG);
    CHECK_MSG(!strncmp(e.text, "case:2:9: ", 10), "%s", e.text);
    CHECK(render(STR("\xff"), &l, NULL, &out, &e) < 0 && e.status == EXIT_CONFIG);
    /* a message that does not fit is cut between characters */
    CHECK(render(STR("{{ raise_exception('x' ~ '\xe2\x82\xac' * 500) }}"), &l, NULL, &out, &e) <
          0);
    CHECK(utf8_check(e.text, strlen(e.text)));
    buf_release(&out);
}

/* ---- every cut and some damage of a template that uses all there is ---- */

static const char everything[] =
    "{#- all -#}{% macro f(a, b=2) -%}{{ a ~ b }}{{ caller(1) if caller }}{%- endmacro %}\n"
    "{%- set ns = namespace(x=[], y='é') %}{% set t %}{{ 'a\\u00e9\\n' | upper }}{% endset %}\n"
    "{%- for k, v in {'a': 1, 'b': [1.5, none]}.items() if (v is not none) recursive -%}\n"
    "  {%- if loop.first and not loop.last %}{{ loop.index0 }}{% continue %}{% elif k == 'b' "
    "-%}\n"
    "  {{- v[0] // 1 ** 2 - -3 % 2 }}{% else %}{{ loop(v) }}{% break %}{% endif %}\n"
    "{% else %}none{% endfor %}{% call(x) f(1, *[2]) %}[{{ x }}]{% endcall %}\n"
    "{% filter replace('a', \"b\") | indent(2, first=true) %}a\n{% endfilter %}\n"
    "{% with q = (1, 2)[::-1], r = {1: 2}.get(1) %}{{ q }}{{ r in [2] }}{% endwith %}\n"
    "{% set ns.x = ns.x + [\"%s-%05.1f\" % ('é', 2.5)] %}{{ '{0:>4}{a!r}'.format(1, a='b') }}\n"
    "{% raw %}{{ x }}{% endraw +%}{% generation %}{{ ns | string | length > 1 }}{% "
    "endgeneration %}\n"
    "{{ [3, 1]|sort|map('string')|join(',') }}{{ {'k': [1, 'é']} | tojson(indent=1) }}\n"
    "{{ strftime_now('%Y-%m-%d') }}{{ range(3)|selectattr('x', 'undefined')|list }}\n";

static void test_damage(void)
{
    struct vars l = {.n = 0};
    struct buf out = {0}, source = {0};
    struct err e = {0};
    size_t n = sizeof everything - 1, fine = 0;
    CHECK_MSG(render((struct str){everything, n}, &l, NULL, &out, &e) == 0, "%s", e.text);
    for (size_t i = 0; i < n; i++) { /* a copy of its own size, so that reading on is seen */
        char *cut = xmalloc(i + 1);
        memcpy(cut, everything, i);
        buf_clear(&out);
        fine += render((struct str){cut, i}, &l, NULL, &out, &e) == 0;
        free(cut);
    }
    CHECK(fine > 0 && fine < n);
    static const char bytes[] = "%{}#-'\"( |.[1";
    for (size_t i = 0; i < n; i++) {
        buf_clear(&source);
        buf_add(&source, everything, n);
        source.p[i] = bytes[i % (sizeof bytes - 1)];
        buf_clear(&out);
        int rc = render(buf_str(&source), &l, NULL, &out, &e);
        CHECK(rc == 0 || strlen(e.text) > 0);
    }
    buf_release(&out);
    buf_release(&source);
}

/* ---- one template, several threads ---- */

static void *render_often(void *arg)
{
    const struct jinja *t = arg;
    struct str json = STR("[{\"role\":\"user\",\"content\":\"h\\u00e9llo\"}]");
    struct jinja_var var = {.name = "messages", .json = json};
    struct buf out = {0};
    size_t good = 0;
    for (int i = 0; i < 200; i++) {
        buf_clear(&out);
        good += jinja_render(t, &var, 1, &now, NULL, &out, NULL) == 0 &&
                str_is(buf_str(&out), "user: HÉLLO 0\n");
    }
    buf_release(&out);
    return good == 200 ? NULL : arg;
}

static void test_threads(void)
{
    struct err e = {0};
    struct jinja *t = jinja_new(
        "threads",
        STR("{% for m in messages %}{{ m.role }}: {{ m.content|upper }} "
            "{{ loop.index0 }}\n{% endfor %}"),
        &e);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&thread[i], NULL, render_often, t) == 0);
    for (int i = 0; i < 4; i++) {
        void *failed = t;
        CHECK(pthread_join(thread[i], &failed) == 0 && !failed);
    }
    jinja_free(t);
}

int main(void)
{
    test_cases();
    test_deep_sources();
    test_limits();
    test_messages();
    test_damage();
    test_threads();
    return unit_done("jinja");
}
