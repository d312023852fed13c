/* checkpoint.c - what a training needs to go on as if it had never stopped. */
#include "train-step/checkpoint.h"

#include "base/file.h"
#include "ckpt/save.h"
#include "train-step/key.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_MAX = 1 << 16, PIECE = 1 << 20 }; /* floats at a time between file and device */

static const char *const moment_files[] = {"weights", "moments", "moments"};
static const char *const moment_names[] = {"", "exp_avg.", "exp_avg_sq."};
static const enum train_flat moments[] = {TRAIN_WEIGHT, TRAIN_MOMENT1, TRAIN_MOMENT2};

char *checkpoints_path(const char *out, const char *name)
{
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/')
        n--;
    return xasprintf("%.*s.ckpt%s%s", (int)n, out, *name ? "/" : "", name);
}

static char *inside(const struct checkpoints *c, const char *name)
{
    return xasprintf("%s/%s", c->dir, name);
}

/* ---- the folder ----------------------------------------------------------------------- */

static int lock_folder(struct checkpoints *c, struct err *e)
{
    if (mkdir(c->dir, 0777) < 0 && errno != EEXIST)
        return err_set(e, EXIT_IO, "make %s:", c->dir);
    c->lock = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->lock < 0)
        return err_set(e, EXIT_IO, "open %s:", c->dir);
    if (flock(c->lock, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? err_set(e, EXIT_AGAIN, "%s: another process is training there", c->dir)
                   : err_set(e, EXIT_IO, "lock %s:", c->dir);
    return 0;
}

int checkpoints_open(struct checkpoints *c, const char *out, const char *key, int64_t keep,
                     struct err *e)
{
    *c = (struct checkpoints){
        .dir = checkpoints_path(out, ""), .lock = -1, .metrics = -1, .keep = keep};
    if (lock_folder(c, e) < 0)
        return -1;
    char *path = inside(c, "key.json"), *metrics = inside(c, "metrics.jsonl");
    int rc = key_compare(path, key, e);
    if (rc > 0)
        rc = file_write_atomic(path, str_of(key), e);
    if (rc == 0) {
        c->metrics = open(metrics, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (c->metrics < 0)
            rc = err_set(e, EXIT_IO, "open %s:", metrics);
    }
    free(path);
    free(metrics);
    return rc;
}

void checkpoints_close(struct checkpoints *c)
{
    if (c->metrics >= 0)
        close(c->metrics);
    if (c->lock >= 0)
        close(c->lock);
    free(c->dir);
    *c = (struct checkpoints){.lock = -1, .metrics = -1};
}

int checkpoints_metrics(struct checkpoints *c, struct course *at, struct str line,
                        struct err *e)
{
    for (size_t done = 0; done < line.n;) {
        ssize_t n = pwrite(c->metrics, line.p + done, line.n - done,
                           at->metrics_bytes + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, EXIT_IO, "write %s/metrics.jsonl:", c->dir);
        done += (size_t)n;
    }
    at->metrics_bytes += (int64_t)line.n;
    return 0;
}

/* ---- steps that are there -----------------------------------------------------------------
 */

/* The step in a folder's name, -1: it has another prefix, or is not whole. */
static int64_t step_of(const char *name, const char *prefix)
{
    int64_t step;
    size_t n = strlen(prefix);
    return !strncmp(name, prefix, n) && parse_int(name + n, &step) && step >= 0 ? step : -1;
}

static int by_step(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Ascending, to be freed. */
static int64_t *list_steps(const struct checkpoints *c, const char *prefix, size_t *n)
{
    size_t cap = 0;
    int64_t *v = NULL, step;
    DIR *d = opendir(c->dir);
    *n = 0;
    for (struct dirent *f; d && (f = readdir(d));) {
        if ((step = step_of(f->d_name, prefix)) < 0)
            continue;
        GROW(v, cap, *n + 1);
        v[(*n)++] = step;
    }
    if (d)
        closedir(d);
    if (*n)
        qsort(v, *n, sizeof *v, by_step);
    return v;
}

/* Out of the way first, so that nobody takes half a folder for a checkpoint. */
static void remove_folder(const struct checkpoints *c, const char *name)
{
    char *path = inside(c, name), *away = xasprintf("%s/old.part", c->dir);
    if (rename(path, away) == 0) {
        DIR *d = opendir(away);
        for (struct dirent *f; d && (f = readdir(d));)
            if (f->d_name[0] != '.')
                unlinkat(dirfd(d), f->d_name, 0);
        if (d)
            closedir(d);
        rmdir(away);
    }
    free(path);
    free(away);
}

static void step_name(char name[32], const char *prefix, int64_t step)
{
    snprintf(name, 32, "%s%08lld", prefix, (long long)step);
}

/* ---- writing ---------------------------------------------------------------------------- */

struct reading {
    struct trainer *t;
    enum train_flat which;
    int64_t at;
};

static int read_flat(void *arg, int64_t first, int64_t n, void *to, struct err *e)
{
    const struct reading *r = arg;
    return trainer_read(r->t, r->which, r->at + first, n, to, e);
}

/* Adds one of the flat buffers; the array is to be freed behind the commit. */
static struct reading *add_flat(struct save *s, struct trainer *t, int kind)
{
    size_t n;
    const struct train_tensor *v = trainer_tensors(t, &n);
    struct reading *r = xcalloc(n + 1, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        char *name = xasprintf("%s%s", moment_names[kind], v[i].name);
        struct save_tensor x = {.name = name,
                                .dtype = CKPT_F32,
                                .from = CKPT_F32,
                                .nd = v[i].nd,
                                .read = read_flat,
                                .arg = &r[i]};
        r[i] = (struct reading){t, moments[kind], v[i].at};
        for (int k = 0; k < v[i].nd; k++)
            x.shape[k] = v[i].shape[k];
        save_tensor(s, moment_files[kind], &x);
        free(name);
    }
    return r;
}

static char *state_text(const struct course *at)
{
    json_t *j = json_pack("{s:I, s:I, s:f, s:f, s:I, s:I, s:b}", "step", (json_int_t)at->step,
                          "metrics_bytes", (json_int_t)at->metrics_bytes, "best_loss",
                          at->best_loss, "best_accuracy", at->best_accuracy, "best_step",
                          (json_int_t)at->best_step, "worse", (json_int_t)at->worse, "stopped",
                          at->stopped);
    char *text = json_dumps(j, JSON_INDENT(2));
    json_decref(j);
    return text;
}

static int save_folder(struct checkpoints *c, const char *name, struct trainer *t,
                       const struct course *at, int kinds, struct err *e)
{
    struct reading *r[3] = {0};
    char *path = inside(c, name), *state = state_text(at);
    struct save *s = save_open(path, e);
    int rc = s ? save_bytes(s, "state.json", str_of(state), e) : -1;
    for (int k = 0; k < kinds && rc == 0; k++)
        r[k] = add_flat(s, t, k);
    if (rc == 0)
        rc = save_commit(s, e);
    else if (s)
        save_abandon(s);
    for (int k = 0; k < kinds; k++)
        free(r[k]);
    free(path);
    free(state);
    return rc;
}

/* ---- reading ----------------------------------------------------------------------------- */

static int read_state(const struct checkpoints *c, const char *name, struct course *at,
                      struct err *e)
{
    struct buf b = {0};
    char *path = xasprintf("%s/%s/state.json", c->dir, name);
    json_int_t step, bytes, best, worse;
    int stopped = 0;
    json_t *j = NULL;
    int rc = file_read(&b, path, STATE_MAX, e);
    if (rc == 0 &&
        (!(j = json_loadb(b.p, b.n, 0, NULL)) ||
         json_unpack(j, "{s:I, s:I, s:F, s:F, s:I, s:I, s:b}", "step", &step, "metrics_bytes",
                     &bytes, "best_loss", &at->best_loss, "best_accuracy", &at->best_accuracy,
                     "best_step", &best, "worse", &worse, "stopped", &stopped) < 0))
        rc = err_set(e, EXIT_DATA, "%s is damaged; remove its folder", path);
    if (rc == 0) {
        at->step = step;
        at->metrics_bytes = bytes;
        at->best_step = best;
        at->worse = worse;
        at->stopped = stopped;
    }
    json_decref(j);
    buf_release(&b);
    free(path);
    return rc;
}

/* What is there is whole, and the same. */
static bool is_there(const struct checkpoints *c, const char *name)
{
    struct stat st;
    char *path = inside(c, name);
    bool there = stat(path, &st) == 0;
    free(path);
    return there;
}

static void drop_steps(const struct checkpoints *c, size_t keep)
{
    size_t n;
    int64_t *steps = list_steps(c, "step-", &n);
    char name[32];
    for (size_t i = 0; i + keep < n; i++) {
        step_name(name, "step-", steps[i]);
        remove_folder(c, name);
    }
    free(steps);
}

/* The weights of evaluations that no checkpoint calls the best any more. */
static void drop_best(const struct checkpoints *c)
{
    size_t n, n_best;
    int64_t *steps = list_steps(c, "step-", &n), *best = list_steps(c, "best-", &n_best);
    for (size_t i = 0; i < n_best; i++) {
        bool needed = false;
        char name[32];
        for (size_t k = 0; k < n; k++) {
            struct course at;
            struct err ignored = {0};
            step_name(name, "step-", steps[k]);
            needed = needed || read_state(c, name, &at, &ignored) < 0 ||
                     at.best_step == best[i];
        }
        step_name(name, "best-", best[i]);
        if (!needed)
            remove_folder(c, name);
    }
    free(steps);
    free(best);
}

int checkpoints_save(struct checkpoints *c, struct trainer *t, const struct course *at,
                     struct err *e)
{
    char name[32];
    step_name(name, "step-", at->step);
    if (is_there(c, name))
        return 0;
    if (fsync(c->metrics) < 0)
        return err_set(e, EXIT_IO, "sync %s/metrics.jsonl:", c->dir);
    if (save_folder(c, name, t, at, 3, e) < 0)
        return -1;
    drop_steps(c, c->keep > 0 ? (size_t)c->keep : 1);
    drop_best(c);
    return 0;
}

int checkpoints_save_best(struct checkpoints *c, struct trainer *t, const struct course *at,
                          struct err *e)
{
    char name[32];
    step_name(name, "best-", at->best_step);
    return is_there(c, name) ? 0 : save_folder(c, name, t, at, 1, e);
}

void checkpoints_finish(struct checkpoints *c)
{
    if (c->keep == 0) {
        drop_steps(c, 0);
        drop_best(c);
    }
}

/* A file is read on rank 0; what is in it goes to all. */
static int load_tensor(const struct safetensors *f, const char *prefix, enum train_flat which,
                       const struct train_tensor *x, struct comm *comm, struct trainer *t,
                       float *piece, struct err *e)
{
    const struct ckpt_tensor *from = NULL;
    int rc = 0;
    if (f) {
        char *name = xasprintf("%s%s", prefix, x->name);
        from = safetensors_find(f, name);
        if (!from || from->dtype != CKPT_F32 || from->bytes != x->n * 4)
            rc = err_set(e, EXIT_DATA,
                         "the checkpoint has no %s of that size; remove its folder", name);
        free(name);
    }
    if (comm_agree(comm, rc, e) < 0)
        return -1;
    for (int64_t i = 0; i < x->n; i += PIECE) {
        int64_t n = x->n - i < PIECE ? x->n - i : PIECE;
        if (from)
            memcpy(piece, (const char *)from->data + i * 4, (size_t)n * 4);
        if (comm_bcast(comm, 0, piece, n * 4, e) < 0 ||
            trainer_write(t, which, x->at + i, n, piece, e) < 0)
            return -1;
    }
    return 0;
}

static int load_flat(const struct checkpoints *c, const char *name, int kind, struct comm *comm,
                     struct trainer *t, struct err *e)
{
    struct safetensors *f = NULL;
    size_t n;
    const struct train_tensor *v = trainer_tensors(t, &n);
    int rc = 0;
    if (!comm->rank) {
        char *path = xasprintf("%s/%s/%s.safetensors", c->dir, name, moment_files[kind]);
        rc = (f = safetensors_open(path, e)) ? 0 : -1;
        free(path);
    }
    rc = comm_agree(comm, rc, e);
    float *piece = xmalloc_n(PIECE, sizeof *piece);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = load_tensor(f, moment_names[kind], moments[kind], &v[i], comm, t, piece, e);
    free(piece);
    if (f)
        safetensors_close(f);
    return rc;
}

int checkpoints_load(struct checkpoints *c, struct comm *comm, struct trainer *t,
                     struct course *at, struct err *e)
{
    char name[32] = "";
    int rc = 0;
    *at = (struct course){.step = -1, .best_loss = -1, .best_accuracy = -1};
    if (!comm->rank) {
        size_t n;
        int64_t *steps = list_steps(c, "step-", &n);
        if (n) {
            step_name(name, "step-", steps[n - 1]);
            rc = read_state(c, name, at, e);
        }
        free(steps);
    }
    if (comm_agree(comm, rc, e) < 0 || comm_bcast(comm, 0, at, sizeof *at, e) < 0)
        return -1;
    bool found = at->step >= 0;
    for (int k = 0; k < 3 && found; k++)
        if (load_flat(c, name, k, comm, t, e) < 0)
            return -1;
    if (!found)
        at->step = 0;
    trainer_set_step(t, at->step);
    if (found && trainer_changed(t, e) < 0)
        return -1;
    rc = 0;
    if (!comm->rank && ftruncate(c->metrics, at->metrics_bytes) < 0)
        rc = err_set(e, EXIT_IO, "truncate %s/metrics.jsonl:", c->dir);
    if (comm_agree(comm, rc, e) < 0)
        return -1;
    return found;
}

int checkpoints_load_best(struct checkpoints *c, struct comm *comm, struct trainer *t,
                          const struct course *at, struct err *e)
{
    char name[32];
    step_name(name, "best-", at->best_step);
    if (load_flat(c, name, 0, comm, t, e) < 0)
        return -1;
    return trainer_changed(t, e);
}
