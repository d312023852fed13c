/* lora_load.h - what the files that read adapters share (private to model). */
#ifndef LORA_LOAD_H
#define LORA_LOAD_H

#include "base/buf.h"
#include "ckpt/peft.h"
#include "model/decoder.h"
#include "model/lora_config.h"

struct lora_loader {
    struct model *m;
    struct adapter *a;
    const struct safetensors *file;
    struct lora_config config;
    bool *used;               /* [tensors] */
    bool *matched;            /* [entries of target_modules] */
    bool *matched_parameters; /* [entries of target_parameters] */
    bool any;                 /* a module is changed */
    enum { SIDES_UNKNOWN, SIDES_PLAIN, SIDES_SWAPPED } sides; /* of experts' parameters */
    struct buf module;                                        /* a module's full name */
    struct buf name; /* of the tensor that is looked at */
    struct err *e;
};

/* The adapter's matrices onto m's device; m has its spec.  What was made stays in a. */
int lora_load(struct model *m, struct adapter *a, const struct peft *p,
              struct err *e) MUST_CHECK;
void lora_free(struct model *m, struct adapter *a);

/* "base_model.model.MODULE.lora_A.weight" into l->name. */
void lora_tensor_name(struct lora_loader *l, const char *module, char letter);
/* The tensor l->name, rows x cols of it; NULL after an error. */
const struct ckpt_tensor *lora_tensor(struct lora_loader *l, int64_t rows, int64_t cols,
                                      enum dtype *dtype);
/* The same if it is there, without an error. */
const struct ckpt_tensor *lora_tensor_if(const struct lora_loader *l);

/* Whether target_modules takes in the module of that full name; its entries are marked. */
int lora_targets(struct lora_loader *l, const char *module, int32_t layer, bool standard);
/* The same of target_parameters and a parameter's full name. */
bool lora_targets_parameter(struct lora_loader *l, const char *parameter);
/* Notes that a module of this rank is changed. */
void lora_note(struct lora_loader *l, int32_t rank);

/* lora_experts.c: finds on which side of experts' parameters inputs stand in the file. */
void lora_find_sides(struct lora_loader *l);
int lora_load_parameter(struct lora_loader *l, int32_t layer, const struct lora_module *module,
                        struct lora *to) MUST_CHECK;
int lora_load_apart(struct lora_loader *l, int32_t layer, const struct lora_module *module,
                    struct lora *to) MUST_CHECK;

#endif
