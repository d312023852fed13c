/* encode.c - any text through fixed tokenizers: the same ids from a cache that is warm and from
 * one that is not, and the text back where the tokenizer promises it.
 */
#include "fuzz.h"

#include "rec/json.h"
#include "text/prompt.h"

/* SentencePiece style, byte fallback: a few letters, merges, an added token that eats blanks.
 */
static const char spm[] =
    "{\"version\":\"1.0\",\"added_tokens\":["
    "{\"id\":0,\"content\":\"<unk>\",\"special\":true,\"normalized\":false,\"lstrip\":false,"
    "\"rstrip\":false,\"single_word\":false},"
    "{\"id\":1,\"content\":\"<s>\",\"special\":true,\"normalized\":false,\"lstrip\":true,"
    "\"rstrip\":true,\"single_word\":false},"
    "{\"id\":2,\"content\":\"ab\",\"special\":false,\"normalized\":true,\"lstrip\":false,"
    "\"rstrip\":false,\"single_word\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
    "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]},"
    "\"pre_tokenizer\":null,\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
    "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\","
    "\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],"
    "\"tokens\":[\"<s>\"]}}},\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,"
    "\"byte_fallback\":true,\"ignore_merges\":false,\"vocab\":{%s},"
    "\"merges\":[\"a b\",\"\xe2\x96\x81 a\",\"ab ab\",\"\xe2\x96\x81 \xe2\x96\x81\","
    "\"\xe2\x96\x81\xe2\x96\x81 \xe2\x96\x81\xe2\x96\x81\"]}}";

/* Unicode normalisation, digits one by one, words of one class, prefix space. */
static const char odd[] =
    "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":{\"type\":\"Sequence\","
    "\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":\"Lowercase\"},{\"type\":\"StripAccents\"},"
    "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"Punctuation\"},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,"
    "\"use_regex\":true}]},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":null,\"vocab\":{%s},"
    "\"merges\":[\"\xc4\xa0 a\",\"a b\",\"\xc4\xa0 b\"]}}";

struct subject {
    struct tokenizer *t;
    struct tokenizer_work *warm;
    bool exact; /* decoding gives the text back */
};
enum { SUBJECTS = 3 };

static void load(struct subject *s, const char *dir, bool exact)
{
    struct err e;
    s->t = tokenizer_load(dir, &e);
    if (!s->t)
        die_err(&e);
    s->warm = tokenizer_work_new(s->t);
    s->exact = exact;
}

static void load_format(struct subject *s, const char *format, const char *vocab)
{
    char *json = xasprintf("%.*s%s%s", (int)(strstr(format, "%s") - format), format, vocab,
                           strstr(format, "%s") + 2);
    fuzz_file("tokenizer.json", str_of(json));
    load(s, fuzz_dir(), false);
    free(json);
}

static void load_all(struct subject *s)
{
    struct buf vocab = {0};
    load(&s[0], "data/models/router", true);

    buf_puts(&vocab, "\"<unk>\":0,\"<s>\":1");
    for (int i = 0; i < 256; i++)
        buf_printf(&vocab, ",\"<0x%02X>\":%d", (unsigned)i, i + 3);
    buf_puts(&vocab, ",\"a\":259,\"b\":260,\"ab\":2,\"\xe2\x96\x81\":262,\"\xe2\x96\x81"
                     "a\":263,\"abab\":264,\"\xe2\x96\x81\xe2\x96\x81\":265,"
                     "\"\xe2\x96\x81\xe2\x96\x81\xe2\x96\x81\xe2\x96\x81\":266");
    load_format(&s[1], spm, vocab.p);

    buf_clear(&vocab);
    for (int i = '!'; i <= '~'; i++)
        if (i != '"' && i != '\\')
            buf_printf(&vocab, "\"%c\":%d,", i, i);
    buf_puts(&vocab, "\"\xc4\xa0\":1,\"\xc4\xa0"
                     "a\":2,\"ab\":3,\"\xc4\xa0"
                     "b\":4");
    load_format(&s[2], odd, vocab.p);
    buf_release(&vocab);
}

static void compare_cold(const struct subject *s, struct str text, bool special, int warm_rc,
                         const struct ids *warm)
{
    struct err e = {0};
    struct ids ids = {0};
    struct tokenizer_work *cold = tokenizer_work_new(s->t);
    HOLDS(tokenizer_encode(s->t, cold, text, special, &ids, &e) == warm_rc);
    HOLDS(ids.n == warm->n && (!ids.n || !memcmp(ids.v, warm->v, ids.n * sizeof *ids.v)));
    tokenizer_work_free(cold);
    ids_release(&ids);
}

static void encode(const struct subject *s, struct str text, bool special, bool compare)
{
    struct err e = {0};
    struct ids ids = {0};
    struct buf back = {0};
    int rc = tokenizer_encode(s->t, s->warm, text, special, &ids, &e);
    if (compare)
        compare_cold(s, text, special, rc, &ids);
    for (size_t i = 0; i < ids.n; i++)
        HOLDS(ids.v[i] >= 0 && ids.v[i] < tokenizer_size(s->t));
    if (rc < 0)
        HOLDS(!utf8_check(text.p, text.n) || !s->exact);
    tokenizer_decode(s->t, s->warm, ids.v, ids.n, special, &back);
    HOLDS(utf8_check(back.p, back.n));
    if (rc == 0 && s->exact && !special)
        HOLDS(str_eq(buf_str(&back), text));
    ids_release(&ids);
    buf_release(&back);
}

/* The ids of the text with what the tokenizer puts before a user's text. */
static void encode_whole(const struct subject *s, struct str text, struct str label,
                         struct ids *out)
{
    struct err e = {0};
    struct buf all = {0};
    int32_t bos = tokenizer_bos(s->t);
    struct str token = tokenizer_token(s->t, bos);
    buf_addstr(&all, text);
    buf_addstr(&all, label);
    if (bos >= 0 && (text.n < token.n || memcmp(text.p, token.p, token.n)))
        ids_add(out, bos);
    HOLDS(tokenizer_encode(s->t, s->warm, buf_str(&all), false, out, &e) == 0);
    buf_release(&all);
}

/* A prompt and labels behind it: together the tokens of the joined text, whatever the seam. */
static void encode_labels(const struct subject *s, struct str text, struct str label)
{
    enum { END = 1 };
    struct err e = {0};
    struct ids prompt = {0}, ids[2] = {{0}}, whole = {0};
    struct str labels[] = {label, STR("ab")};
    if (prompt_encode(s->t, s->warm, text, true, &prompt, &e) == 0 &&
        labels_encode(s->t, s->warm, text, true, labels, 2, END, &prompt, ids, &e) == 0) {
        for (int i = 0; i < 2; i++) {
            size_t n = ids[i].n;
            whole.n = 0;
            encode_whole(s, text, labels[i], &whole);
            ids_add(&whole, END);
            HOLDS(n && ids[i].v[n - 1] == END && prompt.n + n == whole.n);
            HOLDS(!prompt.n || !memcmp(prompt.v, whole.v, prompt.n * sizeof *whole.v));
            HOLDS(!memcmp(ids[i].v, whole.v + prompt.n, n * sizeof *whole.v));
        }
    }
    ids_release(&prompt);
    ids_release(&whole);
    ids_release(&ids[0]);
    ids_release(&ids[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct subject subjects[SUBJECTS];
    struct str text, label;
    if (!subjects[0].t)
        load_all(subjects);
    text = fuzz_cut(fuzz_input(p, n), &label);
    for (int i = 0; i < SUBJECTS; i++) {
        encode(&subjects[i], fuzz_input(p, n), false, n % SUBJECTS == (size_t)i);
        encode(&subjects[i], text, true, false);
        encode_labels(&subjects[i], text, label);
    }
    return 0;
}
