/* tensors.h - tensors of a checkpoint as weights and vectors on the device (private to model).
 *
 * All return -1 with EXIT_CONFIG where a tensor is missing or of another shape or type, and
 * with the device's status where it fails.  Weights are packed straight from the map, which is
 * let go piece by piece, and kept as bf16 where nothing is lost or where products are computed
 * in it.
 */
#ifndef TENSORS_H
#define TENSORS_H

#include "base/buf.h"
#include "model/decoder.h"

struct loader {
    struct model *m;
    const struct ckpt *c;
    bool *used;      /* [tensors] */
    struct buf name; /* of the tensor that is looked at */
    struct err *e;
};

/* A range of rows of a weight: a tensor, or where it is not the only one, a part of it. */
struct part {
    const char *name; /* without layer and suffix */
    int64_t rows;
};

/* "model.layers.3.mlp.down_proj.weight"; layer < 0: the name stands alone. */
const char *tensor_name(struct loader *l, int32_t layer, const char *name, const char *suffix);
/* Marks it as used; NULL where it is not there. */
const struct ckpt_tensor *tensor_find(struct loader *l, const char *name);

/* One weight from the parts, one under the other; each has `cols` columns. */
int load_matrix(struct loader *l, struct weight **out, int32_t layer, const struct part *parts,
                int n, int64_t cols) MUST_CHECK;
/* One f32 vector from the parts, end to end. */
int load_vector(struct loader *l, float **out, int32_t layer, const struct part *parts, int n,
                const char *suffix) MUST_CHECK;
/* A matrix and, where the architecture has one, its bias. */
int load_linear(struct loader *l, struct weight **w, float **bias, bool has_bias, int32_t layer,
                const struct part *parts, int n, int64_t cols) MUST_CHECK;

/* [experts, rows] of f32. */
int load_expert_bias(struct loader *l, float **out, int32_t layer, int32_t experts,
                     const struct part *part, const char *suffix) MUST_CHECK;
/* The weights of all experts: */
/* each from tensors of its own, "PREFIXe.NAME.weight"; */
int load_experts_apart(struct loader *l, struct weight **out, int32_t layer, int32_t experts,
                       const char *prefix, const struct part *parts, int n,
                       int64_t cols) MUST_CHECK;
/* from one tensor [experts, cols, rows]; */
int load_experts_columns(struct loader *l, struct weight **out, int32_t layer, int32_t experts,
                         const struct part *part, int64_t cols) MUST_CHECK;
/* from NAME_blocks [experts, rows, cols / 32, 16] and NAME_scales, kept as they are. */
int load_experts_mxfp4(struct loader *l, struct weight **out, int32_t layer, int32_t experts,
                       const struct part *part, int64_t cols) MUST_CHECK;

#endif
