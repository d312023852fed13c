/* save.c - a model directory is written whole or not at all, and read back as it was given. */
#include "unit.h"

#include "base/half.h"
#include "ckpt/ckpt.h"
#include "ckpt/save.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/millrace-save.XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][4096];
    static int at;
    char *path = paths[at++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static bool there(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static int count(void *arg, int64_t first, int64_t n, void *to, struct err *e)
{
    (void)arg, (void)e;
    for (int64_t i = 0; i < n; i++) {
        float f = (float)(first + i);
        memcpy((char *)to + 4 * i, &f, sizeof f);
    }
    return 0;
}

static int fail(void *arg, int64_t first, int64_t n, void *to, struct err *e)
{
    (void)arg, (void)n, (void)to;
    return first ? err_set(e, EXIT_DEVICE, "the device is lost") : count(NULL, 0, n, to, e);
}

static const struct save_tensor counted = {.name = "counted",
                                           .dtype = CKPT_F32,
                                           .from = CKPT_F32,
                                           .nd = 2,
                                           .shape = {100, 1000},
                                           .read = count};

static void add(struct save *s, const char *name, enum ckpt_dtype dtype, const float *v,
                int64_t n)
{
    struct save_tensor t = {
        .name = name, .dtype = dtype, .from = CKPT_F32, .nd = 1, .shape = {n}, .data = v};
    save_tensor(s, "model", &t);
}

/* ---- rounding --------------------------------------------------------------- */

/* Every half by way of f32; and between two neighbours the nearer one, the even one in the
 * middle. */
static void test_halves(void)
{
    bool exact = true, nearest = true;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float a = f16_to_f32((uint16_t)h), b = h == 0x7bff ? 65536 : f16_to_f32(h + 1);
        float mid = (a + b) / 2;
        uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        exact = exact && f16_from_f32(a) == h && f16_from_f32(-a) == (h | 0x8000);
        nearest = nearest && f16_from_f32(mid) == even &&
                  f16_from_f32(nextafterf(mid, 0)) == h &&
                  f16_from_f32(nextafterf(mid, INFINITY)) == h + 1;
    }
    CHECK(exact);
    CHECK(nearest);
    CHECK(f16_from_f32(INFINITY) == 0x7c00 && f16_from_f32(-1e30f) == 0xfc00);
    CHECK((f16_from_f32(NAN) & 0x7fff) > 0x7c00);
}

/* ---- what is written -------------------------------------------------------- */

static void test_one_file(void)
{
    struct err e = {0};
    const float v[] = {1, -2.5f, 0.333333f};
    const int64_t ids[] = {-1, 1LL << 40};
    struct save *s = save_open(path_of("one/"), &e);
    CHECK(s && there("one.part") && !there("one"));
    add(s, "half", CKPT_F16, v, 3);
    add(s, "brain \"1\"", CKPT_BF16, v, 3);
    save_tensor(s, "model", &counted);
    struct save_tensor t = {
        .name = "ids", .dtype = CKPT_I64, .from = CKPT_I64, .nd = 1, .shape = {2}, .data = ids};
    save_tensor(s, "model", &t);
    CHECK(save_bytes(s, "config.json", STR("{}"), &e) == 0);
    CHECK(save_commit(s, &e) == 0 && there("one") && !there("one.part"));
    struct ckpt *c = ckpt_open(path_of("one"), &e);
    CHECK(c && ckpt_count(c) == 4);
    if (!c)
        return;
    const struct ckpt_tensor *half = ckpt_find(c, "half"), *brain = ckpt_find(c, "brain \"1\"");
    const struct ckpt_tensor *n = ckpt_find(c, "counted"), *i = ckpt_find(c, "ids");
    CHECK(half && half->dtype == CKPT_F16 && half->bytes == 6);
    CHECK(brain && brain->dtype == CKPT_BF16 && brain->bytes == 6);
    for (int k = 0; k < 3 && half && brain; k++) {
        uint16_t h, b;
        memcpy(&h, (const char *)half->data + 2 * k, 2);
        memcpy(&b, (const char *)brain->data + 2 * k, 2);
        CHECK(h == f16_from_f32(v[k]) && b == bf16_from_f32(v[k]));
    }
    CHECK(n && n->nd == 2 && n->shape[0] == 100 && n->shape[1] == 1000);
    CHECK(n && (uintptr_t)n->data % 4 == 0 && ((const float *)n->data)[99999] == 99999);
    CHECK(i && (uintptr_t)i->data % 8 == 0 && !memcmp(i->data, ids, sizeof ids));
    ckpt_close(c);
}

static void test_shards(void)
{
    struct err e = {0};
    float v[64] = {0};
    struct save *s = save_open(path_of("many"), &e);
    save_shard_bytes(s, 300);
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        add(s, name, CKPT_F32, v, i == 3 ? 64 : 30); /* t3 is near a shard's size alone */
    }
    save_tensor(s, "other", &counted); /* more than a shard, and alone: one file */
    CHECK(save_copy(s, path_of("one"), "config.json", &e) == 0);
    CHECK(save_copy(s, path_of("one"), "tokenizer.json", &e) == 0);
    CHECK(save_commit(s, &e) == 0);
    CHECK(there("many/model-00001-of-00004.safetensors") && there("many/other.safetensors"));
    CHECK(!there("many/tokenizer.json") && !there("many/model.safetensors"));
    struct ckpt *c = ckpt_open(path_of("many"), &e);
    CHECK(c && ckpt_count(c) == 5);
    ckpt_close(c);
}

/* ---- what is not ------------------------------------------------------------ */

static void test_names(void)
{
    struct err e = {0};
    CHECK(!save_open(path_of("one"), &e) && e.status == EXIT_USAGE);
    CHECK(!save_open(path_of("absent/x"), &e) && e.status == EXIT_IO);
    CHECK(mkdir(path_of("empty"), 0777) == 0);
    struct save *s = save_open(path_of("empty"), &e);
    CHECK(s && !save_open(path_of("empty"), &e) && e.status == EXIT_AGAIN);
    CHECK(save_bytes(s, "left", STR("x"), &e) == 0);
    save_abandon(s);
    CHECK(there("empty") && !there("empty.part"));
    /* what a killed writer left */
    CHECK(mkdir(path_of("two.part"), 0777) == 0);
    FILE *f = fopen(path_of("two.part/model.safetensors"), "w");
    CHECK(f && fclose(f) == 0);
    s = save_open(path_of("two"), &e);
    save_tensor(s, "model", &counted);
    CHECK(save_write(s, &e) == 0 && !there("two"));
    CHECK(!strcmp(save_part(s), path_of("two.part")));
    CHECK(save_commit(s, &e) == 0 && there("two/model.safetensors"));
}

static void test_failures(void)
{
    struct err e = {0};
    struct save_tensor t = counted;
    t.read = fail;
    struct save *s = save_open(path_of("lost"), &e);
    save_tensor(s, "model", &t);
    CHECK(save_commit(s, &e) < 0 && e.status == EXIT_DEVICE);
    CHECK(!there("lost") && !there("lost.part"));
    pid_t child = fork();
    if (child == 0) { /* a disk that is full at 100,000 bytes */
        struct rlimit size = {100000, 100000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &size);
        s = save_open(path_of("full"), &e);
        save_tensor(s, "model", &counted);
        _exit(save_commit(s, &e) < 0 ? e.status : 0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == EXIT_IO && !there("full") && !there("full.part"));
}

int main(void)
{
    if (!mkdtemp(root))
        abort();
    test_halves();
    test_one_file();
    test_shards();
    test_names();
    test_failures();
    char *rm = xasprintf("rm -rf %s", root);
    CHECK(system(rm) == 0);
    free(rm);
    return unit_done("save");
}
