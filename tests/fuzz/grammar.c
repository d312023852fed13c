/* grammar.c - a regular expression or a JSON Schema, and on the next line a text to walk. */
#include "fuzz.h"

#include "grammar/grammar.h"
#include "rec/json.h"

/* Every state that is left has a way on or is an end. */
static void walk(struct grammar *g, struct str text)
{
    uint32_t state = grammar_start(g);
    for (size_t i = 0; i < text.n && state; i++) {
        unsigned char byte = (unsigned char)text.p[i];
        struct byte_set next = grammar_next(g, state);
        bool any = next.bits[0] | next.bits[1] | next.bits[2] | next.bits[3];
        HOLDS(any || grammar_accepts(g, state));
        uint32_t to = grammar_step(g, state, byte);
        HOLDS((to != GRAMMAR_DEAD) == (next.bits[byte / 64] >> byte % 64 & 1));
        state = to;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct str source = fuzz_input(p, n), text = {source.p + source.n, 0};
    const char *cut = source.n ? memchr(source.p, '\n', source.n) : NULL;
    if (cut) {
        text = (struct str){cut + 1, source.n - (size_t)(cut + 1 - source.p)};
        source.n = (size_t)(cut - source.p);
    }
    struct err e = {0};
    struct grammar *g;
    if (source.n && source.p[0] == '{') {
        if (json_check(source.p, source.n, NULL, &(struct json_fault){0}) < 0)
            return 0;
        while (source.n && strchr(" \t\r\n", source.p[source.n - 1]))
            source.n--;
        g = grammar_schema(source, &e);
    } else {
        if (!utf8_check(source.p, source.n))
            return 0;
        g = grammar_regex(source, &e);
    }
    HOLDS(g || (e.status == EXIT_DATA && *e.text));
    if (g)
        walk(g, text);
    grammar_free(g);
    return 0;
}
