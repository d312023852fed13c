/* host.c - memory, weight sources and shape checks for backends that live in host memory. */
#include "base/half.h"
#include "dev/backends.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* In front of every block; as long as the alignment. */
struct block {
    size_t bytes; /* with this header */
    bool mapped;
};
enum { ALIGN = 64, MAP_FROM = 1 << 20 };

static int no_memory(const char *what, int64_t bytes, struct err *e)
{
    return err_set(e, EXIT_OS, "out of memory: %" PRId64 " bytes for %s", bytes, what);
}

void *host_alloc(int64_t bytes, const char *what, struct err *e)
{
    size_t total;
    if (bytes < 0 || !size_add((size_t)bytes, (size_t)2 * ALIGN, &total)) {
        err_set(e, EXIT_OS, "out of memory: the size of %s is beyond any memory", what);
        return NULL;
    }
    total &= ~(size_t)(ALIGN - 1);
    struct block *b;
    bool mapped = total >= MAP_FROM;
    if (mapped) {
        b = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (b == MAP_FAILED)
            b = NULL;
        else
            madvise(b, total, MADV_HUGEPAGE); /* advice only: a refusal changes nothing */
    } else {
        b = aligned_alloc(ALIGN, total);
        if (b)
            memset(b, 0, total);
    }
    if (!b) {
        no_memory(what, bytes, e);
        return NULL;
    }
    b->bytes = total;
    b->mapped = mapped;
    return (char *)b + ALIGN;
}

void host_free(void *p)
{
    if (!p)
        return;
    struct block *b = (void *)((char *)p - ALIGN);
    if (b->mapped)
        munmap(b, b->bytes);
    else
        free(b);
}

int64_t host_size(int64_t a, int64_t b, int64_t c)
{
    int64_t n;
    if (a < 0 || b < 0 || c < 0 || !size_mul(a, b, &n) || !size_mul(n, c, &n))
        return -1;
    return n;
}

int weight_shape_check(const struct weight_shape *s, struct err *e)
{
    if (s->n <= 0 || s->k <= 0 || s->experts < 0)
        return err_set(e, EXIT_CONFIG,
                       "a weight of %" PRId64 " x %" PRId64 " with %" PRId64 " experts", s->n,
                       s->k, s->experts);
    if (s->dtype != DT_F32 && s->dtype != DT_BF16 && s->dtype != DT_MXFP4)
        return err_set(e, EXIT_CONFIG, "weights are kept as f32, bf16 or MXFP4 only");
    if (s->dtype == DT_MXFP4 && s->k % MXFP4_BLOCK)
        return err_set(e, EXIT_CONFIG,
                       "MXFP4 weights of %" PRId64 " columns, not a multiple of %d", s->k,
                       MXFP4_BLOCK);
    /* Blocks are padded to 16 rows and 2 columns; elements have 4 bytes at most. */
    int64_t n, k;
    if (!size_add(s->n, 15, &n) || !size_add(s->k, 1, &k) ||
        host_size(n, k, 4 * (s->experts ? s->experts : 1)) < 0 || s->experts > INT32_MAX)
        return err_set(e, EXIT_OS,
                       "out of memory: a weight of %" PRId64 " x %" PRId64 " with %" PRId64
                       " experts",
                       s->n, s->k, s->experts);
    return 0;
}

int weight_source_check(const struct weight_shape *s, int64_t expert, int64_t row, int64_t rows,
                        const struct weight_source *src, struct err *e)
{
    int64_t end;
    if (expert < 0 || expert >= (s->experts ? s->experts : 1) || row < 0 || rows < 0 ||
        !size_add(row, rows, &end) || end > s->n)
        return err_set(e, EXIT_CONFIG,
                       "rows %" PRId64 " + %" PRId64 " of expert %" PRId64
                       " are outside a weight of %" PRId64 " rows",
                       row, rows, expert, s->n);
    if (src->dtype != DT_F32 && src->dtype != DT_F16 && src->dtype != DT_BF16 &&
        src->dtype != DT_MXFP4)
        return err_set(e, EXIT_CONFIG, "weights are read from f32, f16, bf16 or MXFP4 only");
    if (src->dtype != DT_MXFP4 && s->dtype == DT_MXFP4)
        return err_set(e, EXIT_CONFIG, "MXFP4 weights are not made from other ones");
    if (src->stride < (src->transposed ? rows : s->k) ||
        (src->dtype == DT_MXFP4 && (src->stride % MXFP4_BLOCK || src->transposed)))
        return err_set(e, EXIT_CONFIG,
                       "a stride of %" PRId64 " for a weight of %" PRId64 " x %" PRId64,
                       src->stride, rows, s->k);
    return 0;
}

void weight_source_read(const struct weight_source *src, int64_t row, int64_t k0, int64_t n,
                        float *out)
{
    if (src->dtype == DT_MXFP4) {
        int64_t at = row * src->stride;
        for (int64_t k = k0; k < k0 + n; k++)
            *out++ = mxfp4_to_f32(src->data, at + k, src->scales[(at + k) / MXFP4_BLOCK]);
        return;
    }
    int64_t size = dtype_size(src->dtype);
    int64_t first = src->transposed ? k0 * src->stride + row : row * src->stride + k0;
    int64_t step = (src->transposed ? src->stride : 1) * size;
    const char *p = (const char *)src->data + first * size; /* perhaps unaligned: memcpy */
    uint16_t h;
    switch (src->dtype) {
    case DT_F32:
        for (int64_t i = 0; i < n; i++, p += step)
            memcpy(&out[i], p, 4);
        return;
    case DT_BF16:
        for (int64_t i = 0; i < n; i++, p += step) {
            memcpy(&h, p, 2);
            out[i] = bf16_to_f32(h);
        }
        return;
    case DT_F16:
        for (int64_t i = 0; i < n; i++, p += step) {
            memcpy(&h, p, 2);
            out[i] = f16_to_f32(h);
        }
        return;
    default: BUG("a weight source of type %d", (int)src->dtype);
    }
}

int kv_shape_check(const struct kv_shape *s, struct err *e)
{
    if (s->layers <= 0 || s->kv_heads <= 0 || s->head_dim <= 0 || s->pages <= 0 ||
        (s->dtype != DT_F32 && s->dtype != DT_BF16))
        return err_set(e, EXIT_CONFIG,
                       "keys and values of %d layers, %d heads, width %d, %d pages", s->layers,
                       s->kv_heads, s->head_dim, s->pages);
    if (s->head_dim > HEAD_DIM_MAX)
        return err_set(e, EXIT_CONFIG, "a head of width %d; the widest is %d", s->head_dim,
                       HEAD_DIM_MAX);
    /* 2 x 32 x 4 bytes an element of a head, widths padded to 16. */
    int64_t page = host_size(s->layers, s->kv_heads,
                             (int64_t)2 * KV_PAGE * 4 * (s->head_dim + 15));
    if (page < 0 || host_size(page, s->pages, 1) < 0)
        return err_set(
            e, EXIT_OS,
            "out of memory: keys and values of %d layers, %d heads, width %d, %d pages",
            s->layers, s->kv_heads, s->head_dim, s->pages);
    return 0;
}
