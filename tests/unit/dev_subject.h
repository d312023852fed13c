/* dev_subject.h - the backends that the dev_* tests run, and the helpers that they share.
 *
 * ref is the yardstick; a new backend is tested by adding its line to `wanted`.
 */
#ifndef DEV_SUBJECT_H
#define DEV_SUBJECT_H

#include "base/half.h"
#include "dev/dev.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    const struct dev_ops *o;
    struct dev *d;
    char name[96];
    int family; /* the bits of all subjects of a family are the same; 0: ref's own */
};

enum { SUBJECTS_MAX = 16 };
static struct subject subjects[SUBJECTS_MAX]; /* [0] is ref */
static int n_subjects;

static void open_subjects(const struct dev_limits *limits)
{
    static const struct {
        const char *name, *isa;
        int threads, family;
    } wanted[] = {{"ref", NULL, 1, 0},          {"cpu", "avx2", 1, 1},
                  {"cpu", "avx2", 2, 1},        {"cpu", "avx2", 3, 1},
                  {"cpu", "avx512", 1, 1},      {"cpu", "avx512", 2, 1},
                  {"cpu", "avx512", 3, 1},      {"cpu", "avx512-bf16", 1, 2},
                  {"cpu", "avx512-bf16", 2, 2}, {"cpu", "avx512-bf16", 3, 2},
                  {"cpu", "amx-bf16", 1, 3},    {"cpu", "amx-bf16", 2, 3},
                  {"cpu", "amx-bf16", 3, 3}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct dev_config c = {.threads = wanted[i].threads, .isa = wanted[i].isa};
        struct subject *s = &subjects[n_subjects];
        struct err e = {0};
        struct dev_info info;
        s->o = dev_find(wanted[i].name);
        s->d = s->o->open(&c, &e);
        if (!s->d) {
            CHECK(e.status == EXIT_DEVICE);
            SKIP("%s", e.text);
            continue;
        }
        s->o->info(s->d, &info);
        snprintf(s->name, sizeof s->name, "%s, %d threads", info.name, info.threads);
        s->family = wanted[i].family;
        CHECK(s->o->reserve(s->d, limits, &e) == 0);
        n_subjects++;
    }
}

static void close_subjects(void)
{
    for (int i = 0; i < n_subjects; i++)
        subjects[i].o->close(subjects[i].d);
    n_subjects = 0;
}

/* The first subject of the same family. */
static inline int sibling(int i)
{
    int j = 0;
    while (subjects[j].family != subjects[i].family)
        j++;
    return j;
}

/* ---- device memory ------------------------------------------------------------ */

static void *dev_new(const struct subject *s, const void *src, int64_t bytes)
{
    struct err e = {0};
    void *p = s->o->alloc(s->d, bytes, &e);
    if (!p)
        die_err(&e);
    if (src)
        s->o->upload(s->d, p, src, bytes);
    return p;
}

static void dev_get(const struct subject *s, void *dst, const void *src, int64_t bytes)
{
    struct err e = {0};
    s->o->download(s->d, dst, src, bytes);
    if (s->o->sync(s->d, &e) < 0)
        die_err(&e);
}

/* Floats as elements of a type, and back. */
static inline void to_type(void *dst, enum dtype t, int64_t i, float x)
{
    if (t == DT_F32)
        ((float *)dst)[i] = x;
    else
        ((uint16_t *)dst)[i] = bf16_from_f32(x);
}

static inline float from_type(const void *src, enum dtype t, int64_t i)
{
    return t == DT_F32   ? ((const float *)src)[i]
           : t == DT_I32 ? (float)((const int32_t *)src)[i]
                         : bf16_to_f32(((const uint16_t *)src)[i]);
}

/* ---- numbers -------------------------------------------------------------------- */

static uint64_t random_state = 1;

static inline uint32_t random_u32(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

/* About normal, with mean 0 and variance 1. */
static inline float random_float(void)
{
    float s = 0;
    for (int i = 0; i < 4; i++)
        s += (float)random_u32() * 0x1p-32f - 0.5f;
    return s * 1.7320508f;
}

static float *random_floats(int64_t n, float scale)
{
    float *p = xmalloc_n((size_t)n, sizeof *p);
    for (int64_t i = 0; i < n; i++)
        p[i] = random_float() * scale;
    return p;
}

static inline bool same_bits(const float *a, const float *b, int64_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static inline double rms_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

/* The largest |a - b| / (abs + |b| rel) of a row of n: an error told in tolerances.  What is
 * NaN is infinitely wrong. */
static inline double row_error(const float *a, const float *b, int64_t n, double abs,
                               double rel)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double unit = abs + rel * fabs((double)b[i]) + 1e-30;
        double err = fabs((double)a[i] - (double)b[i]) / unit;
        if (!(err <= worst))
            worst = isnan(err) ? INFINITY : err;
    }
    return worst;
}

#endif
