/* metrics.c - what a training tells about itself: records on stdout, a line on stderr. */
#include "train-step/metrics.h"

#include "base/num.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

double metrics_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void metrics_begin(struct metrics *m, bool progress, bool quiet)
{
    *m = (struct metrics){.progress = progress || (isatty(2) && !quiet)};
    out_open(&m->out, 1, "<stdout>");
    m->began = m->told = m->step_began = metrics_now();
}

void metrics_release(struct metrics *m)
{
    buf_release(&m->record);
    buf_release(&m->timed);
    buf_release(&m->out.buf);
}

static void put(struct buf *b, const char *name, double v)
{
    buf_printf(b, ",\"%s\":", name);
    num_put_double(b, v);
}

struct str metrics_step(struct metrics *m, int64_t step, double epoch, double lr,
                        const struct step_result *r)
{
    struct buf *b = &m->record;
    buf_clear(b);
    buf_printf(b, "{\"step\":%lld", (long long)step);
    put(b, "epoch", epoch);
    put(b, "loss", r->loss);
    put(b, "lr", lr);
    put(b, "grad_norm", r->norm);
    buf_printf(b, ",\"tokens\":%lld}\n", (long long)r->tokens);
    return buf_str(b);
}

struct str metrics_eval(struct metrics *m, int64_t step, double epoch, double loss,
                        double accuracy, int64_t records, bool best)
{
    struct buf *b = &m->record;
    buf_clear(b);
    buf_printf(b, "{\"step\":%lld", (long long)step);
    put(b, "epoch", epoch);
    put(b, "eval_loss", loss);
    if (accuracy >= 0)
        put(b, "eval_accuracy", accuracy);
    buf_printf(b, ",\"eval_records\":%lld,\"best\":%s}\n", (long long)records,
               best ? "true" : "false");
    return buf_str(b);
}

int metrics_tell(struct metrics *m, const struct step_result *r, struct err *e)
{
    struct buf *b = &m->timed;
    double now = metrics_now(), seconds = now - m->step_began;
    buf_clear(b);
    buf_add(b, m->record.p, m->record.n - 2);
    if (r) {
        put(b, "tokens_per_s", seconds > 0 ? (double)r->tokens / seconds : 0);
        put(b, "seconds", seconds);
        m->here += r->tokens;
    }
    buf_puts(b, "}\n");
    m->step_began = now;
    metrics_break(m);
    if (out_write(&m->out, b->p, b->n, e) < 0)
        return -1;
    return out_flush(&m->out, e);
}

void metrics_progress(struct metrics *m, int64_t step, int64_t steps, double loss)
{
    double now = metrics_now();
    if (!m->progress || now - m->told < 0.5)
        return;
    m->told = now;
    m->line = true;
    fprintf(stderr, "\r%s: step %lld of %lld, loss %.4f, %.0f tokens/s, %.0f s ", tool_name,
            (long long)step, (long long)steps, loss, (double)m->here / (now - m->began),
            now - m->began);
    fflush(stderr);
}

void metrics_break(struct metrics *m)
{
    if (m->line && isatty(1))
        fputc('\n', stderr);
    m->line = m->line && !isatty(1);
}
