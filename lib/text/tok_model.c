/* tok_model.c - reading the "model" of tokenizer.json: vocabulary and merges of BPE. */
#include "text/tok.h"

#include "base/hash.h"
#include "rec/json.h"

#include <stdlib.h>

/* ---- vocabulary: content -> id, open addressing at most half full ---------- */

static struct tok_slot *find_slot(struct tok_slot *slots, size_t mask,
                                  const struct tok_token *tokens, struct str text,
                                  uint32_t hash)
{
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct tok_slot *s = &slots[i];
        if (s->id < 0 || (s->hash == hash && str_eq(tokens[s->id].text, text)))
            return s;
    }
}

int32_t tok_find_any(const struct tokenizer *t, struct str content)
{
    if (!t->slots)
        return -1;
    uint32_t hash = (uint32_t)hash_bytes(HASH_SEED, content.p, content.n);
    return find_slot(t->slots, t->slot_mask, t->tokens, content, hash)->id;
}

int32_t tok_find(const struct tokenizer *t, struct str content)
{
    int32_t id = tok_find_any(t, content);
    return id >= 0 && t->tokens[id].model ? id : -1;
}

static void grow_slots(struct tokenizer *t)
{
    size_t old = t->slots ? t->slot_mask + 1 : 0, size = old ? 2 * old : 1024;
    struct tok_slot *slots = xmalloc_n(size, sizeof *slots);
    for (size_t i = 0; i < size; i++)
        slots[i].id = -1;
    for (size_t i = 0; i < old; i++)
        if (t->slots[i].id >= 0)
            *find_slot(slots, size - 1, t->tokens, t->tokens[t->slots[i].id].text,
                       t->slots[i].hash) = t->slots[i];
    free(t->slots);
    t->slots = slots;
    t->slot_mask = size - 1;
}

int tok_put(struct tokenizer *t, int64_t id, struct str text, struct err *e)
{
    int shown = (int)(text.n < 80 ? text.n : 80);
    if (id < 0 || id >= TOK_ID_MAX)
        return err_set(e, EXIT_CONFIG, "id %lld of token \"%.*s\" is out of range",
                       (long long)id, shown, text.p);
    if ((size_t)id >= t->n_tokens) {
        size_t had = t->cap_tokens;
        GROW(t->tokens, t->cap_tokens, (size_t)id + 1);
        memset(t->tokens + had, 0, (t->cap_tokens - had) * sizeof *t->tokens);
        t->n_tokens = (size_t)id + 1;
    }
    struct tok_token *k = &t->tokens[id];
    if (k->used)
        return err_set(e, EXIT_CONFIG, "id %lld belongs to two tokens, \"%.*s\" is the second",
                       (long long)id, shown, text.p);
    if (2 * (t->n_slots + 1) > t->slot_mask)
        grow_slots(t);
    uint32_t hash = (uint32_t)hash_bytes(HASH_SEED, text.p, text.n);
    struct tok_slot *s = find_slot(t->slots, t->slot_mask, t->tokens, text, hash);
    if (s->id >= 0)
        return err_set(e, EXIT_CONFIG, "token \"%.*s\" is there twice", shown, text.p);
    *k = (struct tok_token){.text = text, .shown = text, .used = true};
    *s = (struct tok_slot){hash, (int32_t)id};
    t->n_slots++;
    return 0;
}

static int parse_vocab(struct tokenizer *t, struct str json, struct err *e)
{
    struct json_iter it = json_iter(json);
    struct str key, value, text;
    while (json_next(&it, &key, &value)) {
        int64_t id;
        if (tok_text(&t->arena, key, &text, e) < 0)
            return -1;
        if (json_kind(value) != JSON_NUMBER || !json_int(value, &id))
            return err_set(e, EXIT_CONFIG, "the id of %.*s must be an integer",
                           (int)(key.n < 80 ? key.n : 80), key.p);
        if (tok_put(t, id, text, e) < 0)
            return -1;
        t->tokens[id].model = true;
        t->n_model++;
    }
    return 0;
}

/* ---- merges ---------------------------------------------------------------- */

/* The two halves of a merge: ["a","b"], or "a b". */
static int merge_halves(struct tokenizer *t, struct str item, struct str *a, struct str *b,
                        struct err *e)
{
    struct str pair[2], extra;
    if (json_kind(item) == JSON_ARRAY) {
        struct json_iter it = json_iter(item);
        if (!json_next(&it, NULL, &pair[0]) || !json_next(&it, NULL, &pair[1]) ||
            json_next(&it, NULL, &extra))
            return err_set(e, EXIT_CONFIG, "a merge has two parts");
        if (tok_text(&t->arena, pair[0], a, e) < 0 || tok_text(&t->arena, pair[1], b, e) < 0)
            return -1;
        return 0;
    }
    struct str both;
    if (tok_text(&t->arena, item, &both, e) < 0)
        return -1;
    const char *blank = both.n ? memchr(both.p, ' ', both.n) : NULL;
    if (!blank)
        return err_set(e, EXIT_CONFIG, "a merge has two parts");
    *a = (struct str){both.p, (size_t)(blank - both.p)};
    *b = (struct str){blank + 1, both.n - a->n - 1};
    if (memchr(b->p, ' ', b->n))
        return err_set(e, EXIT_CONFIG, "a merge has two parts");
    return 0;
}

static int merge_token(const struct tokenizer *t, struct str s, int32_t *id, struct err *e)
{
    *id = tok_find(t, s);
    return *id >= 0 ? 0
                    : err_set(e, EXIT_CONFIG, "\"%.*s\" is no token of the vocabulary",
                              (int)(s.n < 80 ? s.n : 80), s.p);
}

/* The next of a growing list, which becomes the table when its length is known. */
static int parse_merge(struct tokenizer *t, struct str item, struct bpe_merge *m,
                       struct buf *joined, struct err *e)
{
    const struct tok_bpe *bpe = &t->bpe;
    struct str a, b;
    int32_t left, right;
    if (merge_halves(t, item, &a, &b, e) < 0 || merge_token(t, a, &left, e) < 0 ||
        merge_token(t, b, &right, e) < 0)
        return -1;
    if (b.n < bpe->prefix.n)
        return err_set(e, EXIT_CONFIG, "\"%.*s\" is shorter than continuing_subword_prefix",
                       (int)b.n, b.p);
    buf_clear(joined);
    buf_addstr(joined, a);
    buf_add(joined, b.p + bpe->prefix.n, b.n - bpe->prefix.n);
    m->pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    return merge_token(t, buf_str(joined), &m->id, e);
}

static void make_table(struct tok_bpe *b, const struct bpe_merge *list, size_t n)
{
    size_t size = 2;
    while (size < 2 * n)
        size *= 2;
    b->mask = size - 1;
    b->merges = xmalloc_n(size, sizeof *b->merges);
    for (size_t i = 0; i < size; i++)
        b->merges[i].pair = UINT64_MAX;
    for (size_t i = 0; i < n; i++) /* of two equal pairs the last counts */
        *tok_merge_slot(b, list[i].pair) = list[i];
}

static int parse_merges(struct tokenizer *t, struct str json, struct err *e)
{
    struct bpe_merge *list = NULL;
    size_t n = 0, cap = 0;
    struct buf joined = {0};
    struct str item;
    int rc = 0;
    struct json_iter it = json_iter(json);
    for (size_t i = 0; rc == 0 && json_next(&it, NULL, &item); i++) {
        if (item.n > 8 && memcmp(item.p, "\"#version", 9) == 0)
            continue; /* the first line of a merges.txt */
        GROW(list, cap, n + 1);
        list[n].rank = (uint32_t)n;
        rc = parse_merge(t, item, &list[n++], &joined, e);
        if (rc < 0)
            err_prefix(e, "merges[%zu]", i);
    }
    if (rc == 0)
        make_table(&t->bpe, list, n);
    free(list);
    buf_release(&joined);
    return rc;
}

/* ---- the model ------------------------------------------------------------- */

/* The reference takes files without "type" for what their members look like. */
static int check_type(struct tokenizer *t, struct str rest, struct str vocab, struct str merges,
                      struct err *e)
{
    struct str type = STR("BPE");
    if (tok_member(rest, "type").n) {
        if (tok_get_type(&t->arena, rest, &type, e) < 0)
            return -1;
    } else if (merges.n == 0) {
        type = vocab.n && json_kind(vocab) == JSON_ARRAY ? STR("Unigram") : STR("WordPiece");
    }
    if (str_is(type, "BPE"))
        return 0;
    return err_set(e, EXIT_CONFIG, "type %.*s is not supported, only BPE is",
                   (int)(type.n < 40 ? type.n : 40), type.p);
}

static int optional_text(struct tokenizer *t, struct str o, const char *name, struct str *out,
                         struct err *e)
{
    *out = (struct str){0};
    return tok_member(o, name).n ? tok_get_text(&t->arena, o, name, out, e) : 0;
}

/* The ids that encoding finds without a look into the table. */
static void index_short(struct tokenizer *t)
{
    struct buf b = {0};
    for (uint32_t c = 0; c < TOK_SHORT; c++) {
        buf_clear(&b);
        buf_put_utf8(&b, c);
        t->bpe.short_id[c] = tok_find(t, buf_str(&b));
    }
    for (int i = 0; i < 256; i++) {
        buf_clear(&b);
        buf_printf(&b, "<0x%02X>", (unsigned)i);
        t->bpe.byte_id[i] = tok_find(t, buf_str(&b));
    }
    buf_release(&b);
}

/* Parts the two long members from the short ones, of which *rest becomes an object, so that
 * looking for those does not walk over the long ones again and again. */
static void part_members(struct tokenizer *t, struct str json, struct str *vocab,
                         struct str *merges, struct str *rest)
{
    struct json_iter it = json_iter(json);
    struct str key, value;
    struct buf b = {0};
    *vocab = *merges = (struct str){NULL, 0};
    while (json_next(&it, &key, &value)) {
        if (json_key_is(key, "vocab")) {
            *vocab = value;
        } else if (json_key_is(key, "merges")) {
            *merges = value;
        } else {
            buf_putc(&b, b.n ? ',' : '{');
            buf_addstr(&b, key);
            buf_putc(&b, ':');
            buf_addstr(&b, value);
        }
    }
    buf_puts(&b, b.n ? "}" : "{}");
    *rest = (struct str){memcpy(tok_alloc(&t->arena, b.n), b.p, b.n), b.n};
    buf_release(&b);
}

static int check_kind(struct str value, const char *name, enum json_kind kind, struct err *e)
{
    if (value.n == 0)
        return err_set(e, EXIT_CONFIG, "\"%s\" is missing", name);
    if (json_kind(value) != kind)
        return err_set(e, EXIT_CONFIG, "\"%s\" must be an %s", name,
                       kind == JSON_OBJECT ? "object" : "array");
    return 0;
}

int tok_parse_model(struct tokenizer *t, struct str json, struct err *e)
{
    struct tok_bpe *b = &t->bpe;
    struct str vocab, merges, rest, dropout;
    double p;
    if (json_kind(json) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG, "an object is needed");
    part_members(t, json, &vocab, &merges, &rest);
    if (check_type(t, rest, vocab, merges, e) < 0 ||
        check_kind(vocab, "vocab", JSON_OBJECT, e) < 0 ||
        check_kind(merges, "merges", JSON_ARRAY, e) < 0 ||
        optional_text(t, rest, "unk_token", &b->unk_token, e) < 0 ||
        optional_text(t, rest, "continuing_subword_prefix", &b->prefix, e) < 0 ||
        optional_text(t, rest, "end_of_word_suffix", &b->suffix, e) < 0 ||
        tok_get_bool(rest, "fuse_unk", 0, &b->fuse_unk, e) < 0 ||
        tok_get_bool(rest, "byte_fallback", 0, &b->byte_fallback, e) < 0 ||
        tok_get_bool(rest, "ignore_merges", 0, &b->ignore_merges, e) < 0)
        return -1;
    dropout = tok_member(rest, "dropout");
    if (dropout.n && (!json_number(dropout, &p) || p != 0))
        return err_set(e, EXIT_CONFIG, "dropout would make the tokens random; set it to null");
    if (parse_vocab(t, vocab, e) < 0)
        return err_prefix(e, "vocab");
    if (parse_merges(t, merges, e) < 0)
        return -1;
    b->unk = b->unk_token.n ? tok_find(t, b->unk_token) : -1;
    index_short(t);
    return 0;
}
