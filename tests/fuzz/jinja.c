/* jinja.c - a template, NUL and a JSON value for its variable `data`: parsed, rendered twice
 * within limits.
 */
#include "fuzz.h"

#include "rec/json.h"
#include "text/jinja.h"

static const char messages[] =
    "[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"Hi "
    "\\u00e9"
    "\\n "
    "<b>\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\","
    "\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.5,\"y\":[true,null,-3]}}}]},"
    "{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"4\"}]}]";
static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":"
    "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"}},\"required\":[\"x\"]}}}"
    "]";

static int render(const struct jinja *t, struct str data, struct buf *out, struct err *e)
{
    const struct jinja_var vars[] = {
        {.name = "messages", .json = {messages, sizeof messages - 1}},
        {.name = "tools", .json = {tools, sizeof tools - 1}},
        {.name = "add_generation_prompt", .json = STR("true")},
        {.name = "bos_token", .text = STR("<s>")},
        {.name = "eos_token", .text = STR("</s>")},
        {.name = "data", .json = data},
    };
    static const struct jinja_time now = {2025, 3, 4, 5, 6, 7};
    static const struct jinja_limits limits = {.steps = 100000, .output = 1 << 20};
    *e = (struct err){0};
    return jinja_render(t, vars, sizeof vars / sizeof *vars, &now, &limits, out, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct err e = {0}, e2 = {0};
    struct buf a = {0}, b = {0};
    struct json_fault fault;
    struct str data, source = fuzz_cut(fuzz_input(p, n), &data);
    if (!data.n || json_check(data.p, data.n, NULL, &fault) < 0 ||
        strchr(" \t\r\n", data.p[0]) || strchr(" \t\r\n", data.p[data.n - 1]))
        data = STR("{\"a\":[1,2.5,\"x\"],\"b\":{}}");
    struct jinja *t = jinja_new("fuzz", source, &e);
    if (t) {
        int rc = render(t, data, &a, &e);
        HOLDS(rc == 0 || (e.status == EXIT_DATA && *e.text && a.n == 0));
        HOLDS(utf8_check(a.p, a.n) && a.n <= 1 << 20);
        HOLDS(render(t, data, &b, &e2) == rc && str_eq(buf_str(&a), buf_str(&b)));
    } else {
        HOLDS(e.status == EXIT_CONFIG && *e.text && !strchr(e.text, '\n'));
    }
    jinja_free(t);
    buf_release(&a);
    buf_release(&b);
    return 0;
}
