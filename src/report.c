/* report - what a run did, as one page for a browser. */
#include "base/args.h"
#include "base/file.h"
#include "report/sections.h"

#include <stdio.h>
#include <unistd.h>

static struct {
    const char *output, *text, *title;
} opt = {.text = "text"};

static const struct arg table[] = {
    {.kind = ARG_STRING,
     .letter = 'o',
     .name = "output",
     .to = &opt.output,
     .metavar = "FILE",
     .help = "write to FILE, which appears when whole",
     .fallback = "stdout"},
    {.kind = ARG_STRING,
     .name = "text",
     .to = &opt.text,
     .metavar = "FIELD",
     .help = "the member that shows a record to a reader"},
    {.kind = ARG_STRING,
     .name = "title",
     .to = &opt.title,
     .metavar = "TEXT",
     .help = "heading of the page",
     .fallback = "the folder's name"},
};

static const struct args args = {
    .usage = "[OPTION...] RUN [RUN]",
    .about = "Make one HTML page of a run's folder, or of two runs side by side.",
    .table = table,
    .n = ARGS_COUNT(table),
    .min_files = 1,
    .max_files = 2,
};

static void put_run(struct buf *b, const struct run *r)
{
    section_tiles(b, r);
    section_labels(b, r);
    section_groups(b, r);
    section_probabilities(b, r);
    section_training(b, r);
    section_mistakes(b, r);
    section_errors(b, r);
    section_time(b, r);
    section_parameters(b, r);
}

static void put_two(struct buf *b, const struct run *first, const struct run *second)
{
    struct err e = {0};
    struct comparison c;
    if (run_compare(&c, first, second, opt.text, &e) < 0)
        die_err(&e);
    section_versus(b, first, second, &c);
    comparison_release(&c);
}

int main(int argc, char **argv)
{
    tool_name = "report";
    char **dirs = args_parse(&args, argc, argv);
    static struct run runs[2];
    struct err e = {0};
    struct buf page = {0};
    struct out out;
    char title[512];
    int n = dirs[1] ? 2 : 1;
    for (int i = 0; i < n; i++)
        if (run_load(&runs[i], dirs[i], opt.text, &e) < 0)
            die_err(&e);
    snprintf(title, sizeof title, "%s%s%s", dirs[0], n == 2 ? " and " : "",
             n == 2 ? dirs[1] : "");
    page_open(&page, opt.title ? opt.title : title);
    if (n == 2)
        put_two(&page, &runs[0], &runs[1]);
    else
        put_run(&page, &runs[0]);
    page_close(&page);
    if (opt.output) {
        if (file_write_atomic(opt.output, buf_str(&page), &e) < 0)
            die_err(&e);
    } else {
        out_open(&out, STDOUT_FILENO, "<stdout>");
        if (out_write(&out, page.p, page.n, &e) < 0 || out_close(&out, &e) < 0)
            die_err(&e);
    }
    buf_release(&page);
    for (int i = 0; i < n; i++)
        run_release(&runs[i]);
    return EXIT_OK;
}
