/* json.c - the validating scanner, the walkers, strings and numbers. */
#include "rec/json.h"

#include "unit.h"

#include <stdlib.h>

static bool takes(struct str s)
{
    struct json_fault f;
    return json_check(s.p, s.n, NULL, &f) == 0;
}

/* True if s is refused with these words at this byte. */
static bool refuses(struct str s, const char *what, size_t at)
{
    struct json_fault f = {"", 0};
    if (json_check(s.p, s.n, NULL, &f) == 0)
        return false;
    if (strcmp(f.what, what) || f.at != at)
        fprintf(stderr, "got '%s' at %zu\n", f.what, f.at);
    return !strcmp(f.what, what) && f.at == at;
}

static void test_values(void)
{
    static const char *good[] = {"0",
                                 "-0",
                                 "1e400",
                                 "-1E-400",
                                 "12345678901234567890",
                                 "0.10",
                                 "1.5e+3",
                                 "true",
                                 "false",
                                 "null",
                                 "\"\"",
                                 " \t\r\n[ ] ",
                                 "{}",
                                 "{ }",
                                 "[[],{}]",
                                 "{\"a\":{\"b\":[1,2,{}]}}",
                                 "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD834\\uDd1e\"",
                                 "\"\\ud800\"", /* lone surrogates are syntax */
                                 "\"\xe2\x80\xa8\xe2\x80\xa9\"", /* U+2028, U+2029 */
                                 "\"\x7f\xc2\x80\xf4\x8f\xbf\xbf\"",
                                 "{\"a\":1,\"a\":2}"};
    static const char *bad[] = {
        "",           " ",        "01",        "-",          "+1",
        "1.",         ".5",       "1e",        "1e+",        "0x10",
        "NaN",        "Infinity", "-Infinity", "nul",        "tru",
        "nulll",      "\"",       "\"\\\"",    "\"\\x\"",    "\"\\u12g4\"",
        "\"\\u123\"", "\"\t\"",   "'a'",       "[",          "]",
        "[1",         "[1,]",     "[,1]",      "[1 2]",      "{",
        "}",          "{\"a\"}",  "{\"a\":}",  "{\"a\":1,}", "{,}",
        "{a:1}",      "{1:1}",    "{\"a\":1]", "[1}",        "1 2",
        "{} {}",      "[1,2]]",   "//\n1",     "1\f",        "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_MSG(takes(str_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_MSG(!takes(str_of(bad[i])), "%s", bad[i]);
    CHECK(!takes(STR("{}\0")) && !takes(STR("\"a\0b\"")) && !takes(STR("\"\\\0\"")));
}

static void test_faults(void)
{
    CHECK(refuses(STR("{\"a\":,}"), "expected a value", 5));
    CHECK(refuses(STR("{\"a\" 1}"), "expected ':'", 5));
    CHECK(refuses(STR("[1;2]"), "expected ',' or ']'", 2));
    CHECK(refuses(STR("{\"a\":1;}"), "expected ',' or '}'", 6));
    CHECK(refuses(STR("[\"ab\xff\"]"), "invalid UTF-8", 4));
    CHECK(refuses(STR("\xff"), "invalid UTF-8", 0));
    CHECK(refuses(STR("[true"), "unexpected end of the text", 5));
    CHECK(refuses(STR("\"a\nb\""), "control byte in a string", 2));
    CHECK(refuses(STR("{} x"), "text behind the value", 3));
}

/* Every length of plain text around the 16 bytes that the scanner takes at a time, with the odd
 * byte at every place. */
static void test_strides(void)
{
    char s[64];
    int wrong = 0;
    for (size_t n = 2; n < 50; n++) {
        for (size_t at = 1; at < n - 1; at++) {
            memset(s, 'x', n);
            s[0] = s[n - 1] = '"';
            wrong += !takes((struct str){s, n});
            s[at] = '\x1f';
            wrong += takes((struct str){s, n});
            s[at] = '\x80';
            wrong += takes((struct str){s, n});
            s[at] = '"';
            wrong += takes((struct str){s, n});
        }
    }
    CHECK(wrong == 0);
}

static void test_utf8(void)
{
    static const char *bad[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",     "\xc2",
        "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xe2\x82",     "\xf0\x8f\xbf\xbf",
        "\xf5",         "\xf4\x90\x80\x80", "\xf0\x9f\x98", "\xe2\x28\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char s[32] = "12345678";
        CHECK_MSG(!utf8_check(bad[i], strlen(bad[i])), "case %zu", i);
        CHECK_MSG(!utf8_check(s, strlen(strcat(s, bad[i]))), "case %zu behind eight", i);
    }
    CHECK(utf8_check("", 0) && utf8_check("a\0b", 3));
    CHECK(utf8_check("\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xe0\xa0\x80\xdf\xbf", 15));
}

static void test_depth(void)
{
    enum { MANY = 1000000 };
    char *s = malloc(MANY);
    struct json_fault f;
    memset(s, '[', MANY);
    CHECK(refuses((struct str){s, MANY}, "nested deeper than 128", 128));
    memset(s + 128, ']', 128);
    CHECK(takes((struct str){s, 256}));
    memset(s, '[', 129);
    memset(s + 129, ']', 129);
    CHECK(json_check(s, 258, NULL, &f) == -1 && f.at == 128);
    memset(s, '{', MANY);
    CHECK(refuses((struct str){s, MANY}, "expected a member name in quotes", 1));
    free(s);
}

static void test_members(void)
{
    struct json_members m = {0};
    struct json_fault f;
    const char *s = " { \"a\" : 1 , \"b\":[{\"c\":2}, {}],\"\":{\"d\":{}} , \"e\\n\":\"x\" } ";
    CHECK(json_check(s, strlen(s), &m, &f) == 0 && m.n == 4);
    CHECK(str_is(m.v[0].key, "\"a\"") && str_is(m.v[0].value, "1"));
    CHECK(str_is(m.v[1].key, "\"b\"") && str_is(m.v[1].value, "[{\"c\":2}, {}]"));
    CHECK(str_is(m.v[2].key, "\"\"") && str_is(m.v[2].value, "{\"d\":{}}"));
    CHECK(str_is(m.v[3].key, "\"e\\n\"") && str_is(m.v[3].value, "\"x\""));
    CHECK(json_check("{}", 2, &m, &f) == 0 && m.n == 0);
    CHECK(json_check("[{\"a\":1}]", 9, &m, &f) == 0 && m.n == 0);
    CHECK(json_check("{\"a\":1,", 7, &m, &f) == -1 && m.n == 0);
    free(m.v);
}

static void test_walk(void)
{
    struct str key, item,
        object = STR("{ \"a\" : \"}\\\"]\" ,\"b\":[ 1, [2,\"]\"] ,{}],\"a\":null}");
    struct json_iter it = json_iter(object);
    CHECK(json_kind(object) == JSON_OBJECT);
    CHECK(json_next(&it, &key, &item) && str_is(key, "\"a\"") && str_is(item, "\"}\\\"]\""));
    CHECK(json_next(&it, &key, &item) && str_is(item, "[ 1, [2,\"]\"] ,{}]"));
    struct json_iter in = json_iter(item);
    CHECK(json_next(&in, &key, &item) && key.n == 0 && str_is(item, "1"));
    CHECK(json_next(&in, NULL, &item) && str_is(item, "[2,\"]\"]"));
    CHECK(json_next(&in, NULL, &item) && str_is(item, "{}"));
    CHECK(!json_next(&in, NULL, &item) && !json_next(&in, NULL, &item));
    CHECK(json_next(&it, &key, &item) && json_kind(item) == JSON_NULL);
    CHECK(!json_next(&it, &key, &item));
    CHECK(json_get(object, "a", &item) && str_is(item, "null")); /* the last of the two */
    CHECK(!json_get(object, "c", &item));
    struct json_iter none = json_iter(STR("[ ]"));
    CHECK(!json_next(&none, NULL, &item));
    CHECK(json_key_is(STR("\"\\u0061b\""), "ab") && !json_key_is(STR("\"a\\u0000\""), "a"));
    CHECK(!json_key_is(STR("\"\\ud800\""), "\xef\xbf\xbd") && json_key_is(STR("\"\""), ""));
}

static void test_strings(void)
{
    struct buf b = {0};
    CHECK(json_decode(&b, STR("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u0000\\ud83d\\ude00z\"")));
    CHECK(str_eq(buf_str(&b), STR("a\"\\/\b\f\n\r\t\xc3\xa9\0\xf0\x9f\x98\x80z")));
    static const char *lone[] = {"\"\\ud800\"", "\"\\udc00\"", "\"\\ud800x\""};
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&b);
        CHECK(!json_decode(&b, str_of(lone[i])) && !memcmp(b.p, "\xef\xbf\xbd", 3));
    }
    buf_clear(&b);
    CHECK(!json_decode(&b, STR("\"\\ud800\\ud83d\\ude00\"")));
    CHECK(str_is(buf_str(&b), "\xef\xbf\xbd\xf0\x9f\x98\x80"));
    buf_clear(&b);
    json_quote(&b, STR("a\"b\\c\nd\0\x1f\x7f\xe2\x80\xa8"
                       "e"));
    CHECK(str_eq(buf_str(&b), STR("\"a\\\"b\\\\c\\nd\\u0000\\u001f\x7f\xe2\x80\xa8"
                                  "e\"")));
    CHECK(takes(buf_str(&b)));
    buf_release(&b);
}

static void test_numbers(void)
{
    int64_t i;
    double d;
    CHECK(json_int(STR("9223372036854775807"), &i) && i == INT64_MAX);
    CHECK(json_int(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(json_int(STR("-0"), &i) && i == 0);
    CHECK(!json_int(STR("9223372036854775808"), &i) && !json_int(STR("3.0"), &i));
    CHECK(!json_int(STR("1e2"), &i) && !json_int(STR("\"3\""), &i) && !json_int(STR("-"), &i));
    CHECK(json_number(STR("1.25e2"), &d) && d == 125);
    CHECK(json_number(STR("12345678901234567890"), &d) && d == 12345678901234567890.0);
    CHECK(json_number(STR("1e-400"), &d) && d == 0);
    CHECK(!json_number(STR("1e400"), &d) && !json_number(STR("null"), &d));
    CHECK(!json_number(STR("\"1\""), &d));
    char s[200] = "0.";
    memset(s + 2, '1', 150);
    CHECK(json_number(str_of(s), &d) && d > 0.111 && d < 0.112);
}

int main(void)
{
    test_values();
    test_faults();
    test_strides();
    test_utf8();
    test_depth();
    test_members();
    test_walk();
    test_strings();
    test_numbers();
    return unit_done("json");
}
