/* mask_show.c - the tokens that a training loss would see, as JSON or for the eye. */
#include "text/mask_show.h"

#include <stdlib.h>
#include <unistd.h>

void show_json(struct buf *out, const struct mask *m)
{
    buf_puts(out, "{\"tokens\":[");
    for (size_t i = 0; i < m->tokens.n; i++)
        buf_printf(out, "%s%d", i ? "," : "", (int)m->tokens.v[i]);
    buf_puts(out, "],\"loss\":[");
    for (size_t i = 0; i < m->tokens.n; i++)
        buf_puts(out, i ? (m->loss[i] ? ",1" : ",0") : (m->loss[i] ? "1" : "0"));
    buf_puts(out, "]}");
}

/* A record must not steer the terminal: control characters are shown as ^X. */
static void put_tame(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 127) {
            buf_putc(out, '^');
            buf_putc(out, (char)(c ^ 0x40));
        } else if (c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0) {
            buf_putc(out, '?'); /* U+0080 … U+009F */
            i++;
        } else {
            buf_putc(out, (char)c);
        }
    }
}

void show_text(struct buf *out, const struct mask *m, const struct tokenizer *t,
               struct tokenizer_work *w, bool colour, const char *file, uint64_t number)
{
    static const char *const begin[] = {"[[", "\033[1;32m"}, *const end[] = {"]]", "\033[0m"};
    struct buf text = {0};
    size_t seen = 0;
    for (size_t i = 0; i < m->tokens.n; i++)
        seen += m->loss[i];
    buf_puts(out, "-- ");
    put_tame(out, str_of(file));
    buf_printf(out, ":%llu: %zu of %zu tokens\n", (unsigned long long)number, seen,
               m->tokens.n);
    for (size_t i = 0, to; i < m->tokens.n; i = to) {
        for (to = i; to < m->tokens.n && m->loss[to] == m->loss[i];)
            to++;
        buf_clear(&text);
        tokenizer_decode(t, w, m->tokens.v + i, to - i, false, &text);
        if (m->loss[i])
            buf_puts(out, begin[colour]);
        put_tame(out, buf_str(&text));
        if (m->loss[i])
            buf_puts(out, end[colour]);
    }
    buf_putc(out, '\n');
    buf_release(&text);
}

bool show_is_terminal(bool *colour)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    *colour = !(no && *no) && !(term && !strcmp(term, "dumb"));
    return isatty(1);
}
