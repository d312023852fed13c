/* sections.c - the figures of a report: summary, parameters, labels, groups. */
#include "report/sections.h"

#include <math.h>
#include <stdio.h>

/* [low, high], as score --bootstrap writes it; NaN where it is not there. */
static void read_range(struct str range, double *low, double *high)
{
    double *to[] = {low, high};
    struct str item;
    size_t i = 0;
    *low = *high = NAN;
    for (struct json_iter it = items(range); i < 2 && json_next(&it, NULL, &item); i++)
        *to[i] = number_in(item, "");
}

/* Nothing where there is no interval. */
static void interval(char *out, size_t n, struct str range)
{
    double low, high;
    read_range(range, &low, &high);
    if (isnan(low) || isnan(high))
        *out = 0;
    else
        snprintf(out, n, "95 %% between %.4f and %.4f", low, high);
}

static void tile(struct buf *b, struct str json, const char *name, const char *path,
                 const char *range)
{
    double v = number_in(json, path);
    char value[32], under[80] = "";
    if (isnan(v))
        return;
    snprintf(value, sizeof value, "%.4f", v);
    if (range)
        interval(under, sizeof under, in_json(json, range));
    page_tile(b, name, value, under);
}

static void count_tile(struct buf *b, const char *name, double n, const char *under)
{
    char value[32];
    snprintf(value, sizeof value, "%.0f", n);
    if (!isnan(n))
        page_tile(b, name, value, under);
}

/* The shards ran side by side: the slowest one's time is the run's. */
static void speed_tile(struct buf *b, const struct run *r)
{
    struct str shards = in_json(r->metrics, "shards"), shard;
    double records = 0, seconds = 0;
    char value[32], under[80];
    for (struct json_iter it = items(shards); json_next(&it, NULL, &shard);) {
        records += number_in(shard, "records");
        seconds = fmax(seconds, number_in(shard, "seconds_total"));
    }
    if (!(records > 0 && seconds > 0))
        return;
    snprintf(value, sizeof value, "%.1f", records / seconds);
    snprintf(under, sizeof under, "%.0f records in %.1f s", records, seconds);
    page_tile(b, "records a second", value, under);
}

void section_tiles(struct buf *b, const struct run *r)
{
    struct str s = r->score;
    if (!r->metrics.n)
        return;
    buf_puts(b, "<div class=\"tiles\">\n");
    count_tile(b, "records", number_in(s, "records"), "");
    tile(b, s, "accuracy", "wrong.accuracy", "intervals.wrong.accuracy");
    tile(b, s, "macro F1", "wrong.macro.f1", "intervals.wrong.macro_f1");
    tile(b, s, "AUROC", "probabilities.auroc", "intervals.auroc");
    tile(b, s, "ECE", "probabilities.ece", NULL);
    count_tile(b, "unparsed", number_in(s, "unparsed"), "answers that are none of the labels");
    count_tile(b, "errors", number_in(s, "errors"), "");
    speed_tile(b, r);
    buf_puts(b, "</div>\n");
}

void section_parameters(struct buf *b, const struct run *r)
{
    struct str key, value;
    if (!count_of(members(r->manifest)))
        return;
    page_section(b, "parameters", "Parameters", NULL);
    buf_puts(b, "<details><summary>What the answers depend on</summary>\n<div class=\"wide\">"
                "<table><tbody>\n");
    for (struct json_iter it = members(r->manifest); json_next(&it, &key, &value);) {
        struct buf name = {0};
        json_decode(&name, key);
        buf_puts(b, "<tr><th scope=\"row\">");
        page_text(b, buf_str(&name));
        buf_puts(b, "</th><td><code>");
        if (json_kind(value) == JSON_STRING) {
            buf_clear(&name);
            json_decode(&name, value);
            value = buf_str(&name);
        }
        page_text_cut(b, value, 400);
        buf_puts(b, "</code></td></tr>\n");
        buf_release(&name);
    }
    buf_puts(b, "</tbody></table></div></details>\n");
    page_section_end(b);
}

/* ---- labels --------------------------------------------------------------- */

/* A JSON string's text, cut. */
static void put_string(struct buf *b, struct str raw, size_t max)
{
    struct buf text = {0};
    json_decode(&text, raw);
    page_text_cut(b, buf_str(&text), max);
    buf_release(&text);
}

/* Begins a row with its head. */
static void row_head(struct buf *b, struct str key)
{
    buf_puts(b, "<tr><th scope=\"row\">");
    put_string(b, key, 80);
    buf_puts(b, "</th>");
}

static void ratio_cell(struct buf *b, double v)
{
    buf_puts(b, "<td class=\"n\">");
    page_ratio(b, v);
    buf_puts(b, "</td>");
}

static void count_cell(struct buf *b, double v)
{
    buf_printf(b, "<td class=\"n\">%.0f</td>", v);
}

static void label_table(struct buf *b, struct str labels)
{
    struct str key, value;
    buf_puts(
        b,
        "<div class=\"wide\"><table><thead><tr><th scope=\"col\">label</th>"
        "<th scope=\"col\" class=\"n\">precision</th><th scope=\"col\" class=\"n\">recall</th>"
        "<th scope=\"col\" class=\"n\">F1</th><th scope=\"col\" class=\"n\">gold</th>"
        "<th scope=\"col\" class=\"n\">answered</th></tr></thead><tbody>\n");
    for (struct json_iter it = members(labels); json_next(&it, &key, &value);) {
        row_head(b, key);
        ratio_cell(b, number_in(value, "precision"));
        ratio_cell(b, number_in(value, "recall"));
        ratio_cell(b, number_in(value, "f1"));
        count_cell(b, number_in(value, "support"));
        count_cell(b, number_in(value, "predicted"));
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, "</tbody></table></div>\n");
}

/* The i-th label's name; the last row and column are the unparsed answers. */
static void put_label(struct buf *b, struct str names, size_t i)
{
    struct str item;
    size_t k = 0;
    for (struct json_iter it = items(names); json_next(&it, NULL, &item); k++)
        if (k == i) {
            put_string(b, item, 40);
            return;
        }
    buf_puts(b, "<em>unparsed</em>");
}

enum { CONFUSION_MAX = 40 }; /* labels; a wider matrix is no picture any more */

static void confusion_table(struct buf *b, struct str matrix, struct str names)
{
    struct str row, cell;
    size_t width = count_of(items(matrix)), i = 0;
    if (width > CONFUSION_MAX) {
        buf_printf(b,
                   "<p class=\"about\">The confusion matrix has %zu labels; it is in "
                   "metrics.json.</p>\n",
                   width);
        return;
    }
    buf_puts(b, "<h3>Confusion: gold labels down, answers across</h3>\n"
                "<div class=\"wide\"><table class=\"confusion\"><thead><tr><td></td>");
    for (size_t k = 0; k < width; k++) {
        buf_puts(b, "<th scope=\"col\" class=\"n\">");
        put_label(b, names, k);
        buf_puts(b, "</th>");
    }
    buf_puts(b, "</tr></thead><tbody>\n");
    for (struct json_iter it = items(matrix); json_next(&it, NULL, &row); i++) {
        double sum = 0;
        for (struct json_iter jt = items(row); json_next(&jt, NULL, &cell);)
            sum += number_in(cell, "");
        if (i + 1 == width && sum == 0)
            break; /* no record's gold label is "unparsed" */
        buf_puts(b, "<tr><th scope=\"row\">");
        put_label(b, names, i);
        buf_puts(b, "</th>");
        for (struct json_iter jt = items(row); json_next(&jt, NULL, &cell);) {
            double n = number_in(cell, "");
            buf_printf(b, "<td class=\"n\" style=\"--a:%.2f\">%.0f</td>",
                       sum > 0 ? 0.45 * n / sum : 0, n);
        }
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, "</tbody></table></div>\n");
}

void section_labels(struct buf *b, const struct run *r)
{
    struct str labels = in_json(r->score, "wrong.per_label");
    if (!count_of(members(labels)))
        return;
    page_section(b, "labels", "Labels",
                 "An answer that is none of the labels counts as wrong.");
    label_table(b, labels);
    confusion_table(b, in_json(r->score, "wrong.confusion"), in_json(r->score, "labels"));
    page_section_end(b);
}

/* ---- groups --------------------------------------------------------------- */

enum { GROUPS_SHOWN = 40 };

/* Low and high of the group's interval; the names may have dots, so json_get() and no path. */
static void group_range(struct str score, struct str name, const char *figure,
                        struct range_row *row)
{
    struct str groups = in_json(score, "intervals.wrong.groups"), key, value;
    row->low = row->high = NAN;
    for (struct json_iter it = members(groups); json_next(&it, &key, &value);)
        if (str_eq(key, name))
            read_range(in_json(value, figure), &row->low, &row->high);
}

static void group_plot(struct buf *b, const struct run *r, struct str groups,
                       const char *figure, const char *title)
{
    struct range_row rows[GROUPS_SHOWN];
    struct buf names[GROUPS_SHOWN] = {0};
    struct str key, value;
    size_t n = 0;
    for (struct json_iter it = members(groups);
         n < GROUPS_SHOWN && json_next(&it, &key, &value); n++) {
        json_decode(&names[n], key);
        group_range(r->score, key, figure, &rows[n]);
        rows[n].name = buf_str(&names[n]);
        rows[n].at = number_in(value, figure);
    }
    buf_printf(b, "<div><h3>%s</h3>\n", title);
    plot_ranges(b, title, rows, n);
    buf_puts(b, "</div>\n");
    for (size_t i = 0; i < n; i++)
        buf_release(&names[i]);
}

void section_groups(struct buf *b, const struct run *r)
{
    struct str groups = in_json(r->score, "wrong.groups"), key, value;
    if (!count_of(members(groups)))
        return;
    page_section(
        b, "groups", "Groups",
        "Bars are 95 % intervals. Compare FPR with FPR and FNR with FNR, and look at n "
        "first.");
    buf_puts(b,
             "<div class=\"wide\"><table><thead><tr><th scope=\"col\">group</th>"
             "<th scope=\"col\" class=\"n\">n</th><th scope=\"col\" class=\"n\">accuracy</th>"
             "<th scope=\"col\" class=\"n\">FPR</th><th scope=\"col\" class=\"n\">FNR</th></tr>"
             "</thead><tbody>\n");
    for (struct json_iter it = members(groups); json_next(&it, &key, &value);) {
        row_head(b, key);
        count_cell(b, number_in(value, "n"));
        ratio_cell(b, number_in(value, "accuracy"));
        ratio_cell(b, number_in(value, "fpr"));
        ratio_cell(b, number_in(value, "fnr"));
        buf_puts(b, "</tr>\n");
    }
    buf_puts(b, "</tbody></table></div>\n<div class=\"plots\">\n");
    group_plot(b, r, groups, "accuracy", "Accuracy by group");
    group_plot(b, r, groups, "fpr", "False positive rate by group");
    group_plot(b, r, groups, "fnr", "False negative rate by group");
    buf_puts(b, "</div>\n");
    page_section_end(b);
}
