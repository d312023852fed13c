/* mask.c - the router's training conversations: its prompts are not learned, its labels are;
 * and one conversation by every template of the material.
 */
#include "golden.h"

#include "text/mask.h"

#include <glob.h>
#include <jansson.h>
#include <stdlib.h>

struct router {
    struct tokenizer *t;
    struct tokenizer_work *w;
    struct chat *chat;
    json_t *label_ids;
};

static bool ids_are(const int32_t *ids, const json_t *want)
{
    for (size_t i = 0; i < json_array_size(want); i++)
        if (ids[i] != json_integer_value(json_array_get(want, i)))
            return false;
    return true;
}

/* The tokens are the prompt's, the label's and its end token's, and the line end behind them,
 * which is not learned. */
static bool is_right(const struct mask *m, const json_t *prompt, const json_t *label)
{
    size_t from = json_array_size(prompt), to = from + json_array_size(label);
    if (m->tokens.n != to + 1 || !ids_are(m->tokens.v, prompt) ||
        !ids_are(m->tokens.v + from, label))
        return false;
    for (size_t i = 0; i < m->tokens.n; i++)
        if (m->loss[i] != (i >= from && i < to))
            return false;
    return true;
}

static void check(struct golden_count *c, const struct router *r, json_t *record,
                  const json_t *want)
{
    const char *label = json_string_value(json_object_get(record, "label"));
    json_t *messages = json_object_get(record, "messages");
    json_array_append_new(messages,
                          json_pack("{s:s,s:s}", "role", "assistant", "content", label));
    char *text = json_dumps(messages, JSON_COMPACT);
    struct mask m = {0};
    struct str none = {0};
    struct err e = {0};
    if (mask_chat(r->chat, r->t, r->w, str_of(text), none, none, &m, &e) < 0)
        golden_fail(c, "%s: %s", json_string_value(json_object_get(want, "id")), e.text);
    else if (!is_right(&m, json_object_get(want, "prompt_ids"),
                       json_object_get(r->label_ids, label)))
        golden_fail(c, "%s: other tokens", json_string_value(json_object_get(want, "id")));
    else
        c->passed++;
    mask_release(&m);
    free(text);
}

static FILE *open_part(const char *folder, const char *name)
{
    char *path = xasprintf("%s/router/%s", folder, name);
    FILE *f = fopen(path, "r");
    free(path);
    return f;
}

static void check_all(struct golden_count *c, const char *folder)
{
    struct err e = {0};
    struct router r = {0};
    char *dir = xasprintf("%s/router/model", folder), *path;
    FILE *tests = open_part(folder, "test.jsonl"), *wants = open_part(folder, "expected.jsonl");
    path = xasprintf("%s/router/summary.json", folder);
    json_t *summary = json_load_file(path, 0, NULL);
    r.label_ids = json_object_get(summary, "label_token_ids_with_eos");
    r.t = tokenizer_load(dir, &e);
    r.chat = chat_open(&(struct chat_options){.dir = dir}, &e);
    if (!tests || !wants || !r.label_ids || !r.t || !r.chat) {
        golden_fail(c, "cannot read %s/router: %s", folder, e.text);
    } else {
        json_t *record, *want;
        r.w = tokenizer_work_new(r.t);
        while ((record = json_loadf(tests, JSON_DISABLE_EOF_CHECK, NULL)) &&
               (want = json_loadf(wants, JSON_DISABLE_EOF_CHECK, NULL))) {
            check(c, &r, record, want);
            json_decref(record);
            json_decref(want);
        }
        tokenizer_work_free(r.w);
    }
    if (tests)
        fclose(tests);
    if (wants)
        fclose(wants);
    json_decref(summary);
    chat_free(r.chat);
    tokenizer_free(r.t);
    free(path);
    free(dir);
}

/* ---- every template: the answer is learned, the question is not -----------------------------
 */

#define ASKED "QUESTION?"
#define SAID "ANSWER."

static const char *const conversations[] = {
    "[{\"role\":\"user\",\"content\":\"" ASKED "\"},"
    "{\"role\":\"assistant\",\"content\":\"" SAID "\"}]",
    "[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":\"two\"},"
    "{\"role\":\"user\",\"content\":\"" ASKED "\"},"
    "{\"role\":\"assistant\",\"content\":\"" SAID "\",\"reasoning_content\":\"so\"}]",
};

/* The answer stands in one run of learned tokens that begins at the last turn. */
static bool learns_answer(const struct router *r, const struct mask *m)
{
    struct buf text = {0};
    size_t runs = 0;
    for (size_t i = 1; i < m->tokens.n; i++) {
        runs += m->loss[i] && !m->loss[i - 1];
        if (m->loss[i])
            tokenizer_decode(r->t, r->w, m->tokens.v + i, 1, false, &text);
    }
    bool right = runs == 1 && strstr(text.p, SAID) && !strstr(text.p, ASKED);
    /* A template may leave its header to the model, and say more behind the answer. */
    right = right && strlen(text.p) < 200;
    buf_release(&text);
    return right;
}

static void check_template(struct golden_count *c, const struct router *r, const char *path,
                           const char *messages)
{
    struct str none = {0};
    struct err e = {0}, why = {0};
    struct mask m = {0};
    struct buf text = {0};
    struct chat *chat = chat_open(
        &(struct chat_options){.template_file = path, .date = "2025-03-04"}, &e);
    if (!chat) /* refused as a whole */
        c->passed += e.status == EXIT_CONFIG;
    else if (chat_render(chat, str_of(messages), none, none, false, &text, &e) < 0)
        c->passed += mask_chat(chat, r->t, r->w, str_of(messages), none, none, &m, &why) < 0 &&
                     !strcmp(e.text, why.text);
    else if (mask_chat(chat, r->t, r->w, str_of(messages), none, none, &m, &e) < 0)
        golden_fail(c, "%s: %s", path, e.text);
    else if (!learns_answer(r, &m))
        golden_fail(c, "%s: learns something else", path);
    else
        c->passed++;
    buf_release(&text);
    mask_release(&m);
    chat_free(chat);
}

static void check_templates(struct golden_count *c, const char *golden, const char *material)
{
    struct err e = {0};
    struct router r = {0};
    glob_t g;
    char *dir = xasprintf("%s/router/model", golden);
    char *pattern = xasprintf("%s/templates/templates/*.jinja", material);
    r.t = tokenizer_load(dir, &e);
    if (!r.t || glob(pattern, 0, NULL, &g)) {
        printf("golden/mask-templates: skipped: no %s\n", r.t ? pattern : dir);
        c->skipped++;
    } else {
        r.w = tokenizer_work_new(r.t);
        for (size_t i = 0; i < g.gl_pathc; i++)
            for (int k = 0; k < 2; k++)
                check_template(c, &r, g.gl_pathv[i], conversations[k]);
        tokenizer_work_free(r.w);
        globfree(&g);
    }
    tokenizer_free(r.t);
    free(pattern);
    free(dir);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "mask"}, all = {.kind = "mask-templates"};
    const char *folder = argc > 1 ? argv[1] : ".";
    char *router = xasprintf("%s/router", folder);
    if (golden_have(router)) {
        check_all(&c, folder);
    } else {
        printf("golden/mask: skipped: no %s\n", router);
        c.skipped++;
    }
    free(router);
    golden_report(&c);
    check_templates(&all, folder, argc > 2 ? argv[2] : ".");
    golden_report(&all);
    return golden_done();
}
