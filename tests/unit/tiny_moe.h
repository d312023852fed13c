/* tiny_moe.h - writes a model directory with experts and random weights, for tests.
 *
 * The same fields give the same values, whether experts are stored as MXFP4 or as columns.
 */
#ifndef TINY_MOE_H
#define TINY_MOE_H

#include "base/half.h"
#include "tiny_model.h"

struct tiny_moe {
    const char *type;  /* "qwen3_moe", "gpt_oss" */
    const char *dtype; /* "F32", "BF16" */
    int width, ffn, layers, heads, kv_heads, head_dim, vocab, experts, used;
    const char *dense;  /* digits of the layers without experts: "02"; qwen3_moe */
    const char *config; /* more members of config.json, or NULL */
    const char *less;   /* a tensor that is left out, or NULL */
    bool mxfp4, no_bias, tied;
};

/* The layer's tensor NAME; rows x cols, or for cols = 0 a vector. */
static inline void moe_tensor(struct tiny_writer *w, int layer, const char *name, int rows,
                              int cols, float mean, float spread)
{
    char full[160];
    snprintf(full, sizeof full, "model.layers.%d.%s", layer, name);
    tiny_tensor(w, full, rows, cols, mean, spread);
}

static inline void moe_entry(struct tiny_writer *w, int layer, const char *name,
                             const char *dtype, const char *shape, size_t from)
{
    buf_printf(&w->header,
               "%c\"model.layers.%d.mlp.experts.%s\":{\"dtype\":\"%s\",\"shape\":[%s],"
               "\"data_offsets\":[%zu,%zu]}",
               w->header.n ? ',' : '{', layer, name, dtype, shape, from, w->data.n);
}

/* All experts' [rows, cols] in one: blocks and scales, or [cols, rows] of the same values. */
static inline void moe_stack(struct tiny_writer *w, const struct tiny_moe *t, int layer,
                             const char *name, int rows, int cols)
{
    int blocks = t->experts * rows * (cols / 32);
    size_t values = (size_t)t->experts * (size_t)rows * (size_t)cols, from = w->data.n;
    uint8_t *block = malloc((size_t)blocks * 16 + values),
            *scale = malloc((size_t)blocks + values);
    char full[64], shape[64];
    for (size_t i = 0; i < values; i++) /* more than enough where cols is no multiple of 32 */
        block[i] = (uint8_t)(128 + 127 * tiny_random(&w->state));
    for (int i = 0; i < blocks; i++)
        scale[i] = (uint8_t)(tiny_random(&w->state) > 0 ? 124 : 123);
    snprintf(full, sizeof full, "model.layers.%d.mlp.experts.%s%s", layer, name,
             t->mxfp4 ? "_scales" : "");
    bool left_out = t->less && !strcmp(t->less, full);
    if (t->mxfp4) {
        buf_add(&w->data, block, (size_t)blocks * 16);
        snprintf(full, sizeof full, "%s_blocks", name);
        snprintf(shape, sizeof shape, "%d,%d,%d,16", t->experts, rows, cols / 32);
        moe_entry(w, layer, full, "U8", shape, from);
        from = w->data.n;
        buf_add(&w->data, scale, left_out ? 0 : (size_t)blocks);
        snprintf(full, sizeof full, "%s_scales", name);
        snprintf(shape, sizeof shape, "%d,%d,%d", t->experts, rows, cols / 32);
        if (!left_out)
            moe_entry(w, layer, full, "U8", shape, from);
    } else if (!left_out) {
        for (int e = 0; e < t->experts; e++)
            for (int c = 0; c < cols; c++)
                for (int r = 0; r < rows; r++) {
                    int64_t at = ((int64_t)e * rows + r) * cols + c;
                    uint8_t s = cols % 32 ? 123 : scale[at / 32];
                    tiny_put(w, mxfp4_to_f32(block, at, s));
                }
        snprintf(shape, sizeof shape, "%d,%d,%d", t->experts, cols, rows);
        moe_entry(w, layer, name, t->dtype, shape, from);
    }
    free(block);
    free(scale);
}

static inline void moe_experts(struct tiny_writer *w, const struct tiny_moe *t, int layer)
{
    static const char *const parts[] = {"gate_proj", "up_proj", "down_proj"};
    char name[64];
    if (strcmp(t->type, "gpt_oss")) {
        moe_tensor(w, layer, "mlp.gate.weight", t->experts, t->width, 0, 0.4f);
        for (int i = 0; i < t->experts * 3; i++) {
            snprintf(name, sizeof name, "mlp.experts.%d.%s.weight", i / 3, parts[i % 3]);
            bool down = i % 3 == 2;
            moe_tensor(w, layer, name, down ? t->width : t->ffn, down ? t->ffn : t->width, 0,
                       0.3f);
        }
        return;
    }
    moe_tensor(w, layer, "mlp.router.weight", t->experts, t->width, 0, 0.4f);
    moe_tensor(w, layer, "mlp.router.bias", t->experts, 0, 0, 0.5f);
    moe_stack(w, t, layer, "gate_up_proj", 2 * t->ffn, t->width);
    moe_tensor(w, layer, "mlp.experts.gate_up_proj_bias", t->experts, 2 * t->ffn, 0, 0.5f);
    moe_stack(w, t, layer, "down_proj", t->width, t->ffn);
    moe_tensor(w, layer, "mlp.experts.down_proj_bias", t->experts, t->width, 0, 0.5f);
}

static inline void moe_attention(struct tiny_writer *w, const struct tiny_moe *t, int layer)
{
    static const char *const names[] = {"q", "k", "v", "o"};
    int q = t->heads * t->head_dim, kv = t->kv_heads * t->head_dim;
    const int rows[] = {q, kv, kv, t->width};
    char name[64];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "self_attn.%s_proj.weight", names[i]);
        moe_tensor(w, layer, name, rows[i], i == 3 ? q : t->width, 0, 0.25f);
        snprintf(name, sizeof name, "self_attn.%s_proj.bias", names[i]);
        if (!strcmp(t->type, "gpt_oss") && !t->no_bias)
            moe_tensor(w, layer, name, rows[i], 0, 0, 0.25f);
    }
    if (!strcmp(t->type, "gpt_oss")) {
        moe_tensor(w, layer, "self_attn.sinks", t->heads, 0, 0, 1);
    } else {
        moe_tensor(w, layer, "self_attn.q_norm.weight", t->head_dim, 0, 1, 0.2f);
        moe_tensor(w, layer, "self_attn.k_norm.weight", t->head_dim, 0, 1, 0.2f);
    }
}

static inline void moe_layer(struct tiny_writer *w, const struct tiny_moe *t, int layer)
{
    moe_tensor(w, layer, "input_layernorm.weight", t->width, 0, 1, 0.2f);
    moe_tensor(w, layer, "post_attention_layernorm.weight", t->width, 0, 1, 0.2f);
    moe_attention(w, t, layer);
    if (!t->dense || !strchr(t->dense, '0' + layer)) {
        moe_experts(w, t, layer);
        return;
    }
    moe_tensor(w, layer, "mlp.gate_proj.weight", 2 * t->ffn, t->width, 0, 0.2f);
    moe_tensor(w, layer, "mlp.up_proj.weight", 2 * t->ffn, t->width, 0, 0.2f);
    moe_tensor(w, layer, "mlp.down_proj.weight", t->width, 2 * t->ffn, 0, 0.2f);
}

static inline void tiny_moe_config(const char *dir, const struct tiny_moe *t)
{
    bool oss = !strcmp(t->type, "gpt_oss");
    struct buf b = {0};
    buf_printf(&b,
               "{\"model_type\":\"%s\",\"hidden_size\":%d,\"intermediate_size\":%d,"
               "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,"
               "\"num_key_value_heads\":%d,\"head_dim\":%d,\"vocab_size\":%d,"
               "\"max_position_embeddings\":256,\"tie_word_embeddings\":%s,"
               "\"num_experts_per_tok\":%d",
               t->type, t->width, oss ? t->ffn : 2 * t->ffn, t->layers, t->heads, t->kv_heads,
               t->head_dim, t->vocab, t->tied ? "true" : "false", t->used);
    if (oss)
        buf_printf(&b,
                   ",\"num_local_experts\":%d,\"attention_bias\":%s,\"rope_scaling\":{"
                   "\"rope_type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":"
                   "64}%s",
                   t->experts, t->no_bias ? "false" : "true",
                   t->mxfp4 ? ",\"quantization_config\":{\"quant_method\":\"mxfp4\"}" : "");
    else
        buf_printf(&b, ",\"num_experts\":%d,\"moe_intermediate_size\":%d", t->experts, t->ffn);
    buf_printf(&b, "%s}\n", t->config ? t->config : "");
    tiny_file(dir, "config.json", &b);
    buf_release(&b);
}

/* Writes config.json and model.safetensors into dir, which is made where it is missing. */
static inline void tiny_moe_write(const char *dir, const struct tiny_moe *t)
{
    const struct tiny_model plain = {.dtype = t->dtype, .less = t->less};
    struct tiny_writer w = {.t = &plain, .state = 3};
    (void)mkdir(dir, 0777);
    tiny_moe_config(dir, t);
    tiny_tensor(&w, "model.embed_tokens.weight", t->vocab, t->width, 0, 1);
    for (int i = 0; i < t->layers; i++)
        moe_layer(&w, t, i);
    tiny_tensor(&w, "model.norm.weight", t->width, 0, 1, 0.2f);
    if (!t->tied)
        tiny_tensor(&w, "lm_head.weight", t->vocab, t->width, 0, 0.4f);
    tiny_save(&w, dir, "model.safetensors");
}

#endif
