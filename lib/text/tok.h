/* tok.h - private to the tokenizer: the parsed tokenizer.json and what text goes through.
 *
 *     text -> added tokens cut out (tok_added.c) -> normalizers (tok_normalize.c)
 *          -> normalized added tokens cut out -> pre-tokenizers (tok_pretok.c)
 *          -> BPE of each piece (tok_bpe.c) -> post-processor (tok_post.c)
 *
 * Sequences are flattened when the file is read, and the composite kinds are taken apart into
 * the few primitive steps below, so that running them is one loop over a small array.
 */
#ifndef TOK_H
#define TOK_H

#include "text/tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <time.h>

enum {
    TOK_ID_MAX = 1 << 21,  /* ids are indexes into arrays: a bound against hostile files */
    TOK_ADDED_MAX = 1024,  /* bytes of an added token */
    TOK_STEPS_MAX = 64,    /* normalizers, pre-tokenizers, decoders after flattening */
    TOK_SPECIALS_MAX = 64, /* ids that the post-processor adds before or after */
    TOK_MATCH_LIMIT = 10000000,
    TOK_SHORT = 0x800, /* code points whose token is found by index */
};

/* ---- values of the file (tok_json.c) -------------------------------------- */

/* Memory that lives as long as the tokenizer. */
struct tok_block;
struct tok_arena {
    struct tok_block *blocks;
    size_t used;
};
char *tok_alloc(struct tok_arena *a, size_t n);
void tok_arena_release(struct tok_arena *a);

/* The text of a raw JSON string: a slice of the file, or a copy where it has escapes. */
int tok_text(struct tok_arena *a, struct str raw, struct str *out, struct err *e) MUST_CHECK;

/* Members of an object.  The value of an absent member, or of null, is n = 0. */
struct str tok_member(struct str object, const char *name);
int tok_get_object(struct str o, const char *name, struct str *out, struct err *e) MUST_CHECK;
int tok_get_array(struct str o, const char *name, struct str *out, struct err *e) MUST_CHECK;
int tok_get_text(struct tok_arena *a, struct str o, const char *name, struct str *out,
                 struct err *e) MUST_CHECK;
/* fallback: 0 or 1, or TOK_REQUIRED */
enum { TOK_REQUIRED = -1 };
int tok_get_bool(struct str o, const char *name, int fallback, bool *out,
                 struct err *e) MUST_CHECK;
int tok_get_int(struct str o, const char *name, int64_t max, int64_t *out,
                struct err *e) MUST_CHECK;
/* One character. */
int tok_get_char(struct str o, const char *name, uint32_t *out, struct err *e) MUST_CHECK;
/* The name of the object's "type". */
int tok_get_type(struct tok_arena *a, struct str o, struct str *out, struct err *e) MUST_CHECK;

/* ---- characters (tok_unicode.c) ------------------------------------------- */

/* Decodes the character at p of well-formed UTF-8; returns its length. */
static inline size_t tok_char(const char *p, uint32_t *c)
{
    const unsigned char *u = (const unsigned char *)p;
    if (u[0] < 0x80) {
        *c = u[0];
        return 1;
    }
    if (u[0] < 0xe0) {
        *c = (uint32_t)(u[0] & 0x1f) << 6 | (u[1] & 0x3f);
        return 2;
    }
    if (u[0] < 0xf0) {
        *c = (uint32_t)(u[0] & 0x0f) << 12 | (uint32_t)(u[1] & 0x3f) << 6 | (u[2] & 0x3f);
        return 3;
    }
    *c = (uint32_t)(u[0] & 0x07) << 18 | (uint32_t)(u[1] & 0x3f) << 12 |
         (uint32_t)(u[2] & 0x3f) << 6 | (u[3] & 0x3f);
    return 4;
}
/* Length of the last character of [p, p+n), n > 0. */
static inline size_t tok_last_char(const char *p, size_t n, uint32_t *c)
{
    size_t k = 1;
    while (k < n && k < 4 && ((unsigned char)p[n - k] & 0xc0) == 0x80)
        k++;
    tok_char(p + n - k, c);
    return k;
}

bool tok_is_space(uint32_t c);   /* White_Space */
bool tok_is_numeric(uint32_t c); /* N* */
bool tok_is_punct(uint32_t c);   /* ASCII punctuation and P* */
bool tok_is_word(uint32_t c);    /* \w of UTS 18 */
bool tok_is_mark(uint32_t c);    /* M* */
bool tok_is_other(uint32_t c);   /* Cc, Cf, Co */
/* Where Unicode's version shows (tok_ages.c). */
bool tok_differs_punct(uint32_t c);
bool tok_differs_numeric(uint32_t c);
bool tok_stays_composed(uint32_t c);

/* The byte-level alphabet: every byte as a printable character. */
void tok_put_bytes_as_chars(struct buf *out, struct str bytes);
/* The byte that a character stands for, -1 for other characters. */
int tok_char_byte(uint32_t c);
/* Appends bytes as UTF-8, each maximal broken part as U+FFFD. */
void tok_put_lossy(struct buf *out, const char *p, size_t n);

/* ---- patterns (tok_regex.c, tok_rewrite.c) --------------------------------- */

/* Appends the source of a regular expression in PCRE2's words. */
int tok_rewrite(struct str regex, struct buf *out, struct err *e) MUST_CHECK;

/* A literal, or a regular expression of Oniguruma's Ruby syntax run by PCRE2. */
struct tok_pattern {
    pcre2_code *code; /* NULL: literal */
    struct str literal;
};
/* Reads {"String": …} or {"Regex": …}. */
int tok_pattern_parse(struct tok_pattern *p, struct tok_arena *a, struct str json,
                      struct err *e) MUST_CHECK;
int tok_pattern_regex(struct tok_pattern *p, struct str regex, struct err *e) MUST_CHECK;
void tok_pattern_release(struct tok_pattern *p);

/* Matches one after the other, as onig's find_iter gives them. */
struct tok_matches {
    const struct tok_pattern *pattern;
    struct str text;
    size_t pos, last_end;
    bool any;
};
struct tok_matches tok_matches(const struct tok_pattern *p, struct str text);
/* 1 and a match, 0 at the end, -1 with EXIT_DATA where the pattern ran into a limit. */
int tok_matches_next(struct tok_matches *m, struct tokenizer_work *w, size_t *start,
                     size_t *end, struct err *e) MUST_CHECK;

/* ---- steps ---------------------------------------------------------------- */

enum norm_kind {
    NORM_NFC,
    NORM_NFD,
    NORM_NFKC,
    NORM_NFKD,
    NORM_LOWERCASE,
    NORM_STRIP,
    NORM_STRIP_ACCENTS, /* every mark */
    NORM_STRIP_MARKS,   /* nonspacing marks only, as BertNormalizer does */
    NORM_NMT,
    NORM_CLEAN,   /* BertNormalizer's clean_text */
    NORM_CHINESE, /* spaces around CJK ideographs */
    NORM_REPLACE,
    NORM_PREPEND,
    NORM_BYTE_LEVEL,
};
struct tok_norm {
    enum norm_kind kind;
    struct tok_pattern pattern;
    struct str text; /* what to put in, or in front */
    bool left, right;
};

enum split_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS,
};
enum pre_kind {
    PRE_PATTERN,      /* split at matches */
    PRE_CLASS,        /* split at characters of a class */
    PRE_PREFIX_SPACE, /* a space before every piece that has none */
    PRE_METASPACE,    /* spaces become `text`, which is put in front too */
    PRE_FIXED,        /* pieces of `length` characters */
    PRE_BYTES,        /* to the byte-level alphabet */
};
enum meta_scheme { META_ALWAYS, META_FIRST, META_NEVER };
struct tok_pre {
    enum pre_kind kind;
    enum split_behavior behavior;
    bool invert;
    struct tok_pattern pattern;
    bool (*is_class)(uint32_t c); /* NULL: the character `c` */
    uint32_t c;
    size_t length;
    struct str text;
    enum meta_scheme scheme;
};

enum dec_kind {
    DEC_BYTE_LEVEL,
    DEC_BYTE_FALLBACK,
    DEC_FUSE,
    DEC_STRIP,
    DEC_REPLACE,
    DEC_METASPACE,
    DEC_WORDPIECE,
    DEC_BPE,
    DEC_CTC,
};
struct tok_dec {
    enum dec_kind kind;
    struct tok_pattern pattern;
    struct str text, text2;
    uint32_t c;
    int64_t start, stop;
    bool flag; /* cleanup; for Metaspace: the first token loses its leading mark */
};

/* ---- the parts of a tokenizer --------------------------------------------- */

struct tok_token {
    struct str text;  /* content; n = 0: no such id, or an empty token */
    struct str shown; /* what decoding starts from: the normalized form of an added token */
    bool used, model, special; /* model: in its vocabulary; special: an added one */
    bool skip;                 /* left out by decoding with skip_special */
    uint32_t added;            /* index into `added`, + 1 */
};

/* Added tokens by their bytes; longest match at the leftmost place. */
struct trie_node {
    uint32_t child, sibling; /* 0: none */
    int32_t added;           /* index into `added`, -1 */
    unsigned char byte;
};
struct tok_trie {
    struct trie_node *nodes; /* nodes[0] is not used */
    size_t n, cap;
    uint32_t root[256];
};
struct tok_added {
    struct str content, shown;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

struct bpe_merge {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank;
    int32_t id;
};
struct tok_bpe {
    struct bpe_merge *merges; /* open addressing; empty: pair = UINT64_MAX */
    size_t mask;
    struct str unk_token, prefix, suffix;
    int32_t unk; /* -1 with unk_token set: not in the vocabulary */
    bool fuse_unk, byte_fallback, ignore_merges;
    int32_t byte_id[256];        /* "<0x00>" … */
    int32_t short_id[TOK_SHORT]; /* one-character tokens */
};

struct tok_slot {
    uint32_t hash;
    int32_t id; /* -1: empty */
};

struct tokenizer {
    struct buf file;
    struct tok_arena arena;

    struct tok_token *tokens; /* by id */
    size_t n_tokens, cap_tokens;
    struct tok_slot *slots; /* content -> id */
    size_t slot_mask, n_slots, n_model;

    struct tok_added *added;
    size_t n_added, cap_added, next_added;
    struct tok_trie raw, normalized;

    struct tok_norm norms[TOK_STEPS_MAX];
    size_t n_norms;
    struct tok_pre pres[TOK_STEPS_MAX];
    size_t n_pres;
    bool bytes; /* the pieces go to the byte-level alphabet on their way into the model */
    struct tok_bpe bpe;
    int32_t before[TOK_SPECIALS_MAX], after[TOK_SPECIALS_MAX];
    size_t n_before, n_after;
    struct tok_dec decs[TOK_STEPS_MAX];
    size_t n_decs;
};

/* ---- scratch of one thread ------------------------------------------------ */

struct tok_piece {
    size_t at, n; /* in the current text */
    bool first;   /* begins where the whole text begins */
};
struct tok_pieces {
    struct tok_piece *v;
    size_t n, cap;
};
struct tok_span {
    size_t start, end;
    bool match;
};
struct bpe_symbol {
    int32_t id;
    uint32_t prev, next; /* UINT32_MAX: none */
    uint32_t rank;       /* of the pair with the next symbol; UINT32_MAX: no merge */
    int32_t merged;
};
/* One cache line: a piece and its ids.  Direct-mapped, the newest wins. */
struct bpe_cached {
    uint8_t n_key, n_ids; /* n_key 0: empty */
    char key[26];
    int32_t ids[9];
};
enum { BPE_CACHE = 1 << 15 };

/* A text as it began, and what became of it: another text that begins the same gets the same
 * tokens up to an added token (tok_kept.c). */
struct tok_bound {
    size_t pos, search, looked; /* of the iterator, right behind an added token */
    size_t n_ids;
};
struct tok_kept {
    struct buf text;
    struct ids ids;
    struct tok_bound *bounds;
    size_t n_bounds, cap_bounds;
    uint64_t used; /* when */
};
enum { TOK_KEPT = 4 };

struct tokenizer_work {
    struct tok_kept kept[TOK_KEPT];
    struct tok_kept *kept_from; /* what the text at work begins like, NULL: none */
    uint64_t kept_now;
    struct tok_bound *bounds; /* of the text at work */
    size_t n_bounds, n_bounds_found, cap_bounds;
    pcre2_match_data *match;
    pcre2_match_context *match_context;
    pcre2_jit_stack *jit_stack;
    unsigned calls;              /* of the matcher, and when they began to look slow */
    time_t cpu_since;            /* seconds of processor time + 1; 0: not yet */
    struct buf norm, norm_other; /* normalized text, and the step's other side */
    struct buf pre, pre_other;   /* the pre-tokenizers' */
    struct buf chars;            /* a piece in the byte-level alphabet */
    struct tok_pieces pieces, pieces_other;
    struct tok_span *spans;
    size_t n_spans, cap_spans;
    int32_t *u32; /* code points */
    size_t n_u32, cap_u32;
    int32_t *u32_other;
    size_t cap_u32_other;
    struct bpe_symbol *symbols;
    size_t n_symbols, cap_symbols;
    uint64_t *heap; /* rank << 32 | position */
    size_t n_heap, cap_heap;
    struct bpe_cached *cache;
    struct buf dec, dec_other; /* decoding: strings end to end, their ends beside them */
    size_t *ends, *ends_other;
    size_t n_ends, cap_ends, n_ends_other, cap_ends_other;
};

/* ---- reading the parts; each names what is wrong -------------------------- */

int tok_parse_model(struct tokenizer *t, struct str json, struct err *e) MUST_CHECK;
int tok_parse_added(struct tokenizer *t, struct str json, struct err *e) MUST_CHECK;
int tok_parse_normalizer(struct tokenizer *t, struct str json, struct err *e) MUST_CHECK;
int tok_parse_pre(struct tokenizer *t, struct str json, struct err *e) MUST_CHECK;
int tok_parse_post(struct tokenizer *t, struct str json, struct err *e) MUST_CHECK;
int tok_parse_decoder(struct tokenizer *t, struct str json, struct err *e) MUST_CHECK;
/* What the pre-tokenizer and the decoder Metaspace have in common. */
int tok_get_metaspace(struct tokenizer *t, struct str json, struct str *text, uint32_t *c,
                      enum meta_scheme *scheme, struct err *e) MUST_CHECK;
/* Runs `parse` on each element of the array member `name`, naming the element in errors. */
int tok_parse_each(struct tokenizer *t, struct str o, const char *name,
                   int (*parse)(struct tokenizer *, struct str, struct err *),
                   struct err *e) MUST_CHECK;

/* ---- running them --------------------------------------------------------- */

/* The byte of a token "<0xNN>", -1 for others. */
int tok_byte_token(struct str token);
/* The id of a token of the model; of any token. */
int32_t tok_find(const struct tokenizer *t, struct str content);
int32_t tok_find_any(const struct tokenizer *t, struct str content);
/* Room for id; the token's text is set.  -1 where the id is taken already. */
int tok_put(struct tokenizer *t, int64_t id, struct str text, struct err *e) MUST_CHECK;

/* Next part of text: an added token (*added >= 0) or the text between two.  False at the end.
 */
struct added_iter {
    const struct tok_trie *trie;
    struct str text;
    size_t pos, search; /* where the next part begins; where to look for the next match */
    size_t held_start, held_end;
    int32_t held; /* a match found while its text before was handed out, -1 */
    size_t
        looked; /* what was found depends on no byte from here on; past the end: on the end */
};
struct added_iter added_iter(const struct tok_trie *trie, struct str text);
bool added_next(struct added_iter *it, const struct tokenizer *t, struct str *part,
                int32_t *added);

/* Puts the iterator behind the longest beginning that an earlier text had too and appends its
 * ids. */
void tok_kept_find(struct tokenizer_work *w, struct added_iter *it, struct ids *out);
/* Notes that an added token ends where the iterator is, n_ids ids from the text's first. */
void tok_kept_bound(struct tokenizer_work *w, const struct added_iter *it, size_t n_ids);
/* Keeps the text, whose ids are given, for the next one. */
void tok_kept_store(struct tokenizer_work *w, struct str text, const int32_t *ids);
void tok_kept_forget(struct tokenizer_work *w);

/* The normalized text (borrowed from w, or text itself); *first is cleared where the step
 * removed what stood at the beginning. */
int tok_normalize(const struct tokenizer *t, struct tokenizer_work *w, struct str *text,
                  bool *first, struct err *e) MUST_CHECK;
/* Fills w->pieces; *text is what they point into. */
int tok_pre_tokenize(const struct tokenizer *t, struct tokenizer_work *w, struct str *text,
                     bool first, struct err *e) MUST_CHECK;
/* Where a pair of the merges stands or belongs. */
static inline struct bpe_merge *tok_merge_slot(const struct tok_bpe *b, uint64_t pair)
{
    uint64_t h = pair * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = (h >> 32) & b->mask;; i = (i + 1) & b->mask)
        if (b->merges[i].pair == pair || b->merges[i].pair == UINT64_MAX)
            return &b->merges[i];
}
int tok_bpe_encode(const struct tokenizer *t, struct tokenizer_work *w, struct str piece,
                   struct ids *out, struct err *e) MUST_CHECK;

#endif
