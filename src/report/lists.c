/* lists.c - the records of a report: mistakes, errors, differences of two runs. */
#include "report/sections.h"

#include "metrics/scores.h"

#include <math.h>
#include <stdio.h>

static void cell(struct buf *b, const char *text)
{
    buf_puts(b, "<td>");
    page_text(b, str_of(text));
    buf_puts(b, "</td>");
}

static void text_cell(struct buf *b, const char *text)
{
    buf_puts(b, "<td class=\"text\">");
    page_text(b, str_of(text));
    buf_puts(b, "</td>");
}

static void search_box(struct buf *b, const char *table)
{
    buf_printf(b,
               "<p><label>Search <input type=\"search\" data-rows=\"%s\" "
               "placeholder=\"words that a row must have\"></label></p>\n",
               table);
}

void section_mistakes(struct buf *b, const struct run *r)
{
    if (!r->mistakes)
        return;
    page_section(b, "mistakes", "Mistakes", NULL);
    buf_printf(b,
               "<p class=\"about\">%llu records have another answer than their gold label; the "
               "%zu of which the model was surest:</p>\n",
               (unsigned long long)r->wrong, r->mistakes);
    search_box(b, "mistake-rows");
    buf_puts(
        b,
        "<div class=\"wide\"><table id=\"mistake-rows\"><thead><tr><th scope=\"col\">line</th>"
        "<th scope=\"col\">id</th><th scope=\"col\">record</th><th scope=\"col\">gold</th>"
        "<th scope=\"col\">answer</th><th scope=\"col\" class=\"n\">probability</th>"
        "<th scope=\"col\">group</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < r->mistakes; i++) {
        const struct mistake *m = &r->mistake[i];
        buf_printf(b, "<tr><td class=\"n\">%llu</td>", (unsigned long long)m->line);
        cell(b, m->id);
        text_cell(b, m->text);
        cell(b, m->gold);
        cell(b, m->answer);
        buf_puts(b, "<td class=\"n\">");
        page_ratio(b, m->confidence);
        buf_puts(b, "</td>");
        cell(b, m->group);
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, "</tbody></table></div>\n");
    page_section_end(b);
}

void section_errors(struct buf *b, const struct run *r)
{
    if (!r->kinds)
        return;
    page_section(b, "errors", "Error records",
                 "Records that could not be answered; they are in errors.jsonl too.");
    buf_puts(
        b, "<div class=\"wide\"><table><thead><tr><th scope=\"col\">kind</th>"
           "<th scope=\"col\" class=\"n\">records</th><th scope=\"col\">the first of them</th>"
           "</tr></thead><tbody>\n");
    for (size_t i = 0; i < r->kinds; i++) {
        buf_puts(b, "<tr>");
        cell(b, r->kind[i].name);
        buf_printf(b, "<td class=\"n\">%llu</td>", (unsigned long long)r->kind[i].count);
        text_cell(b, r->kind[i].message);
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, "</tbody></table></div>\n");
    page_section_end(b);
}

/* ---- two runs ------------------------------------------------------------- */

static void versus_row(struct buf *b, const struct run *first, const struct run *second,
                       const char *name, const char *path)
{
    double x = number_in(first->score, path), y = number_in(second->score, path);
    if (isnan(x) && isnan(y))
        return;
    buf_printf(b, "<tr><th scope=\"row\">%s</th><td class=\"n\">", name);
    page_ratio(b, x);
    buf_puts(b, "</td><td class=\"n\">");
    page_ratio(b, y);
    buf_puts(b, "</td><td class=\"n\">");
    if (!isnan(x) && !isnan(y))
        buf_printf(b, "%+.4f", y - x);
    buf_puts(b, "</td></tr>\n");
}

static void versus_table(struct buf *b, const struct run *first, const struct run *second)
{
    static const struct {
        const char *name, *path;
    } rows[] = {
        {"accuracy", "wrong.accuracy"},
        {"macro F1", "wrong.macro.f1"},
        {"weighted F1", "wrong.weighted.f1"},
        {"FPR", "wrong.fpr"},
        {"FNR", "wrong.fnr"},
        {"AUROC", "probabilities.auroc"},
        {"average precision", "probabilities.average_precision"},
        {"log loss", "probabilities.log_loss"},
        {"ECE", "probabilities.ece"},
    };
    buf_puts(b,
             "<div class=\"wide\"><table><thead><tr><td></td><th scope=\"col\" class=\"n\">");
    page_text(b, str_of(first->dir));
    buf_puts(b, "</th><th scope=\"col\" class=\"n\">");
    page_text(b, str_of(second->dir));
    buf_puts(b, "</th><th scope=\"col\" class=\"n\">difference</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        versus_row(b, first, second, rows[i].name, rows[i].path);
    buf_puts(b, "</tbody></table></div>\n");
}

void section_versus(struct buf *b, const struct run *first, const struct run *second,
                    const struct comparison *c)
{
    page_section(b, "versus", "Side by side", NULL);
    versus_table(b, first, second);
    buf_printf(b,
               "<p>Of %llu records both got %llu right, only the first %llu, only the second "
               "%llu, neither %llu. So uneven a split has probability %.3g if both are equally "
               "good (exact McNemar test).</p>\n",
               (unsigned long long)c->records, (unsigned long long)c->both,
               (unsigned long long)c->only_first, (unsigned long long)c->only_second,
               (unsigned long long)c->neither, mcnemar_exact(c->only_first, c->only_second));
    page_section_end(b);
    if (!c->differences)
        return;
    page_section(b, "differences", "Different answers", NULL);
    buf_printf(b, "<p class=\"about\">%llu records; the first %zu:</p>\n",
               (unsigned long long)c->differing, c->differences);
    search_box(b, "difference-rows");
    buf_puts(
        b, "<div class=\"wide\"><table id=\"difference-rows\"><thead><tr>"
           "<th scope=\"col\">line</th><th scope=\"col\">record</th><th scope=\"col\">gold</th>"
           "<th scope=\"col\">first</th><th scope=\"col\">second</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < c->differences; i++) {
        const struct difference *d = &c->difference[i];
        buf_printf(b, "<tr><td class=\"n\">%llu</td>", (unsigned long long)d->line);
        text_cell(b, d->text);
        cell(b, d->gold);
        cell(b, d->first);
        cell(b, d->second);
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, "</tbody></table></div>\n");
    page_section_end(b);
}
