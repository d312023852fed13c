/* decoder.h - a model on its device: weights, activations, keys and values (private to model).
 */
#ifndef DECODER_H
#define DECODER_H

#include "model/arch.h"
#include "model/lora.h"
#include "model/model.h"

/* One layer's weights; vectors are f32 on the device.  NULL: the architecture has none. */
struct layer {
    struct weight *qkv, *o;
    struct weight *router, *gate_up, *down; /* with a router, the others are of all experts */
    float *qkv_bias, *o_bias, *router_bias, *gate_up_bias, *down_bias;
    float *sinks;
    float *norm[NORM_PLACES];
    float *q_norm, *k_norm;
};

/* Buffers for the activations of one forward of T tokens and R kept rows. */
struct work {
    float *x;       /* [T, C] residual stream */
    void *in;       /* [T, C] what enters a product, of type act */
    float *qkv;     /* [T, (H + 2G) D] */
    void *heads;    /* [T, H D], type act */
    float *gate_up; /* [T, 2F], or with experts [S, 2F] of S = T * experts_used rows */
    void *gated;    /* [T, F] or [S, F], type act */
    float *out;     /* [T, C] a half layer's result */
    float *normed;  /* [T, C] the same behind its norm; NULL where no layer has one */
    float *last;    /* [R, C] residual stream of the kept rows */
    void *kept;     /* [R, C] the same behind the final norm, type act */
    void *ids, *pos, *rows, *spans, *copies, *pages; /* the batch itself */
    void *picked;    /* int32_t[R]: ids for the head, or from it */
    float *logprobs; /* [R] */
    float *logits;   /* [LOGIT_ROWS, V] */
    /* With experts. */
    float *choice;          /* [T, E] the router's logits */
    struct routing routing; /* and what follows from them */
    void *sorted; /* [S, C] what enters the experts, and then, as f32, what they give */
};

enum { LOGIT_ROWS = 8 };

struct model {
    struct dev *dev;
    struct spec spec;
    struct model_config config;
    enum dtype act; /* of what enters products */
    struct model_info info;
    struct layer *layer;         /* [layers] */
    struct weight *embed, *head; /* the same where tied */
    float *final_norm;
    float *cos_sin;  /* [ropes * positions, rotary], one table behind the other */
    int32_t *places; /* host, [batch_tokens]: rows of a table for long sequences, or NULL */
    struct kv *kv;
    struct work work;
    struct adapter *adapters; /* [n_adapters]; number i stands at i - 1 */
    int32_t n_adapters;
    size_t cap_adapters;
    struct lora_work lora;
    int32_t positions; /* rows of a rope table, and so the longest sequence */
    int32_t kept;      /* rows kept by the last forward */
    int64_t pages_max; /* entries of all page lists of a forward */
};

/* load.c: all weights from the checkpoint onto the device.  What was made stays in m. */
int load_weights(struct model *m, const struct ckpt *c, struct err *e) MUST_CHECK;
void free_weights(struct model *m);

#endif
