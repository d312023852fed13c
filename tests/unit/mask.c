/* mask.c - which tokens of a conversation a training loss sees. */
#include "tiny.h"
#include "unit.h"

#include "text/mask.h"

static const char *const tokens[] = {"<|im_start|>", "<|im_end|>", "<|done|>", NULL};

#define TURN(content) "<|im_start|>{{ m.role }}\n" content "<|im_end|>\n"
#define CHATML(content)                                                      \
    "{% for m in messages %}" TURN(content) "{% endfor %}"                   \
                                            "{% if add_generation_prompt %}" \
                                            "<|im_start|>assistant\n{% endif %}"
#define ASKED "{\"role\":\"user\",\"content\":\"hi\"}"
#define SAID(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

/* What the loss sees is told by the text of those tokens, parts joined by '|'; NULL: an error
 * of which `what` is part. */
static void check(const char *template, const char *messages, const char *seen,
                  const char *what)
{
    char dir[] = "/tmp/mask.XXXXXX";
    struct str none = {0};
    struct err e = {0};
    struct mask m = {0};
    struct buf text = {0}, whole = {0}, rendered = {0};
    tiny_model(dir, tokens, template);
    struct tokenizer *t = tokenizer_load(dir, &e);
    const char *args[] = {"eos_token=<|done|>"};
    struct chat *c = chat_open(&(struct chat_options){.dir = dir, .args = args, .n_args = 1},
                               &e);
    tiny_remove(dir);
    if (!t || !c)
        die_err(&e);
    struct tokenizer_work *w = tokenizer_work_new(t);
    int rc = mask_chat(c, t, w, str_of(messages), none, none, &m, &e);
    CHECK_MSG((rc == 0) == (seen != NULL), "%s: %s", messages, e.text);
    if (rc < 0)
        CHECK_MSG(e.status == EXIT_DATA && what && strstr(e.text, what), "%s: %s", messages,
                  e.text);
    for (size_t i = 0; rc == 0 && i < m.tokens.n; i++) {
        if (!m.loss[i])
            continue;
        if (text.n && !m.loss[i - 1])
            buf_putc(&text, '|');
        tokenizer_decode(t, w, m.tokens.v + i, 1, false, &text);
    }
    if (rc == 0 && seen) {
        CHECK(m.loss[0] == 0);
        CHECK_MSG(str_is(buf_str(&text), seen), "%s: '%s'", messages, text.p);
        tokenizer_decode(t, w, m.tokens.v, m.tokens.n, false, &whole);
        CHECK(chat_render(c, str_of(messages), none, none, false, &rendered, &e) == 0);
        CHECK(str_eq(buf_str(&whole), buf_str(&rendered)));
    }
    mask_release(&m);
    buf_release(&text);
    buf_release(&whole);
    buf_release(&rendered);
    tokenizer_work_free(w);
    tokenizer_free(t);
    chat_free(c);
}

static void test_behind_prompt(void)
{
    const char *chatml = CHATML("{{ m.content }}");
    check(chatml, "[" ASKED "," SAID("four") "]", "four<|im_end|>", NULL);
    check(chatml, "[ " ASKED " , " SAID("one") " , " ASKED " , " SAID("two") " ]",
          "two<|im_end|>", NULL);
    check(chatml, "[" ASKED "," SAID("") "]", "<|im_end|>", NULL);
    check(chatml, "[" SAID("alone") "]", "alone<|im_end|>", NULL);
    check(chatml, "[" ASKED "]", NULL, "nothing to learn");
    check(chatml, "[]", NULL, "nothing to learn");
    check(chatml, "[" SAID("x") ",7]", NULL, "nothing to learn");
    check(chatml, "{}", NULL, "not an array");
    /* The answer's own end token does not end the turn early. */
    check(chatml, "[" ASKED "," SAID("a<|im_end|>b") "]", "a<|im_end|>b<|im_end|>", NULL);
    /* No end token is written: all that follows is the target. */
    check("{% for m in messages %}{{ m.content }};{% endfor %}", "[" ASKED "," SAID("four") "]",
          "four;", NULL);
    /* The first tag behind an answer ends the turn, unless the model's end token follows it. */
    check("{% for m in messages %}{{ m.content }}\n<|im_end|></s>{% endfor %}",
          "[" ASKED "," SAID("four") "]", "four\n<|im_end|>", NULL);
    check("{% for m in messages %}{{ m.content }}<|im_end|><|done|><|im_start|>{% endfor %}",
          "[" ASKED "," SAID("four") "]", "four<|im_end|><|done|>", NULL);
    check("{{ raise_exception('never') }}", "[" ASKED "," SAID("four") "]", NULL, "never");
}

/* The conversation does not begin with the prompt. */
static void test_other_prompt(void)
{
#define SAYS "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
#define THEN(text) SAYS "{% if add_generation_prompt %}" text "{% endif %}"
    const char *one = "[" ASKED "," SAID("four") "]";
    /* The prompt opens a thought, or closes one. */
    check(THEN("assistant:<think>"), one, "four\n", NULL);
    check(THEN("assistant:<think>"), "[" ASKED "," SAID("<tool>") "]", "<tool>\n", NULL);
    check(THEN("assistant:<think>\n\n</think>"), one, "four\n", NULL);
    /* Other blanks; the model adds those that the prompt has not. */
    check(THEN("assistant: \n"), one, "four\n", NULL);
    check("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
          "{% if add_generation_prompt %}\n\nassistant:{% endif %}",
          one, " four\n", NULL);
    /* Nothing in common: what is said, and what follows from it. */
    check(THEN("bot:"), one, "four\n", NULL);
    check("{{ 'x' if messages | length == 1 }}" SAYS, one, "four\n", NULL);
    check("{% for m in messages %}{{ m.role }}:{% if m.why %}({{ m.why }}){% endif %}"
          "{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}bot:{% endif %}",
          "[" ASKED ",{\"role\":\"assistant\",\"content\":\"4\",\"why\":\"2+2\"}]", "(2+2)4\n",
          NULL);
    /* The template refuses what has no answer, or takes contents in parts only. */
    check("{{ raise_exception('never') if messages | length == 1 }}>{{ messages[-1].content }}",
          one, "four", NULL);
    check("{% for m in messages %}{{ m.role }}:{{ m.content[0].text }}{% endfor %}"
          "{{ 'bot:' if add_generation_prompt }}",
          "[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]},"
          "{\"role\":\"assistant\",\"content\":[{\"text\":\"four\"}]}]",
          "four", NULL);
    check("{{ messages | length }}{{ 'bot:' if add_generation_prompt }}", one, NULL,
          "nor writes what is said there");
}

static void test_blocks(void)
{
    const char *marked = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
                         "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
                         "<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>"
                         "{% endif %}\n{% endfor %}";
    check(marked, "[" ASKED "," SAID("four") "]", "four<|im_end|>", NULL);
    check(marked, "[" ASKED "," SAID("one") "," ASKED "," SAID("two") "]", "two<|im_end|>",
          NULL);
    /* Two blocks in one turn, and what stands between them. */
    check("{% for m in messages %}{{ m.role }} {% if m.role == 'assistant' %}{% generation %}a"
          "{% endgeneration %}-{% generation %}{{ m.content }}{% endgeneration %}"
          "{% endif %};{% endfor %}",
          "[" ASKED "," SAID("four") "]", "a|four", NULL);
    /* Blocks that are not for the last turn say nothing about it. */
    check("{% generation %}x{% endgeneration %}{% for m in messages %}{{ m.content }}"
          "{% endfor %}",
          "[" ASKED "," SAID("four") "]", "four", NULL);
    /* A template that refuses a conversation without an answer. */
    check("{{ raise_exception('no') if messages[-1].role == 'user' }}"
          "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% else %}"
          "{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}",
          "[" ASKED "," SAID("one") "," ASKED "," SAID("two") "]", "two", NULL);
    /* Text that is taken for something else is no place in the output. */
    check("{% for m in messages %}{% set t %}{% generation %}{{ m.content }}"
          "{% endgeneration %}{% endset %}{{ t }}{% endfor %}",
          "[" ASKED "," SAID("two") "]", "two", NULL);
}

static void test_completion(void)
{
    char dir[] = "/tmp/mask.XXXXXX";
    struct err e = {0};
    struct mask m = {0};
    tiny_model(dir, tokens, NULL);
    struct tokenizer *t = tokenizer_load(dir, &e);
    tiny_remove(dir);
    if (!t)
        die_err(&e);
    struct tokenizer_work *w = tokenizer_work_new(t);
    CHECK(mask_completion(t, w, STR("ab"), true, STR("cd"), 7, &m, &e) == 0);
    CHECK(m.tokens.n == 5 && m.tokens.v[4] == 7);
    CHECK(m.loss[0] + m.loss[1] == 0 && m.loss[2] + m.loss[3] + m.loss[4] == 3);
    CHECK(mask_completion(t, w, STR(""), true, STR("cd"), -1, &m, &e) == 0);
    CHECK(m.tokens.n == 2 && m.loss[0] == 0 && m.loss[1] == 1);
    mask_release(&m);
    tokenizer_work_free(w);
    tokenizer_free(t);
}

int main(void)
{
    test_behind_prompt();
    test_other_prompt();
    test_blocks();
    test_completion();
    return unit_done("mask");
}
