/* curves.c - the plots of a report: probabilities, throughput, training. */
#include "report/sections.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS_MAX = 2000, SERIES_MAX = 6 };

/* ---- probabilities -------------------------------------------------------- */

static void calibration_plot(struct buf *b, struct str bins)
{
    double x[64], y[64];
    struct str bin;
    size_t n = 0;
    for (struct json_iter it = items(bins); n < 64 && json_next(&it, NULL, &bin); n++) {
        x[n] = number_in(bin, "prob");
        y[n] = number_in(bin, "accuracy");
    }
    const struct series s = {"accuracy of the answers", x, y, n};
    plot_lines(b,
               &(struct plot){
                   .title = "Calibration",
                   .about = "Accuracy by the probability that the model gave its answer",
                   .x_name = "probability of the answer",
                   .y_name = "accuracy",
                   .x_max = 1,
                   .y_max = 1,
                   .diagonal = true,
                   .points = true,
               },
               &s, 1);
}

struct sweep {
    double threshold[128], precision[128], recall[128], f1[128], fpr[128];
    double right[128], wrong[128]; /* positive and other records between two thresholds */
    size_t n;
};

static void read_sweep(struct sweep *s, struct str sweep)
{
    struct str d;
    double tp_before = NAN, fp_before = NAN;
    for (struct json_iter it = items(sweep); s->n < 128 && json_next(&it, NULL, &d); s->n++) {
        double tp = number_in(d, "tp"), fp = number_in(d, "fp"), fn = number_in(d, "fn");
        s->threshold[s->n] = number_in(d, "threshold");
        s->precision[s->n] = tp / (tp + fp);
        s->recall[s->n] = tp / (tp + fn);
        s->f1[s->n] = 2 * tp / (2 * tp + fp + fn);
        s->fpr[s->n] = fp / (fp + number_in(d, "tn"));
        if (s->n) {
            s->right[s->n - 1] = tp_before - tp;
            s->wrong[s->n - 1] = fp_before - fp;
        }
        tp_before = tp;
        fp_before = fp;
    }
}

static void threshold_plot(struct buf *b, const struct sweep *s)
{
    const struct series lines[] = {
        {"precision", s->threshold, s->precision, s->n},
        {"recall", s->threshold, s->recall, s->n},
        {"F1", s->threshold, s->f1, s->n},
        {"FPR", s->threshold, s->fpr, s->n},
    };
    plot_lines(b,
               &(struct plot){
                   .title = "Thresholds",
                   .about = "Precision, recall, F1 and false positive rate by threshold",
                   .x_name = "threshold on the positive label's probability",
                   .y_name = "figure",
                   .x_max = 1,
                   .y_max = 1,
               },
               lines, 4);
}

static void score_histogram(struct buf *b, const struct sweep *s)
{
    enum { BARS = 20 };
    double right[BARS] = {0}, wrong[BARS] = {0}, most = 1;
    for (size_t i = 0; i + 1 < s->n; i++) {
        size_t at = i * BARS / (s->n - 1);
        right[at] += s->right[i];
        wrong[at] += s->wrong[i];
        most = fmax(most, fmax(right[at], wrong[at]));
    }
    const struct series bars[] = {
        {"gold label is positive", NULL, right, BARS},
        {"gold label is another", NULL, wrong, BARS},
    };
    plot_bars(b,
              &(struct plot){
                  .title = "Scores",
                  .about = "How many records have which probability of the positive label",
                  .x_name = "probability of the positive label",
                  .y_name = "records",
                  .x_max = 1,
                  .y_max = most,
              },
              bars, 2);
}

void section_probabilities(struct buf *b, const struct run *r)
{
    struct str bins = in_json(r->score, "probabilities.bins");
    struct str thresholds = in_json(r->score, "probabilities.sweep");
    if (!count_of(items(bins)))
        return;
    page_section(b, "probabilities", "Probabilities",
                 "A model that says 0.8 should be right 8 times of 10: on the dashed line.");
    buf_puts(b, "<div class=\"plots\">\n");
    calibration_plot(b, bins);
    if (count_of(items(thresholds))) {
        struct sweep *s = xcalloc(1, sizeof *s);
        read_sweep(s, thresholds);
        threshold_plot(b, s);
        score_histogram(b, s);
        free(s);
    }
    buf_puts(b, "</div>\n");
    page_section_end(b);
}

/* ---- throughput ----------------------------------------------------------- */

struct curve {
    double x[POINTS_MAX], y[POINTS_MAX];
    size_t n;
    char name[40];
};

/* Keeps every other point when full, so that the whole run stays in sight. */
static void curve_add(struct curve *c, double x, double y)
{
    if (c->n == POINTS_MAX) {
        for (size_t i = 0; i < POINTS_MAX / 2; i++) {
            c->x[i] = c->x[2 * i];
            c->y[i] = c->y[2 * i];
        }
        c->n = POINTS_MAX / 2;
    }
    c->x[c->n] = x;
    c->y[c->n++] = y;
}

static void put_curves(struct buf *b, struct plot p, const struct curve *c, size_t n)
{
    struct series s[SERIES_MAX];
    size_t some = 0;
    p.x_min = p.y_min = INFINITY;
    p.x_max = p.y_max = -INFINITY;
    for (size_t i = 0; i < n && some < SERIES_MAX; i++) {
        for (size_t k = 0; k < c[i].n; k++) {
            if (!isfinite(c[i].x[k]) || !isfinite(c[i].y[k]))
                continue;
            p.x_min = fmin(p.x_min, c[i].x[k]);
            p.x_max = fmax(p.x_max, c[i].x[k]);
            p.y_min = fmin(p.y_min, c[i].y[k]);
            p.y_max = fmax(p.y_max, c[i].y[k]);
        }
        if (c[i].n)
            s[some++] = (struct series){c[i].name, c[i].x, c[i].y, c[i].n};
    }
    if (!(p.x_max > p.x_min))
        return;
    p.y_min = fmin(p.y_min, 0);
    p.y_max = p.y_max > p.y_min ? p.y_max : p.y_min + 1;
    plot_lines(b, &p, s, some);
}

/* A shard's timeline: [[seconds, records answered so far], ...]. */
static void read_timeline(struct curve *c, struct str timeline)
{
    struct str point, item;
    double t_before = 0, n_before = 0;
    for (struct json_iter it = items(timeline); json_next(&it, NULL, &point);) {
        double v[2] = {NAN, NAN};
        size_t i = 0;
        for (struct json_iter jt = items(point); i < 2 && json_next(&jt, NULL, &item); i++)
            v[i] = number_in(item, "");
        if (v[0] > t_before)
            curve_add(c, v[0], (v[1] - n_before) / (v[0] - t_before));
        t_before = v[0];
        n_before = v[1];
    }
}

void section_time(struct buf *b, const struct run *r)
{
    struct str shards = in_json(r->metrics, "shards"), shard;
    size_t n = 0;
    if (!count_of(items(shards)))
        return;
    struct curve *c = xcalloc(SERIES_MAX, sizeof *c);
    page_section(b, "time", "Time", NULL);
    buf_puts(
        b,
        "<div class=\"wide\"><table><thead><tr><th scope=\"col\">shard</th>"
        "<th scope=\"col\">device</th><th scope=\"col\" class=\"n\">records</th>"
        "<th scope=\"col\" class=\"n\">seconds</th><th scope=\"col\" class=\"n\">a second</th>"
        "<th scope=\"col\" class=\"n\">prompt tokens</th>"
        "<th scope=\"col\" class=\"n\">of them cached</th>"
        "<th scope=\"col\" class=\"n\">generated</th></tr></thead><tbody>\n");
    for (struct json_iter it = items(shards); json_next(&it, NULL, &shard); n++) {
        struct buf device = {0};
        struct str timeline = in_json(shard, "timeline");
        buf_printf(b, "<tr><th scope=\"row\">%zu</th><td>", n);
        page_text(b, str_of(text_in(&device, shard, "device")));
        buf_printf(
            b,
            "</td><td class=\"n\">%.0f</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td>",
            number_in(shard, "records"), number_in(shard, "seconds_total"),
            number_in(shard, "records_per_second"));
        buf_printf(b,
                   "<td class=\"n\">%.0f</td><td class=\"n\">%.0f</td><td "
                   "class=\"n\">%.0f</td></tr>\n",
                   number_in(shard, "prompt_tokens"), number_in(shard, "cached_tokens"),
                   number_in(shard, "generated_tokens"));
        if (n < SERIES_MAX) {
            snprintf(c[n].name, sizeof c[n].name, "shard %zu", n);
            read_timeline(&c[n], timeline);
        }
        buf_release(&device);
    }
    buf_puts(b, "</tbody></table></div>\n");
    put_curves(b,
               (struct plot){.title = "Throughput",
                             .about = "Records a second over time, by shard",
                             .x_name = "seconds",
                             .y_name = "records a second"},
               c, n < SERIES_MAX ? n : SERIES_MAX);
    free(c);
    page_section_end(b);
}

/* ---- training ------------------------------------------------------------- */

static void training_plot(struct buf *b, const struct run *r, const char *title,
                          const char *const *figures, size_t n)
{
    struct curve *c = xcalloc(SERIES_MAX, sizeof *c);
    const char *p = r->steps_text.p, *end = p + r->steps_text.n;
    for (; p < end;) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        struct str line = {p, (size_t)((lf ? lf : end) - p)};
        if (line.n && json_check(line.p, line.n, NULL, &(struct json_fault){0}) == 0)
            for (size_t i = 0; i < n; i++) {
                double y = number_in(line, figures[i]);
                if (!isnan(y))
                    curve_add(&c[i], number_in(line, "step"), y);
            }
        p = lf ? lf + 1 : end;
    }
    for (size_t i = 0; i < n; i++)
        snprintf(c[i].name, sizeof c[i].name, "%s", figures[i]);
    put_curves(b,
               (struct plot){.title = title, .about = title, .x_name = "step", .y_name = title},
               c, n);
    free(c);
}

void section_training(struct buf *b, const struct run *r)
{
    static const char *const loss[] = {"loss", "eval_loss"}, *const lr[] = {"lr"},
                             *const norm[] = {"grad_norm"}, *const speed[] = {"tokens_per_s"},
                             *const accuracy[] = {"eval_accuracy"};
    if (!r->steps_text.n)
        return;
    page_section(b, "training", "Training", NULL);
    buf_puts(b, "<div class=\"plots\">\n");
    training_plot(b, r, "Loss", loss, 2);
    training_plot(b, r, "Accuracy on the evaluation records", accuracy, 1);
    training_plot(b, r, "Learning rate", lr, 1);
    training_plot(b, r, "Gradient norm", norm, 1);
    training_plot(b, r, "Tokens a second", speed, 1);
    buf_puts(b, "</div>\n");
    page_section_end(b);
}
