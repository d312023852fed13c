/* strategy.c - tests of strategy files and of what they make of a record. */
#include "unit.h"

#include "text/format.h"
#include "text/strategy.h"

#include <stdlib.h>

static struct err e;

static struct strategies *parse(const char *json)
{
    e = (struct err){0};
    return strategies_parse("t.json", str_of(json), &e);
}

/* True if the file is refused with these words, as what cannot be used. */
static bool refused(const char *json, const char *words)
{
    struct strategies *s = parse(json);
    strategies_free(s);
    if (s || e.status != EXIT_CONFIG || !strstr(e.text, words)) {
        fprintf(stderr, "  %s: %s\n", json, s ? "taken" : e.text);
        return false;
    }
    return true;
}

static bool template_refused(const char *template, const char *words)
{
    struct buf b = {0};
    buf_puts(&b, "{\"strategies\":{\"s\":{\"user_template\":");
    json_quote(&b, str_of(template));
    buf_puts(&b, "}}}");
    bool r = refused(b.p, words);
    buf_release(&b);
    return r;
}

static void test_files(void)
{
    CHECK(refused("", "t.json: line 1, column 1: "));
    CHECK(refused("{\n \"a\": }", "t.json: line 2, column 7: "));
    CHECK(refused("[]", "not a strategy file"));
    CHECK(refused(" {\"strategies\": []}", "not a strategy file"));
    CHECK(refused("{\"strategies\": {}}", "\"strategies\" is empty"));
    CHECK(refused("{\"strategies\":{\"s\":3}}", "strategy \"s\": must be an object"));
    CHECK(refused("{\"strategies\":{\"s\":{}}}", "strategy \"s\": user_template is missing"));
    CHECK(refused("{\"strategies\":{\"s\":{\"user_template\":3}}}", "must be a string"));
    CHECK(refused("{\"strategies\":{\"s\":{\"user_template\":\"\",\"system_prompt\":[]}}}",
                  "system_prompt must be a string"));
    CHECK(refused("{\"strategies\":{\"s\":{\"user_template\":\"\\ud800\"}}}", "surrogate"));
    CHECK(refused("{\"strategies\":{\"s\":{\"user_template\":\"\",\"parameters\":[]}}}",
                  "parameters must be an object"));
    CHECK(refused("{\"strategies\":{\"s\":{\"user_template\":\"\"},"
                  "\"s\":{\"user_template\":\"\"}}}",
                  "\"s\" stands there twice"));
    CHECK(!strategies_load("/nowhere/t.json", &e) && e.status == EXIT_NOINPUT);
}

static void test_templates(void)
{
    CHECK(template_refused("a\nb }", "strategy \"s\": user_template, line 2, column 3: '}'"));
    CHECK(template_refused("\xc3\xa9\xe2\x82\xac{x", "line 1, column 3: '{' is never closed"));
    CHECK(template_refused("{a{b}}", "column 3: '{' inside a field"));
    CHECK(template_refused("x {text:{w}", "column 3: '{' is never closed"));
    CHECK(template_refused("{\n  \"label\": 1}", "conversions and format specs"));
    CHECK(template_refused("{a b}", "blanks"));
    CHECK(template_refused("{}", "a position"));
    CHECK(template_refused("{12}", "positions"));
    CHECK(template_refused("{a[0]}", "attributes and indexes"));
}

static const char *const file =
    "\xef\xbb\xbf{\"version\": 3, \"strategies\": {\n"
    " \"plain\": {\"name\": \"x\", \"description\": \"the short one\",\n"
    "  \"system_prompt\": \"Be {brief} \\\"\\u00e9\\\"\\n\", \"user_template\": \"<{a}{b}>\",\n"
    "  \"parameters\": {\"top_p\" : 1.10, \"x\\\\\": \" \\\" \" ,\n \"n\":[ 1e400 ]}},\n"
    " \"bare\": {\"user_template\": \"{a}\", \"system_prompt\": null, \"parameters\": {}},\n"
    " \"empty\": {\"user_template\": \"\", \"system_prompt\": \"\"}}}\n";

static void test_looking(void)
{
    struct strategies *s = parse(file);
    CHECK(s && strategies_count(s) == 3);
    if (!s)
        return;
    CHECK(!strcmp(strategy_name(s, 0), "plain") && !strcmp(strategy_name(s, 2), "empty"));
    CHECK(!strcmp(strategy_description(s, 0), "the short one") && !*strategy_description(s, 1));
    CHECK(str_is(strategy_params(s, 0), "{\"top_p\":1.10,\"x\\\\\":\" \\\" \",\"n\":[1e400]}"));
    CHECK(strategy_params(s, 1).n == 0 && strategy_params(s, 2).n == 0);
    CHECK(strategy_find(s, "bare", &e) == 1);
    CHECK(strategy_find(s, "bear", &e) < 0 && e.status == EXIT_USAGE);
    CHECK(!strcmp(e.text, "no strategy \"bear\"; there are plain, bare, empty"));
    CHECK(strategy_find(s, NULL, &e) < 0 && e.status == EXIT_USAGE);
    CHECK(!strcmp(e.text, "3 strategies; choose one with -s: plain, bare, empty"));
    strategies_free(s);

    struct buf many = {0};
    for (int i = 0; i < 500; i++)
        buf_printf(&many, "%s\"strategy_%d\":{\"user_template\":\"\"}",
                   i ? "," : "{\"strategies\":{", i);
    buf_puts(&many, "}}");
    s = parse(many.p);
    CHECK(s && strategy_find(s, "strategy_499", &e) == 499);
    CHECK(s && strategy_find(s, "x", &e) < 0 && strstr(e.text, "strategy_20, strategy_21") &&
          strstr(e.text, ", …"));
    strategies_free(s);
    s = parse("{\"strategies\":{\"only\":{\"user_template\":\"\"}}}");
    CHECK(s && strategy_find(s, NULL, &e) == 0);
    strategies_free(s);
    buf_release(&many);
}

/* What strategy i makes of the record, or "type: message"; to be freed. */
static char *fill(struct strategies *s, size_t i, const char *record,
                  const struct field_value *set, size_t n_set, const char *answer)
{
    struct rec rec = {.line = str_of(record), .file = "r"};
    struct buf out = {0};
    const char *type = "?";
    rec_parse(&rec);
    if (strategy_render(s, i, &rec, set, n_set, &out, &type, &e) < 0 ||
        (answer && strategy_add_answer(&rec, answer, &out, &type, &e) < 0)) {
        buf_clear(&out);
        buf_printf(&out, "%s: %s", type, e.text);
    }
    rec_release(&rec);
    return out.p;
}

#define FILLS(want, ...)                                            \
    do {                                                            \
        char *got = fill(__VA_ARGS__);                              \
        CHECK_MSG(!strcmp(got, (want)), "%s, not %s", got, (want)); \
        free(got);                                                  \
    } while (0)
#define SYSTEM "[{\"role\":\"system\",\"content\":\"Be {brief} \\\"\xc3\xa9\\\"\\n\"},"
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"

static void test_filling(void)
{
    struct strategies *s = parse(file);
    CHECK(s);
    if (!s)
        return;
    FILLS(SYSTEM USER("<x{b}\\n12345678901234567890>") "]", s, 0,
          "{\"a\":\"x{b}\\n\",\"b\":12345678901234567890}", NULL, 0, NULL);
    FILLS(SYSTEM USER("<[1, \\\"\\\\n\\\"]true>") "]", s, 0, "{\"b\":true,\"a\":[1, \"\\n\"]}",
          NULL, 0, NULL);
    FILLS("[" USER("\xc3\xa9") "]", s, 1, "{\"a\":1,\"\\u0061\":\"\\u00e9\"}", NULL, 0, NULL);
    FILLS("[{\"role\":\"system\",\"content\":\"\"}," USER("") "]", s, 2, "{}", NULL, 0, NULL);

    FILLS("missing_field: field \"b\" missing; the record has a, c d", s, 0,
          "{\"a\":1,\"c d\":2}", NULL, 0, NULL);
    FILLS("missing_field: field \"a\" missing; the record has none", s, 1, "{}", NULL, 0, NULL);
    FILLS("missing_field: field \"a\" is null", s, 1, "{\"a\":null}", NULL, 0, NULL);
    FILLS("bad_text: field \"a\" holds half a surrogate pair, which is no text", s, 1,
          "{\"a\":\"\\udc00\"}", NULL, 0, NULL);

    const struct field_value set[] = {
        {STR("a"), STR("{b}")}, {STR("b"), STR("1")}, {STR("b"), STR("2")}};
    FILLS(SYSTEM USER("<{b}2>") "]", s, 0, "{\"b\":\"mine\"}", set, 3, NULL);
    FILLS("[" USER("1") ",{\"role\":\"assistant\",\"content\":\"spam\"}]", s, 1,
          "{\"a\":1,\"label\":\"spam\"}", NULL, 0, "label");
    FILLS("missing_field: field \"label\" missing; the record has a", s, 1, "{\"a\":1}", NULL,
          0, "label");
    strategies_free(s);
}

int main(void)
{
    test_files();
    test_templates();
    test_looking();
    test_filling();
    return unit_done("strategy");
}
