/* save.c - a directory that gets its name when all its files are on the disk. */
#include "ckpt/save.h"

#include "base/file.h"
#include "ckpt/shards.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct save {
    char *dir, *part;
    int fd; /* of part, locked */
    struct shards shards;
    bool written;
};

/* ---- the directory ---------------------------------------------------------- */

static bool is_dots(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* 1: nothing is in it; 0: something; -1: it cannot be read. */
static int is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return -1;
    int empty = 1;
    for (struct dirent *x; empty && (x = readdir(d));)
        empty = is_dots(x->d_name);
    closedir(d);
    return empty;
}

static int check_free(const char *dir, struct err *e)
{
    struct stat st;
    if (lstat(dir, &st) < 0)
        return errno == ENOENT ? 0 : err_set(e, EXIT_IO, "stat %s:", dir);
    if (S_ISDIR(st.st_mode) && is_empty(dir) == 1)
        return 0;
    return err_set(e, EXIT_USAGE, "%s exists; remove it, or give another name", dir);
}

static int lock(int fd, const char *part, struct err *e)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(e, EXIT_AGAIN, "%s is being written by another process", part);
    /* Some file systems of clusters have no locks: better without than not at all. */
    if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP)
        return 0;
    return err_set(e, EXIT_IO, "lock %s:", part);
}

/* What stands in it are the flat files of a writer that was killed. */
static int empty_it(int fd, const char *part, struct err *e)
{
    int copy = dup(fd), rc = 0;
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        err_set(e, EXIT_IO, "read %s:", part);
        if (copy >= 0)
            close(copy);
        return -1;
    }
    rewinddir(d);
    for (struct dirent *x; rc == 0 && (x = readdir(d));)
        if (!is_dots(x->d_name) && unlinkat(fd, x->d_name, 0) < 0)
            rc = err_set(e, EXIT_IO, "remove %s/%s:", part, x->d_name);
    closedir(d);
    return rc;
}

static int open_part(struct save *s, struct err *e)
{
    if (mkdir(s->part, 0777) < 0 && errno != EEXIST)
        return err_set(e, EXIT_IO, "make the directory %s:", s->part);
    s->fd = open(s->part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->fd < 0)
        return err_set(e, EXIT_IO, "open %s:", s->part);
    if (lock(s->fd, s->part, e) < 0)
        return -1;
    if (!file_is_named(s->fd, s->part))
        return err_set(e, EXIT_AGAIN, "%s is being written by another process", s->part);
    return empty_it(s->fd, s->part, e);
}

static void release(struct save *s)
{
    if (s->fd >= 0)
        close(s->fd);
    shards_release(&s->shards);
    free(s->dir);
    free(s->part);
    free(s);
}

struct save *save_open(const char *dir, struct err *e)
{
    struct save *s = xcalloc(1, sizeof *s);
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    s->dir = xstrndup(dir, n);
    s->part = file_part_name(s->dir);
    s->fd = -1;
    shards_init(&s->shards);
    if (check_free(s->dir, e) == 0 && open_part(s, e) == 0)
        return s;
    release(s);
    return NULL;
}

const char *save_part(const struct save *s)
{
    return s->part;
}

/* ---- files ------------------------------------------------------------------ */

void save_tensor(struct save *s, const char *file, const struct save_tensor *t)
{
    shards_add(&s->shards, file, t);
}

void save_shard_bytes(struct save *s, int64_t bytes)
{
    s->shards.limit = bytes;
}

int save_bytes(struct save *s, const char *name, struct str bytes, struct err *e)
{
    if (!*name || strchr(name, '/') || is_dots(name))
        BUG("a file called \"%s\"", name);
    struct out o;
    if (shards_create(s->fd, s->part, name, &o, e) < 0)
        return -1;
    return shards_finish(&o, out_write(&o, bytes.p, bytes.n, e), e);
}

int save_copy(struct save *s, const char *dir, const char *name, struct err *e)
{
    char *path = xasprintf("%s/%s", dir, name);
    struct file_map m;
    int rc = 0;
    if (access(path, F_OK) == 0) {
        rc = file_map(&m, path, e);
        if (rc == 0) {
            rc = save_bytes(s, name, (struct str){m.p, m.n}, e);
            file_unmap(&m);
        }
    }
    free(path);
    return rc;
}

int save_copy_model(struct save *s, const char *dir, struct err *e)
{
    static const char *const names[] = {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.jinja",
        "chat_template.json",
        "preprocessor_config.json",
        "LICENSE",
        "LICENSE.txt",
        "USE_POLICY.md",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (save_copy(s, dir, names[i], e) < 0)
            return -1;
    return 0;
}

int save_write(struct save *s, struct err *e)
{
    if (s->written)
        return 0;
    s->written = true;
    return shards_write(&s->shards, s->fd, s->part, e);
}

/* ---- the end ---------------------------------------------------------------- */

int save_commit(struct save *s, struct err *e)
{
    int rc = save_write(s, e);
    if (rc == 0)
        rc = check_free(s->dir, e);
    if (rc == 0)
        rc = file_commit(s->fd, s->part, s->dir, e);
    if (rc == 0)
        release(s);
    else
        save_abandon(s);
    return rc;
}

void save_abandon(struct save *s)
{
    if (file_is_named(s->fd, s->part) && empty_it(s->fd, s->part, NULL) == 0)
        rmdir(s->part);
    release(s);
}
