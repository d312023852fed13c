/* lora.h - adapters of a model: which modules they change, and their rows in a forward (private
 * to model).
 */
#ifndef LORA_H
#define LORA_H

#include "model/arch.h"
#include "model/model.h"

/* The products of a layer that adapters may change.  Some are stored as one weight, so a module
 * is a range of its outputs. */
enum lora_place {
    LORA_QKV,
    LORA_O,
    LORA_GATE_UP,
    LORA_DOWN,
    LORA_ROUTER,
    LORA_EXPERTS_GATE_UP, /* these two in the order of rows sorted by expert */
    LORA_EXPERTS_DOWN,
};

/* How PEFT sees it: a linear layer, or its weight as a parameter; a parameter of all experts;
 * or a linear layer of each expert. */
enum lora_form { LORA_LINEAR, LORA_PARAMETER, LORA_APART };

struct lora_module {
    const char *name; /* within the layer; LORA_APART: behind "EXPERTSe." */
    enum lora_form form;
    enum lora_place place;
    int64_t first, n, k; /* outputs first .. first+n-1 of the product, from k inputs */
    bool standard;       /* PEFT's choice where target_modules is null */
};

enum { LORA_MODULES = 10 };
/* The modules of a layer; returns how many. */
int lora_modules(const struct spec *s, int32_t layer, struct lora_module out[LORA_MODULES]);

struct lora {
    struct weight *a, *b; /* NULL: the module stays as it is */
    int32_t rank;
    float scale;
};

struct adapter {
    struct lora (*layer)[LORA_MODULES]; /* [layers] */
    struct weight *embed, *head;        /* NULL: the model's own */
    int32_t rank;                       /* the largest */
    bool experts;                       /* it changes some */
    bool here;                          /* in the batch of this forward */
};

/* Gives back all adapters and what a forward needs for them. */
void lora_release(struct model *m);

/* ---- in a forward --------------------------------------------------------- */

/* Neighbouring tokens of one adapter. */
struct lora_run {
    int32_t first, rows;
    const struct adapter *adapter; /* NULL: none */
};

/* What a forward knows of its adapters; set up with the first one that is loaded. */
struct lora_work {
    float *t; /* device, [rows, rank]: what lies between the two small products */
    int64_t rows;
    int32_t rank;
    struct lora_run *runs; /* [T], n_runs of them in use; 0: the batch has no adapter */
    int32_t n_runs;
    const struct adapter **kept; /* [R]: whose the kept rows are */
    struct lora_rows *groups;    /* [T] */
    int32_t *whose;              /* [T]: numbers of the tokens' adapters */
    int32_t *dev_whose;          /* the same on the device; NULL: no adapter changes experts */
};

/* Finds the runs of a batch, and whose the kept rows are. */
void lora_begin(struct model *m, const struct batch *b);
/* Behind the product of a place: y = x w^T gets what the rows' adapters add. */
void lora_apply(struct model *m, int32_t layer, enum lora_place place, const struct tensor *x,
                const struct tensor *y);
/* The same on rows sorted by expert. */
void lora_apply_experts(struct model *m, int32_t layer, enum lora_place place,
                        const struct tensor *x, const struct tensor *y);
/* The embedding of all tokens, by their adapters'. */
void lora_embed(struct model *m, const struct tensor *y);
/* How many of the kept rows from r0 on, n at most, go through the same head; and which. */
int32_t lora_head(const struct model *m, int32_t r0, int32_t n, const struct weight **head);

#endif
