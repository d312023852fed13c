/* chat.c - a tokenizer_config.json, NUL and the messages of a record: what is rendered, and
 * what a training loss would see of it.
 */
#include "fuzz.h"

#include "rec/json.h"
#include "text/mask.h"

static void mask(const struct chat *c, struct str messages)
{
    static struct tokenizer *t;
    static struct tokenizer_work *w;
    struct err e = {0};
    struct mask m = {0};
    if (!t && !(t = tokenizer_load("data/models/router", &e)))
        die_err(&e);
    w = w ? w : tokenizer_work_new(t);
    if (mask_chat(c, t, w, messages, STR(""), STR(""), &m, &e) < 0)
        HOLDS(e.status == EXIT_DATA && *e.text);
    else
        HOLDS(!m.tokens.n || m.loss[0] == 0);
    for (size_t i = 0; e.status == 0 && i < m.tokens.n; i++)
        HOLDS(m.loss[i] <= 1);
    mask_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct err e = {0};
    struct buf out = {0};
    struct json_fault fault;
    struct str messages, config = fuzz_cut(fuzz_input(p, n), &messages);
    const struct chat_options o = {.dir = fuzz_dir(), .date = "2025-03-04T05:06:07"};
    if (!messages.n || json_check(messages.p, messages.n, NULL, &fault) < 0 ||
        messages.p[0] != '[' || messages.p[messages.n - 1] != ']')
        messages = STR("[{\"role\":\"user\",\"content\":\"hello\"}]");
    fuzz_file("tokenizer_config.json", config);
    struct chat *c = chat_open(&o, &e);
    if (!c)
        HOLDS((e.status == EXIT_CONFIG || e.status == EXIT_NOINPUT) && *e.text &&
              !strchr(e.text, '\n'));
    else if (chat_render(c, messages, STR(""), STR("{\"enable_thinking\":false}"), true, &out,
                         &e) < 0)
        HOLDS(e.status == EXIT_DATA && *e.text);
    HOLDS(utf8_check(out.p, out.n));
    if (c)
        mask(c, messages);
    chat_free(c);
    buf_release(&out);
    return 0;
}
