/* constraint.c - grammars of the shapes that records ask for. */
#include "gpu-infer/constraint.h"

#include "rec/json.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Shapes that are kept; a grammar larger than this is made anew, so that what it has walked
 * does not fill the memory. */
enum { KEPT = 64, TOO_LARGE = 256 << 20 };

struct shared {
    struct constraint c; /* first */
    atomic_int holders;
    atomic_size_t bytes;
};

struct entry {
    struct shared *shared;
    int kind;
    struct buf text;
    uint64_t used;
};

struct constraints {
    const struct tokenizer *tokenizer;
    int32_t size;
    struct vocab *vocab;
    struct entry entries[KEPT];
    uint64_t now;
};

void constraint_drop(struct constraint *c)
{
    struct shared *s = (struct shared *)c;
    if (!s || atomic_fetch_sub(&s->holders, 1) > 1)
        return;
    masks_free(c->masks);
    grammar_free(c->grammar);
    free(s);
}

void constraint_measure(struct constraint *c)
{
    struct shared *s = (struct shared *)c;
    atomic_store(&s->bytes, grammar_memory(c->grammar) + masks_memory(c->masks));
}

struct constraints *constraints_new(const struct tokenizer *t, int32_t vocab)
{
    struct constraints *c = xcalloc(1, sizeof *c);
    c->tokenizer = t;
    c->size = vocab;
    return c;
}

static void entry_clear(struct entry *e)
{
    if (e->shared)
        constraint_drop(&e->shared->c);
    e->shared = NULL;
    buf_clear(&e->text);
}

void constraints_free(struct constraints *c)
{
    if (!c)
        return;
    for (int i = 0; i < KEPT; i++) {
        entry_clear(&c->entries[i]);
        buf_release(&c->entries[i].text);
    }
    vocab_free(c->vocab);
    free(c);
}

const struct vocab *constraints_vocab(struct constraints *c, struct err *e)
{
    struct buf bytes = {0};
    if (c->vocab)
        return c->vocab;
    if (!c->tokenizer || !tokenizer_has_bytes(c->tokenizer)) {
        err_set(e, EXIT_DATA,
                c->tokenizer
                    ? "constraints and stop texts are not supported with this tokenizer"
                    : "constraints and stop texts need the model's tokenizer");
        return NULL;
    }
    c->vocab = vocab_new(c->size);
    for (int32_t id = 0; id < c->size && id < tokenizer_size(c->tokenizer); id++) {
        buf_clear(&bytes);
        if (tokenizer_bytes(c->tokenizer, id, &bytes))
            vocab_add(c->vocab, id, buf_str(&bytes));
    }
    vocab_build(c->vocab);
    buf_release(&bytes);
    return c->vocab;
}

/* ---- compiling ----------------------------------------------------------------------- */

static struct grammar *compile_choices(const struct shape *s, struct err *e)
{
    struct json_iter it = json_iter(buf_str(&s->text));
    struct str item, *texts = NULL;
    struct buf all = {0};
    size_t n = 0, cap = 0, *ends = NULL, cap_ends = 0;
    bool good = true;
    while (json_next(&it, NULL, &item)) {
        good &= json_decode(&all, item);
        GROW(ends, cap_ends, n + 1);
        ends[n++] = all.n;
    }
    GROW(texts, cap, n + 1);
    for (size_t i = 0; i < n; i++) {
        size_t from = i ? ends[i - 1] : 0;
        texts[i] = (struct str){all.p + from, ends[i] - from};
    }
    struct grammar *g = NULL;
    if (good)
        g = grammar_choices(texts, n, e);
    else
        err_set(e, EXIT_DATA, "params.guided_choice: a text is no Unicode text");
    free(texts);
    free(ends);
    buf_release(&all);
    return g;
}

static struct grammar *compile(const struct shape *s, struct err *e)
{
    switch (s->kind) {
    case SHAPE_OBJECT: return grammar_json_object();
    case SHAPE_SCHEMA: return grammar_schema(buf_str(&s->text), e);
    case SHAPE_REGEX: return grammar_regex(buf_str(&s->text), e);
    default: return compile_choices(s, e);
    }
}

/* The entry of a shape, or the one that was not used for longest. */
static struct entry *find(struct constraints *c, const struct shape *s)
{
    struct entry *oldest = &c->entries[0];
    for (int i = 0; i < KEPT; i++) {
        struct entry *x = &c->entries[i];
        if (x->shared && x->kind == (int)s->kind &&
            str_eq(buf_str(&x->text), buf_str(&s->text)))
            return x;
        if (x->used < oldest->used)
            oldest = x;
    }
    entry_clear(oldest);
    return oldest;
}

struct constraint *constraints_get(struct constraints *c, const struct shape *s, struct err *e)
{
    const struct vocab *v = constraints_vocab(c, e);
    if (!v)
        return NULL;
    struct entry *x = find(c, s);
    if (x->shared && atomic_load(&x->shared->bytes) > TOO_LARGE)
        entry_clear(x);
    if (!x->shared) {
        struct grammar *g = compile(s, e);
        if (!g)
            return NULL;
        x->shared = xcalloc(1, sizeof *x->shared);
        x->shared->c = (struct constraint){g, masks_new(g, v)};
        atomic_init(&x->shared->holders, 1);
        atomic_init(&x->shared->bytes, 0);
        x->kind = (int)s->kind;
        buf_clear(&x->text);
        buf_addstr(&x->text, buf_str(&s->text));
    }
    x->used = ++c->now;
    atomic_fetch_add(&x->shared->holders, 1);
    return &x->shared->c;
}
