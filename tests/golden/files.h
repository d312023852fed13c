/* files.h - directories with tensors that a runner makes for itself. */
#ifndef FILES_H
#define FILES_H

#include "golden.h"

#include "base/file.h"

#include <stdlib.h>
#include <unistd.h>

/* A safetensors file in the making; {0} is an empty one. */
struct tensor_file {
    struct buf header, data;
};

static inline void tensor_file_add(struct tensor_file *f, const char *name, const char *dtype,
                                   int nd, const int64_t *shape, const void *p, size_t bytes)
{
    buf_printf(&f->header, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[", f->header.n ? ',' : '{',
               name, dtype);
    for (int i = 0; i < nd; i++)
        buf_printf(&f->header, "%s%lld", i ? "," : "", (long long)shape[i]);
    buf_printf(&f->header, "],\"data_offsets\":[%zu,%zu]}", f->data.n, f->data.n + bytes);
    buf_add(&f->data, p, bytes);
}

static inline void files_put(const char *dir, const char *name, const void *p, size_t n)
{
    struct err e = {0};
    char *path = xasprintf("%s/%s", dir, name);
    if (file_write_atomic(path, (struct str){p, n}, &e) < 0)
        die_err(&e);
    free(path);
}

/* Writes the file, and forgets it. */
static inline void tensor_file_write(struct tensor_file *f, const char *dir, const char *name)
{
    struct buf all = {0};
    buf_puts(&f->header, f->header.n ? "}" : "{}");
    for (int i = 0; i < 8; i++)
        buf_putc(&all, (char)((uint64_t)f->header.n >> 8 * i & 255));
    buf_add(&all, f->header.p, f->header.n);
    buf_add(&all, f->data.p, f->data.n);
    files_put(dir, name, all.p, all.n);
    buf_release(&all);
    buf_release(&f->header);
    buf_release(&f->data);
}

static inline void files_copy(const char *from, const char *dir, const char *name)
{
    struct err e = {0};
    struct buf b = {0};
    char *path = xasprintf("%s/%s", from, name);
    if (file_read(&b, path, 1 << 24, &e) < 0)
        die_err(&e);
    files_put(dir, name, b.p, b.n);
    buf_release(&b);
    free(path);
}

/* A new directory, its name in the static buffer; files_remove() takes the names in it. */
static inline const char *files_dir(void)
{
    static char dir[4096];
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/golden.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        die(EXIT_IO, "%s:", dir);
    return dir;
}

static inline void files_remove(const char *dir, const char *const *names)
{
    for (; *names; names++) {
        char *path = xasprintf("%s/%s", dir, *names);
        (void)!unlink(path);
        free(path);
    }
    (void)!rmdir(dir);
}

#endif
