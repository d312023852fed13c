/* shapes.c - random schemas over random models: what is chosen token by token, under the masks,
 * is JSON and fits, by a validator that reads the finished text and knows nothing of grammars.
 */
#include "unit.h"

#include "base/random.h"
#include "grammar/grammar.h"
#include "grammar/masks.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers may have more digits than an integer of C. */
#define LOAD (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

enum { SCHEMAS = 500, TOKENS = 700, TOKENS_MAX = 400 };

/* ---- random schemas -----------------------------------------------------------------------
 */

static uint64_t state = 20;

static uint64_t below(uint64_t n)
{
    return random_below(&state, n);
}

static json_t *random_schema(int depth);

static json_t *random_number(const char *type)
{
    json_t *s = json_pack("{s:s}", "type", type);
    json_int_t low = (json_int_t)below(2000) - 1000;
    if (below(2))
        json_object_set_new(s, below(2) ? "minimum" : "exclusiveMinimum", json_integer(low));
    if (below(2))
        json_object_set_new(s, "maximum", json_integer(low + 2 + (json_int_t)below(300)));
    return s;
}

static json_t *random_string(void)
{
    static const char *const patterns[] = {"^[a-f]{2,5}$", "^(x|yz)+$", "[0-9]{3}",
                                           "^\"\\\\é?$"};
    json_t *s = json_pack("{s:s}", "type", "string");
    uint64_t least = below(4);
    switch (below(4)) {
    case 0: json_object_set_new(s, "pattern", json_string(patterns[below(4)])); break;
    case 1: json_object_set_new(s, "format", json_string(below(2) ? "date" : "ipv4")); break;
    case 2:
        json_object_set_new(s, "minLength", json_integer((json_int_t)least));
        json_object_set_new(s, "maxLength", json_integer((json_int_t)(least + below(40))));
        break;
    default: break;
    }
    return s;
}

static json_t *random_array(int depth)
{
    json_t *s = json_pack("{s:s,s:o}", "type", "array", "items", random_schema(depth - 1));
    uint64_t least = below(3);
    json_object_set_new(s, "minItems", json_integer((json_int_t)least));
    json_object_set_new(s, "maxItems", json_integer((json_int_t)(least + below(3))));
    return s;
}

static json_t *random_object(int depth)
{
    json_t *s = json_pack("{s:s}", "type", "object"), *p = json_object(),
           *required = json_array();
    char name[16];
    for (uint64_t i = 0, n = below(4); i < n; i++) {
        snprintf(name, sizeof name, "n%u", (unsigned)below(20));
        json_object_set_new(p, name, random_schema(depth - 1));
        if (below(2))
            json_array_append_new(required, json_string(name));
    }
    json_object_set_new(s, "properties", p);
    json_object_set_new(s, "required", required);
    if (below(3))
        json_object_set_new(s, "additionalProperties", json_false());
    return s;
}

static json_t *random_schema(int depth)
{
    switch (below(depth > 0 ? 10 : 6)) {
    case 0: return json_pack("{s:[s,i,n,s]}", "enum", "red", 7, "blue");
    case 1: return json_pack("{s:s}", "type", below(2) ? "boolean" : "null");
    case 2: return random_number("integer");
    case 3: return random_number("number");
    case 4:
    case 5: return random_string();
    case 6: return random_array(depth);
    case 7:
        return json_pack("{s:[o,o]}", "anyOf", random_schema(depth - 1),
                         random_schema(depth - 1));
    default: return random_object(depth);
    }
}

/* ---- the validator
 * --------------------------------------------------------------------------- */

static bool fits(const json_t *schema, json_t *v);

static bool number_fits(const json_t *s, const json_t *v, bool integer)
{
    const json_t *low = json_object_get(s, "minimum"), *high = json_object_get(s, "maximum"),
                 *above = json_object_get(s, "exclusiveMinimum");
    double x = json_number_value(v);
    return json_is_number(v) && (!integer || x == floor(x)) &&
           (!low || x >= json_number_value(low)) && (!above || x > json_number_value(above)) &&
           (!high || x <= json_number_value(high));
}

static bool pattern_fits(const char *pattern, const char *s)
{
    size_t n = strlen(s);
    if (!strcmp(pattern, "^[a-f]{2,5}$"))
        return n >= 2 && n <= 5 && strspn(s, "abcdef") == n;
    if (!strcmp(pattern, "[0-9]{3}")) {
        for (; *s; s++)
            if (strspn(s, "0123456789") >= 3)
                return true;
        return false;
    }
    if (!strcmp(pattern, "^\"\\\\é?$"))
        return !strcmp(s, "\"\\") || !strcmp(s, "\"\\é") || !strcmp(s, "\"é") ||
               !strcmp(s, "\"");
    while (*s) { /* ^(x|yz)+$ */
        size_t k = *s == 'x' ? 1 : s[0] == 'y' && s[1] == 'z' ? 2 : 0;
        if (!k)
            return false;
        s += k;
    }
    return n > 0;
}

static bool format_fits(const char *format, const char *s)
{
    int a, b, c, d, end = -1;
    if (!strcmp(format, "date"))
        return strlen(s) == 10 && sscanf(s, "%4d-%2d-%2d%n", &a, &b, &c, &end) == 3 &&
               !s[end] && b >= 1 && b <= 12 && c >= 1 && c <= 31;
    return sscanf(s, "%d.%d.%d.%d%n", &a, &b, &c, &d, &end) == 4 && !s[end] && a < 256 &&
           b < 256 && c < 256 && d < 256;
}

static bool string_fits(const json_t *s, const json_t *v)
{
    const json_t *least = json_object_get(s, "minLength"),
                 *most = json_object_get(s, "maxLength"),
                 *pattern = json_object_get(s, "pattern"),
                 *format = json_object_get(s, "format");
    const char *text = json_string_value(v);
    json_int_t n = 0;
    if (!text)
        return false;
    for (const char *p = text; *p; p++)
        n += (*p & 0xc0) != 0x80;
    return (!least || n >= json_integer_value(least)) &&
           (!most || n <= json_integer_value(most)) &&
           (!pattern || pattern_fits(json_string_value(pattern), text)) &&
           (!format || format_fits(json_string_value(format), text));
}

static bool array_fits(const json_t *s, json_t *v)
{
    size_t i, n = json_array_size(v);
    json_t *item;
    if (!json_is_array(v) || n < (size_t)json_integer_value(json_object_get(s, "minItems")) ||
        n > (size_t)json_integer_value(json_object_get(s, "maxItems")))
        return false;
    json_array_foreach(v, i, item)
    {
        if (!fits(json_object_get(s, "items"), item))
            return false;
    }
    return true;
}

static bool object_fits(const json_t *s, json_t *v)
{
    const json_t *properties = json_object_get(s, "properties");
    const char *key;
    size_t i;
    json_t *item, *name;
    if (!json_is_object(v))
        return false;
    json_array_foreach(json_object_get(s, "required"), i, name)
    {
        if (!json_object_get(v, json_string_value(name)))
            return false;
    }
    json_object_foreach(v, key, item)
    {
        const json_t *own = json_object_get(properties, key);
        if (own ? !fits(own, item) : json_object_get(s, "additionalProperties") != NULL)
            return false;
    }
    return true;
}

static bool fits(const json_t *s, json_t *v)
{
    const json_t *list = json_object_get(s, "anyOf");
    size_t i;
    json_t *one;
    if (list)
        return fits(json_array_get(list, 0), v) || fits(json_array_get(list, 1), v);
    list = json_object_get(s, "enum");
    if (list) {
        json_array_foreach(list, i, one)
        {
            if (json_is_number(one) ? json_is_number(v) && json_number_value(v) == 7
                                    : json_equal(one, v))
                return true;
        }
        return false;
    }
    const char *type = json_string_value(json_object_get(s, "type"));
    switch (*type) {
    case 'n': return type[3] == 'l' ? json_is_null(v) : number_fits(s, v, false);
    case 'b': return json_is_boolean(v);
    case 'i': return number_fits(s, v, true);
    case 's': return string_fits(s, v);
    case 'a': return array_fits(s, v);
    default: return object_fits(s, v);
    }
}

/* ---- random models
 * ---------------------------------------------------------------------------- */

/* Every byte, and random pieces of JSON. */
static struct vocab *make_vocab(void)
{
    static const char *const parts[] = {"\"",   "\",\"", "\":", "{\"", "}",  "[",  "]",
                                        ",",    "n1",    "a",   "é",   "1",  "0.", "-",
                                        "true", "x",     "yz",  "\\",  "red"};
    struct vocab *v = vocab_new(TOKENS);
    struct buf b = {0};
    for (int32_t i = 0; i < TOKENS; i++) {
        buf_clear(&b);
        if (i < 256)
            buf_putc(&b, (char)i);
        for (uint64_t k = 0, n = i < 256 ? 0 : 1 + below(4); k < n; k++)
            buf_puts(&b, parts[below(sizeof parts / sizeof *parts)]);
        vocab_add(v, i, buf_str(&b));
    }
    buf_release(&b);
    vocab_build(v);
    return v;
}

/* A model has a weight for each token; the likeliest that may come is taken, or a random one.
 * True where the text came to its end. */
static bool generate(struct grammar *g, struct masks *m, const struct vocab *v,
                     struct buf *text)
{
    static uint64_t weights[TOKENS];
    bool greedy = below(4) == 0;
    uint32_t at = grammar_start(g);
    for (int i = 0; i < TOKENS; i++)
        weights[i] = below(1000);
    for (int t = 0; t < TOKENS_MAX; t++) {
        const uint64_t *set = masks_of(m, at);
        uint64_t best = 0;
        int32_t id = -1;
        for (int32_t i = 0; i < TOKENS; i++) {
            uint64_t w = 1 + weights[i] + (greedy ? 0 : below(2000));
            if ((set[i / 64] >> i % 64 & 1) && w > best) {
                best = w;
                id = i;
            }
        }
        if (grammar_accepts(g, at) && (id < 0 || below(4) == 0))
            return true;
        CHECK(id >= 0);
        if (id < 0)
            return false;
        buf_addstr(text, vocab_bytes(v, id));
        at = grammar_walk(g, at, vocab_bytes(v, id));
    }
    return false;
}

int main(void)
{
    struct vocab *v = make_vocab();
    int whole = 0;
    for (int i = 0; i < SCHEMAS; i++) {
        struct err e = {0};
        struct buf text = {0};
        json_t *schema = random_schema(3);
        char *json = json_dumps(schema, JSON_COMPACT);
        struct grammar *g = grammar_schema(str_of(json), &e);
        CHECK_MSG(g, "%s: %s", json, e.text);
        struct masks *m = g ? masks_new(g, v) : NULL;
        if (g && generate(g, m, v, &text)) {
            json_t *value = json_loadb(text.p, text.n, LOAD, NULL);
            CHECK_MSG(value && fits(schema, value), "%s: %.*s", json, (int)text.n, text.p);
            json_decref(value);
            whole++;
        }
        masks_free(m);
        grammar_free(g);
        buf_release(&text);
        json_decref(schema);
        free(json);
    }
    /* The rest was cut by the limit. */
    CHECK_MSG(whole > SCHEMAS * 3 / 4, "%d", whole);
    vocab_free(v);
    return unit_done("shapes");
}
