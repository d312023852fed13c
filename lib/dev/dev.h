/* dev.h - the one door between models and hardware.
 *
 * A backend is a table of operations (struct dev_ops) behind an opaque handle.  Model code
 * cannot tell which one it has.  Rules that every operation keeps:
 *
 *  - The result for a row depends on that row alone, never on how many rows come with it, where
 *    it stands, how a prompt was cut, or how many threads run (order of sums:
 * docs/operations.md).
 *  - Operations are queued in order and may return before they ran.  sync() waits and tells the
 *    first failure since the last sync.  download() is complete after sync().
 *  - Nothing is allocated after open, alloc, weight_new, kv_new and reserve: scratch is set up
 * by reserve() for the largest call to come.  A call beyond it, or a wrong shape, is a bug.
 *
 * Letters: T tokens in this call (ragged sequences end to end, never padded), C width, F
 * feed-forward width, H query heads, G key/value heads, D head width, V vocabulary, R rows that
 * go through the head, N x K of a weight [out, in], E experts, U of them used by a token, S
 * rows sorted by expert (T * U).
 */
#ifndef DEV_H
#define DEV_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* DT_MXFP4 is for weights alone: 32 elements along K share a scale; an element is its half
 * byte's value (0, 0.5, 1, 1.5, 2, 3, 4, 6; from 8 on the same negated) times 2^(scale - 127),
 * which is exact in bf16. */
enum dtype { DT_F32, DT_BF16, DT_F16, DT_I32, DT_U8, DT_MXFP4 };
enum { MXFP4_BLOCK = 32 };

/* Bytes of one element; not of DT_MXFP4. */
static inline int64_t dtype_size(enum dtype t)
{
    return t == DT_F32 || t == DT_I32 ? 4 : t == DT_U8 ? 1 : 2;
}

/* Bytes of n elements; of DT_MXFP4 in whole blocks. */
static inline int64_t dtype_bytes(enum dtype t, int64_t n)
{
    return t == DT_MXFP4 ? n / 2 + n / MXFP4_BLOCK : n * dtype_size(t);
}

/* A view of `rows` rows of `cols` elements, the rows `stride` elements apart.  Owns nothing. */
struct tensor {
    void *data; /* device address */
    enum dtype dtype;
    int64_t rows, cols, stride;
};

/* Weights are opaque: packed once for the device that they are on. */
struct weight;
struct weight_shape {
    int64_t n, k;     /* out, in */
    int64_t experts;  /* 0: a plain matrix */
    enum dtype dtype; /* DT_F32, DT_BF16 or DT_MXFP4 (k in whole blocks), as it is kept */
};

/* Host memory to fill weight rows from, in the file's own layout. */
struct weight_source {
    const void *data; /* perhaps unaligned */
    enum dtype dtype; /* DT_F32, DT_F16, DT_BF16, DT_MXFP4; what is kept as DT_MXFP4 takes no
                         other, and it is taken by all */
    int64_t stride;   /* elements from one row to the next */
    bool transposed;  /* data is [k, rows] instead of [rows, k]; not DT_MXFP4 */
    /* DT_MXFP4: [rows, stride / 32].  Byte j of data holds element 2j in its low half. */
    const uint8_t *scales;
};

/* ---- sequences and their keys and values ---------------------------------- */

enum { KV_PAGE = 32 }; /* tokens a page; also the key block of attention */

/* One sequence's part in a call.  Its tokens are first..first+count-1 of the call and stand at
 * positions start..start+count-1; page i of it (positions i*KV_PAGE onwards) is
 * pages[page0 + i], for every position up to start+count-1. */
struct span {
    int32_t first, count, start, page0;
};

/* The spans of a call, on the device, with the host's own copy. */
struct spans {
    const struct span *host;
    const int32_t *host_pages;
    const void *dev;       /* struct span[n] on the device */
    const void *dev_pages; /* int32_t[] on the device */
    int32_t n;
};

struct kv; /* keys and values of all layers, in pages */
struct kv_shape {
    int32_t layers, kv_heads, head_dim, pages;
    enum dtype dtype; /* DT_F32 or DT_BF16 */
};

/* ---- arguments of the larger operations ----------------------------------- */

struct rope_args {
    int32_t heads, kv_heads, head_dim;
    int32_t rotary;       /* leading elements of a head that are rotated; 0: none */
    const float *cos_sin; /* device, [positions, rotary]: rotary/2 cosines, then sines */
    const void *pos;      /* device, int32_t[T] */
    const float *q_norm, *k_norm; /* device, [D] or NULL; RMS norm before the rotation */
    float eps;
    bool norm_plus_one; /* factor 1 + weight */
    bool norm_whole;    /* weights are [H*D] and [G*D], one norm over all heads (OLMo 2) */
};

struct attention_args {
    int32_t heads, kv_heads, head_dim, layer;
    float scale;
    int32_t window;     /* 0: all keys; else position i sees j with i - window < j <= i */
    float soft_cap;     /* 0: none; else c * tanh(score / c) */
    const float *sinks; /* device, [H] or NULL: joins the denominator, has no value */
};

enum gate_kind { GATE_SILU, GATE_GELU_TANH, GATE_CLAMPED };

struct gated_args {
    enum gate_kind kind;
    bool interleaved;   /* gate, up, gate, up, …; else first half gate, second half up */
    float alpha, limit; /* GATE_CLAMPED: (min(u, ±l) + 1) * g * sigmoid(alpha * g), g <= l */
};

/* Rows of a call that one adapter changes, and its two small matrices. */
struct lora_rows {
    int32_t first, rows;
    const struct weight *a, *b; /* [R, K], [N, R]; f32 or bf16 */
    float scale;
};

/* An adapter's second small product for experts: the rows of tokens that are `mine` change. */
struct lora_grouped {
    const struct weight *b; /* E times [N, R] */
    float scale;
    const int32_t *whose; /* device, [T] */
    int32_t mine;
};

/* Which experts the tokens of a call go to, as rows sorted by expert, those of one expert in
 * the order of the tokens.  The arrays are the caller's, on the device; route() fills them. */
struct routing {
    int32_t experts, used; /* E, U <= E */
    int32_t *expert;       /* [T, U]: a token's experts, ascending */
    float *weight;         /* [T, U]: their weights, in the same order */
    int32_t *row;          /* [T, U]: their rows */
    int32_t *token;        /* [S]: whose row it is */
    int32_t *first;        /* [E + 1]: expert e has rows first[e] .. first[e + 1] - 1 */
};

struct route_args {
    bool over_all; /* the softmax runs over all experts; else over the chosen ones, which is the
                      same as dividing by their sum */
    float scale;   /* of the weights; 1: not */
};

/* The last matrix product and what follows it. */
struct head {
    const struct weight *weight; /* [V, C] */
    float scale;                 /* logits are multiplied by it; 1: not */
    float soft_cap;              /* 0: none */
};

/* The largest calls to come, for scratch. */
struct dev_limits {
    int32_t tokens, rows;                  /* T, R */
    int32_t heads, head_dim, vocab, width; /* width: the largest K of a product */
    int32_t experts, used;                 /* E, U; 0: none */
};

struct dev_info {
    char name[64]; /* "cpu/avx512", "ref", for summaries and keys */
    int threads;
    int64_t memory; /* bytes that may be allocated; 0: not known */
    bool bf16; /* products of bf16 are faster than of f32: activations are worth rounding */
};

struct dev_config {
    int ordinal;     /* cuda:N */
    int threads;     /* CPU: threads to use, >= 1 */
    const char *isa; /* CPU: "avx512", "avx2", or NULL: the best one here */
};

struct dev;

struct dev_train_ops;

/* ---- the table ------------------------------------------------------------ */

/* In all of them: y is the output, x the input; f32 unless said otherwise. */
struct dev_ops {
    const char *name; /* "ref", "cpu", "cuda" */

    /* -- life and memory.  EXIT_DEVICE, EXIT_OS, EXIT_AGAIN (out of device memory). -- */
    struct dev *(*open)(const struct dev_config *c, struct err *e);
    void (*close)(struct dev *d);
    void (*info)(const struct dev *d, struct dev_info *out);
    void *(*alloc)(struct dev *d, int64_t bytes, struct err *e); /* zeroed */
    void (*free)(struct dev *d, void *p);
    void (*upload)(struct dev *d, void *dst, const void *src, int64_t bytes);
    void (*download)(struct dev *d, void *dst, const void *src, int64_t bytes);
    int (*sync)(struct dev *d, struct err *e);
    int (*reserve)(struct dev *d, const struct dev_limits *l, struct err *e);

    struct weight *(*weight_new)(struct dev *d, const struct weight_shape *s, struct err *e);
    /* Fills rows row..row+rows-1 of an expert (0 for a plain matrix). */
    int (*weight_rows)(struct dev *d, struct weight *w, int64_t expert, int64_t row,
                       int64_t rows, const struct weight_source *src, struct err *e);
    void (*weight_free)(struct dev *d, struct weight *w);

    struct kv *(*kv_new)(struct dev *d, const struct kv_shape *s, struct err *e);
    void (*kv_copy_page)(struct dev *d, struct kv *kv, int32_t to,
                         int32_t from); /* all layers */
    void (*kv_free)(struct dev *d, struct kv *kv);

    /* -- forward -- */

    /* y[t] = w[ids[t]] * scale; ids: device int32_t[T]; y [T, C]. */
    void (*embed)(struct dev *d, const struct tensor *y, const struct weight *w,
                  const void *ids, float scale);

    /* add, where not NULL: x += add * add_scale, kept.  Then, where y is not NULL,
     * y = x / sqrt(mean(x^2) + eps) * w (or 1 + w); y f32 or bf16.  x, y, add [T, C]; w [C]. */
    void (*norm)(struct dev *d, const struct tensor *y, const struct tensor *x,
                 const struct tensor *add, float add_scale, const float *w, float eps,
                 bool plus_one);

    /* y = x w^T (+ bias).  x [T, K] f32 or bf16, y [T, N] f32 or bf16; bias [N] or NULL. */
    void (*linear)(struct dev *d, const struct tensor *y, const struct tensor *x,
                   const struct weight *w, const float *bias);

    /* The product W + scale * B A without making it, for n groups of rows that do not overlap:
     * first t = x a^T into the group's rows and R first columns of t (f32, T rows), then
     * y += scale * t b^T on the group's rows of y (f32).  Rows of no group stay as they are.
     * x [T, K] f32 or bf16; y may be some columns of a wider product's result. */
    void (*lora_a)(struct dev *d, const struct tensor *t, const struct tensor *x,
                   const struct lora_rows *groups, int32_t n);
    void (*lora_b)(struct dev *d, const struct tensor *y, const struct tensor *t,
                   const struct lora_rows *groups, int32_t n);

    /* In place on q [T, H*D] and k [T, G*D]. */
    void (*qk_norm_rope)(struct dev *d, const struct tensor *q, const struct tensor *k,
                         const struct rope_args *a);

    /* Puts k, v [T, G*D] at their positions' slots.  Here a token may stand in no span, or in
     * several. */
    void (*kv_write)(struct dev *d, struct kv *kv, int32_t layer, const struct tensor *k,
                     const struct tensor *v, const struct spans *s);

    /* y [T, H*D] (f32 or bf16) = softmax(q k^T * scale) v over the span's keys, causal; keys in
     * blocks of KV_PAGE at absolute multiples, merged in ascending order.  The span's own keys
     * are in kv already. */
    void (*attention)(struct dev *d, const struct tensor *y, const struct tensor *q,
                      const struct kv *kv, const struct spans *s,
                      const struct attention_args *a);

    /* y [T, F] (f32 or bf16) = act(gate) * up, x [T, 2F]. */
    void (*gated)(struct dev *d, const struct tensor *y, const struct tensor *x,
                  const struct gated_args *a);

    /* The U experts with the largest logits, the lower one among equals, and the softmax of
     * their logits; then the order of the rows.  logits [T, E], the router's bias added. */
    void (*route)(struct dev *d, const struct routing *r, const struct tensor *logits,
                  const struct route_args *a);

    /* linear() of each row by its expert's part of w.  x [S, K] and y [S, N] in the order of
     * the rows; bias [E, N] or NULL. */
    void (*linear_grouped)(struct dev *d, const struct tensor *y, const struct tensor *x,
                           const struct weight *w, const float *bias, const struct routing *r);

    /* y += scale * t b^T, on the rows of tokens that are mine, each by its expert's part of b.
     * t [S, R] and y [S, N] f32, in the order of the rows; t comes from linear_grouped(). */
    void (*lora_b_grouped)(struct dev *d, const struct tensor *y, const struct tensor *t,
                           const struct lora_grouped *g, const struct routing *r);

    /* y[t] = the weighted sum of the token's rows of x [S, C], experts ascending; y [T, C]. */
    void (*combine)(struct dev *d, const struct tensor *y, const struct tensor *x,
                    const struct routing *r);

    /* y[r] = x[rows[r]]; rows: device int32_t[R]. */
    void (*gather_rows)(struct dev *d, const struct tensor *y, const struct tensor *x,
                        const void *rows);

    /* -- the head; x [R, C] f32 or bf16 -- */

    /* y [R, V] = logits. */
    void (*head_logits)(struct dev *d, const struct tensor *y, const struct tensor *x,
                        const struct head *h);
    /* out[r] = log p(ids[r] | row r); ids int32_t[R], out float[R], both on the device. */
    void (*head_logprob)(struct dev *d, float *out, const struct tensor *x,
                         const struct head *h, const void *ids);
    /* ids[r]: the largest logit's id, the lowest among equals; logprob[r]: its log-probability.
     */
    void (*head_argmax)(struct dev *d, void *ids, float *logprob, const struct tensor *x,
                        const struct head *h);

    const struct dev_train_ops *train; /* dev_train.h; NULL: this backend cannot train */
};

/* Every backend's own struct dev begins with this one. */
struct dev {
    const struct dev_ops *ops;
};

/* "ref", "cpu", "cuda"; NULL when this build lacks it. */
const struct dev_ops *dev_find(const char *name);

#endif
