/* index.c - model.safetensors.index.json over two shards that are there. */
#include "fuzz.h"

#include "ckpt/ckpt.h"

/* A file of one tensor "name" of three bytes. */
static void put_shard(const char *file, char name)
{
    char header[64];
    struct buf b = {0};
    int n = snprintf(header, sizeof header,
                     "{\"%c\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", name);
    buf_putc(&b, (char)n);
    buf_add(&b, "\0\0\0\0\0\0\0", 7);
    buf_add(&b, header, (size_t)n);
    buf_puts(&b, "xyz");
    fuzz_file(file, buf_str(&b));
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static bool made;
    struct err e = {0};
    if (!made) {
        fuzz_file("config.json", STR("{}"));
        put_shard("one.safetensors", 'a');
        put_shard("two.safetensors", 'b');
        made = true;
    }
    fuzz_file("model.safetensors.index.json", fuzz_input(p, n));
    struct ckpt *c = ckpt_open(fuzz_dir(), &e);
    if (c) {
        HOLDS(ckpt_count(c) <= 2);
        for (size_t i = 0; i < ckpt_count(c); i++)
            HOLDS(ckpt_find(c, ckpt_at(c, i)->name) == ckpt_at(c, i));
        (void)ckpt_hash(c);
    } else {
        HOLDS(e.status == EXIT_CONFIG && *e.text && !strchr(e.text, '\n'));
    }
    ckpt_close(c);
    return 0;
}
