/* trainer.h - the mathematics of training: token ids and weights of targets in, gradients and
 * changed weights out.
 *
 * Knows nothing of text, files of records, ranks or checkpoints on a disk.  What it computes in
 * f32 on a CPU depends on the units of a step alone, bit for bit: not on how they were cut into
 * micro-batches, on the number of threads, or on who computed which of them.
 *
 * The order of that sum.  Units 0 .. n-1 of a step are summed by a tree in which unit 0's half
 * are the even ones: T(o, s) = T(o, 2s) + T(o + s, 2s), T(o, s) = unit o where o + s >= n.  So
 * the units r, r + R, r + 2R, ... (R a power of two) are one subtree: rank r of R computes
 * those with trainer_gradient(), in this order, and the ranks' results are summed by
 *
 *     for (s = R / 2; s >= 1; s /= 2)  rank r < s:  own += that of rank r + s
 *
 * which is the same tree.  A rank that has no unit takes part with nothing (its part is left
 * out, not added as zeros).
 */
#ifndef TRAINER_H
#define TRAINER_H

#include "ckpt/ckpt.h"
#include "dev/dev.h"

struct trainer;

/* ---- what is trained ------------------------------------------------------- */

/* LoRA as PEFT has it; lists are borrowed until trainer_open() returns. */
struct train_lora {
    int32_t rank;
    double alpha;
    bool rslora;
    double dropout;             /* of what enters A; 0: none */
    const char *const *targets; /* target_modules: names, or ends of names behind a dot; none at
                                   all: the linear layers of attention and of dense MLPs */
    const char *const
        *parameters;         /* target_parameters: experts' ("mlp.experts.gate_up_proj") */
    const char *const *save; /* modules_to_save: the embedding and the head */
    size_t n_targets, n_parameters, n_save;
};

struct trainer_options {
    enum dtype dtype; /* DT_F32, or DT_BF16: weights as they enter products; masters,
                         moments, gradients and sums are f32 */
    const struct train_lora *lora; /* NULL: all weights are trained */
    uint64_t seed;                 /* first weights, dropout */
    int32_t tokens;                /* most tokens of a micro-batch; a longer unit makes one by
                                      itself, so this is also the longest unit */
    int64_t memory;                /* bytes that may hold activations; what does not fit is
                                      computed again on the way back.  0: as little as can be */
};

/* On a checkpoint's weights.  EXIT_CONFIG: what cannot be trained, by name. */
struct trainer *trainer_open(struct dev *d, const struct ckpt *c,
                             const struct trainer_options *o, struct err *e);
/* From the beginning, by a config.json alone; initialised as transformers does. */
struct trainer *trainer_init(struct dev *d, const json_t *config,
                             const struct trainer_options *o, struct err *e);
void trainer_close(struct trainer *t);

struct trainer_info {
    const char *type; /* model_type */
    int32_t vocab, context;
    int64_t params;    /* of the whole model */
    int64_t trainable; /* elements that are trained */
    int64_t floats;    /* length of the flat buffers of weights and moments */
    int64_t gradient;  /* of the gradient: longer where a tensor has two parts, which
                          trainer_apply() adds up; buckets cover all of it */
    int64_t bytes;     /* device memory in use: weights, flat buffers, activations */
};
void trainer_info(const struct trainer *t, struct trainer_info *out);

/* ---- one step --------------------------------------------------------------- */

/* A sequence of a unit: it sees itself alone, and its positions begin at 0. */
struct train_seq {
    int32_t tokens;
    uint64_t key; /* of dropout: the record's place in the run, so that who computes it does not
                     matter */
};

/* What stands at one leaf of the tree: one record, or several packed into a row.  Nothing is
 * padded: units of a micro-batch are laid end to end. */
struct train_unit {
    const int32_t *ids;  /* [tokens] */
    const float *weight; /* [tokens]: of predicting ids[t] from what stands before it in
                            its sequence; 0 at a sequence's first token */
    const struct train_seq *seqs; /* end to end, `tokens` in all */
    int32_t tokens, n_seqs;
};

/* Called when a bucket's gradient is complete on this rank, in the order of buckets, while the
 * rest is still being computed. */
struct train_watch {
    void (*bucket)(void *arg, int i);
    void *arg;
};

/* The gradient of scale * sum over the units of weight * -log p(token): with scale 1 / N, N the
 * sum of the weights of the whole global batch, that of its mean.  Replaces what the gradient
 * buffer held.  nll[u]: the unit's own sum of weight * -log p, not scaled.  n >= 1. */
int trainer_gradient(struct trainer *t, const struct train_unit *units, int32_t n, float scale,
                     double *nll, const struct train_watch *w, struct err *e) MUST_CHECK;

/* Forward alone, without dropout: nll[u] as above; and where logprob is not NULL, log p of each
 * token whose weight is not 0 (others: 0), of all units end to end. */
int trainer_evaluate(struct trainer *t, const struct train_unit *units, int32_t n, double *nll,
                     float *logprob, struct err *e) MUST_CHECK;

struct train_update {
    double lr, beta1, beta2, eps, weight_decay;
    double max_norm; /* of the gradient; 0: it is not clipped */
};

/* AdamW with the gradient buffer, which holds the sum over all ranks by now: the next step.
 * Decay is on matrices alone.  *norm: the gradient's, before clipping.  EXIT_DATA where it is
 * not finite: nothing has changed then. */
int trainer_apply(struct trainer *t, const struct train_update *u, double *norm,
                  struct err *e) MUST_CHECK;

/* ---- the flat buffers ---------------------------------------------------------- */

/* All tensors that are trained stand end to end, in one order, in four buffers of f32. */
enum train_flat { TRAIN_WEIGHT, TRAIN_GRADIENT, TRAIN_MOMENT1, TRAIN_MOMENT2, TRAIN_FLATS };

/* Device address; on a CPU also the host's. */
float *trainer_flat(struct trainer *t, enum train_flat which);

/* A range of the gradient that is complete at one time. */
struct train_bucket {
    int64_t at, n;
};
const struct train_bucket *trainer_buckets(const struct trainer *t, int *n);

struct train_tensor {
    const char *name; /* as in the file that the result is: the model's, or PEFT's */
    int nd;
    int64_t shape[3];
    int64_t at, n; /* in the flat buffers */
    bool decay;
};
const struct train_tensor *trainer_tensors(const struct trainer *t, size_t *n);

/* Copies n floats from `at` on, between a flat buffer and the host. */
int trainer_read(struct trainer *t, enum train_flat which, int64_t at, int64_t n, float *to,
                 struct err *e) MUST_CHECK;
int trainer_write(struct trainer *t, enum train_flat which, int64_t at, int64_t n,
                  const float *from, struct err *e) MUST_CHECK;
/* The same of tensor i of TRAIN_WEIGHT or TRAIN_GRADIENT as its file has it: the buffers may
 * keep an adapter's experts in another order. */
int trainer_export(struct trainer *t, enum train_flat which, size_t i, float *to,
                   struct err *e) MUST_CHECK;
int trainer_import(struct trainer *t, enum train_flat which, size_t i, const float *from,
                   struct err *e) MUST_CHECK;
/* After TRAIN_WEIGHT was written to: takes them over into the model. */
int trainer_changed(struct trainer *t, struct err *e) MUST_CHECK;

/* Steps applied so far: what AdamW's corrections and dropout know of the past.  With the four
 * buffers (the gradient's content does not matter) this is the whole state. */
int64_t trainer_step(const struct trainer *t);
void trainer_set_step(struct trainer *t, int64_t step);

/* adapter_config.json of what is trained, to be released by the caller; NULL: not LoRA. */
json_t *trainer_adapter_config(const struct trainer *t, const char *base_model);

#endif
