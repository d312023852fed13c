/* ring.c - the records in flight, in the order of the input. */
#include "gpu-infer/ring.h"

#include <pthread.h>
#include <stdlib.h>

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t came, left;
    struct task **slots;
    size_t cap, max_bytes;
    size_t first, next, last; /* counts: freed, taken and pushed so far */
    size_t bytes;
    size_t *sizes; /* what each slot counted for when it was pushed */
    bool ended;
    struct err why;
};

struct ring *ring_new(size_t max_tasks, size_t max_bytes)
{
    struct ring *r = xcalloc(1, sizeof *r);
    r->slots = xcalloc(max_tasks, sizeof(struct task *));
    r->sizes = xcalloc(max_tasks, sizeof *r->sizes);
    r->cap = max_tasks;
    r->max_bytes = max_bytes;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->came, NULL);
    pthread_cond_init(&r->left, NULL);
    return r;
}

void ring_free(struct ring *r)
{
    for (; r->first < r->last; r->first++)
        task_free(r->slots[r->first % r->cap]);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->came);
    pthread_cond_destroy(&r->left);
    free(r->slots);
    free(r->sizes);
    free(r);
}

void ring_push(struct ring *r, struct task *t)
{
    size_t size = task_size(t);
    pthread_mutex_lock(&r->lock);
    while (r->last > r->first &&
           (r->last - r->first == r->cap || r->bytes + size > r->max_bytes))
        pthread_cond_wait(&r->left, &r->lock);
    r->slots[r->last % r->cap] = t;
    r->sizes[r->last++ % r->cap] = size;
    r->bytes += size;
    pthread_cond_signal(&r->came);
    pthread_mutex_unlock(&r->lock);
}

void ring_end(struct ring *r, const struct err *why)
{
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    if (why)
        r->why = *why;
    pthread_cond_signal(&r->came);
    pthread_mutex_unlock(&r->lock);
}

struct task *ring_take(struct ring *r, bool wait)
{
    pthread_mutex_lock(&r->lock);
    while (wait && r->next == r->last && !r->ended)
        pthread_cond_wait(&r->came, &r->lock);
    struct task *t = r->next < r->last ? r->slots[r->next++ % r->cap] : NULL;
    pthread_mutex_unlock(&r->lock);
    return t;
}

struct task *ring_first(struct ring *r)
{
    pthread_mutex_lock(&r->lock);
    struct task *t = r->first < r->next ? r->slots[r->first % r->cap] : NULL;
    pthread_mutex_unlock(&r->lock);
    return t;
}

void ring_pop(struct ring *r)
{
    pthread_mutex_lock(&r->lock);
    struct task *t = r->slots[r->first % r->cap];
    r->bytes -= r->sizes[r->first++ % r->cap];
    pthread_cond_signal(&r->left);
    pthread_mutex_unlock(&r->lock);
    task_free(t);
}

bool ring_ended(struct ring *r, struct err *why)
{
    pthread_mutex_lock(&r->lock);
    bool ended = r->ended && r->next == r->last;
    if (ended)
        *why = r->why;
    pthread_mutex_unlock(&r->lock);
    return ended;
}
