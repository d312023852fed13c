/* ref.c - the plain backend's table, life and memory. */
#include "dev/ref/train.h"

#include <stdio.h>
#include <stdlib.h>

static struct dev *ref_open(const struct dev_config *c, struct err *e)
{
    if (c->isa) {
        err_set(e, EXIT_DEVICE, "device ref has no instruction sets, %s was asked for", c->isa);
        return NULL;
    }
    struct ref *r = xcalloc(1, sizeof *r);
    r->dev.ops = &dev_ref;
    return &r->dev;
}

static void ref_close(struct dev *d)
{
    struct ref *r = (struct ref *)d;
    if (!r)
        return;
    free(r->scratch);
    free(r);
}

static void ref_info(const struct dev *d, struct dev_info *out)
{
    (void)d;
    *out = (struct dev_info){.threads = 1};
    snprintf(out->name, sizeof out->name, "ref");
}

static void *ref_alloc(struct dev *d, int64_t bytes, struct err *e)
{
    (void)d;
    return host_alloc(bytes, "a buffer", e);
}

static void ref_free(struct dev *d, void *p)
{
    (void)d;
    host_free(p);
}

static void ref_copy(struct dev *d, void *dst, const void *src, int64_t bytes)
{
    (void)d;
    if (bytes)
        memcpy(dst, src, (size_t)bytes);
}

static int ref_sync(struct dev *d, struct err *e)
{
    (void)d;
    (void)e;
    return 0;
}

static int ref_reserve(struct dev *d, const struct dev_limits *l, struct err *e)
{
    struct ref *r = (struct ref *)d;
    (void)e;
    r->limits = *l;
    int32_t n = l->vocab > l->width ? l->vocab : l->width;
    if (n < HEAD_DIM_MAX)
        n = HEAD_DIM_MAX;
    r->scratch = xrealloc_n(r->scratch, (size_t)n, sizeof *r->scratch);
    return 0;
}

const struct dev_ops dev_ref = {
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .info = ref_info,
    .alloc = ref_alloc,
    .free = ref_free,
    .upload = ref_copy,
    .download = ref_copy,
    .sync = ref_sync,
    .reserve = ref_reserve,
    .weight_new = ref_weight_new,
    .weight_rows = ref_weight_rows,
    .weight_free = ref_weight_free,
    .kv_new = ref_kv_new,
    .kv_copy_page = ref_kv_copy_page,
    .kv_free = ref_kv_free,
    .embed = ref_embed,
    .norm = ref_norm,
    .linear = ref_linear,
    .lora_a = ref_lora_a,
    .lora_b = ref_lora_b,
    .lora_b_grouped = ref_lora_b_grouped,
    .qk_norm_rope = ref_qk_norm_rope,
    .kv_write = ref_kv_write,
    .attention = ref_attention,
    .gated = ref_gated,
    .route = ref_route,
    .linear_grouped = ref_linear_grouped,
    .combine = ref_combine,
    .gather_rows = ref_gather_rows,
    .head_logits = ref_head_logits,
    .head_logprob = ref_head_logprob,
    .head_argmax = ref_head_argmax,
    .train = &ref_train,
};
