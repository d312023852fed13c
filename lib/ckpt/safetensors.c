/* safetensors.c - one mapped safetensors file, its header checked whole.
 *
 * The file: 8 bytes little-endian length of the header, the header (JSON), the data.  Every
 * tensor's bytes follow the one before without a hole or an overlap, from 0 to the file's end,
 * so that nothing can hide in a file and no two readers see different tensors in it.
 */
#include "ckpt/safetensors.h"

#include "base/file.h"
#include "base/half.h"
#include "ckpt/document.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

enum { HEADER_MAX = 100000000 };

struct safetensors {
    struct file_map map;
    json_t *header; /* owns the names */
    size_t header_bytes;
    struct ckpt_tensor *t;
    size_t n;
};

static const struct {
    const char *name;
    enum ckpt_dtype dtype;
    int bits;
} dtypes[] = {
    {"F32", CKPT_F32, 32},          {"F16", CKPT_F16, 16},
    {"BF16", CKPT_BF16, 16},        {"U8", CKPT_U8, 8},
    {"I64", CKPT_I64, 64},          {"BOOL", CKPT_OTHER, 8},
    {"I8", CKPT_OTHER, 8},          {"U16", CKPT_OTHER, 16},
    {"I16", CKPT_OTHER, 16},        {"U32", CKPT_OTHER, 32},
    {"I32", CKPT_OTHER, 32},        {"U64", CKPT_OTHER, 64},
    {"F64", CKPT_OTHER, 64},        {"C64", CKPT_OTHER, 64},
    {"F4", CKPT_OTHER, 4},          {"F6_E2M3", CKPT_OTHER, 6},
    {"F6_E3M2", CKPT_OTHER, 6},     {"F8_E4M3", CKPT_OTHER, 8},
    {"F8_E5M2", CKPT_OTHER, 8},     {"F8_E8M0", CKPT_OTHER, 8},
    {"F8_E4M3FNUZ", CKPT_OTHER, 8}, {"F8_E5M2FNUZ", CKPT_OTHER, 8},
};

/* A JSON integer >= 0; reals, strings and negative numbers are refused. */
static bool take_count(const json_t *v, int64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = json_integer_value(v);
    return true;
}

static int take_dtype(struct ckpt_tensor *t, const json_t *entry, int *bits, struct err *e)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (!name)
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" has no dtype", t->name);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (!strcmp(name, dtypes[i].name)) {
            t->dtype = dtypes[i].dtype;
            t->dtype_name = dtypes[i].name;
            *bits = dtypes[i].bits;
            return 0;
        }
    }
    return err_set(e, EXIT_CONFIG, "tensor \"%s\" has the unknown dtype \"%s\"", t->name, name);
}

/* Fills nd, shape and bytes. */
static int take_shape(struct ckpt_tensor *t, const json_t *entry, int bits, struct err *e)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" has no shape", t->name);
    if (json_array_size(shape) > CKPT_DIMS_MAX)
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" has %zu dimensions, more than %d",
                       t->name, json_array_size(shape), CKPT_DIMS_MAX);
    t->nd = (int)json_array_size(shape);
    int64_t total = bits;
    for (int i = 0; i < t->nd; i++) {
        if (!take_count(json_array_get(shape, (size_t)i), &t->shape[i]))
            return err_set(e, EXIT_CONFIG, "tensor \"%s\": a size in its shape is not a count",
                           t->name);
        if (!size_mul(total, t->shape[i], &total))
            return err_set(e, EXIT_CONFIG, "tensor \"%s\": its shape overflows", t->name);
    }
    if (total % 8)
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" does not end at a whole byte", t->name);
    t->bytes = total / 8;
    return 0;
}

/* Fills data; the data of the file are [data, data + size). */
static int take_offsets(struct ckpt_tensor *t, const json_t *entry, const char *data,
                        size_t size, struct err *e)
{
    const json_t *o = json_object_get(entry, "data_offsets");
    int64_t a, b;
    if (!json_is_array(o) || json_array_size(o) != 2 || !take_count(json_array_get(o, 0), &a) ||
        !take_count(json_array_get(o, 1), &b))
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" has no data_offsets of two counts",
                       t->name);
    if (a > b || (uint64_t)b > size)
        return err_set(
            e, EXIT_CONFIG,
            "tensor \"%s\" stands at %lld to %lld of %zu data bytes; the file may be "
            "cut short",
            t->name, (long long)a, (long long)b, size);
    if (b - a != t->bytes)
        return err_set(e, EXIT_CONFIG, "tensor \"%s\" has %lld bytes, but its shape needs %lld",
                       t->name, (long long)(b - a), (long long)t->bytes);
    t->data = data + a;
    return 0;
}

static int check_metadata(const json_t *meta, struct err *e)
{
    const char *key;
    json_t *value;
    bool ok = json_is_object(meta);
    json_object_foreach((json_t *)(uintptr_t)meta, key, value) ok = ok && json_is_string(value);
    return ok ? 0 : err_set(e, EXIT_CONFIG, "__metadata__ is not an object of strings");
}

static int by_place(const void *a, const void *b)
{
    const struct ckpt_tensor *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q)
        return p < q ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
    const struct ckpt_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The tensors cover [data, data + size) exactly. */
static int check_cover(struct safetensors *s, const char *data, size_t size, struct err *e)
{
    const char *at = data;
    qsort(s->t, s->n, sizeof *s->t, by_place);
    for (size_t i = 0; i < s->n; i++) {
        if ((const char *)s->t[i].data != at)
            return err_set(e, EXIT_CONFIG, "tensor \"%s\" %s", s->t[i].name,
                           (const char *)s->t[i].data < at ? "overlaps the one before it"
                                                           : "leaves a hole before it");
        at += s->t[i].bytes;
    }
    if (at != data + size)
        return err_set(e, EXIT_CONFIG, "%zu bytes behind the last tensor",
                       (size_t)(data + size - at));
    return 0;
}

static int take_tensors(struct safetensors *s, const char *data, size_t size, struct err *e)
{
    const char *key;
    json_t *entry;
    int bits = 0;
    s->t = xcalloc(json_object_size(s->header), sizeof *s->t);
    json_object_foreach(s->header, key, entry)
    {
        if (!strcmp(key, "__metadata__")) {
            if (check_metadata(entry, e) < 0)
                return -1;
            continue;
        }
        struct ckpt_tensor *t = &s->t[s->n++];
        t->name = key;
        if (!json_is_object(entry))
            return err_set(e, EXIT_CONFIG, "tensor \"%s\" is not described by an object", key);
        if (take_dtype(t, entry, &bits, e) < 0 || take_shape(t, entry, bits, e) < 0 ||
            take_offsets(t, entry, data, size, e) < 0)
            return -1;
    }
    if (check_cover(s, data, size, e) < 0)
        return -1;
    qsort(s->t, s->n, sizeof *s->t, by_name);
    return 0;
}

static int read_header(struct safetensors *s, struct err *e)
{
    const unsigned char *p = (const unsigned char *)s->map.p;
    size_t size = s->map.n;
    uint64_t n = 0;
    for (int i = 7; i >= 0 && size >= 8; i--)
        n = n << 8 | p[i];
    /* A length may look like the magic bytes of something else, so the header goes first. */
    bool header = size > 8 && n <= HEADER_MAX && p[8] == '{';
    const char *foreign = header ? NULL : file_foreign(s->map.p, size);
    if (foreign)
        return err_set(e, EXIT_CONFIG, "this is %s", foreign);
    if (size < 8)
        return err_set(e, EXIT_CONFIG, "%zu bytes are no safetensors file", size);
    if (n < 2 || n > HEADER_MAX)
        return err_set(e, EXIT_CONFIG,
                       "a header of %llu bytes; no safetensors file, or damaged",
                       (unsigned long long)n);
    if (n > size - 8)
        return err_set(e, EXIT_CONFIG,
                       "a header of %llu bytes in a file of %zu; the file is cut short",
                       (unsigned long long)n, size);
    if (p[8] != '{')
        return err_set(e, EXIT_CONFIG, "the header does not begin with '{'");
    s->header_bytes = (size_t)n;
    s->header = document_parse(s->map.p + 8, (size_t)n, "header", e);
    if (!s->header)
        return -1;
    return take_tensors(s, s->map.p + 8 + n, size - 8 - (size_t)n, e);
}

struct safetensors *safetensors_open(const char *path, struct err *e)
{
    struct safetensors *s = xcalloc(1, sizeof *s);
    if (file_map(&s->map, path, e) < 0) {
        free(s);
        return NULL;
    }
    if (read_header(s, e) < 0) {
        err_prefix(e, "%s", path);
        safetensors_close(s);
        return NULL;
    }
    return s;
}

void safetensors_close(struct safetensors *s)
{
    if (!s)
        return;
    json_decref(s->header);
    free(s->t);
    file_unmap(&s->map);
    free(s);
}

size_t safetensors_count(const struct safetensors *s)
{
    return s->n;
}

const struct ckpt_tensor *safetensors_at(const struct safetensors *s, size_t i)
{
    return &s->t[i];
}

const struct ckpt_tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    struct ckpt_tensor key = {.name = name};
    return bsearch(&key, s->t, s->n, sizeof *s->t, by_name);
}

float ckpt_value(const struct ckpt_tensor *t, int64_t i)
{
    float f;
    uint16_t h;
    if (t->dtype == CKPT_F32) {
        memcpy(&f, (const char *)t->data + 4 * i, 4);
        return f;
    }
    memcpy(&h, (const char *)t->data + 2 * i, 2);
    return t->dtype == CKPT_BF16 ? bf16_to_f32(h) : f16_to_f32(h);
}

uint64_t safetensors_hash(const struct safetensors *s, uint64_t seed)
{
    uint64_t size = s->map.n;
    seed = hash_bytes(seed, &size, sizeof size);
    return hash_bytes(seed, s->map.p + 8, s->header_bytes);
}
