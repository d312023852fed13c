/* train.h - what the CPU backend's files for training share. */
#ifndef CPU_TRAIN_H
#define CPU_TRAIN_H

#include "dev/cpu/cpu.h"
#include "dev/cpu/train_kernels.h"

/* Reserved with the largest calls to come. */
struct cpu_train {
    struct train_limits limits;
    float *a, *b;             /* PACK floats each: packed operands */
    float *factors;           /* [tokens * heads] */
    int32_t *bounds, *starts; /* [UNITS_MAX + 1] */
    int32_t *order;           /* [2 * tokens]: tokens by id, and where each id begins */
    float *lanes;             /* scratch of attention, one part a thread */
    int64_t lane;             /* floats of a part */
    struct head_part *parts;  /* [tokens, chunks] */
    float *logits;            /* LOGITS floats */
    float *row;               /* [3 * tokens] */
};
enum { PACK = 8 << 20, LOGITS = 16 << 20 };

extern const struct dev_train_ops cpu_train;
void cpu_train_free(struct cpu *c);

/* The sums of columns of a gradient over units, by their tree: sum() gives those of one unit's
 * rows.  Columns col0 .. col0+cols-1, at most TREE_COLS of them, into out. */
enum { TREE_COLS = 64, TREE_DEPTH = 15 };
struct tree {
    const struct train_kernels *k;
    const struct units *u;
    void (*sum)(float *out, const void *arg, int64_t row0, int64_t row1, int64_t col0,
                int64_t cols);
    const void *arg;
};
void cpu_tree(const struct tree *t, float *out, int64_t col0, int64_t cols);
/* All columns of a row of n, on the threads. */
void cpu_tree_row(struct cpu *c, const struct tree *t, float *out, int64_t n, int64_t rows);

/* y (+)= scale * x w^T for a weight that is packed in scratch. */
void cpu_run_product(struct cpu *c, const struct tensor *y, const struct product *p,
                     float scale, bool add);

/* train_product.c */
void cpu_linear_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                   const struct weight *w, float scale, bool add);
void cpu_linear_dw(struct dev *d, const struct tensor *dw, const struct tensor *dy,
                   const struct tensor *x, const struct units *u, float scale);
void cpu_bias_db(struct dev *d, float *db, const struct tensor *dy, const struct units *u);
void cpu_grouped_dx(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct weight *w, const struct routing *r, float scale, bool add);
void cpu_grouped_dw(struct dev *d, const struct tensor *dw, int64_t dw_step,
                    const struct tensor *dy, const struct tensor *x, const struct routing *r,
                    const struct units *u, float scale);
void cpu_grouped_db(struct dev *d, float *db, const struct tensor *dy, const struct routing *r,
                    const struct units *u);
/* train_rows.c */
void cpu_norm_back(struct dev *d, const struct tensor *dx, float *dw, const struct tensor *dy,
                   const struct tensor *x, const float *w, float eps, bool plus_one,
                   const struct units *u, bool add);
void cpu_qk_norm_rope_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                           const struct tensor *q, const struct tensor *k,
                           const struct rope_args *a, float *dq_norm, float *dk_norm,
                           const struct units *u);
void cpu_gated_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                    const struct tensor *x, const struct gated_args *a);
void cpu_combine_back(struct dev *d, const struct tensor *dx, float *dweight,
                      const struct tensor *dy, const struct tensor *x, const struct routing *r);
void cpu_route_back(struct dev *d, const struct tensor *dlogits, const float *dweight,
                    const struct tensor *logits, const struct routing *r,
                    const struct route_args *a);
void cpu_sorted_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const struct routing *r, bool add);
void cpu_gather_back(struct dev *d, const struct tensor *dx, const struct tensor *dy,
                     const void *rows);
void cpu_dropout(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct dropout_args *a, bool add);
void cpu_scaled(struct dev *d, const struct tensor *y, const struct tensor *x, float scale);
/* train_attention.c */
void cpu_train_attention(struct dev *d, const struct tensor *y, const struct tensor *stats,
                         const struct tensor *q, const struct tensor *k, const struct tensor *v,
                         const struct train_spans *s, const struct attention_args *a);
void cpu_attention_back(struct dev *d, const struct tensor *dq, const struct tensor *dk,
                        const struct tensor *dv, const struct tensor *dsink,
                        const struct tensor *dy, const struct tensor *y,
                        const struct tensor *stats, const struct tensor *q,
                        const struct tensor *k, const struct tensor *v,
                        const struct train_spans *s, const struct attention_args *a);
/* train_loss.c */
void cpu_cross_entropy(struct dev *d, float *nll, const struct tensor *dx,
                       const struct tensor *dw, const struct tensor *x, const struct head *h,
                       const void *ids, const float *weight, const struct units *u);
/* train_flat.c */
void cpu_embed_dw(struct dev *d, const struct tensor *dw, const struct tensor *dx,
                  const void *ids, const struct units *u, float scale);

#endif
