/* tok_decode.c - the decoders: from tokens to text.
 *
 * Each step takes a list of strings to a list of strings; they lie end to end in one buffer,
 * their ends in an array beside it.
 */
#include "text/tok.h"

#include "rec/json.h"

static void put_end(struct tokenizer_work *w)
{
    GROW(w->ends_other, w->cap_ends_other, w->n_ends_other + 1);
    w->ends_other[w->n_ends_other++] = w->dec_other.n;
}

/* ---- the steps: one string of the list at a time ------------------------------ */

static void put_byte_level(struct buf *out, struct str s)
{
    size_t at = out->n;
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        i += tok_char(s.p + i, &c);
        int byte = tok_char_byte(c);
        if (byte < 0) { /* not of the alphabet: the token as it is */
            out->n = at;
            buf_addstr(out, s);
            return;
        }
        buf_putc(out, (char)byte);
    }
}

static void put_replaced(const struct tok_dec *d, struct tokenizer_work *w, struct str s,
                         struct buf *out)
{
    struct tok_matches m = tok_matches(&d->pattern, s);
    size_t start, end, from = 0;
    while (s.n && tok_matches_next(&m, w, &start, &end, NULL) > 0) {
        buf_add(out, s.p + from, start - from);
        buf_addstr(out, d->text);
        from = end;
    }
    buf_add(out, s.p + from, s.n - from);
}

static void put_stripped(const struct tok_dec *d, struct str s, struct buf *out)
{
    uint32_t c;
    for (int64_t i = 0; i < d->start && s.n; i++) {
        size_t n = tok_char(s.p, &c);
        if (c != d->c)
            break;
        s.p += n;
        s.n -= n;
    }
    for (int64_t i = 0; i < d->stop && s.n; i++) {
        size_t n = tok_last_char(s.p, s.n, &c);
        if (c != d->c)
            break;
        s.n -= n;
    }
    buf_addstr(out, s);
}

static void put_metaspace(const struct tok_dec *d, struct str s, bool first, struct buf *out)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        size_t n = tok_char(s.p + i, &c);
        if (c != d->c)
            buf_add(out, s.p + i, n);
        else if (!first || !d->flag)
            buf_putc(out, ' ');
        i += n;
    }
}

static void put_literal(struct buf *out, struct str s, struct str from, const char *to)
{
    if (from.n)
        for (const char *hit; (hit = memmem(s.p, s.n, from.p, from.n));) {
            size_t before = (size_t)(hit - s.p);
            buf_add(out, s.p, before);
            buf_puts(out, to);
            s.p = hit + from.n;
            s.n -= before + from.n;
        }
    buf_addstr(out, s);
}

/* English as WordPiece splits it, put together again. */
static void put_cleaned(struct buf *out, struct str s)
{
    static const char *const pairs[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    struct buf a = {0}, b = {0};
    buf_addstr(&a, s);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        buf_clear(&b);
        put_literal(&b, buf_str(&a), str_of(pairs[i][0]), pairs[i][1]);
        struct buf swap = a;
        a = b;
        b = swap;
    }
    buf_addstr(out, buf_str(&a));
    buf_release(&a);
    buf_release(&b);
}

static void put_wordpiece(const struct tok_dec *d, struct str s, bool first, struct buf *out)
{
    struct buf b = {0};
    if (!first && s.n >= d->text.n && memcmp(s.p, d->text.p, d->text.n) == 0) {
        s.p += d->text.n;
        s.n -= d->text.n;
    } else if (!first) {
        buf_putc(&b, ' ');
    }
    buf_addstr(&b, s);
    if (d->flag)
        put_cleaned(out, buf_str(&b));
    else
        buf_addstr(out, buf_str(&b));
    buf_release(&b);
}

/* False where nothing is left of the token. */
static bool put_ctc(const struct tok_dec *d, struct str s, struct buf *out)
{
    struct buf a = {0}, b = {0};
    put_literal(&a, s, d->text, "");
    if (d->flag) {
        put_cleaned(&b, buf_str(&a));
        buf_clear(&a);
        put_literal(&a, buf_str(&b), d->text2, " ");
    }
    bool some = a.n > 0;
    buf_addstr(out, buf_str(&a));
    buf_release(&a);
    buf_release(&b);
    return some;
}

/* ---- the steps: the whole list ------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int tok_byte_token(struct str s)
{
    if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>')
        return -1;
    if (s.p[3] == '+') /* how the reference reads a number */
        return hex_digit(s.p[4]);
    int high = hex_digit(s.p[3]), low = hex_digit(s.p[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* A run of byte tokens is its text where it is UTF-8, else one U+FFFD each. */
static void put_run(struct tokenizer_work *w, const struct buf *run)
{
    if (run->n == 0)
        return;
    if (utf8_check(run->p, run->n)) {
        buf_addstr(&w->dec_other, buf_str(run));
        put_end(w);
        return;
    }
    for (size_t i = 0; i < run->n; i++) {
        buf_puts(&w->dec_other, "\xef\xbf\xbd");
        put_end(w);
    }
}

static struct str item(const struct tokenizer_work *w, size_t i)
{
    size_t from = i ? w->ends[i - 1] : 0;
    if (w->ends[i] == from)
        return STR(""); /* of nothing else, the buffer is NULL */
    return (struct str){w->dec.p + from, w->ends[i] - from};
}

static void byte_fallback(struct tokenizer_work *w)
{
    struct buf bytes = {0};
    for (size_t i = 0; i < w->n_ends; i++) {
        struct str s = item(w, i);
        int byte = tok_byte_token(s);
        if (byte >= 0) {
            buf_putc(&bytes, (char)byte);
            continue;
        }
        put_run(w, &bytes);
        buf_clear(&bytes);
        buf_addstr(&w->dec_other, s);
        put_end(w);
    }
    put_run(w, &bytes);
    buf_release(&bytes);
}

static void byte_level(struct tokenizer_work *w)
{
    struct buf bytes = {0};
    for (size_t i = 0; i < w->n_ends; i++)
        put_byte_level(&bytes, item(w, i));
    tok_put_lossy(&w->dec_other, bytes.p, bytes.n);
    put_end(w);
    buf_release(&bytes);
}

/* Steps from w->dec to w->dec_other. */
static void run(const struct tok_dec *d, struct tokenizer_work *w)
{
    struct buf *out = &w->dec_other;
    if (d->kind == DEC_BYTE_FALLBACK) {
        byte_fallback(w);
        return;
    }
    if (d->kind == DEC_BYTE_LEVEL) {
        byte_level(w);
        return;
    }
    for (size_t i = 0; i < w->n_ends; i++) {
        struct str s = item(w, i);
        switch (d->kind) {
        case DEC_STRIP: put_stripped(d, s, out); break;
        case DEC_REPLACE: put_replaced(d, w, s, out); break;
        case DEC_METASPACE: put_metaspace(d, s, i == 0, out); break;
        case DEC_WORDPIECE: put_wordpiece(d, s, i == 0, out); break;
        case DEC_BPE: put_literal(out, s, d->text, i + 1 == w->n_ends ? "" : " "); break;
        case DEC_CTC:
            if ((i && str_eq(s, item(w, i - 1))) || !put_ctc(d, s, out))
                continue;
            break;
        default: buf_addstr(out, s); break;
        }
        if (d->kind != DEC_FUSE || i + 1 == w->n_ends)
            put_end(w);
    }
}

void tokenizer_decode(const struct tokenizer *t, struct tokenizer_work *w, const int32_t *ids,
                      size_t n, bool skip_special, struct buf *out)
{
    buf_clear(&w->dec);
    w->n_ends = 0;
    w->cpu_since = 0;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= t->n_tokens)
            continue;
        const struct tok_token *k = &t->tokens[ids[i]];
        if (!k->used || (skip_special && k->skip))
            continue;
        if (t->n_decs == 0 && w->n_ends)
            buf_putc(&w->dec, ' ');
        buf_addstr(&w->dec, k->shown);
        GROW(w->ends, w->cap_ends, w->n_ends + 1);
        w->ends[w->n_ends++] = w->dec.n;
    }
    for (size_t i = 0; i < t->n_decs; i++) {
        buf_clear(&w->dec_other);
        w->n_ends_other = 0;
        run(&t->decs[i], w);
        struct buf b = w->dec;
        w->dec = w->dec_other;
        w->dec_other = b;
        size_t *ends = w->ends, cap = w->cap_ends;
        w->ends = w->ends_other;
        w->cap_ends = w->cap_ends_other;
        w->n_ends = w->n_ends_other;
        w->ends_other = ends;
        w->cap_ends_other = cap;
    }
    buf_addstr(out, buf_str(&w->dec));
}

/* ---- reading ------------------------------------------------------------------- */

static int parse_kind(struct tokenizer *t, struct tok_dec *d, struct str type, struct str json,
                      struct err *e)
{
    struct str pattern;
    enum meta_scheme scheme;
    if (str_is(type, "ByteLevel")) {
        d->kind = DEC_BYTE_LEVEL;
        return 0;
    }
    if (str_is(type, "ByteFallback")) {
        d->kind = DEC_BYTE_FALLBACK;
        return 0;
    }
    if (str_is(type, "Fuse")) {
        d->kind = DEC_FUSE;
        return 0;
    }
    if (str_is(type, "Strip")) {
        d->kind = DEC_STRIP;
        return tok_get_char(json, "content", &d->c, e) < 0 ||
                       tok_get_int(json, "start", INT32_MAX, &d->start, e) < 0
                   ? -1
                   : tok_get_int(json, "stop", INT32_MAX, &d->stop, e);
    }
    if (str_is(type, "Replace")) {
        d->kind = DEC_REPLACE;
        return tok_get_object(json, "pattern", &pattern, e) < 0 ||
                       tok_get_text(&t->arena, json, "content", &d->text, e) < 0
                   ? -1
                   : tok_pattern_parse(&d->pattern, &t->arena, pattern, e);
    }
    if (str_is(type, "Metaspace")) {
        d->kind = DEC_METASPACE;
        if (tok_get_metaspace(t, json, &d->text, &d->c, &scheme, e) < 0)
            return -1;
        d->flag = scheme != META_NEVER;
        return 0;
    }
    if (str_is(type, "WordPiece")) {
        d->kind = DEC_WORDPIECE;
        return tok_get_text(&t->arena, json, "prefix", &d->text, e) < 0
                   ? -1
                   : tok_get_bool(json, "cleanup", TOK_REQUIRED, &d->flag, e);
    }
    if (str_is(type, "BPEDecoder")) {
        d->kind = DEC_BPE;
        return tok_get_text(&t->arena, json, "suffix", &d->text, e);
    }
    if (str_is(type, "CTC")) {
        d->kind = DEC_CTC;
        return tok_get_text(&t->arena, json, "pad_token", &d->text, e) < 0 ||
                       tok_get_text(&t->arena, json, "word_delimiter_token", &d->text2, e) < 0
                   ? -1
                   : tok_get_bool(json, "cleanup", TOK_REQUIRED, &d->flag, e);
    }
    return err_set(e, EXIT_CONFIG, "type %.*s is not supported",
                   (int)(type.n < 40 ? type.n : 40), type.p);
}

static int parse_decoder(struct tokenizer *t, struct str json, struct err *e)
{
    struct str type;
    if (tok_get_type(&t->arena, json, &type, e) < 0)
        return -1;
    if (str_is(type, "Sequence"))
        return tok_parse_each(t, json, "decoders", parse_decoder, e);
    if (t->n_decs == TOK_STEPS_MAX)
        return err_set(e, EXIT_CONFIG, "more than %d steps", TOK_STEPS_MAX);
    return parse_kind(t, &t->decs[t->n_decs++], type, json, e);
}

int tok_parse_decoder(struct tokenizer *t, struct str json, struct err *e)
{
    if (json.n == 0 || json_kind(json) == JSON_NULL)
        return 0;
    if (parse_decoder(t, json, e) < 0)
        return -1;
    if (t->n_decs == 0) /* a decoder without steps still puts no blanks between tokens */
        t->decs[t->n_decs++].kind = DEC_FUSE;
    return 0;
}
