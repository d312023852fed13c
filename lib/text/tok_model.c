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

static int parse_merge(struct tokenizer *t, struct str item, uint32_t rank, struct buf *joined,
                       struct err *e)
{
    struct tok_bpe *bpe = &t->bpe;
    struct str a, b;
    int32_t left, right, id;
    if (merge_halves(t, item, &a, &b, e) < 0 || merge_token(t, a, &left, e) < 0 ||
        merge_token(t, b, &right, e) < 0)
        return -1;
    if (b.n < bpe->prefix.n)
        return err_set(e, EXIT_CONFIG, "\"%.*s\" is shorter than continuing_subword_prefix",
                       (int)b.n, b.p);
    buf_clear(joined);
    buf_addstr(joined, a);
    buf_add(joined, b.p + bpe->prefix.n, b.n - bpe->prefix.n);
    if (merge_token(t, buf_str(joined), &id, e) < 0)
        return -1;
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    struct bpe_merge *m = tok_merge_slot(bpe, pair);
    *m = (struct bpe_merge){pair, rank, id}; /* of two equal ones the last counts */
    return 0;
}

static int parse_merges(struct tokenizer *t, struct str json, struct err *e)
{
    struct json_iter it = json_iter(json);
    struct str item;
    size_t n = 0, size = 2;
    while (json_next(&it, NULL, &item))
        n++;
    while (size < 2 * n)
        size *= 2;
    t->bpe.mask = size - 1;
    t->bpe.merges = xmalloc_n(size, sizeof *t->bpe.merges);
    for (size_t i = 0; i < size; i++)
        t->bpe.merges[i].pair = UINT64_MAX;
    struct buf joined = {0};
    int rc = 0;
    uint32_t rank = 0;
    it = json_iter(json);
    for (size_t i = 0; rc == 0 && json_next(&it, NULL, &item); i++) {
        if (item.n > 8 && memcmp(item.p, "\"#version", 9) == 0)
            continue; /* the first line of a merges.txt */
        rc = parse_merge(t, item, rank++, &joined, e);
        if (rc < 0)
            err_prefix(e, "merges[%zu]", i);
    }
    buf_release(&joined);
    return rc;
}

/* ---- the model ------------------------------------------------------------- */

/* The reference takes files without "type" for what their members look like. */
static int check_type(struct tokenizer *t, struct str json, struct err *e)
{
    struct str type = {0};
    if (tok_member(json, "type").n) {
        if (tok_get_type(&t->arena, json, &type, e) < 0)
            return -1;
    } else if (tok_member(json, "merges").n) {
        return 0;
    } else {
        struct str v = tok_member(json, "vocab");
        type = v.n && json_kind(v) == JSON_ARRAY ? STR("Unigram") : STR("WordPiece");
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

int tok_parse_model(struct tokenizer *t, struct str json, struct err *e)
{
    struct tok_bpe *b = &t->bpe;
    struct str vocab, merges, dropout;
    double p;
    if (json_kind(json) != JSON_OBJECT)
        return err_set(e, EXIT_CONFIG, "an object is needed");
    if (check_type(t, json, e) < 0 || tok_get_object(json, "vocab", &vocab, e) < 0 ||
        tok_get_array(json, "merges", &merges, e) < 0 ||
        optional_text(t, json, "unk_token", &b->unk_token, e) < 0 ||
        optional_text(t, json, "continuing_subword_prefix", &b->prefix, e) < 0 ||
        optional_text(t, json, "end_of_word_suffix", &b->suffix, e) < 0 ||
        tok_get_bool(json, "fuse_unk", 0, &b->fuse_unk, e) < 0 ||
        tok_get_bool(json, "byte_fallback", 0, &b->byte_fallback, e) < 0 ||
        tok_get_bool(json, "ignore_merges", 0, &b->ignore_merges, e) < 0)
        return -1;
    dropout = tok_member(json, "dropout");
    if (dropout.n && (!json_real(dropout, &p) || p != 0))
        return err_set(e, EXIT_CONFIG, "dropout would make the tokens random; set it to null");
    if (parse_vocab(t, vocab, e) < 0)
        return err_prefix(e, "vocab");
    if (parse_merges(t, merges, e) < 0)
        return -1;
    b->unk = b->unk_token.n ? tok_find(t, b->unk_token) : -1;
    index_short(t);
    return 0;
}
