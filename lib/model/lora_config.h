/* lora_config.h - what an adapter_config.json says of a module (private to model).
 *
 * The rules are PEFT's (0.21), and what they do not allow, or what this decoder cannot do, is
 * refused by the field's name: nothing is passed over in silence.
 */
#ifndef LORA_CONFIG_H
#define LORA_CONFIG_H

#include "ckpt/match.h"
#include "model/fields.h"

/* A pattern and the number that it stands for. */
struct lora_rule {
    int pattern;
    double value;
};

/* Module names by a list (the name itself, or its end behind a dot) or by one pattern. */
struct lora_names {
    const json_t *list; /* of strings, borrowed from the configuration; NULL: none */
    int pattern;        /* where there is no list; -1: none */
};

struct lora_config {
    struct matcher *matcher;
    int32_t r;
    double alpha;
    bool rslora;
    enum { TARGET_NAMES, TARGET_ALL, TARGET_DEFAULT } target;
    struct lora_names targets, exclude;
    const json_t *layers; /* a number or a list of numbers; NULL: all */
    struct lora_rule *ranks, *alphas;
    size_t n_ranks, n_alphas;
    const json_t *parameters; /* target_parameters, a list of strings; NULL: none */
    const json_t *save;       /* modules_to_save, a list of strings; NULL: none */
};

/* The configuration must outlive c.  EXIT_CONFIG names the field. */
int lora_config_read(struct lora_config *c, const json_t *config, struct err *e) MUST_CHECK;
void lora_config_release(struct lora_config *c);

/* 1: the adapter changes the module of that name; 0: it does not.  `standard`: the module is
 * one of those that PEFT takes where target_modules is null.  layer < 0: in no layer. */
int lora_config_targets(struct lora_config *c, const char *name, int32_t layer, bool standard,
                        struct err *e) MUST_CHECK;
/* Whether target_parameters names that parameter. */
bool lora_config_parameter(const struct lora_config *c, const char *name);
/* True where `name` is that module or ends in it behind a dot. */
bool lora_name_is(const char *name, const char *module);

/* The rank of a module and the factor of its product. */
int lora_config_scale(struct lora_config *c, const char *name, int32_t *rank, float *scale,
                      struct err *e) MUST_CHECK;

#endif
