/* plot.c - plots as SVG, drawn in the colours of the page's style. */
#include "report/page.h"

#include <math.h>

enum { WIDTH = 480, HEIGHT = 300, LEFT = 52, RIGHT = 12, TOP = 12, BOTTOM = 44, COLOURS = 6 };

static double across(const struct plot *p, double x)
{
    return LEFT + (x - p->x_min) / (p->x_max - p->x_min) * (WIDTH - LEFT - RIGHT);
}

static double down(const struct plot *p, double y)
{
    return HEIGHT - BOTTOM - (y - p->y_min) / (p->y_max - p->y_min) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that there are 4 to 10 ticks. */
static double tick(double range)
{
    double power = pow(10, floor(log10(range)));
    double part = range / power;
    return power * (part < 2 ? 0.2 : part < 5 ? 0.5 : 1);
}

static void put_axis_numbers(struct buf *b, const struct plot *p)
{
    double step = tick(p->x_max - p->x_min);
    for (double x = ceil(p->x_min / step) * step; x <= p->x_max + step / 100; x += step)
        buf_printf(
            b, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>\n",
            across(p, x), HEIGHT - BOTTOM + 16, fabs(x) < step / 100 ? 0 : x);
    step = tick(p->y_max - p->y_min);
    for (double y = ceil(p->y_min / step) * step; y <= p->y_max + step / 100; y += step) {
        buf_printf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, down(p, y),
                   WIDTH - RIGHT);
        buf_printf(b,
                   "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                   LEFT - 6, down(p, y) + 4, fabs(y) < step / 100 ? 0 : y);
    }
}

static void put_legend(struct buf *b, const struct series *s, size_t n)
{
    buf_puts(b, "<figcaption>");
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "<span class=\"key c%zu\"></span>", i % COLOURS);
        page_text(b, str_of(s[i].name));
        buf_putc(b, ' ');
    }
    buf_puts(b, "</figcaption></figure>\n");
}

static void begin(struct buf *b, const struct plot *p)
{
    buf_puts(b, "<figure><h3>");
    page_text(b, str_of(p->title));
    buf_printf(b, "</h3><svg role=\"img\" viewBox=\"0 0 %d %d\" aria-label=\"", WIDTH, HEIGHT);
    page_text(b, str_of(p->about));
    buf_puts(b, "\">\n");
    put_axis_numbers(b, p);
    buf_printf(b, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, HEIGHT - BOTTOM,
               WIDTH - RIGHT);
    buf_printf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2,
               HEIGHT - 8);
    page_text(b, str_of(p->x_name));
    buf_printf(b,
               "</text>\n<text transform=\"rotate(-90)\" x=\"%d\" y=\"14\" "
               "text-anchor=\"middle\">",
               -(TOP + HEIGHT - BOTTOM) / 2);
    page_text(b, str_of(p->y_name));
    buf_puts(b, "</text>\n");
}

static void put_line(struct buf *b, const struct plot *p, const struct series *s, size_t colour)
{
    bool pen = false;
    buf_printf(b, "<path class=\"line c%zu\" d=\"", colour % COLOURS);
    for (size_t i = 0; i < s->n; i++) {
        bool there = isfinite(s->x[i]) && isfinite(s->y[i]);
        if (there)
            buf_printf(b, "%c%.1f %.1f", pen ? 'L' : 'M', across(p, s->x[i]), down(p, s->y[i]));
        pen = there;
    }
    buf_puts(b, "\"/>\n");
    for (size_t i = 0; p->points && i < s->n; i++)
        if (isfinite(s->x[i]) && isfinite(s->y[i]))
            buf_printf(b, "<circle class=\"c%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n",
                       colour % COLOURS, across(p, s->x[i]), down(p, s->y[i]));
}

void plot_lines(struct buf *b, const struct plot *p, const struct series *s, size_t n)
{
    begin(b, p);
    if (p->diagonal)
        buf_printf(b, "<path class=\"ideal\" d=\"M%d %dL%d %d\"/>\n", LEFT, HEIGHT - BOTTOM,
                   WIDTH - RIGHT, TOP);
    for (size_t i = 0; i < n; i++)
        put_line(b, p, &s[i], i);
    buf_puts(b, "</svg>");
    put_legend(b, s, n);
}

void plot_bars(struct buf *b, const struct plot *p, const struct series *s, size_t n)
{
    begin(b, p);
    double wide = (WIDTH - LEFT - RIGHT) / (double)(s[0].n ? s[0].n : 1),
           each = wide * 0.8 / (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < s[i].n; k++)
            if (s[i].y[k] > 0)
                buf_printf(b,
                           "<rect class=\"c%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                           "height=\"%.1f\"/>\n",
                           i % COLOURS, LEFT + wide * ((double)k + 0.1) + each * (double)i,
                           down(p, s[i].y[k]), each, HEIGHT - BOTTOM - down(p, s[i].y[k]));
    buf_puts(b, "</svg>");
    put_legend(b, s, n);
}

void plot_ranges(struct buf *b, const char *about, const struct range_row *rows, size_t n)
{
    enum { ROW = 26, NAMES = 140, SPAN = 320 };
    buf_printf(b, "<figure><svg role=\"img\" viewBox=\"0 0 %d %zu\" aria-label=\"", WIDTH,
               n * ROW + 24);
    page_text(b, str_of(about));
    buf_puts(b, "\">\n");
    for (int i = 0; i <= 4; i++) {
        buf_printf(b, "<path class=\"grid\" d=\"M%d 0V%zu\"/>", NAMES + SPAN * i / 4, n * ROW);
        buf_printf(b,
                   "<text class=\"tick\" x=\"%d\" y=\"%zu\" text-anchor=\"middle\">%g</text>\n",
                   NAMES + SPAN * i / 4, n * ROW + 16, i / 4.0);
    }
    for (size_t i = 0; i < n; i++) {
        size_t y = i * ROW + ROW / 2;
        buf_printf(b, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", NAMES - 8, y + 4);
        page_text_cut(b, rows[i].name, 18);
        buf_puts(b, "</text>");
        if (isfinite(rows[i].low) && isfinite(rows[i].high))
            buf_printf(b, "<path class=\"range\" d=\"M%.1f %zuH%.1f\"/>",
                       NAMES + SPAN * rows[i].low, y, NAMES + SPAN * rows[i].high);
        if (isfinite(rows[i].at))
            buf_printf(b, "<circle class=\"c0\" cx=\"%.1f\" cy=\"%zu\" r=\"5\"/>\n",
                       NAMES + SPAN * rows[i].at, y);
    }
    buf_puts(b, "</svg></figure>\n");
}
