/* kernel_bench.c - matrix products: ours, oneDNN's and OpenBLAS's, in process.
 *
 *     kernel_bench LIB ISA DTYPE K N THREADS hot|cold SECONDS ROWS...
 *
 * y [rows, N] f32 = x [rows, K] w^T.  LIB: ours, onednn, openblas; ISA: "-" or what the library
 * calls it; DTYPE: f32, bf16, int8.  One line per number of rows: rows, GFLOP/s (GOP/s), the
 * best of five tries of SECONDS / 5 each.  cold: weights come from memory, by turns from copies
 * that no cache holds.  One thread is measured by its processor time, two by the clock on the
 * wall.
 *
 * The libraries are opened at run time; exit status 69 and a word where one is missing.
 */
#include "dev/dev.h"
#include "dev/half.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __has_include
#if __has_include(<dnnl.h>)
#include <dnnl.h>
#define HAVE_DNNL_H 1
#endif
#endif

enum { COLD_BYTES = 256 << 20, TRIES = 5 };

struct job {
    int64_t k, n, rows;
    enum dtype dtype; /* DT_U8 stands for int8 */
    int threads, copies, next;
    float *x, *y;
    uint16_t *x16;
    uint8_t *x8;
    void (*run)(struct job *j);
    /* ours */
    struct dev *dev;
    struct weight **w;
    /* the others */
    void *lib;
    void **packed;
};

static double now(clockid_t c)
{
    struct timespec t;
    clock_gettime(c, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(float *p, int64_t n)
{
    uint32_t s = 1;
    for (int64_t i = 0; i < n; i++) {
        s = s * 1664525 + 1013904223;
        p[i] = ((float)(s >> 8) * 0x1p-24f - 0.5f) * 2;
    }
}

static int turn(struct job *j)
{
    j->next = (j->next + 1) % j->copies;
    return j->next;
}

/* ---- ours ------------------------------------------------------------------- */

static void ours_run(struct job *j)
{
    struct tensor y = {j->y, DT_F32, j->rows, j->n, j->n};
    struct tensor x = {j->x, DT_F32, j->rows, j->k, j->k};
    if (j->dtype == DT_BF16) {
        x.data = j->x16;
        x.dtype = DT_BF16;
    }
    j->dev->ops->linear(j->dev, &y, &x, j->w[turn(j)], NULL);
}

static void ours_open(struct job *j, const char *isa, const float *w, int64_t most)
{
    struct err e = {0};
    struct dev_config c = {.threads = j->threads, .isa = strcmp(isa, "-") ? isa : NULL};
    struct dev_limits limits = {.tokens = (int32_t)most, .rows = 1, .width = (int32_t)j->k};
    struct weight_shape shape = {.n = j->n, .k = j->k, .dtype = j->dtype};
    struct weight_source src = {.data = w, .dtype = DT_F32, .stride = j->k};
    const struct dev_ops *o = dev_find("cpu");
    j->dev = o->open(&c, &e);
    if (!j->dev || o->reserve(j->dev, &limits, &e) < 0)
        die_err(&e);
    j->w = xcalloc((size_t)j->copies, sizeof(struct weight *));
    for (int i = 0; i < j->copies; i++) {
        j->w[i] = o->weight_new(j->dev, &shape, &e);
        if (!j->w[i] || o->weight_rows(j->dev, j->w[i], 0, 0, j->n, &src, &e) < 0)
            die_err(&e);
    }
    j->run = ours_run;
}

/* ---- a library, opened ------------------------------------------------------- */

static void *need_lib(const char *file)
{
    void *h = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
    if (!h)
        die(EXIT_DEVICE, "skipped: %s is not here", file);
    return h;
}

/* A function of it; through memcpy, since C has no cast from a data pointer. */
static void need_sym(void *lib, const char *name, void *fn)
{
    void *p = dlsym(lib, name);
    if (!p)
        die(EXIT_DEVICE, "skipped: no %s in the library", name);
    memcpy(fn, &p, sizeof p);
}

typedef void sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta, float *c,
                      int ldc);
static sgemm_fn *sgemm;

static void openblas_run(struct job *j)
{
    int m = (int)j->rows, n = (int)j->n, k = (int)j->k;
    sgemm(101, 111, 112, m, n, k, 1, j->x, k, j->packed[turn(j)], k, 0, j->y, n);
}

static void openblas_open(struct job *j, const float *w)
{
    void (*set_threads)(int);
    if (j->dtype != DT_F32)
        die(EXIT_DEVICE, "skipped: OpenBLAS of Debian has f32 only");
    void *lib = need_lib("libopenblas.so.0");
    need_sym(lib, "cblas_sgemm", &sgemm);
    need_sym(lib, "openblas_set_num_threads", &set_threads);
    set_threads(j->threads);
    j->packed = xcalloc((size_t)j->copies, sizeof(void *));
    for (int i = 0; i < j->copies; i++) {
        j->packed[i] = xmalloc_n((size_t)(j->n * j->k), sizeof(float));
        memcpy(j->packed[i], w, (size_t)(j->n * j->k) * sizeof(float));
    }
    j->run = openblas_run;
}

#ifdef HAVE_DNNL_H
/* oneDNN 2: a primitive per number of rows, weights packed as it likes them. */
static struct {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t matmul;
    dnnl_memory_t x, y, *w;
    int64_t rows;
} nn;

#define NN(name) __typeof__(&dnnl_##name) name = NULL
#define NN_CALL(name, ...)                                                 \
    do {                                                                   \
        NN(name);                                                          \
        need_sym(j->lib, "dnnl_" #name, &name);                            \
        dnnl_status_t st_ = name(__VA_ARGS__);                             \
        if (st_ != dnnl_success)                                           \
            die(EXIT_DEVICE, "skipped: dnnl_" #name " says %d", (int)st_); \
    } while (0)

static dnnl_memory_t plain_memory(struct job *j, const dnnl_memory_desc_t *md, void *data)
{
    dnnl_memory_t m;
    NN_CALL(memory_create, &m, md, nn.engine, data);
    return m;
}

static dnnl_memory_desc_t plain_desc(struct job *j, int64_t rows, int64_t cols, int type,
                                     dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d;
    dnnl_dims_t dims = {rows, cols};
    NN_CALL(memory_desc_init_by_tag, &d, 2, dims, (dnnl_data_type_t)type, tag);
    return d;
}

static void onednn_reorder(struct job *j, dnnl_memory_t from, const dnnl_memory_desc_t *fd,
                           dnnl_memory_t to, const dnnl_memory_desc_t *td)
{
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t p;
    NN_CALL(reorder_primitive_desc_create, &pd, fd, nn.engine, td, nn.engine, NULL);
    NN_CALL(primitive_create, &p, pd);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    NN_CALL(primitive_execute, p, nn.stream, 2, args);
    NN_CALL(stream_wait, nn.stream);
}

/* The primitive for j->rows, and its weights: packed anew, as the layout may change. */
static void onednn_rows(struct job *j)
{
    int type = j->dtype == DT_F32 ? dnnl_f32 : j->dtype == DT_BF16 ? dnnl_bf16 : dnnl_s8;
    bool int8 = j->dtype == DT_U8;
    dnnl_memory_desc_t x = plain_desc(j, j->rows, j->k, int8 ? dnnl_u8 : type, dnnl_ab);
    dnnl_memory_desc_t y = plain_desc(j, j->rows, j->n, int8 ? dnnl_s32 : dnnl_f32, dnnl_ab);
    dnnl_memory_desc_t w = plain_desc(j, j->k, j->n, type, dnnl_format_tag_any);
    dnnl_memory_desc_t from = plain_desc(j, j->k, j->n, dnnl_f32, dnnl_ba);
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd;
    NN_CALL(matmul_desc_init, &desc, &x, &w, NULL, &y);
    NN_CALL(primitive_desc_create, &pd, &desc, NULL, nn.engine, NULL);
    NN_CALL(primitive_create, &nn.matmul, pd);
    NN(primitive_desc_query_md);
    need_sym(j->lib, "dnnl_primitive_desc_query_md", &primitive_desc_query_md);
    const dnnl_memory_desc_t *packed = primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_memory_t plain = plain_memory(j, &from, j->packed[0]);
    for (int i = 0; i < j->copies; i++) {
        if (nn.w[i])
            NN_CALL(memory_destroy, nn.w[i]);
        nn.w[i] = plain_memory(j, packed, DNNL_MEMORY_ALLOCATE);
        onednn_reorder(j, plain, &from, nn.w[i], packed);
    }
    nn.x = plain_memory(j, &x,
                        j->dtype == DT_F32 ? (void *)j->x
                        : int8             ? (void *)j->x8
                                           : j->x16);
    nn.y = plain_memory(j, &y, j->y);
    nn.rows = j->rows;
}

static void onednn_run(struct job *j)
{
    if (nn.rows != j->rows)
        onednn_rows(j);
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, nn.x}, {DNNL_ARG_WEIGHTS, nn.w[turn(j)]}, {DNNL_ARG_DST, nn.y}};
    static NN(primitive_execute);
    static NN(stream_wait);
    if (!primitive_execute) {
        need_sym(j->lib, "dnnl_primitive_execute", &primitive_execute);
        need_sym(j->lib, "dnnl_stream_wait", &stream_wait);
    }
    if (primitive_execute(nn.matmul, nn.stream, 3, args) || stream_wait(nn.stream))
        die(EXIT_DEVICE, "oneDNN fails");
}

static void onednn_open(struct job *j, const float *w)
{
    void (*set_threads)(int);
    j->lib = need_lib("libdnnl.so.2");
    need_sym(need_lib("libgomp.so.1"), "omp_set_num_threads", &set_threads);
    set_threads(j->threads);
    NN_CALL(engine_create, &nn.engine, dnnl_cpu, 0);
    NN_CALL(stream_create, &nn.stream, nn.engine, dnnl_stream_default_flags);
    nn.w = xcalloc((size_t)j->copies, sizeof(dnnl_memory_t));
    j->packed = xcalloc(1, sizeof(void *));
    j->packed[0] = xmalloc_n((size_t)(j->n * j->k), sizeof(float));
    memcpy(j->packed[0], w, (size_t)(j->n * j->k) * sizeof(float));
    j->run = onednn_run;
}
#else
static void onednn_open(struct job *j, const float *w)
{
    (void)j;
    (void)w;
    die(EXIT_DEVICE, "skipped: built without dnnl.h (libdnnl-dev)");
}
#endif

/* ---- the clock --------------------------------------------------------------- */

static double rate(struct job *j, double seconds)
{
    clockid_t clock = j->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    double best = INFINITY, work = 2e-9 * (double)j->rows * (double)j->n * (double)j->k;
    int64_t calls = 1;
    j->run(j);
    for (int i = 0; i < TRIES;) {
        double begin = now(clock);
        for (int64_t c = 0; c < calls; c++)
            j->run(j);
        double took = now(clock) - begin;
        if (took < seconds / TRIES / 2 && calls < 1 << 20) {
            calls *= 2;
            continue;
        }
        if (took / (double)calls < best)
            best = took / (double)calls;
        i++;
    }
    return work / best;
}

int main(int argc, char **argv)
{
    tool_name = "kernel_bench";
    if (argc < 10)
        die(EXIT_USAGE, "LIB ISA DTYPE K N THREADS hot|cold SECONDS ROWS...");
    struct job j = {.k = atol(argv[4]), .n = atol(argv[5]), .threads = atoi(argv[6])};
    j.dtype = !strcmp(argv[3], "f32") ? DT_F32 : !strcmp(argv[3], "bf16") ? DT_BF16 : DT_U8;
    int64_t bytes = j.k * j.n * dtype_size(j.dtype), most = 1;
    j.copies = strcmp(argv[7], "cold") ? 1 : (int)(COLD_BYTES / bytes + 1);
    for (int i = 9; i < argc; i++)
        most = atol(argv[i]) > most ? atol(argv[i]) : most;
    float *w = xmalloc_n((size_t)(j.k * j.n), sizeof *w);
    j.x = xmalloc_n((size_t)(most * j.k), sizeof *j.x);
    j.x16 = xmalloc_n((size_t)(most * j.k), sizeof *j.x16);
    j.x8 = xmalloc((size_t)(most * j.k));
    j.y = xmalloc_n((size_t)(most * j.n), sizeof *j.y);
    fill(w, j.k * j.n);
    fill(j.x, most * j.k);
    for (int64_t i = 0; i < most * j.k; i++) {
        j.x16[i] = bf16_from_f32(j.x[i]);
        j.x8[i] = (uint8_t)(i * 37);
    }
    if (!strcmp(argv[1], "ours"))
        ours_open(&j, argv[2], w, most);
    else if (!strcmp(argv[1], "onednn"))
        onednn_open(&j, w);
    else
        openblas_open(&j, w);
    for (int i = 9; i < argc; i++) {
        j.rows = atol(argv[i]);
        printf("%ld %.1f\n", (long)j.rows, rate(&j, atof(argv[8])));
        fflush(stdout);
    }
    return 0;
}
