/* heartbeat.c - ranks that watch each other, beside whatever they wait for. */
#include "train/heartbeat.h"

#include "base/hash.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TICK = 200, RANKS_MAX = 1 << 16 }; /* milliseconds */

/* What goes over the wire. */
enum { ALIVE, LEAVING, ENDS };
struct beat {
    uint64_t job;
    uint32_t rank, what;
};

struct peer {
    struct sockaddr_storage at;
    socklen_t n;
    bool seen, left;
    double last; /* when it was seen */
};

struct heartbeat {
    uint64_t job;
    int rank, size, socket;
    bool local; /* all ranks are of this host */
    struct peer *peers;
    double begun, woken, leaving; /* leaving: 0, or when it was */
    bool started, stop, running;
    pthread_mutex_t lock;
    pthread_t thread;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- who and where ------------------------------------------------------------------ */

static int env_int(const char *const *names, int fallback)
{
    for (; *names; names++) {
        const char *s = getenv(*names);
        if (s && *s)
            return atoi(s);
    }
    return fallback;
}

/* One number for all ranks of this start, and for no other. */
static uint64_t job_id(void)
{
    static const char *const names[] = {"PMIX_NAMESPACE",   "PMIX_SERVER_URI2",
                                        "PMIX_SERVER_URI3", "PMIX_SERVER_URI4",
                                        "SLURM_JOB_ID",     "SLURM_STEP_ID"};
    uint64_t h = HASH_SEED;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *s = getenv(names[i]);
        if (s)
            h = hash_bytes(h, s, strlen(s));
    }
    return h;
}

/* A name in the kernel's own space, which goes with the process. */
static socklen_t local_name(const struct heartbeat *h, int rank, struct sockaddr_storage *out)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "millrace-%016llx-%d",
                     (unsigned long long)h->job, rank);
    memset(out, 0, sizeof *out);
    memcpy(out, &a, sizeof a);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int open_local(struct heartbeat *h, struct err *e)
{
    for (int r = 0; r < h->size; r++)
        h->peers[r].n = local_name(h, r, &h->peers[r].at);
    h->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct peer *me = &h->peers[h->rank];
    if (h->socket < 0 || bind(h->socket, (const struct sockaddr *)&me->at, me->n) < 0)
        return err_set(e, EXIT_OS, "open the heartbeat's socket:");
    return 0;
}

int heartbeat_open_network(struct heartbeat *h, struct heartbeat_address *mine, struct err *e)
{
    char host[256] = "";
    struct addrinfo hint = {.ai_family = AF_INET6, .ai_flags = AI_V4MAPPED}, *found = NULL;
    struct sockaddr_in6 a = {.sin6_family = AF_INET6};
    socklen_t n = sizeof a;
    int off = 0;
    *mine = (struct heartbeat_address){.at = {.sin6_family = AF_INET6}};
    gethostname(host, sizeof host - 1);
    if (getaddrinfo(host, NULL, &hint, &found) || !found)
        return err_set(e, EXIT_OS, "the address of host %s is not known to it", host);
    memcpy(&mine->at, found->ai_addr, sizeof mine->at);
    freeaddrinfo(found);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ||
        bind(fd, (struct sockaddr *)&a, n) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return err_set(e, EXIT_OS, "open the heartbeat's socket:");
    mine->at.sin6_port = a.sin6_port;
    pthread_mutex_lock(&h->lock);
    if (h->socket >= 0)
        close(h->socket);
    h->socket = fd;
    pthread_mutex_unlock(&h->lock);
    return 0;
}

void heartbeat_use_network(struct heartbeat *h, const struct heartbeat_address *all)
{
    pthread_mutex_lock(&h->lock);
    for (int r = 0; r < h->size; r++) {
        struct peer *p = &h->peers[r];
        memcpy(&p->at, &all[r].at, sizeof all[r].at);
        p->n = sizeof all[r].at;
        p->last = now();
    }
    h->begun = now();
    h->local = true; /* from now on everybody can be heard */
    pthread_mutex_unlock(&h->lock);
}

/* ---- the end ------------------------------------------------------------------------- */

static void tell(struct heartbeat *h, uint32_t what)
{
    const struct beat b = {h->job, (uint32_t)h->rank, what};
    for (int r = 0; r < h->size && h->local; r++)
        if (r != h->rank && !h->peers[r].left)
            sendto(h->socket, &b, sizeof b, MSG_NOSIGNAL, (struct sockaddr *)&h->peers[r].at,
                   h->peers[r].n);
}

/* Whatever the other threads wait for, they will not get it. */
static _Noreturn void end(struct heartbeat *h, const char *why, int rank)
{
    tell(h, ENDS);
    if (rank >= 0)
        warn("rank %d: rank %d %s; the same command goes on from the last checkpoint", h->rank,
             rank, why);
    else if (why)
        warn("rank %d: %s; the same command goes on from the last checkpoint", h->rank, why);
    _exit(EXIT_AGAIN);
}

/* ---- the thread ------------------------------------------------------------------------ */

static void listen_all(struct heartbeat *h)
{
    struct beat b;
    while (recv(h->socket, &b, sizeof b, 0) == (ssize_t)sizeof b) {
        if (b.job != h->job || b.rank >= (uint32_t)h->size)
            continue;
        struct peer *p = &h->peers[b.rank];
        p->seen = true;
        p->last = h->woken;
        if (b.what == LEAVING)
            p->left = true;
        else if (b.what == ENDS && !h->leaving)
            end(h, NULL, -1);
    }
}

/* A peer of this host whose socket is gone has died; it takes no silence to know that. */
static void call(struct heartbeat *h, int r)
{
    const struct beat b = {h->job, (uint32_t)h->rank, h->leaving ? LEAVING : ALIVE};
    struct peer *p = &h->peers[r];
    if (sendto(h->socket, &b, sizeof b, MSG_NOSIGNAL, (struct sockaddr *)&p->at, p->n) >= 0 ||
        errno != ECONNREFUSED || !p->seen || p->left || h->leaving)
        return;
    listen_all(h); /* it may have said good-bye */
    if (!p->left)
        end(h, "has died", r);
}

static void check(struct heartbeat *h, int r)
{
    const struct peer *p = &h->peers[r];
    if (p->left || h->leaving)
        return;
    if (h->woken - (p->seen ? p->last : h->begun) > HEARTBEAT_SILENCE)
        end(h, p->seen ? "does not answer" : "has not started", r);
}

static void beat(struct heartbeat *h)
{
    double before = h->woken;
    h->woken = now();
    /* Where all of us were stopped, or starved, nobody can be told from us. */
    bool slept = h->woken - before > 1;
    for (int r = 0; slept && r < h->size; r++)
        h->peers[r].last = h->woken;
    if (slept)
        h->begun = h->woken;
    if (h->local) {
        listen_all(h);
        for (int r = 0; r < h->size; r++) {
            if (r == h->rank)
                continue;
            call(h, r);
            check(h, r);
        }
    } else if (!h->started && h->woken - h->begun > HEARTBEAT_START) {
        end(h, "not all ranks have started", -1);
    }
    if (h->leaving && h->woken - h->leaving > HEARTBEAT_SILENCE)
        end(h, "MPI does not end", -1);
}

/* Listens until it is time for the next beat: a socket holds few signs of life. */
static void *run(void *arg)
{
    struct heartbeat *h = arg;
    double next = 0;
    for (;;) {
        pthread_mutex_lock(&h->lock);
        bool stop = h->stop, due = now() >= next;
        if (!stop && due)
            beat(h);
        else if (!stop && h->local)
            listen_all(h);
        if (due)
            next = h->woken + 0.001 * TICK;
        struct pollfd wait = {.fd = h->socket, .events = POLLIN};
        pthread_mutex_unlock(&h->lock);
        if (stop)
            return NULL;
        double left = next - now();
        poll(&wait, 1, left > 0 ? 1 + (int)(1000 * left) : 0);
    }
}

struct heartbeat *heartbeat_start(struct err *e)
{
    static const char *const rank[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID",
                                       NULL};
    static const char *const size[] = {"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", NULL};
    static const char *const here[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", NULL};
    struct heartbeat *h = xcalloc(1, sizeof *h);
    h->rank = env_int(rank, 0);
    h->size = env_int(size, 1);
    h->socket = -1;
    h->job = job_id();
    h->local = env_int(here, 0) == h->size;
    h->begun = h->woken = now();
    if (h->size < 1 || h->size > RANKS_MAX || h->rank < 0 || h->rank >= h->size) {
        err_set(e, EXIT_USAGE, "the launcher says that this is rank %d of %d", h->rank,
                h->size);
        free(h);
        return NULL;
    }
    h->peers = xcalloc((size_t)h->size, sizeof *h->peers);
    pthread_mutex_init(&h->lock, NULL);
    if (h->local && open_local(h, e) < 0) {
        heartbeat_stop(h);
        return NULL;
    }
    errno = pthread_create(&h->thread, NULL, run, h);
    if (errno) {
        err_set(e, EXIT_OS, "start a thread:");
        heartbeat_stop(h);
        return NULL;
    }
    h->running = true;
    return h;
}

void heartbeat_started(struct heartbeat *h)
{
    pthread_mutex_lock(&h->lock);
    h->started = true;
    pthread_mutex_unlock(&h->lock);
}

void heartbeat_leave(struct heartbeat *h)
{
    pthread_mutex_lock(&h->lock);
    h->leaving = now();
    tell(h, LEAVING);
    pthread_mutex_unlock(&h->lock);
}

void heartbeat_stop(struct heartbeat *h)
{
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_mutex_unlock(&h->lock);
    if (h->running)
        pthread_join(h->thread, NULL);
    if (h->socket >= 0)
        close(h->socket);
    pthread_mutex_destroy(&h->lock);
    free(h->peers);
    free(h);
}
