/* grammar.c - what regular expressions, JSON and schemas take, and masks against trying every
 * token.
 */
#include "unit.h"

#include "base/random.h"
#include "grammar/grammar.h"
#include "grammar/masks.h"

#include <stdlib.h>
#include <string.h>

static bool takes(struct grammar *g, struct str text)
{
    uint32_t end = grammar_walk(g, grammar_start(g), text);
    return end != GRAMMAR_DEAD && grammar_accepts(g, end);
}

/* ---- regular expressions -------------------------------------------------------------------
 */

static const struct {
    const char *regex, *yes[6], *no[6];
} regexes[] = {
    {"abc", {"abc"}, {"ab", "abcd", ""}},
    {"a|bc|", {"a", "bc", ""}, {"b", "abc"}},
    {"a*b+c?", {"b", "aabbc", "bc"}, {"a", "c", "bcc"}},
    {"(ab){2,3}", {"abab", "ababab"}, {"ab", "abababab", "aba"}},
    {"x{2}y{1,}z{0}", {"xxy", "xxyyy"}, {"xy", "xx", "xxyz"}},
    {"a{,3}", {"a{,3}"}, {"aa", "a"}},
    {"[a-cx]+[^0-9]", {"abx!", "cé", "a\n"}, {"a1", "d!"}},
    {"[\\d_-]+", {"12_-3"}, {"a", ""}},
    {"\\w+\\s\\S", {"a_9 x", "b\tβ"}, {"é x", "a  "}},
    {"[\\u00e0-\\u00ff]", {"é", "ÿ"}, {"e", "Ā", "\xc3"}},
    {"\\u{1F600}|\\uD83D\\uDE01", {"😀", "😁"}, {"😂", "\xf0\x9f"}},
    {"\\p{L}+\\p{Nd}", {"été5", "Ж٣"}, {"5", "é", "a!5"}},
    {"\\P{L}", {"5", "!"}, {"é", "a"}},
    {".", {"é", "a", "😀"}, {"\n", "\r", "\xe2\x80\xa8", "ab", "\xff"}},
    {"^a$|^b$", {"a", "b"}, {"ab", "c"}},
    {"(^a|b)c$", {"ac", "bc"}, {"c", "acc"}},
    {"(a*)*b", {"b", "aaab"}, {"a"}},
    {"(a|a)*", {"", "aaaaaaaa"}, {"b"}},
    {"(?:a|(?P<n>b)|(?<m>c))?d", {"d", "ad", "bd", "cd"}, {"abd"}},
    {"\\x41\\cA\\0?", {"A\x01"}, {"A", "a\x01"}},
    {"a+?b*?", {"a", "aab"}, {"b"}},
    {"[^]", {"a", "\n"}, {""}},
    {"[.*$^]", {"*", "^"}, {"a"}},
    {"é{2}", {"éé"}, {"é", "\xc3\xa9\xa9"}},
};

static void test_regexes(void)
{
    struct err e = {0};
    for (size_t i = 0; i < sizeof regexes / sizeof *regexes; i++) {
        struct grammar *g = grammar_regex(str_of(regexes[i].regex), &e);
        CHECK_MSG(g, "%s: %s", regexes[i].regex, e.text);
        for (int k = 0; g && k < 6 && regexes[i].yes[k]; k++)
            CHECK_MSG(takes(g, str_of(regexes[i].yes[k])), "%s does not take %s",
                      regexes[i].regex, regexes[i].yes[k]);
        for (int k = 0; g && k < 6 && regexes[i].no[k]; k++)
            CHECK_MSG(!takes(g, str_of(regexes[i].no[k])), "%s takes %s", regexes[i].regex,
                      regexes[i].no[k]);
        grammar_free(g);
    }
}

static void test_refused(void)
{
    static const char *const refused[][2] = {
        {"(?=a)", "ahead"},
        {"(?<!a)b", "behind"},
        {"\\bword", "\\b"},
        {"(a)\\1", "group"},
        {"a++", "possessive"},
        {"(a", ") is missing"},
        {"a)", "unexpected"},
        {"[a", "] is missing"},
        {"*a", "nothing to repeat"},
        {"a**", "repeated"},
        {"(?i)a", "kind of group"},
        {"\\p{Greek}", "\\p"},
        {"[b-a]", "backwards"},
        {"a{3,2}", "backwards"},
        {"\\", "at the end"},
        {"\\q", "escape"},
        {"a{99999}", "too often"},
        {"[[:alpha:]]", "[:"},
        {"(((a{1000}){1000}){1000})", "too large"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err e = {0};
        struct grammar *g = grammar_regex(str_of(refused[i][0]), &e);
        CHECK_MSG(!g && e.status == EXIT_DATA && strstr(e.text, refused[i][1]), "%s: %s",
                  refused[i][0], e.text);
        grammar_free(g);
    }
    struct err e = {0};
    CHECK(!grammar_regex(STR("a^b"), &e) && strstr(e.text, "no text fits"));
}

/* Where a search would try again and again: the same time for every byte. */
static void test_linear(void)
{
    struct err e = {0};
    struct grammar *g = grammar_regex(STR("(a|aa|a*)*(a*)*b"), &e);
    uint32_t state = grammar_start(g);
    for (int i = 0; i < 200000; i++)
        state = grammar_step(g, state, 'a');
    CHECK(state && !grammar_accepts(g, state));
    CHECK(grammar_memory(g) < 1 << 20);
    CHECK(grammar_accepts(g, grammar_step(g, state, 'b')));
    grammar_free(g);
}

/* ---- JSON
 * ------------------------------------------------------------------------------------ */

static void test_json_object(void)
{
    struct grammar *g = grammar_json_object();
    static const char *const yes[] = {"{}", "{ \"a\" : [ 1 , -2.5e-3 , true ] }",
                                      "{\n  \"b\": {\n    \"c\": null\n  }\n}",
                                      "{\"\\u0001\\n\\\"é\":\"\"}"};
    static const char *const no[] = {
        "[]",         "{\"a\"}",         "{\"a\":01}",       "{  }", "{\"a\":\"\n\"}",
        "{\"a\":1,}", "{\"\\u0041\":1}", "{\"a\":\"\xc3\"}", "{}{}"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        CHECK_MSG(takes(g, str_of(yes[i])), "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        CHECK_MSG(!takes(g, str_of(no[i])), "%s", no[i]);
    /* Blanks and depth have an end. */
    uint32_t state = grammar_walk(g, grammar_start(g), STR("{\n"));
    int blanks = 0, depth = 0;
    for (; state && blanks < 1000; blanks++)
        state = grammar_step(g, state, ' ');
    CHECK(blanks < 50);
    state = grammar_walk(g, grammar_start(g), STR("{\"a\":"));
    for (; state && depth < 1000; depth++)
        state = grammar_step(g, state, '[');
    CHECK(depth > 50 && depth < 120);
    grammar_free(g);
}

static const struct {
    const char *schema, *yes[6], *no[6];
} schemas[] = {
    {"{\"type\":\"integer\",\"minimum\":-12,\"exclusiveMaximum\":105}",
     {"-12", "0", "104", "-9", "99"},
     {"-13", "105", "-0", "1.0", "007", "1e1"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0.25,\"maximum\":1.5}",
     {"0.26", "1", "1.50", "1.4999", "0.2500001"},
     {"0.25", "0.2500", "1.51", "2", "-1"}},
    {"{\"minLength\":2,\"maxLength\":3,\"type\":\"string\"}",
     {"\"ab\"", "\"é😀ü\"", "\"\\n\\\"\""},
     {"\"a\"", "\"abcd\"", "\"\\u000a0\""}},
    {"{\"type\":\"string\",\"pattern\":\"^a+$\",\"maxLength\":3}",
     {"\"aaa\"", "\"a\""},
     {"\"aaaa\"", "\"\"", "\"ab\""}},
    {"{\"type\":\"string\",\"pattern\":\"b\\\"\"}",
     {"\"ab\\\"c\"", "\"b\\\"\""},
     {"\"b\"", "\"\""}},
    {"{\"allOf\":[{\"type\":\"string\",\"pattern\":\"a\"},{\"pattern\":\"b\"}]}",
     {"\"ab\"", "\"b--a\""},
     {"\"aa\"", "\"b\"", "1"}},
    {"{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-02-29\"", "\"1999-12-31\""},
     {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\"", "\"2024-1-1\""}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"const\":1}},"
     "\"required\":[\"b\"],\"additionalProperties\":false}",
     {"{\"b\":1}", "{\"a\":null,\"b\":1}"},
     {"{}", "{\"a\":null}", "{\"b\":1,\"b\":1}", "{\"b\":1,\"c\":1}", "{ \"b\":1}"}},
    {"{\"properties\":{\"ab\":{\"type\":\"null\"}},\"type\":\"object\"}",
     {"{\"ab\":null,\"a\":1}", "{\"abc\":1}", "{\"\":1}"},
     {"{\"ab\":1}", "{\"a\":1,\"ab\":null}"}},
    {"{\"$ref\":\"#/$defs/t\",\"$defs\":{\"t\":{\"type\":\"array\",\"items\":{\"$ref\":"
     "\"#/$defs/t\"},\"maxItems\":2}}}",
     {"[]", "[[],[[]]]", "[[[[[[[[[[]]]]]]]]]]"},
     {"[[],[],[]]", "[1]"}},
    {"{\"anyOf\":[{\"type\":\"integer\",\"minimum\":5},{\"type\":\"string\"}],\"enum\":[3,7,"
     "\"x\","
     "null]}",
     {"7", "\"x\""},
     {"3", "null", "5"}},
    {"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"}},\"required\":[\"k\"],\"type\":"
     "\"object\"},"
     "{\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"],\"type\":\"object\"}]}",
     {"{\"k\":\"a\"}", "{\"k\":\"b\"}"},
     {"{\"k\":\"c\"}"}},
    {"{\"enum\":[{\"a\": [1.0, 2e0]}, \"\\u00e9\\n\"]}", {"{\"a\":[1,2]}", "\"é\\n\""}, {"{}"}},
};

static void test_schemas(void)
{
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        struct err e = {0};
        struct grammar *g = grammar_schema(str_of(schemas[i].schema), &e);
        CHECK_MSG(g, "%s: %s", schemas[i].schema, e.text);
        for (int k = 0; g && k < 6 && schemas[i].yes[k]; k++)
            CHECK_MSG(takes(g, str_of(schemas[i].yes[k])), "%s does not take %s",
                      schemas[i].schema, schemas[i].yes[k]);
        for (int k = 0; g && k < 6 && schemas[i].no[k]; k++)
            CHECK_MSG(!takes(g, str_of(schemas[i].no[k])), "%s takes %s", schemas[i].schema,
                      schemas[i].no[k]);
        grammar_free(g);
    }
}

static void test_schemas_refused(void)
{
    static const char *const refused[][2] = {
        {"{\"not\":{}}", "\"not\""},
        {"{\"multipleOf\":2}", "\"multipleOf\""},
        {"{\"uniqueItems\":true}", "\"uniqueItems\""},
        {"{\"properties\":{\"a\":{\"if\":{}}}}", "\"if\""},
        {"{\"format\":\"iri\"}", "\"format\""},
        {"{\"pattern\":\"(?=a)\"}", "ahead"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":2}]}", "\"oneOf\""},
        {"{\"$ref\":\"http://x/y\"}", "\"$ref\""},
        {"{\"$ref\":\"#/$defs/none\"}", "leads nowhere"},
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", "nothing fits"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         "nothing fits"},
        {"{\"type\":\"word\"}", "type"},
        {"{\"minLength\":-1}", "minLength"},
        {"{\"items\":[{}]}", "items"},
        {"3", "must be an object"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err e = {0};
        struct grammar *g = grammar_schema(str_of(refused[i][0]), &e);
        CHECK_MSG(!g && e.status == EXIT_DATA && strstr(e.text, refused[i][1]), "%s: %s",
                  refused[i][0], e.text);
        grammar_free(g);
    }
}

/* ---- masks
 * ------------------------------------------------------------------------------------- */

/* Every byte, and pieces of JSON and of words put together by chance. */
static struct vocab *make_vocab(uint64_t *random, int32_t n)
{
    static const char *const parts[] = {"\"", ":",  ",",    "{",    "}",        "[",  "]", "\\",
                                        "n",  "u0", "a",    "é",    "\xf0\x9f", "1",  ".", "-",
                                        "e",  " ",  "true", "name", "0",        "\n", "  "};
    struct vocab *v = vocab_new(n);
    struct buf b = {0};
    for (int32_t i = 0; i < n; i++) {
        buf_clear(&b);
        if (i < 256) {
            buf_putc(&b, (char)i);
        } else {
            uint64_t k = random_below(random, 12) ? random_below(random, 5) : 40;
            for (uint64_t j = 0; j <= k; j++)
                buf_puts(&b, parts[random_below(random, sizeof parts / sizeof *parts)]);
        }
        if (i % 97)
            vocab_add(v, i, buf_str(&b));
    }
    buf_release(&b);
    vocab_build(v);
    return v;
}

static bool set_is_right(struct grammar *g, const struct vocab *v, uint32_t state,
                         const uint64_t *set)
{
    for (int32_t i = 0; i < vocab_size(v); i++) {
        struct str bytes = vocab_bytes(v, i);
        bool fits = bytes.n && grammar_walk(g, state, bytes) != GRAMMAR_DEAD;
        if (fits != (bool)(set[i / 64] >> i % 64 & 1))
            return false;
    }
    return true;
}

/* Random texts, token by token: each set against trying all tokens. */
static void test_masks(void)
{
    enum { TOKENS = 1500, STEPS = 60 };
    static const char *const more[] = {
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":70},"
        "\"n\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}},\"additionalProperties\":{"
        "\"type\":"
        "\"string\",\"minLength\":3}}",
        "{}",
        "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^(a|\\n)*$\"},{\"type\":\"array\","
        "\"items\":"
        "{\"type\":[\"number\",\"string\"]}},{\"type\":\"array\",\"items\":{\"maxLength\":2}}]"
        "}",
    };
    uint64_t random = 11;
    struct err e = {0};
    struct vocab *v = make_vocab(&random, TOKENS);
    for (int i = 0; i < 5; i++) {
        struct grammar *g = i < 3    ? grammar_schema(str_of(more[i]), &e)
                            : i == 3 ? grammar_json_object()
                                     : grammar_regex(STR("(name|[a1e]{3,}\\s?)*"), &e);
        struct masks *m = masks_new(g, v);
        for (int text = 0; text < 4; text++) {
            uint32_t state = grammar_start(g);
            for (int step = 0; step < STEPS && state; step++) {
                const uint64_t *set = masks_of(m, state);
                CHECK_MSG(set_is_right(g, v, state, set), "grammar %d text %d step %d", i, text,
                          step);
                int32_t id = (int32_t)random_below(&random, TOKENS), tries = 0;
                while (!(set[id / 64] >> id % 64 & 1) && tries++ < TOKENS)
                    id = (id + 1) % TOKENS;
                if (tries > TOKENS)
                    break;
                state = grammar_walk(g, state, vocab_bytes(v, id));
                CHECK(state != GRAMMAR_DEAD);
            }
        }
        masks_free(m);
        grammar_free(g);
    }
    vocab_free(v);
}

static void test_first_space(void)
{
    struct err e = {0};
    struct vocab *v = vocab_new(4);
    struct grammar *g = grammar_regex(STR("ab?"), &e);
    vocab_add(v, 0, STR(" ab"));
    vocab_add(v, 1, STR(" "));
    vocab_add(v, 2, STR("a"));
    vocab_add(v, 3, STR(" b"));
    vocab_build(v);
    struct masks *m = masks_new(g, v);
    uint64_t set = masks_of(m, grammar_start(g))[0];
    CHECK(set == 4);
    masks_add_behind(m, grammar_start(g), ' ', &set);
    CHECK(set == 5);
    masks_free(m);
    grammar_free(g);
    vocab_free(v);
}

int main(void)
{
    test_regexes();
    test_refused();
    test_linear();
    test_json_object();
    test_schemas();
    test_schemas_refused();
    test_masks();
    test_first_space();
    return unit_done("grammar");
}
