/* ckpt.c - model directories and safetensors headers, hostile ones above all. */
#include "unit.h"

#include "base/file.h"
#include "ckpt/ckpt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/millrace-ckpt.XXXXXX";

static const char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void put(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(path_of(name), "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        abort();
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

/* A file of the header with a length of `length` (0: its own) and `data` zero bytes. */
static void put_file(const char *name, const char *header, uint64_t length, size_t data)
{
    struct buf b = {0};
    if (!length)
        length = strlen(header);
    for (int i = 0; i < 8; i++)
        buf_putc(&b, (char)(length >> 8 * i & 255));
    buf_puts(&b, header);
    for (size_t i = 0; i < data; i++)
        buf_putc(&b, 0);
    put(name, b.p, b.n);
    buf_release(&b);
}

/* The file is refused with EXIT_CONFIG and a message that has `word` in it. */
static void refused(const char *header, uint64_t length, size_t data, const char *word)
{
    struct err e = {0};
    put_file("x.safetensors", header, length, data);
    struct safetensors *s = safetensors_open(path_of("x.safetensors"), &e);
    CHECK_MSG(!s && e.status == EXIT_CONFIG && strstr(e.text, word), "%s: %s", header, e.text);
    safetensors_close(s);
}

#define F32(shape, a, b) \
    "{\"t\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #a "," #b "]}}"

static void test_hostile_sizes(void)
{
    refused(F32("[4611686018427387904,4]", 0, 0), 0, 16, "overflows");
    refused(F32("[4294967296,4294967296]", 0, 16), 0, 16, "overflows");
    refused(F32("[2305843009213693952]", 0, 0), 0, 0, "overflows"); /* x 32 bits wraps to 0 */
    refused(F32("[99999999999999999999]", 0, 4), 0, 4, "integer");
    refused(F32("[-1]", 0, 4), 0, 4, "not a count");
    refused(F32("[1.0]", 0, 4), 0, 4, "not a count");
    refused(F32("[1,1,1,1,1,1,1,1,1]", 0, 4), 0, 4, "dimensions");
    refused(F32("[1]", 0, 8), 0, 8, "shape needs 4");
    refused(F32("[4]", 0, 16), 0, 8, "cut short");
    refused(F32("[1]", 8, 4), 0, 16, "stands at 8 to 4");
    refused(F32("[1]", 18446744073709551612, 0), 0, 4, "integer");
    refused(F32("[1]", 4, 8), 0, 8, "hole");
    refused(F32("[1]", 0, 4), 0, 5, "1 bytes behind");
    refused("{\"t\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,0]}}", 0, 0,
            "whole byte");
}

static void test_hostile_headers(void)
{
    refused("{}", 1, 0, "header of 1 bytes");
    refused("{}", 100000001, 0, "header of 100000001");
    refused("{}", UINT64_MAX, 0, "header of 18446744073709551615");
    refused("{}", 3, 0, "cut short");
    refused("[]", 0, 0, "begin with");
    refused("{\"t\":3}", 0, 0, "not described");
    refused("{\"t\":{\"dtype\":\"F33\",\"shape\":[],\"data_offsets\":[0,0]}}", 0, 0, "F33");
    refused("{\"__metadata__\":{\"a\":1}}", 0, 0, "__metadata__");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[2,5]}}",
            0, 5, "overlaps");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            0, 2, "duplicate");
    struct buf deep = {0};
    buf_puts(&deep, "{\"t\":");
    for (int i = 0; i < 100000; i++)
        buf_putc(&deep, '[');
    refused(deep.p, 0, 0, "nested deeper");
    buf_release(&deep);
}

static void test_foreign(void)
{
    static const char *const kinds[][2] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "LFS"},
        {"GGUF\3\0\0\0", "GGUF"},
        {"PK\3\4xxxxxxxx", "zip"},
        {"\200\2}q\0", "pickle"},
        {"", "0 bytes"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct err e = {0};
        put_text("f.safetensors", kinds[i][0]);
        struct safetensors *s = safetensors_open(path_of("f.safetensors"), &e);
        CHECK_MSG(!s && e.status == EXIT_CONFIG && strstr(e.text, kinds[i][1]), "%s", e.text);
        safetensors_close(s);
    }
}

static void test_unaligned(void)
{
    struct err e = {0};
    put_file("u.safetensors",
             "{\"b\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[3,3]},"
             "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[3,5]},"
             "\"c\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}} ",
             0, 5);
    struct safetensors *s = safetensors_open(path_of("u.safetensors"), &e);
    CHECK_MSG(s, "%s", e.text);
    if (!s)
        return;
    CHECK(safetensors_count(s) == 3 && !strcmp(safetensors_at(s, 0)->name, "a"));
    const struct ckpt_tensor *a = safetensors_find(s, "a"), *c = safetensors_find(s, "c");
    CHECK(a->dtype == CKPT_BF16 && a->nd == 0 && a->bytes == 2);
    CHECK((const char *)a->data == (const char *)c->data + 3);
    CHECK(safetensors_find(s, "d") == NULL);
    safetensors_close(s);
}

/* A directory with these files; NULL text: none. */
static struct ckpt *open_dir(const char *config, const char *index, struct err *e)
{
    char dir[64], path[128];
    static int number;
    snprintf(dir, sizeof dir, "d%d", number++);
    mkdir(path_of(dir), 0777);
    if (config) {
        snprintf(path, sizeof path, "%s/config.json", dir);
        put_text(path, config);
    }
    if (index) {
        snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
        put_text(path, index);
    }
    snprintf(path, sizeof path, "%s/one.safetensors", dir);
    put_file(path, "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 0, 3);
    snprintf(path, sizeof path, "%s/two.safetensors", dir);
    put_file(path, "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 0, 3);
    return ckpt_open(path_of(dir), e);
}

static void dir_refused(const char *config, const char *index, const char *word)
{
    struct err e = {0};
    struct ckpt *c = open_dir(config, index, &e);
    CHECK_MSG(!c && e.status == EXIT_CONFIG && strstr(e.text, word), "%s", e.text);
    ckpt_close(c);
}

#define MAP(entries) "{\"metadata\":{},\"weight_map\":{" entries "}}"

static void test_directory(void)
{
    struct err e = {0};
    struct ckpt *c = open_dir("{}", MAP("\"b\":\"two.safetensors\",\"a\":\"one.safetensors\""),
                              &e);
    CHECK_MSG(c && ckpt_count(c) == 2, "%s", e.text);
    if (c) {
        CHECK(!strcmp(ckpt_at(c, 0)->name, "a") && ckpt_find(c, "b") == ckpt_at(c, 1));
        CHECK(ckpt_find(c, "c") == NULL && ckpt_generation(c) == NULL);
        CHECK(json_is_object(ckpt_config(c)));
        CHECK(ckpt_hash(c) == ckpt_hash(c));
        ckpt_done_with(c, ckpt_at(c, 0));
        uint64_t before = ckpt_hash(c);
        char path[4200];
        snprintf(path, sizeof path, "%s/tokenizer.json", ckpt_dir(c));
        FILE *f = fopen(path, "w");
        if (!f || fputs("{}", f) < 0 || fclose(f))
            abort();
        CHECK(ckpt_hash(c) != before);
    }
    ckpt_close(c);
    CHECK(!ckpt_open(path_of("nowhere"), &e) && e.status == EXIT_NOINPUT);
    put_text("file.gguf", "GGUF");
    CHECK(!ckpt_open(path_of("file.gguf"), &e) && strstr(e.text, "GGUF"));
}

/* A header's length whose bytes are those that a pickle begins with. */
static void test_length_like_magic(void)
{
    struct err e = {0};
    char header[641];
    snprintf(header, sizeof header, "%-640s",
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}");
    put_file("m.safetensors", header, 0, 3);
    struct safetensors *s = safetensors_open(path_of("m.safetensors"), &e);
    CHECK_MSG(s && safetensors_count(s) == 1, "%s", e.text);
    safetensors_close(s);
}

static void test_directory_refused(void)
{
    dir_refused(NULL, NULL, "no config.json");
    dir_refused("{}", NULL, "neither model.safetensors nor");
    dir_refused("[]", NULL, "not a JSON object");
    dir_refused("{\"a\":1,\"a\":2}", NULL, "duplicate");
    dir_refused("{", NULL, "config.json: line 1");
    dir_refused("{}", "{}", "no weight_map");
    dir_refused("{}", MAP("\"a\":\"../one.safetensors\""), "no file name");
    dir_refused("{}", MAP("\"a\":\"/etc/passwd\""), "no file name");
    dir_refused("{}", MAP("\"a\":\"..\""), "no file name");
    dir_refused("{}", MAP("\"a\":\"\""), "no file name");
    dir_refused("{}", MAP("\"a\":7"), "no file name");
    dir_refused("{}", MAP("\"a\":\"three.safetensors\""), "three.safetensors");
    dir_refused("{}", MAP("\"x\":\"one.safetensors\""),
                "which model.safetensors.index.json places nowhere");
    dir_refused("{}", MAP("\"a\":\"one.safetensors\",\"z\":\"one.safetensors\""),
                "lacks \"z\"");
    dir_refused("{}", MAP("\"a\":\"two.safetensors\",\"b\":\"one.safetensors\""), "places in");
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    test_hostile_sizes();
    test_hostile_headers();
    test_foreign();
    test_unaligned();
    test_length_like_magic();
    test_directory();
    test_directory_refused();
    char *command = xasprintf("rm -rf '%s'", root);
    if (system(command))
        unit_failed++;
    free(command);
    return unit_done("ckpt");
}
