/* arch.h - what an architecture is, as data (private to model).
 *
 * A row of archs.def reads config.json into a struct spec; the decoder reads nothing else.
 * Fields describe mechanics, never a family: a new model is a new arch_*.c and a line in
 * archs.def.
 */
#ifndef ARCH_H
#define ARCH_H

#include "dev/dev.h"
#include "model/fields.h"

/* ---- rotary positions ----------------------------------------------------- */

enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN, ROPE_FACTORS };

/* One table of cosines and sines. */
struct rope_spec {
    enum rope_kind kind;
    double theta;
    double factor;              /* linear, llama3, yarn */
    double low_freq, high_freq; /* llama3 */
    double fast, slow;          /* yarn: rotations within the first training's positions */
    bool truncate;              /* yarn: the range between them is of whole numbers */
    double original;            /* llama3, yarn: positions of the first training */
    double *factors;            /* ROPE_FACTORS: a divisor for each frequency; owned */
    double attention_factor;    /* on cosines and sines */
};

enum { ROPE_TABLES = 2 };

/* Fills [positions, rotary]: rotary/2 cosines, then as many sines. */
void rope_fill(const struct rope_spec *r, int32_t rotary, int32_t positions, float *cos_sin);

/* ---- layers --------------------------------------------------------------- */

/* Where a norm may stand around the two halves of a layer. */
enum norm_place { NORM_ATTN_IN, NORM_ATTN_OUT, NORM_MLP_IN, NORM_MLP_OUT, NORM_PLACES };

struct layer_spec {
    int32_t window; /* 0: every key */
    int32_t rope;   /* table; -1: no rotation */
    bool sparse;    /* experts in place of the one feed-forward part */
};

/* How the weights of experts are stored. */
enum expert_storage {
    EXPERTS_APART,   /* as tensors of their own, as those of a dense layer */
    EXPERTS_COLUMNS, /* all in one, [E, in, out] */
    EXPERTS_MXFP4    /* all in one, [E, out, in / 32] blocks and scales */
};

/* Tensor names without ".weight" and ".bias".  Those of a layer stand behind "LAYERSi.". */
struct names {
    const char *embed, *final_norm, *head, *layers;
    const char *norm[NORM_PLACES]; /* NULL: no norm there */
    const char *q, *k, *v;
    const char *qkv;             /* not NULL: stored as one, rows of q, k, v in this order */
    const char *q_norm, *k_norm; /* NULL: none */
    const char *o, *gate, *up, *down;
    const char *gate_up; /* not NULL: stored as one, rows of gate, then of up */
    const char *sinks;   /* NULL: none */
    const char *router;
    const char *experts; /* expert e's stand behind "EXPERTSe." where they are apart */
    const char *expert_gate, *expert_up, *expert_gate_up, *expert_down;
};

struct spec {
    const char *type;
    int32_t layers, width, ffn, heads, kv_heads, head_dim, vocab, context;
    struct layer_spec *layer; /* [layers], owned */
    struct names names;

    float eps;
    bool norm_plus_one; /* RMS norms multiply by 1 + weight */
    bool qk_norm_whole; /* q/k norms run over all heads at once */
    bool qkv_bias, o_bias, gate_up_bias, down_bias;
    bool tied; /* the head is the embedding */

    struct rope_spec rope[ROPE_TABLES];
    int32_t ropes;      /* tables in use */
    int32_t rotary;     /* elements of a head that are rotated */
    int32_t long_after; /* a sequence of more tokens takes table 1 for table 0; 0: never */

    float attention_scale, attention_cap;          /* cap 0: none */
    float embed_scale, residual_scale, head_scale; /* 1: not */
    float head_cap;
    enum gate_kind gate;

    /* Layers with experts; 0: there is none. */
    int32_t experts, experts_used, expert_ffn;
    enum expert_storage expert_storage;
    struct gated_args expert_gate;
    struct route_args route;
    bool router_bias, expert_bias;
};

/* Reads config.json by the row of its model_type; EXIT_CONFIG lists those there are. */
int spec_read(struct spec *s, const json_t *config, struct err *e) MUST_CHECK;
void spec_release(struct spec *s);

/* ---- for the rows --------------------------------------------------------- */

/* Sizes, eps, tied head, layers (all keys, table 0), head_dim^-0.5.  What the caller has put
 * into eps, tied, context and head_dim counts where the field is absent. */
void arch_common(struct fields *f, struct spec *s);
/* rope_theta + rope_scaling, or rope_parameters, into table 0. */
void arch_rope(struct fields *f, struct spec *s, double theta);
/* partial_rotary_factor, which newer files repeat among the parameters: that of s->rotary. */
void arch_rope_part(struct fields *f, const struct spec *s);
/* One table's parameters; theta: the fallback. */
void arch_rope_parameters(struct fields *f, struct rope_spec *r, double theta);
/* Numbers of experts and of those that a token uses; all layers are sparse. */
void arch_experts(struct fields *f, struct spec *s, int32_t experts, int32_t used);
enum { EXPERT_FFN_MAX = 1 << 20 };
/* sliding_window: 0 where it is null. */
int32_t arch_window(struct fields *f, int32_t fallback);
/* Every layer has the window, or those that layer_types says. */
void arch_slide_all(struct fields *f, struct spec *s, int32_t window);
/* All but each period-th layer slide (2: the even ones), or those that layer_types says. */
void arch_slide_period(struct fields *f, struct spec *s, int32_t window, int32_t period);
/* use_sliding_window turns sliding_window on, from layer max_window_layers on (Qwen). */
void arch_slide_switch(struct fields *f, struct spec *s);

/* The rows themselves. */
#define ARCH(type, read) void read(struct fields *f, struct spec *s);
#include "model/archs.def"
#undef ARCH

#endif
