/* strategy.c - a strategy file, NUL and a record; and the same bytes as one template. */
#include "fuzz.h"

#include "text/format.h"
#include "text/strategy.h"

static void render(const struct strategies *s, size_t i, const struct rec *rec)
{
    struct err e = {0};
    struct buf out = {0};
    struct json_fault fault;
    const char *type = NULL;
    const struct field_value set = {STR("a"), STR("set \"here\"")};
    HOLDS(strategy_find(s, strategy_name(s, i), &e) == (int)i);
    struct str params = strategy_params(s, i);
    if (params.n)
        HOLDS(json_check(params.p, params.n, NULL, &fault) == 0 &&
              !memchr(params.p, '\n', params.n));
    for (size_t n_set = 0; n_set < 2; n_set++) {
        buf_clear(&out);
        if (strategy_render(s, i, rec, &set, n_set, &out, &type, &e) < 0) {
            HOLDS(type && *e.text);
            continue;
        }
        HOLDS(json_check(out.p, out.n, NULL, &fault) == 0);
        if (strategy_add_answer(rec, "a", &out, &type, &e) == 0)
            HOLDS(json_check(out.p, out.n, NULL, &fault) == 0);
    }
    buf_release(&out);
}

static void try_file(struct str file, struct str line)
{
    struct err e = {0};
    struct rec rec = {.line = line};
    rec_parse(&rec);
    if (rec.fault) {
        rec_release(&rec);
        rec = (struct rec){.line = STR("{\"a\":\"x\",\"b\":[1, 2.50],\"c\":null,\"d e\":3}")};
        rec_parse(&rec);
    }
    struct strategies *s = strategies_parse("fuzz", file, &e);
    if (!s)
        HOLDS(e.status == EXIT_CONFIG && *e.text && !strchr(e.text, '\n'));
    for (size_t i = 0; s && i < strategies_count(s); i++)
        render(s, i, &rec);
    strategies_free(s);
    rec_release(&rec);
}

/* What a template is taken apart into makes no more text than it had. */
static void try_format(struct str text)
{
    struct format f = {0};
    struct format_fault fault = {0};
    size_t sum = 0;
    if (!utf8_check(text.p, text.n))
        return;
    if (format_parse(&f, text, &fault) == FORMAT_OK)
        for (size_t i = 0; i < f.n; i++)
            sum += format_text(&f, i).n +
                   (format_field(&f, i) ? strlen(format_field(&f, i)) : 0);
    else
        HOLDS(fault.what && fault.line && fault.column);
    HOLDS(sum <= text.n);
    format_release(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct str all = fuzz_input(p, n), line, file = fuzz_cut(all, &line);
    try_file(file, line);
    try_format(all);
    return 0;
}
