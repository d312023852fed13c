/* result.c - what a training leaves: a model directory, or an adapter, in Hugging Face layout.
 */
#include "train-step/result.h"

#include "base/file.h"
#include "ckpt/save.h"
#include "train-step/key.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 1 << 30 };

int result_is_there(const char *out, const char *key, struct err *e)
{
    struct stat st;
    if (stat(out, &st) < 0)
        return 0;
    char *path = xasprintf("%s/training.json", out);
    int rc = key_compare(path, key, e);
    free(path);
    if (rc > 0)
        return err_set(e, EXIT_USAGE,
                       "%s is there already, and no training wrote it; choose another -o", out);
    return rc < 0 ? -1 : 1;
}

/* ---- training.json ---------------------------------------------------------------------- */

static char *manifest(const struct options *o, const struct result_facts *f)
{
    json_t *j = json_pack("{s:s, s:s, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "tool",
                          "train-step " VERSION, "model", o->init ? o->init : o->model, "steps",
                          (json_int_t)f->steps, "epochs", f->epochs, "records",
                          (json_int_t)f->records, "tokens", (json_int_t)f->tokens, "targets",
                          (json_int_t)f->targets, "skipped", (json_int_t)f->skipped,
                          "trainable", (json_int_t)f->trainable, "params",
                          (json_int_t)f->params, "loss", f->loss);
    if (f->best_step) {
        json_object_set_new(j, "best_step", json_integer(f->best_step));
        json_object_set_new(j, "eval_loss", json_real(f->eval_loss));
    }
    if (f->eval_accuracy >= 0)
        json_object_set_new(j, "eval_accuracy", json_real(f->eval_accuracy));
    json_object_set_new(j, "key", json_loads(f->key, 0, NULL));
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(j);
    if (!text)
        die(EXIT_OS, "out of memory, or a path that is not UTF-8");
    return text;
}

static int copy_as(struct save *s, const char *path, const char *name, struct err *e)
{
    struct buf b = {0};
    int rc = file_read(&b, path, FILE_MAX_BYTES, e);
    if (rc == 0)
        rc = save_bytes(s, name, buf_str(&b), e);
    buf_release(&b);
    return rc;
}

/* ---- weights ------------------------------------------------------------------------------
 */

struct reading {
    struct trainer *t;
    int64_t at;
};

static int read_weights(void *arg, int64_t first, int64_t n, void *to, struct err *e)
{
    const struct reading *r = arg;
    return trainer_read(r->t, TRAIN_WEIGHT, r->at + first, n, to, e);
}

static struct reading *add_weights(struct save *s, struct trainer *t, const char *file,
                                   enum ckpt_dtype dtype)
{
    size_t n;
    const struct train_tensor *v = trainer_tensors(t, &n);
    struct reading *r = xcalloc(n + 1, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        struct save_tensor x = {.name = v[i].name,
                                .dtype = dtype,
                                .from = CKPT_F32,
                                .nd = v[i].nd,
                                .read = read_weights,
                                .arg = &r[i]};
        r[i] = (struct reading){t, v[i].at};
        for (int k = 0; k < v[i].nd; k++)
            x.shape[k] = v[i].shape[k];
        save_tensor(s, file, &x);
    }
    return r;
}

/* ---- the directory --------------------------------------------------------------------------
 */

static int add_adapter(struct save *s, const struct options *o, struct trainer *t,
                       struct err *e)
{
    static const char *const files[] = {"tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "chat_template.jinja",
                                        "added_tokens.json"};
    json_t *config = trainer_adapter_config(t, o->model);
    char *text = json_dumps(config, JSON_INDENT(2));
    int rc = save_bytes(s, "adapter_config.json", str_of(text), e);
    for (size_t i = 0; i < sizeof files / sizeof *files && rc == 0; i++)
        if (!o->chat_template || strcmp(files[i], "chat_template.jinja"))
            rc = save_copy(s, o->model, files[i], e);
    json_decref(config);
    free(text);
    return rc;
}

static int add_model(struct save *s, const struct options *o, struct err *e)
{
    if (!o->init)
        return save_copy_model(s, o->model, e);
    static const char *const files[] = {"generation_config.json", "tokenizer.json",
                                        "tokenizer_config.json",  "special_tokens_map.json",
                                        "added_tokens.json",      "chat_template.jinja"};
    int rc = copy_as(s, o->init, "config.json", e);
    for (size_t i = 0; i < sizeof files / sizeof *files && rc == 0; i++)
        if (!o->chat_template || strcmp(files[i], "chat_template.jinja"))
            rc = save_copy(s, o->model, files[i], e);
    return rc;
}

int result_save(const struct options *o, const char *ckpt_dir, struct trainer *t,
                const struct result_facts *f, struct err *e)
{
    char *text = manifest(o, f), *metrics = xasprintf("%s/metrics.jsonl", ckpt_dir);
    struct save *s = save_open(o->output, e);
    struct reading *r = NULL;
    int rc = s ? 0 : -1;
    if (rc == 0)
        rc = o->lora ? add_adapter(s, o, t, e) : add_model(s, o, e);
    if (rc == 0 && o->chat_template)
        rc = copy_as(s, o->chat_template, "chat_template.jinja", e);
    if (rc == 0)
        rc = save_bytes(s, "training.json", str_of(text), e);
    if (rc == 0)
        rc = copy_as(s, metrics, "metrics.jsonl", e);
    if (rc == 0) {
        r = add_weights(s, t, o->lora ? "adapter_model" : "model",
                        !o->lora && f->dtype == DT_BF16 ? CKPT_BF16 : CKPT_F32);
        rc = save_commit(s, e);
    } else if (s) {
        save_abandon(s);
    }
    free(r);
    free(text);
    free(metrics);
    return rc;
}
