/* json.c - the scanner and the reader against public conformance material. */
#include "base/file.h"
#include "rec/rec.h"

#include "golden.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- JSONTestSuite: y_ must be taken, n_ refused, i_ neither may crash ------ */

/* Walks all of a value that was taken and decodes its strings, so that the walkers meet the
 * suite too.  Values are no deeper than JSON_DEPTH_MAX. */
static void walk(struct str value, struct buf *text)
{
    struct str key, item;
    double number;
    switch (json_kind(value)) {
    case JSON_STRING:
        buf_clear(text);
        json_decode(text, value);
        break;
    case JSON_NUMBER: json_number(value, &number); break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        for (struct json_iter it = json_iter(value); json_next(&it, &key, &item);)
            walk(item, text);
        break;
    default: break;
    }
}

static struct str trimmed(struct str s)
{
    while (s.n && strchr(" \t\r\n", s.p[0]))
        s = (struct str){s.p + 1, s.n - 1};
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    return s;
}

static void suite_case(struct golden_count *c, const char *folder, const char *name)
{
    struct file_map m;
    struct err e;
    struct json_fault fault;
    char *path = xasprintf("%s/%s", folder, name);
    if (file_map(&m, path, &e) < 0) {
        golden_fail(c, "%s", e.text);
    } else {
        bool taken = json_check(m.p, m.n, NULL, &fault) == 0;
        struct buf text = {0};
        if (taken)
            walk(trimmed((struct str){m.p, m.n}), &text);
        buf_release(&text);
        if ((name[0] == 'y' && !taken) || (name[0] == 'n' && taken))
            golden_fail(c, "%s is %s", name, taken ? "taken" : fault.what);
        else
            c->passed++;
        file_unmap(&m);
    }
    free(path);
}

static void test_suite(const char *material)
{
    struct golden_count c = {.kind = "json-suite"};
    char *path = xasprintf("%s/conformance/JSONTestSuite/test_parsing", material);
    DIR *d = opendir(path);
    if (!d) {
        printf("skipped: no %s\n", path);
        c.skipped = 1;
    }
    for (struct dirent *f; d && (f = readdir(d));)
        if (f->d_name[0] != '.' && f->d_name[1] == '_')
            suite_case(&c, path, f->d_name);
    if (d)
        closedir(d);
    free(path);
    golden_report(&c);
}

/* ---- JSONL: a verdict per line --------------------------------------------- */

/* Where our contract and Python's json differ. */
static const struct {
    const char *file, *ours, *why;
} differ[] = {
    {"q_bom.jsonl", "ok", "a byte order mark at the start of a file is skipped"},
    {"q_scalar_line.jsonl", "not-object,not-object,not-object,not-object",
     "a record is an object"},
    {"q_deep_nest_512.jsonl", "bad", "at most 128 levels"},
    {"q_deep_nest_100000.jsonl", "bad", "at most 128 levels"},
};

/* "ok,blank,bad": one word per physical line, lines without a record being blank. */
static int our_verdict(const char *path, struct buf *out, struct err *e)
{
    int fd = file_open_input(path, e), k;
    if (fd < 0)
        return -1;
    struct rec_reader *r = rec_reader_new(fd, path, 16 << 20);
    struct rec rec = {0};
    uint64_t line = 1;
    buf_clear(out);
    while ((k = rec_read(r, &rec, e)) > 0) {
        for (; line < rec.number; line++)
            buf_puts(out, "blank,");
        buf_puts(out, !rec.fault                         ? "ok,"
                      : !strcmp(rec.fault, "not_object") ? "not-object,"
                      : !strcmp(rec.fault, "bad_utf8")   ? "bad-utf8,"
                                                         : "bad,");
        line++;
    }
    rec_release(&rec);
    rec_reader_free(r);
    close(fd);
    return k;
}

/* Python's verdict in our words: "ok,bad:JSONDecodeError" becomes "ok,bad,". */
static void their_verdict(const char *words, struct buf *out)
{
    buf_clear(out);
    if (!strcmp(words, "no-records"))
        return;
    while (*words) {
        size_t n = strcspn(words, ",");
        buf_add(out, words, strcspn(words, ",:"));
        buf_putc(out, ',');
        words += n + (words[n] == ',');
    }
}

static void jsonl_case(struct golden_count *c, const char *folder, const char *name,
                       const char *words)
{
    struct buf ours = {0}, want = {0};
    struct err e;
    char *path = xasprintf("%s/%s", folder, name);
    their_verdict(words, &want);
    for (size_t i = 0; i < sizeof differ / sizeof *differ; i++)
        if (!strcmp(differ[i].file, name))
            their_verdict(differ[i].ours, &want);
    if (our_verdict(path, &ours, &e) < 0) {
        golden_fail(c, "%s", e.text);
    } else {
        /* blank lines at the end leave no trace */
        while (want.n > ours.n && want.n >= 6 && !memcmp(want.p + want.n - 6, "blank,", 6))
            want.n -= 6;
        if (str_eq(buf_str(&ours), buf_str(&want)))
            c->passed++;
        else
            golden_fail(c, "%s is %s not %s", name, ours.p, want.p);
    }
    buf_release(&ours);
    buf_release(&want);
    free(path);
}

static void test_jsonl(const char *material)
{
    struct golden_count c = {.kind = "jsonl"};
    char *folder = xasprintf("%s/conformance/jsonl", material);
    char *path = xasprintf("%s/VERDICTS.tsv", folder);
    FILE *f = fopen(path, "r");
    char line[1024];
    if (!f) {
        printf("skipped: no %s\n", path);
        c.skipped = 1;
    }
    for (int n = 0; f && fgets(line, sizeof line, f); n++) {
        line[strcspn(line, "\n")] = 0;
        char *tab = strchr(line, '\t');
        if (!n || !tab)
            continue;
        *tab = 0;
        jsonl_case(&c, folder, line, tab + 1);
    }
    if (f)
        fclose(f);
    free(path);
    free(folder);
    golden_report(&c);
}

/* ---- UTF-8: lines "NUMBER:valid:BYTES" and "NUMBER:invalid:BYTES" ------------ */

static void utf8_case(struct golden_count *c, const char *line, size_t n)
{
    static const char yes[] = ":valid:", no[] = ":invalid:";
    const char *at = memmem(line, n, yes, sizeof yes - 1);
    bool valid = at;
    if (!at)
        at = memmem(line, n, no, sizeof no - 1);
    if (!at)
        return;
    const char *bytes = at + (valid ? sizeof yes : sizeof no) - 1;
    if (utf8_check(bytes, (size_t)(line + n - bytes)) == valid)
        c->passed++;
    else
        golden_fail(c, "case %.*s is not %s", (int)(at - line), line,
                    valid ? "valid" : "invalid");
}

static void test_utf8(const char *material)
{
    struct golden_count c = {.kind = "utf8"};
    struct buf text = {0};
    struct err e;
    char *path = xasprintf("%s/conformance/utf8/utf8tests/utf8tests.bin", material);
    if (file_read(&text, path, 1 << 20, &e) < 0) {
        printf("skipped: %s\n", e.text);
        c.skipped = 1;
    }
    for (size_t at = 0; at < text.n;) {
        const char *lf = memchr(text.p + at, '\n', text.n - at);
        size_t n = lf ? (size_t)(lf - text.p) - at : text.n - at;
        utf8_case(&c, text.p + at, n);
        at += n + 1;
    }
    buf_release(&text);
    free(path);
    golden_report(&c);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: json GOLDEN MATERIAL\n");
        return EXIT_USAGE;
    }
    test_suite(argv[2]);
    test_jsonl(argv[2]);
    test_utf8(argv[2]);
    return golden_done();
}
