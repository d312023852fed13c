/* train.h - a trainer from inside: what is trained and where it stands, and the buffers of a
 * pass (private to train).
 */
#ifndef TRAIN_H
#define TRAIN_H

#include "dev/dev_train.h"
#include "model/decoder.h"
#include "train/trainer.h"

/* ---- what is trained ------------------------------------------------------- */

/* Where a tensor is in use: rows of a weight that products read, filled anew after a step. */
struct param {
    struct train_tensor t;
    struct weight *weight; /* NULL: a vector, which is used where it stands */
    int64_t expert;        /* the first of `experts` that the tensor holds */
    int64_t experts;       /* end to end; 1: a plain matrix */
    int64_t row, rows, cols;
    bool transposed; /* [cols, rows] */
    bool by_rank;    /* the file has [rows, cols * experts], experts innermost */
    bool is_b;       /* the second of a module's two, which begins as zeros */
    bool filled;     /* from the checkpoint */
};

/* Offsets in the flat buffers, -1: not trained. */
struct layer_at {
    int64_t qkv, o, router, gate_up, down;
    int64_t qkv_bias, o_bias, router_bias, gate_up_bias, down_bias;
    int64_t sinks, q_norm, k_norm, norm[NORM_PLACES];
};

/* A module's two small matrices. */
struct train_module {
    struct lora_module m;
    bool on;
    int32_t rank;
    float scale;
    uint64_t salt;
    struct weight *a, *b; /* of all experts, where it is theirs */
    int64_t a_at, b_at;
};

struct train_layer {
    struct layer_at at;
    struct train_module module[LORA_MODULES];
    int modules; /* 0: no LoRA in it */
    bool has_bucket;
};

/* ---- the buffers of a pass ---------------------------------------------------- */

/* What the way back through a layer needs.  x is kept of every layer; the others too, or they
 * are shared by all layers and filled again. */
struct acts {
    float *x;      /* [T, C] residual stream that enters the layer */
    float *qkv;    /* [T, (H + 2G) D] turned */
    float *raw;    /* [T, (H + G) D] q and k before their norm; NULL where there is none */
    float *stats;  /* [T, 2H] */
    void *heads;   /* [T, H D], type act */
    float *attn;   /* [T, C] before the norm behind attention; NULL where there is none */
    float *mid;    /* [T, C] residual stream between the halves */
    float *choice; /* [T, E] */
    struct routing routing;
    float *gate_up; /* [T, 2F] or [S, 2F] */
    float *down;    /* [S, C] what the experts gave */
    float *ffn; /* [T, C] before the norm behind the second half; NULL where there is none */
};

/* Scratch of a layer, of both ways. */
struct pass {
    int32_t T, R;                               /* of this micro-batch */
    void *in, *gated;                           /* type act: what enters products */
    void *sorted;                               /* [S, C] type act */
    uint16_t *dy;                               /* [T, widest N], where act is bf16 */
    float *out, *norm;                          /* [T, C] */
    float *dx;                                  /* [T, C] gradient by the residual stream */
    float *dhalf, *din, *dout;                  /* [T, C] */
    float *dqkv, *dheads;                       /* as qkv, heads */
    float *dgate_up, *dgated, *dsorted, *ddown; /* as gate_up, gated; [S, C] */
    float *dchoice, *dweight, *dsink;           /* [T, E], [T, U], [T, H] */
    float *lora_t, *lora_dt;                    /* [S or T, rank] */
    float *lora_x;                              /* [T, widest K]: dropped, or a gradient */
    int32_t *zeros;                             /* [T] */
    float *last, *dlast, *dkept; /* [R, C] residual stream of rows with a target */
    void *kept;                  /* [R, C] behind the final norm, type act */
    float *nll, *weights;        /* [R] */
    int32_t *ids, *pos, *rows, *targets;
    uint64_t *keys;
    /* Host. */
    int32_t *host_ids, *host_pos, *host_rows, *host_targets;
    float *host_weights, *host_nll;
    uint64_t *host_keys;
    struct train_span *span;
    int32_t *first, *row_first; /* of units, in tokens and in rows with a target */
    struct train_spans spans;
    struct units units, row_units;
};

enum { SLOTS = 16, FLAT_ALIGN = 16 };

struct trainer {
    struct dev *d;
    const struct dev_ops *ops;
    const struct dev_train_ops *top;
    struct model
        *m; /* its weights are the ones in use; vectors that are trained stand in flat */
    struct trainer_options o;
    bool full;
    float dropout;
    struct weight *embed, *head; /* in use; the same where tied */
    int64_t embed_at, head_at;   /* -1: not trained */
    int64_t lookup_at;           /* the embedding's own part of a tied gradient; -1: none */
    int64_t final_norm_at;
    struct train_layer *layer;
    float *cos_sin;
    int32_t positions;

    struct param *param;
    struct train_tensor *tensors; /* the same for the caller */
    size_t n_params, cap_params;
    struct train_bucket *bucket;
    int n_buckets;
    int64_t floats, gradient;
    float *flat[TRAIN_FLATS];
    float *slot[SLOTS]; /* gradients of subtrees; [0] is the gradient */
    float *to;          /* the one that a pass writes */
    int64_t step;
    int64_t bytes;

    struct acts *acts; /* [layers] */
    struct acts shared;
    int32_t first_kept; /* layers from here on keep theirs */
    struct pass pass;
    bool learning;   /* a gradient is asked for, and so dropout */
    char *lora_text; /* adapter_config.json */
};

/* params.c: the tensors of the whole model, their places and buckets. */
int params_full(struct trainer *t, struct err *e) MUST_CHECK;
/* A tensor of n elements at the end of the flat buffers; its name is kept. */
struct param *param_add(struct trainer *t, char *name, int nd, const int64_t *shape);
void param_align(struct trainer *t);
bool bucket_end(struct trainer *t); /* what was added since the last one; false: nothing */
int params_allocate(struct trainer *t, struct err *e) MUST_CHECK;
/* params_lora.c */
int params_lora(struct trainer *t, const struct train_lora *l, struct err *e) MUST_CHECK;
void lora_modules_release(struct trainer *t);
/* fill.c: the first values, from a checkpoint or by chance. */
int fill_from(struct trainer *t, const struct ckpt *c, struct err *e) MUST_CHECK;
int fill_random(struct trainer *t, double range, struct err *e) MUST_CHECK;
/* buffers.c */
int buffers_allocate(struct trainer *t, struct err *e) MUST_CHECK;
void buffers_release(struct trainer *t);
/* forward.c */
/* What a layer leaves goes to next, [T, C]; NULL: it is not asked for. */
void layer_forward(struct trainer *t, int32_t i, const struct acts *a, float *next);
/* What enters a half layer: x behind its norm, into pass.in; or x itself. */
struct tensor layer_in(struct trainer *t, float *x, const float *norm);
struct qkv {
    struct tensor all, q, k, v;
};
struct qkv layer_qkv(const struct trainer *t, float *data);
struct rope_args layer_rope(const struct trainer *t, int32_t i);
struct attention_args layer_attention(const struct trainer *t, int32_t i);
/* lora.c: what modules of a place add to y = x w^T, and the way back: into dx, which holds the
 * product's own part already (NULL: nobody needs it). */
void lora_add(struct trainer *t, int32_t i, enum lora_place p, const struct tensor *x,
              const struct tensor *y, const struct routing *r);
void lora_back(struct trainer *t, int32_t i, enum lora_place p, const struct tensor *dx,
               const struct tensor *x, const struct tensor *dy, const struct routing *r);
/* backward.c */
void layer_backward(struct trainer *t, int32_t i, const struct acts *a);

static inline struct tensor rows_of(void *data, enum dtype dtype, int64_t rows, int64_t cols)
{
    return (struct tensor){data, dtype, rows, cols, cols};
}

/* Columns first .. first+cols-1 of an f32 tensor. */
static inline struct tensor columns(const struct tensor *t, int64_t first, int64_t cols)
{
    return (struct tensor){(float *)t->data + first, DT_F32, t->rows, cols, t->stride};
}

/* The gradient at an offset of the flat buffers. */
static inline float *gradient_at(const struct trainer *t, int64_t at)
{
    return at < 0 ? NULL : t->to + at;
}

#endif
