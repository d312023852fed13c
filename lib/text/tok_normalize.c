/* tok_normalize.c - the normalizers: Unicode forms, case, stripping, replacing.
 *
 * Composition is utf8proc's; decomposed marks are put in order here, since utf8proc sorts them
 * in quadratic time and a text may be one long run of marks.
 */
#include "text/tok.h"

#include "rec/json.h"

#include <utf8proc.h>

/* ---- Unicode normal forms --------------------------------------------------- */

static bool ascii_only(struct str s)
{
    unsigned char any = 0;
    for (size_t i = 0; i < s.n; i++)
        any |= (unsigned char)s.p[i];
    return any < 0x80;
}

/* Below U+0300 every character is its own NFC. */
static bool below_marks(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0xcc)
            return false;
    return true;
}

static void decompose(struct tokenizer_work *w, struct str s, utf8proc_option_t options)
{
    w->n_u32 = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        int class = 0;
        i += tok_char(s.p + i, &c);
        GROW(w->u32, w->cap_u32, w->n_u32 + 32); /* the longest decomposition has 18 */
        utf8proc_ssize_t n = 0;
        if (!tok_stays_composed(c))
            n = utf8proc_decompose_char((utf8proc_int32_t)c, w->u32 + w->n_u32, 32, options,
                                        &class);
        if (n < 1 || n > 32) { /* none that utf8proc knows: itself */
            w->u32[w->n_u32] = (int32_t)c;
            n = 1;
        }
        w->n_u32 += (size_t)n;
    }
}

static unsigned mark_class(int32_t c)
{
    return c < 0x300 ? 0 : (unsigned)utf8proc_get_property(c)->combining_class;
}

/* Stable sort by combining class of the marks [v, v+n). */
static void sort_marks(struct tokenizer_work *w, int32_t *v, size_t n)
{
    size_t at[256] = {0}, sum = 0;
    GROW(w->u32_other, w->cap_u32_other, n);
    for (size_t i = 0; i < n; i++)
        at[mark_class(v[i])]++;
    for (size_t i = 0; i < 256; i++) {
        size_t here = at[i];
        at[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < n; i++)
        w->u32_other[at[mark_class(v[i])]++] = v[i];
    memcpy(v, w->u32_other, n * sizeof *v);
}

static void order_marks(struct tokenizer_work *w)
{
    int32_t *v = w->u32;
    for (size_t i = 0; i < w->n_u32; i++) {
        unsigned last = mark_class(v[i]);
        bool sorted = true;
        size_t from = i;
        if (last == 0)
            continue;
        for (unsigned c; ++i < w->n_u32 && (c = mark_class(v[i])); last = c)
            sorted &= c >= last;
        if (!sorted)
            sort_marks(w, v + from, i - from);
    }
}

static void normal_form(struct tokenizer_work *w, struct str s, enum norm_kind kind,
                        struct buf *out)
{
    bool compat = kind == NORM_NFKC || kind == NORM_NFKD;
    decompose(w, s, UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0));
    order_marks(w);
    size_t n = w->n_u32;
    if (kind == NORM_NFC || kind == NORM_NFKC) {
        utf8proc_ssize_t r = utf8proc_normalize_utf32(w->u32, (utf8proc_ssize_t)n,
                                                      UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        n = r < 0 ? n : (size_t)r;
    }
    for (size_t i = 0; i < n; i++)
        buf_put_utf8(out, (uint32_t)w->u32[i]);
}

/* ---- character by character ------------------------------------------------- */

static bool nmt_removes(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f ||
           c == 0x8f || c == 0x9f;
}

static bool nmt_blanks(uint32_t c)
{
    return c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 ||
           (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
           c == 0xfeff || c == 0xfffd;
}

static bool clean_removes(uint32_t c)
{
    return c == 0 || c == 0xfffd || (c != '\t' && c != '\n' && c != '\r' && tok_is_other(c));
}

static bool is_chinese(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static void put_lower(struct buf *out, uint32_t c)
{
    if (c == 0x130) /* the only character whose lower case is two */
        buf_puts(out, "i\xcc\x87");
    else
        buf_put_utf8(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

static bool removes(enum norm_kind kind, uint32_t c)
{
    switch (kind) {
    case NORM_STRIP_ACCENTS: return tok_is_mark(c);
    case NORM_STRIP_MARKS:
        return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MN;
    case NORM_NMT: return nmt_removes(c);
    case NORM_CLEAN: return clean_removes(c);
    default: return false;
    }
}

static void by_character(enum norm_kind kind, struct str s, struct buf *out, bool *first)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        size_t n = tok_char(s.p + i, &c);
        if (removes(kind, c)) {
            if (i == 0)
                *first = false;
        } else if (kind == NORM_LOWERCASE) {
            put_lower(out, c);
        } else if ((kind == NORM_NMT && nmt_blanks(c)) ||
                   (kind == NORM_CLEAN && tok_is_space(c))) {
            buf_putc(out, ' ');
        } else if (kind == NORM_CHINESE && is_chinese(c)) {
            buf_putc(out, ' ');
            buf_add(out, s.p + i, n);
            buf_putc(out, ' ');
        } else {
            buf_add(out, s.p + i, n);
        }
        i += n;
    }
}

/* ---- one step --------------------------------------------------------------- */

static struct str strip(const struct tok_norm *n, struct str s, bool *first)
{
    uint32_t c;
    while (n->left && s.n) {
        size_t k = tok_char(s.p, &c);
        if (!tok_is_space(c))
            break;
        s.p += k;
        s.n -= k;
        *first = false;
    }
    while (n->right && s.n) {
        size_t k = tok_last_char(s.p, s.n, &c);
        if (!tok_is_space(c))
            break;
        s.n -= k;
    }
    return s;
}

/* What takes the place of several characters counts as standing where the last one stood. */
static int replace(const struct tok_norm *n, struct tokenizer_work *w, struct str s,
                   struct buf *out, bool *first, struct err *e)
{
    uint32_t c;
    struct tok_matches m = tok_matches(&n->pattern, s);
    size_t start, end, from = 0;
    int rc;
    while (s.n && (rc = tok_matches_next(&m, w, &start, &end, e)) != 0) {
        if (rc < 0)
            return -1;
        if (start == 0 && end > 0 && (!n->text.n || tok_char(s.p, &c) < end))
            *first = false;
        buf_add(out, s.p + from, start - from);
        buf_addstr(out, n->text);
        from = end;
    }
    buf_add(out, s.p + from, s.n - from);
    return 0;
}

/* Runs one normalizer from s into out; 1 when s itself is the result. */
static int run(const struct tok_norm *n, struct tokenizer_work *w, struct str *s,
               struct buf *out, bool *first, struct err *e)
{
    switch (n->kind) {
    case NORM_NFC:
        if (below_marks(*s))
            return 1;
        normal_form(w, *s, n->kind, out);
        return 0;
    case NORM_NFD:
    case NORM_NFKC:
    case NORM_NFKD:
        if (ascii_only(*s))
            return 1;
        normal_form(w, *s, n->kind, out);
        return 0;
    case NORM_STRIP: *s = strip(n, *s, first); return 1;
    case NORM_REPLACE: return replace(n, w, *s, out, first, e);
    case NORM_PREPEND:
        if (s->n)
            buf_addstr(out, n->text);
        buf_addstr(out, *s);
        return 0;
    case NORM_BYTE_LEVEL: tok_put_bytes_as_chars(out, *s); return 0;
    default: by_character(n->kind, *s, out, first); return 0;
    }
}

int tok_normalize(const struct tokenizer *t, struct tokenizer_work *w, struct str *text,
                  bool *first, struct err *e)
{
    for (size_t i = 0; i < t->n_norms; i++) {
        buf_clear(&w->norm_other);
        int rc = run(&t->norms[i], w, text, &w->norm_other, first, e);
        if (rc < 0)
            return -1;
        if (rc == 0) {
            struct buf b = w->norm;
            w->norm = w->norm_other;
            w->norm_other = b;
            *text = buf_str(&w->norm);
        }
    }
    return 0;
}

/* ---- reading ---------------------------------------------------------------- */

static struct tok_norm *add(struct tokenizer *t, enum norm_kind kind)
{
    struct tok_norm *n = &t->norms[t->n_norms++];
    *n = (struct tok_norm){.kind = kind};
    return n;
}

static int parse_bert(struct tokenizer *t, struct str json, struct err *e)
{
    bool clean, chinese, lower, accents;
    if (tok_get_bool(json, "clean_text", TOK_REQUIRED, &clean, e) < 0 ||
        tok_get_bool(json, "handle_chinese_chars", TOK_REQUIRED, &chinese, e) < 0 ||
        tok_get_bool(json, "lowercase", TOK_REQUIRED, &lower, e) < 0 ||
        tok_get_bool(json, "strip_accents", lower, &accents, e) < 0)
        return -1;
    if (clean)
        add(t, NORM_CLEAN);
    if (chinese)
        add(t, NORM_CHINESE);
    if (accents) {
        add(t, NORM_NFD);
        add(t, NORM_STRIP_MARKS);
    }
    if (lower)
        add(t, NORM_LOWERCASE);
    return 0;
}

int tok_parse_normalizer(struct tokenizer *t, struct str json, struct err *e)
{
    static const struct {
        const char *name;
        enum norm_kind kind;
    } plain[] = {{"NFC", NORM_NFC},
                 {"NFD", NORM_NFD},
                 {"NFKC", NORM_NFKC},
                 {"NFKD", NORM_NFKD},
                 {"Lowercase", NORM_LOWERCASE},
                 {"StripAccents", NORM_STRIP_ACCENTS},
                 {"Nmt", NORM_NMT},
                 {"ByteLevel", NORM_BYTE_LEVEL}};
    struct str type;
    if (json.n == 0 || json_kind(json) == JSON_NULL)
        return 0;
    if (t->n_norms + 5 > TOK_STEPS_MAX)
        return err_set(e, EXIT_CONFIG, "more than %d steps", TOK_STEPS_MAX - 5);
    if (tok_get_type(&t->arena, json, &type, e) < 0)
        return -1;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (str_is(type, plain[i].name)) {
            add(t, plain[i].kind);
            return 0;
        }
    if (str_is(type, "Sequence"))
        return tok_parse_each(t, json, "normalizers", tok_parse_normalizer, e);
    if (str_is(type, "BertNormalizer"))
        return parse_bert(t, json, e);
    if (str_is(type, "Strip")) {
        struct tok_norm *n = add(t, NORM_STRIP);
        return tok_get_bool(json, "strip_left", TOK_REQUIRED, &n->left, e) < 0
                   ? -1
                   : tok_get_bool(json, "strip_right", TOK_REQUIRED, &n->right, e);
    }
    if (str_is(type, "Prepend"))
        return tok_get_text(&t->arena, json, "prepend", &add(t, NORM_PREPEND)->text, e);
    if (str_is(type, "Replace")) {
        struct tok_norm *n = add(t, NORM_REPLACE);
        struct str pattern;
        if (tok_get_object(json, "pattern", &pattern, e) < 0 ||
            tok_get_text(&t->arena, json, "content", &n->text, e) < 0)
            return -1;
        return tok_pattern_parse(&n->pattern, &t->arena, pattern, e);
    }
    return err_set(e, EXIT_CONFIG, "type %.*s is not supported",
                   (int)(type.n < 40 ? type.n : 40), type.p);
}
