/* prefix.c - prompts that begin alike get the tokens that each gets alone, with every tokenizer
 * of MATERIAL and the texts of its cases. */
#include "golden.h"

#include "base/file.h"
#include "rec/json.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <stdlib.h>

enum { TEXTS_MAX = 400, MARKS_MAX = 6 };

struct kind {
    const struct tokenizer *t;
    struct buf texts[TEXTS_MAX];
    size_t n;
    struct str marks[MARKS_MAX]; /* added tokens */
    size_t n_marks;
};

static void read_texts(struct kind *k, const char *path)
{
    struct buf file = {0};
    struct err e = {0};
    if (file_read(&file, path, 1 << 28, &e) < 0)
        die_err(&e);
    for (char *p = file.p, *lf; k->n < TEXTS_MAX && p && (lf = strchr(p, '\n')); p = lf + 1) {
        struct str value;
        if (json_get((struct str){p, (size_t)(lf - p)}, "text", &value) &&
            json_decode(&k->texts[k->n], value))
            k->n++;
    }
    buf_release(&file);
}

static void find_marks(struct kind *k)
{
    for (int32_t id = tokenizer_size(k->t) - 1; id >= 0 && k->n_marks < MARKS_MAX; id--)
        if (tokenizer_is_added(k->t, id))
            k->marks[k->n_marks++] = tokenizer_token(k->t, id);
}

/* Prompt i: one of two beginnings, the text, and what ends a turn, with texts between that are
 * now and then another's. */
static void make_prompt(const struct kind *k, size_t i, struct buf *b)
{
    struct str none = {0};
    struct str first = k->n_marks ? k->marks[0] : none;
    struct str last = k->n_marks ? k->marks[k->n_marks - 1] : none;
    struct str other = k->n_marks ? k->marks[i % k->n_marks] : none;
    buf_clear(b);
    buf_addstr(b, first);
    buf_puts(b,
             i / 2 % 2 ? "system\nAnswer with one word." : "user\n\u00c9tude \u4f60\u597d: ");
    buf_addstr(b, buf_str(&k->texts[i / 16 % k->n]));
    buf_addstr(b, last);
    buf_putc(b, '\n');
    buf_addstr(b, first);
    buf_addstr(b, buf_str(&k->texts[i]));
    buf_addstr(b, other);
    buf_addstr(b, buf_str(&k->texts[i * 7 % k->n]));
    buf_addstr(b, last);
}

static void check(struct golden_count *c, const struct kind *k, const char *name)
{
    struct tokenizer_work *used = tokenizer_work_new(k->t);
    struct buf b = {0};
    struct ids a = {0}, alone = {0};
    struct err e = {0};
    for (size_t i = 0; i < k->n; i++) {
        struct tokenizer_work *fresh = tokenizer_work_new(k->t);
        make_prompt(k, i, &b);
        a.n = alone.n = 0;
        if (tokenizer_encode(k->t, used, buf_str(&b), i % 2, &a, &e) < 0 ||
            tokenizer_encode(k->t, fresh, buf_str(&b), i % 2, &alone, &e) < 0)
            golden_fail(c, "%s: prompt %zu: %s", name, i, e.text);
        else if (a.n != alone.n || memcmp(a.v, alone.v, a.n * sizeof *a.v))
            golden_fail(c, "%s: prompt %zu: other tokens behind others", name, i);
        else
            c->passed++;
        tokenizer_work_free(fresh);
    }
    buf_release(&b);
    ids_release(&a);
    ids_release(&alone);
    tokenizer_work_free(used);
}

static void run(struct golden_count *c, const char *folder, const char *name)
{
    char *dir = xasprintf("%s/%s", folder, name), *cases = xasprintf("%s/cases.jsonl", dir);
    struct kind *k = xcalloc(1, sizeof *k);
    struct err e = {0};
    struct tokenizer *t = tokenizer_load(dir, &e);
    k->t = t;
    if (t) {
        read_texts(k, cases);
        find_marks(k);
        check(c, k, name);
    } else if (strstr(e.text, "only BPE is")) {
        printf("skipped: prefix/%s: %s\n", name, e.text);
        c->skipped++;
    } else {
        golden_fail(c, "%s", e.text);
    }
    for (size_t i = 0; i < TEXTS_MAX; i++)
        buf_release(&k->texts[i]);
    free(k);
    tokenizer_free(t);
    free(dir);
    free(cases);
}

int main(int argc, char **argv)
{
    tool_name = "golden-prefix";
    struct golden_count c = {.kind = "prefix"};
    char *folder = xasprintf("%s/tokenizers", argc > 2 ? argv[2] : ".");
    DIR *d = opendir(folder);
    if (!d) {
        printf("skipped: prefix: no %s\n", folder);
        c.skipped++;
    } else {
        for (struct dirent *f; (f = readdir(d));)
            if (f->d_name[0] != '.')
                run(&c, folder, f->d_name);
        closedir(d);
    }
    free(folder);
    golden_report(&c);
    return golden_done();
}
