/* adapters.h - the LoRA adapters of a run: --adapter, and the name that a record gives. */
#ifndef ADAPTERS_H
#define ADAPTERS_H

#include "base/args.h"
#include "base/buf.h"
#include "ckpt/peft.h"
#include "model/model.h"

struct adapter_entry {
    char *name; /* NULL: for all records that name none */
    struct peft *peft;
    int32_t number; /* of model_load_adapter() */
};

struct adapters {
    struct adapter_entry *v;
    size_t n;
};

/* Opens the directories of a list of [NAME=]DIR.  EXIT_USAGE: a name or the adapter for all is
 * given twice. */
int adapters_open(struct adapters *a, const struct arg_list *list, struct err *e) MUST_CHECK;
/* Puts them beside the model. */
int adapters_load(struct adapters *a, struct model *m, struct err *e) MUST_CHECK;
void adapters_close(struct adapters *a);

/* The number for a record that names none. */
int32_t adapters_default(const struct adapters *a);
/* The number of a name; -1: *e lists those that there are. */
int32_t adapters_find(const struct adapters *a, struct str name, struct err *e) MUST_CHECK;

#endif
