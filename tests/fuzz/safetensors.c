/* safetensors.c - one safetensors file: as it is, or made of a header, NUL and data, so that a
 * header whose length changed stays a header.
 */
#include "fuzz.h"

#include "ckpt/ckpt.h"

static void touch(const struct safetensors *s)
{
    unsigned sum = 0;
    for (size_t i = 0; i < safetensors_count(s); i++) {
        const struct ckpt_tensor *t = safetensors_at(s, i);
        const unsigned char *data = t->data;
        HOLDS(safetensors_find(s, t->name) != NULL && t->bytes >= 0 && t->nd <= CKPT_DIMS_MAX);
        if (t->bytes)
            sum += data[0] + data[t->bytes - 1];
    }
    HOLDS(sum <= 510 * safetensors_count(s));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct err e = {0};
    struct buf file = {0};
    struct str all = fuzz_input(p, n), data;
    if (n && *p == '{') {
        struct str header = fuzz_cut(all, &data);
        for (int i = 0; i < 8; i++)
            buf_putc(&file, (char)((uint64_t)header.n >> 8 * i & 255));
        buf_addstr(&file, header);
        buf_addstr(&file, data);
        all = buf_str(&file);
    }
    fuzz_file("x.safetensors", all);
    struct safetensors *s = safetensors_open(fuzz_path("x.safetensors"), &e);
    if (s)
        touch(s);
    else
        HOLDS(e.status == EXIT_CONFIG && *e.text);
    safetensors_close(s);
    buf_release(&file);
    return 0;
}
