/* tok_kept.c - a text whose beginning an earlier one had gets the tokens that it gets alone. */
#include "unit.h"

#include "text/tok.h"

#include <stdlib.h>
#include <unistd.h>

/* The first character of a text is special to this pre-tokenizer, and 'é' to this normalizer.
 */
static const char head[] =
    "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"merges\":[[\"a\",\"b\"],[\"b\",\"b\"]],"
    "\"vocab\":{\"?\":0,\"a\":1,\"b\":2,\"ab\":3,\"bb\":4,\"\\u2581\":5,\"<\":6,\">\":7,\"e\":"
    "8}},"
    "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u00e9\"},\"content\":"
    "\"e\"},"
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\","
    "\"prepend_scheme\":\"first\",\"split\":true},\"added_tokens\":[";

/* Tokens that overlap, stand alone (s), take blanks on the left (l) or right (r), or are looked
 * for in normalized text (n). */
static const struct {
    const char *text, *flags;
} added[] = {{"<a>", ""},  {"<a>b", ""},    {"<a>b<a>b<a>", ""}, {"<s>", "s"}, {"<l>", "l"},
             {"<r>", "r"}, {"<lr>", "slr"}, {" <b>", ""},        {"b<n>", "n"}};
enum { N_ADDED = sizeof added / sizeof *added };

static const char *const words[] = {
    "<a>",      "<a>b", "<s>",         "<l>",         "<r>", "<lr>",   "b<n>",
    "<a>b<a>",  "<b>",  "<s>\xc3\x97", "<s>\xc3\xa9", " ",   "  ",     "\xc3\xa9",
    "\xc3\x97", "a",    "b",           "<",           ">",   "abb ab",
};
enum { N_WORDS = sizeof words / sizeof *words, TEXTS = 50000, LONGEST = 40 };

static unsigned next(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 16;
}

/* Another text: a beginning of the one that is there, cut anywhere, and words behind it. */
static void vary(struct buf *text, unsigned *state)
{
    size_t keep = text->n ? next(state) % (text->n + 1) : 0;
    while (keep && ((unsigned char)text->p[keep] & 0xc0) == 0x80)
        keep--;
    text->n = keep;
    for (unsigned n = next(state) % 12; n && text->n < LONGEST * 4; n--)
        buf_puts(text, words[next(state) % N_WORDS]);
    if (next(state) % 8 == 0)
        text->n = 0;
}

/* Encodes random texts twice: after those before them, and by themselves. */
static size_t check(const struct tokenizer *t, unsigned state)
{
    struct tokenizer_work *used = tokenizer_work_new(t), *fresh = tokenizer_work_new(t);
    struct buf text = {0};
    struct ids a = {0}, b = {0};
    size_t reused = 0;
    int wrong = 0;
    for (int i = 0; i < TEXTS; i++) {
        vary(&text, &state);
        struct str s = text.n ? buf_str(&text) : STR("");
        bool special = next(&state) % 2;
        a.n = b.n = 0;
        if (tokenizer_encode(t, used, s, special, &a, NULL) < 0)
            wrong++;
        reused += used->n_bounds_found > 0;
        tok_kept_forget(fresh);
        if (tokenizer_encode(t, fresh, s, special, &b, NULL) < 0)
            wrong++;
        if (a.n != b.n || (a.n && memcmp(a.v, b.v, a.n * sizeof *a.v))) {
            if (!wrong++)
                fprintf(stderr, "'%.*s'\n", (int)s.n, s.p);
        }
    }
    CHECK_MSG(!wrong, "%d of %d texts differ", wrong, TEXTS);
    buf_release(&text);
    ids_release(&a);
    ids_release(&b);
    tokenizer_work_free(used);
    tokenizer_work_free(fresh);
    return reused;
}

static const char *flag(int i, char c)
{
    return strchr(added[i].flags, c) ? "true" : "false";
}

static void put_added(FILE *f, int i)
{
    fprintf(f,
            "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":%s,\"lstrip\":%s,"
            "\"rstrip\":%s,\"normalized\":%s,\"special\":true}",
            i ? "," : "", 9 + i, added[i].text, flag(i, 's'), flag(i, 'l'), flag(i, 'r'),
            flag(i, 'n'));
}

int main(void)
{
    char dir[] = "/tmp/tok_kept.XXXXXX", path[64];
    struct err e = {0};
    if (!mkdtemp(dir))
        die(EXIT_IO, "%s:", dir);
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(head, f) >= 0);
    for (int i = 0; i < N_ADDED; i++)
        put_added(f, i);
    CHECK(fputs("]}", f) >= 0 && fclose(f) == 0);
    struct tokenizer *t = tokenizer_load(dir, &e);
    CHECK_MSG(t != NULL, "%s", e.text);
    unlink(path);
    rmdir(dir);
    if (t)
        CHECK(check(t, 1) > TEXTS / 10); /* it is put to use */
    tokenizer_free(t);
    t = tokenizer_load("data/models/router", &e);
    if (t)
        check(t, 2);
    else
        SKIP("%s", e.text);
    tokenizer_free(t);
    return unit_done("tok_kept");
}
