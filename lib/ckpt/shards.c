/* shards.c - tensors as safetensors files, in one piece or in shards with an index. */
#include "ckpt/shards.h"

#include "base/half.h"
#include "rec/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* Elements that are converted at a time. */
enum { PIECE = 1 << 16, HEADER_ALIGN = 8 };

static const struct {
    const char *name;
    int64_t size;
} types[] = {
    [CKPT_F32] = {"F32", 4}, [CKPT_F16] = {"F16", 2}, [CKPT_BF16] = {"BF16", 2},
    [CKPT_U8] = {"U8", 1},   [CKPT_I64] = {"I64", 8},
};

/* ---- a list of tensors ------------------------------------------------------ */

void shards_init(struct shards *s)
{
    *s = (struct shards){.limit = 5000000000};
}

void shards_release(struct shards *s)
{
    for (size_t f = 0; f < s->n; f++) {
        for (size_t i = 0; i < s->files[f].n; i++)
            free((char *)(uintptr_t)s->files[f].v[i].t.name);
        free(s->files[f].v);
        free(s->files[f].name);
    }
    free(s->files);
    *s = (struct shards){0};
}

static struct shards_file *file_of(struct shards *s, const char *name)
{
    for (size_t f = 0; f < s->n; f++)
        if (!strcmp(s->files[f].name, name))
            return &s->files[f];
    GROW(s->files, s->cap, s->n + 1);
    s->files[s->n] = (struct shards_file){.name = xstrdup(name)};
    return &s->files[s->n++];
}

void shards_add(struct shards *s, const char *file, const struct save_tensor *t)
{
    struct shards_file *f = file_of(s, file);
    bool half = t->dtype == CKPT_F16 || t->dtype == CKPT_BF16;
    int64_t bytes = t->dtype < CKPT_OTHER ? types[t->dtype].size : 0;
    if (!bytes || !(t->from == t->dtype || (half && t->from == CKPT_F32)) || t->nd < 0 ||
        t->nd > CKPT_DIMS_MAX || !*t->name || !strcmp(t->name, "__metadata__"))
        BUG("tensor \"%s\" cannot be stored so", t->name);
    for (int i = 0; i < t->nd; i++)
        if (t->shape[i] < 0 || !size_mul(bytes, t->shape[i], &bytes))
            BUG("tensor \"%s\" has a bad shape", t->name);
    GROW(f->v, f->cap, f->n + 1);
    f->v[f->n] = (struct shards_tensor){.t = *t, .bytes = bytes};
    f->v[f->n++].t.name = xstrdup(t->name);
}

/* In the order in which they were added; returns how many shards. */
static int32_t deal(struct shards_file *f, int64_t limit)
{
    int64_t bytes = 0;
    int32_t shard = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (bytes && f->v[i].bytes > limit - bytes) {
            shard++;
            bytes = 0;
        }
        f->v[i].shard = shard;
        bytes += f->v[i].bytes;
    }
    return shard + 1;
}

/* ---- a file ----------------------------------------------------------------- */

int shards_create(int fd, const char *dir, const char *name, struct out *o, struct err *e)
{
    char *path = xasprintf("%s/%s", dir, name);
    int file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    out_open(o, file, path);
    if (file >= 0)
        return 0;
    err_set(e, EXIT_IO, "open %s:", path);
    free(path);
    return -1;
}

int shards_finish(struct out *o, int rc, struct err *e)
{
    char *path = (char *)(uintptr_t)o->name;
    if (rc == 0)
        rc = out_flush(o, e);
    if (rc == 0 && fsync(o->fd) < 0)
        rc = err_set(e, EXIT_IO, "sync %s:", path);
    buf_release(&o->buf);
    if (close(o->fd) < 0 && rc == 0)
        rc = err_set(e, EXIT_IO, "close %s:", path);
    free(path);
    return rc;
}

/* ---- a shard ---------------------------------------------------------------- */

/* Larger elements first, so that each stands at a multiple of its size. */
static int by_size(const void *a, const void *b)
{
    const struct shards_tensor *const *x = a, *const *y = b;
    int64_t p = types[(*x)->t.dtype].size, q = types[(*y)->t.dtype].size;
    if (p != q)
        return p > q ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

static void put_header(struct buf *b, const struct shards_tensor *const *v, size_t n)
{
    int64_t at = 0;
    buf_puts(b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        const struct save_tensor *t = &v[i]->t;
        buf_putc(b, ',');
        json_quote(b, str_of(t->name));
        buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", types[t->dtype].name);
        for (int d = 0; d < t->nd; d++)
            buf_printf(b, "%s%" PRId64, d ? "," : "", t->shape[d]);
        buf_printf(b, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", at, at + v[i]->bytes);
        at += v[i]->bytes;
    }
    buf_putc(b, '}');
    while (b->n % HEADER_ALIGN)
        buf_putc(b, ' ');
}

static int write_header(struct out *o, const struct shards_tensor *const *v, size_t n,
                        struct err *e)
{
    struct buf b = {0};
    char length[8];
    put_header(&b, v, n);
    for (int i = 0; i < 8; i++)
        length[i] = (char)((uint64_t)b.n >> 8 * i & 255);
    int rc = out_write(o, length, sizeof length, e);
    if (rc == 0)
        rc = out_write(o, b.p, b.n, e);
    buf_release(&b);
    return rc;
}

/* f32 values rounded in place. */
static void narrow(void *values, int64_t n, enum ckpt_dtype to)
{
    for (int64_t i = 0; i < n; i++) {
        float f;
        memcpy(&f, (char *)values + 4 * i, sizeof f);
        uint16_t h = to == CKPT_BF16 ? bf16_from_f32(f) : f16_from_f32(f);
        memcpy((char *)values + 2 * i, &h, sizeof h);
    }
}

static int write_values(struct out *o, const struct save_tensor *t, int64_t count, void *piece,
                        struct err *e)
{
    int64_t size = types[t->from].size, stored = types[t->dtype].size;
    for (int64_t at = 0, n; at < count; at += n) {
        n = count - at < PIECE ? count - at : PIECE;
        const void *p = piece;
        if (t->data && t->from == t->dtype)
            p = (const char *)t->data + at * size;
        else if (t->data)
            memcpy(piece, (const char *)t->data + at * size, (size_t)(n * size));
        else if (t->read(t->arg, at, n, piece, e) < 0)
            return -1;
        if (t->from != t->dtype)
            narrow(piece, n, t->dtype);
        if (out_write(o, p, (size_t)(n * stored), e) < 0)
            return -1;
    }
    return 0;
}

static int write_shard(const struct shards_file *f, int32_t shard, struct out *o, struct err *e)
{
    const struct shards_tensor **v = xcalloc(f->n, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].shard == shard)
            v[n++] = &f->v[i];
    qsort(v, n, sizeof *v, by_size);
    char *piece = xmalloc_n(PIECE, 8);
    int rc = write_header(o, v, n, e);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = write_values(o, &v[i]->t, v[i]->bytes / types[v[i]->t.dtype].size, piece, e);
    free(piece);
    free(v);
    return rc;
}

/* ---- all of them ------------------------------------------------------------ */

static char *shard_name(const struct shards_file *f, int32_t shard, int32_t shards)
{
    if (shards == 1)
        return xasprintf("%s.safetensors", f->name);
    return xasprintf("%s-%05d-of-%05d.safetensors", f->name, (int)shard + 1, (int)shards);
}

static void put_index(struct buf *b, const struct shards_file *f, int32_t shards)
{
    int64_t total = 0;
    for (size_t i = 0; i < f->n; i++)
        total += f->v[i].bytes;
    buf_printf(b, "{\n  \"metadata\": {\n    \"total_size\": %" PRId64 "\n  },\n", total);
    buf_puts(b, "  \"weight_map\": {");
    for (size_t i = 0; i < f->n; i++) {
        char *name = shard_name(f, f->v[i].shard, shards);
        buf_puts(b, i ? ",\n    " : "\n    ");
        json_quote(b, str_of(f->v[i].t.name));
        buf_printf(b, ": \"%s\"", name);
        free(name);
    }
    buf_puts(b, "\n  }\n}\n");
}

static int write_index(const struct shards_file *f, int32_t shards, int fd, const char *dir,
                       struct err *e)
{
    struct buf b = {0};
    struct out o;
    char *name = xasprintf("%s.safetensors.index.json", f->name);
    put_index(&b, f, shards);
    int rc = shards_create(fd, dir, name, &o, e);
    if (rc == 0)
        rc = shards_finish(&o, out_write(&o, b.p, b.n, e), e);
    buf_release(&b);
    free(name);
    return rc;
}

static int write_file(struct shards_file *f, int64_t limit, int fd, const char *dir,
                      struct err *e)
{
    int32_t shards = deal(f, limit);
    for (int32_t i = 0; i < shards; i++) {
        struct out o;
        char *name = shard_name(f, i, shards);
        int rc = shards_create(fd, dir, name, &o, e);
        if (rc == 0)
            rc = shards_finish(&o, write_shard(f, i, &o, e), e);
        free(name);
        if (rc < 0)
            return -1;
    }
    return shards > 1 ? write_index(f, shards, fd, dir, e) : 0;
}

int shards_write(struct shards *s, int fd, const char *dir, struct err *e)
{
    for (size_t f = 0; f < s->n; f++)
        if (write_file(&s->files[f], s->limit, fd, dir, e) < 0)
            return -1;
    return 0;
}
