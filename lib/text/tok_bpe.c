/* tok_bpe.c - byte-pair encoding of one piece of text.
 *
 * Pieces repeat, so a small cache answers most of them.  Otherwise every character becomes a
 * symbol, and the pair of the lowest rank, the leftmost of equals, is merged until none is
 * left: by scanning where there are few symbols, with a heap of (rank, position) where there
 * are many, so that a piece of any length takes O(n log n).
 */
#include "text/tok.h"

#include <stdlib.h>

enum { NONE = UINT32_MAX, SCAN_MAX = 48 };

static void add_symbol(struct tokenizer_work *w, int32_t id)
{
    GROW(w->symbols, w->cap_symbols, w->n_symbols + 1);
    w->symbols[w->n_symbols++] = (struct bpe_symbol){.id = id};
}

/* The token of one character, with prefix and suffix where they belong; -1 when there is none.
 */
static int32_t char_id(const struct tokenizer *t, struct str s, uint32_t c, bool first,
                       bool last, struct buf *spelled)
{
    const struct tok_bpe *b = &t->bpe;
    bool prefix = b->prefix.n && !first, suffix = b->suffix.n && last;
    buf_clear(spelled);
    if (!prefix && !suffix)
        return c < TOK_SHORT ? b->short_id[c] : tok_find(t, s);
    if (prefix)
        buf_addstr(spelled, b->prefix);
    buf_addstr(spelled, s);
    if (suffix)
        buf_addstr(spelled, b->suffix);
    return tok_find(t, buf_str(spelled));
}

/* The character's bytes (of the spelled form) as "<0xNN>" tokens; false if one is missing. */
static bool fall_back(const struct tokenizer *t, struct tokenizer_work *w, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (t->bpe.byte_id[(unsigned char)s.p[i]] < 0)
            return false;
    for (size_t i = 0; i < s.n; i++)
        add_symbol(w, t->bpe.byte_id[(unsigned char)s.p[i]]);
    return true;
}

/* Fills w->symbols from the characters of s. */
static int make_symbols(const struct tokenizer *t, struct tokenizer_work *w, struct str s,
                        struct err *e)
{
    const struct tok_bpe *b = &t->bpe;
    struct buf spelled = {0};
    bool unknown = false; /* one is held back, since more of them may be fused */
    int rc = 0;
    w->n_symbols = 0;
    for (size_t i = 0; i < s.n && rc == 0;) {
        uint32_t c;
        struct str one = {s.p + i, tok_char(s.p + i, &c)};
        int32_t id = char_id(t, one, c, i == 0, i + one.n == s.n, &spelled);
        i += one.n;
        if (id >= 0) {
            if (unknown)
                add_symbol(w, b->unk);
            unknown = false;
            add_symbol(w, id);
        } else if (b->byte_fallback && fall_back(t, w, spelled.n ? buf_str(&spelled) : one)) {
            /* the reference puts a held unknown behind these bytes: `unknown` stays */
        } else if (b->unk_token.n) {
            if (b->unk < 0)
                rc = err_set(e, EXIT_CONFIG, "tokenizer.json: unk_token %.*s is no token",
                             (int)(b->unk_token.n < 80 ? b->unk_token.n : 80), b->unk_token.p);
            if (unknown && !b->fuse_unk)
                add_symbol(w, b->unk);
            unknown = true;
        }
    }
    if (unknown && rc == 0)
        add_symbol(w, b->unk);
    buf_release(&spelled);
    return rc;
}

/* Looks up the pair that begins at symbol i. */
static void rank_pair(const struct tok_bpe *b, struct bpe_symbol *s, uint32_t i)
{
    s[i].rank = NONE;
    if (s[i].next == NONE)
        return;
    uint64_t pair = (uint64_t)(uint32_t)s[i].id << 32 | (uint32_t)s[s[i].next].id;
    const struct bpe_merge *m = tok_merge_slot(b, pair);
    if (m->pair == pair) {
        s[i].rank = m->rank;
        s[i].merged = m->id;
    }
}

/* Merges symbol i with the next one and ranks the two pairs that changed. */
static void merge_at(const struct tok_bpe *b, struct bpe_symbol *s, uint32_t i)
{
    uint32_t gone = s[i].next;
    s[i].id = s[i].merged;
    s[i].next = s[gone].next;
    s[gone].rank = NONE;
    if (s[i].next != NONE)
        s[s[i].next].prev = i;
    rank_pair(b, s, i);
    if (s[i].prev != NONE)
        rank_pair(b, s, s[i].prev);
}

static void merge_by_scan(const struct tok_bpe *b, struct bpe_symbol *s)
{
    for (;;) {
        uint32_t best = 0, rank = NONE;
        for (uint32_t i = 0; i != NONE; i = s[i].next)
            if (s[i].rank < rank) {
                rank = s[i].rank;
                best = i;
            }
        if (rank == NONE)
            return;
        merge_at(b, s, best);
    }
}

static void heap_down(uint64_t *h, size_t n, size_t i)
{
    uint64_t v = h[i];
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && h[c + 1] < h[c])
            c++;
        if (h[c] >= v)
            break;
        h[i] = h[c];
    }
    h[i] = v;
}

static void heap_push(struct tokenizer_work *w, uint32_t i)
{
    if (w->symbols[i].rank == NONE)
        return;
    GROW(w->heap, w->cap_heap, w->n_heap + 1);
    uint64_t v = (uint64_t)w->symbols[i].rank << 32 | i, *h = w->heap;
    size_t at = w->n_heap++;
    for (; at && h[(at - 1) / 2] > v; at = (at - 1) / 2)
        h[at] = h[(at - 1) / 2];
    h[at] = v;
}

static void merge_by_heap(const struct tok_bpe *b, struct tokenizer_work *w)
{
    struct bpe_symbol *s = w->symbols;
    w->n_heap = 0;
    GROW(w->heap, w->cap_heap, w->n_symbols);
    for (uint32_t i = 0; i < w->n_symbols; i++)
        if (s[i].rank != NONE)
            w->heap[w->n_heap++] = (uint64_t)s[i].rank << 32 | i;
    for (size_t i = w->n_heap / 2; i-- > 0;)
        heap_down(w->heap, w->n_heap, i);
    while (w->n_heap) {
        uint64_t top = w->heap[0];
        w->heap[0] = w->heap[--w->n_heap];
        heap_down(w->heap, w->n_heap, 0);
        uint32_t i = (uint32_t)top;
        if (s[i].rank != top >> 32)
            continue; /* the pair has changed since */
        merge_at(b, s, i);
        heap_push(w, i);
        if (s[i].prev != NONE)
            heap_push(w, s[i].prev);
    }
}

static int encode_piece(const struct tokenizer *t, struct tokenizer_work *w, struct str s,
                        struct ids *out, struct err *e)
{
    if (s.n >= NONE)
        return err_set(e, EXIT_DATA, "a piece of %zu bytes is too long to encode", s.n);
    if (t->bpe.ignore_merges) {
        int32_t id = tok_find(t, s);
        if (id >= 0) {
            ids_add(out, id);
            return 0;
        }
    }
    if (make_symbols(t, w, s, e) < 0)
        return -1;
    struct bpe_symbol *y = w->symbols;
    uint32_t n = (uint32_t)w->n_symbols;
    if (n == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        y[i].prev = i ? i - 1 : NONE;
        y[i].next = i + 1 < n ? i + 1 : NONE;
    }
    for (uint32_t i = 0; i < n; i++)
        rank_pair(&t->bpe, y, i);
    if (n <= SCAN_MAX)
        merge_by_scan(&t->bpe, y);
    else
        merge_by_heap(&t->bpe, w);
    for (uint32_t i = 0; i != NONE; i = y[i].next)
        ids_add(out, y[i].id);
    return 0;
}

/* The hash only chooses the slot; the key decides. */
static size_t cache_slot(struct str s)
{
    uint64_t h = s.n;
    for (size_t i = 0; i < s.n; i += 8) {
        uint64_t x = 0;
        memcpy(&x, s.p + i, s.n - i < 8 ? s.n - i : 8);
        h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return (size_t)(h >> 20) % BPE_CACHE;
}

int tok_bpe_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str piece,
                   struct ids *out, struct err *e)
{
    struct bpe_cached *c = NULL;
    if (piece.n == 0)
        return 0;
    if (piece.n <= sizeof c->key) {
        c = &w->cache[cache_slot(piece)];
        if (c->n_key == piece.n && memcmp(c->key, piece.p, piece.n) == 0) {
            ids_append(out, c->ids, c->n_ids);
            return 0;
        }
    }
    struct str s = piece;
    if (t->bytes) {
        buf_clear(&w->chars);
        tok_put_bytes_as_chars(&w->chars, piece);
        s = buf_str(&w->chars);
    }
    size_t before = out->n;
    if (encode_piece(t, w, s, out, e) < 0)
        return -1;
    size_t n = out->n - before;
    if (c && n <= sizeof c->ids / sizeof *c->ids) {
        c->n_key = (uint8_t)piece.n;
        c->n_ids = (uint8_t)n;
        memcpy(c->key, piece.p, piece.n);
        if (n)
            memcpy(c->ids, out->v + before, n * sizeof *c->ids);
    }
    return 0;
}
