/* hostile.c - model directories that were made to break a reader, or broke on their way here.
 *
 * Each fixture is a good directory with one thing changed.  It must be refused with EXIT_CONFIG
 * and one line that says what is wrong, by whichever reader comes to it first: the classes are
 * those of published advisories on readers of models (counts times sizes that wrap, signed
 * lengths, offsets past the end, names that are paths, ids below 0, nesting, templates and
 * patterns without end, code that comes with a model).
 */
#include "unit.h"

#include "ckpt/peft.h"
#include "model/model.h"
#include "text/chat.h"
#include "text/tokenizer.h"
#include "tiny_model.h"

#include <unistd.h>

static char root[] = "/tmp/millrace-hostile.XXXXXX";
static char dir[64]; /* of the fixture at hand */
static int fixtures;

/* ---- a good directory ----------------------------------------------------- */

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, struct str bytes)
{
    FILE *f = fopen(path_of(name), "wb");
    if (!f || fwrite(bytes.p, 1, bytes.n, f) != bytes.n || fclose(f))
        abort();
}

static const struct {
    const char *name, *value;
} config[] = {
    {"model_type", "\"llama\""},  {"hidden_size", "64"},
    {"intermediate_size", "96"},  {"num_hidden_layers", "2"},
    {"num_attention_heads", "4"}, {"num_key_value_heads", "2"},
    {"head_dim", "16"},           {"vocab_size", "96"},
    {"rms_norm_eps", "1e-5"},     {"tie_word_embeddings", "false"},
};

/* config.json with this value of this member, in place of its own or as one more. */
static void put_config(const char *name, const char *value)
{
    struct buf b = {0};
    bool seen = !name;
    for (size_t i = 0; i < sizeof config / sizeof *config; i++) {
        bool this = name && !strcmp(name, config[i].name);
        seen |= this;
        buf_printf(&b, "%c\"%s\":%s", i ? ',' : '{', config[i].name,
                   this ? value : config[i].value);
    }
    if (!seen)
        buf_printf(&b, ",\"%s\":%s", name, value);
    buf_putc(&b, '}');
    put("config.json", buf_str(&b));
    buf_release(&b);
}

static const char tokenizer[] =
    "{\"model\":{\"type\":\"BPE\",\"unk_token\":null,\"byte_fallback\":true,"
    "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2%s},\"merges\":[\"a b\"]}}";

static void put_tokenizer(const char *more)
{
    char text[512];
    snprintf(text, sizeof text, "%.*s%s%s", (int)(strstr(tokenizer, "%s") - tokenizer),
             tokenizer, more, strstr(tokenizer, "%s") + 2);
    put("tokenizer.json", str_of(text));
}

static void put_template(const char *source)
{
    put("chat_template.jinja", str_of(source));
}

static void begin(void)
{
    struct tiny_model t = TINY_MODEL;
    snprintf(dir, sizeof dir, "%s/%d", root, fixtures++);
    tiny_model_write(dir, &t);
    put_config(NULL, NULL);
    put_tokenizer("");
    put_template("{{ messages[0].content }}");
}

/* ---- opening all of it ---------------------------------------------------- */

static struct dev *dev;

static int open_model(struct err *e)
{
    struct model_config cfg = {DT_F32, 4, 4, 1 << 20, 1};
    struct model_eos eos;
    struct ckpt *c = ckpt_open(dir, e);
    int rc = c ? model_eos(c, &eos, e) : -1;
    struct model *m = rc == 0 ? model_open(dev, c, &cfg, e) : NULL;
    struct peft *p = NULL;
    if (m && access(path_of("adapter_config.json"), F_OK) == 0) {
        p = peft_open(dir, e);
        rc = p && model_load_adapter(m, p, e) > 0 ? 0 : -1;
    }
    peft_close(p);
    model_close(m);
    ckpt_close(c);
    return m ? rc : -1;
}

/* A text of every kind of character goes through. */
static int open_tokenizer(struct err *e)
{
    struct ids ids = {0};
    struct buf text = {0};
    struct tokenizer *t = tokenizer_load(dir, e);
    if (!t)
        return -1;
    struct tokenizer_work *w = tokenizer_work_new(t);
    int rc = tokenizer_encode(t, w, STR("ab\n\xc3\xa9\xf0\x9f\x98\x80<0x-1>"), true, &ids, e);
    for (size_t i = 0; i < ids.n; i++)
        CHECK(ids.v[i] >= 0 && ids.v[i] < tokenizer_size(t));
    tokenizer_decode(t, w, ids.v, ids.n, false, &text);
    buf_release(&text);
    ids_release(&ids);
    tokenizer_work_free(w);
    tokenizer_free(t);
    return rc;
}

static int open_chat(struct err *e)
{
    struct chat_options o = {.dir = dir, .date = "2025-03-04"};
    struct buf out = {0};
    struct chat *c = chat_open(&o, e);
    int rc = c ? chat_render(c, STR("[{\"role\":\"user\",\"content\":\"hi\"}]"), STR(""),
                             STR(""), true, &out, e)
               : -1;
    chat_free(c);
    buf_release(&out);
    return rc;
}

static int open_all(struct err *e)
{
    return open_model(e) < 0 || open_tokenizer(e) < 0 || open_chat(e) < 0 ? -1 : 0;
}

static void refused_as(int status, const char *what, const char *word)
{
    struct err e = {0};
    int rc = open_all(&e);
    CHECK_MSG(rc < 0 && e.status == status, "%s: status %d, %s", what, e.status,
              rc == 0 ? "taken" : e.text);
    CHECK_MSG(strstr(e.text, word), "%s: no '%s' in: %s", what, word, e.text);
    CHECK_MSG(!strpbrk(e.text, "\n\r\033"), "%s: more than a line: %s", what, e.text);
}

static void refused(const char *what, const char *word)
{
    refused_as(EXIT_CONFIG, what, word);
}

static void taken(const char *what)
{
    struct err e = {0};
    CHECK_MSG(open_all(&e) == 0, "%s: %s", what, e.text);
}

/* ---- config.json ---------------------------------------------------------- */

static void test_config(void)
{
    static const struct {
        const char *name, *value, *word;
    } cases[] = {
        {"num_hidden_layers", "2147483648", "an integer from 1 to"},
        {"num_hidden_layers", "4294967298", "num_hidden_layers"}, /* 2 in 32 bits */
        {"num_hidden_layers", "-1", "num_hidden_layers"},
        {"num_hidden_layers", "4096", "is missing"}, /* allowed, but not there */
        {"num_hidden_layers", "2.0", "num_hidden_layers"},
        {"num_hidden_layers", "\"2\"", "num_hidden_layers"},
        {"num_attention_heads", "0", "num_attention_heads"},
        {"num_attention_heads", "4294967300", "num_attention_heads"}, /* 4 in 32 bits */
        {"num_attention_heads", "4096", "config.json makes it"},
        {"num_key_value_heads", "0", "num_key_value_heads"},
        {"num_key_value_heads", "-2", "num_key_value_heads"},
        {"num_key_value_heads", "3", "num_key_value_heads"},
        {"head_dim", "2147483648", "head_dim"},
        {"head_dim", "65536", "config.json makes it [262144, 64]"},
        {"head_dim", "15", "even"},
        {"vocab_size", "4611686018427387904", "vocab_size"},
        {"vocab_size", "9223372036854775808", "integer"},
        {"vocab_size", "97", "config.json makes it [97, 64]"},
        {"hidden_size", "1099511627776", "hidden_size"},
        {"hidden_size", "1048576", "config.json makes it"},
        {"intermediate_size", "18446744073709551520", "integer"}, /* -96 in 64 bits */
        {"max_position_embeddings", "4611686018427387904", "max_position_embeddings"},
        {"rms_norm_eps", "NaN", "config.json: line 1"},
        {"rms_norm_eps", "1e-400", "> 0"},
        {"rope_theta", "1e999", "overflow"},
        {"rope_theta", "-10000", "> 0"},
        {"rope_scaling", "{\"rope_type\":\"linear\",\"factor\":Infinity}", "line 1"},
        {"rope_scaling", "{\"rope_type\":\"linear\",\"factor\":-2}", "> 0"},
        {"rope_scaling", "{\"rope_type\":\"linear\",\"factor\":\"inf\"}", "> 0"},
        {"rope_scaling",
         "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
         "\"high_freq_factor\":4,\"original_max_position_embeddings\":0}",
         "> 0"},
        {"eos_token_id", "-1", "eos_token_id"},
        {"eos_token_id", "4294967298", "eos_token_id"}, /* 2 in 32 bits */
        {"eos_token_id", "[[2]]", "eos_token_id"},
        {"eos_token_id", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "more than 16"},
        {"use_moon_phase", "true", "use_moon_phase"},
        {"quantization_config", "{\"quant_method\":\"gptq\",\"bits\":4}", "gptq"},
        {"architectures", "[\"LlamaForSequenceClassification\"]", "architectures"},
        {"model_type", "\"llama\\u0000\"", "NUL"},
        {"model_type", "\"\\u001b[2Jx\\ny\"", "is not known"}, /* would clear the screen */
        {"model_type", "\"\xc0\xaf\"", "decode"},
        {"head_dim\":16,\"head_dim", "16", "duplicate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        put_config(cases[i].name, cases[i].value);
        refused(cases[i].value, cases[i].word);
    }
}

/* ---- any JSON file -------------------------------------------------------- */

static void nest(const char *name, int depth)
{
    struct buf b = {0};
    buf_puts(&b, "{\"auto_map\":");
    for (int i = 0; i < depth; i++)
        buf_puts(&b, "[");
    put(name, buf_str(&b));
    buf_release(&b);
}

/* What every file of a directory can be in place of itself. */
static void test_documents(void)
{
    static const char *const names[] = {"config.json", "generation_config.json",
                                        "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json"};
    static const struct {
        const char *text, *word;
    } kinds[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "LFS pointer"},
        {"<!DOCTYPE html><html><body>404</body></html>", "HTML"},
        {"PK\003\004data.pkl", "pickle"},
        {"", ""},
        {"[1]", "object"},
        {"{\"a\":\xff}", ""},
    };
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            begin();
            put(names[n], str_of(kinds[k].text));
            refused(names[n], kinds[k].word);
        }
        begin();
        nest(names[n], 129);
        refused(names[n], "nested deeper");
        begin();
        nest(names[n], 1000000);
        refused(names[n], "nested deeper");
        begin(); /* reading it would wait for ever */
        unlink(path_of(names[n]));
        if (mkfifo(path_of(names[n]), 0600))
            abort();
        refused(names[n], "not a regular file");
    }
}

/* ---- model.safetensors ---------------------------------------------------- */

static void put_weights(uint64_t length, const char *header, size_t data)
{
    struct buf b = {0};
    for (int i = 0; i < 8; i++)
        buf_putc(&b, (char)(length >> 8 * i & 255));
    buf_puts(&b, header);
    for (size_t i = 0; i < data; i++)
        buf_putc(&b, 0);
    put("model.safetensors", buf_str(&b));
    buf_release(&b);
}

#define T(name, shape, a, b) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" a "," b "]}"

static void test_weights(void)
{
    static const struct {
        const char *header, *word;
        size_t data;
    } cases[] = {
        {"{" T("a", "[4294967296,4294967296]", "0", "0") "}", "overflows", 0},
        {"{" T("a", "[2305843009213693952]", "0", "0") "}", "overflows", 0},
        {"{" T("a", "[1073741824,1073741824,4]", "0", "0") "}", "overflows", 0},
        {"{" T("a", "[-1]", "0", "4") "}", "not a count", 4},
        {"{" T("a", "[1]", "-4", "0") "}", "data_offsets", 4},
        {"{" T("a", "[1]", "0", "18446744073709551612") "}", "integer", 4},
        {"{" T("a", "[1]", "9223372036854775804", "9223372036854775807") "}", "cut short", 4},
        {"{" T("a", "[1]", "4", "0") "}", "stands at", 4},
        {"{" T("a", "[2]", "0", "8") "}", "cut short", 4},
        {"{" T("a", "[1]", "0", "4") "," T("b", "[1]", "0", "4") "}", "overlaps", 4},
        {"{" T("a", "[1]", "1", "5") "}", "hole", 5},
        {"{" T("a", "[1]", "0", "4") "}", "behind the last", 5},
        {"{" T("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", "dimensions", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "data_offsets", 4},
        {"{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]}}", "shape", 4},
        {"{\"__metadata__\":[]}", "__metadata__", 0},
        {"{" T("../../etc/passwd", "[1]", "0", "4") "}", "is missing", 4}, /* only a name */
        {"[]", "begin with", 0},
        {"{\"a", "header: line 1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        put_weights(strlen(cases[i].header), cases[i].header, cases[i].data);
        refused(cases[i].header, cases[i].word);
    }
    static const uint64_t lengths[] = {
        0, 1, 100000001, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        begin();
        put_weights(lengths[i], "{}", 0);
        refused("length of the header", "header of");
    }
    begin();
    put_weights(640, "{}", 0); /* 80 02: as a pickle begins */
    refused("a header cut short", "cut short");
}

/* A download that ended early, or brought something else. */
static void test_downloads(void)
{
    static const struct {
        const char *text, *word;
    } kinds[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "LFS pointer"},
        {"<html><head><title>Sign in</title>", "HTML"},
        {"GGUF\3\0\0\0", "GGUF"},
        {"PK\003\004archive/data.pkl", "pickle"},
        {"\200\002}q\001(X\005", "pickle"},
        {"", "0 bytes"},
    };
    static const long cuts[] = {1, 7, 8, 9, 100, 1000, 10000};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        begin();
        put("model.safetensors", str_of(kinds[i].text));
        refused(kinds[i].text, kinds[i].word);
    }
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        begin();
        if (truncate(path_of("model.safetensors"), cuts[i]))
            abort();
        refused("a file cut short", cuts[i] < 8 ? "no safetensors file" : "cut short");
    }
    begin();
    unlink(path_of("model.safetensors"));
    put("pytorch_model.bin", STR("PK\003\004"));
    refused("pickled weights", "pickled weights");
    begin();
    unlink(path_of("model.safetensors"));
    put("model.gguf", STR("GGUF"));
    refused("GGUF", "GGUF");
    begin();
    unlink(path_of("model.safetensors"));
    if (mkfifo(path_of("model.safetensors"), 0600))
        abort();
    refused("a FIFO", "not a regular file");
    begin();
    unlink(path_of("model.safetensors"));
    mkdir(path_of("model.safetensors"), 0700);
    refused("a folder", "not a regular file");
}

/* ---- model.safetensors.index.json ----------------------------------------- */

static void test_index(void)
{
    static const struct {
        const char *map, *word;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"../outside.safetensors\"}}", "no file name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "no file name"},
        {"{\"weight_map\":{\"a\":\"sub/one.safetensors\"}}", "no file name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "no file name"},
        {"{\"weight_map\":{\"a\":\".hidden\"}}", "no file name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "no file name"},
        {"{\"weight_map\":{\"a\":7}}", "no file name"},
        {"{\"weight_map\":{\"a\":null}}", "no file name"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\\u0000.txt\"}}", "NUL"},
        {"{\"weight_map\":{\"a\":\"there is\\nnone\"}}", "there is"},
        {"{\"weight_map\":{\"a\":\"config.json\"}}", "header"},
        {"{\"weight_map\":{\"a\":\"folder\"}}", "not a regular file"},
        {"{\"weight_map\":{}}", "is missing"},
        {"{\"weight_map\":[]}", "no weight_map"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\"}}", "is missing"}, /* of the model's */
        {"{\"weight_map\":{\"b\":\"one.safetensors\"}}", "places nowhere"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"two.safetensors\"}}", "duplicate"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"z\":\"one.safetensors\"}}", "lacks"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS pointer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char header[] = "{" T("a", "[1]", "0", "4") "}";
        begin();
        mkdir(path_of("folder"), 0700);
        put_weights(strlen(header), header, 4);
        char *one = xstrdup(path_of("one.safetensors"));
        if (rename(path_of("model.safetensors"), one))
            abort();
        free(one);
        put("model.safetensors.index.json", str_of(cases[i].map));
        refused(cases[i].map, cases[i].word);
    }
}

/* ---- tokenizer.json ------------------------------------------------------- */

static void test_tokenizer(void)
{
    static const struct {
        const char *more, *word;
    } cases[] = {
        {",\"c\":-1", "-1"},
        {",\"c\":-9223372036854775808", "id"},
        {",\"c\":9223372036854775807", "out of range"},
        {",\"c\":4294967298", "out of range"}, /* 2 in 32 bits */
        {",\"c\":2147483647", "out of range"},
        {",\"c\":1.0", "integer"},
        {",\"c\":0", "two tokens"},
        {",\"a\":7", "twice"},
        {",\"\\ud800\":7", "surrogate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        put_tokenizer(cases[i].more);
        refused(cases[i].more, cases[i].word);
    }
    /* Tokens that look like bytes and are none: no index below or past the table of bytes. */
    static const char *const bytes[] = {"<0x-1>", "<0x100>", "<0xGG>",
                                        "<0x >",  "<0x",     "<0x+1>"};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        char more[64];
        begin();
        snprintf(more, sizeof more, ",\"%s\":3,\"<0xC3>\":4", bytes[i]);
        put_tokenizer(more);
        taken(bytes[i]);
    }
}

/* ---- chat templates ------------------------------------------------------- */

/* A template that cannot be read is refused at once; one that goes wrong while it renders is
 * the fault of that record.  None runs for long, or gets at anything but the messages. */
static void test_templates(void)
{
    static const struct {
        int status;
        const char *source, *word;
    } cases[] = {
        {EXIT_CONFIG, "{% else %}{% endif %}{{", "chat_template.jinja:1:"},
        {EXIT_DATA, "{% include '/etc/passwd' %}", "no other templates"},
        {EXIT_DATA, "{% import 'os' as os %}", "no other templates"},
        {EXIT_DATA, "{% extends 'x' %}", "no other templates"},
        {EXIT_CONFIG, "\xff", "UTF-8"},
        {EXIT_DATA, "{{ ''.__class__.__mro__[1].__subclasses__() }}",
         "out of a template's reach"},
        {EXIT_DATA, "{{ messages.__init__.__globals__['os'].system('x') }}", "reach"},
        {EXIT_DATA, "{{ cycler.__init__.__globals__.os }}", "reach"},
        {EXIT_DATA, "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
         "chat_template.jinja:1:"},
        {EXIT_DATA, "{% for i in range(999999999999) %}x{% endfor %}",
         "chat_template.jinja:1:"},
        {EXIT_DATA,
         "{% for i in range(99999) %}{% for k in range(99999) %}{% endfor %}"
         "{% endfor %}",
         "steps"},
        {EXIT_DATA, "{{ 'a' * 99999999999 }}", "chat_template.jinja:1:"},
        {EXIT_DATA, "{{ '%999999999d' % 1 }}", "chat_template.jinja:1:"},
        {EXIT_DATA, "{{ 'x'|center(99999999999) }}", "chat_template.jinja:1:"},
        {EXIT_DATA, "{{ 9 ** 9 ** 9 ** 9 }}", "chat_template.jinja:1:"},
        {EXIT_DATA, "{{ raise_exception('a\nb') }}", "a?b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        put_template(cases[i].source);
        refused_as(cases[i].status, cases[i].source, cases[i].word);
    }
    struct buf deep = {0};
    for (int i = 0; i < 100000; i++)
        buf_puts(&deep, i ? "(" : "{{ ");
    begin();
    put("chat_template.jinja", buf_str(&deep));
    refused("brackets without end", "chat_template.jinja:1:");
    buf_clear(&deep);
    for (int i = 0; i < 100000; i++)
        buf_puts(&deep, "{% if 1 %}");
    begin();
    put("chat_template.jinja", buf_str(&deep));
    refused("blocks without end", "chat_template.jinja:1:");
    buf_release(&deep);
}

/* ---- adapters ------------------------------------------------------------- */

static void test_adapters(void)
{
    static const struct {
        const char *members, *word;
    } cases[] = {
        {"\"r\":0", "\"r\""},
        {"\"r\":-8", "\"r\""},
        {"\"r\":4294967304", "\"r\""}, /* 8 in 32 bits */
        {"\"r\":8,\"lora_alpha\":1e999", "overflow"},
        {"\"r\":8,\"lora_alpha\":NaN", "line 1"},
        {"\"r\":8,\"use_dora\":true", "use_dora"},
        {"\"r\":8,\"target_modules\":\"(((((a+)+)+)+)+)+$\"", "adapter"},
        {"\"r\":8,\"target_modules\":\"(\"", "target_modules"},
        {"\"r\":8,\"target_modules\":[\"no_such\"]", "no_such"},
        {"\"r\":8,\"target_modules\":[\"q_proj\"]", "is missing"},
        {"\"r\":8,\"rank_pattern\":{\"q_proj\":-1}", "q_proj"},
        {"\"r\":8,\"layers_to_transform\":[-1],\"target_modules\":[\"q_proj\"]", "layers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        begin();
        snprintf(text, sizeof text, "{\"peft_type\":\"LORA\",%s}", cases[i].members);
        put("adapter_config.json", str_of(text));
        put("adapter_model.safetensors", STR("\2\0\0\0\0\0\0\0{}"));
        refused(cases[i].members, cases[i].word);
    }
    begin();
    put("adapter_config.json", STR("{\"peft_type\":\"LORA\"}"));
    put("adapter_model.bin", STR("PK\003\004"));
    refused("a pickled adapter", "pickle");
    begin();
    put("adapter_config.json", STR("version https://git-lfs.github.com/spec/v1\n"));
    put("adapter_model.safetensors", STR("\2\0\0\0\0\0\0\0{}"));
    refused("a pointer", "LFS pointer");
}

/* ---- what is allowed ------------------------------------------------------ */

/* Code that comes with a model is not looked at; a link is as good as the file, since who made
 * the directory chose it (the hub's cache consists of links). */
static void test_allowed(void)
{
    begin();
    put_config("auto_map", "{\"AutoConfig\":\"configuration_x.XConfig\"}");
    put("configuration_x.py", STR("raise SystemExit('ran')\n"));
    put("pytorch_model.bin", STR("PK\003\004"));
    put("consolidated.safetensors", STR("not read"));
    taken("code and other files beside the model");

    begin();
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s/blob", root);
    if (rename(path_of("model.safetensors"), elsewhere) ||
        symlink(elsewhere, path_of("model.safetensors")))
        abort();
    taken("a link to the weights");

    begin();
    unlink(path_of("config.json"));
    if (symlink("config.json", path_of("config.json")))
        abort();
    refused("a link to itself", "config.json");
}

int main(void)
{
    const struct dev_ops *ops = dev_find("ref");
    struct dev_config c = {.threads = 1};
    struct err e;
    if (!mkdtemp(root) || !(dev = ops->open(&c, &e)))
        return 1;
    begin();
    taken("the directory as it is");
    test_config();
    test_documents();
    test_weights();
    test_downloads();
    test_index();
    test_tokenizer();
    test_templates();
    test_adapters();
    test_allowed();
    dev->ops->close(dev);
    char *command = xasprintf("rm -rf '%s'", root);
    if (system(command))
        unit_failed++;
    free(command);
    printf("hostile: %d fixtures\n", fixtures);
    return unit_done("hostile");
}
