/* pool.c - a few threads that wait passively. */
#include "base/pool.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct pool {
    int threads;
    pthread_t *ids;
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    unsigned long job; /* counts the jobs, so that a sleeper knows a new one from an old */
    int working;       /* helpers that have not finished this job */
    int quit;
    void (*fn)(void *, int);
    void *arg;
    int pieces;
    atomic_int next;
};

static void run_pieces(struct pool *p)
{
    for (;;) {
        int i = atomic_fetch_add(&p->next, 1);
        if (i >= p->pieces)
            return;
        p->fn(p->arg, i);
    }
}

static void *helper(void *arg)
{
    struct pool *p = arg;
    unsigned long seen = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->job == seen && !p->quit)
            pthread_cond_wait(&p->start, &p->lock);
        if (p->quit)
            break;
        seen = p->job;
        pthread_mutex_unlock(&p->lock);
        run_pieces(p);
        pthread_mutex_lock(&p->lock);
        if (--p->working == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct pool *pool_new(int threads)
{
    struct pool *p = xcalloc(1, sizeof *p);
    p->threads = threads < 1 ? 1 : threads;
    p->ids = xcalloc((size_t)p->threads, sizeof *p->ids);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->done, NULL);
    /* Signals belong to the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < p->threads; i++) {
        errno = pthread_create(&p->ids[i], NULL, helper, p);
        if (errno)
            die(EXIT_OS, "start a thread:");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = 1;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->threads; i++)
        pthread_join(p->ids[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->start);
    pthread_cond_destroy(&p->done);
    free(p->ids);
    free(p);
}

int pool_threads(const struct pool *p)
{
    return p->threads;
}

void pool_run(struct pool *p, void (*fn)(void *, int), void *arg, int pieces)
{
    if (p->threads == 1 || pieces <= 1) {
        for (int i = 0; i < pieces; i++)
            fn(arg, i);
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->arg = arg;
    p->pieces = pieces;
    atomic_store(&p->next, 0);
    p->working = p->threads - 1;
    p->job++;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
    run_pieces(p);
    pthread_mutex_lock(&p->lock);
    while (p->working)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
