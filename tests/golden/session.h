/* session.h - models on every backend that is here, and reading references, for the runners. */
#ifndef SESSION_H
#define SESSION_H

#include "golden.h"

#include "base/buf.h"
#include "model/model.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* ---- references ----------------------------------------------------------- */

/* Base64 of little-endian f32 values; NULL where the text is not that.  *n: how many. */
static inline float *values_of(const json_t *text, size_t *n)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *s = json_string_value(text);
    struct buf b = {0};
    uint32_t bits = 0;
    for (size_t i = 0; s && s[i] && s[i] != '='; i++) {
        const char *d = strchr(digits, s[i]);
        bits = bits << 6 | (d ? (uint32_t)(d - digits) : 0);
        if (i % 4)
            buf_putc(&b, (char)(bits >> (6 - 2 * (i % 4)) & 255));
    }
    *n = b.n / 4;
    return (float *)(void *)b.p; /* as aligned as malloc makes it */
}

static inline int32_t *ids_of(const json_t *array, int32_t *n)
{
    *n = (int32_t)json_array_size(array);
    int32_t *ids = xcalloc((size_t)*n, sizeof *ids);
    for (int32_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, (size_t)i));
    return ids;
}

static inline double number_at(const json_t *array, int32_t i)
{
    return json_number_value(json_array_get(array, (size_t)i));
}

/* The next line of a JSONL file; NULL at its end. */
static inline json_t *next_record(FILE *f)
{
    static char *line;
    static size_t cap;
    ssize_t n = f ? getline(&line, &cap, f) : -1;
    if (n < 0) {
        free(line);
        line = NULL;
        cap = 0;
        return NULL;
    }
    return json_loadb(line, (size_t)n, 0, NULL);
}

/* ---- backends ------------------------------------------------------------- */

static const struct backend {
    const char *dev, *isa, *name;
} backends[] = {
    {"ref", NULL, "ref"},
    {"cpu", "avx2", "cpu/avx2"},
    {"cpu", "avx512", "cpu/avx512"},
    {"cpu", "avx512-bf16", "cpu/avx512-bf16"},
    {"cpu", "amx-bf16", "cpu/amx-bf16"},
};
enum { BACKENDS = sizeof backends / sizeof *backends };

/* NULL where this build or machine lacks it. */
static inline struct dev *backend_open(const struct backend *b)
{
    const struct dev_ops *ops = dev_find(b->dev);
    struct dev_config c = {.threads = 2, .isa = b->isa};
    struct err e = {0};
    return ops ? ops->open(&c, &e) : NULL;
}

/* ---- sequences ------------------------------------------------------------ */

enum { ROOM = 256, LIST = ROOM / KV_PAGE }; /* tokens and pages of one test sequence */

/* Room for two sequences of ROOM tokens. */
static inline struct model *session_open(struct dev *d, const struct ckpt *c, enum dtype dtype,
                                         struct err *e)
{
    const struct model_config one = {dtype, 1, 1, 1, 0};
    struct model_info info;
    struct model *m = model_open(d, c, &one, e);
    if (!m)
        return NULL;
    model_info(m, &info);
    model_close(m);
    const struct model_config full = {dtype, 2 * ROOM, 2 * ROOM, 2 * LIST * info.page_bytes, 0};
    return model_open(d, c, &full, e);
}

/* Page lists of the two sequences: 0..LIST-1 and LIST..2 LIST-1. */
static inline int32_t *session_pages(void)
{
    static int32_t pages[2 * LIST];
    for (int32_t i = 0; i < 2 * LIST; i++)
        pages[i] = i;
    return pages;
}

/* Runs ids[start .. start+n-1] of the first sequence; all rows are kept.  Tap, far and adapters
 * come from extra, where not NULL. */
static inline int session_step(struct model *m, const int32_t *ids, int32_t start, int32_t n,
                               const struct batch *extra, struct err *e)
{
    int32_t pos[ROOM], rows[ROOM];
    for (int32_t i = 0; i < n; i++) {
        pos[i] = start + i;
        rows[i] = i;
    }
    struct span span = {0, n, start, 0};
    struct batch b = {.ids = ids + start,
                      .pos = pos,
                      .tokens = n,
                      .spans = &span,
                      .n_spans = 1,
                      .pages = session_pages(),
                      .n_pages = LIST,
                      .rows = rows,
                      .n_rows = n};
    if (extra) {
        b.tap = extra->tap;
        b.tap_arg = extra->tap_arg;
        b.far = extra->far;
        b.adapters = extra->adapters;
    }
    return model_forward(m, &b, e);
}

#endif
