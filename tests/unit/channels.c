/* channels.c - thought and answer are told apart by ids; the final channel can be forced. */
#include "tiny.h"
#include "unit.h"

#include "text/channels.h"

struct model {
    char dir[32];
    struct tokenizer *t;
    struct tokenizer_work *w;
    struct chat *chat;
    struct channels *c;
};

static struct model open_model(const char *const *tokens, const char *template)
{
    struct model m = {.dir = "/tmp/channels.XXXXXX"};
    struct err e = {0};
    tiny_model(m.dir, tokens, template);
    m.t = tokenizer_load(m.dir, &e);
    CHECK_MSG(m.t != NULL, "%s", e.text);
    m.w = tokenizer_work_new(m.t);
    if (template) {
        m.chat = chat_open(&(struct chat_options){.dir = m.dir}, &e);
        CHECK_MSG(m.chat != NULL, "%s", e.text);
    }
    m.c = channels_new(m.t, m.chat);
    return m;
}

static void close_model(struct model *m)
{
    tiny_remove(m->dir);
    channels_free(m->c);
    chat_free(m->chat);
    tokenizer_work_free(m->w);
    tokenizer_free(m->t);
}

static struct ids encode(const struct model *m, const char *text)
{
    struct ids ids = {0};
    CHECK(tokenizer_encode(m->t, m->w, str_of(text), false, &ids, NULL) == 0);
    return ids;
}

/* text NULL: no channels are found, and all of the answer is text. */
static void check_split(const struct model *m, const char *prompt, const char *answer,
                        const char *text, const char *reasoning)
{
    struct ids p = encode(m, prompt), a = encode(m, answer);
    struct channels_answer out = {0};
    channels_split(m->c, m->w, p.v, p.n, a.v, a.n, &out);
    CHECK_MSG(out.found == (text != NULL), "'%s' '%s'", prompt, answer);
    CHECK_MSG(str_is(buf_str(&out.text), text ? text : answer), "'%s' '%s': text '%s'", prompt,
              answer, out.text.p);
    CHECK_MSG(str_is(buf_str(&out.reasoning), reasoning), "'%s' '%s': reasoning '%s'", prompt,
              answer, out.reasoning.p);
    channels_answer_release(&out);
    ids_release(&p);
    ids_release(&a);
}

/* What a prompt becomes, NULL: it stays; by text and by ids. */
static void check_force(const struct model *m, const char *prompt, const char *becomes)
{
    struct buf b = {0}, back = {0};
    struct ids ids = encode(m, prompt);
    buf_puts(&b, prompt);
    CHECK_MSG(channels_force(m->c, &b) == (becomes != NULL), "'%s'", prompt);
    CHECK(channels_force_ids(m->c, &ids) == (becomes != NULL));
    tokenizer_decode(m->t, m->w, ids.v, ids.n, false, &back);
    CHECK_MSG(str_is(buf_str(&b), becomes ? becomes : prompt), "'%s': '%s'", prompt, b.p);
    CHECK_MSG(str_eq(buf_str(&b), buf_str(&back)), "'%s' by ids: '%s'", prompt, back.p);
    buf_release(&b);
    buf_release(&back);
    ids_release(&ids);
}

/* ---- harmony --------------------------------------------------------------------------- */

static const char *const harmony_tokens[] = {"<|start|>",  "<|end|>",     "<|message|>",
                                             "<|return|>", "<|channel|>", "<|constrain|>",
                                             "<|call|>",   NULL};

#define HARMONY                                                                  \
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}" \
    "<|channel|>final{% endif %}<|message|>{{ m.content }}"                      \
    "{{ '<|return|>' if m.role == 'assistant' else '<|end|>' }}{% endfor %}"     \
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
#define ASKED "<|start|>user<|message|>hi<|end|><|start|>assistant"

static void test_harmony(void)
{
    struct model m = open_model(harmony_tokens, HARMONY);
    int32_t stops[CHANNELS_STOPS_MAX];
    CHECK(channels_kind(m.c) == CHANNELS_HARMONY);
    CHECK(channels_stops(m.c, stops) == 2);
    CHECK(stops[0] == tokenizer_id(m.t, STR("<|return|>")));
    CHECK(stops[1] == tokenizer_id(m.t, STR("<|call|>")));

    check_split(&m, ASKED,
                "<|channel|>analysis<|message|>let me see<|end|><|start|>assistant<|channel|>"
                "final<|message|>four",
                "four", "let me see");
    /* cut in the thought, in a header, in the answer */
    check_split(&m, ASKED, "<|channel|>analysis<|message|>let me", "", "let me");
    check_split(&m, ASKED, "<|channel|>analysis<|message|>so<|end|><|start|>assis", "",
                "so\nassis");
    check_split(&m, ASKED, "<|channel|>final<|message|>fo", "fo", "");
    check_split(&m, ASKED, "<|channel|>fin", "", "fin");
    check_split(&m, ASKED, "", "", "");
    /* a name is compared whole */
    check_split(&m, ASKED, "<|channel|>finals<|message|>x", "", "x");
    check_split(&m, ASKED, "<|channel|>final <|constrain|>json<|message|>{}", "{}", "");
    /* the words of markers in a text are no markers */
    check_split(&m, ASKED, "<|channel|>final<|message|>final channel|> assistant",
                "final channel|> assistant", "");
    /* tool calls: in the role, in the channel, and with nothing in them */
    check_split(&m, ASKED,
                "<|channel|>analysis<|message|>a<|end|><|start|>assistant to=functions.f"
                "<|channel|>commentary json<|message|>{\"x\":1}",
                "", "a\nto=functions.f {\"x\":1}");
    check_split(&m, ASKED,
                " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}", "",
                "to=functions.f {}");
    check_split(&m, ASKED, "<|channel|>commentary to=functions.g <|constrain|>json<|message|>",
                "", "to=functions.g ");
    /* a preamble in commentary, then the answer in two parts */
    check_split(
        &m, ASKED,
        "<|channel|>commentary<|message|>I look<|end|><|start|>assistant<|channel|>final"
        "<|message|>one<|end|><|start|>assistant<|channel|>final<|message|>two",
        "one\ntwo", "I look");
    /* not as it should be: <|start|> or <|end|> left out, text in no channel, before a header
     */
    check_split(&m, ASKED,
                "<|channel|>analysis<|message|>a<|channel|>final<|message|>b<|end|>c", "b",
                "a\nc");
    check_split(&m, ASKED, "<|message|>nameless", "", "nameless");
    check_split(&m, ASKED, "no header", "", "no header");
    check_split(&m, ASKED, "<|channel|>final<|message|>a<|message|>b", "a", "b");
    check_split(&m, ASKED, "<|end|><|end|><|start|><|start|>", "", "");
    /* the prompt has begun the final channel, or a thought */
    check_split(&m, ASKED "<|channel|>final<|message|>", "four", "four", "");
    check_split(&m, ASKED "<|channel|>final<|message|>fo", "ur", "ur", "");
    check_split(&m, ASKED "<|channel|>final<|message|>", "", "", "");
    check_split(&m, ASKED "<|channel|>analysis<|message|>so",
                " then<|end|><|start|>assistant<|channel|>final<|message|>x", "x", " then");
    check_split(&m, ASKED " to=functions.f<|channel|>commentary<|message|>{", "}", "",
                "to=functions.f }");
    /* a text that is no conversation */
    check_split(&m, "once upon", " a time", NULL, "");
    check_split(&m, "", "once<|start|>assistant<|channel|>final<|message|>x", "once\nx", "");

    check_force(&m, ASKED, ASKED "<|channel|>final<|message|>");
    check_force(&m, ASKED "<|channel|>final<|message|>", ASKED "<|channel|>final<|message|>");
    check_force(&m, ASKED "<|channel|>analysis<|message|>", NULL);
    check_force(&m, "once upon", NULL);
    check_force(&m, "", NULL);
    close_model(&m);

    /* Another template on these tokens: nothing is forced. */
    m = open_model(harmony_tokens, "{% for m in messages %}[{{ m.content }}]{% endfor %}"
                                   "{% if add_generation_prompt %}:{% endif %}");
    check_force(&m, "[a]:", NULL);
    check_split(&m, "[a]:", "b", NULL, "");
    close_model(&m);
    m = open_model(harmony_tokens, NULL);
    check_split(&m, ASKED, "<|channel|>final<|message|>b", "b", "");
    check_force(&m, ASKED, NULL);
    close_model(&m);
}

/* ---- tags ----------------------------------------------------------------------------------
 */

static const char *const think_tokens[] = {"<|im_start|>", "<|im_end|>",  "<think>",
                                           "</think>",     "<tool_call>", NULL};
#define TURNS                                                                                  \
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" \
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
#define USER "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"

static void test_tags(void)
{
    /* As Qwen3: the model opens the thought itself. */
    struct model m = open_model(think_tokens, TURNS
                                "{% if enable_thinking is defined and not enable_thinking %}"
                                "<think>\n\n</think>\n\n{% endif %}{% endif %}");
    int32_t stops[CHANNELS_STOPS_MAX];
    CHECK(channels_kind(m.c) == CHANNELS_TAGS);
    CHECK(channels_stops(m.c, stops) == 0);
    check_split(&m, USER, "<think>\nhm\n</think>\n\nfour", "four", "hm");
    check_split(&m, USER, "<think>\n\n</think>\n\nfour\n", "four\n", "");
    check_split(&m, USER, "<think>\nhm", "", "hm");
    check_split(&m, USER, "<think>\nhm\n</think>\n\n", "", "hm");
    check_split(&m, USER, "<think>", "", "");
    check_split(&m, USER, "\nfour", NULL, "");
    check_split(&m, USER, "", NULL, "");
    check_split(&m, USER, "hm</think>four", "four", "hm"); /* opened unseen */
    check_split(&m, USER, "a<think>b</think>c<think>d</think>e", "a\nc\ne", "b\nd");
    check_split(&m, USER, "<think>a<think>b</think>c</think>d", "c\nd", "a\nb");
    check_split(&m, USER, "<think>a</think><tool_call>b", "<tool_call>b", "a");
    /* The tags of earlier turns, or in the user's text, do not count. */
    check_split(&m, "<|im_start|>user\n<think><|im_end|>\n<|im_start|>assistant\n", "x", NULL,
                "");
    check_split(&m, "<think>", "a</think>b", "b", "a");
    check_split(&m, "text<think>of", "a", "", "a");
    check_split(&m, "<think></think>", "a", "a", "");
    check_split(&m, USER "<think>\n\n</think>\n\n", "\nfour", "four", "");
    check_split(&m, USER "<think>\n\n</think>\n\n", "", "", "");

    check_force(&m, USER, USER "<think>\n\n</think>\n\n");
    check_force(&m, USER "<think>\n\n</think>\n\n", USER "<think>\n\n</think>\n\n");
    check_force(&m, USER "<think>\n", NULL);
    check_force(&m, "<|im_start|>assistant", NULL);
    close_model(&m);

    /* As DeepSeek-R1: the prompt opens the thought, whatever is asked for. */
    m = open_model(think_tokens, TURNS "<think>\n{% endif %}");
    check_split(&m, USER "<think>\n", "hm\n</think>\n\nfour", "four", "hm");
    check_split(&m, USER "<think>\n", "hm", "", "hm");
    check_split(&m, USER "<think>\n", "", "", "");
    check_split(&m, USER "<think>\n", "<think>hm</think>four", "four", "hm");
    check_force(&m, USER "<think>\n", USER "<think>\n\n</think>\n\n");
    check_force(&m, USER, NULL);
    close_model(&m);

    /* As DeepSeek-V3.1: no thought unless asked for, and no line ends. */
    m = open_model(think_tokens, TURNS "{{ '<think>' if thinking else '<think></think>' }}"
                                       "{% endif %}");
    check_force(&m, USER "<think></think>", USER "<think></think>");
    check_force(&m, USER "<think>", USER "<think></think>");
    close_model(&m);

    /* The template writes a finished turn's empty thought, and takes no variable. */
    m = open_model(
        think_tokens,
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' "
        "%}<think> </think>\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
    check_force(&m, USER, USER "<think> </think>\n");
    close_model(&m);

    /* The tokens are there, but this template never writes them. */
    m = open_model(think_tokens, TURNS "{% endif %}");
    check_force(&m, USER, NULL);
    check_split(&m, USER, "<think>a</think>b", "b", "a");
    close_model(&m);
}

static void test_others(void)
{
    static const char *const channel[] = {"<|turn>", "<turn|>", "<|channel>", "<channel|>",
                                          NULL};
    static const char *const two[] = {"<think>", "</think>", "[THINK]", "[/THINK]", NULL};
    static const char *const half[] = {"<think>", "<|im_start|>", NULL};
    struct model m = open_model(
        channel, "{% for m in messages %}<|turn>{{ m.role }}\n{{ m.content }}<turn|>\n"
                 "{% endfor %}{% if add_generation_prompt %}<|turn>model\n"
                 "{% if not enable_thinking %}<|channel>thought\n<channel|>{% endif %}"
                 "{% endif %}");
    check_split(&m, "<|turn>model\n", "<|channel>thought\nhm\n<channel|>four", "four", "hm");
    check_split(&m, "<|turn>model\n", "<|channel>thoughts", "", "thoughts");
    check_split(&m, "<|turn>model\n<|channel>thought\n<channel|>", "four", "four", "");
    check_force(&m, "<|turn>model\n", "<|turn>model\n<|channel>thought\n<channel|>");
    close_model(&m);

    m = open_model(two, "{{ '[/THINK]' if false }}");
    check_split(&m, "", "[THINK]a[/THINK]b<think>", "b<think>", "a");
    close_model(&m);

    m = open_model(half, TURNS "<think>{% endif %}");
    CHECK(channels_kind(m.c) == CHANNELS_NONE);
    check_split(&m, USER "<think>", "a</think>b", NULL, "");
    check_force(&m, USER "<think>", NULL);
    close_model(&m);
}

int main(void)
{
    test_harmony();
    test_tags();
    test_others();
    return unit_done("channels");
}
