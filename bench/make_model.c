/* make_model.c - writes a model directory with random weights of a well-known shape.
 *
 *     make_model SHAPE DIR TOKENIZER_DIR
 *
 * SHAPE: qwen2.5-0.5b, smollm2-135m, or wide, one layer of long sums.  bf16 weights in
 * safetensors, the tokenizer.json of another directory, a chat template.  The same shape gives
 * the same bytes.
 */
#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct shape {
    const char *name, *type, *class_name, *more;
    int width, ffn, layers, heads, kv_heads, head_dim, vocab, context;
    bool bias;
};

static const struct shape shapes[] = {
    {"qwen2.5-0.5b", "qwen2", "Qwen2ForCausalLM", "\"rope_theta\":1000000.0", 896, 4864, 24, 14,
     2, 64, 151936, 32768, true},
    {"smollm2-135m", "llama", "LlamaForCausalLM", "\"rope_theta\":100000.0", 576, 1536, 30, 9,
     3, 64, 49152, 8192, false},
    {"wide", "llama", "LlamaForCausalLM", "\"rope_theta\":10000.0", 4096, 5120, 1, 32, 4, 128,
     900, 512, false},
};

struct sink {
    struct buf header;
    FILE *data;
    int64_t bytes;
    uint64_t state;
};

static uint64_t next(struct sink *o)
{
    uint64_t z = o->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint16_t bf16_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return (uint16_t)(u >> 16);
}

/* Values of mean +- spread; for cols = 0 a vector. */
static void tensor(struct sink *o, const char *name, int64_t rows, int64_t cols, float mean,
                   float spread)
{
    int64_t n = rows * (cols ? cols : 1);
    uint16_t *v = xmalloc_n((size_t)n, 2);
    for (int64_t i = 0; i < n; i += 4) {
        uint64_t bits = next(o);
        for (int64_t k = i; k < i + 4 && k < n; k++, bits >>= 16)
            v[k] = bf16_of(mean + spread * ((float)(bits & 65535) / 32768 - 1));
    }
    buf_printf(&o->header, "%c\"%s\":{\"dtype\":\"BF16\",\"shape\":[%lld",
               o->header.n ? ',' : '{', name, (long long)rows);
    if (cols)
        buf_printf(&o->header, ",%lld", (long long)cols);
    buf_printf(&o->header, "],\"data_offsets\":[%lld,%lld]}", (long long)o->bytes,
               (long long)(o->bytes + 2 * n));
    o->bytes += 2 * n;
    if (fwrite(v, 2, (size_t)n, o->data) != (size_t)n)
        die(EXIT_IO, "write weights:");
    free(v);
}

static void layer(struct sink *o, const struct shape *s, int i)
{
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    const struct {
        const char *name;
        int64_t rows, cols;
        bool bias;
    } all[] = {
        {"self_attn.q_proj", q, s->width, s->bias},
        {"self_attn.k_proj", kv, s->width, s->bias},
        {"self_attn.v_proj", kv, s->width, s->bias},
        {"self_attn.o_proj", s->width, q, false},
        {"mlp.gate_proj", s->ffn, s->width, false},
        {"mlp.up_proj", s->ffn, s->width, false},
        {"mlp.down_proj", s->width, s->ffn, false},
    };
    static const char *const norms[] = {"input_layernorm", "post_attention_layernorm"};
    char name[128];
    for (size_t k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", i, norms[k]);
        tensor(o, name, s->width, 0, 1, 0.1f);
    }
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", i, all[k].name);
        tensor(o, name, all[k].rows, all[k].cols, 0, 0.05f);
        snprintf(name, sizeof name, "model.layers.%d.%s.bias", i, all[k].name);
        if (all[k].bias)
            tensor(o, name, all[k].rows, 0, 0, 0.05f);
    }
}

static FILE *create(const char *dir, const char *name)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f)
        die(EXIT_IO, "create %s:", path);
    free(path);
    return f;
}

static void finish(FILE *f)
{
    if (fclose(f))
        die(EXIT_IO, "write:");
}

static void write_weights(const struct shape *s, const char *dir)
{
    struct sink o = {.data = tmpfile(), .state = 1};
    if (!o.data)
        die(EXIT_OS, "make a temporary file:");
    tensor(&o, "model.embed_tokens.weight", s->vocab, s->width, 0, 0.05f);
    for (int i = 0; i < s->layers; i++)
        layer(&o, s, i);
    tensor(&o, "model.norm.weight", s->width, 0, 1, 0.1f);
    buf_putc(&o.header, '}');
    FILE *f = create(dir, "model.safetensors");
    uint64_t n = o.header.n;
    fwrite(&n, 8, 1, f);
    fwrite(o.header.p, 1, o.header.n, f);
    char block[1 << 16];
    rewind(o.data);
    for (size_t got; (got = fread(block, 1, sizeof block, o.data)) > 0;)
        if (fwrite(block, 1, got, f) != got)
            die(EXIT_IO, "write weights:");
    finish(f);
    fclose(o.data);
    buf_release(&o.header);
}

static void write_config(const struct shape *s, const char *dir)
{
    FILE *f = create(dir, "config.json");
    fprintf(
        f,
        "{\"architectures\":[\"%s\"],\"model_type\":\"%s\",\"hidden_act\":\"silu\","
        "\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
        "\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"vocab_size\":%d,"
        "\"max_position_embeddings\":%d,\"rms_norm_eps\":1e-06,\"tie_word_embeddings\":true,"
        "\"bos_token_id\":0,\"eos_token_id\":0,\"torch_dtype\":\"bfloat16\",%s}\n",
        s->class_name, s->type, s->width, s->ffn, s->layers, s->heads, s->kv_heads, s->vocab,
        s->context, s->more);
    finish(f);
    f = create(dir, "chat_template.jinja");
    fputs("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
          "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
          f);
    finish(f);
}

static void copy_tokenizer(const char *from, const char *to)
{
    struct buf b = {0};
    struct err e = {0};
    char *path = xasprintf("%s/tokenizer.json", from);
    if (file_read(&b, path, 1 << 28, &e) < 0)
        die_err(&e);
    FILE *f = create(to, "tokenizer.json");
    fwrite(b.p, 1, b.n, f);
    finish(f);
    free(path);
    buf_release(&b);
}

int main(int argc, char **argv)
{
    tool_name = "make_model";
    const struct shape *s = shapes;
    const size_t n = sizeof shapes / sizeof *shapes;
    while (argc == 4 && s < shapes + n && strcmp(s->name, argv[1]))
        s++;
    if (argc != 4 || s == shapes + n)
        die(EXIT_USAGE, "usage: make_model qwen2.5-0.5b|smollm2-135m|wide DIR TOKENIZER_DIR");
    if (mkdir(argv[2], 0777) < 0 && errno != EEXIST)
        die(EXIT_IO, "make %s:", argv[2]);
    copy_tokenizer(argv[3], argv[2]);
    write_weights(s, argv[2]);
    write_config(s, argv[2]);
    return EXIT_OK;
}
