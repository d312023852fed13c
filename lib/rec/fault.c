/* fault.c - error records: what went wrong with a record, in its place. */
#include "rec/reader.h"
#include "rec/utf8.h"

#include <stdlib.h>

/* A message may quote a file's name, which need not be UTF-8. */
static void put_message(struct buf *out, const char *message)
{
    if (utf8_check(message, strlen(message))) {
        json_quote(out, str_of(message));
        return;
    }
    char *clean = xstrdup(message);
    size_t n = strlen(clean);
    for (size_t i = 0; (i += utf8_valid_to(clean + i, n - i)) < n;)
        clean[i] = '?';
    json_quote(out, (struct str){clean, n});
    free(clean);
}

static void put_error(struct buf *out, const char *stage, const char *type, const char *message)
{
    rec_member(out, "error");
    buf_puts(out, "{\"stage\":");
    json_quote(out, str_of(stage));
    buf_puts(out, ",\"type\":");
    json_quote(out, str_of(type));
    buf_puts(out, ",\"message\":");
    put_message(out, message);
}

void rec_error(struct buf *out, const char *stage, const char *type, const char *message)
{
    put_error(out, stage, type, message);
    buf_putc(out, '}');
}

static void put_base64(struct buf *out, const char *text, size_t n)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)text;
    buf_putc(out, '"');
    for (; n > 0; p += 3) {
        uint32_t v = (uint32_t)p[0] << 16;
        if (n > 1)
            v |= (uint32_t)p[1] << 8;
        if (n > 2)
            v |= p[2];
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                        n > 1 ? digits[v >> 6 & 63] : '=', n > 2 ? digits[v & 63] : '='};
        buf_add(out, four, 4);
        n -= n > 3 ? 3 : n;
    }
    buf_putc(out, '"');
}

void rec_begin_fault(struct buf *out, const struct rec *rec, const char *stage)
{
    struct str in = rec->line;
    bool cut = in.n > REC_INPUT_MAX || !strcmp(rec->fault, "too_long");
    if (in.n > REC_INPUT_MAX)
        in.n = REC_INPUT_MAX;
    size_t whole = cut ? utf8_cut(in.p, in.n) : in.n;
    buf_clear(out);
    buf_putc(out, '{');
    put_error(out, stage, rec->fault, rec->message);
    if (utf8_check(in.p, whole)) {
        buf_puts(out, ",\"input\":");
        json_quote(out, (struct str){in.p, whole});
    } else {
        buf_puts(out, ",\"input_base64\":");
        put_base64(out, in.p, in.n);
    }
    buf_putc(out, '}');
}

void rec_fail(struct buf *out, const struct rec *rec, const char *stage, const char *type,
              const char *message)
{
    if (rec->fault) {
        rec_begin_fault(out, rec, stage);
        rec_marks_put(out, &rec->marks);
    } else {
        rec_begin(out, rec);
        rec_error(out, stage, type, message);
    }
    rec_end(out);
}
