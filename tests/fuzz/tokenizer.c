/* tokenizer.c - a tokenizer.json, and where it loads, what it makes of a few texts. */
#include "fuzz.h"

#include "rec/json.h"
#include "text/tokenizer.h"

static const char *const texts[] = {
    "",
    " ",
    "Hello, world! 1234 it's",
    "  two  blanks\n\n\ttab ",
    "\xc3\xa9t\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 e\xcc\x81",
    "<s>[INST] a </s><|im_start|>user\n<0x0A>\xe2\x96\x81x",
};

static void use(const struct tokenizer *t)
{
    struct err e = {0};
    struct ids ids = {0};
    struct buf text = {0};
    int32_t size = tokenizer_size(t);
    struct tokenizer_work *w = tokenizer_work_new(t);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ids.n = 0;
        if (tokenizer_encode(t, w, str_of(texts[i]), i % 2, &ids, &e) < 0)
            HOLDS(e.status == EXIT_DATA || e.status == EXIT_CONFIG);
        for (size_t k = 0; k < ids.n; k++)
            HOLDS(ids.v[k] >= 0 && ids.v[k] < size);
        tokenizer_decode(t, w, ids.v, ids.n, i % 2, &text);
    }
    /* Every id, and some that are none. */
    ids.n = 0;
    for (int32_t i = -1; i <= size && i < 2000; i++)
        ids_add(&ids, i);
    ids_add(&ids, INT32_MAX);
    ids_add(&ids, INT32_MIN);
    tokenizer_decode(t, w, ids.v, ids.n, false, &text);
    HOLDS(utf8_check(text.p, text.n));
    HOLDS(tokenizer_bos(t) < size);
    tokenizer_work_free(w);
    ids_release(&ids);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct err e = {0};
    fuzz_file("tokenizer.json", fuzz_input(p, n));
    struct tokenizer *t = tokenizer_load(fuzz_dir(), &e);
    if (t)
        use(t);
    else
        HOLDS(e.status == EXIT_CONFIG && *e.text && !strchr(e.text, '\n'));
    tokenizer_free(t);
    return 0;
}
