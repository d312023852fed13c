/* ckpt.c - a model directory: its documents, its one safetensors file or its shards. */
#include "ckpt/ckpt.h"

#include "base/file.h"
#include "ckpt/document.h"
#include "ckpt/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

struct ckpt {
    char *dir;
    json_t *config, *generation, *index;
    struct safetensors **files;
    char **names; /* of the files, for messages */
    size_t n_files, cap_files, cap_names;
    const struct ckpt_tensor **t; /* all files', by name */
    size_t n;
};

static char *path_in(const struct ckpt *c, const char *name)
{
    return xasprintf("%s/%s", c->dir, name);
}

static bool have(const struct ckpt *c, const char *name)
{
    char *path = path_in(c, name);
    bool yes = access(path, F_OK) == 0;
    free(path);
    return yes;
}

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n >= k && !strcmp(s + n - k, tail);
}

/* What the directory holds instead of what we read, for the message; NULL: nothing known. */
static const char *directory_foreign(const char *dir)
{
    static const struct {
        const char *tail, *what;
    } kinds[] = {
        {".gguf", "a GGUF file; convert the model to safetensors"},
        {".bin", "pickled weights (*.bin); convert the model to safetensors"},
        {".pt", "pickled weights (*.pt); convert the model to safetensors"},
        {".pth", "pickled weights (*.pth); convert the model to safetensors"},
        {".safetensors", "safetensors files of other names; " SINGLE " or " INDEX " is read"},
    };
    const char *what = NULL;
    DIR *d = opendir(dir);
    for (struct dirent *x; d && !what && (x = readdir(d));)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (ends_with(x->d_name, kinds[i].tail))
                what = kinds[i].what;
    if (d)
        closedir(d);
    return what;
}

/* A shard's name comes from the index: a plain name in the directory, nothing else.  (The file
 * itself may be a symbolic link, as in the hub's cache: that was made by the owner.) */
static bool plain_name(const char *s)
{
    return *s && *s != '.' && !strchr(s, '/');
}

static int add_file(struct ckpt *c, const char *name, struct err *e)
{
    char *path = path_in(c, name);
    struct safetensors *s = safetensors_open(path, e);
    free(path);
    if (!s) {
        if (e && e->status == EXIT_NOINPUT)
            e->status = EXIT_CONFIG;
        return -1;
    }
    GROW(c->files, c->cap_files, c->n_files + 1);
    GROW(c->names, c->cap_names, c->n_files + 1);
    c->files[c->n_files] = s;
    c->names[c->n_files++] = xstrdup(name);
    return 0;
}

/* Opens each file that the index names, once. */
static int add_shards(struct ckpt *c, const json_t *map, struct err *e)
{
    const char *tensor;
    json_t *value;
    json_t *seen = json_object();
    int rc = seen ? 0 : err_set(e, EXIT_OS, "out of memory");
    json_object_foreach((json_t *)(uintptr_t)map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (rc == 0 && (!name || !plain_name(name)))
            rc = err_set(e, EXIT_CONFIG,
                         "%s/%s: tensor \"%s\" is placed in \"%s\", which is no file name",
                         c->dir, INDEX, tensor, name ? name : "?");
        if (rc < 0 || json_object_get(seen, name))
            continue;
        if (json_object_set_new(seen, name, json_true()) < 0)
            rc = err_set(e, EXIT_OS, "out of memory");
        else if (!have(c, name))
            rc = err_set(e, EXIT_CONFIG,
                         "%s/%s is missing, and " INDEX " places tensors in it; is the "
                         "download complete?",
                         c->dir, name);
        else
            rc = add_file(c, name, e);
    }
    json_decref(seen);
    return rc;
}

/* Every tensor of a shard is the index's, and every one of the index is in its shard. */
static int check_index(const struct ckpt *c, const json_t *map, struct err *e)
{
    for (size_t f = 0; f < c->n_files; f++) {
        for (size_t i = 0; i < safetensors_count(c->files[f]); i++) {
            const char *name = safetensors_at(c->files[f], i)->name;
            const char *place = json_string_value(json_object_get(map, name));
            if (!place || strcmp(place, c->names[f]))
                return err_set(e, EXIT_CONFIG, "%s holds \"%s\", which %s places %s%s",
                               c->names[f], name, INDEX, place ? "in " : "nowhere",
                               place ? place : "");
        }
    }
    /* Each shard's tensors are a part of the map now, so what is missing is found by count. */
    if (c->n == json_object_size(map))
        return 0;
    const char *tensor;
    json_t *value;
    json_object_foreach(
        (json_t *)(uintptr_t)map, tensor,
        value) if (!ckpt_find(c, tensor)) return err_set(e, EXIT_CONFIG,
                                                         "%s lacks \"%s\", which %s places "
                                                         "there (%zu missing)",
                                                         json_string_value(value), tensor,
                                                         INDEX, json_object_size(map) - c->n);
    BUG("index and shards differ in number alone");
}

static int by_name(const void *a, const void *b)
{
    const struct ckpt_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void list_tensors(struct ckpt *c)
{
    for (size_t f = 0; f < c->n_files; f++)
        c->n += safetensors_count(c->files[f]);
    c->t = xcalloc(c->n, sizeof(*c->t));
    size_t at = 0;
    for (size_t f = 0; f < c->n_files; f++)
        for (size_t i = 0; i < safetensors_count(c->files[f]); i++)
            c->t[at++] = safetensors_at(c->files[f], i);
    qsort(c->t, c->n, sizeof *c->t, by_name);
}

static int open_weights(struct ckpt *c, struct err *e)
{
    if (have(c, SINGLE)) {
        if (add_file(c, SINGLE, e) < 0)
            return -1;
        list_tensors(c);
        return 0;
    }
    if (!have(c, INDEX)) {
        const char *foreign = directory_foreign(c->dir);
        return err_set(e, EXIT_CONFIG, "%s: neither " SINGLE " nor " INDEX "%s%s", c->dir,
                       foreign ? ", but " : "", foreign ? foreign : "");
    }
    char *path = path_in(c, INDEX);
    c->index = document_read(path, e);
    free(path);
    if (!c->index)
        return -1;
    const json_t *map = json_object_get(c->index, "weight_map");
    if (!json_is_object(map))
        return err_set(e, EXIT_CONFIG, "%s: %s has no weight_map", c->dir, INDEX);
    if (add_shards(c, map, e) < 0)
        return -1;
    list_tensors(c);
    return check_index(c, map, e) < 0 ? err_prefix(e, "%s", c->dir) : 0;
}

static int open_documents(struct ckpt *c, struct err *e)
{
    if (!have(c, "config.json")) {
        const char *foreign = have(c, "adapter_config.json")
                                  ? "an adapter, which goes with a model"
                                  : directory_foreign(c->dir);
        return err_set(e, EXIT_CONFIG, "%s: no config.json%s%s", c->dir,
                       foreign ? "; it holds " : "", foreign ? foreign : "");
    }
    char *path = path_in(c, "config.json");
    c->config = document_read(path, e);
    free(path);
    if (!c->config)
        return -1;
    if (have(c, "generation_config.json")) {
        path = path_in(c, "generation_config.json");
        c->generation = document_read(path, e);
        free(path);
        if (!c->generation)
            return -1;
    }
    return 0;
}

static int check_directory(const char *dir, struct err *e)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return err_set(e, EXIT_NOINPUT, "open %s:", dir);
    if (S_ISDIR(st.st_mode))
        return 0;
    struct file_map m;
    const char *foreign = NULL;
    if (file_map(&m, dir, NULL) == 0) {
        foreign = file_foreign(m.p, m.n);
        file_unmap(&m);
    }
    return err_set(e, EXIT_CONFIG, "%s is %s", dir,
                   foreign ? foreign : "a file; give the directory that holds the model");
}

struct ckpt *ckpt_open(const char *dir, struct err *e)
{
    if (check_directory(dir, e) < 0)
        return NULL;
    struct ckpt *c = xcalloc(1, sizeof *c);
    c->dir = xstrdup(dir);
    if (open_documents(c, e) < 0 || open_weights(c, e) < 0) {
        if (e && e->status == EXIT_NOINPUT)
            e->status = EXIT_CONFIG;
        ckpt_close(c);
        return NULL;
    }
    return c;
}

void ckpt_close(struct ckpt *c)
{
    if (!c)
        return;
    for (size_t f = 0; f < c->n_files; f++) {
        safetensors_close(c->files[f]);
        free(c->names[f]);
    }
    free(c->files);
    free(c->names);
    free(c->t);
    json_decref(c->config);
    json_decref(c->generation);
    json_decref(c->index);
    free(c->dir);
    free(c);
}

const char *ckpt_dir(const struct ckpt *c)
{
    return c->dir;
}

const json_t *ckpt_config(const struct ckpt *c)
{
    return c->config;
}

const json_t *ckpt_generation(const struct ckpt *c)
{
    return c->generation;
}

size_t ckpt_count(const struct ckpt *c)
{
    return c->n;
}

const struct ckpt_tensor *ckpt_at(const struct ckpt *c, size_t i)
{
    return c->t[i];
}

const struct ckpt_tensor *ckpt_find(const struct ckpt *c, const char *name)
{
    struct ckpt_tensor key = {.name = name};
    const struct ckpt_tensor *k = &key, **found;
    found = bsearch(&k, c->t, c->n, sizeof *c->t, by_name);
    return found ? *found : NULL;
}

void ckpt_done_with(const struct ckpt *c, const struct ckpt_tensor *t)
{
    (void)c;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)t->data;
    uintptr_t to = (from + (uintptr_t)t->bytes) / page * page;
    from = (from + page - 1) / page * page;
    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* a hint; failing is no harm */
}

uint64_t ckpt_hash(const struct ckpt *c)
{
    static const char *const documents[] = {
        "config.json",         "generation_config.json", INDEX,
        "tokenizer.json",      "tokenizer_config.json",  "special_tokens_map.json",
        "chat_template.jinja", "chat_template.json",
    };
    uint64_t h = HASH_SEED;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        char *path = path_in(c, documents[i]);
        struct file_map m = {0};
        uint64_t size = file_map(&m, path, NULL) == 0 ? m.n : UINT64_MAX;
        h = hash_bytes(h, &size, sizeof size);
        h = hash_bytes(h, m.p, m.n);
        file_unmap(&m);
        free(path);
    }
    for (size_t f = 0; f < c->n_files; f++)
        h = safetensors_hash(c->files[f], h);
    return h;
}
