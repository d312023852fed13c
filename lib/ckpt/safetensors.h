/* safetensors.h - what the directory reader needs of a file beyond its tensors (private). */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "base/hash.h"
#include "ckpt/ckpt.h"

/* Chains the file's size and header, which name every tensor with type, shape and place. */
uint64_t safetensors_hash(const struct safetensors *s, uint64_t seed);

#endif
