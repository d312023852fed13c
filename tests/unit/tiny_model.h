/* tiny_model.h - writes a model directory with random weights, for tests.
 *
 *     struct tiny_model t = TINY_MODEL;
 *     t.width = 4096;
 *     tiny_model_write(dir, &t);
 *
 * The same fields give the same bytes.
 */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct tiny_model {
    const char *dtype; /* "F32", "BF16", "F16" */
    int width, ffn, layers, heads, kv_heads, head_dim, vocab, context;
    bool tied;
    uint64_t seed;
    const char *config; /* more members of config.json, ",\"rope_theta\":1e4", or NULL */
    const char *less;   /* a tensor that is left out, or NULL */
    const char *more;   /* a tensor [2, 3] that is put in, or NULL */
};

#define TINY_MODEL                                                      \
    {                                                                   \
        "F32", 64, 96, 2, 4, 2, 16, 96, 256, false, 1, NULL, NULL, NULL \
    }

static inline void tiny_file(const char *dir, const char *name, const struct buf *b)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || (b->n && fwrite(b->p, 1, b->n, f) != b->n) || fclose(f))
        abort();
}

/* A number of [-1, 1) from the state (splitmix64). */
static inline float tiny_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (float)((double)(z >> 40) * 0x1p-23 - 1);
}

struct tiny_writer {
    const struct tiny_model *t;
    struct buf header, data;
    uint64_t state;
};

/* Truncation to 16 bits keeps bf16 exact; f16 takes numbers of few bits alone. */
static inline void tiny_put(struct tiny_writer *w, float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    uint16_t h = (uint16_t)(u >> 16);
    if (w->t->dtype[0] == 'B') {
        buf_add(&w->data, &h, 2);
    } else if (w->t->dtype[1] == '1') {
        int exp = (int)(u >> 23 & 255) - 127 + 15;
        h = (uint16_t)((u >> 31) << 15);
        if (exp > 0) /* too small is zero */
            h |= (uint16_t)(exp << 10 | (u >> 13 & 1023));
        buf_add(&w->data, &h, 2);
    } else {
        buf_add(&w->data, &x, 4);
    }
}

/* rows x cols values around `mean`, or for cols = 0 a vector of `rows`. */
static inline void tiny_tensor(struct tiny_writer *w, const char *name, int rows, int cols,
                               float mean, float spread)
{
    size_t from = w->data.n;
    if (w->t->less && !strcmp(w->t->less, name))
        return;
    for (int64_t i = 0; i < (int64_t)rows * (cols ? cols : 1); i++)
        tiny_put(w, mean + spread * tiny_random(&w->state));
    buf_printf(&w->header, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%d", w->header.n ? ',' : '{',
               name, w->t->dtype, rows);
    if (cols)
        buf_printf(&w->header, ",%d", cols);
    buf_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", from, w->data.n);
}

static inline void tiny_layer(struct tiny_writer *w, int i)
{
    const struct tiny_model *t = w->t;
    int q = t->heads * t->head_dim, kv = t->kv_heads * t->head_dim;
    const struct {
        const char *name;
        int rows, cols;
    } all[] = {
        {"input_layernorm", t->width, 0},    {"post_attention_layernorm", t->width, 0},
        {"self_attn.q_proj", q, t->width},   {"self_attn.k_proj", kv, t->width},
        {"self_attn.v_proj", kv, t->width},  {"self_attn.o_proj", t->width, q},
        {"mlp.gate_proj", t->ffn, t->width}, {"mlp.up_proj", t->ffn, t->width},
        {"mlp.down_proj", t->width, t->ffn},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        char name[128];
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", i, all[k].name);
        if (all[k].cols) /* keeps the values that come out near 1 */
            tiny_tensor(w, name, all[k].rows, all[k].cols, 0,
                        2.0f / (float)(all[k].cols < 64     ? 8
                                       : all[k].cols < 1024 ? 16
                                                            : 64));
        else
            tiny_tensor(w, name, all[k].rows, 0, 1, 0.2f);
    }
}

static inline void tiny_config(const char *dir, const struct tiny_model *t)
{
    struct buf b = {0};
    buf_printf(&b,
               "{\"model_type\":\"llama\",\"hidden_size\":%d,\"intermediate_size\":%d,"
               "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,"
               "\"num_key_value_heads\":%d,\"head_dim\":%d,\"vocab_size\":%d,"
               "\"max_position_embeddings\":%d,\"tie_word_embeddings\":%s,"
               "\"rms_norm_eps\":1e-5,\"eos_token_id\":2%s}\n",
               t->width, t->ffn, t->layers, t->heads, t->kv_heads, t->head_dim, t->vocab,
               t->context, t->tied ? "true" : "false", t->config ? t->config : "");
    tiny_file(dir, "config.json", &b);
    buf_release(&b);
}

/* Writes what was put, and forgets it. */
static inline void tiny_save(struct tiny_writer *w, const char *dir, const char *name)
{
    struct buf file = {0};
    buf_puts(&w->header, w->header.n ? "}" : "{}");
    for (int i = 0; i < 8; i++)
        buf_putc(&file, (char)((uint64_t)w->header.n >> 8 * i & 255));
    buf_add(&file, w->header.p, w->header.n);
    buf_add(&file, w->data.p, w->data.n);
    tiny_file(dir, name, &file);
    buf_release(&file);
    buf_release(&w->header);
    buf_release(&w->data);
}

/* Writes config.json and model.safetensors into dir, which is made where it is missing. */
static inline void tiny_model_write(const char *dir, const struct tiny_model *t)
{
    struct tiny_writer w = {.t = t, .state = t->seed};
    (void)mkdir(dir, 0777);
    tiny_config(dir, t);
    tiny_tensor(&w, "model.embed_tokens.weight", t->vocab, t->width, 0, 1);
    for (int i = 0; i < t->layers; i++)
        tiny_layer(&w, i);
    tiny_tensor(&w, "model.norm.weight", t->width, 0, 1, 0.2f);
    if (!t->tied)
        tiny_tensor(&w, "lm_head.weight", t->vocab, t->width, 0,
                    t->width < 1024 ? 0.3f : 0.05f);
    if (t->more)
        tiny_tensor(&w, t->more, 2, 3, 0, 1);
    tiny_save(&w, dir, "model.safetensors");
}

#endif
