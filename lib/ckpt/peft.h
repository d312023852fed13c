/* peft.h - an adapter's directory as PEFT writes it: its configuration and its tensors.
 *
 * Opened with the same care as a model directory (ckpt.h).  What the configuration means is for
 * those who know the model (model/lora_config.h).
 */
#ifndef PEFT_H
#define PEFT_H

#include "ckpt/ckpt.h"

struct peft;

/* Opens dir: adapter_config.json and adapter_model.safetensors.  EXIT_NOINPUT: no such
 * directory; EXIT_CONFIG: what is wrong in it, by name. */
struct peft *peft_open(const char *dir, struct err *e);
void peft_close(struct peft *p);

const char *peft_dir(const struct peft *p);
const json_t *peft_config(const struct peft *p);              /* borrowed */
const struct safetensors *peft_tensors(const struct peft *p); /* borrowed */

/* Tells two adapters apart by every byte of both files: those of one training have the same
 * names and shapes and differ in numbers alone. */
uint64_t peft_hash(const struct peft *p);

#endif
