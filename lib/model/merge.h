/* merge.h - a model with a LoRA adapter added into its weights.
 *
 * What model_load_adapter() takes can be merged, but for what the base's layout has no place
 * for: experts kept as MXFP4, and a head apart from the embedding where the base has one for
 * both.  Those are refused by name.
 */
#ifndef MERGE_H
#define MERGE_H

#include "ckpt/peft.h"
#include "ckpt/save.h"
#include "dev/dev.h"

struct merge;

/* base and p must outlive it.  EXIT_CONFIG, as model_load_adapter(). */
struct merge *merge_open(const struct ckpt *base, const struct peft *p, struct err *e);
void merge_close(struct merge *g);
int32_t merge_vocab(const struct merge *g);

/* Tensor i of the base as it is to be saved, in the base's type; valid until merge_close().
 * True where the adapter changes it. */
bool merge_tensor(struct merge *g, size_t i, struct save_tensor *out);

/* ---- how far two models are apart ---------------------------------------- */

enum { MERGE_TOKENS = 256, MERGE_ROWS = 16 }; /* of a prompt, and its last rows */

struct merge_prompt {
    const int32_t *ids; /* of the vocabulary */
    int32_t n;          /* 1..MERGE_TOKENS */
};

/* The logits of each prompt's last rows, end to end, in f32 and with the adapter unless p is
 * NULL: merge_logits_count() of them.  The caller frees them; NULL: the status says why. */
float *merge_logits(struct dev *d, const struct ckpt *c, const struct peft *p,
                    const struct merge_prompt *v, size_t n, struct err *e);
int64_t merge_logits_count(int32_t vocab, const struct merge_prompt *v, size_t n);

#endif
