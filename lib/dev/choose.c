/* choose.c - -d: which device, and which of the CPU's cores. */
#include "dev/choose.h"

#include "base/args.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "K/N" with 0 <= K < N. */
static bool parse_slice(const char *s, int64_t *k, int64_t *n)
{
    char first[24];
    size_t len = strcspn(s, "/");
    if (!s[len] || len >= sizeof first)
        return false;
    memcpy(first, s, len);
    first[len] = 0;
    return parse_int(first, k) && parse_int(s + len + 1, n) && *k >= 0 && *k < *n;
}

/* Slice k of n of the cores that the process may use; where there are fewer cores than slices,
 * the slices take turns on them, one core each. */
static void pick_cores(const cpu_set_t *all, int64_t k, int64_t n, cpu_set_t *slice)
{
    int64_t cores = CPU_COUNT(all), from = k * cores / n, to = (k + 1) * cores / n, i = 0;
    if (n > cores) {
        from = k % cores;
        to = from + 1;
    }
    CPU_ZERO(slice);
    for (int c = 0; c < CPU_SETSIZE; c++) {
        if (!CPU_ISSET(c, all))
            continue;
        if (i >= from && i < to)
            CPU_SET(c, slice);
        i++;
    }
}

static struct dev *open_kind(const char *kind, const struct dev_config *c, struct err *e)
{
    const struct dev_ops *ops = dev_find(kind);
    if (!ops) {
        err_set(e, EXIT_DEVICE, "this build has no device '%s'", kind);
        return NULL;
    }
    return ops->open(c, e);
}

static struct dev *open_cpu(int64_t k, int64_t n, int threads, const char *isa, struct err *e)
{
    cpu_set_t all, slice;
    if (sched_getaffinity(0, sizeof all, &all) < 0) {
        err_set(e, EXIT_OS, "ask which cores may be used:");
        return NULL;
    }
    pick_cores(&all, k, n, &slice);
    if (n > 1 && sched_setaffinity(0, sizeof slice, &slice) < 0) {
        err_set(e, EXIT_OS, "bind to slice %lld/%lld of the cores:", (long long)k,
                (long long)n);
        return NULL;
    }
    return open_kind(
        "cpu",
        &(struct dev_config){.threads = threads ? threads : CPU_COUNT(&slice), .isa = isa}, e);
}

static struct dev *bad_name(const char *name, struct err *e)
{
    err_set(e, EXIT_USAGE,
            "--device: '%s' is none of auto, cpu, cpu:K/N with 0 <= K < N, cuda:N, ref", name);
    return NULL;
}

/* A number from the environment; what is unset or empty leaves *out as it is. */
static bool env_number(const char *name, int64_t *out)
{
    const char *s = getenv(name);
    return !s || !*s || parse_int(s, out);
}

/* Slice SHARD of SHARDS, or all cores: this build sees no GPU. */
static struct dev *open_auto(int threads, const char *isa, struct err *e)
{
    int64_t k = 0, n = 1;
    if (!env_number("SHARD", &k) || !env_number("SHARDS", &n) || k < 0 || k >= n) {
        err_set(e, EXIT_USAGE,
                "the environment's SHARD and SHARDS must be numbers with 0 <= SHARD < SHARDS");
        return NULL;
    }
    return open_cpu(k, n, threads, isa, e);
}

struct dev *device_open(const char *name, int threads, const char *isa, struct err *e)
{
    int64_t k = 0, n = 1;
    if (!strcmp(name, "auto"))
        return open_auto(threads, isa, e);
    if (!strcmp(name, "ref"))
        return open_kind("ref", &(struct dev_config){.threads = 1}, e);
    if (!strcmp(name, "cpu"))
        return open_cpu(0, 1, threads, isa, e);
    if (!strncmp(name, "cpu:", 4))
        return parse_slice(name + 4, &k, &n) ? open_cpu(k, n, threads, isa, e)
                                             : bad_name(name, e);
    if (!strncmp(name, "cuda:", 5) && parse_int(name + 5, &k) && k >= 0 && k <= INT_MAX)
        return open_kind("cuda", &(struct dev_config){.ordinal = (int)k}, e);
    return bad_name(name, e);
}
