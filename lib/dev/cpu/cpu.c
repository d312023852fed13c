/* cpu.c - the CPU backend's table, life, memory and choice of instruction set. */
#include "dev/cpu/train.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- instruction sets, the best first --------------------------------------- */

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

static bool has_avx512_bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16") &&
           __builtin_cpu_supports("avx512vnni");
}

/* The user's processes must ask for tiles once; refused where the kernel does not save them. */
static bool has_amx_bf16(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, TILE = 1 << 24, BF16 = 1 << 22 };
    unsigned a, b, c, d;
    if (!has_avx512_bf16() || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    return (d & TILE) && (d & BF16) &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* Intel's products of bf16 without tiles are slower than f32's: only by name. */
static bool is_amd(void)
{
    return __builtin_cpu_is("amd");
}

static bool always(void)
{
    return true;
}

/* The builtin asks the operating system too, whether it saves the registers. */
static const struct {
    const struct kernels *kernels;
    bool (*here)(void);
    bool (*fast)(void); /* unless asked for by name */
} sets[] = {{&kernels_amx_bf16, has_amx_bf16, always},
            {&kernels_avx512_bf16, has_avx512_bf16, is_amd},
            {&kernels_avx512, has_avx512, always},
            {&kernels_avx2, has_avx2, always}};
enum { SETS = sizeof sets / sizeof *sets };

static const struct kernels *choose(const char *isa, struct err *e)
{
    char here[64] = "";
    bool known = false;
    for (int i = 0; i < SETS; i++) {
        const char *name = sets[i].kernels->isa;
        known = known || (isa && strcmp(isa, name) == 0);
        if (!sets[i].here())
            continue;
        if (isa ? strcmp(isa, name) == 0 : sets[i].fast())
            return sets[i].kernels;
        size_t n = strlen(here);
        snprintf(here + n, sizeof here - n, "%s%s", n ? ", " : "", name);
    }
    if (!*here)
        err_set(e, EXIT_DEVICE,
                "this processor has neither AVX2 with FMA nor AVX-512; use device ref");
    else
        err_set(e, EXIT_DEVICE, "%s instruction set %s; this processor has: %s",
                known ? "no" : "unknown", isa, here);
    return NULL;
}

/* ---- life and memory ---------------------------------------------------------- */

static struct dev *cpu_open(const struct dev_config *config, struct err *e)
{
    const struct kernels *k = choose(config->isa, e);
    if (!k)
        return NULL;
    struct cpu *c = xcalloc(1, sizeof *c);
    c->dev.ops = &dev_cpu;
    c->kernels = k;
    c->pool = pool_new(config->threads);
    return &c->dev;
}

static void release(struct cpu *c)
{
    host_free(c->wide);
    host_free(c->tiles);
    host_free(c->parts);
    host_free(c->picked);
    c->wide = NULL;
    c->tiles = NULL;
    c->parts = NULL;
    c->picked = NULL;
    c->limits = (struct dev_limits){0};
}

static void cpu_close(struct dev *d)
{
    struct cpu *c = (struct cpu *)d;
    if (!c)
        return;
    release(c);
    cpu_train_free(c);
    pool_free(c->pool);
    free(c);
}

static void cpu_info(const struct dev *d, struct dev_info *out)
{
    const struct cpu *c = (const struct cpu *)d;
    *out = (struct dev_info){.threads = pool_threads(c->pool), .bf16 = c->kernels->dot};
    snprintf(out->name, sizeof out->name, "cpu/%s", c->kernels->isa);
}

static void *cpu_alloc(struct dev *d, int64_t bytes, struct err *e)
{
    (void)d;
    return host_alloc(bytes, "a buffer", e);
}

static void cpu_free(struct dev *d, void *p)
{
    (void)d;
    host_free(p);
}

static void cpu_copy(struct dev *d, void *dst, const void *src, int64_t bytes)
{
    (void)d;
    if (bytes)
        memcpy(dst, src, (size_t)bytes);
}

/* Every operation has run when it returns, and none can fail. */
static int cpu_sync(struct dev *d, struct err *e)
{
    (void)d;
    (void)e;
    return 0;
}

/* Of the rows that a product takes. */
int64_t cpu_most_rows(const struct dev_limits *l)
{
    int64_t used = l->used > 1 ? l->used : 1, rows = host_size(l->tokens, used, 1);
    return rows > l->rows ? rows : l->rows;
}

static int cpu_reserve(struct dev *d, const struct dev_limits *l, struct err *e)
{
    struct cpu *c = (struct cpu *)d;
    int64_t rows = cpu_most_rows(l), owners = l->tokens > l->experts ? l->tokens : l->experts;
    int64_t chunks = ((int64_t)l->vocab + HEAD_CHUNK - 1) / HEAD_CHUNK;
    release(c);
    c->wide = host_alloc(host_size(rows + 16, l->width + TILE_K, sizeof *c->wide), "scratch",
                         e);
    c->tiles = host_alloc(host_size(owners + 1, 1, sizeof *c->tiles), "scratch", e);
    c->parts = host_alloc(host_size(chunks, l->rows, sizeof *c->parts), "scratch", e);
    c->picked = host_alloc(host_size(1, l->rows, sizeof *c->picked), "scratch", e);
    if (!c->wide || !c->tiles || !c->parts || !c->picked) {
        release(c);
        return -1;
    }
    c->limits = *l;
    return 0;
}

const struct dev_ops dev_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .info = cpu_info,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_copy,
    .download = cpu_copy,
    .sync = cpu_sync,
    .reserve = cpu_reserve,
    .weight_new = cpu_weight_new,
    .weight_rows = cpu_weight_rows,
    .weight_free = cpu_weight_free,
    .kv_new = cpu_kv_new,
    .kv_copy_page = cpu_kv_copy_page,
    .kv_free = cpu_kv_free,
    .embed = cpu_embed,
    .norm = cpu_norm,
    .linear = cpu_linear,
    .lora_a = cpu_lora_a,
    .lora_b = cpu_lora_b,
    .lora_b_grouped = cpu_lora_b_grouped,
    .qk_norm_rope = cpu_qk_norm_rope,
    .kv_write = cpu_kv_write,
    .attention = cpu_attention,
    .gated = cpu_gated,
    .route = cpu_route,
    .linear_grouped = cpu_linear_grouped,
    .combine = cpu_combine,
    .gather_rows = cpu_gather_rows,
    .head_logits = cpu_head_logits,
    .head_logprob = cpu_head_logprob,
    .head_argmax = cpu_head_argmax,
    .train = &cpu_train,
};
