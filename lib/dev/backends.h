/* backends.h - the backends of this build, and what all that live in host memory share. */
#ifndef BACKENDS_H
#define BACKENDS_H

#include "dev/dev.h"

extern const struct dev_ops dev_ref, dev_cpu;

/* Zeroed memory, aligned to 64 bytes.  Large blocks come straight from the kernel, so that what
 * is never touched costs nothing.  NULL: EXIT_OS with the size; `what` names it. */
void *host_alloc(int64_t bytes, const char *what, struct err *e);
void host_free(void *p);

/* a * b * c, or -1 where it does not fit or a factor is negative. */
int64_t host_size(int64_t a, int64_t b, int64_t c);

/* The shape is one that can be kept: n, k > 0, experts >= 0, a type of weights, its bytes
 * (padded as a backend may pad) fit; else -1 with EXIT_CONFIG or EXIT_OS. */
int weight_shape_check(const struct weight_shape *s, struct err *e) MUST_CHECK;
/* The rows lie inside the weight and the source's type and stride can be read. */
int weight_source_check(const struct weight_shape *s, int64_t expert, int64_t row, int64_t rows,
                        const struct weight_source *src, struct err *e) MUST_CHECK;
/* out[i] = element (row, k0 + i) of the source, i < n, widened exactly.  The source has been
 * checked; `row` counts from its first. */
void weight_source_read(const struct weight_source *src, int64_t row, int64_t k0, int64_t n,
                        float *out);

int kv_shape_check(const struct kv_shape *s, struct err *e) MUST_CHECK;

enum { HEAD_DIM_MAX = 1024 }; /* widest attention head */

/* The callers' contract: a broken one is our bug. */
#define EXPECT(cond) ((cond) ? (void)0 : BUG("%s: %s", __func__, #cond))

#endif
