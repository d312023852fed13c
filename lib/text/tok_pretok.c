/* tok_pretok.c - the pre-tokenizers: from a text to the pieces that BPE sees. */
#include "text/tok.h"

#include "rec/json.h"

/* GPT-2's pattern, which ByteLevel brings along. */
#define GPT2 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* Whitespace's, with the word characters of Rust's regex crate. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
#define WORDS "[" WORD "]+|[^" WORD "\\s]+"

/* ---- splitting --------------------------------------------------------------- */

static void add_piece(struct tok_pieces *to, size_t at, size_t n, bool first)
{
    if (n == 0)
        return;
    GROW(to->v, to->cap, to->n + 1);
    to->v[to->n++] = (struct tok_piece){at, n, first};
}

static void add_span(struct tokenizer_work *w, size_t start, size_t end, bool match)
{
    GROW(w->spans, w->cap_spans, w->n_spans + 1);
    w->spans[w->n_spans++] = (struct tok_span){start, end, match};
}

/* What lies between matches, and the matches, in order: the whole of s. */
static int find_spans(const struct tok_pre *p, struct tokenizer_work *w, struct str s,
                      struct err *e)
{
    size_t from = 0, start, end;
    w->n_spans = 0;
    if (p->kind == PRE_PATTERN) {
        struct tok_matches m = tok_matches(&p->pattern, s);
        int rc;
        while ((rc = tok_matches_next(&m, w, &start, &end, e)) != 0) {
            if (rc < 0)
                return -1;
            if (from != start)
                add_span(w, from, start, p->invert);
            add_span(w, start, end, !p->invert);
            from = end;
        }
    } else {
        for (size_t i = 0; i < s.n;) {
            uint32_t c;
            size_t n = tok_char(s.p + i, &c);
            if (p->is_class ? p->is_class(c) : c == p->c) {
                if (from != i)
                    add_span(w, from, i, false);
                add_span(w, i, i + n, true);
                from = i + n;
            }
            i += n;
        }
    }
    if (from != s.n)
        add_span(w, from, s.n, p->invert);
    return 0;
}

/* Joins spans as the behavior asks; what is left are the pieces. */
static void join_spans(struct tokenizer_work *w, enum split_behavior behavior)
{
    struct tok_span *v = w->spans;
    size_t n = 0;
    bool last = false;
    if (behavior == SPLIT_REMOVED) {
        for (size_t i = 0; i < w->n_spans; i++)
            if (!v[i].match)
                v[n++] = v[i];
    } else if (behavior == SPLIT_MERGED_WITH_NEXT) {
        size_t to = w->n_spans; /* backwards, from the end of the array */
        for (size_t i = w->n_spans; i-- > 0;) {
            struct tok_span s = v[i];
            if (s.match && !last && to < w->n_spans)
                v[to].start = s.start;
            else
                v[--to] = s;
            last = s.match;
        }
        memmove(v, v + to, (w->n_spans - to) * sizeof *v);
        n = w->n_spans - to;
    } else {
        for (size_t i = 0; i < w->n_spans; i++) {
            struct tok_span s = v[i];
            bool join = behavior == SPLIT_CONTIGUOUS             ? s.match == last
                        : behavior == SPLIT_MERGED_WITH_PREVIOUS ? s.match && !last
                                                                 : false;
            if (join && n)
                v[n - 1].end = s.end;
            else
                v[n++] = s;
            last = s.match;
        }
    }
    w->n_spans = n;
}

static int split(const struct tok_pre *p, struct tokenizer_work *w, const char *text,
                 struct tok_piece piece, struct tok_pieces *to, struct err *e)
{
    struct str s = {text + piece.at, piece.n};
    if (find_spans(p, w, s, e) < 0)
        return -1;
    if (p->behavior != SPLIT_ISOLATED)
        join_spans(w, p->behavior);
    for (size_t i = 0; i < w->n_spans; i++) {
        const struct tok_span *v = &w->spans[i];
        add_piece(to, piece.at + v->start, v->end - v->start, piece.first && v->start == 0);
    }
    return 0;
}

static void split_fixed(const struct tok_pre *p, const char *text, struct tok_piece piece,
                        struct tok_pieces *to)
{
    size_t from = 0, i = 0, chars = 0;
    uint32_t c;
    while (i < piece.n) {
        i += tok_char(text + piece.at + i, &c);
        if (++chars % p->length == 0 || i == piece.n) {
            add_piece(to, piece.at + from, i - from, piece.first && from == 0);
            from = i;
        }
    }
}

/* ---- changing the text -------------------------------------------------------- */

static bool begins_with(struct str s, struct str with)
{
    return s.n >= with.n && memcmp(s.p, with.p, with.n) == 0;
}

static void put_metaspace(const struct tok_pre *p, struct str s, bool first, struct buf *out)
{
    bool front = p->scheme == META_ALWAYS || (p->scheme == META_FIRST && first);
    if (front && s.p[0] != ' ' && !begins_with(s, p->text))
        buf_addstr(out, p->text);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ')
            buf_addstr(out, p->text);
        else
            buf_putc(out, s.p[i]);
}

static void change(const struct tok_pre *p, const char *text, struct tok_piece piece,
                   struct tok_pieces *to, struct buf *out)
{
    struct str s = {text + piece.at, piece.n};
    size_t at = out->n;
    if (p->kind == PRE_BYTES) {
        tok_put_bytes_as_chars(out, s);
    } else if (p->kind == PRE_METASPACE) {
        put_metaspace(p, s, piece.first, out);
    } else {
        if (s.p[0] != ' ')
            buf_putc(out, ' ');
        buf_addstr(out, s);
    }
    add_piece(to, at, out->n - at, piece.first);
}

static bool changes_text(enum pre_kind kind)
{
    return kind == PRE_BYTES || kind == PRE_METASPACE || kind == PRE_PREFIX_SPACE;
}

int tok_pre_tokenize(const struct tokenizer *t, struct tokenizer_work *w, struct str *text,
                     bool first, struct err *e)
{
    w->pieces.n = 0;
    add_piece(&w->pieces, 0, text->n, first);
    for (size_t i = 0; i < t->n_pres; i++) {
        const struct tok_pre *p = &t->pres[i];
        struct tok_pieces *to = &w->pieces_other;
        to->n = 0;
        buf_clear(&w->pre_other);
        for (size_t k = 0; k < w->pieces.n; k++) {
            struct tok_piece piece = w->pieces.v[k];
            if (changes_text(p->kind))
                change(p, text->p, piece, to, &w->pre_other);
            else if (p->kind == PRE_FIXED)
                split_fixed(p, text->p, piece, to);
            else if (split(p, w, text->p, piece, to, e) < 0)
                return -1;
        }
        if (changes_text(p->kind)) {
            struct buf b = w->pre;
            w->pre = w->pre_other;
            w->pre_other = b;
            *text = buf_str(&w->pre);
        }
        struct tok_pieces swap = w->pieces;
        w->pieces = w->pieces_other;
        w->pieces_other = swap;
    }
    return 0;
}

/* ---- reading ------------------------------------------------------------------ */

static struct tok_pre *add(struct tokenizer *t, enum pre_kind kind)
{
    struct tok_pre *p = &t->pres[t->n_pres++];
    *p = (struct tok_pre){.kind = kind, .behavior = SPLIT_ISOLATED};
    return p;
}

static int get_behavior(struct tokenizer *t, struct str json, bool required,
                        enum split_behavior *out, struct err *e)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    struct str s;
    if (!required && tok_member(json, "behavior").n == 0)
        return 0;
    if (tok_get_text(&t->arena, json, "behavior", &s, e) < 0)
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(s, names[i])) {
            *out = (enum split_behavior)i;
            return 0;
        }
    return err_set(e, EXIT_CONFIG, "behavior %.*s is not known", (int)(s.n < 40 ? s.n : 40),
                   s.p);
}

static void add_class(struct tokenizer *t, bool (*is_class)(uint32_t),
                      enum split_behavior behavior)
{
    struct tok_pre *p = add(t, PRE_CLASS);
    p->is_class = is_class;
    p->behavior = behavior;
}

static int parse_split(struct tokenizer *t, struct str json, struct err *e)
{
    struct tok_pre *p = add(t, PRE_PATTERN);
    struct str pattern;
    if (tok_get_object(json, "pattern", &pattern, e) < 0 ||
        tok_pattern_parse(&p->pattern, &t->arena, pattern, e) < 0 ||
        get_behavior(t, json, true, &p->behavior, e) < 0)
        return -1;
    return tok_get_bool(json, "invert", TOK_REQUIRED, &p->invert, e);
}

static int parse_byte_level(struct tokenizer *t, struct str json, struct err *e)
{
    bool space, regex;
    if (tok_get_bool(json, "add_prefix_space", TOK_REQUIRED, &space, e) < 0 ||
        tok_get_bool(json, "use_regex", true, &regex, e) < 0)
        return -1;
    if (space)
        add(t, PRE_PREFIX_SPACE);
    if (regex && tok_pattern_regex(&add(t, PRE_PATTERN)->pattern, STR(GPT2), e) < 0)
        return -1;
    add(t, PRE_BYTES);
    return 0;
}

int tok_get_metaspace(struct tokenizer *t, struct str json, struct str *text, uint32_t *c,
                      enum meta_scheme *scheme, struct err *e)
{
    static const char *const names[] = {"always", "first", "never"};
    struct str s;
    bool space;
    if (tok_get_char(json, "replacement", c, e) < 0 ||
        tok_get_text(&t->arena, json, "replacement", text, e) < 0)
        return -1;
    *scheme = META_ALWAYS;
    bool named = tok_member(json, "prepend_scheme").n != 0;
    if (named) {
        if (tok_get_text(&t->arena, json, "prepend_scheme", &s, e) < 0)
            return -1;
        int i = 0;
        while (i < 3 && !str_is(s, names[i]))
            i++;
        if (i == 3)
            return err_set(e, EXIT_CONFIG, "prepend_scheme %.*s is not known",
                           (int)(s.n < 40 ? s.n : 40), s.p);
        *scheme = (enum meta_scheme)i;
    }
    if (tok_get_bool(json, "add_prefix_space", true, &space, e) < 0)
        return -1;
    if (!space && *scheme != META_NEVER)
        return err_set(e, EXIT_CONFIG, "add_prefix_space and prepend_scheme disagree");
    return 0;
}

static int parse_metaspace(struct tokenizer *t, struct str json, struct err *e)
{
    struct tok_pre *p = add(t, PRE_METASPACE);
    bool cut;
    if (tok_get_metaspace(t, json, &p->text, &p->c, &p->scheme, e) < 0 ||
        tok_get_bool(json, "split", true, &cut, e) < 0)
        return -1;
    if (cut) {
        struct tok_pre *s = add(t, PRE_CLASS);
        s->c = p->c;
        s->behavior = SPLIT_MERGED_WITH_NEXT;
    }
    return 0;
}

static int parse_whitespace(struct tokenizer *t, struct err *e)
{
    struct tok_pre *p = add(t, PRE_PATTERN);
    p->invert = true;
    p->behavior = SPLIT_REMOVED;
    return tok_pattern_regex(&p->pattern, STR(WORDS), e);
}

static int parse_fixed(struct tokenizer *t, struct str json, struct err *e)
{
    int64_t n = 5;
    if (tok_member(json, "length").n && tok_get_int(json, "length", INT32_MAX, &n, e) < 0)
        return -1;
    if (n == 0)
        return err_set(e, EXIT_CONFIG, "\"length\" must be at least 1");
    add(t, PRE_FIXED)->length = (size_t)n;
    return 0;
}

static int parse_kind(struct tokenizer *t, struct str type, struct str json, struct err *e)
{
    if (str_is(type, "Sequence"))
        return tok_parse_each(t, json, "pretokenizers", tok_parse_pre, e);
    if (str_is(type, "Split"))
        return parse_split(t, json, e);
    if (str_is(type, "ByteLevel"))
        return parse_byte_level(t, json, e);
    if (str_is(type, "Metaspace"))
        return parse_metaspace(t, json, e);
    if (str_is(type, "Whitespace"))
        return parse_whitespace(t, e);
    if (str_is(type, "FixedLength"))
        return parse_fixed(t, json, e);
    if (str_is(type, "CharDelimiterSplit")) {
        struct tok_pre *p = add(t, PRE_CLASS);
        p->behavior = SPLIT_REMOVED;
        return tok_get_char(json, "delimiter", &p->c, e);
    }
    if (str_is(type, "Punctuation")) {
        add_class(t, tok_is_punct, SPLIT_ISOLATED);
        return get_behavior(t, json, false, &t->pres[t->n_pres - 1].behavior, e);
    }
    if (str_is(type, "Digits")) {
        bool each;
        if (tok_get_bool(json, "individual_digits", TOK_REQUIRED, &each, e) < 0)
            return -1;
        add_class(t, tok_is_numeric, each ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS);
        return 0;
    }
    if (str_is(type, "WhitespaceSplit") || str_is(type, "BertPreTokenizer")) {
        add_class(t, tok_is_space, SPLIT_REMOVED);
        if (str_is(type, "BertPreTokenizer"))
            add_class(t, tok_is_punct, SPLIT_ISOLATED);
        return 0;
    }
    return err_set(e, EXIT_CONFIG, "type %.*s is not supported",
                   (int)(type.n < 40 ? type.n : 40), type.p);
}

int tok_parse_pre(struct tokenizer *t, struct str json, struct err *e)
{
    struct str type;
    if (json.n == 0 || json_kind(json) == JSON_NULL)
        return 0;
    if (t->n_pres + 3 > TOK_STEPS_MAX)
        return err_set(e, EXIT_CONFIG, "more than %d steps", TOK_STEPS_MAX - 3);
    if (tok_get_type(&t->arena, json, &type, e) < 0)
        return -1;
    return parse_kind(t, type, json, e);
}
