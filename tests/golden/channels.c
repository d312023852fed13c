/* channels.c - the channels of the material's chat templates: where each prompt is, what stands
 * in the final channel, and that it can be forced. */
#include "golden.h"

#include "rec/json.h"
#include "text/channels.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const tags[][2] = {{"<think>", "</think>"},
                                      {"[THINK]", "[/THINK]"},
                                      {"<|START_THINKING|>", "<|END_THINKING|>"},
                                      {"<|channel>", "<channel|>"}};
enum { N_TAGS = sizeof tags / sizeof *tags };

struct model {
    struct tokenizer *t;
    struct tokenizer_work *w;
    struct chat *chat;
    struct channels *c;
};

static struct ids encode(const struct model *m, struct str text)
{
    struct ids ids = {0};
    struct err e = {0};
    if (tokenizer_encode(m->t, m->w, text, false, &ids, &e) < 0)
        fprintf(stderr, "encode: %s\n", e.text);
    return ids;
}

static bool splits(const struct model *m, const struct buf *prompt, const char *answer,
                   const char *reasoning)
{
    struct ids p = encode(m, buf_str(prompt)), a = encode(m, str_of(answer));
    struct channels_answer out = {0};
    channels_split(m->c, m->w, p.v, p.n, a.v, a.n, &out);
    bool ok = out.found && str_is(buf_str(&out.text), "four") &&
              str_is(buf_str(&out.reasoning), reasoning);
    if (!ok)
        fprintf(stderr, "behind '%s': '%s' gave text '%s', reasoning '%s'\n", prompt->p, answer,
                out.text.p, out.reasoning.p);
    channels_answer_release(&out);
    ids_release(&p);
    ids_release(&a);
    return ok;
}

/* What a model says behind this prompt when it thinks; NULL: the prompt has ended thought. */
static const char *thinking(const struct model *m, const struct buf *prompt)
{
    static char answer[128];
    if (channels_kind(m->c) == CHANNELS_HARMONY)
        return "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final"
               "<|message|>four";
    for (size_t i = 0; i < N_TAGS; i++) {
        if (!chat_mentions(m->chat, str_of(tags[i][1])))
            continue;
        size_t tail = prompt->n < 30 ? prompt->n : 30;
        const char *end = prompt->p + prompt->n - tail;
        if (strstr(end, tags[i][1]))
            return NULL;
        snprintf(answer, sizeof answer, "%shm%sfour", strstr(end, tags[i][0]) ? "" : tags[i][0],
                 tags[i][1]);
        return answer;
    }
    return NULL;
}

static bool check(const struct model *m)
{
    static const char *const asked[] = {
        "[{\"role\":\"user\",\"content\":\"2 + 2?\"}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"2 + 2?\"}]}]"};
    struct str none = {0};
    struct buf prompt = {0};
    struct err e = {0};
    bool ok = false;
    for (size_t i = 0; i < 2 && !ok; i++)
        ok = chat_render(m->chat, str_of(asked[i]), none, none, true, &prompt, &e) == 0;
    if (!ok) {
        fprintf(stderr, "%s\n", e.text);
        return false;
    }
    const char *answer = thinking(m, &prompt);
    ok = !answer || splits(m, &prompt, answer, "hm");
    struct ids by_ids = encode(m, buf_str(&prompt));
    bool forced = channels_force_ids(m->c, &by_ids) && channels_force(m->c, &prompt);
    struct ids by_text = encode(m, buf_str(&prompt));
    ok &= forced && by_ids.n == by_text.n &&
          !memcmp(by_ids.v, by_text.v, by_ids.n * sizeof *by_ids.v);
    if (!ok)
        fprintf(stderr, "forced: '%s'\n", prompt.p);
    ok &= splits(m, &prompt, "four", "");
    ids_release(&by_ids);
    ids_release(&by_text);
    buf_release(&prompt);
    return ok;
}

static bool check_model(struct model *m, const struct chat_options *o, struct err *e)
{
    bool ok = false;
    if ((m->chat = chat_open(o, e))) {
        m->c = channels_new(m->t, m->chat);
        ok = check(m);
        channels_free(m->c);
    }
    chat_free(m->chat);
    return ok;
}

/* ---- whole model directories ---------------------------------------------------------------
 */

static void check_dirs(struct golden_count *c, const char *material)
{
    static const char *const names[] = {"gpt-oss", "qwen3", "minimind"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct model m = {0};
        struct err e = {0};
        char *dir = xasprintf("%s/tokenizers/%s", material, names[i]);
        if (!golden_have(dir)) {
            printf("golden/channels: skipped: no %s\n", dir);
            c->skipped++;
        } else if (!(m.t = tokenizer_load(dir, &e))) {
            golden_fail(c, "%s", e.text);
        } else {
            m.w = tokenizer_work_new(m.t);
            if (check_model(&m, &(struct chat_options){.dir = dir}, &e))
                c->passed++;
            else
                golden_fail(c, "%s: %s", names[i], e.text);
            tokenizer_work_free(m.w);
        }
        tokenizer_free(m.t);
        free(dir);
    }
}

/* ---- templates
 * -------------------------------------------------------------------------------
 */

/* The characters of ASCII, and tokens of the kind. */
static struct tokenizer *make_tokenizer(bool harmony)
{
    static const char *const markers[] = {"<|start|>", "<|channel|>", "<|message|>", "<|end|>"};
    char dir[] = "/tmp/channels.XXXXXX";
    struct buf b = {0};
    struct err e = {0};
    int id = 0;
    buf_puts(&b, "{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"\\n\":0");
    for (char ch = ' '; ch < 127; ch++) {
        buf_putc(&b, ',');
        json_quote(&b, (struct str){&ch, 1});
        buf_printf(&b, ":%d", ++id);
    }
    buf_puts(&b, "}},\"decoder\":{\"type\":\"Fuse\"},\"added_tokens\":[");
    for (size_t i = 0; i < (harmony ? 4 : 2 * N_TAGS); i++)
        buf_printf(&b,
                   "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,"
                   "\"rstrip\":false,\"normalized\":false,\"special\":true}",
                   i ? "," : "", ++id, harmony ? markers[i] : tags[i / 2][i % 2]);
    buf_puts(&b, "]}");
    struct tokenizer *t = NULL;
    if (mkdtemp(dir)) {
        char *path = xasprintf("%s/tokenizer.json", dir);
        FILE *f = fopen(path, "w");
        if (f && fwrite(b.p, 1, b.n, f) == b.n && fclose(f) == 0)
            t = tokenizer_load(dir, &e);
        unlink(path);
        rmdir(dir);
        free(path);
    }
    buf_release(&b);
    return t;
}

/* True for a template that writes channels, or reads them. */
static bool has_channels(const struct chat *chat, bool harmony)
{
    if (harmony)
        return chat_mentions(chat, STR("<|channel|>final<|message|>"));
    for (size_t i = 0; i < N_TAGS; i++)
        if (chat_mentions(chat, str_of(tags[i][1])))
            return true;
    return false;
}

static void check_template(struct golden_count *c, struct model *m, bool harmony,
                           const char *folder, const char *name)
{
    struct err e = {0};
    char *path = xasprintf("%s/%s", folder, name);
    const struct chat_options o = {.template_file = path, .date = "2025-03-04"};
    struct chat *chat = chat_open(&o, &e);
    if (chat && has_channels(chat, harmony)) {
        if (check_model(m, &o, &e))
            c->passed++;
        else
            golden_fail(c, "%s", name);
    }
    chat_free(chat);
    free(path);
}

static void check_templates(struct golden_count *c, const char *material, bool harmony)
{
    char *folder = xasprintf("%s/templates/templates", material);
    DIR *d = opendir(folder);
    struct model m = {.t = make_tokenizer(harmony)};
    if (!d) {
        printf("golden/channels: skipped: no %s\n", folder);
        c->skipped++;
    } else if (!m.t) {
        golden_fail(c, "cannot make a tokenizer");
    } else {
        m.w = tokenizer_work_new(m.t);
        for (struct dirent *f; (f = readdir(d));)
            if (strstr(f->d_name, ".jinja"))
                check_template(c, &m, harmony, folder, f->d_name);
        tokenizer_work_free(m.w);
    }
    if (d)
        closedir(d);
    tokenizer_free(m.t);
    free(folder);
}

int main(int argc, char **argv)
{
    struct golden_count c = {.kind = "channels"};
    const char *material = argc > 2 ? argv[2] : ".";
    check_dirs(&c, material);
    check_templates(&c, material, false);
    check_templates(&c, material, true);
    golden_report(&c);
    return golden_done();
}
