/* save.h - writing a model directory, a checkpoint or an adapter: whole, or not at all.
 *
 * A directory is written as DIR.part: every file flushed and synced, then the directory renamed
 * and its parent synced.  So a directory under its final name is complete, and what a killed
 * writer left is taken over by the next one.
 *
 *     struct save *s = save_open("out/step-100", &e);
 *     struct save_tensor t = {.name = "w", .dtype = CKPT_BF16, .nd = 2, .shape = {2, 3},
 *                             .from = CKPT_F32, .data = values};
 *     save_tensor(s, "model", &t);            ... for each
 *     save_copy(s, base_dir, "config.json", &e);
 *     save_commit(s, &e);                     or save_abandon(s)
 */
#ifndef SAVE_H
#define SAVE_H

#include "base/buf.h"
#include "ckpt/ckpt.h"

/* A tensor to be written.  What is stored is of `dtype`; what is given is of `from`: the same
 * type, or CKPT_F32 where CKPT_F16 or CKPT_BF16 is stored (rounded to nearest even). */
struct save_tensor {
    const char *name; /* copied */
    enum ckpt_dtype dtype, from;
    int nd;
    int64_t shape[CKPT_DIMS_MAX];
    const void *data; /* all elements, row-major, until the commit; or NULL: */
    /* fills `to` with the n elements from `first` on; called at the commit, front to back */
    int (*read)(void *arg, int64_t first, int64_t n, void *to, struct err *e);
    void *arg;
};

struct save;

/* Begins a directory.  EXIT_USAGE: there is one of that name that is not empty; EXIT_AGAIN: it
 * is being written by another process; EXIT_IO. */
struct save *save_open(const char *dir, struct err *e);

/* Adds a tensor to FILE.safetensors, which becomes FILE-00001-of-0000N.safetensors with
 * FILE.safetensors.index.json where its tensors have more bytes than a shard.  Nothing is read
 * or written yet.  A name or type that no reader would take is a bug of the caller's. */
void save_tensor(struct save *s, const char *file, const struct save_tensor *t);
void save_shard_bytes(struct save *s, int64_t bytes); /* default 5e9 */

/* Writes a small file now; `name` has no '/'. */
int save_bytes(struct save *s, const char *name, struct str bytes, struct err *e) MUST_CHECK;
/* Copies a file of another directory as it is; 0 also where there is none. */
int save_copy(struct save *s, const char *dir, const char *name, struct err *e) MUST_CHECK;
/* The same of all that a model directory has beside its weights: configuration, tokenizer,
 * chat template, generation defaults, licence. */
int save_copy_model(struct save *s, const char *dir, struct err *e) MUST_CHECK;

/* Writes the tensors, but gives the directory its name only with save_commit().  Where what was
 * written must first be looked at: its place until then is save_part(). */
int save_write(struct save *s, struct err *e) MUST_CHECK;
const char *save_part(const struct save *s);

/* save_write() if that was not done, then the name.  s is gone, whatever is returned; after a
 * failure so is DIR.part. */
int save_commit(struct save *s, struct err *e) MUST_CHECK;
/* Takes away what was written. */
void save_abandon(struct save *s);

#endif
