/* shards.h - tensors as safetensors files, in one piece or in shards (private to ckpt). */
#ifndef SHARDS_H
#define SHARDS_H

#include "base/file.h"
#include "ckpt/save.h"

struct shards_tensor {
    struct save_tensor t; /* its name is its own */
    int64_t bytes;        /* as stored */
    int32_t shard;        /* from 0, within its file */
};

/* All tensors of one FILE. */
struct shards_file {
    char *name;
    struct shards_tensor *v;
    size_t n, cap;
};

struct shards {
    struct shards_file *files;
    size_t n, cap;
    int64_t limit; /* bytes of a shard, unless one tensor has more */
};

void shards_init(struct shards *s);
void shards_release(struct shards *s);
void shards_add(struct shards *s, const char *file, const struct save_tensor *t);
/* All files, into the directory `fd`, which messages call `dir`. */
int shards_write(struct shards *s, int fd, const char *dir, struct err *e) MUST_CHECK;

/* A new file in the directory; o->name is its path. */
int shards_create(int fd, const char *dir, const char *name, struct out *o,
                  struct err *e) MUST_CHECK;
/* Flushes, syncs and closes it; rc: what went before, passed on. */
int shards_finish(struct out *o, int rc, struct err *e) MUST_CHECK;

#endif
