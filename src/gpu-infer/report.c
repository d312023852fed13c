/* report.c - what a run tells about itself: progress, summary, metrics. */
#include "gpu-infer/report.h"

#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const char *dtype_name(const struct engine *g)
{
    return g->dtype == DT_F32 ? "f32" : "bf16";
}

static volatile sig_atomic_t asked;

static void ask(int signal)
{
    (void)signal;
    asked = 1;
}

void report_begin(struct report *r, const struct engine *g, const struct options *o)
{
    *r = (struct report){.engine = g, .options = o, .began = now(), .timeline.step = 0.25};
    r->json = o->progress == PROGRESS_JSON;
    r->progress = o->progress != PROGRESS_AUTO || (isatty(2) && !o->quiet);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = ask, .sa_flags = SA_RESTART}, NULL);
}

void report_loaded(struct report *r)
{
    r->loaded = r->told = now();
}

static void timeline_add(struct timeline *l, double at, uint64_t records)
{
    if (l->n && at - l->at[l->n - 1] < l->step)
        return;
    if (l->n == TIMELINE_MAX) {
        for (size_t i = 0; i < TIMELINE_MAX / 2; i++) {
            l->at[i] = l->at[2 * i + 1];
            l->records[i] = l->records[2 * i + 1];
        }
        l->n = TIMELINE_MAX / 2;
        l->step *= 2;
    }
    l->at[l->n] = at;
    l->records[l->n++] = records;
}

static void tell_json(const struct report *r, const struct infer_stats *s, double t)
{
    double seconds = t - r->loaded;
    fprintf(stderr,
            "{\"tool\":\"%s\",\"records\":%llu,\"errors\":%llu,\"seconds\":%.3f,"
            "\"records_per_second\":%.1f,\"prompt_tokens\":%lld,\"generated_tokens\":%lld}\n",
            tool_name, (unsigned long long)r->records, (unsigned long long)r->errors,
            t - r->began, (double)r->records / seconds, (long long)s->prompt_tokens,
            (long long)s->generated_tokens);
}

static void tell_line(const struct report *r, const struct infer_stats *s, double t)
{
    double seconds = t - r->loaded;
    fprintf(stderr, "%s: %llu records, %llu errors, %.0f s, %.1f records/s, %.0f tokens/s",
            tool_name, (unsigned long long)r->records, (unsigned long long)r->errors,
            t - r->began, (double)r->records / seconds,
            (double)(s->prompt_tokens + s->generated_tokens) / seconds);
}

void report_progress(struct report *r)
{
    struct infer_stats s;
    double t = now();
    timeline_add(&r->timeline, t - r->began, r->records);
    bool due = r->progress && t - r->told >= 0.5;
    if (!due && !asked)
        return;
    infer_stats(r->engine->infer, &s);
    if (asked) {
        report_break(r);
        tell_line(r, &s, t);
        fputc('\n', stderr);
        asked = 0;
    }
    if (due) {
        r->told = t;
        r->line = !r->json;
        if (r->json) {
            tell_json(r, &s, t);
        } else {
            fputc('\r', stderr);
            tell_line(r, &s, t);
            fputc(' ', stderr);
        }
    }
    fflush(stderr);
}

void report_break(struct report *r)
{
    if (r->line)
        fputc('\n', stderr);
    r->line = false;
}

static double perplexity(const struct report *r)
{
    return exp(-r->scored_logprob / (double)r->scored_tokens);
}

static void summary(const struct report *r, const struct infer_stats *s, double seconds)
{
    char skipped[48] = "";
    if (r->skipped)
        snprintf(skipped, sizeof skipped, ", %llu answered before",
                 (unsigned long long)r->skipped);
    if (r->line)
        fputc('\n', stderr);
    if (r->scored_tokens)
        warn("%lld tokens scored, log-probability %.6g, perplexity %.6g",
             (long long)r->scored_tokens, r->scored_logprob, perplexity(r));
    warn("%llu record%s, %llu error%s%s, %lld prompt tokens, %lld cached, %lld computed, %lld "
         "generated, %.1f s, %.1f records/s, %s %s x%d",
         (unsigned long long)r->records, r->records == 1 ? "" : "s",
         (unsigned long long)r->errors, r->errors == 1 ? "" : "s", skipped,
         (long long)s->prompt_tokens, (long long)s->cached_tokens,
         (long long)s->computed_tokens, (long long)s->generated_tokens, seconds,
         (double)r->records / seconds, r->engine->device.name, dtype_name(r->engine),
         r->engine->device.threads);
}

/* [[seconds, records], ...] */
static json_t *timeline_json(const struct timeline *l)
{
    json_t *all = json_array();
    for (size_t i = 0; i < l->n; i++)
        json_array_append_new(all, json_pack("[f,I]", l->at[i], (json_int_t)l->records[i]));
    return all;
}

static int write_metrics(const struct report *r, const struct infer_stats *s, double seconds,
                         struct err *e)
{
    json_t *m = json_object();
    json_object_set_new(m, "version", json_string(VERSION));
    json_object_set_new(m, "records", json_integer((json_int_t)r->records));
    json_object_set_new(m, "errors", json_integer((json_int_t)r->errors));
    json_object_set_new(m, "answered_before", json_integer((json_int_t)r->skipped));
    json_object_set_new(m, "prompt_tokens", json_integer(s->prompt_tokens));
    json_object_set_new(m, "cached_tokens", json_integer(s->cached_tokens));
    json_object_set_new(m, "computed_tokens", json_integer(s->computed_tokens));
    json_object_set_new(m, "generated_tokens", json_integer(s->generated_tokens));
    if (r->scored_tokens) {
        json_object_set_new(m, "scored_tokens", json_integer(r->scored_tokens));
        json_object_set_new(m, "scored_logprob", json_real(r->scored_logprob));
        json_object_set_new(m, "perplexity", json_real(perplexity(r)));
    }
    json_object_set_new(m, "forwards", json_integer(s->forwards));
    json_object_set_new(m, "seconds_load", json_real(r->loaded - r->began));
    json_object_set_new(m, "seconds_total", json_real(seconds));
    json_object_set_new(m, "records_per_second", json_real((double)r->records / seconds));
    json_object_set_new(m, "device", json_string(r->engine->device.name));
    json_object_set_new(m, "dtype", json_string(dtype_name(r->engine)));
    json_object_set_new(m, "threads", json_integer(r->engine->device.threads));
    json_object_set_new(m, "timeline", timeline_json(&r->timeline));
    char *text = json_dumps(m, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    struct buf b = {0};
    buf_puts(&b, text);
    buf_putc(&b, '\n');
    int rc = file_write_atomic(r->options->metrics, buf_str(&b), e);
    buf_release(&b);
    free(text);
    json_decref(m);
    return rc;
}

int report_end(struct report *r, struct err *e)
{
    struct infer_stats s;
    double seconds = now() - r->began;
    infer_stats(r->engine->infer, &s);
    if (!r->options->quiet)
        summary(r, &s, seconds);
    return r->options->metrics ? write_metrics(r, &s, seconds, e) : 0;
}
