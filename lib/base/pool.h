/* pool.h - a few threads that wait passively and run numbered pieces of one job.
 *
 * The pieces must not depend on who runs them: results may never change with the number of
 * threads.  Waiting is on a condition variable, since a spinning pool collapses on a shared
 * machine.  With one thread the caller runs everything itself and no thread is made.
 */
#ifndef POOL_H
#define POOL_H

struct pool;

struct pool *pool_new(int threads); /* threads >= 1, the caller included */
void pool_free(struct pool *p);
int pool_threads(const struct pool *p);
/* Calls fn(arg, i) for i = 0..pieces-1, each once; returns when all are done. */
void pool_run(struct pool *p, void (*fn)(void *arg, int i), void *arg, int pieces);

#endif
