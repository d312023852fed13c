/* tok_regex.c - patterns of tokenizer.json: written for Oniguruma, run by PCRE2.
 *
 * A hostile pattern can backtrack for ever.  PCRE2's match limit ends what grows exponentially
 * at one place; a bound on processor time, looked at now and then, ends what is slow because of
 * many places.
 */
#include "text/tok.h"

enum {
    REGEX_MAX = 1 << 16,
    LOOK_AHEAD = 1024, /* starts tried in one call */
    CHECK_EVERY = 1024,
    CPU_SECONDS = 5, /* for one text */
};

int tok_pattern_regex(struct tok_pattern *p, struct str regex, struct err *e)
{
    if (regex.n > REGEX_MAX)
        return err_set(e, EXIT_CONFIG, "a pattern of more than %d bytes", REGEX_MAX);
    struct buf out = {0};
    buf_reserve(&out, regex.n);
    int rc = tok_rewrite(regex, &out, e);
    if (rc == 0) {
        pcre2_compile_context *c = pcre2_compile_context_create(NULL);
        if (!c)
            die(EXIT_OS, "out of memory");
        pcre2_set_newline(c, PCRE2_NEWLINE_LF);
        int code;
        PCRE2_SIZE at;
        p->code = pcre2_compile((PCRE2_SPTR)out.p, out.n,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE |
                                    PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C,
                                &code, &at, c);
        pcre2_compile_context_free(c);
        if (!p->code) {
            char text[128] = "";
            pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
            rc = err_set(e, EXIT_CONFIG, "pattern: %s, at byte %zu of %.80s", text, at, out.p);
        } else {
            pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* slower without, not wrong */
        }
    }
    buf_release(&out);
    return rc;
}

int tok_pattern_parse(struct tok_pattern *p, struct tok_arena *a, struct str json,
                      struct err *e)
{
    struct str text;
    if (tok_member(json, "String").n) {
        if (tok_get_text(a, json, "String", &text, e) < 0)
            return -1;
        if (text.n == 0)
            return err_set(e, EXIT_CONFIG, "pattern: an empty string is not supported");
        p->literal = text;
        return 0;
    }
    if (tok_get_text(a, json, "Regex", &text, e) < 0)
        return err_prefix(e, "pattern");
    return tok_pattern_regex(p, text, e);
}

void tok_pattern_release(struct tok_pattern *p)
{
    pcre2_code_free(p->code);
    p->code = NULL;
}

struct tok_matches tok_matches(const struct tok_pattern *p, struct str text)
{
    return (struct tok_matches){.pattern = p, .text = text};
}

static int too_slow(struct tokenizer_work *w, struct err *e)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    if (w->cpu_since == 0)
        w->cpu_since = now.tv_sec + 1;
    if (now.tv_sec + 1 - w->cpu_since > CPU_SECONDS)
        return err_set(e, EXIT_DATA, "the tokenizer's pattern takes too long on this text");
    return 0;
}

/* The next match at or after m->pos, empty ones included. */
static int search(struct tok_matches *m, struct tokenizer_work *w, size_t *start, size_t *end,
                  struct err *e)
{
    if (!m->pattern->code) {
        struct str lit = m->pattern->literal;
        const char *hit = memmem(m->text.p + m->pos, m->text.n - m->pos, lit.p, lit.n);
        if (!hit)
            return 0;
        *start = (size_t)(hit - m->text.p);
        *end = *start + lit.n;
        return 1;
    }
    for (;;) {
        if (++w->calls % CHECK_EVERY == 0 && too_slow(w, e) < 0)
            return -1;
        pcre2_set_offset_limit(w->match_context, m->pos + LOOK_AHEAD);
        int rc = pcre2_match(m->pattern->code, (PCRE2_SPTR)m->text.p, m->text.n, m->pos,
                             PCRE2_NO_UTF_CHECK, w->match, w->match_context);
        if (rc >= 0) {
            const PCRE2_SIZE *v = pcre2_get_ovector_pointer(w->match);
            *start = v[0];
            *end = v[1] < v[0] ? v[0] : v[1]; /* \K in a look-ahead */
            return 1;
        }
        if (rc != PCRE2_ERROR_NOMATCH)
            return err_set(e, EXIT_DATA,
                           "the tokenizer's pattern ran into its limits on this text");
        if (m->text.n - m->pos <= LOOK_AHEAD)
            return 0;
        m->pos += LOOK_AHEAD;
        while (m->pos < m->text.n && ((unsigned char)m->text.p[m->pos] & 0xc0) == 0x80)
            m->pos++;
        if (too_slow(w, e) < 0)
            return -1;
    }
}

int tok_matches_next(struct tok_matches *m, struct tokenizer_work *w, size_t *start,
                     size_t *end, struct err *e)
{
    while (m->pos <= m->text.n) {
        int rc = search(m, w, start, end, e);
        if (rc <= 0)
            return rc;
        if (*start < *end || !m->any || *end != m->last_end) {
            m->pos = m->last_end = *end;
            m->any = true;
            return 1;
        }
        /* an empty match right behind the last one: look one character further */
        uint32_t c;
        m->pos = m->last_end;
        m->pos += m->pos < m->text.n ? tok_char(m->text.p + m->pos, &c) : 1;
    }
    return 0;
}
