/* tokenizer.c - added tokens, models, decoders; hostile and truncated files; long pieces.
 *
 * What is wanted of encoding and decoding was written down from tokenizers 0.23.3.
 */
#include "tok_fixture.h"
#include "unit.h"

#define VOCAB                                                                                \
    "`vocab`:{`<unk>`:0,`a`:1,`b`:2,`c`:3,`d`:4,`e`:5,`▁`:6,` `:7,`ab`:8,`cd`:9,`<0x41>`:" \
    "10,`<0xC3>`:11,`<0xA9>`:12,`##b`:13,`b</w>`:14,`|`:15,`▁a`:16,`c d`:17}"
#define MODEL(more) \
    "`model`:{`type`:`BPE`," VOCAB ",`merges`:[`a b`,`c d`],`unk_token`:`<unk>`" more "}"
#define ADDED(content, single, left, right, normalized, special)                \
    "{`id`:0,`content`:`" content "`,`single_word`:" #single ",`lstrip`:" #left \
    ",`rstrip`:" #right ",`normalized`:" #normalized ",`special`:" #special "}"

struct fixture {
    struct tokenizer *t;
    struct tokenizer_work *w;
    struct ids ids;
    struct buf text;
};

static bool begin(struct fixture *f, const char *json)
{
    struct err e = {0};
    *f = (struct fixture){.t = load_json(json, &e)};
    CHECK_MSG(f->t != NULL, "%s", e.text);
    if (f->t)
        f->w = tokenizer_work_new(f->t);
    return f->t != NULL;
}

static void end(struct fixture *f)
{
    tokenizer_work_free(f->w);
    tokenizer_free(f->t);
    ids_release(&f->ids);
    buf_release(&f->text);
}

/* The ids as "1 2 3"; borrowed. */
static const char *encode(struct fixture *f, struct str text, bool special)
{
    struct err e = {0};
    f->ids.n = 0;
    buf_clear(&f->text);
    buf_puts(&f->text, "");
    if (tokenizer_encode(f->t, f->w, text, special, &f->ids, &e) < 0)
        buf_puts(&f->text, e.text);
    else
        for (size_t i = 0; i < f->ids.n; i++)
            buf_printf(&f->text, "%s%d", i ? " " : "", f->ids.v[i]);
    return f->text.p;
}

static void check_ids(struct fixture *f, const char *text, const char *want)
{
    for (int again = 0; again < 2; again++) /* the second time from the cache */
        CHECK_MSG(strcmp(encode(f, str_of(text), false), want) == 0, "\"%s\": %s, not %s", text,
                  f->text.p, want);
}

static void test_added(void)
{
    static const char *const cases[][2] = {
        {"a<x>b", "1 18 2"},
        {"a  <l> b", "1 19 7 2"},
        {"a <r>  b", "1 7 20 2"},
        {"abc", "21"},
        {"abcd abc d", "8 9 7 21 7 4"},
        {"abc,abc", "21 0 21"},
        {"<x>e<x>", "22 18"},
        {"a <r>  <l>b", "1 7 20 19 2"},
        {"a<l><l>", "1 19 19"},
        {"deDEdE", "23 23 23"},
        {"ab<xab", "8 0 0 8"},
        {"<x><x>e", "18 22"},
        {"", ""},
    };
    struct fixture f;
    if (!begin(
            &f,
            "{`added_tokens`:[" ADDED("<x>", false, false, false, false, true) "," ADDED(
                "<l>", false, true, false, false,
                true) "," ADDED("<r>", false, false, true, false,
                                true) "," ADDED("abc", true, false, false, false,
                                                false) "," ADDED("<x>e", false, false, false,
                                                                 false,
                                                                 true) "," ADDED("DE", false,
                                                                                 false, false,
                                                                                 true,
                                                                                 false) "],`"
                                                                                        "normal"
                                                                                        "izer`:"
                                                                                        "{`"
                                                                                        "type`:"
                                                                                        "`Lower"
                                                                                        "case`}"
                                                                                        "," MODEL(
                                                                                            "") "}"))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_ids(&f, cases[i][0], cases[i][1]);
    CHECK(tokenizer_size(f.t) == 24);
    CHECK(tokenizer_id(f.t, STR("<l>")) == 19);
    CHECK(tokenizer_id(f.t, STR("nothing")) == -1);
    CHECK(tokenizer_is_special(f.t, 18) && !tokenizer_is_special(f.t, 21));
    CHECK(!tokenizer_is_special(f.t, 1) && !tokenizer_is_special(f.t, -1));
    CHECK(!tokenizer_is_special(f.t, 24));
    CHECK(str_is(tokenizer_token(f.t, 8), "ab"));
    CHECK(tokenizer_token(f.t, 24).n == 0 && tokenizer_token(f.t, -1).n == 0);
    CHECK(tokenizer_bos(f.t) == -1);
    end(&f);
}

/* An added token of blanks, which an earlier one has taken in part or whole. */
static void test_added_blanks(void)
{
    struct fixture f;
    if (begin(&f, "{`added_tokens`:[" ADDED("  ", false, true, true, false,
                                            false) "]," MODEL("") "}"))
        check_ids(&f, "a      b", "1 18 2");
    end(&f);
}

/* Two that the normalizer makes one. */
static void test_added_alike(void)
{
    struct fixture f;
    if (begin(&f, "{`added_tokens`:[" ADDED("<X>", false, false, false, true, true) "," ADDED(
                      "<x>", false, false, false, true, false) "],`normalizer`:{`type`:"
                                                               "`Lowercase`}," MODEL("") "}"))
        check_ids(&f, "a<x><X>", "1 19 19");
    end(&f);
}

static void test_models(void)
{
    static const struct {
        const char *json, *text, *want;
    } cases[] = {
        {"{" MODEL("") "}", "azzb", "1 0 0 2"},
        {"{" MODEL(",`fuse_unk`:true") "}", "azzb", "1 0 2"},
        {"{" MODEL(",`byte_fallback`:true") "}", "azAé", "1 10 11 12 0"},
        {"{" MODEL(",`byte_fallback`:true,`fuse_unk`:true") "}", "zAéz", "10 11 12 0"},
        {"{" MODEL(",`ignore_merges`:true") "}", "c d", "17"},
        {"{" MODEL("") "}", "c d", "3 7 4"},
        {"{`model`:{" VOCAB ",`merges`:[[`a`,`b`]]}}", "azb", "8"}, /* no type, no unknown */
        {"{`model`:{" VOCAB ",`merges`:[],`continuing_subword_prefix`:`##`}}", "bb", "2 13"},
        {"{`model`:{" VOCAB ",`merges`:[],`unk_token`:`?`}}", "z",
         "tokenizer.json: unk_token ? is no token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        if (begin(&f, cases[i].json))
            check_ids(&f, cases[i].text, cases[i].want);
        end(&f);
    }
}

static void test_special(void)
{
    static const char *const template =
        "{`post_processor`:{`type`:`Sequence`,`processors`:[{`type`:`ByteLevel`},{`type`:"
        "`TemplateProcessing`,`single`:[{`SpecialToken`:{`id`:`S`,`type_id`:0}},{`Sequence`:{`"
        "id`:`A`,`type_id`:0}},{`SpecialToken`:{`id`:`E`,`type_id`:0}}],`pair`:[],`special_"
        "tokens`:{`S`:{`id`:`S`,`ids`:[1,2]},`E`:{`id`:`E`,`ids`:[3]}}}]}," MODEL("") "}";
    static const char *const roberta =
        "{`post_processor`:{`type`:`RobertaProcessing`,`sep`:[`d`,4],`cls`:[`e`,5]}," MODEL(
            "") "}";
    struct fixture f;
    if (begin(&f, template)) {
        CHECK(strcmp(encode(&f, STR("ab"), true), "1 2 8 3") == 0);
        CHECK(strcmp(encode(&f, STR("ab"), false), "8") == 0);
        CHECK(tokenizer_bos(f.t) == 1);
    }
    end(&f);
    if (begin(&f, roberta))
        CHECK(strcmp(encode(&f, STR("ab"), true), "5 8 4") == 0);
    end(&f);
}

static void test_decoders(void)
{
    static const struct {
        const char *decoder;
        int32_t ids[8]; /* -1 behind the last */
        const char *want;
    } cases[] = {
        {"null", {1, 2, -1}, "a b"},
        {"{`type`:`Fuse`}", {1, 2, -1}, "ab"},
        {"{`type`:`ByteFallback`}", {1, 10, 11, 12, 11, 2, -1}, "a\ufffd\ufffd\ufffd\ufffdb"},
        {"{`type`:`ByteFallback`}", {10, 11, 12, -1}, "Aé"},
        {"{`type`:`Sequence`,`decoders`:[{`type`:`ByteFallback`},{`type`:`Fuse`},{`type`:"
         "`Strip`,`content`:`a`,`start`:1,`stop`:1}]}",
         {1, 1, 2, 1, -1},
         "ab"},
        {"{`type`:`Strip`,`content`:`a`,`start`:2,`stop`:0}", {1, 8, 2, -1}, "bb"},
        {"{`type`:`Replace`,`pattern`:{`String`:`a`},`content`:`xx`}", {1, 8, -1}, "xxxxb"},
        {"{`type`:`Replace`,`pattern`:{`Regex`:`[ab]`},`content`:`-`}", {1, 8, 3, -1}, "---c"},
        {"{`type`:`Metaspace`,`replacement`:`▁`,`prepend_scheme`:`always`}",
         {16, 16, 6, -1},
         "a a "},
        {"{`type`:`Metaspace`,`replacement`:`▁`,`prepend_scheme`:`never`}",
         {16, 16, -1},
         " a a"},
        {"{`type`:`WordPiece`,`prefix`:`##`,`cleanup`:true}", {1, 13, 2, -1}, "ab b"},
        {"{`type`:`BPEDecoder`,`suffix`:`</w>`}", {1, 14, 1, 14, -1}, "ab ab"},
        {"{`type`:`CTC`,`pad_token`:`a`,`word_delimiter_token`:`|`,`cleanup`:true}",
         {2, 2, 1, 2, 15, 3, -1},
         "bb c"},
        {"{`type`:`ByteLevel`}", {1, 6, 2, -1}, "a▁b"},
        {"{`type`:`Fuse`}", {1, 99, INT32_MAX, 2, -1}, "ab"}, /* out of range */
        {"{`type`:`Sequence`,`decoders`:[]}", {1, 2, -1}, "ab"},
        /* nothing is left for the second step */
        {"{`type`:`Sequence`,`decoders`:[{`type`:`BPEDecoder`,`suffix`:`a`},{`type`:`Fuse`},"
         "{`type`:`ByteLevel`}]}",
         {1, -1},
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char *json = xasprintf("{`decoder`:%s," MODEL("") "}", cases[i].decoder);
        size_t n = 0;
        while (cases[i].ids[n] >= 0)
            n++;
        if (begin(&f, json)) {
            tokenizer_decode(f.t, f.w, cases[i].ids, n, false, &f.text);
            CHECK_MSG(str_is(buf_str(&f.text), cases[i].want), "%s: \"%s\", not \"%s\"",
                      cases[i].decoder, f.text.p, cases[i].want);
        }
        end(&f);
        free(json);
    }
}

/* The reference compares the form that the normalizer gives with the special tokens, so that a
 * special token that is normalized away from its content is kept. */
static void test_skip_special(void)
{
    struct fixture f;
    const int32_t ids[] = {1, 18, 19};
    if (begin(&f, "{`added_tokens`:[" ADDED("<X>", false, false, false, true, true) "," ADDED(
                      "<y>", false, false, false, false,
                      true) "],`normalizer`:{`type`:`Lowercase`},`decoder`:{`type`:`Fuse`}"
                            "," MODEL("") "}")) {
        check_ids(&f, "a<x><X>", "1 18 18");
        buf_clear(&f.text);
        tokenizer_decode(f.t, f.w, ids, 3, true, &f.text);
        CHECK(str_is(buf_str(&f.text), "a<x>"));
        buf_clear(&f.text);
        tokenizer_decode(f.t, f.w, ids, 3, false, &f.text);
        CHECK(str_is(buf_str(&f.text), "a<x><y>"));
    }
    end(&f);
}

/* ---- long pieces ---------------------------------------------------------------- */

/* Merges of the alphabet "abc" by rank, over and over: the definition, in quadratic time. */
static size_t merge_slowly(struct fixture *f, const char *s, size_t n, int32_t *out)
{
    static const char *const merges[][2] = {{"a", "b"}, {"b", "c"},   {"ab", "c"},
                                            {"a", "a"}, {"aa", "aa"}, {"abc", "ab"}};
    for (size_t i = 0; i < n; i++)
        out[i] = tokenizer_id(f->t, (struct str){s + i, 1});
    for (size_t m = 0; m < sizeof merges / sizeof *merges; m++) {
        int32_t left = tokenizer_id(f->t, str_of(merges[m][0]));
        int32_t right = tokenizer_id(f->t, str_of(merges[m][1]));
        char *both = xasprintf("%s%s", merges[m][0], merges[m][1]);
        int32_t id = tokenizer_id(f->t, str_of(both));
        free(both);
        for (size_t i = 0; i + 1 < n; i++)
            if (out[i] == left && out[i + 1] == right) {
                out[i] = id;
                memmove(out + i + 1, out + i + 2, (n - i - 2) * sizeof *out);
                n--;
                m = (size_t)-1; /* from the lowest rank again */
                break;
            }
        if (m == (size_t)-1)
            continue;
    }
    return n;
}

static void test_long(void)
{
    struct fixture f;
    char text[300];
    int32_t want[300];
    uint32_t seed = 1;
    if (!begin(&f, "{`model`:{`type`:`BPE`,`vocab`:{`a`:0,`b`:1,`c`:2,`ab`:3,`bc`:4,`abc`:5,"
                   "`aa`:6,`aaaa`:7,`abcab`:8},`merges`:[`a b`,`b c`,`ab c`,`a a`,`aa aa`,"
                   "`abc ab`]}}"))
        return;
    for (size_t n = 1; n < sizeof text; n++) {
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = "aaabc"[(seed >> 16) % 5];
        }
        size_t k = merge_slowly(&f, text, n, want);
        encode(&f, (struct str){text, n}, false);
        CHECK_MSG(f.ids.n == k && memcmp(f.ids.v, want, k * sizeof *want) == 0,
                  "%zu characters: %.*s", n, (int)n, text);
    }
    char *run = xmalloc(1 << 20);
    memset(run, 'a', 1 << 20);
    encode(&f, (struct str){run, 1 << 20}, false);
    CHECK(f.ids.n == 1 << 18 && f.ids.v[0] == 7 && f.ids.v[(1 << 18) - 1] == 7);
    free(run);
    end(&f);
}

/* Marks in the order of their classes: as many as utf8proc would sort in quadratic time. */
static void test_marks(void)
{
    struct fixture f;
    struct buf s = {0};
    if (!begin(&f, "{`normalizer`:{`type`:`NFC`},`model`:{`type`:`BPE`,`vocab`:{`a`:0,`\u0301`:"
                   "1,`\u0323`:2,`ạ`:3},`merges`:[]}}"))
        return;
    buf_puts(&s, "a");
    for (int i = 0; i < 100000; i++)
        buf_puts(&s, "\u0301\u0323");
    encode(&f, buf_str(&s), false);
    CHECK(f.ids.n == 200000 && f.ids.v[0] == 3 && f.ids.v[1] == 2);
    CHECK(f.ids.n == 200000 && f.ids.v[99999] == 2 && f.ids.v[100000] == 1);
    buf_release(&s);
    end(&f);
}

static void test_runaway(void)
{
    struct fixture f;
    struct err e = {0};
    if (!begin(&f, "{`pre_tokenizer`:{`type`:`Split`,`pattern`:{`Regex`:`(a|aa)+$|b`},`behavior"
                   "`:`Isolated`,`invert`:false}," MODEL("") "}"))
        return;
    CHECK(tokenizer_encode(f.t, f.w,
                           STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"), false,
                           &f.ids, &e) < 0);
    CHECK(e.status == EXIT_DATA && strstr(e.text, "limits"));
    CHECK(tokenizer_encode(f.t, f.w, STR("\xff"), false, &f.ids, &e) < 0);
    CHECK(e.status == EXIT_DATA && strstr(e.text, "UTF-8"));
    end(&f);
}

/* ---- hostile files ---------------------------------------------------------------- */

static void test_refused(void)
{
#define PART(json) "{" json "," MODEL("") "}"
    static const struct {
        const char *json, *want;
    } cases[] = {
        {"", "at byte 0"},
        {"[]", "an object with a \"model\""},
        {"{}", "an object with a \"model\""},
        {"{`a`:1}", "\"model\" is missing"},
        {"{`version`:`2.0`," MODEL("") "}", "\"version\""},
        {"{`model`:[]}", "model: an object is needed"},
        {"{`model`:{`type`:`Unigram`,`vocab`:[]}}", "model: type Unigram"},
        {"{`model`:{`vocab`:[[`a`,0.5]]}}", "model: type Unigram"},
        {"{`model`:{`vocab`:{`a`:0}}}", "model: type WordPiece"},
        {"{`model`:{`type`:`BPE`,`merges`:[]}}", "\"vocab\" is missing"},
        {"{`model`:{`type`:`BPE`,`vocab`:[],`merges`:[]}}", "\"vocab\" must be an object"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:-1},`merges`:[]}}", "vocab: id -1"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:4194304},`merges`:[]}}", "out of range"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:99999999999999999999},`merges`:[]}}", "integer"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1.5},`merges`:[]}}", "integer"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1,`b`:1},`merges`:[]}}", "two tokens"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1,`a`:2},`merges`:[]}}", "twice"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`\\ud800`:1},`merges`:[]}}", "lone surrogate"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1},`merges`:[`a b`]}}", "merges[0]: \"b\" is no"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1},`merges`:[`a a`]}}", "\"aa\" is no token"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1},`merges`:[`a a a`]}}", "two parts"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1},`merges`:[[`a`]]}}", "two parts"},
        {"{`model`:{`type`:`BPE`,`vocab`:{`a`:1},`merges`:[7]}}", "a string is needed"},
        {"{`model`:{`type`:`BPE`,`vocab`:{},`merges`:[],`dropout`:0.1}}", "dropout"},
        {"{`model`:{`type`:`BPE`,`vocab`:{},`merges`:[],`unk_token`:1}}", "\"unk_token\""},
        {"{`model`:{`type`:`BPE`,`vocab`:{},`merges`:[],`fuse_unk`:1}}", "\"fuse_unk\""},
        {PART("`added_tokens`:{}"), "added_tokens: an array"},
        {PART("`added_tokens`:[1]"), "added_tokens: [0]: "},
        {PART("`added_tokens`:[{`id`:0,`content`:`x`}]"), "\"single_word\" is missing"},
        {PART("`normalizer`:7"), "normalizer: an object"},
        {PART("`normalizer`:{`type`:`Precompiled`}"), "normalizer: type Precompiled"},
        {PART("`normalizer`:{`type`:`Sequence`,`normalizers`:[{`type`:`NFC`},{`type`:`X`}]}"),
         "normalizer: normalizers[1]: type X"},
        {PART("`normalizer`:{`type`:`Replace`,`content`:``,`pattern`:{`Regex`:`(`}}"),
         "pattern: missing closing parenthesis"},
        {PART("`normalizer`:{`type`:`Replace`,`content`:``,`pattern`:{`String`:``}}"), "empty"},
        {PART("`pre_tokenizer`:{`type`:`UnicodeScripts`}"), "pre_tokenizer: type Unicode"},
        {PART("`pre_tokenizer`:{`type`:`FixedLength`,`length`:0}"), "\"length\""},
        {PART("`normalizer`:{`type`:`Replace`,`content`:``,`pattern`:{`Regex`:`[a[b]`}}"),
         "a class without its ]"},
        {PART("`normalizer`:{`type`:`Replace`,`content`:``,`pattern`:{`Regex`:`\\\\X`}}"),
         "\\X is not supported"},
        {PART(
             "`normalizer`:{`type`:`Replace`,`content`:``,`pattern`:{`Regex`:`[[[[[[[[[[[a`}}"),
         "too deep"},
        {PART("`pre_tokenizer`:{`type`:`Split`,`pattern`:{`Regex`:`a`},`behavior`:`X`}"),
         "behavior X"},
        {PART("`pre_tokenizer`:{`type`:`Metaspace`,`replacement`:`ab`}"), "one character"},
        {PART(
             "`pre_tokenizer`:{`type`:`Metaspace`,`replacement`:`a`,`add_prefix_space`:false}"),
         "disagree"},
        {PART("`post_processor`:{`type`:`BertProcessing`,`sep`:[`a`,1],`cls`:[`x`,99]}"),
         "\"cls\": 99 is no token's id"},
        {PART("`post_processor`:{`type`:`TemplateProcessing`,`single`:[],`special_tokens`:{}}"),
         "sequence A once"},
        {PART(
             "`post_processor`:{`type`:`TemplateProcessing`,`single`:[{`SpecialToken`:{`id`:`S`"
             "}}],`special_tokens`:{}}"),
         "\"S\" is not in special_tokens"},
        {PART("`decoder`:{`type`:`Strip`,`content`:`a`,`start`:-1,`stop`:0}"), "\"start\""},
        {PART("`decoder`:{}"), "decoder: \"type\" is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        struct tokenizer *t = load_json(cases[i].json, &e);
        CHECK_MSG(!t && e.status == EXIT_CONFIG && strstr(e.text, cases[i].want), "%s: %s",
                  cases[i].json, t ? "taken" : e.text);
        tokenizer_free(t);
    }
}

static void test_truncated(void)
{
    static const char *const json = "{`version`:`1.0`,`added_tokens`:[" ADDED(
        "<x>", false, true, true, true,
        true) "],`normalizer`:{`type`:`Replace`,`pattern`:{`String`:` `},`content`:`▁`},"
              "`pre_tokenizer`:{`type`:`Split`,`pattern`:{`Regex`:`\\\\p{L}+`},`behavior`:`"
              "Isolated`,"
              "`invert`:false},`post_processor`:{`type`:`BertProcessing`,`sep`:[`a`,1],`cls`:[`"
              "b`,2]}"
              ",`decoder`:{`type`:`Fuse`},`model`:{`type`:`BPE`,`vocab`:{`a`:0,`b`:1,`ab`:2},"
              "`merges`:[[`a`,`b`]]}}";
    char *s = xstrdup(json);
    for (char *p = s; (p = strchr(p, '`'));)
        *p = '"';
    size_t n = strlen(s), taken = 0;
    for (size_t i = 0; i <= n; i++) {
        struct err e = {0};
        char *part = xmalloc(i ? i : 1); /* its own memory, so that reading on is noticed */
        memcpy(part, s, i);
        struct tokenizer *t = load_bytes((struct str){part, i}, &e);
        taken += t != NULL;
        CHECK_MSG((t != NULL) == (i == n) && (t || e.status == EXIT_CONFIG), "%zu bytes: %s", i,
                  t ? "taken" : e.text);
        tokenizer_free(t);
        free(part);
    }
    CHECK(taken == 1);
    free(s);
}

static void test_missing(void)
{
    struct err e = {0};
    CHECK(tokenizer_load("/nonexistent", &e) == NULL && e.status == EXIT_NOINPUT);
}

int main(void)
{
    test_added();
    test_added_blanks();
    test_added_alike();
    test_models();
    test_special();
    test_decoders();
    test_skip_special();
    test_long();
    test_marks();
    test_runaway();
    test_refused();
    test_truncated();
    test_missing();
    return unit_done("tokenizer");
}
