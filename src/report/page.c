/* page.c - pieces of an HTML page. */
#include "report/page.h"

#include "report/style.h"

#include <math.h>

static const char *reference(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return (unsigned char)c < 0x20 && c != '\n' && c != '\t' ? "\xef\xbf\xbd" : NULL;
    }
}

void page_text(struct buf *b, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        const char *safe = reference(text.p[i]);
        if (safe)
            buf_puts(b, safe);
        else
            buf_putc(b, text.p[i]);
    }
}

void page_text_cut(struct buf *b, struct str text, size_t max)
{
    size_t n = text.n < max ? text.n : max;
    while (n < text.n && n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    page_text(b, (struct str){text.p, n});
    if (n < text.n)
        buf_puts(b, "…");
}

void page_ratio(struct buf *b, double v)
{
    if (isfinite(v))
        buf_printf(b, "%.4f", v);
    else
        buf_puts(b, "–");
}

void page_open(struct buf *b, const char *title)
{
    buf_puts(
        b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    page_text(b, str_of(title));
    buf_puts(b, "</title>\n<style>\n");
    buf_puts(b, page_style);
    buf_puts(b, "</style>\n</head>\n<body>\n<main>\n<h1>");
    page_text(b, str_of(title));
    buf_puts(b, "</h1>\n");
}

void page_close(struct buf *b)
{
    buf_puts(b, "</main>\n<script>\n");
    buf_puts(b, page_script);
    buf_puts(b, "</script>\n</body>\n</html>\n");
}

void page_section(struct buf *b, const char *id, const char *title, const char *about)
{
    buf_printf(b, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", id, id, title);
    if (about)
        buf_printf(b, "<p class=\"about\">%s</p>\n", about);
}

void page_section_end(struct buf *b)
{
    buf_puts(b, "</section>\n");
}

void page_tile(struct buf *b, const char *name, const char *value, const char *under)
{
    buf_puts(b, "<div class=\"tile\"><span class=\"name\">");
    page_text(b, str_of(name));
    buf_puts(b, "</span><strong>");
    page_text(b, str_of(value));
    buf_puts(b, "</strong><span class=\"under\">");
    page_text(b, str_of(under));
    buf_puts(b, "</span></div>\n");
}
