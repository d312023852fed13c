/* gpu-infer.c - answers records with a language model.
 *
 * Three steps are in flight at once: a thread reads records and makes questions of them, this
 * one runs the model over as many as fit, and writes each answer when its turn comes.
 */
#include "base/file.h"
#include "ckpt/runkey.h"
#include "gpu-infer/answer.h"
#include "gpu-infer/engine.h"
#include "gpu-infer/guide.h"
#include "gpu-infer/key.h"
#include "gpu-infer/prepare.h"
#include "gpu-infer/report.h"
#include "gpu-infer/resume.h"
#include "gpu-infer/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RING_BYTES = 64 << 20, RING_PER_REQUEST = 4 };

struct run {
    struct options o;
    char **files;
    struct engine engine;
    struct answers answers; /* with -o */
    struct prepare prepare; /* the reader's */
    struct ring *ring;
    struct task *asking;         /* more of its samples are to be asked */
    struct tokenizer_work *work; /* the writer's */
    struct out out;
    struct report report;
};

/* ---- reading --------------------------------------------------------------------- */

static int read_file(struct run *r, const char *path, struct err *e)
{
    struct rec rec = {0};
    int fd = file_open_input(path, e), got, rc = 0;
    if (fd < 0)
        return -1;
    struct rec_reader *in = rec_reader_new(fd, file_label(path), (size_t)r->o.max_record);
    while (rc == 0 && (got = rec_read(in, &rec, e)) != 0) {
        struct task *t = got > 0 ? prepare_record(&r->prepare, &rec, &rc, e) : NULL;
        if (t)
            ring_push(r->ring, t);
        if (got < 0)
            rc = -1;
    }
    rec_release(&rec);
    rec_reader_free(in);
    if (fd)
        close(fd);
    return rc;
}

static void *reader(void *arg)
{
    struct run *r = arg;
    struct err e = {0};
    char dash[] = "-", *standard_input[] = {dash, NULL};
    int rc = 0;
    for (char **f = *r->files ? r->files : standard_input; *f && rc == 0; f++)
        rc = read_file(r, *f, &e);
    ring_end(r->ring, rc < 0 ? &e : NULL);
    return NULL;
}

/* ---- writing --------------------------------------------------------------------- */

/* Writes every answer whose turn has come, and hands it on at once. */
static void write_ready(struct run *r)
{
    struct err e = {0};
    struct task *t;
    while ((t = ring_first(r->ring)) && t->ready) {
        if (t->error.status && r->o.strict) {
            e = t->error;
            if (out_flush(&r->out, &t->error) < 0)
                die_err(&t->error);
            report_break(&r->report);
            die_err(&e);
        }
        if (out_write(&r->out, t->out.p, t->out.n, &e) < 0)
            die_err(&e);
        r->report.records++;
        r->report.errors += t->error.status || t->passed_on;
        ring_pop(r->ring);
    }
    if (out_flush(&r->out, &e) < 0)
        die_err(&e);
    report_progress(&r->report);
}

/* Ends the run, with what was answered before in the file. */
static _Noreturn void stop(struct run *r, const struct err *why)
{
    write_ready(r);
    report_break(&r->report);
    die_err(why);
}

/* ---- answering -------------------------------------------------------------------- */

static void done(void *arg, const struct infer_request *q, const struct infer_answer *a)
{
    struct run *r = arg;
    const struct task *t = q->owner;
    guide_free(q->guide_state);
    if (t->scored && a->finish == INFER_CHOICE) {
        r->report.scored_logprob += a->choice_logprobs[0];
        r->report.scored_tokens += t->choices[0].n;
    }
    answer_write(q, &r->engine, r->work, a);
}

/* Asks for one more sample of the task. */
static void ask(struct run *r, struct task *t)
{
    const struct params *p = &t->params;
    struct err e = {0};
    struct guide *guide = guide_new(t, &r->engine, r->work);
    struct infer_request q = {
        .prompt = t->prompt.v,
        .n_prompt = (int32_t)t->prompt.n,
        .adapter = t->adapter,
        .max_tokens = (int32_t)p->max_tokens,
        .temperature = p->temperature,
        .top_p = p->top_p,
        .top_k = (int32_t)p->top_k,
        .min_p = p->min_p,
        .repetition_penalty = p->repetition_penalty == 1 ? 0 : p->repetition_penalty,
        .frequency_penalty = p->frequency_penalty,
        .presence_penalty = p->presence_penalty,
        .bias = p->bias ? p->bias->v : NULL,
        .n_bias = p->bias ? (int32_t)p->bias->n : 0,
        .logprobs = p->logprobs,
        .top_logprobs = (int32_t)p->top_logprobs,
        .guide = guide ? guide_calls(guide) : NULL,
        .guide_state = guide,
        .seed = (uint64_t)p->seed,
        .source = t->source,
        .repetition = t->repetition,
        .sample = (uint64_t)t->asked++,
        .stop = t->stop.v,
        .n_stop = (int32_t)t->stop.n,
        .choices = t->choices,
        .n_choices = (int32_t)t->n_choices,
        .choices_mean = r->o.choices_mean,
        .prompt_logprobs = p->prompt_logprobs && t->asked == 1,
        .owner = t,
    };
    if (infer_add(r->engine.infer, &q, &e) < 0) {
        guide_free(guide);
        t->asked--;
        answer_refuse(t, "context_length", &e);
    }
}

/* The task to ask next: the one whose samples were not all asked yet, else a new one. */
static struct task *next_task(struct run *r)
{
    if (!r->asking)
        r->asking = ring_take(r->ring, infer_in_flight(r->engine.infer) == 0);
    return r->asking;
}

/* Takes what is there, never waiting for more while something is in flight. */
static void answer_all(struct run *r)
{
    struct infer *f = r->engine.infer;
    struct err e = {0};
    for (;;) {
        struct task *t;
        while (infer_has_room(f) && (t = next_task(r))) {
            bool asks = !t->ready && !t->refused;
            if (asks)
                ask(r, t);
            if (!asks || t->refused || t->asked == t->params.n)
                r->asking = NULL;
            write_ready(r);
        }
        if (!infer_in_flight(f))
            break;
        if (infer_step(f, done, r, &e) < 0)
            stop(r, &e);
        write_ready(r);
    }
    if (ring_ended(r->ring, &e) && e.status)
        stop(r, &e);
}

/* ---- beginning and end -------------------------------------------------------------- */

/* Told now rather than after minutes of loading. */
static void check_inputs(char **files)
{
    for (; *files; files++)
        if (strcmp(*files, "-") && access(*files, R_OK) < 0)
            die(EXIT_NOINPUT, "open %s:", *files);
}

static _Noreturn void print_key(const struct run *r)
{
    char *key = key_text(&r->engine, &r->o);
    puts(key);
    if (fflush(stdout))
        die(EXIT_IO, "write <stdout>:");
    exit(EXIT_OK);
}

static void open_all(struct run *r)
{
    struct err e = {0};
    check_inputs(r->files);
    char *key_name = r->o.output ? answers_key_name(r->o.output) : NULL;
    char *date = key_name ? runkey_date(key_name) : NULL;
    if (engine_open(&r->engine, &r->o, date, &e) < 0)
        die_err(&e);
    free(key_name);
    free(date);
    if (r->o.print_key)
        print_key(r);
    if (r->o.output) {
        char *key = key_text(&r->engine, &r->o);
        if (answers_open(&r->answers, r->o.output, key, &e) < 0)
            die_err(&e);
        free(key);
        out_open(&r->out, r->answers.fd, r->answers.part);
    } else if (r->o.special) {
        out_open(&r->out, open(r->o.special, O_WRONLY | O_APPEND | O_CLOEXEC), r->o.special);
        if (r->out.fd < 0)
            die(EXIT_IO, "open %s:", r->o.special);
    } else {
        out_open(&r->out, 1, "<stdout>");
    }
    if (engine_load(&r->engine, &r->o, &e) < 0)
        die_err(&e);
    report_loaded(&r->report);
}

static void start_reader(struct run *r, pthread_t *thread)
{
    r->prepare = (struct prepare){.engine = &r->engine, .options = &r->o};
    if (r->o.output)
        r->prepare.answers = &r->answers;
    if (r->engine.tokenizer) {
        r->prepare.work = tokenizer_work_new(r->engine.tokenizer);
        r->work = tokenizer_work_new(r->engine.tokenizer);
    }
    prepare_begin(&r->prepare);
    r->ring = ring_new((size_t)r->o.max_requests * RING_PER_REQUEST, RING_BYTES);
    errno = pthread_create(thread, NULL, reader, r);
    if (errno)
        die(EXIT_OS, "start a thread:");
}

static void close_output(struct run *r)
{
    struct err e = {0};
    if (r->o.output ? answers_commit(&r->answers, &e) < 0 : out_close(&r->out, &e) < 0)
        die_err(&e);
}

static void release(struct run *r)
{
    tokenizer_work_free(r->work);
    ring_free(r->ring);
    prepare_release(&r->prepare);
    buf_release(&r->out.buf);
    answers_release(&r->answers);
    engine_close(&r->engine);
    free(r->o.template_args.items);
    free(r->o.adapters.items);
    free(r->o.stop.items);
}

int main(int argc, char **argv)
{
    tool_name = "gpu-infer";
    struct run r = {.answers.fd = -1};
    struct err e = {0};
    pthread_t thread;
    r.files = options_parse(&r.o, argc, argv);
    report_begin(&r.report, &r.engine, &r.o);
    open_all(&r);
    start_reader(&r, &thread);
    answer_all(&r);
    pthread_join(thread, NULL);
    close_output(&r);
    r.report.skipped = r.prepare.skipped;
    if (report_end(&r.report, &e) < 0)
        die_err(&e);
    release(&r);
    return EXIT_OK;
}
