/* prompt.c - prompts get one BOS; labels are the tokens of prompt and label together. */
#include "unit.h"

#include "text/prompt.h"

#include <stdbool.h>
#include <string.h>

enum { LABELS_MAX = 5 };

static struct tokenizer *tokenizer;
static struct tokenizer_work *work;

static struct ids encode(struct str text, bool raw)
{
    struct ids ids = {0};
    CHECK(prompt_encode(tokenizer, work, text, raw, &ids, NULL) == 0);
    return ids;
}

/* Prompt and scored tokens of every label are the encoding of the joined text; scoring begins
 * where the labels part. */
static void check_labels(const char *prompt, const char *const *labels, size_t n, int32_t end)
{
    struct ids ids[LABELS_MAX] = {{0}}, common = encode(str_of(prompt), false);
    struct str texts[LABELS_MAX];
    bool parted = n == 1;
    for (size_t i = 0; i < n; i++)
        texts[i] = str_of(labels[i]);
    CHECK(labels_encode(tokenizer, work, str_of(prompt), false, texts, n, end, &common, ids,
                        NULL) == 0);
    for (size_t i = 0; i < n; i++) {
        struct buf joined = {0};
        buf_puts(&joined, prompt);
        buf_puts(&joined, labels[i]);
        struct ids whole = encode(buf_str(&joined), false), got = {0};
        if (end >= 0)
            ids_add(&whole, end);
        ids_append(&got, common.v, common.n);
        ids_append(&got, ids[i].v, ids[i].n);
        CHECK_MSG(got.n == whole.n && !memcmp(got.v, whole.v, got.n * sizeof *got.v),
                  "'%s' + '%s'", prompt, labels[i]);
        CHECK(ids[i].n > 0);
        parted |= ids[i].v[0] != ids[0].v[0];
        parted |= end < 0 && ids[i].n == 1; /* one more token could not be shared */
        buf_release(&joined);
        ids_release(&whole);
        ids_release(&got);
    }
    CHECK_MSG(parted, "'%s': the labels part later", prompt);
    for (size_t i = 0; i < n; i++)
        ids_release(&ids[i]);
    ids_release(&common);
}
#define LABELS(prompt, end, ...)                             \
    check_labels(prompt, (const char *const[]){__VA_ARGS__}, \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), end)

static void test_labels(void)
{
    static const char *const prompts[] = {
        "<|bos|><|im_start|>user\nparcel<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>assistant\nthe answer is ship", /* the seam is inside a word */
        "no special token, and a space ",
        "x",
        "<|im_start|>",
        "",
    };
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        for (int32_t end = -1; end <= 3; end += 4) {
            LABELS(prompts[i], end, "billing", "technical", "shipping", "account");
            LABELS(prompts[i], end, "ship", "shipping");
            LABELS(prompts[i], end, "shipping");
            LABELS(prompts[i], end, "ping", "pings", " ping", "<|im_end|>ping");
            LABELS(prompts[i], end, "\xc3\xa9", "\xc3\xa8");
        }
    }
    /* Nothing to score: an empty label without an end token. */
    struct ids none = encode(STR("a"), false), ids = {0};
    struct str empty = STR("");
    struct err e = {0};
    CHECK(labels_encode(tokenizer, work, STR(""), false, &empty, 1, -1, &none, &ids, &e) < 0);
    CHECK(e.status == EXIT_DATA);
    ids_release(&none);
    ids_release(&ids);
}

static void test_bos(void)
{
    int32_t bos = tokenizer_bos(tokenizer);
    struct ids a = encode(STR("hello"), true), b = encode(STR("<|bos|>hello"), true);
    CHECK(b.n > 1 && b.v[0] == 1 && b.v[1] != 1);
    CHECK(bos < 0 || a.v[0] == bos);
    ids_release(&a);
    ids_release(&b);
}

int main(void)
{
    struct err e = {0};
    tokenizer = tokenizer_load("data/models/router", &e);
    if (!tokenizer) {
        SKIP("%s", e.text);
        return unit_done("prompt");
    }
    work = tokenizer_work_new(tokenizer);
    test_labels();
    test_bos();
    tokenizer_work_free(work);
    tokenizer_free(tokenizer);
    return unit_done("prompt");
}
