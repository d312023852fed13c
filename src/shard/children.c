/* children.c - the loop of --exec: processes, pipes, windows. */
#include "shard/children.h"

#include "base/outfile.h"
#include "shard/window.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    DEATHS_MAX = 3,       /* of one child, with no answer between them */
    ANSWER_MAX = 1 << 28, /* bytes of a line */
    GRACE_MS = 2000,      /* from the end of a child's output to its own */
    CHUNK = 1 << 16,
};

struct child {
    size_t shard;
    pid_t pid;         /* 0: none */
    int in, out;       /* our ends of its stdin and stdout; -1: closed */
    bool refused;      /* it closed its stdin */
    int64_t closed_at; /* when its output ended, in ms */
    int deaths;
    struct window window;
    size_t written; /* of the first record that is not whole in the pipe */
    struct buf got; /* a line that has begun */
    uint64_t lines;
};

struct crew {
    const struct children_options *opt;
    struct dealer *dealer;
    struct child *v;
    struct pollfd *poll;
    struct window again; /* records of children that died */
    struct out out;
    struct rec rec;
    bool input_ended;
};

/* Signals that end the run, and the children with it. */
static const int ends[] = {SIGTERM, SIGINT, SIGHUP};

/* Process groups that run, for those who end them: a handler of signals, and the exit. */
static volatile pid_t *groups;
static volatile size_t n_groups;

/* ---- processes ------------------------------------------------------------ */

static void end_groups(int sig)
{
    for (size_t i = 0; i < n_groups; i++)
        if (groups[i] > 0)
            kill(-groups[i], sig);
}

static void on_exit_end(void)
{
    end_groups(SIGTERM);
}

static void on_signal(int sig)
{
    end_groups(sig);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void handle(int sig, void (*handler)(int))
{
    struct sigaction a = {.sa_handler = handler};
    sigemptyset(&a.sa_mask);
    sigaction(sig, &a, NULL);
}

static bool is_handled(int sig)
{
    struct sigaction a;
    return sigaction(sig, NULL, &a) == 0 && a.sa_handler == on_signal;
}

/* A signal that is ignored stays so (nohup). */
static void handle_end(int sig)
{
    struct sigaction a;
    if (sigaction(sig, NULL, &a) == 0 && a.sa_handler != SIG_IGN)
        handle(sig, on_signal);
}

_Noreturn static void become_command(const struct children_options *opt, size_t shard, int in,
                                     int out, const sigset_t *before)
{
    char text[24];
    setpgid(0, 0);
    handle(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (is_handled(ends[i]))
            handle(ends[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, before, NULL);
    snprintf(text, sizeof text, "%zu", shard);
    setenv("SHARD", text, 1);
    snprintf(text, sizeof text, "%zu", opt->n);
    setenv("SHARDS", text, 1);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        execl("/bin/sh", "sh", "-c", opt->command, (char *)NULL);
    _exit(127);
}

static void start_child(struct crew *c, struct child *k)
{
    int in[2], out[2];
    sigset_t some, before;
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        die(EXIT_OS, "make a pipe for child %zu:", k->shard);
    /* A signal between fork and the note of the process would miss it. */
    sigemptyset(&some);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        sigaddset(&some, ends[i]);
    sigprocmask(SIG_BLOCK, &some, &before);
    pid_t pid = fork();
    if (pid == 0)
        become_command(c->opt, k->shard, in[0], out[1], &before);
    if (pid > 0) {
        setpgid(pid, pid);
        groups[k->shard] = pid;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        die(EXIT_OS, "start child %zu:", k->shard);
    close(in[0]);
    close(out[1]);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    k->pid = pid;
    k->in = in[1];
    k->out = out[0];
    k->refused = false;
    k->written = 0;
    k->lines = 0;
    buf_clear(&k->got);
}

static void close_in(struct child *k)
{
    if (k->in >= 0)
        close(k->in);
    k->in = -1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void put_status(struct buf *b, int status)
{
    if (WIFSIGNALED(status))
        buf_printf(b, "was ended by signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
    else
        buf_printf(b, "ended with status %d", WEXITSTATUS(status));
}

/* The reader went away: as quiet as without --exec. */
_Noreturn static void end_writing(const struct err *e)
{
    if (errno == EPIPE) {
        end_groups(SIGTERM);
        handle(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    die_err(e);
}

static void put(struct crew *c, struct str bytes)
{
    struct err e;
    if (out_write(&c->out, bytes.p, bytes.n, &e) < 0)
        end_writing(&e);
}

static void flush_answers(struct crew *c)
{
    struct err e;
    if (out_flush(&c->out, &e) < 0)
        end_writing(&e);
}

/* What is left of a child that is gone: its records are dealt again. */
static void bury(struct crew *c, struct child *k, int status)
{
    struct buf b = {0};
    size_t left = window_count(&k->window);
    put_status(&b, status);
    groups[k->shard] = 0;
    k->pid = 0;
    if (!left) {
        if (status)
            warn("child %zu %s; all its records are answered", k->shard, b.p);
        buf_release(&b);
        return;
    }
    if (++k->deaths > DEATHS_MAX) {
        flush_answers(c);
        die(EXIT_AGAIN, "child %zu %s, %d times with no answer between; %zu unanswered",
            k->shard, b.p, k->deaths, left);
    }
    warn("child %zu %s; %zu unanswered, dealt again", k->shard, b.p, left);
    window_move(&c->again, &k->window);
    buf_release(&b);
}

/* A child whose output has ended: waits for it, but not for long. */
static void reap(struct crew *c, struct child *k)
{
    int status;
    close_in(k);
    pid_t gone = waitpid(k->pid, &status, WNOHANG);
    if (gone == 0 && now_ms() - k->closed_at > GRACE_MS && window_count(&k->window))
        kill(-k->pid, SIGKILL);
    if (gone > 0)
        bury(c, k, status);
}

/* ---- records to children -------------------------------------------------- */

static void write_records(struct child *k)
{
    struct str line;
    while (k->in >= 0 && window_unsent(&k->window, &line)) {
        ssize_t n = write(k->in, line.p + k->written, line.n - k->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) { /* EPIPE: it reads no more; what it answers is still read */
            k->refused = true;
            close_in(k);
            return;
        }
        k->written += (size_t)n;
        if (k->written == line.n) {
            window_sent(&k->window);
            k->written = 0;
        }
    }
}

/* The child that gets the next record, or NULL. */
static struct child *idlest(const struct crew *c)
{
    struct child *best = NULL;
    for (size_t i = 0; i < c->opt->n; i++) {
        struct child *k = &c->v[i];
        bool can = !k->pid || (k->in >= 0 && k->out >= 0);
        if (can && window_count(&k->window) < (size_t)c->opt->window &&
            (!best || window_count(&k->window) < window_count(&best->window)))
            best = k;
    }
    return best;
}

/* Deals what there is to deal.  False, with *fd, where the input must be waited for. */
static bool deal_records(struct crew *c, int *fd)
{
    struct err e;
    struct child *k;
    *fd = -1;
    while ((k = idlest(c))) {
        if (window_count(&c->again)) {
            if (!k->pid)
                start_child(c, k);
            window_take(&k->window, &c->again);
            continue;
        }
        if (c->input_ended)
            return true;
        int come = dealer_come(c->dealer, fd, &e);
        if (come == 0)
            return false;
        int got = come < 0 ? -1 : dealer_next(c->dealer, &e);
        if (got < 0)
            die_err(&e);
        c->input_ended = got == 0;
        if (got == 1) {
            if (!k->pid)
                start_child(c, k);
            window_add(&k->window, c->dealer->now.seq, buf_str(&c->dealer->now.line));
        }
    }
    return true;
}

/* ---- answers -------------------------------------------------------------- */

/* False where the line is no answer to a record that the child has. */
static bool take_answer(struct crew *c, struct child *k, struct str line)
{
    uint64_t seq;
    c->rec.fault = NULL;
    c->rec.members.n = 0;
    c->rec.line = line;
    rec_parse(&c->rec);
    if (c->rec.fault || rec_index(&c->rec, "_seq", &seq) != 1 ||
        !window_answer(&k->window, seq))
        return false;
    k->deaths = 0;
    put(c, line);
    put(c, STR("\n"));
    return true;
}

static bool is_blank(struct str s)
{
    size_t i = 0;
    while (i < s.n && strchr(" \t\r", s.p[i]) && s.p[i])
        i++;
    return i == s.n;
}

static void take_line(struct crew *c, struct child *k, struct str line)
{
    uint64_t seq;
    k->lines++;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (is_blank(line) || take_answer(c, k, line))
        return;
    flush_answers(c);
    if (c->rec.fault)
        die(EXIT_DATA, "child %zu, line %" PRIu64 ": not a record: %s", k->shard, k->lines,
            c->rec.fault);
    if (rec_index(&c->rec, "_seq", &seq) != 1)
        die(EXIT_DATA,
            "child %zu, line %" PRIu64 ": a record without _seq; the command must keep it",
            k->shard, k->lines);
    die(EXIT_DATA,
        "child %zu, line %" PRIu64 ": _seq %" PRIu64 " is not one that it has to answer",
        k->shard, k->lines, seq);
}

static void take_lines(struct crew *c, struct child *k)
{
    size_t at = 0;
    const char *lf;
    while ((lf = memchr(k->got.p + at, '\n', k->got.n - at))) {
        size_t n = (size_t)(lf - k->got.p) - at;
        take_line(c, k, (struct str){k->got.p + at, n});
        at += n + 1;
    }
    memmove(k->got.p, k->got.p + at, k->got.n - at);
    k->got.n -= at;
    if (k->got.n > ANSWER_MAX)
        die(EXIT_DATA, "child %zu, line %" PRIu64 ": more than %d bytes", k->shard,
            k->lines + 1, ANSWER_MAX);
}

static void read_answers(struct crew *c, struct child *k)
{
    size_t before = k->got.n;
    buf_reserve(&k->got, CHUNK);
    ssize_t n = read(k->out, k->got.p + before, CHUNK);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n < 0)
        die(EXIT_IO, "read from child %zu:", k->shard);
    if (n > 0) {
        k->got.n += (size_t)n;
        if (memchr(k->got.p + before, '\n', (size_t)n) || k->got.n > ANSWER_MAX)
            take_lines(c, k);
        return;
    }
    /* A last line without a line end counts where it is whole; else its writer was cut off. */
    if (k->got.n)
        take_answer(c, k, buf_str(&k->got));
    close(k->out);
    k->out = -1;
    k->closed_at = now_ms();
}

/* ---- the loop ------------------------------------------------------------- */

/* What each child's two descriptors are waited for; the input's is the last. */
static bool wait_for(struct crew *c, int input)
{
    struct str line;
    bool any = false, ending = false;
    size_t n = c->opt->n;
    for (size_t i = 0; i < n; i++) {
        struct child *k = &c->v[i];
        bool unsent = k->in >= 0 && window_unsent(&k->window, &line);
        c->poll[2 * i] = (struct pollfd){.fd = unsent ? k->in : -1, .events = POLLOUT};
        c->poll[2 * i + 1] = (struct pollfd){.fd = k->pid ? k->out : -1, .events = POLLIN};
        any |= k->pid != 0;
        ending |= k->pid && k->out < 0;
    }
    c->poll[2 * n] = (struct pollfd){.fd = input, .events = POLLIN};
    if (!any && input < 0)
        return false;
    while (poll(c->poll, 2 * n + 1, ending ? 5 : -1) < 0)
        if (errno != EINTR)
            die(EXIT_OS, "poll:");
    return true;
}

static void serve(struct crew *c)
{
    for (size_t i = 0; i < c->opt->n; i++) {
        struct child *k = &c->v[i];
        if (c->poll[2 * i].revents)
            write_records(k);
        if (c->poll[2 * i + 1].revents)
            read_answers(c, k);
        if (k->pid && k->out < 0)
            reap(c, k);
    }
    flush_answers(c);
}

/* Where nothing is left to deal, the children learn it; whose records must be dealt again then
 * finds that a new one is started for them. */
static void end_inputs(struct crew *c)
{
    struct str line;
    if (!c->input_ended || window_count(&c->again))
        return;
    for (size_t i = 0; i < c->opt->n; i++)
        if (!window_unsent(&c->v[i].window, &line))
            close_in(&c->v[i]);
}

static void open_crew(struct crew *c, const struct children_options *opt)
{
    c->v = xcalloc(opt->n, sizeof *c->v);
    c->poll = xcalloc(2 * opt->n + 1, sizeof *c->poll);
    groups = xcalloc(opt->n, sizeof *groups);
    n_groups = opt->n;
    out_open(&c->out, STDOUT_FILENO, "<stdout>");
    c->rec.file = "<child>";
    for (size_t i = 0; i < opt->n; i++)
        c->v[i] = (struct child){.shard = i, .in = -1, .out = -1};
    allow_many_files();
    atexit(on_exit_end);
    handle(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        handle_end(ends[i]);
    for (size_t i = 0; i < opt->n; i++)
        start_child(c, &c->v[i]);
}

static void close_crew(struct crew *c)
{
    struct err e;
    if (out_close(&c->out, &e) < 0)
        die_err(&e);
    for (size_t i = 0; i < c->opt->n; i++) {
        window_release(&c->v[i].window);
        buf_release(&c->v[i].got);
    }
    window_release(&c->again);
    rec_release(&c->rec);
    free(c->v);
    free(c->poll);
}

int children_run(const struct children_options *opt, struct dealer *d)
{
    struct crew c = {.opt = opt, .dealer = d};
    int input;
    open_crew(&c, opt);
    do {
        deal_records(&c, &input);
        for (size_t i = 0; i < opt->n; i++)
            write_records(&c.v[i]);
        end_inputs(&c);
        if (!wait_for(&c, input))
            break;
        serve(&c);
    } while (true);
    close_crew(&c);
    return EXIT_OK;
}
