/* chat.c - which template is taken, what it is given, and what is read off it. */
#include "unit.h"

#include "base/file.h"
#include "text/chat.h"

#include <stdlib.h>
#include <unistd.h>

#define USER "[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CHATML                                                                     \
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n" \
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
#define CHATML_JSON                                                                    \
    "\"{% for m in messages %}<|im_start|>{{ m.role }}\\n{{ m.content }}<|im_end|>\\n" \
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\\n{% endif %}\""

static char dir[] = "/tmp/chat-test-XXXXXX";

static void put(const char *name, const char *text)
{
    struct err e = {0};
    char *path = xasprintf("%s/%s", dir, name);
    if (!text)
        unlink(path);
    else
        CHECK_MSG(file_write_atomic(path, str_of(text), &e) == 0, "%s", e.text);
    free(path);
}

static void clear(void)
{
    put("chat_template.jinja", NULL);
    put("tokenizer_config.json", NULL);
    put("special_tokens_map.json", NULL);
    put("other.jinja", NULL);
}

/* Opens with the options, renders; the text, or "!" and the status. */
static const char *rendered(const struct chat_options *o, const char *messages,
                            const char *tools, const char *kwargs)
{
    static struct buf out;
    struct err e = {0};
    struct chat *c = chat_open(o, &e);
    buf_clear(&out);
    if (!c ||
        chat_render(c, str_of(messages), str_of(tools), str_of(kwargs), true, &out, &e) < 0) {
        buf_clear(&out);
        buf_printf(&out, "!%d", e.status);
    }
    chat_free(c);
    return out.p ? out.p : "";
}

static void check_text(const struct chat_options *o, const char *kwargs, const char *want)
{
    const char *got = rendered(o, USER, "", kwargs);
    CHECK_MSG(!strcmp(got, want), "%s: '%s' instead of '%s'", kwargs, got, want);
}

static void test_order(void)
{
    char *other = xasprintf("%s/other.jinja", dir);
    struct chat_options o = {.dir = dir}, file = {.dir = dir, .template_file = other};
    clear();
    check_text(&o, "", "!66");
    put("tokenizer_config.json", "{\"chat_template\":\"config\"}");
    check_text(&o, "", "config");
    put("tokenizer_config.json",
        "{\"chat_template\":[{\"name\":\"default\",\"template\":\"list\"},"
        "{\"name\":\"tool_use\",\"template\":\"tools\"}]}");
    check_text(&o, "", "list");
    CHECK(!strcmp(rendered(&o, USER, "[{}]", ""), "tools"));
    CHECK(!strcmp(rendered(&o, USER, "null", ""), "list"));
    put("tokenizer_config.json", "{\"chat_template\":[{\"name\":\"rag\",\"template\":\"x\"}]}");
    check_text(&o, "", "!78");
    put("tokenizer_config.json", "{\"chat_template\":[7]}");
    check_text(&o, "", "!78");
    put("tokenizer_config.json", "{\"chat_template\":7}");
    check_text(&o, "", "!78");
    put("tokenizer_config.json", "{\"chat_template\":\"{% if %}\"}");
    check_text(&o, "", "!78");
    put("tokenizer_config.json", "{\"chat_template\":");
    check_text(&o, "", "!78");
    put("tokenizer_config.json", "{\"chat_template\":\"config\"}");
    put("chat_template.jinja", "jinja");
    check_text(&o, "", "jinja");
    check_text(&file, "", "!66");
    put("other.jinja", "other");
    check_text(&file, "", "other");
    check_text(&(struct chat_options){.template_file = other}, "", "other");
    check_text(&(struct chat_options){0}, "", "!78");
    free(other);
}

static void test_variables(void)
{
    const char *args[] = {"effort=low", "n=3", "eos_token=arg", "text={\"a\":1}"};
    struct chat_options o = {.dir = dir}, with = {.dir = dir, .args = args, .n_args = 4};
    clear();
    put("tokenizer_config.json",
        "{\"bos_token\":{\"content\":\"<s>\",\"special\":true},\"eos_token\":\"</s>\","
        "\"unk_token\":null,\"add_bos_token\":true,"
        "\"extra_special_tokens\":{\"image_token\":\"<img>\"},"
        "\"additional_special_tokens\":[\"<a>\",{\"content\":\"<b>\"}]}");
    put("special_tokens_map.json", "{\"bos_token\":\"late\",\"pad_token\":\"<pad>\"}");
    put("chat_template.jinja",
        "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token is defined }}{{ image_token "
        "}}"
        "{{ additional_special_tokens|join }}{{ add_bos_token is defined }}");
    check_text(&o, "", "<s></s><pad>False<img><a><b>False");
    put("chat_template.jinja", "{{ effort }}{{ n + 1 }}{{ eos_token }}{{ text }}");
    check_text(&with, "", "low4arg{'a': 1}");
    check_text(&with, "{\"effort\":\"high\",\"eos_token\":\"kw\"}", "high4kw{'a': 1}");
    put("chat_template.jinja", "{{ tools is none }}{{ documents is none }}{{ messages|length "
                               "}}{{ add_generation_prompt }}");
    check_text(&o, "", "TrueTrue1True");
    check_text(&o, "null", "TrueTrue1True");
    check_text(&o, "{\"messages\":[],\"documents\":[]}", "TrueFalse1True");
    check_text(&o, "[]", "!65");
    put("chat_template.jinja", "{{ raise_exception('no') }}");
    check_text(&o, "", "!65");
    args[0] = "no value";
    check_text(&with, "", "!64");
    args[0] = "=1";
    check_text(&with, "", "!64");
}

static void test_date(void)
{
    static const char *const bad[] = {"2025",
                                      "2025-13-01",
                                      "2025-02-30",
                                      "2025-1-1",
                                      "2025-01-01T25:00:00",
                                      "2025-01-01T10:00",
                                      "2025-01-01 10:00:00",
                                      "2025-01-01x",
                                      ""};
    struct chat_options o = {.dir = dir, .date = "2024-02-29T23:59:58"};
    struct err e = {0};
    clear();
    put("chat_template.jinja", "{{ strftime_now('%d %b %Y %H:%M:%S') }}");
    check_text(&o, "", "29 Feb 2024 23:59:58");
    struct chat *c = chat_open(&o, &e);
    CHECK(c && chat_uses_date(c) && !strcmp(chat_date(c), "2024-02-29T23:59:58"));
    uint64_t hash = c ? chat_hash(c) : 0;
    chat_free(c);
    o.date = "2024-03-01";
    check_text(&o, "", "01 Mar 2024 00:00:00");
    c = chat_open(&o, &e);
    CHECK(c && chat_hash(c) != hash);
    chat_free(c);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.date = bad[i];
        check_text(&o, "", "!64");
    }
    o.date = NULL;
    put("chat_template.jinja", "x");
    c = chat_open(&o, &e);
    CHECK(c && !chat_uses_date(c) && strlen(chat_date(c)) == 19);
    hash = c ? chat_hash(c) : 0;
    chat_free(c);
    o.date = "2024-03-01";
    c = chat_open(&o, &e);
    CHECK(c && chat_hash(c) == hash); /* a date that is not asked for makes no difference */
    chat_free(c);
}

static void check_turn_end(const char *template, const char *want)
{
    struct chat_options o = {.dir = dir};
    struct err e = {0};
    put("chat_template.jinja", template);
    struct chat *c = chat_open(&o, &e);
    CHECK_MSG(c && str_is(chat_turn_end(c), want), "'%.*s' instead of '%s'",
              c ? (int)chat_turn_end(c).n : 0, c ? chat_turn_end(c).p : "", want);
    chat_free(c);
}

static void test_turn_end(void)
{
    clear();
    check_turn_end(CHATML, "<|im_end|>\n");
    check_turn_end("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}", "");
    check_turn_end("{{ messages[0].content }}", "");
    check_turn_end("{{ raise_exception('never') }}", "");
    check_turn_end("{% for m in messages %}{{ m.content[0].text }};{% endfor %}", ";");
    check_turn_end("{% for m in messages %}<{{ m.role }}>{{ m.content }}"
                   "{% if not loop.last %}<end>{% endif %}{% endfor %}",
                   "<end><user>");
    put("tokenizer_config.json", "{\"eos_token\":\"</s>\"}");
    check_turn_end("{% for m in messages %}[{{ m.content }}{{ eos_token }}{% endfor %}",
                   "</s>");
    put("chat_template.jinja", NULL);
    put("tokenizer_config.json", "{\"chat_template\":" CHATML_JSON "}");
    check_text(&(struct chat_options){.dir = dir}, "",
               "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

static void test_hash(void)
{
    const char *args[] = {"a=1"};
    struct chat_options o = {.dir = dir}, with = {.dir = dir, .args = args, .n_args = 1};
    struct err e = {0};
    clear();
    put("chat_template.jinja", "x");
    struct chat *a = chat_open(&o, &e), *b = chat_open(&o, &e), *c = chat_open(&with, &e);
    put("chat_template.jinja", "y");
    struct chat *d = chat_open(&o, &e);
    CHECK(a && b && chat_hash(a) == chat_hash(b));
    CHECK(a && c && chat_hash(a) != chat_hash(c));
    CHECK(a && d && chat_hash(a) != chat_hash(d));
    chat_free(a);
    chat_free(b);
    chat_free(c);
    chat_free(d);
}

int main(void)
{
    CHECK(mkdtemp(dir));
    test_order();
    test_variables();
    test_date();
    test_turn_end();
    test_hash();
    clear();
    rmdir(dir);
    return unit_done("chat");
}
