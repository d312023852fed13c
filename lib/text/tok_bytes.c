/* tok_bytes.c - the bytes that a single token stands for inside a text. */
#include "text/tok.h"

bool tokenizer_has_bytes(const struct tokenizer *t)
{
    bool fused = false;
    for (size_t i = 0; i < t->n_decs; i++) {
        const struct tok_dec *d = &t->decs[i];
        switch (d->kind) {
        case DEC_BYTE_LEVEL:
        case DEC_BYTE_FALLBACK:
        case DEC_METASPACE: break;
        case DEC_FUSE: fused = true; break;
        case DEC_REPLACE:
            if (d->pattern.code || fused)
                return false;
            break;
        case DEC_STRIP: /* at the beginning of the whole text alone */
            if (!fused || d->stop || d->c != ' ')
                return false;
            break;
        default: return false;
        }
    }
    return t->n_decs > 0;
}

bool tokenizer_strips_first(const struct tokenizer *t)
{
    for (size_t i = 0; i < t->n_decs; i++)
        if ((t->decs[i].kind == DEC_STRIP && t->decs[i].start > 0) ||
            (t->decs[i].kind == DEC_METASPACE && t->decs[i].flag))
            return true;
    return false;
}

static void byte_level(struct buf *b)
{
    size_t to = 0;
    for (size_t i = 0; i < b->n;) {
        uint32_t c;
        i += tok_char(b->p + i, &c);
        if (tok_char_byte(c) < 0) /* not of the alphabet: the token as it is */
            return;
    }
    for (size_t i = 0; i < b->n;) {
        uint32_t c;
        i += tok_char(b->p + i, &c);
        b->p[to++] = (char)tok_char_byte(c);
    }
    b->n = to;
}

static void replace(struct buf *b, struct str from, struct str to)
{
    struct buf out = {0};
    struct str s = buf_str(b);
    if (!from.n)
        return;
    for (const char *hit; s.n && (hit = memmem(s.p, s.n, from.p, from.n));) {
        size_t before = (size_t)(hit - s.p);
        buf_add(&out, s.p, before);
        buf_addstr(&out, to);
        s.p = hit + from.n;
        s.n -= before + from.n;
    }
    buf_addstr(&out, s);
    buf_release(b);
    *b = out;
}

/* Where the decoder takes byte tokens and this is one: its byte. */
static bool byte_fallback(struct buf *b)
{
    int byte = tok_byte_token(buf_str(b));
    if (byte < 0)
        return false;
    buf_clear(b);
    buf_putc(b, (char)byte);
    return true;
}

bool tokenizer_bytes(const struct tokenizer *t, int32_t id, struct buf *out)
{
    if (id < 0 || (size_t)id >= t->n_tokens || !t->tokens[id].used || t->tokens[id].added)
        return false;
    struct buf b = {0}, mark = {0};
    bool done = false;
    buf_addstr(&b, t->tokens[id].shown);
    for (size_t i = 0; i < t->n_decs && !done; i++) {
        const struct tok_dec *d = &t->decs[i];
        switch (d->kind) {
        case DEC_BYTE_LEVEL: byte_level(&b); break;
        case DEC_BYTE_FALLBACK: done = byte_fallback(&b); break;
        case DEC_REPLACE: replace(&b, d->pattern.literal, d->text); break;
        case DEC_METASPACE:
            buf_clear(&mark);
            buf_put_utf8(&mark, d->c);
            replace(&b, buf_str(&mark), STR(" "));
            break;
        default: break;
        }
    }
    buf_addstr(out, buf_str(&b));
    buf_release(&b);
    buf_release(&mark);
    return true;
}
