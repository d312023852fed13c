/* ckpt.h - model directories in Hugging Face layout: configuration and mapped tensors.
 *
 * Everything in a directory may come from a stranger: sizes and offsets are checked before they
 * are used, only files inside the directory are opened, nothing is executed.
 */
#ifndef CKPT_H
#define CKPT_H

#include "base/error.h"

#include <stdint.h>

/* jansson's.  Its header is left to those who look inside: its names clash with rec/json.h's.
 */
typedef struct json_t json_t;

enum ckpt_dtype { CKPT_F32, CKPT_F16, CKPT_BF16, CKPT_U8, CKPT_I64, CKPT_OTHER };

enum { CKPT_DIMS_MAX = 8 };

struct ckpt_tensor {
    const char *name;
    enum ckpt_dtype dtype;
    const char *dtype_name; /* as the file spells it, for messages */
    int nd;
    int64_t shape[CKPT_DIMS_MAX];
    const void *data; /* in the map: row-major, little-endian, perhaps unaligned */
    int64_t bytes;
};

struct ckpt;

/* Opens dir: config.json, generation_config.json where there is one, and model.safetensors or
 * the shards of model.safetensors.index.json.  Headers are checked whole; no tensor data is
 * touched. EXIT_NOINPUT: no such directory; EXIT_CONFIG: everything that is wrong in it, by
 * name (a GGUF file, a pickle or an LFS pointer is recognised and said). */
struct ckpt *ckpt_open(const char *dir, struct err *e);
void ckpt_close(struct ckpt *c);

const char *ckpt_dir(const struct ckpt *c);
const json_t *ckpt_config(const struct ckpt *c);     /* borrowed */
const json_t *ckpt_generation(const struct ckpt *c); /* borrowed; NULL when absent */

size_t ckpt_count(const struct ckpt *c);
const struct ckpt_tensor *ckpt_at(const struct ckpt *c, size_t i); /* sorted by name */
const struct ckpt_tensor *ckpt_find(const struct ckpt *c, const char *name); /* NULL: absent */
/* Lets the kernel drop a tensor's pages after it was packed. */
void ckpt_done_with(const struct ckpt *c, const struct ckpt_tensor *t);

/* Element i of an F32, F16 or BF16 tensor. */
float ckpt_value(const struct ckpt_tensor *t, int64_t i);

/* Tells two models apart: config, index, tokenizer, template and tensor headers, with the sizes
 * of the files (not the weights themselves, so that it costs nothing). */
uint64_t ckpt_hash(const struct ckpt *c);

/* One safetensors file, for adapters and tests.  The same checks. */
struct safetensors;
struct safetensors *safetensors_open(const char *path, struct err *e);
void safetensors_close(struct safetensors *s);
size_t safetensors_count(const struct safetensors *s);
const struct ckpt_tensor *safetensors_at(const struct safetensors *s, size_t i); /* by name */
const struct ckpt_tensor *safetensors_find(const struct safetensors *s, const char *name);

#endif
