/* tokenizers.c - every case of MATERIAL/tokenizers, the prompts of GOLDEN/router, and
 * MATERIAL's malformed tokenizer.json.
 *
 * A tokenizer that is refused as not supported counts its cases as skipped; mistral-v3's texts
 * that begin with a blank are left out, since the material does not vouch for them.
 */
#include "golden.h"

#include "base/file.h"
#include "rec/rec.h"
#include "text/tokenizer.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct run {
    struct golden_count *c;
    const struct tokenizer *t; /* NULL: not supported */
    struct tokenizer_work *w;
    struct ids want, got;
    struct buf text, want_text, got_text;
};

static struct str member(const struct rec *rec, const char *name)
{
    const struct json_member *m = rec_find(rec, name);
    return m ? m->value : (struct str){NULL, 0};
}

static void read_ids(struct str json, struct ids *l)
{
    struct json_iter it = json_iter(json);
    struct str item;
    int64_t id;
    l->n = 0;
    while (json_next(&it, NULL, &item))
        ids_add(l, json_int(item, &id) && id >= 0 && id <= INT32_MAX ? (int32_t)id : INT32_MAX);
}

static bool same_ids(struct run *r, struct str text, bool special, struct str json)
{
    struct err e = {0};
    read_ids(json, &r->want);
    r->got.n = 0;
    if (tokenizer_encode(r->t, r->w, text, special, &r->got, &e) < 0)
        return false;
    return r->got.n == r->want.n &&
           (r->got.n == 0 || memcmp(r->got.v, r->want.v, r->got.n * sizeof *r->got.v) == 0);
}

/* Decodes r->want. */
static bool same_text(struct run *r, bool skip, struct str json)
{
    buf_clear(&r->want_text);
    buf_clear(&r->got_text);
    json_decode(&r->want_text, json);
    tokenizer_decode(r->t, r->w, r->want.v, r->want.n, skip, &r->got_text);
    return str_eq(buf_str(&r->want_text), buf_str(&r->got_text));
}

/* What differs in a case, or NULL. */
static const char *check_encode(struct run *r, const struct rec *rec)
{
    struct str text = buf_str(&r->text);
    if (!same_ids(r, text, false, member(rec, "ids")))
        return "ids";
    if (!same_text(r, false, member(rec, "decode_ids")))
        return "decode_ids";
    if (!same_ids(r, text, true, member(rec, "ids_special")))
        return "ids_special";
    if (!same_text(r, false, member(rec, "decode_special_keep")))
        return "decode_special_keep";
    if (!same_text(r, true, member(rec, "decode_special_skip")))
        return "decode_special_skip";
    return NULL;
}

static const char *check_decode(struct run *r, const struct rec *rec)
{
    read_ids(member(rec, "ids"), &r->want);
    if (!same_text(r, false, member(rec, "decode_keep")))
        return "decode_keep";
    if (!same_text(r, true, member(rec, "decode_skip")))
        return "decode_skip";
    return NULL;
}

static bool vouched_for(const char *name, struct str text)
{
    if (strcmp(name, "mistral-v3") != 0)
        return true;
    return !(text.n > 0 && text.p[0] == ' ') &&
           !(text.n > 2 && memcmp(text.p, "\xe2\x96\x81", 3) == 0);
}

static void check_case(struct run *r, const char *name, const struct rec *rec)
{
    bool encode = str_is(member(rec, "kind"), "\"encode\"");
    struct str id = member(rec, "id");
    buf_clear(&r->text);
    if (encode)
        json_decode(&r->text, member(rec, "text"));
    if (!r->t || (encode && !vouched_for(name, buf_str(&r->text)))) {
        r->c->skipped++;
        return;
    }
    const char *wrong = encode ? check_encode(r, rec) : check_decode(r, rec);
    if (wrong)
        golden_fail(r->c, "%.*s: %s differs", (int)id.n, id.p, wrong);
    else
        r->c->passed++;
}

/* The rendered prompts of the message router, and its answers. */
static void check_router(struct run *r, const char *name, const struct rec *rec)
{
    struct str id = member(rec, "id"), f32 = member(rec, "f32"), ids, text;
    (void)name;
    buf_clear(&r->text);
    json_decode(&r->text, member(rec, "prompt_text"));
    bool same = r->t && same_ids(r, buf_str(&r->text), false, member(rec, "prompt_ids"));
    if (same && json_get(f32, "output_ids", &ids) && json_get(f32, "text", &text)) {
        read_ids(ids, &r->want);
        same = same_text(r, true, text);
    }
    if (same)
        r->c->passed++;
    else
        golden_fail(r->c, "%.*s differs", (int)id.n, id.p);
}

static void run_cases(struct run *r, const char *name, const char *path,
                      void (*check)(struct run *, const char *, const struct rec *))
{
    struct err e = {0};
    struct rec rec = {0};
    int rc, fd = file_open_input(path, &e);
    if (fd < 0) {
        golden_fail(r->c, "%s", e.text);
        return;
    }
    struct rec_reader *reader = rec_reader_new(fd, path, 1 << 28);
    while ((rc = rec_read(reader, &rec, &e)) > 0)
        if (rec.fault)
            golden_fail(r->c, "%s: line %llu: %s", path, (unsigned long long)rec.number,
                        rec.message);
        else
            check(r, name, &rec);
    if (rc < 0)
        golden_fail(r->c, "%s", e.text);
    rec_release(&rec);
    rec_reader_free(reader);
    close(fd);
}

static struct golden_count lengthy = {.kind = "tokenizers-long"};

/* ---- texts that give no pattern anything to split at --------------------------------------
 */

/* Each takes some 30 ms where time grows with the length, and minutes where with its square;
 * bench/text.sh measures 1 MB. */
enum { LONG = 1 << 17 };

static void check_long(struct golden_count *c, const struct tokenizer *t,
                       struct tokenizer_work *w)
{
    static const char *const units[] = {"abcdefghijklmnopqrstuvwxyz",
                                        "a",
                                        " ",
                                        "\n",
                                        "1",
                                        ".",
                                        "\u0301",
                                        "\u0323\u0301",
                                        "\u4e2d",
                                        "a ",
                                        "<|"};
    struct buf text = {0};
    struct ids ids = {0};
    struct err e = {0};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        buf_clear(&text);
        while (text.n < LONG)
            buf_puts(&text, units[i]);
        ids.n = 0;
        clock_t begin = clock();
        int rc = tokenizer_encode(t, w, buf_str(&text), false, &ids, &e);
        double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        if (rc < 0)
            golden_fail(c, "'%s' over and over: %s", units[i], e.text);
        else if (seconds > 3)
            golden_fail(c, "'%s' over and over: %.1f s", units[i], seconds);
        else
            c->passed++;
    }
    buf_release(&text);
    ids_release(&ids);
}

static void run_tokenizer(const char *kind, const char *name, const char *dir,
                          const char *cases,
                          void (*check)(struct run *, const char *, const struct rec *))
{
    struct golden_count c = {.kind = kind};
    struct run r = {.c = &c};
    struct err e = {0};
    struct tokenizer *t = tokenizer_load(dir, &e);
    if (t)
        r.w = tokenizer_work_new(t);
    else if (e.status == EXIT_CONFIG && strstr(e.text, "only BPE is"))
        printf("skipped: %s: %s\n", kind, e.text);
    else
        golden_fail(&c, "%s", e.text);
    r.t = t;
    run_cases(&r, name, cases, check);
    golden_report(&c);
    if (t)
        check_long(&lengthy, t, r.w);
    ids_release(&r.want);
    ids_release(&r.got);
    buf_release(&r.text);
    buf_release(&r.want_text);
    buf_release(&r.got_text);
    tokenizer_work_free(r.w);
    tokenizer_free(t);
}

static void run_material(const char *folder, const char *name)
{
    char *kind = xasprintf("tokenizers/%s", name), *dir = xasprintf("%s/%s", folder, name),
         *cases = xasprintf("%s/cases.jsonl", dir);
    run_tokenizer(kind, name, dir, cases, check_case);
    free(kind);
    free(dir);
    free(cases);
}

static void run_router(const char *golden)
{
    char *dir = xasprintf("%s/router/model", golden),
         *cases = xasprintf("%s/router/expected.jsonl", golden);
    struct golden_count none = {.kind = "tokenizers/router", .skipped = 1};
    if (golden_have(cases)) {
        run_tokenizer(none.kind, "router", dir, cases, check_router);
    } else {
        printf("skipped: tokenizers/router: no %s\n", cases);
        golden_report(&none);
    }
    free(dir);
    free(cases);
}

/* Every file of the folder, as the tokenizer.json of a model directory of its own. */
static void run_malformed(const char *folder, const char *name, struct golden_count *c)
{
    char dir[] = "/tmp/golden.XXXXXX";
    struct err e = {0};
    struct buf b = {0};
    char *from = xasprintf("%s/%s", folder, name);
    if (!mkdtemp(dir)) {
        golden_fail(c, "%s: no temporary directory", name);
        free(from);
        return;
    }
    char *to = xasprintf("%s/tokenizer.json", dir);
    if (file_read(&b, from, 1 << 28, &e) < 0 || file_write_atomic(to, buf_str(&b), &e) < 0) {
        golden_fail(c, "%s", e.text);
    } else {
        struct tokenizer *t = tokenizer_load(dir, &e);
        if (t || e.status != EXIT_CONFIG || e.text[0] == '\0')
            golden_fail(c, "%s: %s", name, t ? "taken" : e.text);
        else
            c->passed++;
        tokenizer_free(t);
    }
    unlink(to);
    rmdir(dir);
    free(from);
    free(to);
    buf_release(&b);
}

static int visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static void each_entry(const char *folder, struct golden_count *malformed)
{
    struct dirent **v;
    int n = scandir(folder, &v, visible, alphasort);
    for (int i = 0; i < n; i++) {
        if (malformed)
            run_malformed(folder, v[i]->d_name, malformed);
        else
            run_material(folder, v[i]->d_name);
        free(v[i]);
    }
    if (n >= 0)
        free(v);
}

int main(int argc, char **argv)
{
    tool_name = "golden-tokenizers";
    if (argc != 3)
        die(EXIT_USAGE, "two folders are needed");
    char *folder = xasprintf("%s/tokenizers", argv[2]),
         *bad = xasprintf("%s/conformance/tokenizer_json_malformed", argv[2]);
    struct golden_count none = {.kind = "tokenizers", .skipped = 1};
    struct golden_count malformed = {.kind = "tokenizer_json_malformed"};
    run_router(argv[1]);
    if (golden_have(folder)) {
        each_entry(folder, NULL);
    } else {
        printf("skipped: tokenizers: no %s\n", folder);
        golden_report(&none);
    }
    if (golden_have(bad)) {
        each_entry(bad, &malformed);
    } else {
        printf("skipped: tokenizer_json_malformed: no %s\n", bad);
        malformed.skipped = 1;
    }
    golden_report(&malformed);
    golden_report(&lengthy);
    free(folder);
    free(bad);
    return golden_done();
}
