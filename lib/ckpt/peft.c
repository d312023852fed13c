/* peft.c - an adapter's directory as PEFT writes it: its configuration and its tensors. */
#include "ckpt/peft.h"

#include "base/file.h"
#include "base/hash.h"
#include "ckpt/document.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG "adapter_config.json"
#define TENSORS "adapter_model.safetensors"

struct peft {
    char *dir;
    json_t *config;
    struct safetensors *tensors;
    uint64_t hash;
};

static bool have(const char *dir, const char *name)
{
    char *path = xasprintf("%s/%s", dir, name);
    bool yes = access(path, F_OK) == 0;
    free(path);
    return yes;
}

static int check_directory(const char *dir, struct err *e)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return err_set(e, EXIT_NOINPUT, "open %s:", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, EXIT_CONFIG,
                       "%s is a file; give the directory that holds the adapter", dir);
    if (!have(dir, CONFIG))
        return err_set(e, EXIT_CONFIG, "%s: no " CONFIG "%s", dir,
                       have(dir, "config.json") ? "; it holds a model, not an adapter" : "");
    if (!have(dir, TENSORS))
        return err_set(e, EXIT_CONFIG, "%s: no " TENSORS "%s", dir,
                       have(dir, "adapter_model.bin")
                           ? "; it holds a pickle, adapter_model.bin: save it as safetensors"
                           : "");
    return 0;
}

static int hash_file(struct peft *p, const char *path, struct err *e)
{
    struct file_map m;
    if (file_map(&m, path, e) < 0)
        return -1;
    uint64_t size = m.n;
    p->hash = hash_bytes(p->hash, &size, sizeof size);
    p->hash = hash_bytes(p->hash, m.p, m.n);
    file_unmap(&m);
    return 0;
}

static int read_files(struct peft *p, struct err *e)
{
    char *config = xasprintf("%s/" CONFIG, p->dir), *tensors = xasprintf("%s/" TENSORS, p->dir);
    p->hash = HASH_SEED;
    p->config = document_read(config, e);
    if (p->config)
        p->tensors = safetensors_open(tensors, e);
    int rc = p->tensors && hash_file(p, config, e) == 0 ? hash_file(p, tensors, e) : -1;
    free(config);
    free(tensors);
    return rc;
}

struct peft *peft_open(const char *dir, struct err *e)
{
    if (check_directory(dir, e) < 0)
        return NULL;
    struct peft *p = xcalloc(1, sizeof *p);
    p->dir = xstrdup(dir);
    if (read_files(p, e) < 0) {
        if (e && e->status == EXIT_NOINPUT) /* the directory is there */
            e->status = EXIT_CONFIG;
        peft_close(p);
        return NULL;
    }
    return p;
}

void peft_close(struct peft *p)
{
    if (!p)
        return;
    safetensors_close(p->tensors);
    json_decref(p->config);
    free(p->dir);
    free(p);
}

const char *peft_dir(const struct peft *p)
{
    return p->dir;
}

const json_t *peft_config(const struct peft *p)
{
    return p->config;
}

const struct safetensors *peft_tensors(const struct peft *p)
{
    return p->tensors;
}

uint64_t peft_hash(const struct peft *p)
{
    return p->hash;
}
