/* prompt.c - from a prompt's text, and the labels behind it, to tokens. */
#include "text/prompt.h"

#include <stdlib.h>

static bool begins_with_bos(const struct tokenizer *t, struct str text)
{
    int32_t bos = tokenizer_bos(t);
    if (bos < 0)
        return false;
    struct str token = tokenizer_token(t, bos);
    return token.n && text.n >= token.n && memcmp(text.p, token.p, token.n) == 0;
}

int prompt_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                  bool raw, struct ids *out, struct err *e)
{
    return tokenizer_encode(t, w, text, raw && !begins_with_bos(t, text), out, e);
}

static size_t common_prefix(const struct ids *a, const struct ids *b, size_t most)
{
    size_t n = 0;
    while (n < most && n < a->n && n < b->n && a->v[n] == b->v[n])
        n++;
    return n;
}

/* Encodes prompt + label into out, with BOS before it where the prompt gets one, but without an
 * end that the tokenizer may add to a text: the label is not the end of the prompt. */
static int encode_behind(const struct tokenizer *t, struct tokenizer_work *w, struct buf *text,
                         size_t prompt, bool raw, struct str label, struct ids *out,
                         struct err *e)
{
    text->n = prompt;
    buf_addstr(text, label);
    if (raw && tokenizer_bos(t) >= 0 && !begins_with_bos(t, buf_str(text)))
        ids_add(out, tokenizer_bos(t));
    return tokenizer_encode(t, w, buf_str(text), false, out, e);
}

/* How many tokens stand before the first that is scored. */
static size_t scored_from(const struct ids *whole, size_t n, const struct ids *prompt,
                          int32_t end)
{
    /* A single label differs from nothing: it is scored from where the prompt ends. */
    size_t from = n > 1 ? SIZE_MAX : common_prefix(&whole[0], prompt, SIZE_MAX);
    for (size_t i = 1; i < n; i++)
        from = common_prefix(&whole[0], &whole[i], from);
    /* Without an end token a label that another one begins with would have nothing to score. */
    for (size_t i = 0; i < n && end < 0; i++)
        if (whole[i].n && from > whole[i].n - 1)
            from = whole[i].n - 1;
    return from;
}

int labels_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                  bool raw, const struct str *labels, size_t n, int32_t end, struct ids *prompt,
                  struct ids *ids, struct err *e)
{
    struct buf joined = {0};
    struct ids alone = {0}, *whole = xcalloc(n, sizeof *whole);
    int rc = 0;
    buf_addstr(&joined, text);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = encode_behind(t, w, &joined, text.n, raw, labels[i], &whole[i], e);
    if (rc == 0 && n == 1)
        rc = encode_behind(t, w, &joined, text.n, raw, STR(""), &alone, e);
    if (rc == 0 && n) {
        size_t from = scored_from(whole, n, &alone, end);
        ids_append(prompt, whole[0].v, from);
        for (size_t i = 0; i < n; i++) {
            ids_append(&ids[i], whole[i].v + from, whole[i].n - from);
            if (end >= 0)
                ids_add(&ids[i], end);
            if (!ids[i].n)
                rc = err_set(e, EXIT_DATA, "a label has no tokens");
        }
    }
    for (size_t i = 0; i < n; i++)
        ids_release(&whole[i]);
    free(whole);
    ids_release(&alone);
    buf_release(&joined);
    return rc;
}
