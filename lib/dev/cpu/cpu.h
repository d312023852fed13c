/* cpu.h - what the CPU backend's dispatchers share: they check a call, cut it into pieces for
 * the threads, and run the chosen instruction set's kernels on them. */
#ifndef CPU_H
#define CPU_H

#include "base/pool.h"
#include "dev/cpu/kernels.h"

struct cpu {
    struct dev dev;
    const struct kernels *kernels;
    struct pool *pool;
    struct dev_limits limits;
    float *wide;             /* bf16 inputs of a product, widened: [most rows][width] */
    int32_t *tiles;          /* pieces before span or expert i, [most of either + 1] */
    struct head_part *parts; /* [chunks][rows] */
    float *picked;           /* [rows] */
    struct cpu_train *train; /* train.h; NULL: nothing is trained */
};

typedef void rows_fn(const void *job, int64_t row0, int64_t row1);

/* Runs fn over rows 0..rows-1, cut for the threads; `cost`: elements a row. */
void cpu_rows(struct cpu *c, rows_fn *fn, const void *job, int64_t rows, int64_t cost);
/* Runs fn(arg, 0..pieces-1), on the threads where `work` multiply-adds are worth waking them.
 */
void cpu_pieces(struct cpu *c, void (*fn)(void *arg, int i), void *arg, int64_t pieces,
                int64_t work);
/* Of any product, by the limits that were reserved. */
int64_t cpu_most_rows(const struct dev_limits *l);
/* Piece i is one of those of the last span or expert whose tiles begin at i or before. */
int32_t cpu_owner(const int32_t *tiles, int32_t owners, int i);
/* The product of x and w as kernels take it: bf16 rows are widened into scratch. */
struct product cpu_product(struct cpu *c, const struct tensor *x, const struct weight *w);
/* The same, in pieces that may begin at any row: never in tiles. */
struct product cpu_rows_product(struct cpu *c, const struct tensor *x, const struct weight *w);

/* weight.c */
struct weight *cpu_weight_new(struct dev *d, const struct weight_shape *s, struct err *e);
int cpu_weight_rows(struct dev *d, struct weight *w, int64_t expert, int64_t row, int64_t rows,
                    const struct weight_source *src, struct err *e);
void cpu_weight_free(struct dev *d, struct weight *w);
void cpu_embed(struct dev *d, const struct tensor *y, const struct weight *w, const void *ids,
               float scale);
/* rows.c */
void cpu_norm(struct dev *d, const struct tensor *y, const struct tensor *x,
              const struct tensor *add, float add_scale, const float *w, float eps,
              bool plus_one);
void cpu_linear(struct dev *d, const struct tensor *y, const struct tensor *x,
                const struct weight *w, const float *bias);
void cpu_qk_norm_rope(struct dev *d, const struct tensor *q, const struct tensor *k,
                      const struct rope_args *a);
void cpu_gated(struct dev *d, const struct tensor *y, const struct tensor *x,
               const struct gated_args *a);
void cpu_gather_rows(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const void *rows);
/* lora.c */
void cpu_lora_a(struct dev *d, const struct tensor *t, const struct tensor *x,
                const struct lora_rows *groups, int32_t n);
void cpu_lora_b(struct dev *d, const struct tensor *y, const struct tensor *t,
                const struct lora_rows *groups, int32_t n);
/* experts.c */
void cpu_route(struct dev *d, const struct routing *r, const struct tensor *logits,
               const struct route_args *a);
void cpu_linear_grouped(struct dev *d, const struct tensor *y, const struct tensor *x,
                        const struct weight *w, const float *bias, const struct routing *r);
void cpu_combine(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct routing *r);
void cpu_lora_b_grouped(struct dev *d, const struct tensor *y, const struct tensor *t,
                        const struct lora_grouped *g, const struct routing *r);
/* attention.c */
struct kv *cpu_kv_new(struct dev *d, const struct kv_shape *s, struct err *e);
void cpu_kv_copy_page(struct dev *d, struct kv *kv, int32_t to, int32_t from);
void cpu_kv_free(struct dev *d, struct kv *kv);
void cpu_kv_write(struct dev *d, struct kv *kv, int32_t layer, const struct tensor *k,
                  const struct tensor *v, const struct spans *s);
void cpu_attention(struct dev *d, const struct tensor *y, const struct tensor *q,
                   const struct kv *kv, const struct spans *s, const struct attention_args *a);
/* head.c */
void cpu_head_logits(struct dev *d, const struct tensor *y, const struct tensor *x,
                     const struct head *h);
void cpu_head_logprob(struct dev *d, float *out, const struct tensor *x, const struct head *h,
                      const void *ids);
void cpu_head_argmax(struct dev *d, void *ids, float *logprob, const struct tensor *x,
                     const struct head *h);

#endif
