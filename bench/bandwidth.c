/* bandwidth.c - how fast this machine reads memory: `bandwidth THREADS` prints GB/s.
 *
 * Each thread adds up its own part of 1 GiB, far more than any cache holds; the best of several
 * rounds counts, since another process can only make a round slower.
 */
#include "base/args.h"
#include "base/error.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

enum { BYTES = 1 << 30, ROUNDS = 5, THREADS_MAX = 1024 };

static uint64_t *memory;
static pthread_barrier_t together;
static int64_t threads = 1;

static void *reader(void *arg)
{
    size_t n = BYTES / sizeof *memory / (size_t)threads;
    uint64_t *p = memory + n * (size_t)(uintptr_t)arg, sum = 0;
    for (size_t i = 0; i < n; i++)
        p[i] = i;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&together);
        for (size_t i = 0; i < n; i++)
            sum += p[i];
        pthread_barrier_wait(&together);
    }
    return (void *)(uintptr_t)sum; /* used, so that the loop stays */
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    static pthread_t id[THREADS_MAX];
    double best = 0;
    tool_name = "bandwidth";
    if (argc > 1 && (!parse_int(argv[1], &threads) || threads < 1 || threads > THREADS_MAX))
        die(EXIT_USAGE, "'%s' is not a number of threads", argv[1]);
    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die(EXIT_OS, "no memory for 1 GiB");
    madvise(memory, BYTES, MADV_HUGEPAGE);
    pthread_barrier_init(&together, NULL, (unsigned)threads + 1);
    for (int64_t i = 0; i < threads; i++)
        if (pthread_create(&id[i], NULL, reader, (void *)(uintptr_t)i))
            die(EXIT_OS, "no thread");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&together);
        double begin = now();
        pthread_barrier_wait(&together);
        double rate = BYTES / (now() - begin);
        best = rate > best ? rate : best;
    }
    for (int64_t i = 0; i < threads; i++)
        pthread_join(id[i], NULL);
    printf("%.1f\n", 1e-9 * best);
    return 0;
}
