/* batch.c - a line of an OpenAI batch file. */
#include "fuzz.h"

#include "rec/batch.h"

static bool is_json(struct str s)
{
    return json_check(s.p, s.n, NULL, &(struct json_fault){0}) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct rec rec = {.file = "x", .line = fuzz_input(p, n)};
    struct batch_line b = {0};
    struct batch_fault f = {0};
    rec_parse(&rec);
    if (!rec.fault) {
        struct batch_ids *ids = batch_ids_new();
        if (batch_read(&b, &rec, ids, &f) == 0) {
            HOLDS(b.custom_id.n >= 2 && is_json(b.custom_id));
            HOLDS(is_json(buf_str(&b.params)) && json_kind(buf_str(&b.params)) == JSON_OBJECT);
            HOLDS(b.chat ? json_kind(b.messages) == JSON_ARRAY : b.prompt.n > 0);
            HOLDS(!b.model.n || is_json(b.model));
        } else {
            HOLDS(f.status >= 400 && f.code && *f.message);
        }
        /* The same line again is a double. */
        bool had_id = b.custom_id.n > 0;
        int rc = batch_read(&b, &rec, ids, &f);
        HOLDS(rc < 0 && (!had_id || !strcmp(f.code, "duplicate_custom_id")));
        batch_ids_free(ids);
    }
    batch_release(&b);
    rec_release(&rec);
    return 0;
}
