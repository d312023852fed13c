/* record.c - a line of JSONL: scanned, walked, added to, taken from, failed. */
#include "fuzz.h"

#include "rec/field.h"
#include "rec/rec.h"

/* Decodes and reads everything in a value that was accepted. */
static void walk(struct str value, int depth)
{
    struct buf text = {0};
    struct str key, item;
    int64_t whole;
    double number;
    HOLDS(value.n && depth <= JSON_DEPTH_MAX);
    switch (json_kind(value)) {
    case JSON_STRING: {
        bool clean = json_decode(&text, value);
        HOLDS(utf8_check(text.p, text.n));
        if (clean) { /* and back: the text is the same */
            struct buf quoted = {0}, again = {0};
            json_quote(&quoted, buf_str(&text));
            HOLDS(json_check(quoted.p, quoted.n, NULL, &(struct json_fault){0}) == 0);
            HOLDS(json_decode(&again, buf_str(&quoted)) &&
                  str_eq(buf_str(&again), buf_str(&text)));
            buf_release(&quoted);
            buf_release(&again);
        }
        break;
    }
    case JSON_NUMBER:
        if (json_int(value, &whole))
            HOLDS(json_number(value, &number));
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        for (struct json_iter it = json_iter(value); json_next(&it, &key, &item);) {
            if (key.n)
                walk(key, depth + 1);
            walk(item, depth + 1);
        }
        break;
    default: break;
    }
    buf_release(&text);
}

static bool drop_ours(const struct json_member *m, size_t index, void *first)
{
    (void)m;
    return index >= *(size_t *)first;
}

static bool drop_some(const struct json_member *m, size_t index, void *mask)
{
    (void)m;
    return *(uint64_t *)mask >> index % 64 & 1;
}

static bool parses(struct rec *rec, struct str line)
{
    rec->line = line;
    rec->fault = NULL;
    rec_parse(rec);
    return !rec->fault;
}

/* What is added can be taken out again, and leaves every other byte as it was. */
static void add_and_take(const struct rec *rec, uint64_t mask)
{
    struct buf more = {0}, less = {0};
    struct rec other = {0};
    size_t n = rec->members.n;
    rec_begin(&more, rec);
    rec_member_uint(&more, "_seq", mask);
    rec_member(&more, "text");
    json_quote(&more, STR("a\"\\\n\xc3\xa9"));
    rec_end(&more);
    HOLDS(more.n && more.p[more.n - 1] == '\n');
    HOLDS(parses(&other, (struct str){more.p, more.n - 1}));
    HOLDS(other.members.n == n + 2);
    rec_without(&less, &other, drop_ours, &n);
    HOLDS(str_eq(buf_str(&less), rec->line));

    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        left += !drop_some(NULL, i, &mask);
    rec_without(&less, rec, drop_some, &mask);
    HOLDS(parses(&other, buf_str(&less)) && other.members.n == left);
    rec_release(&other);
    buf_release(&more);
    buf_release(&less);
}

static void look(const struct rec *rec)
{
    struct buf text = {0};
    uint64_t index;
    struct field *f = field_new("response.parsed.a");
    (void)field_text(f, rec, &text);
    (void)rec_index(rec, "_seq", &index);
    (void)rec_is_error(rec);
    field_free(f);
    buf_release(&text);
}

/* A failed record is a record, and says that it failed. */
static void fail(const struct rec *rec)
{
    struct buf out = {0};
    struct rec other = {0};
    rec_fail(&out, rec, "fuzz", "bad", rec->fault ? rec->message : "m");
    HOLDS(parses(&other, (struct str){out.p, out.n - 1}));
    HOLDS(rec_is_error(&other));
    rec_release(&other);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct str in = fuzz_input(p, n);
    struct rec rec = {0};
    struct json_fault fault;
    bool fine = json_check(in.p, in.n, NULL, &fault) == 0;
    if (utf8_check(in.p, in.n))
        HOLDS((json_check_utf8(in.p, in.n, NULL, &fault) == 0) == fine);
    if (fine) {
        struct str value = in;
        while (value.n && strchr(" \t\r\n", *value.p))
            value.p++, value.n--;
        while (value.n && strchr(" \t\r\n", value.p[value.n - 1]))
            value.n--;
        walk(value, 0);
    } else {
        HOLDS(fault.at <= n && fault.what);
    }
    rec.file = "fuzz";
    if (memchr(in.p, '\n', in.n))
        return 0;
    if (parses(&rec, in)) {
        add_and_take(&rec, n * UINT64_C(0x9e3779b97f4a7c15));
        look(&rec);
    }
    fail(&rec);
    rec_release(&rec);
    return 0;
}
