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

/* ---- labels ------------------------------------------------------------------ */

/* The prompt in front of every label: `base` stands for the text before `text`, whose encoding
 * with a label behind it is put behind base. */
struct front {
    struct ids base;
    struct buf text;
    size_t n; /* length of the prompt's part of text */
};

static int encode_behind(const struct tokenizer *t, struct tokenizer_work *w, struct front *f,
                         struct str label, struct ids *out, struct err *e)
{
    f->text.n = f->n;
    buf_addstr(&f->text, label);
    return tokenizer_encode(t, w, buf_str(&f->text), false, out, e);
}

/* Where the last special token of the ids begins in the text; 0 without one. */
static size_t last_special(const struct tokenizer *t, struct str text, const struct ids *ids)
{
    size_t i = ids->n, at = 0;
    while (i && !tokenizer_is_special(t, ids->v[i - 1]))
        i--;
    struct str token = i ? tokenizer_token(t, ids->v[i - 1]) : STR("");
    const char *p = text.p, *end = text.p + text.n;
    while (token.n && (p = memmem(p, (size_t)(end - p), token.p, token.n)))
        at = (size_t)(p++ - text.p);
    return at;
}

static bool ends_with(const struct ids *ids, const struct ids *tail)
{
    return tail->n <= ids->n && tail->n &&
           !memcmp(ids->v + ids->n - tail->n, tail->v, tail->n * sizeof *tail->v);
}

/* A text is cut at special tokens before anything else happens to it, so only what stands from
 * the last one on needs to be encoded with each label.  Where that does not give the prompt's
 * own ids again, all of it is. */
static int find_front(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                      bool raw, const struct ids *prompt, struct front *f, struct err *e)
{
    size_t from = last_special(t, text, prompt);
    struct str rest = {text.p + from, text.n - from};
    struct ids tail = {0};
    int rc = tokenizer_encode(t, w, rest, false, &tail, e);
    if (rc == 0 && from && ends_with(prompt, &tail)) {
        ids_append(&f->base, prompt->v, prompt->n - tail.n);
        buf_addstr(&f->text, rest);
    } else {
        /* What the tokenizer may add behind a text does not belong before a label. */
        if (raw && tokenizer_bos(t) >= 0 && !begins_with_bos(t, text))
            ids_add(&f->base, tokenizer_bos(t));
        buf_addstr(&f->text, text);
    }
    f->n = f->text.n;
    ids_release(&tail);
    return rc;
}

static size_t common_prefix(const struct ids *a, const struct ids *b)
{
    size_t n = 0;
    while (n < a->n && n < b->n && a->v[n] == b->v[n])
        n++;
    return n;
}

/* The encodings of all labels behind the front.  Of those after the first only what differs
 * from it is kept: they have the prompt in common. */
struct encodings {
    struct ids first;
    struct ids *rest; /* [n]: what follows the tokens in common with the first */
    size_t *common;   /* [n] */
    size_t n, least;  /* the least length in tokens */
};

static int encode_all(const struct tokenizer *t, struct tokenizer_work *w, struct front *f,
                      const struct str *labels, struct encodings *x, struct err *e)
{
    struct ids one = {0};
    int rc = encode_behind(t, w, f, labels[0], &x->first, e);
    x->common[0] = x->least = x->first.n;
    for (size_t i = 1; i < x->n && rc == 0; i++) {
        one.n = 0;
        rc = encode_behind(t, w, f, labels[i], &one, e);
        x->common[i] = common_prefix(&x->first, &one);
        if (one.n > x->common[i])
            ids_append(&x->rest[i], one.v + x->common[i], one.n - x->common[i]);
        if (one.n < x->least)
            x->least = one.n;
    }
    if (x->n == 1 &&
        rc == 0) { /* one label differs from nothing: it begins behind the prompt */
        rc = encode_behind(t, w, f, STR(""), &one, e);
        x->common[0] = common_prefix(&x->first, &one);
    }
    ids_release(&one);
    return rc;
}

/* How many tokens behind the base stand before the first that is scored. */
static size_t scored_from(const struct encodings *x, int32_t end)
{
    size_t from = x->common[0];
    for (size_t i = 1; i < x->n; i++)
        if (x->common[i] < from)
            from = x->common[i];
    /* Without an end token a label that another one begins with would have nothing to score. */
    if (end < 0 && x->least && from > x->least - 1)
        from = x->least - 1;
    return from;
}

static int take_scored(const struct encodings *x, size_t from, int32_t end, struct ids *ids,
                       struct err *e)
{
    for (size_t i = 0; i < x->n; i++) {
        size_t shared = i ? x->common[i] : x->first.n;
        if (shared > from)
            ids_append(&ids[i], x->first.v + from, shared - from);
        ids_append(&ids[i], x->rest[i].v, x->rest[i].n);
        if (end >= 0)
            ids_add(&ids[i], end);
        if (!ids[i].n)
            return err_set(e, EXIT_DATA, "a label has no tokens");
    }
    return 0;
}

int labels_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str text,
                  bool raw, const struct str *labels, size_t n, int32_t end, struct ids *prompt,
                  struct ids *ids, struct err *e)
{
    struct front f = {0};
    struct encodings x = {.n = n};
    x.rest = xcalloc(n, sizeof *x.rest);
    x.common = xcalloc(n, sizeof *x.common);
    int rc = 0;
    if (text.p)
        rc = find_front(t, w, text, raw, prompt, &f, e);
    else
        ids_append(&f.base, prompt->v, prompt->n);
    if (rc == 0 && n)
        rc = encode_all(t, w, &f, labels, &x, e);
    if (rc == 0 && n) {
        size_t from = scored_from(&x, end);
        prompt->n = 0;
        ids_append(prompt, f.base.v, f.base.n);
        ids_append(prompt, x.first.v, from);
        rc = take_scored(&x, from, end, ids, e);
    }
    for (size_t i = 0; i < n; i++)
        ids_release(&x.rest[i]);
    free(x.rest);
    free(x.common);
    ids_release(&x.first);
    ids_release(&f.base);
    buf_release(&f.text);
    return rc;
}
